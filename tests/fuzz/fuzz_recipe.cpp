// Any text as a recipe, with the first line as an override if it begins with "#set ". A recipe that is taken is made
// into a net, and its text must mean the same when it is read again; so must that of the recipe with other hidden
// layers.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "descent/base/error.h"
#include "descent/tasks/hidden_layers.h"

namespace {

using namespace descent;

std::vector<std::string> overrides_of(const std::string& text) {
  constexpr std::string_view mark = "#set ";
  if (!text.starts_with(mark)) return {};
  return {text.substr(mark.size(), text.find('\n') - mark.size())};
}

// With two hidden layers of three units, if it has any that can be changed.
std::optional<tasks::Recipe> deeper(const tasks::Recipe& recipe) {
  try {
    return tasks::HiddenLayers(recipe).recipe(2, 3);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void check_text(const tasks::Recipe& recipe) {
  const tasks::Recipe again = tasks::parse_recipe(recipe.text, "again.toml");  // an error here is a finding
  if (!tasks::first_difference(recipe, again).empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::optional<tasks::Recipe> recipe;
  try {
    recipe = tasks::parse_recipe(text, "input.toml", overrides_of(text));
    recipe->net();
    recipe->fit_options();
  } catch (const Error&) {
    return 0;
  }
  check_text(*recipe);
  if (const std::optional<tasks::Recipe> other = deeper(*recipe)) check_text(*other);
  return 0;
}
