// Deep against wide: what hidden layers are worth. Nets of 1, 2, 3, 5 and 7 hidden layers are trained as a recipe says,
// once with equally many parameters and once with equally many neurons, from several seeds each, and judged by the
// test part.
//
// Seide, Li and Yu, "Conversational speech transcription using context-dependent deep neural networks", Interspeech
// 2011, found for words of telephone conversations: seven layers of 2,048 do better than one, and than one that is as
// large as the seven.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "descent/tasks/run.h"

namespace descent::tasks {

struct DepthOptions {
  int64_t budget = 0;   // parameters
  int64_t neurons = 0;  // of all hidden layers together; 0: as many as one layer has within the budget
  int64_t seeds = 3;    // the recipe's and those after it
  std::vector<int64_t> depths = {1, 2, 3, 5, 7};
  std::filesystem::path directory = {};  // of the study: a run a training, and the report
  std::shared_ptr<train::Progress> progress = train::progress_on_stderr();
};

struct Spread {
  double mean = 0, deviation = 0, least = 0, most = 0;  // the deviation of a sample: 0 of a single number
};
Spread spread_of(std::span<const double> numbers);

// One net of the study, and what came of it.
struct DepthRow {
  int64_t depth = 0, width = 0, parameters = 0;
  std::vector<double> test = {}, training = {};  // a number a seed, those that are trained yet: see DepthStudy::measure
  double seconds = 0;                            // of training, the mean

  int64_t neurons() const { return depth * width; }
};

struct DepthSeries {
  std::string name;  // "equal parameters"
  std::vector<DepthRow> rows;
};

struct DepthStudy {
  std::filesystem::path directory;
  std::string recipe, measure;  // the file's name; "error, %", "rmse" or "loss": less is better
  int64_t budget = 0, test_rows = 0;
  std::vector<DepthSeries> series;
  bool interrupted = false;

  // One sentence a series: which depth is best, and whether chance could have made it so.
  std::vector<std::string> findings() const;
  std::string to_csv() const;
  std::string to_markdown() const;  // the table, the findings, and the figures of 2011
  std::string to_svg() const;
  std::string to_json() const;
};

// Trains what is not trained yet; each net is a run of its own in the directory ("3x128-seed-0"), and one that was
// stopped goes on. Then, and after each training, writes depth.csv, depth.md and depth.svg there. An interrupt ends it
// with what there is. Fails with UsageError where the recipe's net has no hidden layers to vary, a budget is too small,
// there is no part to judge by, or the directory holds runs of another recipe.
DepthStudy depth_study(const Recipe& recipe, const DepthOptions& options);

}  // namespace descent::tasks
