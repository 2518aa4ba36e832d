#include "descent/tasks/recipe.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>
#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include "descent/nn/losses.h"
#include "descent/nn/make_layer.h"
#include "descent/optim/optimizer.h"
#include "descent/optim/schedules.h"

namespace descent::tasks {

namespace {

using nn::Settings;
using Rules = std::vector<nn::SettingRule>;

const Rules data_rules{
    {"name", std::string(), "a data set of the catalogue"},
    {"csv", std::string(), "a table; its path counts from the recipe's folder"},
    {"target", std::string(), "the column to predict"},
    {"rows", std::string(), "a table written here, as CSV text"},
    {"validation", 0.1, "the part of the training rows held out to judge by"},
    {"test", 0.2, "the part of all rows held out to the end, where the data have no test part"},
    {"normalize", true, "inputs get mean 0 and deviation 1, as learnt on the training part"},
};
const Rules train_rules{
    {"epochs", int64_t{10}, "times through the training part"},
    {"batch_size", int64_t{128}, "examples a step"},
    {"seed", int64_t{0}, "of initial values, dropout, order and augmentation"},
    {"patience", int64_t{0}, "epochs without a better validation before the run stops; 0: never"},
    {"clip_norm", 0.0, "the largest norm of all gradients together; 0: none"},
    {"clip_value", 0.0, "the largest size of a gradient's element; 0: none"},
    {"l1", 0.0, "penalty on the sum of the weights' sizes"},
    {"l2", 0.0, "penalty on half the sum of the weights' squares"},
    {"average", 0.0, "the decay of a moving average of the weights, which is then what is judged and kept; 0: none"},
    {"data_threads", int64_t{1}, "threads that shuffle, augment and copy"},
    {"record_every", int64_t{100}, "steps between two records of each layer's gradients"},
};
const Rules augment_rules{
    {"shift", 0.0, "pixels along each axis, at most"},     {"rotate", 0.0, "degrees either way, at most"},
    {"scale", 0.0, "part of the size, at most"},           {"shear", 0.0, "degrees, at most"},
    {"elastic_alpha", 0.0, "strength of the elastic field"}, {"elastic_sigma", 4.0, "its smoothness in pixels"},
};

struct Section {
  std::string_view name;
  Settings Recipe::*field;
  const Rules* rules;  // null: a kind, checked by its own table
};
const Section sections[] = {
    {"data", &Recipe::data, &data_rules},     {"train", &Recipe::train, &train_rules}, {"augment", &Recipe::augment, &augment_rules},
    {"loss", &Recipe::loss, nullptr},         {"optimizer", &Recipe::optimizer, nullptr}, {"schedule", &Recipe::schedule, nullptr},
};

Site site_at(const std::filesystem::path& path, const toml::node& node) { return nn::site_of(path.string(), node.source().begin.line); }

Settings to_settings(const std::filesystem::path& path, const toml::table& table);

Settings::Value to_value(const std::filesystem::path& path, std::string_view key, const toml::node& node) {
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* array = node.as_array()) {
    std::vector<Settings> list;
    for (const toml::node& item : *array) {
      if (!item.is_table()) throw UsageError(site_at(path, node), text("'", key, "' must be a list of tables"));
      list.push_back(to_settings(path, *item.as_table()));
    }
    return list;
  }
  throw UsageError(site_at(path, node), text("'", key, "' is of a kind that recipes do not have"));
}

Settings to_settings(const std::filesystem::path& path, const toml::table& table) {
  Settings out(site_at(path, table));
  for (const auto& [key, node] : table) out.set(std::string(key.str()), to_value(path, key.str(), node), site_at(path, node));
  return out;
}

// --- overrides ---

toml::node* child(toml::node& node, const std::string& key) {
  if (toml::table* table = node.as_table()) return table->get(key);
  if (toml::array* array = node.as_array())
    if (!key.empty() && key.find_first_not_of("0123456789") == std::string::npos && std::stoul(key) < array->size()) return array->get(std::stoul(key));
  return nullptr;
}

void apply_override(toml::table& root, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos) throw UsageError(text("--set ", assignment, ": write it as KEY=VALUE"));
  std::string key = assignment.substr(0, equals), value = assignment.substr(equals + 1);
  toml::table parsed;
  try {
    parsed = toml::parse("value = " + value);
  } catch (const toml::parse_error&) {
    parsed.insert("value", value);  // a bare word is a string
  }
  toml::node* at = &root;
  std::stringstream parts(key);
  std::vector<std::string> path;
  for (std::string part; std::getline(parts, part, '.');) path.push_back(part);
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    toml::node* next = child(*at, path[i]);
    if (next == nullptr && at->is_table()) {
      at->as_table()->insert(path[i], toml::table{});
      next = child(*at, path[i]);
    }
    if (next == nullptr) throw UsageError(text("--set ", assignment, ": the recipe has no '", path[i], "' there"));
    at = next;
  }
  toml::table* table = at->as_table();
  if (table == nullptr) throw UsageError(text("--set ", assignment, ": '", key, "' is not a setting"));
  parsed.get("value")->visit([&](auto& found) { table->insert_or_assign(path.back(), found); });
}

void read_top(Recipe& recipe, const toml::table& root) {
  std::vector<std::string> known{"task", "layer"};
  for (const Section& section : sections) known.emplace_back(section.name);
  for (const auto& [key, node] : root) {
    const std::string name(key.str());
    if (std::ranges::find(known, name) == known.end())
      throw UsageError(site_at(recipe.path, node), text("unknown key '", name, "'", did_you_mean(name, known)));
  }
  recipe.task = root["task"].value_or(std::string("classify"));
  if (recipe.task != "classify" && recipe.task != "regress")
    throw UsageError(site_at(recipe.path, *root.get("task")),
                     text("unknown task '", recipe.task, "'", did_you_mean(recipe.task, std::vector<std::string>{"classify", "regress"})));
}

void read_sections(Recipe& recipe, const toml::table& root) {
  for (const Section& section : sections) {
    Settings given(nn::site_of(recipe.path.string(), 1));
    if (const toml::node* node = root.get(section.name)) {
      if (!node->is_table()) throw UsageError(site_at(recipe.path, *node), text("'", section.name, "' must be a table: [", section.name, "]"));
      given = to_settings(recipe.path, *node->as_table());
    }
    recipe.*section.field = section.rules ? nn::checked_settings(given, *section.rules, text("[", section.name, "]")) : given;
  }
  if (const toml::node* node = root.get("layer")) {
    const Settings::Value list = to_value(recipe.path, "layer", *node);
    if (!std::holds_alternative<std::vector<Settings>>(list)) throw UsageError(site_at(recipe.path, *node), "layers are written as [[layer]] tables");
    recipe.layers = std::get<std::vector<Settings>>(list);
  }
}

}  // namespace

Recipe parse_recipe(const std::string& source, const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  Recipe recipe;
  recipe.path = path;
  toml::table root;
  try {
    root = toml::parse(source, path.string());
  } catch (const toml::parse_error& error) {
    throw UsageError(nn::site_of(path.string(), error.source().begin.line), std::string(error.description()));
  }
  for (const std::string& assignment : overrides) apply_override(root, assignment);
  read_top(recipe, root);
  read_sections(recipe, root);
  std::ostringstream out;
  out << root;
  recipe.text = overrides.empty() ? source : out.str();
  return recipe;
}

Recipe read_recipe(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  std::ifstream file(path);
  if (!file) throw UsageError(text("the recipe ", path.string(), " cannot be read"));
  return parse_recipe({std::istreambuf_iterator<char>(file), {}}, path, overrides);
}

namespace {

// Every leaf of a table with its dotted key, as text.
void flatten(const toml::node& node, const std::string& key, std::vector<std::pair<std::string, std::string>>& out) {
  const std::string dot = key.empty() ? "" : key + ".";
  if (const toml::table* table = node.as_table()) {
    for (const auto& [name, inner] : *table) flatten(inner, dot + std::string(name.str()), out);
  } else if (const toml::array* array = node.as_array()) {
    for (size_t i = 0; i < array->size(); ++i) flatten(*array->get(i), dot + std::to_string(i), out);
  } else {
    std::ostringstream value;
    node.visit([&](const auto& leaf) { value << leaf; });
    out.emplace_back(key, value.str());
  }
}

}  // namespace

std::string first_difference(const Recipe& run, const Recipe& now) {
  std::vector<std::pair<std::string, std::string>> before, after;
  flatten(toml::parse(run.text), "", before);
  flatten(toml::parse(now.text), "", after);
  const auto value_in = [](const auto& list, const std::string& key) {
    const auto at = std::ranges::find(list, key, &std::pair<std::string, std::string>::first);
    return at == list.end() ? std::string("not set") : at->second;
  };
  for (const auto& [key, value] : before)
    if (value_in(after, key) != value) return text(key, " is ", value, " in the run and ", value_in(after, key), " now");
  for (const auto& [key, value] : after)
    if (value_in(before, key) != value) return text(key, " is not set in the run and ", value, " now");
  return "";
}

}  // namespace descent::tasks
