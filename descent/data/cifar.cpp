#include "descent/data/cifar.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "descent/base/text.h"
#include "descent/data/file.h"
#include "descent/data/png.h"

namespace descent::data {

namespace fs = std::filesystem;

namespace {

constexpr int64_t side = 32, pixels = side * side, channels = 3, record_bytes = 1 + channels * pixels;

std::string batch_name(int number) { return text("data_batch_", number, ".bin"); }

// The folder itself, or the one in it.
fs::path folder_of_batches(const fs::path& folder) {
  const fs::path inner = folder / "cifar-10-batches-bin";
  return fs::is_directory(inner) ? inner : folder;
}

// Where the file's records go in arrays for several files.
void parse_into(std::span<const std::byte> bytes, const std::string& name, std::span<uint8_t> images,
                std::span<int32_t> labels) {
  const auto* record = reinterpret_cast<const uint8_t*>(bytes.data());
  uint8_t* image = images.data();
  for (size_t i = 0; i < labels.size(); ++i, record += record_bytes, image += channels * pixels) {
    if (record[0] >= cifar10_classes().size())
      fail(text(name, ": record ", i, " has the label ", int{record[0]}, ", but CIFAR-10's are 0 to 9"));
    labels[i] = record[0];
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < channels; ++c) image[p * channels + c] = record[1 + c * pixels + p];
  }
}

int64_t records_in(int64_t bytes, const std::string& name) {
  if (bytes == 0 || bytes % record_bytes != 0)
    fail(text(name, ": ", bytes, " bytes are no whole number of CIFAR-10's records of ", record_bytes,
              " bytes: the file is truncated, or another kind of file"));
  return bytes / record_bytes;
}

Dataset empty_dataset(int64_t rows) {
  return {Array(DType::u8, {rows, side, side, channels}), Array(DType::i32, {rows}), cifar10_classes(), {}};
}

Dataset joined(const std::vector<std::string>& paths) {
  std::vector<Array> files;
  int64_t rows = 0;
  for (const std::string& path : paths) {
    files.push_back(read_to_array(path));
    rows += records_in(files.back().elements(), path);
  }
  Dataset out = empty_dataset(rows);
  int64_t begin = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    const int64_t end = begin + files[i].elements() / record_bytes;
    Array images = out.inputs.rows(begin, end), labels = out.targets.rows(begin, end);
    parse_into(files[i].bytes(), paths[i], images.as<uint8_t>(), labels.as<int32_t>());
    begin = end;
  }
  return out;
}

}  // namespace

const std::vector<std::string>& cifar10_classes() {
  static const std::vector<std::string> names{"airplane", "automobile", "bird",  "cat",  "deer",
                                              "dog",      "frog",       "horse", "ship", "truck"};
  return names;
}

Dataset parse_cifar10(std::span<const std::byte> bytes, const std::string& name) {
  Dataset out = empty_dataset(records_in(static_cast<int64_t>(bytes.size()), name));
  parse_into(bytes, name, out.inputs.as<uint8_t>(), out.targets.as<int32_t>());
  return out;
}

Dataset read_cifar10_file(const std::string& path) { return parse_cifar10(read_to_array(path).bytes(), path); }

bool holds_cifar10(const fs::path& folder) {
  const fs::path batches = folder_of_batches(folder);
  return fs::exists(batches / batch_name(1)) || fs::exists(batches / "test_batch.bin");
}

Splits read_cifar10(const fs::path& folder) {
  constexpr int most_batches = 5;
  const fs::path batches = folder_of_batches(folder);
  std::vector<std::string> training;
  for (int i = 1; i <= most_batches; ++i)
    if (fs::exists(batches / batch_name(i))) training.push_back((batches / batch_name(i)).string());
  if (training.empty())
    fail(text(batches.string(), ": there is no data_batch_1.bin to data_batch_5.bin in this folder"));
  Splits out{joined(training), {}, {}};
  if (fs::exists(batches / "test_batch.bin")) out.test = joined({(batches / "test_batch.bin").string()});
  return out;
}

std::string cifar10_from_sheet(std::span<const std::byte> png, std::string_view labels, int64_t first_label,
                               const std::string& name) {
  const Array sheet = parse_png(png, name);
  if (sheet.shape().rank() != 3 || sheet.shape()[1] != pixels || sheet.shape()[2] != channels)
    fail(text(name, ": a sheet of CIFAR-10 has rows of 1,024 colour pixels, not ", sheet.type()));
  const int64_t rows = sheet.shape()[0];
  const nlohmann::json numbers = nlohmann::json::parse(labels, nullptr, false);
  if (!numbers.is_array() || static_cast<int64_t>(numbers.size()) < first_label + rows)
    fail(text(name, ": its labels are no JSON list of at least ", first_label + rows, " numbers"));
  std::string out(static_cast<size_t>(rows * record_bytes), '\0');
  const uint8_t* from = sheet.as<uint8_t>().data();
  for (int64_t row = 0; row < rows; ++row, from += channels * pixels) {
    char* const record = out.data() + row * record_bytes;
    const nlohmann::json& label = numbers[static_cast<size_t>(first_label + row)];
    if (!label.is_number_integer()) fail(text(name, ": the label of row ", row, " is no whole number"));
    record[0] = static_cast<char>(label.get<int>());
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < channels; ++c) record[1 + c * pixels + p] = static_cast<char>(from[p * channels + c]);
  }
  return out;
}

}  // namespace descent::data
