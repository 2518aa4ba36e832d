#include "descent/data/spoken.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "descent/base/hash.h"
#include "descent/base/text.h"
#include "descent/data/labelled_files.h"
#include "descent/data/random.h"
#include "descent/data/spoken_files.h"

namespace descent::data {

namespace {

// --- reading ---

// Recordings that may be in any part, those that a table has put into one, and those of training alone.
struct Gathered {
  std::vector<std::string> texts;
  std::map<std::string, int32_t> numbers;
  Clips open, train, validation, test, more;
  std::map<std::string, int64_t> left_out;

  int32_t number_of(const std::string& words) {
    const auto [at, added] = numbers.emplace(words, static_cast<int32_t>(texts.size()));
    if (added) texts.push_back(words);
    return at->second;
  }
  Clips& part(const SpokenFile& file, bool for_training) {
    if (for_training) return more;
    if (!file.part) return open;
    return *file.part == "train" ? train : *file.part == "test" ? test : validation;
  }
};

void gather(const std::string& source, bool for_training, const SpokenOptions& options, Gathered& out) {
  const auto most = static_cast<int64_t>(options.longest * static_cast<double>(options.rate));
  int64_t taken = 0, without = 0;
  each_spoken_file(
      source, options.rate, most,
      [&](SpokenFile file) {
        const std::string words = spoken_text(file.transcript, options.numbers, file.name);
        if (words.empty()) {
          ++out.left_out["nothing is said"];
        } else if (std::ssize(file.samples) > most) {
          ++out.left_out[text("longer than ", options.longest, " s")];
        } else if (file.samples.empty()) {
          ++out.left_out["no samples"];
        } else {
          ++taken;
          out.part(file, for_training).add(file.name, out.number_of(words), file.samples);
        }
      },
      without);
  if (without > 0) out.left_out["no transcript"] += without;
  if (taken == 0) fail(text(source, ": there is no recording with a transcript in it"));
}

// --- division ---

// The share of the texts, so many that about that share of the recordings is theirs.
std::vector<bool> by_text(const Clips& clips, const std::vector<std::string>& texts, double fraction, uint64_t seed) {
  std::vector<int64_t> counts(texts.size(), 0);
  for (const int32_t label : clips.labels()) ++counts[static_cast<size_t>(label)];
  std::vector<size_t> order;
  for (size_t i = 0; i < texts.size(); ++i)
    if (counts[i] > 0) order.push_back(i);
  std::ranges::sort(order, {}, [&](size_t i) { return hash_text(seed, texts[i]); });
  const double wanted = fraction * static_cast<double>(clips.size());
  std::vector<bool> chosen(texts.size(), false);
  double have = 0;
  for (const size_t i : order) {
    if (have + static_cast<double>(counts[i]) / 2 > wanted) break;
    chosen[i] = true;
    have += static_cast<double>(counts[i]);
  }
  std::vector<bool> out;
  for (const int32_t label : clips.labels()) out.push_back(chosen[static_cast<size_t>(label)]);
  return out;
}

std::vector<bool> by_recording(const Clips& clips, const std::vector<std::string>& texts, double fraction,
                               uint64_t seed) {
  std::vector<uint64_t> keys;
  for (int64_t clip = 0; clip < clips.size(); ++clip) {
    uint64_t key = seed;
    for (const int16_t value : clips.samples(clip)) key = hash_mix(key, static_cast<uint16_t>(value));
    keys.push_back(key);
  }
  return choose_share(keys, clips.labels(), texts.size(), fraction);
}

// Moves a share of `from` to `to`.
void move_share(Clips& from, Clips& to, const Gathered& all, double fraction, const SpokenOptions& options,
                uint64_t use) {
  if (!(fraction > 0) || to.size() > 0) return;
  const uint64_t seed = random_key(options.seed, use);
  std::vector<bool> chosen =
      options.hold_out_texts ? by_text(from, all.texts, fraction, seed) : by_recording(from, all.texts, fraction, seed);
  to = from.select(chosen);
  chosen.flip();
  from = from.select(chosen);
}

void append(Clips& to, const Clips& from, const std::set<int32_t>& without) {
  for (int64_t clip = 0; clip < from.size(); ++clip) {
    const int32_t label = from.labels()[static_cast<size_t>(clip)];
    if (!without.contains(label)) to.add_from(from, clip);
  }
}

SpokenSet divided(Gathered& all, const SpokenOptions& options) {
  constexpr uint64_t test_use = 0x74657374, validation_use = 0x76616c;
  const auto count = static_cast<double>(all.open.size());
  move_share(all.open, all.test, all, options.fractions.test, options, test_use);
  const double left = all.open.size() > 0 ? static_cast<double>(all.open.size()) / count : 1;
  move_share(all.open, all.validation, all, std::min(1.0, options.fractions.validation / left), options,
             validation_use);
  std::set<int32_t> held_out;
  if (options.hold_out_texts)
    for (const Clips* part : {&all.test, &all.validation})
      held_out.insert(part->labels().begin(), part->labels().end());
  SpokenSet out{options.rate, std::move(all.texts),     {}, std::move(all.validation), std::move(all.test),
                std::move(all.left_out)};
  for (int64_t i = 0; i < options.repeat; ++i)
    for (const Clips* own : {&all.train, &all.open}) append(out.train, *own, {});
  append(out.train, all.more, held_out);
  return out;
}

}  // namespace

SpokenSet read_spoken(const std::vector<std::string>& sources, const std::vector<std::string>& more,
                      const SpokenOptions& options) {
  Gathered all;
  for (const std::string& source : sources) gather(source, false, options, all);
  for (const std::string& source : more) gather(source, true, options, all);
  SpokenSet out = divided(all, options);
  for (const auto& [wanted, part, name] : {std::tuple{true, &out.train, "training"},
                                           {options.fractions.validation > 0, &out.validation, "validation"},
                                           {options.fractions.test > 0, &out.test, "test"}})
    if (wanted && part->size() == 0) fail(text(join(sources, ", "), ": no recording is left for the ", name, " part"));
  return out;
}

// --- rows ---

namespace {

constexpr float full_scale = 32768;

// A few sizes, each two fifths larger than the one before: the least that is enough.
int64_t room_for(int64_t samples, int64_t rate) {
  int64_t room = rate;
  while (room < samples) room = (room * 7 + 4) / 5;
  return room;
}

Clips by_length(const Clips& clips) {
  std::vector<int64_t> order(static_cast<size_t>(clips.size()));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, {}, [&](int64_t clip) { return clips.samples(clip).size(); });
  Clips out;
  for (const int64_t clip : order) out.add_from(clips, clip);
  return out;
}

}  // namespace

SpokenRows::SpokenRows(Clips clips, int64_t rate, const SoundAugment& augment)
    : clips_(by_length(clips)), rate_(rate), augment_(augment) {
  check_augmentation(augment);
  const double silence = 2 * augment.delay / 1000 * static_cast<double>(rate);
  for (int64_t clip = 0; clip < clips_.size(); ++clip) {
    const auto samples = static_cast<double>(clips_.samples(clip).size());
    rooms_.push_back(room_for(static_cast<int64_t>(std::ceil(samples / (1 - augment.speed) + silence)), rate));
  }
  if (rooms_.empty()) fail("recordings as rows: there are none");
}

void SpokenRows::read(int64_t row, std::span<std::byte> out) const {
  const std::span<const int16_t> clip = clips_.samples(row);
  const std::span<float> values(reinterpret_cast<float*>(out.data()), out.size() / sizeof(float));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = i < clip.size() ? static_cast<float>(clip[i]) / full_scale : std::numeric_limits<float>::quiet_NaN();
}

void SpokenRows::vary(int64_t row, uint64_t key, std::span<std::byte> out, std::span<std::byte>) const {
  if (!augment_.any()) return read(row, out);
  const std::span<float> values(reinterpret_cast<float*>(out.data()), out.size() / sizeof(float));
  RandomStream random(random_key(key, 0));
  const double silence = augment_.delay * static_cast<double>(rate_) / 1000;
  const auto before = static_cast<int64_t>(random.uniform() * silence);
  const auto after = static_cast<int64_t>(random.uniform() * silence);
  const SoundChange change = draw_change(augment_, random);
  const int64_t wanted = before + change.length(clips_.samples(row)) + after;
  const size_t length = std::min(values.size(), static_cast<size_t>(wanted));
  place_sound(clips_.samples(row), change, static_cast<double>(before), values.first(length));
  if (augment_.noise > 0) add_noise(augment_, values.first(length), random_key(key, 1));
  std::ranges::fill(values.subspan(length), std::numeric_limits<float>::quiet_NaN());
}

Dataset spoken_dataset(const SpokenSet& set, Clips clips, const Characters& characters, const SoundAugment& augment) {
  Dataset out;
  out.classes = characters.all();
  if (clips.size() == 0) return out;
  const auto rows = std::make_shared<SpokenRows>(std::move(clips), set.rate, augment);
  std::vector<std::vector<int32_t>> encoded;
  size_t most = 1;
  for (const int32_t number : rows->texts()) {
    const std::string& words = set.texts[static_cast<size_t>(number)];
    encoded.push_back(characters.encode(words, text("the transcript \"", words, "\"")));
    most = std::max(most, encoded.back().size());
  }
  out.targets = Array::full({DType::i32, {rows->size(), static_cast<int64_t>(most)}}, -1);
  int32_t* to = out.targets.as<int32_t>().data();
  for (const std::vector<int32_t>& row : encoded) {
    std::ranges::copy(row, to);
    to += most;
  }
  out.source = rows;
  return out;
}

Splits spoken_splits(SpokenSet set, const SoundAugment& augment) {
  std::string all;
  for (const int32_t number : set.train.labels()) all += set.texts[static_cast<size_t>(number)];
  const Characters characters = Characters::of(all, "the transcripts");
  Splits out;
  out.train = spoken_dataset(set, std::move(set.train), characters, augment);
  out.validation = spoken_dataset(set, std::move(set.validation), characters);
  out.test = spoken_dataset(set, std::move(set.test), characters);
  return out;
}

}  // namespace descent::data
