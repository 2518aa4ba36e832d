#include "descent/tasks/depth.h"

#include <algorithm>
#include <cmath>

#include "descent/base/text.h"
#include "descent/io/atomic_file.h"
#include "descent/tasks/hidden_layers.h"

namespace descent::tasks {

namespace fs = std::filesystem;

namespace {

// What nets are compared by, and how it is had from a run's figures.
struct Measure {
  std::string_view figure, text;
  double offset, factor;

  double of(const train::Figures& figures) const {
    const std::optional<double> value = train::figure(figures, figure);
    return value ? offset + factor * *value : std::nan("");
  }
};
constexpr Measure error_rate{"accuracy", "error, %", 100, -100}, root_error{"rmse", "rmse", 0, 1},
    plain_loss{"loss", "loss", 0, 1};

const Measure& measure_for(const Recipe& recipe) {
  if (recipe.task == "classify") return error_rate;
  return recipe.task == "regress" ? root_error : plain_loss;
}

bool has_rows(const data::Dataset& part) { return part.size() > 0 && part.targets; }

std::string units_text(const DepthRow& row) {
  return text(row.depth, row.depth == 1 ? " hidden layer of " : " hidden layers of ", row.width, " units, ",
              row.parameters, " parameters");
}

class Study {
 public:
  Study(const Recipe& recipe, const DepthOptions& options)
      : recipe_(recipe), options_(options), hidden_(recipe), measure_(measure_for(recipe)) {
    const Examples examples = load_examples(recipe);
    const data::Splits& splits = examples.splits;
    tested_ = has_rows(splits.test);
    if (!tested_ && !has_rows(splits.validation))
      throw UsageError(recipe.data.at(), "the study needs a part to judge the nets by: give [data] test or validation");
    result_ = {.directory = options.directory,
               .recipe = recipe.path.filename().string(),
               .measure = std::string(measure_.text),
               .budget = options.budget,
               .test_rows = tested_ ? splits.test.size() : splits.validation.size(),
               .series = {{"equal parameters", of_equal_parameters(examples.preprocess)}}};
    result_.series.push_back({"equal neurons", of_equal_neurons(examples.preprocess)});
  }

  // Seeds are outermost, so that a study that is stopped has seen all nets equally often.
  DepthStudy run() {
    for (int64_t seed = 0; seed < options_.seeds; ++seed)
      for (DepthSeries& series : result_.series)
        for (DepthRow& row : series.rows) {
          ++number_;
          if (!add(series, row, static_cast<int64_t>(recipe_.seed()) + seed)) return interrupted();
        }
    write();
    return result_;
  }

 private:
  std::vector<DepthRow> of_equal_parameters(const Preprocess& preprocess) const {
    std::vector<DepthRow> rows;
    for (const int64_t depth : options_.depths) {
      const int64_t width = hidden_.width_for(preprocess, depth, options_.budget);
      rows.push_back({depth, width, hidden_.parameters(preprocess, depth, width)});
    }
    return rows;
  }

  std::vector<DepthRow> of_equal_neurons(const Preprocess& preprocess) const {
    const int64_t neurons = options_.neurons > 0 ? options_.neurons : hidden_.width_for(preprocess, 1, options_.budget);
    std::vector<DepthRow> rows;
    for (const int64_t depth : options_.depths) {
      const int64_t width = (neurons + depth / 2) / depth;
      if (width == 0) throw UsageError(text(neurons, " neurons are too few for ", depth, " hidden layers"));
      rows.push_back({depth, width, hidden_.parameters(preprocess, depth, width)});
    }
    return rows;
  }

  // Trains the net from this seed unless that is done, and adds what came of it. False: interrupted.
  bool add(const DepthSeries& series, DepthRow& row, int64_t seed) {
    Recipe recipe = hidden_.recipe(row.depth, row.width);
    recipe = parse_recipe(recipe.text, recipe.path, {text("train.seed=", seed)});
    recipe.base = recipe_.base;
    const fs::path directory = options_.directory / text(row.depth, "x", row.width, "-seed-", seed);
    std::optional<RunFigures> figures = figures_of_run(directory);
    if (figures) require_same(directory, recipe);
    if (!figures) {
      if (options_.progress)
        options_.progress->note(text("[", number_, "/", options_.seeds * nets(), "] ", series.name, ": ",
                                     units_text(row), ", seed ", seed));
      if (!train(recipe, directory)) return false;
      figures = figures_of_run(directory);
    }
    row.seconds = (row.seconds * static_cast<double>(row.test.size()) + figures->seconds) /
                  static_cast<double>(row.test.size() + 1);
    row.test.push_back(measure_.of(tested_ ? figures->test : figures->validation));
    row.training.push_back(measure_.of(figures->train));
    write();
    return true;
  }

  bool train(const Recipe& recipe, const fs::path& directory) const {
    const bool begun = fs::exists(directory / "run.json");
    try {
      const RunResult result =
          train_run(recipe, {.directory = directory, .resume = begun, .progress = options_.progress});
      return result.report.outcome != train::Outcome::interrupted;
    } catch (const train::Diverged& error) {
      throw train::Diverged(text(directory.string(), ": ", error.what()));
    }
  }

  static void require_same(const fs::path& directory, const Recipe& recipe) {
    const std::string difference = first_difference(recipe_of_run(directory), recipe);
    if (!difference.empty())
      throw UsageError(text(directory.string(), " was trained by another recipe: ", difference,
                            "; choose another folder for the study"));
  }

  int64_t nets() const { return std::ssize(result_.series) * std::ssize(options_.depths); }

  DepthStudy interrupted() {
    result_.interrupted = true;
    return result_;
  }

  void write() const {
    io::write_file(options_.directory / "depth.csv", result_.to_csv());
    io::write_file(options_.directory / "depth.md", result_.to_markdown());
    io::write_file(options_.directory / "depth.svg", result_.to_svg());
  }

  const Recipe& recipe_;
  const DepthOptions& options_;
  HiddenLayers hidden_;
  const Measure& measure_;
  bool tested_ = false;
  int64_t number_ = 0;
  DepthStudy result_;
};

}  // namespace

Spread spread_of(std::span<const double> numbers) {
  if (numbers.empty()) return {};
  Spread out{.least = *std::ranges::min_element(numbers), .most = *std::ranges::max_element(numbers)};
  const auto count = static_cast<double>(numbers.size());
  for (const double number : numbers) out.mean += number / count;
  for (const double number : numbers) out.deviation += (number - out.mean) * (number - out.mean);
  out.deviation = numbers.size() > 1 ? std::sqrt(out.deviation / (count - 1)) : 0;
  return out;
}

DepthStudy depth_study(const Recipe& recipe, const DepthOptions& options) {
  std::error_code problem;
  Study study(recipe, options);
  fs::create_directories(options.directory, problem);
  if (problem) fail(text("cannot make the study's directory ", options.directory.string(), ": ", problem.message()));
  return study.run();
}

}  // namespace descent::tasks
