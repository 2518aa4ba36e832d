#include "descent/tasks/fit_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "descent/data/csv.h"
#include "descent/data/table_encoder.h"

namespace descent::tasks {

std::string recipe_for_table(const std::string& path, const std::string& target) {
  const data::Table table = data::read_csv(path);
  const data::TableEncoder encoder = data::TableEncoder::fit(table, {.target = target});
  const bool classify = encoder.is_classification();
  const int64_t rows = table.rows(), width = std::clamp<int64_t>(encoder.input_count() * 4, 32, 256);
  const int64_t batch = rows < 500 ? 16 : rows < 20000 ? 64 : 256;
  const int64_t epochs = std::clamp<int64_t>(40000 * batch / std::max<int64_t>(rows, 1) / 4, 20, 300);
  const int64_t outputs = classify ? static_cast<int64_t>(encoder.target().classes.size()) : 1;
  return fmt::format(
      "# Made for {0}: {1} rows, {2} inputs, predicting {3} ({4}).\n"
      "# Two hidden layers of {5} units: enough for most tables. Dropout and weight decay hold it back from learning rows\n"
      "# by heart, and the run stops when the validation part has not improved for a while.\n"
      "task = \"{6}\"\n\n[data]\ncsv = '{7}'\ntarget = '{3}'\nvalidation = 0.15\ntest = 0.15\n\n"
      "[[layer]]\nkind = \"linear\"\nfeatures = {5}\n[[layer]]\nkind = \"relu\"\n[[layer]]\nkind = \"dropout\"\nrate = 0.1\n"
      "[[layer]]\nkind = \"linear\"\nfeatures = {5}\n[[layer]]\nkind = \"relu\"\n[[layer]]\nkind = \"linear\"\nfeatures = {8}\n\n"
      "[loss]\nkind = \"{9}\"\n\n[optimizer]\nkind = \"adamw\"\nlearning_rate = 0.002\nweight_decay = 0.01\n\n"
      "[schedule]\nkind = \"cosine\"\nwarm_up = 1\n\n[train]\nepochs = {10}\nbatch_size = {11}\npatience = {12}\n",
      std::filesystem::path(path).filename().string(), rows, encoder.input_count(), target, classify ? fmt::format("{} classes", outputs) : "a number", width,
      classify ? "classify" : "regress", std::filesystem::absolute(path).string(), outputs, classify ? "cross_entropy" : "mean_squared_error", epochs, batch,
      std::max<int64_t>(10, epochs / 5));
}

}  // namespace descent::tasks
