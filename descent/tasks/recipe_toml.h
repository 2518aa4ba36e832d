// TOML as settings. Internal to tasks: the door is recipe.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "descent/nn/settings.h"

namespace descent::tasks {

struct TomlRecipe {
  nn::Settings root;  // tables are lists of one table; a list of plain values is one of tables {value = ..}
  std::string text;   // with the overrides in it
};

// Fails with UsageError naming the line of what is no TOML, or the override that cannot be applied.
TomlRecipe parse_toml(const std::string& text, const std::filesystem::path& path,
                      const std::vector<std::string>& overrides);

}  // namespace descent::tasks
