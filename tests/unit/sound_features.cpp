// Spectra of sounds as layers: against their definition, in double.
#include "descent/nn/sound_features.h"

#include <cmath>
#include <complex>
#include <numbers>
#include <set>

#include "descent/nn/make_layer.h"
#include "descent/nn/sequential.h"
#include "descent/runtime/backend.h"
#include "tests/unit/step_reference.h"

namespace descent::nn {
namespace {

constexpr double pi = std::numbers::pi;

// Two sounds of several tones, [2, samples].
Array sounds(int64_t samples, double rate) {
  Array out(DType::f32, {2, samples});
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t i = 0; i < samples; ++i) {
      const double t = 2 * pi * static_cast<double>(i) / rate;
      out.set(n * samples + i, 0.4 * std::sin((300 + 500.0 * static_cast<double>(n)) * t) +
                                   0.01 * std::sin(1700 * t + 1) + 0.001 * std::cos(3100 * t));
    }
  return out;
}

// The definition: frame by frame, bin by bin, band by band.
std::vector<double> log_mel_by_definition(std::span<const float> sound, const LogMelOptions& o) {
  const auto window = static_cast<int64_t>(std::llround(o.window * static_cast<double>(o.rate) / 1000));
  const auto hop = static_cast<int64_t>(std::llround(o.hop * static_cast<double>(o.rate) / 1000));
  const int64_t length = window + window % 2;
  const double high = o.high == 0 ? static_cast<double>(o.rate) / 2 : o.high;
  const std::vector<double> weights = mel_weights(o.rate, length, o.bands, o.low, high);
  std::vector<double> out;
  for (int64_t begin = 0; begin + window <= std::ssize(sound); begin += hop) {
    std::vector<double> bands(static_cast<size_t>(o.bands));
    for (int64_t bin = 0; bin <= length / 2; ++bin) {
      std::complex<double> sum = 0;
      for (int64_t t = 0; t < window; ++t) {
        const double hann = 0.5 - 0.5 * std::cos(2 * pi * static_cast<double>(t) / static_cast<double>(window));
        sum += hann * double{sound[static_cast<size_t>(begin + t)]} *
               std::polar(1.0, -2 * pi * static_cast<double>(bin * t) / static_cast<double>(length));
      }
      const double power = std::norm(sum * (2.0 / static_cast<double>(window)));
      for (int64_t band = 0; band < o.bands; ++band)
        bands[static_cast<size_t>(band)] += power * weights[static_cast<size_t>(bin * o.bands + band)];
    }
    for (const double band : bands) out.push_back(std::log(band + o.floor));
  }
  return out;
}

Array run(Module& layer, const Array& x, Precision precision) {
  Function step = compile([&](Pass& pass, Tensor in) { return layer(in, pass); }, {.precision = precision});
  return step({x})[0].clone();
}

TEST(Mel, Scale) {
  EXPECT_NEAR(mel_of(1000), 1000, 0.1);
  EXPECT_NEAR(mel_of(0), 0, 1e-9);
  for (const double hertz : {0.0, 20.0, 440.0, 7999.0}) EXPECT_NEAR(hertz_of(mel_of(hertz)), hertz, 1e-6);
}

TEST(Mel, BandsOverlapByHalves) {
  const std::vector<double> weights = mel_weights(16000, 512, 20, 0, 8000);
  // Between the middles of the first and the last band, each bin's weights add up to 1.
  const double step = mel_of(8000) / 21;
  for (int64_t bin = 0; bin <= 256; ++bin) {
    const double mel = mel_of(16000.0 / 512 * static_cast<double>(bin));
    double sum = 0;
    for (int64_t band = 0; band < 20; ++band) sum += weights[static_cast<size_t>(bin * 20 + band)];
    if (mel >= step && mel <= 20 * step) {
      EXPECT_NEAR(sum, 1, 1e-9) << bin;
    } else {
      EXPECT_LE(sum, 1 + 1e-9) << bin;
    }
  }
  // Bands that are narrower than the bins are apart still hear something.
  const std::vector<double> narrow = mel_weights(8000, 64, 40, 20, 4000);
  for (int64_t band = 0; band < 40; ++band) {
    double sum = 0;
    for (int64_t bin = 0; bin <= 32; ++bin) sum += narrow[static_cast<size_t>(bin * 40 + band)];
    EXPECT_GT(sum, 0) << band;
  }
}

TEST(LogMel, AgreesWithItsDefinition) {
  for (const LogMelOptions& options :
       {LogMelOptions{.rate = 8000}, LogMelOptions{.rate = 16000, .bands = 64, .low = 100, .high = 7000},
        LogMelOptions{.rate = 11025, .window = 32, .hop = 16, .bands = 20, .floor = 1e-5},
        LogMelOptions{.rate = 8000, .window = 20, .hop = 20, .bands = 13}}) {
    const Array x = sounds(options.rate / 4 + 7, static_cast<double>(options.rate));
    LogMel layer(options);
    const Array y = reference_forward(layer, x);
    const Array compiled = run(layer, x, Precision::f32);
    std::vector<double> expected;
    for (int64_t n = 0; n < 2; ++n) {
      const std::vector<double> one = log_mel_by_definition(
          x.as<float>().subspan(static_cast<size_t>(n * x.shape()[1]), static_cast<size_t>(x.shape()[1])), options);
      expected.insert(expected.end(), one.begin(), one.end());
    }
    EXPECT_EQ(y.shape()[1] * y.shape()[2] * 2, std::ssize(expected));
    EXPECT_EQ(y.shape()[2], options.bands);
    expect_near(y, expected, 1e-3);
    expect_near(compiled, expected, 2e-3);
  }
}

TEST(LogMel, AToneIsInItsBand) {
  LogMel layer({.rate = 8000, .bands = 20, .low = 0});
  const double step = mel_of(4000) / 21;
  for (const int64_t band : {3, 8, 15}) {
    const double hertz = hertz_of(step * static_cast<double>(band + 1));
    Array x(DType::f32, {1, 400});
    for (int64_t i = 0; i < 400; ++i) x.set(i, std::sin(2 * pi * hertz * static_cast<double>(i) / 8000));
    const Array y = reference_forward(layer, x);
    int64_t loudest = 0;
    for (int64_t i = 1; i < 20; ++i)
      if (y.at(i) > y.at(loudest)) loudest = i;
    EXPECT_EQ(loudest, band);
    EXPECT_NEAR(std::exp(y.at(band)), 0.3, 0.15) << "a sine of amplitude 1";
  }
}

// What rounding to bf16 adds averages over a window: bands that are up to 52 dB below the loudest, as the quiet tone's,
// are as in f32.
TEST(LogMel, MixedPrecisionKeepsWhatIsQuiet) {
  if (!default_backend().fast_bf16()) GTEST_SKIP() << "no bf16 products";
  const Array x = sounds(4000, 8000);
  LogMel layer({.rate = 8000});
  const Array exact = run(layer, x, Precision::f32), mixed = run(layer, x, Precision::bf16);
  const double loudest = std::ranges::max(exact.to_doubles()), heard = loudest - 52 * std::log(10) / 10;
  int64_t quiet = 0;
  for (int64_t i = 0; i < exact.elements(); ++i) {
    if (exact.at(i) < heard) continue;
    quiet += exact.at(i) < loudest - 40 * std::log(10) / 10;
    ASSERT_NEAR(mixed.at(i), exact.at(i), 0.2) << i;
  }
  EXPECT_GT(quiet, 20);
}

TEST(LogMel, SilenceIsFinite) {
  for (const char* norm : {"none", "clip", "band", "level"}) {
    const ModulePtr layer = make_layer("log_mel", Settings{{"rate", int64_t{8000}}, {"norm", std::string(norm)}});
    const Array y = reference_forward(*layer, Array::full({DType::f32, {1, 800}}, 0));
    for (const double value : y.to_doubles())
      ASSERT_NEAR(value, norm[0] == 'n' || norm[0] == 'l' ? std::log(1e-8) : 0, 1e-4) << norm;
  }
}

TEST(LogMel, Normalises) {
  const Array x = sounds(2000, 8000);
  LogMel clips({.rate = 8000, .bands = 12, .norm = LogMelOptions::Norm::clip});
  LogMel bands({.rate = 8000, .bands = 12, .norm = LogMelOptions::Norm::band});
  const Array by_clip = reference_forward(clips, x), by_band = reference_forward(bands, x);
  const int64_t frames = by_clip.shape()[1];
  for (int64_t n = 0; n < 2; ++n) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < frames * 12; ++i) {
      const double value = by_clip.at(n * frames * 12 + i);
      sum += value;
      squares += value * value;
    }
    EXPECT_NEAR(sum, 0, 1e-2);
    EXPECT_NEAR(squares / static_cast<double>(frames * 12), 1, 1e-2);
    for (int64_t band = 0; band < 12; ++band) {
      double mean = 0;
      for (int64_t t = 0; t < frames; ++t) mean += by_band.at((n * frames + t) * 12 + band);
      EXPECT_NEAR(mean, 0, 1e-2);
    }
  }
}

TEST(LogMel, LoudnessCanMakeNoDifference) {
  const Array loud = sounds(2000, 8000);
  Array quiet = loud.clone();
  for (float& value : quiet.as<float>()) value *= 0.01f;
  LogMel layer({.rate = 8000, .floor = 1e-4, .norm = LogMelOptions::Norm::level});
  const Array a = reference_forward(layer, loud), b = reference_forward(layer, quiet);
  expect_near(b, a.to_doubles(), 1e-3);
  double sum = 0;
  for (int64_t i = 0; i < a.elements() / 2; ++i) sum += std::exp(a.at(i)) - 1e-4;
  EXPECT_NEAR(sum / static_cast<double>(a.elements() / 2), 1, 1e-3);
}

TEST(Mfcc, AreCosinesOfTheBands) {
  const Array x = sounds(1200, 8000);
  const LogMelOptions options{.rate = 8000, .bands = 24};
  LogMel bands(options);
  Mfcc layer(13, options);
  const Array logs = reference_forward(bands, x), y = reference_forward(layer, x);
  EXPECT_EQ(y.shape(), (Shape{2, logs.shape()[1], 13}));
  for (int64_t row = 0; row < 2 * logs.shape()[1]; ++row)
    for (int64_t i = 0; i < 13; ++i) {
      double sum = 0;
      for (int64_t band = 0; band < 24; ++band)
        sum +=
            logs.at(row * 24 + band) * std::cos(pi * static_cast<double>(i) * (static_cast<double>(band) + 0.5) / 24);
      ASSERT_NEAR(y.at(row * 13 + i), sum * std::sqrt((i == 0 ? 1 : 2) / 24.0), 2e-3);
    }
}

TEST(LogMel, SpectraAreKeptWithTheNet) {
  Sequential net{LogMel({.rate = 8000})};
  EXPECT_TRUE(all_states(net).empty());
  make_parameters(net, {DType::f32, {1, 400}}, 0);
  EXPECT_TRUE(all_parameters(net).empty()) << "nothing of it is trained";
  ASSERT_EQ(all_states(net).size(), 2u);
  EXPECT_EQ(all_states(net)[0]->name(), "0.spectrum");
}

TEST(LogMel, WhatCannotBeIsNamed) {
  EXPECT_TRUE(contains(error_of([] { LogMel({.rate = 0}); }), "a rate of 0 is not 1 to 1000000"));
  EXPECT_TRUE(contains(error_of([] { LogMel({.window = 5}); }), "a window of 5 ms is shorter than the hop"));
  EXPECT_TRUE(contains(error_of([] { LogMel({.window = 1e9, .hop = 1e9}); }), "longer than 32768 samples"));
  EXPECT_TRUE(contains(error_of([] { LogMel({.rate = 8000, .high = 5000}); }), "from 20 to 5000 Hz do not lie"));
  EXPECT_TRUE(contains(error_of([] { LogMel({.bands = 0}); }), "0 bands are not 1 to 1024"));
  EXPECT_TRUE(contains(error_of([] { LogMel({.floor = 0}); }), "the floor must be above 0"));
  EXPECT_TRUE(contains(error_of([] { Mfcc(41); }), "41 coefficients are not 1 to 40"));
  LogMel layer({.rate = 8000});
  EXPECT_TRUE(contains(error_of([&] { reference_forward(layer, sounds(199, 8000)); }),
                       "input f32[2,199] is shorter than a window of 200 samples"));
  EXPECT_TRUE(contains(error_of([&] {
                         reference_forward(layer, Array::full({DType::f32, {2, 3, 4}}, 0));
                       }),
                       "needs f32 inputs [n, samples], got f32[2,3,4]"));
  EXPECT_TRUE(contains(error_of([] {
                         make_layer("log_mel", Settings{{"rate", int64_t{8000}}, {"norm", std::string("bands")}});
                       }),
                       "did you mean 'band'?"));
}

// --- masks ---

TEST(SpecAugment, MasksRunsOfBandsAndFrames) {
  SpecAugment layer({.frequency_masks = 1, .frequency_width = 5, .time_masks = 2, .time_width = 10});
  RandomStates random(3);
  Function step =
      compile([&](Pass& pass, Tensor in) { return layer(in, pass); }, {.training = true, .random = &random});
  const int64_t n = 64, frames = 50, bands = 20;
  const Array ones = Array::full({DType::f32, {n, frames, bands}}, 1);
  const Array y = step({ones})[0].clone(), later = step({ones})[0].clone();
  std::set<int64_t> widths;
  bool differs = false;
  for (int64_t i = 0; i < y.elements(); ++i) differs = differs || y.at(i) != later.at(i);
  EXPECT_TRUE(differs) << "each step draws anew";
  for (int64_t example = 0; example < n; ++example) {
    const auto at = [&](int64_t t, int64_t b) { return y.at((example * frames + t) * bands + b); };
    std::vector<bool> band_kept(bands), frame_kept(frames);
    for (int64_t t = 0; t < frames; ++t)
      for (int64_t b = 0; b < bands; ++b)
        if (at(t, b) != 0) band_kept[b] = frame_kept[t] = true;
    const auto hidden = std::ranges::count(band_kept, false);
    EXPECT_LE(hidden, 5);
    widths.insert(hidden);
    EXPECT_LE(std::ranges::count(frame_kept, false), 20);
    int64_t runs = 0;
    for (int64_t b = 0; b < bands; ++b) runs += !band_kept[b] && (b == 0 || band_kept[b - 1]);
    EXPECT_LE(runs, 1);
    for (int64_t t = 0; t < frames; ++t)
      for (int64_t b = 0; b < bands; ++b) ASSERT_EQ(at(t, b), band_kept[b] && frame_kept[t] ? 1 : 0);
  }
  EXPECT_EQ(widths.size(), 6u) << "0 to 5";
}

TEST(SpecAugment, LeavesAloneWhatIsJudged) {
  SpecAugment layer;
  const Array x = Array::full({DType::f32, {2, 30, 10}}, 2);
  EXPECT_EQ(reference_forward(layer, x, {.training = false}).to_doubles(), x.to_doubles());
  EXPECT_TRUE(contains(error_of([] { SpecAugment({.time_masks = -1}); }), "-1 is not 0 to 1000"));
  EXPECT_TRUE(contains(error_of([&] {
                         reference_forward(layer, Array::full({DType::f32, {2, 3}}, 0));
                       }),
                       "needs inputs [n, frames, bands], got f32[2,3]"));
}

}  // namespace
}  // namespace descent::nn
