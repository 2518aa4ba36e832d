// A sensible recipe made from a table.
#pragma once

#include <string>

namespace descent::tasks {

// The text of a recipe that trains on the CSV file `path` to predict the column `target`: classification for categories
// and few different integers, else regression; net, batch and epochs by the numbers of rows and inputs. Fails naming
// the column if the table has no such one.
std::string recipe_for_table(const std::string& path, const std::string& target);

}  // namespace descent::tasks
