#include "descent/data/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "descent/base/text.h"
#include "descent/data/file.h"

namespace descent::data {

struct NpyType {
  std::string_view code;  // the descr string without its byte order
  int64_t bytes;
  DType dtype;  // what it is read as
  void (*convert)(std::span<const std::byte>, Array&, const std::string& name);
};

namespace {

void copy(std::span<const std::byte> raw, Array& out, const std::string&) {
  std::ranges::copy(raw, out.bytes().begin());
}

void copy_booleans(std::span<const std::byte> raw, Array& out, const std::string&) {
  std::ranges::transform(raw, out.bytes().begin(), [](std::byte b) { return std::byte{b != std::byte{0}}; });
}

template <class From>
void to_i32(std::span<const std::byte> raw, Array& out, const std::string& name) {
  const std::span<int32_t> values = out.as<int32_t>();
  for (size_t i = 0; i < values.size(); ++i) {
    From value;
    std::memcpy(&value, raw.data() + i * sizeof(From), sizeof(From));
    if (!std::in_range<int32_t>(value)) fail(text(name, ": element ", i, " is ", value, ", which 32 bits cannot hold"));
    values[i] = static_cast<int32_t>(value);
  }
}

constexpr std::array<NpyType, 12> npy_types{{{"f4", 4, DType::f32, copy},
                                             {"f8", 8, DType::f64, copy},
                                             {"f2", 2, DType::f16, copy},
                                             {"i1", 1, DType::i32, to_i32<int8_t>},
                                             {"i2", 2, DType::i32, to_i32<int16_t>},
                                             {"i4", 4, DType::i32, copy},
                                             {"i8", 8, DType::i32, to_i32<int64_t>},
                                             {"u1", 1, DType::u8, copy},
                                             {"u2", 2, DType::i32, to_i32<uint16_t>},
                                             {"u4", 4, DType::u32, copy},
                                             {"u8", 8, DType::i32, to_i32<uint64_t>},
                                             {"b1", 1, DType::boolean, copy_booleans}}};

// The header is a Python dictionary of three known keys, written out. This reads that and nothing more.
class HeaderText {
 public:
  HeaderText(std::string_view header, const std::string& name) : text_(header), name_(name) {}

  NpyHeader parse() {
    NpyHeader header;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      read_entry(key, header);
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_blanks();
    if (at_ != text_.size() || !header.type || !saw_order_ || !saw_shape_) fail_header();
    return header;
  }

 private:
  [[noreturn]] void fail_header() const {
    fail(text(name_, ": its .npy header cannot be read from character ", at_,
              " on; it should be {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } with such values"));
  }

  void read_entry(std::string_view key, NpyHeader& header) {
    if (key == "descr" && !header.type) return read_type(header);
    if (key == "fortran_order" && !saw_order_) {
      saw_order_ = true;
      header.fortran = boolean();
    } else if (key == "shape" && !saw_shape_) {
      saw_shape_ = true;
      header.sizes = sizes();
    } else {
      fail_header();
    }
  }

  void read_type(NpyHeader& header) {
    const std::string_view descr = quoted();
    const bool known_order = !descr.empty() && std::string_view("<>|=").find(descr[0]) != std::string_view::npos;
    const auto type = std::ranges::find(npy_types, descr.substr(known_order ? 1 : 0), &NpyType::code);
    if (!known_order || type == npy_types.end())
      fail(text(name_, ": its elements are '", descr,
                "', where float16/32/64, int and uint of 8 to 64 bits and bool can be read"));
    header.type = &*type;
    const char native = std::endian::native == std::endian::little ? '<' : '>';
    header.swapped = (descr[0] == '<' || descr[0] == '>') && descr[0] != native;
  }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool accept(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail_header();
  }

  std::string_view quoted() {
    skip_blanks();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    const size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : std::string_view::npos;
    if (end == std::string_view::npos) fail_header();
    const std::string_view out = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return out;
  }

  bool boolean() {
    skip_blanks();
    for (const std::string_view word : {"True", "False"}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return word == "True";
    }
    fail_header();
  }

  int64_t whole_number() {
    skip_blanks();
    int64_t value = 0;
    const auto result = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (result.ec != std::errc() || value < 0) fail_header();
    at_ = static_cast<size_t>(result.ptr - text_.data());
    accept('L');  // Python 2 wrote 3L
    return value;
  }

  std::vector<int64_t> sizes() {
    std::vector<int64_t> out;
    expect('(');
    while (!accept(')')) {
      out.push_back(whole_number());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
  bool saw_order_ = false, saw_shape_ = false;
};

void swap_bytes(std::span<std::byte> bytes, size_t width) {
  for (size_t at = 0; at < bytes.size(); at += width) std::reverse(bytes.begin() + at, bytes.begin() + at + width);
}

// A Fortran-ordered array is the row-major array of the reversed shape, transposed.
Array transposed(const Array& reversed, const Shape& shape) {
  Array out(reversed.dtype(), shape);
  const int rank = shape.rank();
  const size_t width = size_of(out.dtype());
  std::vector<int64_t> step(rank), at(rank, 0);
  int64_t product = 1;
  for (int axis = 0; axis < rank; product *= shape[axis++]) step[axis] = product;
  int64_t from = 0;
  for (int64_t to = 0; to < out.elements(); ++to) {
    std::memcpy(out.data() + to * width, reversed.data() + from * width, width);
    for (int axis = rank - 1; axis >= 0; --axis) {
      from += step[axis];
      if (++at[axis] < shape[axis]) break;
      from -= at[axis] * step[axis];
      at[axis] = 0;
    }
  }
  return out;
}

}  // namespace

int64_t npy_header_length(std::span<const std::byte> front, const std::string& name) {
  constexpr std::string_view magic("\x93NUMPY", 6);
  const auto byte = [&](size_t i) { return i < front.size() ? std::to_integer<int64_t>(front[i]) : 0; };
  if (front.size() < 10 || std::memcmp(front.data(), magic.data(), magic.size()) != 0)
    fail(text(name, ": not an .npy array: it does not begin with \\x93NUMPY and a version"));
  const int64_t version = byte(6);
  if (version < 1 || version > 3) fail(text(name, ": .npy version ", version, ", where 1 to 3 can be read"));
  const int64_t length = version == 1 ? 10 + byte(8) + (byte(9) << 8)
                                      : 12 + byte(8) + (byte(9) << 8) + (byte(10) << 16) + (byte(11) << 24);
  if (length > max_npy_header)
    fail(text(name, ": its .npy header says it is ", length, " bytes long, more than ", max_npy_header));
  return length;
}

NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& name) {
  const size_t preamble = std::to_integer<int>(bytes[6]) == 1 ? 10 : 12;
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  NpyHeader header = HeaderText(all.substr(std::min(preamble, all.size())), name).parse();
  header.header_bytes = static_cast<int64_t>(bytes.size());
  if (header.sizes.size() > Shape::max_rank)
    fail(text(name, ": its .npy header says ", header.sizes.size(), " axes, where at most ", Shape::max_rank,
              " can be read"));
  // A converted element is at most 4 times as wide as it was.
  const std::optional<int64_t> payload = checked_bytes(header.sizes, header.type->bytes);
  if (!payload || *payload > std::numeric_limits<int64_t>::max() / 8)
    fail(text(name, ": its .npy header says sizes ", sizes_text(header.sizes), ", more than any file holds"));
  header.payload_bytes = *payload;
  return header;
}

Array npy_elements(const NpyHeader& header, std::span<std::byte> payload, const std::string& name) {
  if (header.swapped) swap_bytes(payload, static_cast<size_t>(header.type->bytes));
  const Shape shape(header.sizes);
  const bool transpose = header.fortran && shape.rank() > 1;
  Shape stored;
  for (int axis = 0; axis < shape.rank(); ++axis) stored.push_back(shape[transpose ? shape.rank() - 1 - axis : axis]);
  Array out(header.type->dtype, stored);
  header.type->convert(payload, out, name);
  return transpose ? transposed(out, shape) : out;
}

}  // namespace descent::data
