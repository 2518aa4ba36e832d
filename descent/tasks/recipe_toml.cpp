#include "descent/tasks/recipe_toml.h"

#include <toml++/toml.h>

#include <sstream>

namespace descent::tasks {

namespace {

using nn::Settings;

class Converter {
 public:
  explicit Converter(const std::filesystem::path& path) : file_(path.string()) {}

  Settings settings(const toml::table& table) const {
    Settings out(site(table));
    for (const auto& [key, node] : table) {
      const Site at = node.source().begin.line != 0 ? site(node) : site(key);
      out.set(std::string(key.str()), value(key.str(), node), at);
    }
    return out;
  }

 private:
  template <class Located>
  Site site(const Located& located) const {
    const auto line = located.source().begin.line;
    return line == 0 ? Site{} : nn::site_of(file_, static_cast<unsigned>(line));  // 0: from an override
  }

  Settings::Value value(std::string_view key, const toml::node& node) const {
    if (const auto* table = node.as_table()) return std::vector{settings(*table)};
    if (const auto* array = node.as_array()) return list(key, *array);
    return plain(key, node);
  }

  Settings::Value plain(std::string_view key, const toml::node& node) const {
    if (const auto* flag = node.as_boolean()) return flag->get();
    if (const auto* integer = node.as_integer()) return integer->get();
    if (const auto* number = node.as_floating_point()) return number->get();
    if (const auto* word = node.as_string()) return word->get();
    throw UsageError(site(node), text("'", key, "' is a date, a time or a list in a list, which no setting is"));
  }

  Settings::Value list(std::string_view key, const toml::array& array) const {
    std::vector<Settings> out;
    for (const toml::node& item : array) {
      if (const auto* table = item.as_table()) {
        out.push_back(settings(*table));
        continue;
      }
      Settings wrapped(site(item));
      wrapped.set("value", plain(key, item), site(item));
      out.push_back(std::move(wrapped));
    }
    return out;
  }

  std::string file_;
};

// --- overrides: KEY=VALUE ---

struct Override {
  std::vector<std::string> keys;
  toml::table holder;  // {value = ..}
};

bool is_number(const std::string& key) {
  return !key.empty() && key.size() < 9 && key.find_first_not_of("0123456789") == std::string::npos;
}

Override parse_override(const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == 0 || equals == std::string::npos)
    throw UsageError("write it as KEY=VALUE, such as train.epochs=3 or layers.1.features=64");
  Override out;
  std::stringstream parts(assignment.substr(0, equals));
  for (std::string part; std::getline(parts, part, '.');) out.keys.push_back(part);
  const std::string value = assignment.substr(equals + 1);
  try {
    out.holder = toml::parse("value = " + value);
    if (out.holder.size() != 1) throw UsageError("the value is no single TOML value");
  } catch (const toml::parse_error&) {
    out.holder = toml::table{{"value", value}};  // a bare word is a string
  }
  return out;
}

// What is called `key` inside of `node`; a missing table is made.
toml::node& inside(toml::node& node, const std::string& key) {
  if (toml::array* array = node.as_array()) {
    if (is_number(key) && std::stoul(key) < array->size()) return *array->get(std::stoul(key));
    throw UsageError(text("there are ", array->size(), " items, counted from 0, and no '", key, "'"));
  }
  toml::table* table = node.as_table();
  if (table == nullptr) throw UsageError(text("'", key, "' would be in something that is no table"));
  if (!table->contains(key)) table->insert(key, toml::table{});
  return *table->get(key);
}

void apply(toml::table& root, const std::string& assignment) {
  const Override change = parse_override(assignment);
  toml::node* at = &root;
  for (size_t i = 0; i + 1 < change.keys.size(); ++i) at = &inside(*at, change.keys[i]);
  toml::table* table = at->as_table();
  if (table == nullptr) throw UsageError(text("'", change.keys.back(), "' would be in something that is no table"));
  change.holder.get("value")->visit([&](const auto& value) { table->insert_or_assign(change.keys.back(), value); });
}

toml::table parsed(const std::string& source, const std::filesystem::path& path) {
  try {
    return toml::parse(source, path.string());
  } catch (const toml::parse_error& error) {
    throw UsageError(nn::site_of(path.string(), static_cast<unsigned>(error.source().begin.line)),
                     text("this is no TOML: ", error.description()));
  }
}

}  // namespace

TomlRecipe parse_toml(const std::string& source, const std::filesystem::path& path,
                      const std::vector<std::string>& overrides) {
  toml::table root = parsed(source, path);
  for (const std::string& assignment : overrides) apply(root, assignment);
  TomlRecipe out{Converter(path).settings(root), source};
  if (overrides.empty()) return out;
  std::ostringstream printed;
  printed << "# " << path.filename().string() << " with --set " << join(overrides, " --set ") << "\n" << root << "\n";
  out.text = printed.str();
  return out;
}

}  // namespace descent::tasks
