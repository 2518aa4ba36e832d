#include "descent/graph/attrs.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include "descent/base/hash.h"
#include "descent/base/text.h"

namespace descent {

Attrs::Attrs(std::initializer_list<std::pair<std::string, Attr>> items) {
  for (const auto& [name, value] : items) set(name, value);
}

Attrs& Attrs::set(std::string name, Attr value) {
  const auto at = std::ranges::lower_bound(items_, name, {}, &std::pair<std::string, Attr>::first);
  if (at != items_.end() && at->first == name)
    at->second = std::move(value);
  else
    items_.insert(at, {std::move(name), std::move(value)});
  return *this;
}

const Attr* Attrs::find(std::string_view name) const {
  const auto at = std::ranges::find(items_, name, &std::pair<std::string, Attr>::first);
  return at == items_.end() ? nullptr : &at->second;
}

namespace {

template <class T>
const T& get(const Attr* attr, std::string_view name, const char* kind) {
  if (attr == nullptr) fail(text("attribute '", name, "' is missing"));
  const T* value = std::get_if<T>(attr);
  if (value == nullptr) fail(text("attribute '", name, "' is not ", kind));
  return *value;
}

}  // namespace

int64_t Attrs::integer(std::string_view name) const { return get<int64_t>(find(name), name, "an integer"); }
const std::string& Attrs::string(std::string_view name) const { return get<std::string>(find(name), name, "a string"); }
DType Attrs::dtype(std::string_view name) const { return get<DType>(find(name), name, "an element type"); }

const std::vector<int64_t>& Attrs::integers(std::string_view name) const {
  return get<std::vector<int64_t>>(find(name), name, "a list of integers");
}

double Attrs::number(std::string_view name) const {
  const Attr* attr = find(name);
  if (attr != nullptr && std::holds_alternative<int64_t>(*attr)) return static_cast<double>(std::get<int64_t>(*attr));
  return get<double>(attr, name, "a number");
}

namespace {

struct HashAttr {
  uint64_t hash;
  uint64_t operator()(int64_t value) const { return hash_mix(hash, static_cast<uint64_t>(value)); }
  uint64_t operator()(double value) const { return hash_mix(hash, std::bit_cast<uint64_t>(value)); }
  uint64_t operator()(const std::string& value) const { return hash_text(hash, value); }
  uint64_t operator()(DType value) const { return hash_mix(hash, static_cast<uint64_t>(value)); }
  uint64_t operator()(const std::vector<int64_t>& values) const {
    uint64_t out = hash_mix(hash, values.size());
    for (const int64_t value : values) out = hash_mix(out, static_cast<uint64_t>(value));
    return out;
  }
};

struct PrintAttr {
  std::string operator()(int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const {  // always with a sign of being a double: 1 prints as 1.0
    const std::string out = number_text(value);
    return out.find_first_of(".en") == std::string::npos ? out + ".0" : out;
  }
  std::string operator()(const std::string& value) const { return text('"', value, '"'); }
  std::string operator()(DType value) const { return to_text(value); }
  std::string operator()(const std::vector<int64_t>& values) const {
    std::string out = "[";
    for (size_t i = 0; i < values.size(); ++i) out += text(i ? "," : "", values[i]);
    return out + "]";
  }
};

}  // namespace

uint64_t Attrs::hash() const {
  uint64_t hash = items_.size();
  for (const auto& [name, value] : items_)
    hash = std::visit(HashAttr{hash_text(hash_mix(hash, value.index()), name)}, value);
  return hash;
}

std::string to_text(const Attrs& attrs) {
  std::string out;
  for (const auto& [name, value] : attrs)
    out += text(out.empty() ? "" : ", ", name, "=", std::visit(PrintAttr{}, value));
  return out;
}

namespace {

int64_t parse_integer(std::string_view word) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) fail(text("'", word, "' is not an integer"));
  return value;
}

std::string_view trimmed(std::string_view word) {
  while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
  while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
  return word;
}

// Splits at commas that are outside brackets and quotes.
std::vector<std::string_view> split_items(std::string_view text) {
  std::vector<std::string_view> items;
  size_t begin = 0;
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ',';
    if (c == '"') quoted = !quoted;
    if (!quoted && c == '[') ++depth;
    if (!quoted && c == ']') --depth;
    if (i == text.size() || (c == ',' && depth == 0 && !quoted)) {
      if (const std::string_view item = trimmed(text.substr(begin, i - begin)); !item.empty()) items.push_back(item);
      begin = i + 1;
    }
  }
  return items;
}

Attr parse_attr(std::string_view word) {
  if (word.size() >= 2 && word.front() == '"' && word.back() == '"')
    return std::string(word.substr(1, word.size() - 2));
  if (word.size() >= 2 && word.front() == '[' && word.back() == ']') {
    std::vector<int64_t> values;
    for (const std::string_view item : split_items(word.substr(1, word.size() - 2)))
      values.push_back(parse_integer(item));
    return values;
  }
  if (const auto dtype = dtype_from_text(word)) return *dtype;
  if (word.find_first_of(".en") == std::string_view::npos) return parse_integer(word);
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) fail(text("'", word, "' is not an attribute value"));
  return value;
}

}  // namespace

Attrs attrs_from_text(std::string_view text) {
  Attrs out;
  for (const std::string_view item : split_items(text)) {
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos) fail(descent::text("'", item, "' is not name=value"));
    out.set(std::string(trimmed(item.substr(0, equals))), parse_attr(trimmed(item.substr(equals + 1))));
  }
  return out;
}

}  // namespace descent
