// What a recipe can be for. A task joins data, a net, a loss and metrics, and says what outputs mean.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "descent/base/error.h"
#include "descent/core/array.h"
#include "descent/data/dataset.h"
#include "descent/data/table_encoder.h"
#include "descent/nn/losses.h"

namespace descent::tasks {

// What a net says of one example: its classes by score, largest first, or a number.
struct Answer {
  struct Class {
    std::string label;
    double score = 0;         // the net's own output
    double probability = -1;  // below 0 where the loss makes scores no probabilities (hinge, perceptron)
  };
  std::vector<Class> classes;
  double number = 0;
};

struct TaskKind {
  std::string_view name, about;
  std::string_view default_loss;
  bool classes;                   // predicts classes, else numbers
  data::TargetKind table_target;  // how a table's target column is read

  // How many outputs the data need of the net, and why, for errors: 10, "10 classes".
  int64_t (*outputs)(const data::Dataset& data);
  std::string (*outputs_text)(const data::Dataset& data);

  // Whether one output instead of them will do: two classes, told apart by a threshold.
  bool (*single_output)(const data::Dataset& data, const nn::Loss& loss);

  // A row of outputs as an answer. `encoder` may be null: the numbers are as they were.
  Answer (*answer)(std::span<const float> outputs, const nn::Loss& loss, const std::vector<std::string>& classes,
                   const data::TableEncoder* encoder);

  bool sequences = false;         // an example has an answer at each of its places
  std::string_view monitor = "";  // the figure that tells the best epoch; "": the loss's own
};

std::span<const TaskKind> task_kinds();

// Fails with UsageError naming the nearest one.
const TaskKind& find_task(std::string_view name, Site at = {});

}  // namespace descent::tasks
