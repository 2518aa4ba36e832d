// Gradients of convolutions' weights: for each tap of the window, the sum over all pixels and images of
// the image's channels times those of the result's gradient.
#include <algorithm>
#include <cstring>

#include "descent/backend/cpu/tiled_conv.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"

namespace descent::cpu {

namespace {

namespace tiles = conv_tiles;

constexpr int64_t pixels_in_hand = 64;      // at least, if there are: sums are loaded and stored once for them
constexpr int64_t small_bytes = 256 << 10;  // sums so small are made several times, for parts of the images
constexpr int64_t most_parts = 4;
constexpr int64_t most_bytes = 4 << 20;  // of rows in hand

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The images are cut into parts by the shape alone, so that no sum depends on the number of threads; the sums of a part
// are shared out too where that leaves threads idle.
class TiledWeightGradient : public Call {
 public:
  TiledWeightGradient(const ConvProblem& problem, const tiles::Kernels& kernels)
      : p_(problem),
        kernels_(kernels),
        unfolded_(is_better_unfolded(kernels, problem.shape)),
        x_(unfolded_ ? TiledImages::of_windows(kernels, problem.shape.windows, problem.shape.inputs)
                     : TiledImages(kernels, problem.shape.windows.image, problem.shape.inputs)),
        g_(kernels, problem.shape.windows.out, problem.shape.outputs) {
    const ConvShape& s = p_.shape;
    taps_ = unfolded_ ? 1 : product_of(s.windows.size);
    const Meetings meetings = unfolded_ ? each_alone(s.places) : meetings_of(s.windows, false);
    const int64_t height = std::clamp<int64_t>(ceil_div(pixels_in_hand, g_.width()), 1, g_.rows());
    bands_ = bands_of(meetings, g_.rows(), g_.width(), x_.width(), height);
    list_pairs(meetings);
    groups_ = ceil_div(s.examples, tiles::images);
    together_ = bands_.count() > 1 ? 1 : std::clamp<int64_t>(ceil_div(pixels_in_hand, s.places), 1, groups_);
    x_bytes_ = bands_.ring * x_.row_bytes();
    g_bytes_ = bands_.height * g_.row_bytes();
    while (together_ > 1 && !fits()) --together_;
  }

  bool fits() const { return together_ * (x_bytes_ + g_bytes_) <= most_bytes; }

  // Takes the memory.
  void prepare() {
    panels_ = ceil_div(g_.channels(), tiles::results);
    columns_ = panels_ * tiles::results;
    rows_ = x_.blocks() * kernels_.channels;
    units_ = ceil_div(groups_, together_) * bands_.count();
    const int64_t bytes = taps_ * rows_ * columns_ * 4;
    parts_ = bytes <= small_bytes ? std::min(units_, most_parts) : 1;
    direct_ = parts_ == 1 && p_.weights.dtype == DType::f32 && rows_ == x_.channels() && columns_ == g_.channels();
    splits_ = std::clamp<int64_t>(ceil_div(thread_count(), parts_), 1, x_.blocks() * panels_);
    threads_ = static_cast<int>(std::min<int64_t>(thread_count(), parts_ * splits_));
    stage_bytes_ = std::max(x_.row_bytes(), g_.row_bytes());
    thread_bytes_ = stage_bytes_ + together_ * (x_bytes_ + g_bytes_);
    const int64_t sums = direct_ ? 0 : parts_ * bytes;
    memory_ = allocate_bytes(static_cast<size_t>(sums + threads_ * thread_bytes_));
    threads_memory_ = memory_.get() + sums;
  }

  void run(std::byte* const* addresses) override {
    const Bytes at{address_of(p_.x, addresses), address_of(p_.y, addresses), address_of(p_.weights, addresses)};
    run_together(threads_, [&](Share share) {
      kernels_.start();
      const int64_t tasks = parts_ * splits_;
      for (int64_t i = tasks * share.part / share.parts; i < tasks * (share.part + 1) / share.parts; ++i)
        run_task(i, at, share.part);
      kernels_.finish();
      if (direct_) return;
      if (share.parts > 1) team::barrier(share);
      give(at.weights, share);
    });
  }
  std::string kernel() const override { return text(kernels_.name, unfolded_ ? ", unfolded" : ""); }

 private:
  struct Bytes {
    const std::byte *x, *g;
    std::byte* weights;
  };
  struct Hand {
    std::byte *stage, *x, *g;
  };
  // Blocks of the sums: rows of x's blocks, in columns of g's panels of tiles::results.
  struct Range {
    int64_t begin, end;
  };

  // By band and tap, the pixels that meet: x's by their places in the ring, g's by those in the band.
  void list_pairs(const Meetings& meetings) {
    first_.push_back(0);
    for (int64_t band = 0; band < bands_.count(); ++band) {
      std::vector<std::vector<tiles::Pair>> lists(static_cast<size_t>(taps_));
      const int64_t begin = band * bands_.height * g_.width(),
                    end = std::min(begin + bands_.height * g_.width(), p_.shape.places);
      for (int64_t place = begin; place < end; ++place)
        for (int32_t i = meetings.first[static_cast<size_t>(place)]; i < meetings.first[static_cast<size_t>(place) + 1];
             ++i) {
          const tiles::Source source = meetings.sources[static_cast<size_t>(i)];
          lists[static_cast<size_t>(source.tap)].push_back(
              {in_ring(source.pixel, x_.width(), bands_), static_cast<int32_t>(place - begin)});
        }
      // There and back: what one tap read last is still in the first cache for the next one.
      for (size_t tap = 1; tap < lists.size(); tap += 2) std::ranges::reverse(lists[tap]);
      for (const std::vector<tiles::Pair>& list : lists) {
        pairs_.insert(pairs_.end(), list.begin(), list.end());
        first_.push_back(static_cast<int64_t>(pairs_.size()));
      }
    }
  }

  void run_task(int64_t task, const Bytes& at, int thread) const {
    const int64_t part = task / splits_, split = task % splits_, blocks = x_.blocks() * panels_;
    const Range range{blocks * split / splits_, blocks * (split + 1) / splits_};
    std::byte* memory = threads_memory_ + thread * thread_bytes_;
    const Hand hand{memory, memory + stage_bytes_, memory + stage_bytes_ + together_ * x_bytes_};
    float* sums = direct_ ? reinterpret_cast<float*>(at.weights) : part_sums(part);
    int64_t chunk = -1, laid = 0;
    const int64_t begin = units_ * part / parts_;
    for (int64_t unit = begin; unit < units_ * (part + 1) / parts_; ++unit) {
      const int64_t band = unit % bands_.count();
      if (chunk != unit / bands_.count()) laid = 0;
      chunk = unit / bands_.count();
      const int64_t group = chunk * together_, groups = std::min(together_, groups_ - group);
      const auto [from, to] = bands_.needs[static_cast<size_t>(band)];
      for (int64_t i = 0; i < groups; ++i) {
        lay_x(at, group + i, std::max(from, laid), to, hand.stage, hand.x + i * x_bytes_);
        lay_g(at, group + i, band, range, hand.stage, hand.g + i * g_bytes_);
      }
      laid = std::max(laid, to);
      accumulate(band, groups, range, unit > begin, hand, sums);
    }
  }

  float* part_sums(int64_t part) const {
    return reinterpret_cast<float*>(memory_.get()) + part * taps_ * rows_ * columns_;
  }
  int64_t images_of(int64_t group) const { return std::min(tiles::images, p_.shape.examples - group * tiles::images); }

  void lay_x(const Bytes& at, int64_t group, int64_t from, int64_t to, std::byte* stage, std::byte* ring) const {
    const std::byte* x = at.x + group * tiles::images * p_.shape.elements * p_.shape.inputs * bytes_;
    for (int64_t row = from; row < to; ++row) {
      std::byte* place = ring + row % bands_.ring * x_.row_bytes();
      x_.lay(x, images_of(group), row, kernels_.transpose ? stage : place);
      if (kernels_.transpose) kernels_.transpose(stage, x_.width() * x_.blocks(), place);
    }
  }

  // The panels of a range, and how many blocks of g's channels they are.
  struct Panels {
    int64_t first, channel, channels, blocks;
  };
  Panels panels_of(const Range& range) const {
    const int64_t first = range.begin / x_.blocks(), last = (range.end - 1) / x_.blocks() + 1;
    const int64_t channel = first * tiles::results, channels = std::min(last * tiles::results, g_.channels()) - channel;
    return {first, channel, channels, ceil_div(channels, kernels_.channels)};
  }

  // Only the columns that are wanted.
  void lay_g(const Bytes& at, int64_t group, int64_t band, const Range& range, std::byte* stage, std::byte* to) const {
    const std::byte* g = at.g + group * tiles::images * p_.shape.places * g_.channels() * bytes_;
    const Panels panels = panels_of(range);
    const int64_t begin = band * bands_.height, end = std::min(begin + bands_.height, g_.rows());
    for (int64_t row = begin; row < end; ++row, to += g_.width() * panels.blocks * tiles::block_bytes) {
      g_.lay(g, images_of(group), row, panels.channel, panels.channels, kernels_.interleave ? stage : to);
      if (kernels_.interleave) kernels_.interleave(stage, g_.width() * panels.blocks, to);
    }
  }

  void accumulate(int64_t band, int64_t groups, const Range& range, bool add, const Hand& hand, float* sums) const {
    const Panels panels = panels_of(range);
    for (int64_t block = range.begin; block < range.end; ++block) {
      const int64_t panel = block / x_.blocks(), row = block % x_.blocks(), column = panel * tiles::results;
      tiles::Accumulate job{hand.x + row * tiles::block_bytes,
                            hand.g + (panel - panels.first) * (tiles::results / kernels_.channels) * tiles::block_bytes,
                            x_.blocks() * tiles::block_bytes,
                            panels.blocks * tiles::block_bytes,
                            x_bytes_,
                            g_bytes_,
                            nullptr,
                            0,
                            groups,
                            nullptr,
                            columns_,
                            add,
                            std::min(kernels_.channels, x_.channels() - row * kernels_.channels),
                            g_.channels() - column <= 16};
      for (int64_t tap = 0; tap < taps_; ++tap) {
        const auto list = static_cast<size_t>(band * taps_ + tap);
        job.pairs = pairs_.data() + first_[list];
        job.count = first_[list + 1] - first_[list];
        job.sums = sums + ((tap * rows_ + row * kernels_.channels) * columns_ + column);
        if (job.count > 0 || !add) kernels_.accumulate(job);
      }
    }
  }

  // The parts' sums, in order.
  void give(std::byte* weights, Share share) const {
    const int64_t count = taps_ * x_.channels(), n = g_.channels();
    for (int64_t i = count * share.part / share.parts; i < count * (share.part + 1) / share.parts; ++i) {
      float* row = part_sums(0) + (i / x_.channels() * rows_ + i % x_.channels()) * columns_;
      for (int64_t part = 1; part < parts_; ++part) {
        const float* more = row + part * taps_ * rows_ * columns_;
        for (int64_t k = 0; k < n; ++k) row[k] += more[k];
      }
      if (p_.weights.dtype == DType::f32)
        std::memcpy(weights + i * n * 4, row, static_cast<size_t>(n) * 4);
      else
        for (int64_t k = 0; k < n; ++k) reinterpret_cast<uint16_t*>(weights)[i * n + k] = bf16_from_float(row[k]);
    }
  }

  ConvProblem p_;
  const tiles::Kernels& kernels_;
  bool unfolded_;
  TiledImages x_, g_;
  Bands bands_;
  std::vector<int64_t> first_;  // by band and tap: its first pair; one more at the end
  std::vector<tiles::Pair> pairs_;
  int64_t taps_ = 1, groups_ = 0, together_ = 1, units_ = 0, parts_ = 1, splits_ = 1, panels_ = 1;
  int64_t rows_ = 0, columns_ = 0;          // of the sums of a tap, whole blocks
  int64_t bytes_ = 64 / kernels_.channels;  // of an element
  bool direct_ = false;                     // the sums are made in the place of the result
  int64_t x_bytes_ = 0, g_bytes_ = 0, stage_bytes_ = 0, thread_bytes_ = 0;
  int threads_ = 1;
  std::shared_ptr<std::byte[]> memory_;
  std::byte* threads_memory_ = nullptr;
};

}  // namespace

std::unique_ptr<Call> make_tiled_weight_gradient(const ConvProblem& problem) {
  const tiles::Kernels* kernels = tiled_kernels(problem);
  if (problem.kind != ConvKind::weight_gradient || kernels == nullptr) return nullptr;
  auto call = std::make_unique<TiledWeightGradient>(problem, *kernels);
  if (!call->fits()) return nullptr;
  call->prepare();
  return call;
}

}  // namespace descent::cpu
