#include "descent/nn/settings.h"

#include <algorithm>
#include <mutex>
#include <set>

namespace descent::nn {

namespace {

constexpr std::string_view type_names[] = {"true or false", "a whole number", "a number", "a word", "a list of tables"};

std::string value_text(const Settings::Value& value) {
  struct Visitor {
    std::string operator()(const std::string& word) const { return text('"', word, '"'); }
    std::string operator()(const std::vector<Settings>&) const { return "a list"; }
    std::string operator()(bool flag) const { return text(flag); }
    std::string operator()(int64_t number) const { return text(number); }
    std::string operator()(double number) const { return text(number); }
  };
  return std::visit(Visitor{}, value);
}

template <class T>
const T& value_of(const Settings& settings, std::string_view name) {
  const Settings::Item* item = settings.find(name);
  if (item == nullptr) throw UsageError(settings.at(), text("the setting '", name, "' is missing"));
  if (const T* value = std::get_if<T>(&item->value)) return *value;
  const auto wanted = type_names[Settings::Value(T()).index()];
  throw UsageError(item->at, text("the setting '", name, "' must be ", wanted, ", got ", value_text(item->value)));
}

}  // namespace

Settings::Settings(std::initializer_list<Item> items) {
  for (const Item& item : items) set(item.name, item.value, item.at);
}

Settings& Settings::set(std::string name, Value value, Site at) {
  if (has(name)) throw UsageError(at, text("the setting '", name, "' is given twice"));
  items_.push_back({std::move(name), std::move(value), at});
  return *this;
}

const Settings::Item* Settings::find(std::string_view name) const {
  const auto at = std::ranges::find(items_, name, &Item::name);
  return at == items_.end() ? nullptr : &*at;
}

Settings Settings::without(std::span<const std::string_view> names) const {
  Settings out(at_);
  for (const Item& item : items_)
    if (std::ranges::find(names, item.name) == names.end()) out.items_.push_back(item);
  return out;
}

bool Settings::flag(std::string_view name) const { return value_of<bool>(*this, name); }
int64_t Settings::integer(std::string_view name) const { return value_of<int64_t>(*this, name); }
double Settings::number(std::string_view name) const {
  const Item* item = find(name);
  if (item != nullptr && std::holds_alternative<int64_t>(item->value)) return static_cast<double>(integer(name));
  return value_of<double>(*this, name);
}
const std::string& Settings::word(std::string_view name) const { return value_of<std::string>(*this, name); }
const std::vector<Settings>& Settings::list(std::string_view name) const {
  return value_of<std::vector<Settings>>(*this, name);
}

Site Settings::at(std::string_view name) const {
  const Item* item = find(name);
  return item != nullptr && item->at.line != 0 ? item->at : at_;
}

Site site_of(std::string_view file, unsigned line) {
  static std::mutex mutex;
  static std::set<std::string, std::less<>> names;
  const std::lock_guard lock(mutex);
  return {names.emplace(file).first->c_str(), line};
}

namespace {

std::vector<std::string> names_of(std::span<const SettingRule> rules) {
  std::vector<std::string> names;
  for (const SettingRule& rule : rules) names.emplace_back(rule.name);
  return names;
}

void reject_unknown(const Settings& given, std::span<const SettingRule> rules, const std::string& what) {
  const std::vector<std::string> known = names_of(rules);
  for (const Settings::Item& item : given) {
    if (std::ranges::find(known, item.name) != known.end()) continue;
    const std::string near = did_you_mean(item.name, known);
    const std::string rest = !near.empty()   ? near
                             : known.empty() ? "; it has none"
                                             : text("; it has ", join(known, ", "));
    throw UsageError(given.at(item.name), text(what, " has no setting '", item.name, "'", rest));
  }
}

// The value as the rule's type: a number may be written without a point.
Settings::Value converted(const Settings& given, const SettingRule& rule, const std::string& what) {
  const Settings::Value& value = given.find(rule.name)->value;
  if (value.index() == rule.fallback.index()) return value;
  for (const Settings::Value& other : rule.also)
    if (value.index() == other.index()) return value;
  if (std::holds_alternative<double>(rule.fallback) && std::holds_alternative<int64_t>(value))
    return given.number(rule.name);
  std::string wanted(type_names[rule.fallback.index()]);
  for (const Settings::Value& other : rule.also) wanted += text(" or ", type_names[other.index()]);
  throw UsageError(given.at(rule.name),
                   text(what, ": '", rule.name, "' must be ", wanted, ", got ", value_text(value)));
}

}  // namespace

Settings checked_settings(const Settings& given, std::span<const SettingRule> rules, const std::string& what) {
  reject_unknown(given, rules, what);
  Settings out(given.at());
  for (const SettingRule& rule : rules) {
    if (!given.has(rule.name) && rule.needed)
      throw UsageError(given.at(), text(what, " needs '", rule.name, "' (", rule.about, ")"));
    out.set(std::string(rule.name), given.has(rule.name) ? converted(given, rule, what) : rule.fallback,
            given.at(rule.name));
  }
  return out;
}

void fail_unknown_kind(Site at, std::string_view what, std::string_view name, const std::vector<std::string>& known) {
  const std::string near = did_you_mean(name, known);
  throw UsageError(
      at, text("there is no ", what, " '", name, "'", near.empty() ? text("; there are ", join(known, ", ")) : near));
}

}  // namespace descent::nn
