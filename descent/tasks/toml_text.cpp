#include "descent/tasks/toml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "descent/base/text.h"

namespace descent::tasks {

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out + "\"";
}

namespace {

struct TomlValue {
  std::string operator()(bool flag) const { return text(flag); }
  std::string operator()(int64_t number) const { return text(number); }
  // A whole number has a point, or it would not be of the same type.
  std::string operator()(double number) const {
    const std::string shortest = text(number);
    return shortest.find_first_of(".en") == std::string::npos ? shortest + ".0" : shortest;
  }
  std::string operator()(const std::string& word) const { return toml_string(word); }
  std::string operator()(const std::vector<nn::Settings>& items) const { return toml_list(items); }
};

}  // namespace

std::string toml_list(const std::vector<nn::Settings>& items) {
  std::vector<std::string> parts;
  for (const nn::Settings& item : items) {
    if (const nn::Settings::Item* plain = item.find("value")) {
      parts.push_back(std::visit(TomlValue{}, plain->value));
      continue;
    }
    std::vector<std::string> settings;
    for (const nn::Settings::Item& setting : item)
      settings.push_back(text(toml_string(setting.name), " = ", std::visit(TomlValue{}, setting.value)));
    parts.push_back(text("{ ", join(settings, ", "), " }"));
  }
  return text("[", join(parts, ", "), "]");
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
