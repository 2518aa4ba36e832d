// The header is read event by event, so that a hostile one is refused at its first unexpected token: no document is
// built, nothing nests, no number is rounded.
#include "descent/io/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <unordered_set>

#include "descent/base/text.h"

namespace descent::io {

namespace {

struct DTypeName {
  DType dtype;
  std::string_view name;
};

constexpr std::array<DTypeName, 8> dtype_names{{{DType::f64, "F64"},
                                                {DType::f32, "F32"},
                                                {DType::bf16, "BF16"},
                                                {DType::f16, "F16"},
                                                {DType::i32, "I32"},
                                                {DType::u32, "U32"},
                                                {DType::u8, "U8"},
                                                {DType::boolean, "BOOL"}}};

// Text of the file in a message: short, and printable whatever the file holds.
std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text.substr(0, 80)) out += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
  return out + (text.size() > 80 ? "...'" : "'");
}

// The events of nlohmann::json's SAX interface. A handler returns false to stop, which it never does: it throws.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(TensorHeader& header, std::string_view file) : header_(header), file_(file) {}

  bool key(string_t& name) override {
    if (place_ == Place::top) return begin_entry(name);
    key_ = name;
    if (place_ == Place::tensor && key_ != "dtype" && key_ != "shape" && key_ != "data_offsets")
      refuse_entry("the field " + in_quotes(key_) + " is not known");
    if (place_ == Place::metadata && header_.metadata.contains(key_))
      refuse("metadata key " + in_quotes(key_) + " is there twice");
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::start) {
      place_ = Place::top;
    } else if (place_ == Place::top) {
      place_ = in_metadata_ ? Place::metadata : Place::tensor;
    } else {
      refuse("an object stands where " + expected());
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor) finish_entry();
    place_ = place_ == Place::top ? Place::end : Place::top;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::tensor || (key_ != "shape" && key_ != "data_offsets"))
      refuse("a list stands where " + expected());
    std::optional<std::vector<uint64_t>>& list = key_ == "shape" ? shape_ : offsets_;
    if (list) refuse_entry(in_quotes(key_) + " is there twice");
    list.emplace();
    list_ = &*list;
    place_ = Place::list;
    return true;
  }

  bool end_array() override {
    place_ = Place::tensor;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::list) refuse("a number stands where " + expected());
    if (list_->size() == max_list) refuse_entry(fmt::format("{} has more than {} numbers", in_quotes(key_), max_list));
    list_->push_back(value);
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::metadata) {
      header_.metadata[key_] = value;
    } else if (place_ == Place::tensor && key_ == "dtype") {
      set_dtype(value);
    } else {
      refuse("a text stands where " + expected());
    }
    return true;
  }

  bool null() override { refuse("null stands where " + expected()); }
  bool boolean(bool) override { refuse("true or false stands where " + expected()); }
  bool number_integer(number_integer_t value) override {
    refuse(fmt::format("the number {} stands where {}", value, expected()));
  }
  bool number_float(number_float_t, const string_t& value) override {
    refuse("the number " + in_quotes(value) + " stands where " + expected());
  }
  bool binary(binary_t&) override { refuse("bytes stand where " + expected()); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    refuse(fmt::format("the header is not JSON (byte {} of it)", position));
  }

 private:
  enum class Place { start, top, metadata, tensor, list, end };
  static constexpr size_t max_list = Shape::max_rank;

  [[noreturn]] void refuse(const std::string& why) const { fail(fmt::format("{}: {}", file_, why)); }
  [[noreturn]] void refuse_entry(const std::string& why) const {
    refuse("tensor " + in_quotes(entry_.name) + ": " + why);
  }

  std::string expected() const {
    switch (place_) {
      case Place::start: return "the header should begin with {";
      case Place::metadata: return "the metadata " + in_quotes(key_) + " should be a text";
      case Place::list:
        return in_quotes(key_) + " of tensor " + in_quotes(entry_.name) + " should hold whole numbers from 0";
      case Place::tensor:
        return in_quotes(key_) + " of tensor " + in_quotes(entry_.name) + " should be " +
               (key_ == "dtype" ? "a text" : "a list of whole numbers");
      default: return "the description of " + in_quotes(entry_.name) + " should be";
    }
  }

  bool begin_entry(const std::string& name) {
    if (!names_.insert(name).second) refuse("the name " + in_quotes(name) + " is there twice");
    entry_ = TensorEntry{name, {}, 0, 0};
    in_metadata_ = name == "__metadata__";
    dtype_.reset();
    shape_.reset();
    offsets_.reset();
    return true;
  }

  void set_dtype(const std::string& name) {
    if (dtype_) refuse_entry("'dtype' is there twice");
    const auto known = std::ranges::find(dtype_names, name, &DTypeName::name);
    if (known == dtype_names.end())
      refuse_entry("elements of type " + in_quotes(name) +
                   " are not read; F64, F32, BF16, F16, I32, U32, U8 and BOOL are");
    dtype_ = known->dtype;
  }

  void finish_entry() {
    if (!dtype_ || !shape_ || !offsets_ || offsets_->size() != 2)
      refuse_entry("it needs 'dtype', 'shape' and 'data_offsets' (two numbers)");
    entry_.begin = (*offsets_)[0];
    entry_.end = (*offsets_)[1];
    if (entry_.begin > entry_.end)
      refuse_entry(fmt::format("its data end at {}, before they begin at {}", entry_.end, entry_.begin));
    entry_.type = checked_type();
    if (static_cast<uint64_t>(entry_.type.bytes()) != entry_.end - entry_.begin)
      refuse_entry(fmt::format("{} needs {} bytes, but its offsets [{}, {}] hold {}", to_text(entry_.type),
                               entry_.type.bytes(), entry_.begin, entry_.end, entry_.end - entry_.begin));
    header_.entries.push_back(std::move(entry_));
  }

  // Sizes of which no product, of all or of some, leaves 63 bits: nobody who multiplies them later can overflow.
  Type checked_type() const {
    uint64_t room = std::numeric_limits<int64_t>::max() / size_of(*dtype_);
    Type type{*dtype_, {}};
    for (const uint64_t size : *shape_) {
      if (size > room) refuse_entry("the product of its sizes is too large");
      room /= std::max<uint64_t>(size, 1);
      type.shape.push_back(static_cast<int64_t>(size));
    }
    return type;
  }

  TensorHeader& header_;
  std::string_view file_;
  Place place_ = Place::start;
  bool in_metadata_ = false;
  std::string key_;
  std::unordered_set<std::string> names_;
  TensorEntry entry_;
  std::optional<DType> dtype_;
  std::optional<std::vector<uint64_t>> shape_, offsets_;
  std::vector<uint64_t>* list_ = nullptr;
};

// Sorted by offset, each tensor must begin where the one before ended, and the last end with the file.
void check_coverage(const std::vector<TensorEntry>& entries, uint64_t data_bytes, std::string_view file) {
  uint64_t reached = 0;
  for (const TensorEntry& entry : entries) {
    if (entry.begin != reached)
      fail(fmt::format("{}: tensor {}: its data begin at {}, but the ones before it end at {}", file,
                       in_quotes(entry.name), entry.begin, reached));
    if (entry.end > data_bytes)
      fail(fmt::format("{}: tensor {}: its data end at {}, but the file holds {} bytes of data", file,
                       in_quotes(entry.name), entry.end, data_bytes));
    reached = entry.end;
  }
  if (reached != data_bytes) fail(fmt::format("{}: {} bytes of data belong to no tensor", file, data_bytes - reached));
}

}  // namespace

std::string_view safetensors_name(DType dtype) {
  return std::ranges::find(dtype_names, dtype, &DTypeName::dtype)->name;
}

TensorHeader parse_safetensors_header(std::string_view json, uint64_t data_bytes, std::string_view file) {
  TensorHeader header;
  HeaderReader reader(header, file);
  if (!json.starts_with('{')) fail(fmt::format("{}: the header should begin with {{", file));
  if (json.find('\0') != json.npos)  // which the parser would take for the end
    fail(fmt::format("{}: the header is not JSON (byte {} of it)", file, json.find('\0') + 1));
  nlohmann::json::sax_parse(json, &reader);
  std::ranges::stable_sort(header.entries, [](const TensorEntry& a, const TensorEntry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  check_coverage(header.entries, data_bytes, file);
  return header;
}

}  // namespace descent::io
