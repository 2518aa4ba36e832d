// Settings by name: how recipes choose layers, initialisers, losses, optimisers and schedules. Each of those has one
// table of kinds; what a table says is what a recipe may say, what errors suggest and what documentation lists.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::nn {

// Named values in the order given, each with the line it was written on.
class Settings {
 public:
  using Value = std::variant<bool, int64_t, double, std::string, std::vector<Settings>>;
  struct Item {
    std::string name;
    Value value;
    Site at = {};
  };

  Settings() = default;
  Settings(std::initializer_list<Item> items);
  explicit Settings(Site at) : at_(at) {}

  // Fails if the name is there already.
  Settings& set(std::string name, Value value, Site at = {});

  const Item* find(std::string_view name) const;  // nullptr if absent
  bool has(std::string_view name) const { return find(name) != nullptr; }
  Settings without(std::span<const std::string_view> names) const;

  // Each fails, naming the setting, if it is absent or of another kind.
  bool flag(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;  // an integer will do
  const std::string& word(std::string_view name) const;
  const std::vector<Settings>& list(std::string_view name) const;

  Site at() const { return at_; }
  Site at(std::string_view name) const;  // of one setting, or of the whole
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }

 private:
  Site at_;
  std::vector<Item> items_;
};

// A line of a file whose name is known only at run time (a recipe); the name is kept for ever.
Site site_of(std::string_view file, unsigned line);

// What a kind lets be set. The fallback's type is the setting's type, and those of the values in `also` will do too;
// `needed` settings have no fallback, and their value here only tells the type.
struct SettingRule {
  std::string_view name;
  Settings::Value fallback;
  std::string_view about;
  bool needed = false;
  std::vector<Settings::Value> also = {};
};

// `given` with the fallbacks filled in. Fails with UsageError at the setting's line: an unknown one (with the nearest
// known name), one of the wrong type, or one that is missing. `what` is "layer 'linear'".
Settings checked_settings(const Settings& given, std::span<const SettingRule> rules, const std::string& what);

// One row of a table.
template <class Made>
struct Kind {
  std::string_view name, about;
  std::vector<SettingRule> settings;
  std::function<Made(const Settings&)> make;  // from checked settings
};

[[noreturn]] void fail_unknown_kind(Site at, std::string_view what, std::string_view name,
                                    const std::vector<std::string>& known);

// The row called `name`; fails with UsageError naming the nearest one. `what` is "layer".
template <class Made>
const Kind<Made>& find_kind(std::span<const Kind<Made>> table, std::string_view what, std::string_view name,
                            Site at = {}) {
  std::vector<std::string> known;
  for (const Kind<Made>& kind : table) {
    if (kind.name == name) return kind;
    known.emplace_back(kind.name);
  }
  fail_unknown_kind(at, what, name, known);
}

template <class Made>
Made make_kind(std::span<const Kind<Made>> table, std::string_view what, std::string_view name, const Settings& given) {
  const Kind<Made>& kind = find_kind(table, what, name, given.at());
  return kind.make(checked_settings(given, kind.settings, text(what, " '", name, "'")));
}

}  // namespace descent::nn
