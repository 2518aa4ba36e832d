#include <algorithm>

#include "descent/backend/cpu/tiled_conv.h"

namespace descent::cpu {

using conv_tiles::Part;
using conv_tiles::Source;

Meetings meetings_of(const Windows& windows, bool by_element) {
  std::vector<std::vector<Source>> lists(static_cast<size_t>(product_of(by_element ? windows.image : windows.out)));
  for_each_tap(windows, [&](int64_t place, int64_t element, int64_t tap) {
    lists[static_cast<size_t>(by_element ? element : place)].push_back(
        {static_cast<int32_t>(by_element ? place : element), static_cast<int32_t>(tap)});
  });
  Meetings out{{0}, {}};
  for (const std::vector<Source>& list : lists) {
    out.sources.insert(out.sources.end(), list.begin(), list.end());
    out.first.push_back(static_cast<int32_t>(out.sources.size()));
  }
  return out;
}

Meetings each_alone(int64_t pixels) {
  Meetings out{{0}, {}};
  for (int32_t i = 0; i < pixels; ++i) {
    out.sources.push_back({i, 0});
    out.first.push_back(i + 1);
  }
  return out;
}

TiledImages::TiledImages(const conv_tiles::Kernels& kernels, const std::vector<int64_t>& spatial, int64_t channels)
    : kernels_(&kernels),
      rows_(spatial[0]),
      width_(product_of(std::span(spatial).subspan(1))),
      channels_(channels),
      image_(rows_ * width_ * channels) {}

TiledImages TiledImages::of_windows(const conv_tiles::Kernels& kernels, const Windows& windows, int64_t channels) {
  const int64_t taps = product_of(windows.size);
  TiledImages out(kernels, windows.out, taps * channels);
  out.image_ = product_of(windows.image) * channels;
  // The parts of each block of each place; neighbouring taps whose elements are neighbours become one part.
  std::vector<std::vector<Part>> parts(static_cast<size_t>(product_of(windows.out) * out.blocks()));
  for_each_tap(windows, [&](int64_t place, int64_t element, int64_t tap) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t to = tap * channels + c, lane = to % kernels.channels;
      const auto offset = static_cast<int32_t>(element * channels + c - lane);
      std::vector<Part>& list = parts[static_cast<size_t>(place * out.blocks() + to / kernels.channels)];
      if (list.empty() || list.back().offset != offset) list.push_back({offset, 0});
      list.back().mask |= uint32_t{1} << lane;
    }
  });
  out.first_.push_back(0);
  for (const std::vector<Part>& list : parts) {
    out.parts_.insert(out.parts_.end(), list.begin(), list.end());
    out.first_.push_back(static_cast<int32_t>(out.parts_.size()));
  }
  return out;
}

void TiledImages::lay(const std::byte* images, int64_t count, int64_t row, int64_t channel, int64_t channels,
                      std::byte* to) const {
  const int64_t bytes = 64 / kernels_->channels;
  if (first_.empty())
    return kernels_->lay_pixels(
        {images + (row * width_ * channels_ + channel) * bytes, image_, channels_, count, width_, channels}, to);
  kernels_->lay_windows({images, image_, 0, count, width_, channels_}, first_.data() + row * width_ * blocks(),
                        parts_.data(), to);
}

bool is_better_unfolded(const conv_tiles::Kernels& kernels, const ConvShape& shape) {
  const auto blocks = [&](int64_t count) { return (count + kernels.channels - 1) / kernels.channels; };
  const int64_t taps = product_of(shape.windows.size);
  return 2 * shape.inputs <= kernels.channels && blocks(shape.inputs * taps) < taps * blocks(shape.inputs);
}

Bands bands_of(const Meetings& meetings, int64_t rows, int64_t width, int64_t source_width, int64_t height) {
  Bands out{height, 1, {}};
  constexpr int64_t none = INT64_MAX;
  for (int64_t row = 0; row < rows; row += height) {
    int64_t from = none, to = 0;
    const auto first = static_cast<size_t>(row * width),
               last = static_cast<size_t>(std::min(row + height, rows) * width);
    for (auto i = static_cast<size_t>(meetings.first[first]); i < static_cast<size_t>(meetings.first[last]); ++i) {
      const int64_t source = meetings.sources[i].pixel / source_width;
      from = std::min(from, source);
      to = std::max(to, source + 1);
    }
    out.needs.push_back({from, to});
  }
  for (size_t i = 1; i < out.needs.size(); ++i) out.needs[i][1] = std::max(out.needs[i][1], out.needs[i - 1][1]);
  for (size_t i = out.needs.size() - 1; i-- > 0;) out.needs[i][0] = std::min(out.needs[i][0], out.needs[i + 1][0]);
  for (std::array<int64_t, 2>& need : out.needs) {
    need[0] = std::min(need[0], need[1]);
    out.ring = std::max(out.ring, need[1] - need[0]);
  }
  return out;
}

int32_t in_ring(int32_t pixel, int64_t width, const Bands& bands) {
  return static_cast<int32_t>(pixel / width % bands.ring * width + pixel % width);
}

const conv_tiles::Kernels* tiled_kernels(const ConvProblem& problem) {
  const ConvShape& s = problem.shape;
  const View& a = problem.kind == ConvKind::input_gradient ? problem.y : problem.x;
  const View& b = problem.kind == ConvKind::weight_gradient ? problem.y : problem.weights;
  if (s.groups != 1 || a.dtype != b.dtype || (a.dtype == DType::f32 && problem.out().dtype != DType::f32))
    return nullptr;
  // Few images leave tiles empty; long lists of meetings would take more memory than images do.
  constexpr int64_t half = conv_tiles::images / 2, longest = 1 << 20;
  const int64_t filled = (s.examples + half - 1) / half * half;
  if (4 * filled > 5 * s.examples || s.places * product_of(s.windows.size) > longest ||
      s.elements * s.inputs >= 1 << 30)
    return nullptr;
  return a.dtype == DType::bf16 ? conv_tiles::amx_bf16() : conv_tiles::avx512_f32();
}

}  // namespace descent::cpu
