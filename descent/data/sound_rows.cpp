#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/data/random.h"
#include "descent/data/sounds.h"

namespace descent::data {

namespace {

constexpr float full_scale = 32768;

enum KeyOf : uint64_t {
  place_key = 0,
  noise_key = 1,
  sample_key = 2
};  // what the keys of a clip's draws are made with

double root_mean_square(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += double{value} * value;
  return values.empty() ? 0 : std::sqrt(sum / static_cast<double>(values.size()));
}

// A clip at places between its samples, by the cubic through four of them (Catmull and Rom); 0 beyond its ends.
class Interpolation {
 public:
  Interpolation(std::span<const int16_t> clip, float scale)
      : values_(clip.size() + 2 * rim), last_(static_cast<double>(clip.size()) + rim) {
    for (size_t i = 0; i < clip.size(); ++i) values_[i + rim] = scale * static_cast<float>(clip[i]);
  }
  float at(double place) const {
    const double inside = std::clamp(place + rim, 1.0, last_);
    const auto whole = static_cast<size_t>(inside);
    const auto t = static_cast<float>(inside - static_cast<double>(whole));
    const float* const p = values_.data() + whole;
    const float a = p[-1], b = p[0], c = p[1], d = p[2];
    return b + 0.5f * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
  }

 private:
  static constexpr size_t rim = 3;  // zeros on either side, so that the cubic never reads beyond
  std::vector<float> values_;
  double last_;
};

// Nearly normal, deviation 1: the sum of four uniform numbers.
float nearly_normal(uint64_t bits) {
  constexpr float deviation = 37837.2f;  // of the sum of four numbers of 16 bits
  int sum = 0;
  for (int i = 0; i < 4; ++i, bits >>= 16) sum += static_cast<int>(bits & 0xffff);
  return (static_cast<float>(sum) - 2 * 65535.0f) / deviation;
}

// White noise of such a root mean square, or coloured by one pole: from a hiss over white to a rumble.
void add_noise(double level, std::span<float> out, RandomStream& random, uint64_t key) {
  const auto colour = static_cast<float>(random.uniform() * 1.25 - 0.3);
  const auto scale = static_cast<float>(level) * std::sqrt(1 - colour * colour);
  RandomStream draws(random_key(key, sample_key));
  float last = 0;
  for (float& value : out) {
    last = colour * last + scale * nearly_normal(draws.bits());
    value += last;
  }
}

}  // namespace

void check_augmentation(const SoundAugment& augment) {
  struct Row {
    std::string_view name;
    double value, bound;
  };
  const std::array<Row, 4> rows{{{"gain", augment.gain, 100},
                                 {"speed", augment.speed, 0.5},
                                 {"delay", augment.delay, 60000},
                                 {"noise", augment.noise, 100}}};
  for (const Row& row : rows)
    if (!(row.value >= 0) || !(row.value < row.bound))
      fail(text("augmentation: ", row.name, " is ", row.value, ", but must be at least 0 and below ", row.bound));
}

SoundRows::SoundRows(std::shared_ptr<const Clips> clips, int64_t rate, int64_t samples, const SoundAugment& augment,
                     std::span<const std::string> classes)
    : clips_(std::move(clips)), rate_(rate), samples_(samples), augment_(augment) {
  check_augmentation(augment);
  if (augment.noise_class.empty()) return;
  const auto named = std::ranges::find(classes, augment.noise_class);
  if (named == classes.end())
    fail(text("augmentation: there is no class '", augment.noise_class, "' to be noise",
              did_you_mean(augment.noise_class, classes)));
  for (int64_t clip = 0; clip < clips_->size(); ++clip)
    if (clips_->labels()[static_cast<size_t>(clip)] == named - classes.begin()) noises_.push_back(clip);
}

void SoundRows::read(int64_t row, std::span<std::byte> out) const {
  const std::span<const int16_t> clip = clips_->samples(row);
  const std::span<float> values(reinterpret_cast<float*>(out.data()), static_cast<size_t>(samples_));
  const int64_t offset = (samples_ - std::ssize(clip)) / 2;
  for (int64_t i = 0; i < samples_; ++i) {
    const int64_t from = i - offset;
    const bool inside = from >= 0 && from < std::ssize(clip);
    values[static_cast<size_t>(i)] = inside ? static_cast<float>(clip[static_cast<size_t>(from)]) / full_scale : 0;
  }
}

int64_t SoundChange::length(std::span<const int16_t> clip) const {
  return static_cast<int64_t>(std::ceil(static_cast<double>(clip.size()) / speed));
}

SoundChange draw_change(const SoundAugment& augment, RandomStream& random) {
  const double speed = 1 + random.symmetric(augment.speed);
  return {speed, std::pow(10, random.symmetric(augment.gain) / 20)};
}

void place_sound(std::span<const int16_t> clip, const SoundChange& change, double offset, std::span<float> out) {
  const Interpolation sound(clip, static_cast<float>(change.gain / full_scale));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = sound.at((static_cast<double>(i) - std::round(offset)) * change.speed);
}

void SoundRows::vary(int64_t row, uint64_t key, std::span<std::byte> out, std::span<std::byte>) const {
  if (!augment_.any()) return read(row, out);
  const std::span<const int16_t> clip = clips_->samples(row);
  const std::span<float> values(reinterpret_cast<float*>(out.data()), static_cast<size_t>(samples_));
  RandomStream random(random_key(key, place_key));
  const SoundChange change = draw_change(augment_, random);
  const double delay = random.symmetric(augment_.delay) * static_cast<double>(rate_) / 1000;
  const double silence = static_cast<double>(samples_) - static_cast<double>(clip.size()) / change.speed;
  place_sound(clip, change, silence / 2 + delay, values);
  if (augment_.noise > 0) add_noise_to(values, random_key(key, noise_key));
}

// Half of the time a clip that is noise, if there are any.
void SoundRows::add_noise_to(std::span<float> out, uint64_t key) const {
  RandomStream random(key);
  const double level = augment_.noise * root_mean_square(out) * random.uniform();
  if (noises_.empty() || random.uniform() >= 0.5) return add_noise(level, out, random, key);
  const std::span<const int16_t> noise = clips_->samples(noises_[random.below(noises_.size())]);
  double power = 0;
  for (const int16_t value : noise) power += static_cast<double>(value) * value;
  if (power == 0) return;
  const auto scale = static_cast<float>(level / std::sqrt(power / static_cast<double>(noise.size())));
  size_t at = random.below(noise.size());
  for (float& value : out) {
    value += scale * static_cast<float>(noise[at]);
    at = at + 1 == noise.size() ? 0 : at + 1;
  }
}

void add_noise(const SoundAugment& augment, std::span<float> out, uint64_t key) {
  RandomStream random(key);
  add_noise(augment.noise * root_mean_square(out) * random.uniform(), out, random, key);
}

std::vector<float> centred(std::span<const float> clip, int64_t samples) {
  auto one = std::make_shared<Clips>();
  one->add("", 0, clip);
  std::vector<float> out(static_cast<size_t>(samples));
  SoundRows(one, 1, samples, {}, {}).read(0, std::as_writable_bytes(std::span(out)));
  return out;
}

Dataset sound_dataset(const SoundSet& set, Clips clips, const SoundAugment& augment) {
  Dataset out;
  out.classes = set.classes;
  if (clips.size() == 0) return out;
  out.targets = Array(DType::i32, {clips.size()});
  std::ranges::copy(clips.labels(), out.targets.as<int32_t>().begin());
  out.source = std::make_shared<SoundRows>(std::make_shared<const Clips>(std::move(clips)), set.rate, set.samples,
                                           augment, set.classes);
  return out;
}

Splits sound_splits(SoundSet set, const SoundAugment& augment) {
  return {sound_dataset(set, std::move(set.train), augment), sound_dataset(set, std::move(set.validation)),
          sound_dataset(set, std::move(set.test))};
}

}  // namespace descent::data
