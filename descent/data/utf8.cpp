#include "descent/data/utf8.h"

#include <algorithm>

namespace descent::data {

namespace {

// How many bytes a code point takes whose first byte this is; 0 if none begins so.
size_t length_of(unsigned char first) {
  return first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

}  // namespace

std::optional<uint32_t> next_code(std::string_view& text) {
  static constexpr uint32_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07}, least[] = {0, 0, 0x80, 0x800, 0x10000};
  const size_t length = length_of(static_cast<unsigned char>(text[0]));
  if (length == 0 || length > text.size()) return std::nullopt;
  uint32_t code = static_cast<unsigned char>(text[0]) & first_bits[length];
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0) != 0x80) return std::nullopt;
    code = code << 6 | (byte & 0x3f);
  }
  if (code < least[length] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return std::nullopt;
  text.remove_prefix(length);
  return code;
}

size_t unfinished_bytes(std::string_view text) {
  for (size_t bytes = 1; bytes <= std::min<size_t>(3, text.size()); ++bytes) {
    const auto byte = static_cast<unsigned char>(text[text.size() - bytes]);
    if ((byte & 0xc0) == 0x80) continue;
    return length_of(byte) > bytes ? bytes : 0;
  }
  return 0;
}

std::string valid_utf8(std::string_view text, std::string_view replacement) {
  std::string out;
  while (!text.empty()) {
    const std::string_view before = text;
    if (next_code(text)) {
      out += before.substr(0, before.size() - text.size());
    } else {
      out += replacement;
      text.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace descent::data
