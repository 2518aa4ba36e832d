#include "descent/nn/sound_features.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "descent/nn/lengths.h"
#include "descent/ops/add.h"
#include "descent/ops/cast.h"
#include "descent/ops/compare.h"
#include "descent/ops/conv.h"
#include "descent/ops/div.h"
#include "descent/ops/floor.h"
#include "descent/ops/iota.h"
#include "descent/ops/log.h"
#include "descent/ops/matmul.h"
#include "descent/ops/maximum.h"
#include "descent/ops/mean.h"
#include "descent/ops/mul.h"
#include "descent/ops/random_uniform.h"
#include "descent/ops/reshape.h"
#include "descent/ops/sqrt.h"
#include "descent/ops/square.h"
#include "descent/ops/sub.h"
#include "descent/ops/sum.h"

namespace descent::nn {

double mel_of(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double hertz_of(double mel) { return 700 * (std::pow(10, mel / 2595) - 1); }

std::vector<double> mel_weights(int64_t rate, int64_t length, int64_t bands, double low, double high) {
  const int64_t bins = length / 2 + 1;
  const double spacing = static_cast<double>(rate) / static_cast<double>(length);
  const double first = mel_of(low), step = (mel_of(high) - first) / static_cast<double>(bands + 1);
  std::vector<double> out(static_cast<size_t>(bins * bands));
  for (int64_t band = 0; band < bands; ++band) {
    const double left = first + step * static_cast<double>(band), middle = left + step, right = middle + step;
    double sum = 0;
    for (int64_t bin = 0; bin < bins; ++bin) {
      const double mel = mel_of(spacing * static_cast<double>(bin));
      const double weight = std::max(0.0, std::min(mel - left, right - mel) / step);
      sum += out[static_cast<size_t>(bin * bands + band)] = weight;
    }
    if (sum > 0) continue;
    const int64_t nearest = std::min<int64_t>(bins - 1, std::llround(hertz_of(middle) / spacing));
    out[static_cast<size_t>(nearest * bands + band)] = 1;
  }
  return out;
}

LogMel::LogMel(const LogMelOptions& options, Site at) : options_(options), at_(at) {
  const auto refuse = [&](const std::string& what) { throw UsageError(at, text("LogMel: ", what)); };
  if (options_.high == 0) options_.high = static_cast<double>(options_.rate) / 2;
  if (options_.rate < 1 || options_.rate > 1'000'000) refuse(text("a rate of ", options_.rate, " is not 1 to 1000000"));
  if (!(options_.hop > 0) || hop() < 1) refuse(text("a hop of ", options_.hop, " ms is less than a sample"));
  if (!(options_.window >= options_.hop) || window() > (1 << 15))
    refuse(text("a window of ", options_.window, " ms is shorter than the hop or longer than 32768 samples"));
  if (options_.bands < 1 || options_.bands > 1024) refuse(text(options_.bands, " bands are not 1 to 1024"));
  if (!(options_.low >= 0) || !(options_.low < options_.high) ||
      !(options_.high <= static_cast<double>(options_.rate) / 2))
    refuse(text("bands from ", options_.low, " to ", options_.high, " Hz do not lie between 0 and half the rate ",
                options_.rate));
  if (!(options_.floor > 0)) refuse(text("the floor must be above 0, got ", options_.floor));
}

int64_t LogMel::window() const {
  return std::llround(std::min(options_.window, 1e6) * static_cast<double>(options_.rate) / 1000);
}
int64_t LogMel::hop() const {
  return std::llround(std::min(options_.hop, 1e6) * static_cast<double>(options_.rate) / 1000);
}

std::string LogMel::describe() const {
  return text("LogMel ", options_.bands, ", ", options_.window, " ms every ", options_.hop, " ms");
}

std::vector<StatePtr> LogMel::states() const {
  return spectrum_ ? std::vector{spectrum_, bands_} : std::vector<StatePtr>{};
}

namespace {

// What a window multiplies into real and imaginary parts of the bins that some band takes: [window, 1, 2 * bins].
Array fourier_basis(int64_t window, int64_t length, const std::vector<int64_t>& bins) {
  const auto columns = std::ssize(bins);
  Array out(DType::f32, {window, 1, 2 * columns});
  const std::span<float> values = out.as<float>();
  const double scale = 2 / static_cast<double>(window);  // over the sum of Hann's window
  for (int64_t t = 0; t < window; ++t) {
    const double phase = 2 * std::numbers::pi * static_cast<double>(t);
    const double weight = scale * 0.5 * (1 - std::cos(phase / static_cast<double>(window)));
    for (int64_t i = 0; i < columns; ++i) {
      const double angle =
          2 * std::numbers::pi * static_cast<double>(t * bins[i] % length) / static_cast<double>(length);
      values[static_cast<size_t>(t * 2 * columns + i)] = static_cast<float>(weight * std::cos(angle));
      values[static_cast<size_t>(t * 2 * columns + columns + i)] = static_cast<float>(-weight * std::sin(angle));
    }
  }
  return out;
}

}  // namespace

void LogMel::make(Pass& pass) {
  const int64_t bands = options_.bands;
  const int64_t length = window() + window() % 2;
  const std::vector<double> weights = mel_weights(options_.rate, length, bands, options_.low, options_.high);
  std::vector<int64_t> bins;
  for (int64_t bin = 0; bin <= length / 2; ++bin) {
    const auto row = std::span(weights).subspan(static_cast<size_t>(bin * bands), static_cast<size_t>(bands));
    if (std::ranges::any_of(row, [](double weight) { return weight > 0; })) bins.push_back(bin);
  }
  const int64_t columns = std::ssize(bins);
  spectrum_ = make_state(pass, "spectrum", fourier_basis(window(), length, bins));
  // Once for the real and once for the imaginary parts, whose squares are summed.
  Array sums(DType::f32, {2 * columns, bands});
  for (int64_t i = 0; i < 2 * columns; ++i)
    for (int64_t band = 0; band < bands; ++band)
      sums.set(i * bands + band, weights[static_cast<size_t>(bins[i % columns] * bands + band)]);
  bands_ = make_state(pass, "bands", sums);
}

Tensor LogMel::bands(Pass& pass, Tensor x) {
  const std::string who = layer_label(pass, *this);
  if (x.dtype() != DType::f32 || x.rank() != 2) fail(at_, text(who, "needs f32 inputs [n, samples], got ", x.type()));
  const int64_t n = x.shape()[0], samples = x.shape()[1];
  if (samples < window())
    fail(at_, text(who, "input ", x.type(), " is shorter than a window of ", window(), " samples"));
  if (!spectrum_) make(pass);
  const ConvGeometry frames{.strides = {hop()}};
  const Tensor parts = conv(reshape(x, {n, samples, 1}, at_), pass.read(spectrum_), frames, at_);
  const int64_t count = parts.shape()[1];
  move_window(pass, window(), hop(), 0, at_);
  const Tensor squares = square(reshape(parts, {n * count, parts.shape()[2]}, at_), at_);
  Tensor powers = reshape(matmul(squares, pass.read(bands_), at_), {n, count, options_.bands}, at_);
  if (options_.norm == LogMelOptions::Norm::level) {
    constexpr double silent = 1e-12;  // a mean power that is none
    powers = div({powers, at_}, {add({mean(powers, {1, 2}, true, at_), at_}, {silent, at_}), at_});
  }
  return log(add({powers, at_}, {options_.floor, at_}), at_);
}

// Where sounds have lengths of their own, means are over the frames before their ends.
Tensor LogMel::normalized(const Pass& pass, Tensor x) const {
  if (options_.norm != LogMelOptions::Norm::clip && options_.norm != LogMelOptions::Norm::band) return x;
  const std::vector<int> axes = options_.norm == LogMelOptions::Norm::clip ? std::vector{1, 2} : std::vector{1};
  const auto average = [&](Tensor y) {
    if (!pass.lengths()) return mean(y, axes, true, at_);
    const Tensor there = cast(before_end(pass, y.shape(), at_), DType::f32, at_);  // [n, frames, 1]
    const Tensor frames = maximum({sum(there, {1, 2}, true, at_), at_}, {1.0, at_});
    const double each = axes.size() == 2 ? static_cast<double>(y.shape()[2]) : 1;
    return div({sum(mul({y, at_}, {there, at_}), axes, true, at_), at_}, {mul({frames, at_}, {each, at_}), at_});
  };
  constexpr double epsilon = 1e-5;  // of a variance, for silence
  const Tensor centred = sub({x, at_}, {average(x), at_});
  const Tensor variance = average(square(centred, at_));
  return div({centred, at_}, {sqrt(add({variance, at_}, {epsilon, at_}), at_), at_});
}

Tensor LogMel::forward(Pass& pass, Tensor x) { return normalized(pass, bands(pass, x)); }

Mfcc::Mfcc(int64_t coefficients, const LogMelOptions& options, Site at)
    : LogMel(options, at), coefficients_(coefficients), at_(at) {
  if (coefficients < 1 || coefficients > options.bands)
    throw UsageError(at, text("Mfcc: ", coefficients, " coefficients are not 1 to ", options.bands, ", the bands"));
}

std::string Mfcc::describe() const {
  return text("Mfcc ", coefficients_, " of ", options().bands, ", ", options().window, " ms every ", options().hop,
              " ms");
}

std::vector<StatePtr> Mfcc::states() const {
  std::vector<StatePtr> out = LogMel::states();
  if (cosines_) out.push_back(cosines_);
  return out;
}

Tensor Mfcc::forward(Pass& pass, Tensor x) {
  const Tensor logs = bands(pass, x);
  const int64_t count = options().bands;
  if (!cosines_) {
    Array cosines(DType::f32, {count, coefficients_});
    for (int64_t band = 0; band < count; ++band)
      for (int64_t i = 0; i < coefficients_; ++i) {
        const double angle = std::numbers::pi * static_cast<double>(i) * (static_cast<double>(band) + 0.5);
        cosines.set(band * coefficients_ + i, std::sqrt((i == 0 ? 1.0 : 2.0) / static_cast<double>(count)) *
                                                  std::cos(angle / static_cast<double>(count)));
      }
    cosines_ = make_state(pass, "cosines", cosines);
  }
  const int64_t n = logs.shape()[0], frames = logs.shape()[1];
  const Tensor rows = matmul(reshape(logs, {n * frames, count}, at_), pass.read(cosines_), at_);
  return normalized(pass, reshape(rows, {n, frames, coefficients_}, at_));
}

SpecAugment::SpecAugment(const SpecAugmentOptions& options, Site at) : options_(options), at_(at) {
  for (const int64_t number :
       {options.frequency_masks, options.frequency_width, options.time_masks, options.time_width})
    if (number < 0 || number > 1000) throw UsageError(at, text("SpecAugment: ", number, " is not 0 to 1000"));
}

std::string SpecAugment::describe() const {
  return text("SpecAugment ", options_.frequency_masks, "x", options_.frequency_width, " bands, ", options_.time_masks,
              "x", options_.time_width, " frames");
}

namespace {

// f32 [n, size]: 0 in runs of up to `width` places, 1 elsewhere.
Tensor kept_places(Pass& pass, int64_t n, int64_t size, int64_t masks, int64_t width, Site at) {
  const auto draw = [&] {
    return random_uniform(pass.random_key(), pass.random_counter(), {n, 1}, pass.next_stream(), {}, at);
  };
  const Tensor place = iota(pass.graph(), {n, size}, 1, DType::f32, at);
  Tensor kept;
  for (int64_t i = 0; i < masks; ++i) {
    const Tensor run = floor(draw() * static_cast<double>(std::min(width, size) + 1), at);
    const Tensor begin = floor(draw() * (static_cast<double>(size + 1) - run), at);
    const Tensor outside = cast(logical_or(less(place, begin), greater_equal(place, begin + run)), DType::f32, at);
    kept = kept ? kept * outside : outside;
  }
  return kept;
}

}  // namespace

Tensor SpecAugment::forward(Pass& pass, Tensor x) {
  if (x.rank() != 3) fail(at_, text(layer_label(pass, *this), "needs inputs [n, frames, bands], got ", x.type()));
  if (!pass.training()) return x;
  const int64_t n = x.shape()[0], frames = x.shape()[1], bands = x.shape()[2];
  if (options_.time_masks > 0) {
    const Tensor kept = kept_places(pass, n, frames, options_.time_masks, options_.time_width, at_);
    x = x * reshape(kept, {n, frames, 1}, at_);
  }
  if (options_.frequency_masks > 0) {
    const Tensor kept = kept_places(pass, n, bands, options_.frequency_masks, options_.frequency_width, at_);
    x = x * reshape(kept, {n, 1, bands}, at_);
  }
  return x;
}

}  // namespace descent::nn
