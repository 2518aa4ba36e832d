#include "descent/data/idx.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <vector>

#include "descent/base/text.h"
#include "descent/data/file.h"

namespace descent::data {

namespace {

// Elements in this machine's byte order to the dtype that they are read as.
Array as_is(const Array& raw, DType dtype, const Shape& shape) {
  Array out(dtype, shape);
  std::ranges::copy(raw.bytes(), out.bytes().begin());
  return out;
}

Array shared(const Array& raw, DType, const Shape& shape) { return raw.reshaped(shape); }

template <class From>
Array widened(const Array& raw, DType dtype, const Shape& shape) {
  Array out(dtype, shape);
  const std::span<int32_t> values = out.as<int32_t>();
  for (size_t i = 0; i < values.size(); ++i) {
    From value;
    std::memcpy(&value, raw.data() + i * sizeof(From), sizeof(From));
    values[i] = value;
  }
  return out;
}

// One row an element type of the format.
struct IdxType {
  uint8_t code;
  int64_t bytes;
  DType dtype;  // what it is read as
  Array (*convert)(const Array& raw, DType, const Shape&);
};

constexpr std::array<IdxType, 6> idx_types{{{0x08, 1, DType::u8, shared},
                                            {0x09, 1, DType::i32, widened<int8_t>},
                                            {0x0b, 2, DType::i32, widened<int16_t>},
                                            {0x0c, 4, DType::i32, as_is},
                                            {0x0d, 4, DType::f32, as_is},
                                            {0x0e, 8, DType::f64, as_is}}};

struct IdxHeader {
  const IdxType* type = nullptr;
  std::vector<int64_t> sizes;
  int64_t header_bytes = 0;
  int64_t payload_bytes = 0;
};

// What a header may be read from: a whole file in memory, or the inflated front of a gzipped one.
IdxHeader parse_header(std::span<const std::byte> bytes, const std::string& name) {
  const auto byte = [&](size_t i) { return i < bytes.size() ? std::to_integer<unsigned>(bytes[i]) : 0u; };
  if (bytes.size() < 4)
    fail(text(name, ": not an idx file: only ", bytes.size(), " bytes, where the header takes at least 8"));
  IdxHeader header;
  const auto type = std::ranges::find(idx_types, byte(2), &IdxType::code);
  if (byte(0) != 0 || byte(1) != 0 || type == idx_types.end())
    fail(fmt::format(
        "{}: not an idx file: it begins with the bytes {:02x} {:02x} {:02x} {:02x}, where idx has 00 00, a type "
        "(08, 09, 0b, 0c, 0d or 0e) and the number of axes",
        name, byte(0), byte(1), byte(2), byte(3)));
  header.type = &*type;
  const unsigned rank = byte(3);
  if (rank < 1 || rank > Shape::max_rank)
    fail(text(name, ": its header says ", rank, " axes, where 1 to ", Shape::max_rank, " can be read"));
  header.header_bytes = 4 + 4 * int64_t{rank};
  if (static_cast<int64_t>(bytes.size()) < header.header_bytes)
    fail(text(name, ": truncated: ", bytes.size(), " bytes, where the header of ", rank, " axes takes ",
              header.header_bytes));
  for (size_t at = 4; at < static_cast<size_t>(header.header_bytes); at += 4)
    header.sizes.push_back(byte(at) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3));
  const auto payload = checked_bytes(header.sizes, header.type->bytes);
  if (!payload) fail(text(name, ": its header says sizes ", sizes_text(header.sizes), ", more than any file holds"));
  header.payload_bytes = *payload;
  return header;
}

[[noreturn]] void fail_length(const IdxHeader& header, const std::string& name, const std::string& found) {
  fail(text(name, ": its header says ", sizes_text(header.sizes), " elements of ", header.type->bytes,
            header.type->bytes == 1 ? " byte, " : " bytes, ", header.header_bytes + header.payload_bytes,
            " bytes with the header, but ", found));
}

void swap_bytes(std::span<std::byte> bytes, size_t width) {
  if (width == 1) return;
  for (size_t at = 0; at < bytes.size(); at += width) std::reverse(bytes.begin() + at, bytes.begin() + at + width);
}

// The array of a file whose length is right. The file's own bytes are changed, and unsigned bytes stay where they are:
// a large file is in memory once.
Array to_array(const IdxHeader& header, Array& file) {
  Array payload = file.rows(header.header_bytes, header.header_bytes + header.payload_bytes);
  swap_bytes(payload.bytes(), static_cast<size_t>(header.type->bytes));
  return header.type->convert(payload, header.type->dtype, Shape(header.sizes));
}

Array parse_plain(Array file, const std::string& name) {
  const IdxHeader header = parse_header(file.bytes(), name);
  if (file.elements() != header.header_bytes + header.payload_bytes)
    fail_length(header, name, text("the file has ", file.elements()));
  return to_array(header, file);
}

// Inflates gzip members one after the other into a buffer that the caller sizes.
class Inflater {
 public:
  Inflater(std::span<const std::byte> compressed, const std::string& name) : name_(name) {
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(compressed.data()));
    remaining_ = compressed.size();
    constexpr int gzip_format = 16;
    if (inflateInit2(&stream_, MAX_WBITS + gzip_format) != Z_OK) fail(text(name_, ": no memory to inflate it"));
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Fills `out` as far as the data goes; returns the bytes filled.
  size_t read(std::span<std::byte> out) {
    size_t filled = 0;
    while (filled < out.size() && !ended_) filled += step(out.subspan(filled));
    return filled;
  }

 private:
  static uInt piece(size_t bytes) { return static_cast<uInt>(std::min<size_t>(bytes, 1u << 30)); }

  size_t step(std::span<std::byte> out) {
    const uInt given = piece(remaining_), room = piece(out.size());
    stream_.avail_in = given;
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = room;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    remaining_ -= given - stream_.avail_in;
    const size_t filled = room - stream_.avail_out;
    if (status == Z_STREAM_END)
      next_member();
    else if (status != Z_OK)
      fail(text(name_, ": its gzip data is damaged or truncated after ", total_ + filled, " inflated bytes"));
    total_ += filled;
    return filled;
  }

  void next_member() {
    if (remaining_ == 0)
      ended_ = true;
    else
      inflateReset(&stream_);
  }

  const std::string& name_;
  z_stream stream_{};
  size_t remaining_ = 0, total_ = 0;
  bool ended_ = false;
};

Array parse_gzip(std::span<const std::byte> bytes, const std::string& name) {
  Inflater inflater(bytes, name);
  std::array<std::byte, 4 + 4 * Shape::max_rank> front;
  const size_t in_front = inflater.read(front);
  const IdxHeader header = parse_header(std::span(front).first(in_front), name);
  const int64_t most = static_cast<int64_t>(bytes.size()) * max_inflation;
  if (header.payload_bytes > most)
    fail_length(header, name, text("its ", bytes.size(), " gzipped bytes cannot hold more than ", most));
  const int64_t announced = header.header_bytes + header.payload_bytes;
  Array inflated(DType::u8, {announced + 1});  // 1: to see excess
  const auto copied = static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(in_front), announced + 1));
  std::copy_n(front.begin(), copied, inflated.data());
  const auto total = static_cast<int64_t>(copied + inflater.read(inflated.bytes().subspan(copied)));
  if (total > announced) fail_length(header, name, "the inflated file has more");
  if (total < announced) fail_length(header, name, text("the inflated file has ", total));
  return to_array(header, inflated);
}

Array parse_any(const Array& file, const std::string& name) {
  const std::span<const std::byte> bytes = file.bytes();
  const bool gzip = bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
  return gzip ? parse_gzip(bytes, name) : parse_plain(file, name);
}

}  // namespace

Array parse_idx(std::span<const std::byte> bytes, const std::string& name) {
  Array file(DType::u8, {static_cast<int64_t>(bytes.size())});
  std::ranges::copy(bytes, file.bytes().begin());
  return parse_any(file, name);
}

Array read_idx(const std::string& path) { return parse_any(read_to_array(path), path); }

std::optional<ItemAddress> item_address(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view digits = address.substr(colon + 1);
  int64_t index = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (digits.empty() || digits[0] == '-' || result.ec != std::errc() || result.ptr != digits.data() + digits.size())
    return std::nullopt;
  return ItemAddress{std::string(address.substr(0, colon)), index};
}

Array read_idx_item(const ItemAddress& address) {
  const Array all = read_idx(address.path);
  const int64_t count = all.shape()[0];
  if (address.index < 0 || address.index >= count)
    fail(text(address.path, ":", address.index, ": no such item: the file has ", count,
              count > 0 ? text(" (0 to ", count - 1, ")") : ""));
  return all.rows(address.index, address.index + 1).reshaped(all.shape().without(0)).clone();
}

}  // namespace descent::data
