// Writing recipes. Internal to tasks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "descent/nn/settings.h"

namespace descent::tasks {

std::string toml_string(std::string_view text);  // a TOML basic string, with its quotes

// Tables, or the plain values of a list, as a TOML list on one line: what recipe_toml.h reads as these settings.
std::string toml_list(const std::vector<nn::Settings>& items);

std::string commented(const std::string& text);  // as comment lines of at most 120 columns

int64_t power_of_two(double value);  // the nearest, by ratio; at least 1

}  // namespace descent::tasks
