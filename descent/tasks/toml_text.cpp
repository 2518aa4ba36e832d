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

std::string commented(const std::string& text) {
  constexpr size_t most = 118;
  std::string out, line;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (!line.empty() && line.size() + 1 + word.size() > most) {
      out += "# " + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    begin = end + 1;
  }
  return out + "# " + line + "\n";
}

int64_t power_of_two(double value) { return int64_t{1} << std::lround(std::log2(std::max(1.0, value))); }

}  // namespace descent::tasks
