// Other programs, run without a shell. Internal to the catalogue.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace descent::data::catalogue {

// Runs a program found on PATH, in `directory`, with its input closed, and returns what it wrote to standard output.
// Fails, in a sentence with the program's own first line about an error, if it is not installed, does not end with 0,
// or takes longer than `seconds` (it is then killed).
std::string run(const std::vector<std::string>& command, const std::filesystem::path& directory, double seconds);

}  // namespace descent::data::catalogue
