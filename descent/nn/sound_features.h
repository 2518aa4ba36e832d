// What nets hear: the spectra of sounds, as layers. They are computed in the step, so that what is trained takes raw
// samples wherever it runs.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

struct LogMelOptions {
  int64_t rate = 16000;          // samples a second of the input
  double window = 25, hop = 10;  // milliseconds: of a frame, and from one to the next
  int64_t bands = 40;
  double low = 20, high = 0;  // Hz, that the bands lie between; high 0: half the rate
  double floor = 1e-8;        // added to a band's power (a sine of amplitude 1 has about 0.25), so that silence has
                              // a logarithm
  // none; each clip, or each of its bands, to mean 0 and deviation 1; or each clip's powers over their mean, before the
  // floor is added, which is then a part of that mean: so it makes no difference how loud a clip is.
  enum class Norm { none, clip, band, level } norm = Norm::none;
};

// Davis and Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", 1980: the
// logarithms of the powers in bands that are as wide as the ear's (the mel scale of O'Shaughnessy, 2595 log10(1 +
// f / 700)). x f32 [n, samples] gives f32 [n, frames, bands], a frame for each hop that a whole window begins at.
//
// Spectra are a convolution with a windowed Fourier basis (Hann's window), which is a state, as the bands' weights are:
// PATH.spectrum and PATH.bands. They are not trained. In mixed precision samples and basis are rounded to bf16, whose
// errors average over the window: on speech the logarithms are off by 0.03 (root mean square), of a deviation of 3.6.
class LogMel : public Module {
 public:
  explicit LogMel(const LogMelOptions& options = {}, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  std::string formula() const override { return "log(M |S x|^2)"; }
  bool takes_lengths() const override { return true; }
  std::vector<StatePtr> states() const override;

 protected:
  // f32 [n, frames, bands].
  Tensor bands(Pass& pass, Tensor x);
  const LogMelOptions& options() const { return options_; }
  Tensor normalized(const Pass& pass, Tensor x) const;

 private:
  void make(Pass& pass);
  int64_t window() const;  // in samples
  int64_t hop() const;

  LogMelOptions options_;
  Site at_;
  StatePtr spectrum_, bands_;
};

// The same reference: the first coefficients of the bands' cosine transform (orthonormal, of the second kind), which
// are nearly independent. f32 [n, frames, coefficients]; the normalisation is of these.
class Mfcc : public LogMel {
 public:
  explicit Mfcc(int64_t coefficients = 13, const LogMelOptions& options = {}, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  std::string formula() const override { return "C log(M |S x|^2)"; }
  std::vector<StatePtr> states() const override;

 private:
  int64_t coefficients_;
  Site at_;
  StatePtr cosines_;
};

struct SpecAugmentOptions {
  int64_t frequency_masks = 2, frequency_width = 8;  // bands, at most
  int64_t time_masks = 2, time_width = 20;           // frames, at most
};

// Park et al., "SpecAugment: a simple data augmentation method for automatic speech recognition", 2019, without time
// warping: while training, runs of bands and of frames of x f32 [n, frames, bands] are 0, of a width and at a place
// drawn anew for each example. It is meant for features of mean 0.
class SpecAugment : public Module {
 public:
  explicit SpecAugment(const SpecAugmentOptions& options = {}, Site at = Site::here());
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  std::string formula() const override { return "mask(x)"; }
  bool takes_lengths() const override { return true; }

 private:
  SpecAugmentOptions options_;
  Site at_;
};

// The pieces, in double, for tests and other uses.

// A mel number of a frequency in Hz, and back.
double mel_of(double hertz);
double hertz_of(double mel);

// Triangles of height 1 over the bins of a spectrum (bin i is at i * rate / length Hz), their corners evenly spaced in
// mels from low to high: [length / 2 + 1, bands], row-major. A band between two bins has the nearest one.
std::vector<double> mel_weights(int64_t rate, int64_t length, int64_t bands, double low, double high);

}  // namespace descent::nn
