// Any text as a recipe, with the first line as an override if it begins with "#set ". A recipe that is taken is made
// into a net, and its text must mean the same when it is read again.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "descent/base/error.h"
#include "descent/tasks/recipe.h"

namespace {

using namespace descent;

std::vector<std::string> overrides_of(const std::string& text) {
  constexpr std::string_view mark = "#set ";
  if (!text.starts_with(mark)) return {};
  return {text.substr(mark.size(), text.find('\n') - mark.size())};
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
  const tasks::Recipe again = tasks::parse_recipe(recipe->text, "again.toml");  // an error here is a finding
  if (!tasks::first_difference(*recipe, again).empty()) std::abort();
  return 0;
}
