#include "descent/data/image_folder.h"

#include <algorithm>

namespace descent::data {

namespace {

const FileKind& image_files() {
  static const FileKind kind{"images", "image", {".png", ".jpg", ".jpeg"}};
  return kind;
}

class ImageRows : public RowSource {
 public:
  ImageRows(std::vector<std::string> paths, const ImageSize& size) : paths_(std::move(paths)), size_(size) {}
  Type row_type() const override { return {DType::u8, size_.shape()}; }
  int64_t size() const override { return static_cast<int64_t>(paths_.size()); }
  void read(int64_t row, std::span<std::byte> out) const override {
    const Array image = fitted(read_image(paths_.at(static_cast<size_t>(row)), size_.enough()), size_);
    std::ranges::copy(image.bytes(), out.begin());
  }

 private:
  std::vector<std::string> paths_;
  ImageSize size_;
};

// Grey stored as colour is grey but for the rounding of a JPEG.
bool has_colours(const Array& image) {
  if (image.shape().rank() == 2 || image.shape()[2] < 3) return false;
  const int64_t channels = image.shape()[2];
  const std::span<const uint8_t> values = image.as<uint8_t>();
  double differences = 0;
  for (size_t i = 0; i < values.size(); i += channels) {
    const auto [least, most] = std::minmax({values[i], values[i + 1], values[i + 2]});
    differences += most - least;
  }
  constexpr double seen = 4;
  return differences > seen * static_cast<double>(image.shape()[0] * image.shape()[1]);
}

}  // namespace

ImageList list_images(const std::filesystem::path& path) { return list_files(path, image_files()); }
bool holds_images(const std::filesystem::path& path) { return holds_files(path, image_files()); }
void divide_images(ImageList& list, Fractions fractions, uint64_t seed) {
  divide_files(list, fractions, seed, image_files());
}

ImageFacts image_facts(const ImageList& list, int64_t most) {
  constexpr int64_t large = 256;
  const int64_t count = std::min(most, list.train.size());
  std::vector<int64_t> sides;
  ImageFacts out{.seen = count, .grey = true};
  for (int64_t i = 0; i < count; ++i) {
    const Array image = read_image(list.train.paths[static_cast<size_t>(i * list.train.size() / count)], large);
    sides.push_back(std::min({image.shape()[0], image.shape()[1], large}));
    out.grey = out.grey && !has_colours(image);
  }
  if (sides.empty()) return out;
  std::ranges::nth_element(sides, sides.begin() + static_cast<int64_t>(sides.size() / 2));
  out.side = sides[sides.size() / 2];
  return out;
}

Dataset load_images(const ImageList& list, const ImageFiles& files, const ImageSize& size, int64_t memory_bytes) {
  Dataset out;
  out.classes = list.classes;
  if (files.size() == 0) return out;
  out.targets = Array(DType::i32, {files.size()});
  std::ranges::copy(files.labels, out.targets.as<int32_t>().begin());
  out.source = std::make_shared<ImageRows>(files.paths, size);
  if (files.size() * out.row_type().bytes() <= memory_bytes) {
    out.inputs = out.read_inputs(0, files.size());
    out.source = nullptr;
  }
  return out;
}

Splits load_images(const ImageList& list, const ImageSize& size, int64_t memory_bytes) {
  const int64_t row_bytes = Type{DType::u8, size.shape()}.bytes();
  const int64_t all = (list.train.size() + list.validation.size() + list.test.size()) * row_bytes;
  const int64_t each = all <= memory_bytes ? memory_bytes : 0;  // all or nothing: parts are judged alike
  return {load_images(list, list.train, size, each), load_images(list, list.validation, size, each),
          load_images(list, list.test, size, each)};
}

}  // namespace descent::data
