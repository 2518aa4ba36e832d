#include "descent/tasks/toml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace descent::tasks {

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out + "\"";
}

int64_t power_of_two(double value) { return int64_t{1} << std::lround(std::log2(std::max(1.0, value))); }

}  // namespace descent::tasks
