// What a trained run is used for: judging it on data, and asking it about new inputs.
#pragma once

#include "descent/tasks/run.h"

namespace descent::tasks {

// `what`: "test", "train" or "validation" of the recipe's data, or the path of a CSV file with the target column.
data::Dataset examples_of(const Loaded& run, const std::string& what);

// counts[i][j]: examples of class i taken for class j.
struct Confusion {
  std::vector<std::string> classes;
  std::vector<std::vector<int64_t>> counts;

  double precision(size_t i) const;  // of those taken for i, the part that are; 0 if there are none
  double recall(size_t i) const;     // of those that are i, the part taken for it
  double f1(size_t i) const;         // their harmonic mean
  double macro_f1() const;
};
Confusion confusion_of(Loaded& run, const data::Dataset& data);

// One input and what the run says of it.
struct Prediction {
  std::string source;                                       // "digit.png", "images.idx:17", "table.csv:3"
  Array image = {};                                         // what the net saw, if it was an image
  std::vector<std::pair<std::string, double>> classes = {};  // by probability, largest first
  std::optional<double> number = {};                        // of a regression
};

// `inputs`: PNG files of any size, `file:17` of an idx file, or CSV files (every row). Fails naming the input.
std::vector<Prediction> predict(Loaded& run, const std::vector<std::string>& inputs);

// A grey image drawn with block characters, two rows of pixels a line.
std::string drawn(const Array& image);

}  // namespace descent::tasks
