#include "descent/data/image_folder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "descent/base/hash.h"
#include "descent/base/text.h"
#include "descent/data/csv.h"
#include "descent/data/file.h"
#include "descent/data/random.h"
#include "descent/io/atomic_file.h"

namespace descent::data {

namespace fs = std::filesystem;

namespace {

// --- what files there are ---

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return std::tolower(c); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::error_code problem;
  fs::directory_iterator entries(folder, problem);
  if (problem) fail(text(folder.string(), ": the folder cannot be read: ", problem.message()));
  std::vector<fs::path> out;
  for (const fs::directory_entry& entry : entries)
    if (!is_hidden(entry.path())) out.push_back(entry.path());
  std::ranges::sort(out);
  return out;
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> out = sorted_entries(folder);
  std::erase_if(out, [](const fs::path& path) { return !fs::is_directory(path); });
  return out;
}

std::vector<fs::path> images_in(const fs::path& folder) {
  std::vector<fs::path> out = sorted_entries(folder);
  std::erase_if(out, [](const fs::path& path) { return !is_image_name(path) || !fs::is_regular_file(path); });
  return out;
}

constexpr std::string_view wanted_names = "*.png, *.jpg or *.jpeg";

void check_classes(const std::string& source, const std::vector<std::string>& classes) {
  if (classes.size() == 1)
    fail(text(source, ": only one class (", classes[0], "), and telling classes apart needs at least two"));
}

// The class folders of a part.
std::vector<std::string> class_names(const fs::path& root) {
  std::vector<std::string> out;
  for (const fs::path& folder : folders_in(root)) out.push_back(folder.filename().string());
  if (out.empty()) {
    const bool loose = !images_in(root).empty();
    fail(text(root.string(), ": ", loose ? "images, but no class folders" : "no class folders",
              "; images are expected as ", (root / "CLASS" / "NAME.png").string(), " (", wanted_names, ")"));
  }
  return out;
}

ImageFiles files_of(const fs::path& root, const ImageList& list) {
  ImageFiles out;
  for (const std::string& name : class_names(root)) {
    const auto at = std::ranges::find(list.classes, name);
    if (at == list.classes.end())
      fail(text((root / name).string(), ": the class '", name, "' is not in the training part",
                did_you_mean(name, list.classes)));
    const std::vector<fs::path> images = images_in(root / name);
    if (images.empty()) fail(text((root / name).string(), ": a class folder without images (", wanted_names, ")"));
    for (const fs::path& image : images) out.paths.push_back(image.string());
    out.labels.resize(out.paths.size(), static_cast<int32_t>(at - list.classes.begin()));
  }
  return out;
}

ImageFiles files_of_first(const fs::path& root, std::initializer_list<const char*> names, const ImageList& list) {
  for (const char* name : names)
    if (fs::is_directory(root / name)) return files_of(root / name, list);
  return {};
}

ImageList list_folder(const fs::path& root) {
  ImageList out;
  out.source = root.string();
  const bool parts = fs::is_directory(root / "train") && !folders_in(root / "train").empty();
  const fs::path training = parts ? root / "train" : root;
  out.classes = class_names(training);
  out.train = files_of(training, out);
  check_classes(training.string(), out.classes);
  if (!parts) return out;
  out.validation = files_of_first(root, {"validation", "val", "valid"}, out);
  out.test = files_of_first(root, {"test"}, out);
  return out;
}

// --- a table of files ---

const Column& column_of(const Table& table, std::span<const std::string_view> names) {
  for (const std::string_view name : names)
    if (const Column* column = table.find(name)) return *column;
  const std::vector<std::string> known = table.names();
  fail(text(table.source, ": a table of images needs a column '", names[0], "' (it has ", join(known, ", "), ")"));
}

std::string cell(const Table& table, const Column& column, int64_t row) {
  if (column.is_missing(row)) fail(text(table.place(row, column.name), ": the cell is empty"));
  return column.kind == ColumnKind::category ? column.category(row) : number_text(column.values[row]);
}

ImageFiles& part_called(ImageList& list, const std::string& word, const std::string& place) {
  if (word == "train" || word == "training") return list.train;
  if (word == "validation" || word == "val" || word == "valid") return list.validation;
  if (word == "test") return list.test;
  fail(text(place, ": '", word, "' is no part of a data set; the parts are train, validation and test"));
}

ImageList list_table(const fs::path& path) {
  static constexpr std::array<std::string_view, 4> path_names{"path", "file", "filename", "image"};
  static constexpr std::array<std::string_view, 2> label_names{"label", "class"};
  const Table table = read_csv(path.string(), {.header = Header::present});
  const Column &files = column_of(table, path_names), &labels = column_of(table, label_names);
  const Column* const parts = table.find("split");
  ImageList out;
  out.source = path.string();
  std::map<std::string, int32_t> numbers;
  for (int64_t row = 0; row < table.rows(); ++row) numbers[cell(table, labels, row)] = 0;
  for (auto& [name, number] : numbers) {
    number = static_cast<int32_t>(out.classes.size());
    out.classes.push_back(name);
  }
  for (int64_t row = 0; row < table.rows(); ++row) {
    ImageFiles& part =
        parts == nullptr ? out.train : part_called(out, cell(table, *parts, row), table.place(row, "split"));
    part.paths.push_back((path.parent_path() / cell(table, files, row)).string());
    part.labels.push_back(numbers[cell(table, labels, row)]);
  }
  check_classes(out.source, out.classes);
  std::vector<int64_t> counts(out.classes.size());
  for (const int32_t label : out.train.labels) ++counts[static_cast<size_t>(label)];
  for (size_t c = 0; c < counts.size(); ++c)
    if (counts[c] == 0) fail(text(out.source, ": the class '", out.classes[c], "' is not in the training part"));
  return out;
}

// --- division by content ---

// Of the file's size and its beginning, which for photos is different even where the size is not.
uint64_t content_key(const std::string& path, uint64_t seed) {
  constexpr size_t most = 1 << 16;
  uint64_t size = 0;
  const io::Descriptor file = io::open_regular(path, size);
  std::vector<std::byte> bytes(std::min<uint64_t>(size, most));
  read_fully(file, path, bytes);
  uint64_t key = random_key(seed, 0x696d61676573, size);  // "images", so that no other use of the seed draws the same
  for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min(sizeof word, bytes.size() - at));
    key = hash_mix(key, word);
  }
  return key;
}

struct Keyed {
  uint64_t key;
  int64_t row;
  friend auto operator<=>(const Keyed&, const Keyed&) = default;
};

// How many of a class's files, sorted by key, go to a part: its share, the rounding carried on to the next class, not
// parting doubles, and leaving one file.
size_t share_of(std::span<const Keyed> files, double fraction, double& carry) {
  const double exact = fraction * static_cast<double>(files.size()) + carry;
  auto count = static_cast<size_t>(std::clamp(std::floor(exact + 0.5), 0.0, static_cast<double>(files.size()) - 1));
  while (count > 0 && count < files.size() && files[count].key == files[count - 1].key) ++count;
  if (count == files.size()) count = 0;  // all are doubles of one
  carry = exact - static_cast<double>(count);
  return count;
}

void move_share(ImageList& list, ImageFiles& part, double fraction, uint64_t seed, std::string_view name) {
  if (fraction <= 0 || part.size() > 0) return;
  std::vector<std::vector<Keyed>> by_class(list.classes.size());
  for (int64_t row = 0; row < list.train.size(); ++row)
    by_class[static_cast<size_t>(list.train.labels[row])].push_back({content_key(list.train.paths[row], seed), row});
  std::vector<bool> moves(static_cast<size_t>(list.train.size()));
  double carry = 0;
  for (std::vector<Keyed>& files : by_class) {
    std::ranges::sort(files);
    for (size_t i = 0, count = share_of(files, fraction, carry); i < count; ++i) moves[files[i].row] = true;
  }
  ImageFiles rest;
  for (size_t row = 0; row < moves.size(); ++row) {
    ImageFiles& to = moves[row] ? part : rest;
    to.paths.push_back(std::move(list.train.paths[row]));
    to.labels.push_back(list.train.labels[row]);
  }
  list.train = std::move(rest);
  if (part.size() == 0) fail(text(list.source, ": too few images for a ", name, " part of ", fraction));
}

// --- decoding ---

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

ImageList list_images(const fs::path& path) {
  if (fs::is_directory(path)) return list_folder(path);
  if (!fs::exists(path)) fail(text("there is no folder or table of images ", path.string()));
  return list_table(path);
}

bool holds_images(const fs::path& path) {
  if (!fs::is_directory(path)) return false;
  const fs::path root = fs::is_directory(path / "train") ? path / "train" : path;
  return std::ranges::any_of(folders_in(root), [](const fs::path& folder) { return !images_in(folder).empty(); });
}

void divide_images(ImageList& list, Fractions fractions, uint64_t seed) {
  // The validation part's share is of all that were not in the test part from the start.
  const auto before = static_cast<double>(list.train.size());
  move_share(list, list.test, fractions.test, seed, "test");
  const double rest = static_cast<double>(list.train.size()) / before;
  move_share(list, list.validation, std::min(0.99, fractions.validation / rest), random_key(seed, 1), "validation");
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
