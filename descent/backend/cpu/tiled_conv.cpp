// Convolutions, and the gradients of their images: each result is a sum over the pixels under its
// window of 32 images' channels times the window's weights.
#include "descent/backend/cpu/tiled_conv.h"

#include <algorithm>

#include "descent/base/team.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"

namespace descent::cpu {

namespace {

namespace tiles = conv_tiles;

constexpr int64_t in_hand_bytes = 512 << 10;  // of images, if rows are that small: they stay in the second cache
constexpr int64_t most_bytes = 3 << 19;       // beyond it, they do not

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

class TiledConv : public Call {
 public:
  TiledConv(const ConvProblem& problem, const tiles::Kernels& kernels)
      : p_(problem),
        kernels_(kernels),
        forward_(problem.kind == ConvKind::forward),
        images_(images_of(problem, kernels)) {
    const ConvShape& s = p_.shape;
    unfolded_ = forward_ && is_better_unfolded(kernels, s);
    taps_ = unfolded_ ? 1 : product_of(s.windows.size);
    results_ = forward_ ? s.outputs : s.inputs;
    panels_ = ceil_div(results_, tiles::results);
    const std::vector<int64_t>& spatial = forward_ ? s.windows.out : s.windows.image;
    pixels_ = product_of(spatial);
    width_ = pixels_ / spatial[0];
    meetings_ = unfolded_ ? each_alone(pixels_) : meetings_of(s.windows, !forward_);
    choose_bands(spatial[0]);
    for (tiles::Source& source : meetings_.sources) source.pixel = in_ring(source.pixel, images_.width(), bands_);
    // There and back: what one result read last is still in the first cache for the next one.
    for (int64_t i = 1; i < pixels_; i += 2)
      std::reverse(meetings_.sources.begin() + meetings_.first[static_cast<size_t>(i)],
                   meetings_.sources.begin() + meetings_.first[static_cast<size_t>(i) + 1]);
  }

  bool fits() const { return bands_.ring * images_.row_bytes() <= most_bytes; }

  // Takes the memory.
  void prepare() {
    const int64_t threads = thread_count(), groups = ceil_div(p_.shape.examples, tiles::images);
    group_bytes_ = bands_.ring * images_.row_bytes();
    together_ =
        bands_.count() > 1 ? 1 : std::clamp<int64_t>(in_hand_bytes / group_bytes_, 1, ceil_div(groups, threads));
    const int64_t units = ceil_div(groups, together_) * bands_.count();
    splits_ = std::clamp<int64_t>(ceil_div(threads, units), 1, panels_);
    tasks_ = units * splits_;
    threads_ = static_cast<int>(std::min(threads, tasks_));
    tap_blocks_ = taps_ * images_.blocks();
    memory_ = allocate_bytes(
        static_cast<size_t>(panels_ * tap_blocks_ * tiles::block_bytes + threads_ * together_ * group_bytes_));
  }

  void run(std::byte* const* addresses) override {
    const Bytes at{address_of(forward_ ? p_.x : p_.y, addresses), address_of(p_.weights, addresses),
                   address_of(p_.out(), addresses)};
    run_together(threads_, [&](Share share) {
      pack_weights(at.weights, share);
      if (share.parts > 1) team::barrier(share);
      kernels_.start();
      InHand hand{memory_.get() + panels_ * tap_blocks_ * tiles::block_bytes + share.part * together_ * group_bytes_};
      for (int64_t i = tasks_ * share.part / share.parts; i < tasks_ * (share.part + 1) / share.parts; ++i)
        run_task(i, at, hand);
      kernels_.finish();
    });
  }
  std::string kernel() const override { return text(kernels_.name, unfolded_ ? ", unfolded" : ""); }

 private:
  struct Bytes {
    const std::byte *images, *weights;
    std::byte* out;
  };
  // The rows that a thread has laid: of which images, up to which row.
  struct InHand {
    std::byte* rows;
    int64_t chunk = -1, end = 0;
  };

  static TiledImages images_of(const ConvProblem& problem, const tiles::Kernels& kernels) {
    const ConvShape& s = problem.shape;
    if (problem.kind != ConvKind::forward) return {kernels, s.windows.out, s.outputs};
    if (is_better_unfolded(kernels, s)) return TiledImages::of_windows(kernels, s.windows, s.inputs);
    return {kernels, s.windows.image, s.inputs};
  }

  // As many rows at once as stay in the cache: weights are read once for all of them.
  void choose_bands(int64_t rows) {
    bands_ = bands_of(meetings_, rows, width_, images_.width(), 1);
    for (int64_t height = 2; height < 2 * rows; height *= 2) {
      Bands larger = bands_of(meetings_, rows, width_, images_.width(), std::min(height, rows));
      if (larger.ring * images_.row_bytes() > in_hand_bytes) return;
      bands_ = std::move(larger);
    }
  }

  int64_t columns_of(int64_t panel) const { return results_ - panel * tiles::results > 16 ? 2 : 1; }
  std::byte* panel_at(int64_t panel) const { return memory_.get() + panel * tap_blocks_ * tiles::block_bytes; }

  // [panel][tap][block] of one or two tiles.
  void pack_weights(const std::byte* weights, Share share) const {
    const int64_t count = panels_ * tap_blocks_, depth = images_.channels(), outputs = p_.shape.outputs;
    for (int64_t i = count * share.part / share.parts; i < count * (share.part + 1) / share.parts; ++i) {
      const int64_t panel = i / tap_blocks_, tap = i % tap_blocks_ / images_.blocks(), block = i % images_.blocks();
      const int64_t columns = columns_of(panel), row = block * kernels_.channels;
      std::byte* to = panel_at(panel) + i % tap_blocks_ * columns * tiles::block_bytes / 2;
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t column = panel * tiles::results + 16 * j;
        const std::byte* from = weights + tap * results_ * depth * bytes_;
        if (forward_)
          kernels_.pack_weights(from + (row * outputs + column) * bytes_, outputs, 1, depth - row, results_ - column,
                                to);
        else
          kernels_.pack_weights(from + (column * outputs + row) * bytes_, 1, outputs, depth - row, results_ - column,
                                to);
        to += tiles::block_bytes / 2;
      }
    }
  }

  void run_task(int64_t task, const Bytes& at, InHand& hand) const {
    const int64_t unit = task / splits_, split = task % splits_, chunk = unit / bands_.count(),
                  band = unit % bands_.count();
    const int64_t first = chunk * together_ * tiles::images,
                  last = std::min(first + together_ * tiles::images, p_.shape.examples);
    lay(first, last, chunk, band, at, hand);
    for (int64_t panel = panels_ * split / splits_; panel < panels_ * (split + 1) / splits_; ++panel)
      for (int64_t n = first; n < last; n += tiles::images)
        multiply(n, std::min(n + tiles::images, last), band, panel, at, hand);
  }

  void lay(int64_t first, int64_t last, int64_t chunk, int64_t band, const Bytes& at, InHand& hand) const {
    if (hand.chunk != chunk) hand.end = 0;
    hand.chunk = chunk;
    const auto [from, to] = bands_.needs[static_cast<size_t>(band)];
    const int64_t image = (forward_ ? p_.shape.elements * p_.shape.inputs : p_.shape.places * p_.shape.outputs);
    for (int64_t n = first; n < last; n += tiles::images) {
      std::byte* ring = hand.rows + (n - first) / tiles::images * group_bytes_;
      for (int64_t row = std::max(from, hand.end); row < to; ++row)
        images_.lay(at.images + n * image * bytes_, std::min(tiles::images, last - n), row,
                    ring + row % bands_.ring * images_.row_bytes());
    }
    hand.end = std::max(hand.end, to);
  }

  void multiply(int64_t first, int64_t last, int64_t band, int64_t panel, const Bytes& at, const InHand& hand) const {
    const int64_t begin = band * bands_.height * width_, slot = first / tiles::images % together_;
    const int64_t channel = panel * tiles::results, bytes = static_cast<int64_t>(size_of(p_.out().dtype));
    kernels_.multiply({hand.rows + slot * group_bytes_, panel_at(panel), images_.blocks(), meetings_.first.data(),
                       meetings_.sources.data(), begin, std::min(begin + bands_.height * width_, pixels_),
                       at.out + (first * pixels_ * results_ + channel) * bytes, bytes == 2, results_,
                       pixels_ * results_, last - first, std::min(tiles::results, results_ - channel)});
  }

  ConvProblem p_;
  const tiles::Kernels& kernels_;
  bool forward_, unfolded_ = false;
  TiledImages images_;
  Meetings meetings_;  // pixels by their places in the ring
  Bands bands_;
  int64_t bytes_ = 64 / kernels_.channels;                                // of an element
  int64_t taps_ = 1, results_ = 0, panels_ = 0, pixels_ = 0, width_ = 0;  // results_: channels of the result
  int64_t together_ = 1, group_bytes_ = 0;                                // groups of images in hand
  int64_t splits_ = 1, tasks_ = 0, tap_blocks_ = 0;
  int threads_ = 1;
  std::shared_ptr<std::byte[]> memory_;
};

}  // namespace

std::unique_ptr<Call> make_tiled_conv(const ConvProblem& problem) {
  const tiles::Kernels* kernels = tiled_kernels(problem);
  if (problem.kind == ConvKind::weight_gradient || kernels == nullptr) return nullptr;
  auto call = std::make_unique<TiledConv>(problem, *kernels);
  if (!call->fits()) return nullptr;
  call->prepare();
  return call;
}

}  // namespace descent::cpu
