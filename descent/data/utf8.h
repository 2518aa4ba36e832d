// Characters of Unicode written as UTF-8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace descent::data {

// The code point that a text begins with, taken off it; nothing if that is no UTF-8 (too long a form, half of a
// surrogate pair, beyond Unicode). The text must not be empty.
std::optional<uint32_t> next_code(std::string_view& text);

// How many bytes at a text's end are the beginning of a character whose other bytes are still to come, at most three.
// Who shows a text as it comes waits for them.
size_t unfinished_bytes(std::string_view text);

// The text with `replacement` in the place of each byte that belongs to no character.
std::string valid_utf8(std::string_view text, std::string_view replacement);

}  // namespace descent::data
