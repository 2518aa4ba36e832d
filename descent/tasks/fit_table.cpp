#include "descent/tasks/fit_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "descent/data/csv.h"
#include "descent/data/table_encoder.h"
#include "descent/tasks/toml_text.h"

namespace descent::tasks {

namespace {

struct Facts {
  std::string path, target;
  int64_t rows = 0, inputs = 0, outputs = 1;
  bool classify = false;
};

Facts facts_of(const std::string& path, const std::string& target) {
  const data::Table table = data::read_csv(path);
  const data::TableEncoder encoder = data::TableEncoder::fit(table, {.target = target});
  return {.path = std::filesystem::absolute(path).lexically_normal().string(),
          .target = target,
          .rows = table.rows(),
          .inputs = encoder.input_count(),
          .outputs = encoder.is_classification() ? static_cast<int64_t>(encoder.target().classes.size()) : 1,
          .classify = encoder.is_classification()};
}

// How large and how long: enough steps for small tables, not too many for large ones.
struct Size {
  int64_t width, batch, epochs, patience;
  double dropout;
};

Size size_for(const Facts& facts) {
  const auto rows = static_cast<double>(facts.rows);
  Size out{};
  out.width = std::clamp<int64_t>(power_of_two(2 * std::sqrt(rows)), 16, 256);
  out.batch = std::clamp<int64_t>(power_of_two(rows / 64), 8, 256);
  const double steps_per_epoch = std::max(1.0, 0.7 * rows / static_cast<double>(out.batch));
  out.epochs = std::clamp<int64_t>(std::llround(6000 / steps_per_epoch), 20, 200);
  out.patience = std::max<int64_t>(10, out.epochs / 5);
  out.dropout = facts.rows < 2000 ? 0.2 : 0.1;
  return out;
}

}  // namespace

std::string recipe_for_table(const std::string& path, const std::string& target) {
  const Facts facts = facts_of(path, target);
  const Size size = size_for(facts);
  const std::string hidden = fmt::format(
      "  {{ kind = \"linear\", features = {} }},\n  {{ kind = \"relu\" }},\n  {{ kind = \"dropout\", rate = {} }},\n",
      size.width, size.dropout);
  return fmt::format(
      "# Made by `descent fit` from {file}: {rows} rows, {inputs} inputs, predicting {target} ({what}).\n"
      "# Two hidden layers of {width} units. Dropout, weight decay and stopping when the validation part gets no "
      "better\n"
      "# hold the net back from learning the training rows by heart.\n"
      "task = \"{task}\"\n"
      "layers = [\n{hidden}{hidden}  {{ kind = \"linear\", features = {outputs} }},\n]\n\n"
      "[data]\ncsv = {path}\ntarget = {column}\nvalidation = 0.15\ntest = 0.15\n\n"
      "[loss]\nkind = \"{loss}\"\n\n"
      "[optimizer]\nkind = \"adamw\"\nlearning_rate = 0.002\nweight_decay = 0.02\n\n"
      "[schedule]\nkind = \"cosine\"\n\n"
      "[train]\nepochs = {epochs}\nbatch_size = {batch}\npatience = {patience}\nmonitor = \"loss\"\n",
      fmt::arg("file", std::filesystem::path(path).filename().string()), fmt::arg("rows", facts.rows),
      fmt::arg("inputs", facts.inputs), fmt::arg("target", toml_string(facts.target)),
      fmt::arg("what", facts.classify ? fmt::format("{} classes", facts.outputs) : "a number"),
      fmt::arg("width", size.width), fmt::arg("task", facts.classify ? "classify" : "regress"),
      fmt::arg("hidden", hidden), fmt::arg("outputs", facts.outputs), fmt::arg("path", toml_string(facts.path)),
      fmt::arg("column", toml_string(facts.target)),
      fmt::arg("loss", facts.classify ? "cross_entropy" : "mean_squared_error"), fmt::arg("epochs", size.epochs),
      fmt::arg("batch", size.batch), fmt::arg("patience", size.patience));
}

}  // namespace descent::tasks
