#include "descent/data/npz.h"

#include <zip.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "descent/base/text.h"
#include "descent/data/file.h"
#include "descent/data/npy.h"

namespace descent::data {

namespace {

[[noreturn]] void fail_size(const NpyHeader& header, const std::string& name, int64_t found) {
  fail(text(name, ": its .npy header says ", header.sizes.empty() ? "one element" : sizes_text(header.sizes), ", ",
            header.header_bytes + header.payload_bytes, " bytes with the header, but there are ", found));
}

struct ZipClose {
  void operator()(zip_t* zip) const { zip_discard(zip); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using Zip = std::unique_ptr<zip_t, ZipClose>;
using ZipFile = std::unique_ptr<zip_file_t, ZipClose>;

Zip open_zip(std::span<const std::byte> bytes, const std::string& name) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  zip_t* zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : nullptr;
  const std::string reason = zip ? "" : zip_error_strerror(&error);
  if (!zip && source) zip_source_free(source);
  zip_error_fini(&error);
  if (!zip) fail(text(name, ": not an .npz file that can be read: ", reason));
  return Zip(zip);
}

void read_exactly(zip_file_t* file, std::span<std::byte> into, const std::string& name) {
  size_t filled = 0;
  while (filled < into.size()) {
    const zip_int64_t count = zip_fread(file, into.data() + filled, into.size() - filled);
    if (count < 0) fail(text(name, ": ", zip_file_strerror(file)));
    if (count == 0) fail(text(name, ": truncated after ", filled, " bytes"));
    filled += static_cast<size_t>(count);
  }
}

// The checksum is compared when the end is reached, so the end must be read too.
void read_end(zip_file_t* file, const std::string& name) {
  std::byte excess;
  const zip_int64_t count = zip_fread(file, &excess, 1);
  if (count < 0) fail(text(name, ": ", zip_file_strerror(file)));
  if (count > 0) fail(text(name, ": longer than the zip file's directory says"));
}

// The bytes that an entry says it holds, if its compressed bytes can hold them.
int64_t entry_size(const zip_stat_t& entry, int64_t archive_bytes, const std::string& name) {
  constexpr zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  if ((entry.valid & needed) != needed || (entry.comp_method != ZIP_CM_STORE && entry.comp_method != ZIP_CM_DEFLATE))
    fail(text(name, ": compressed by method ", entry.comp_method, ", where 0 (stored) and 8 (deflated) can be read"));
  const auto archive = static_cast<zip_uint64_t>(archive_bytes);
  if (entry.comp_size > archive || entry.size > archive * max_inflation)
    fail(text(name, ": the zip file's directory says ", entry.size, " bytes from ", entry.comp_size,
              " compressed, but the file has ", archive));
  return static_cast<int64_t>(entry.size);
}

Array read_entry(zip_t* zip, zip_uint64_t index, const zip_stat_t& entry, int64_t archive_bytes,
                 const std::string& name) {
  const int64_t size = entry_size(entry, archive_bytes, name);
  const ZipFile file(zip_fopen_index(zip, index, 0));
  if (!file) fail(text(name, ": ", zip_strerror(zip)));
  std::vector<std::byte> front(std::min<size_t>(npy_preamble_bytes, static_cast<size_t>(size)));
  read_exactly(file.get(), front, name);
  const int64_t header_bytes = npy_header_length(front, name);
  if (header_bytes < static_cast<int64_t>(front.size()) || header_bytes > size)
    fail(text(name, ": its .npy header says it is ", header_bytes, " bytes long, but there are ", size));
  front.resize(static_cast<size_t>(header_bytes));
  read_exactly(file.get(), std::span(front).subspan(npy_preamble_bytes), name);
  const NpyHeader header = parse_npy_header(front, name);
  if (header.header_bytes + header.payload_bytes != size) fail_size(header, name, size);
  std::vector<std::byte> payload(static_cast<size_t>(header.payload_bytes));
  read_exactly(file.get(), payload, name);
  read_end(file.get(), name);
  return npy_elements(header, payload, name);
}

std::string array_name(std::string_view entry, const std::string& file) {
  constexpr std::string_view suffix = ".npy";
  if (!entry.ends_with(suffix)) fail(text(file, ": holds '", entry, "', where .npz files hold .npy arrays only"));
  return std::string(entry.substr(0, entry.size() - suffix.size()));
}

}  // namespace

Array parse_npy(std::span<const std::byte> bytes, const std::string& name) {
  const auto size = static_cast<int64_t>(bytes.size());
  const int64_t header_bytes = npy_header_length(bytes.first(std::min(bytes.size(), npy_preamble_bytes)), name);
  if (header_bytes > size)
    fail(text(name, ": truncated: its .npy header says it is ", header_bytes, " bytes long, the file has ", size));
  const NpyHeader header = parse_npy_header(bytes.first(static_cast<size_t>(header_bytes)), name);
  if (header.header_bytes + header.payload_bytes != size) fail_size(header, name, size);
  std::vector<std::byte> payload(bytes.begin() + header_bytes, bytes.end());
  return npy_elements(header, payload, name);
}

Array read_npy(const std::string& path) { return parse_npy(read_to_array(path).bytes(), path); }

std::map<std::string, Array> parse_npz(std::span<const std::byte> bytes, const std::string& name) {
  const Zip zip = open_zip(bytes, name);
  std::map<std::string, Array> arrays;
  const auto count = static_cast<zip_uint64_t>(std::max<zip_int64_t>(0, zip_get_num_entries(zip.get(), 0)));
  for (zip_uint64_t i = 0; i < count; ++i) {
    zip_stat_t entry;
    zip_stat_init(&entry);
    if (zip_stat_index(zip.get(), i, 0, &entry) != 0 || !(entry.valid & ZIP_STAT_NAME))
      fail(text(name, ": ", zip_strerror(zip.get())));
    const std::string array = array_name(entry.name, name);
    if (arrays.contains(array)) fail(text(name, ": holds two arrays named '", array, "'"));
    arrays[array] = read_entry(zip.get(), i, entry, static_cast<int64_t>(bytes.size()), text(name, ":", array));
  }
  return arrays;
}

std::map<std::string, Array> read_npz(const std::string& path) { return parse_npz(read_to_array(path).bytes(), path); }

namespace {

using Arrays = std::map<std::string, Array>;

struct Naming {
  std::string_view inputs, targets;
};
constexpr std::array<Naming, 4> namings{{{"x", "y"}, {"inputs", "targets"}, {"images", "labels"}, {"data", "target"}}};

// The name under which a part is stored: x_train or train_x, x if the part is the whole.
const std::string* find_name(const Arrays& arrays, std::string_view stem, std::string_view part) {
  const std::array<std::string, 2> spellings = part.empty() ? std::array{std::string(stem), std::string(stem)}
                                                            : std::array{text(stem, "_", part), text(part, "_", stem)};
  for (const std::string& spelling : spellings)
    if (const auto found = arrays.find(spelling); found != arrays.end()) return &found->first;
  return nullptr;
}

Dataset joined(const Array& inputs, const Array& targets, int64_t classes, const std::string& source) {
  if (inputs.shape().rank() == 0 || inputs.shape()[0] == 0)
    fail(text(source, ": inputs of ", inputs.type(), " hold no rows"));
  const Array ready = inputs.dtype() == DType::u8 ? inputs : inputs.cast(DType::f32);
  if (!is_floating(targets.dtype())) return labelled(ready, targets, numbered_classes(classes), source);
  const int64_t rows = ready.shape()[0];
  if (targets.shape().rank() < 1 || targets.shape().rank() > 2 || targets.shape()[0] != rows)
    fail(text(source, ": targets of ", targets.type(), " do not fit inputs of ", inputs.type(), ": [", rows, "] or [",
              rows, ",K] would"));
  return {ready, targets.cast(DType::f32).reshaped({rows, targets.elements() / rows}), {}, {}};
}

constexpr std::array<std::string_view, 2> train_spellings{"train", ""}, validation_spellings{"validation", "val"};
constexpr std::array<std::string_view, 1> test_spellings{"test"};

// All parts have the same classes.
int64_t class_count(const Arrays& arrays, const Naming& naming, const std::string& path) {
  int64_t most = 0;
  for (const std::string_view part : {"train", "", "validation", "val", "test"}) {
    const std::string* name = find_name(arrays, naming.targets, part);
    if (name && !is_floating(arrays.at(*name).dtype())) most = std::max(most, count_classes(arrays.at(*name), path));
  }
  return most;
}

Dataset part_of(const Arrays& arrays, const Naming& naming, std::string_view part, const std::string& path) {
  const std::string* inputs = find_name(arrays, naming.inputs, part);
  const std::string* targets = find_name(arrays, naming.targets, part);
  if (!inputs && !targets) return {};
  if (!inputs || !targets)
    fail(text(path, ": holds '", inputs ? *inputs : *targets, "' but no array that goes with it"));
  return joined(arrays.at(*inputs), arrays.at(*targets), class_count(arrays, naming, path), text(path, ":", *targets));
}

// The first of some spellings of a part that exists.
Dataset first_part(const Arrays& arrays, const Naming& naming, std::span<const std::string_view> parts,
                   const std::string& path) {
  Dataset out;
  for (const std::string_view part : parts)
    if (out.size() == 0) out = part_of(arrays, naming, part, path);
  return out;
}

}  // namespace

Splits read_npz_dataset(const std::string& path) {
  const Arrays arrays = read_npz(path);
  for (const Naming& naming : namings) {
    Splits splits{first_part(arrays, naming, train_spellings, path),
                  first_part(arrays, naming, validation_spellings, path),
                  first_part(arrays, naming, test_spellings, path)};
    if (splits.train.size() > 0) return splits;
  }
  std::vector<std::string> names;
  for (const auto& [name, array] : arrays) names.push_back(name);
  fail(text(path, ": holds ", names.empty() ? "no arrays" : "the arrays " + join(names, ", "),
            "; a data set needs x and y, or x_train, y_train, x_test, y_test"));
}

}  // namespace descent::data
