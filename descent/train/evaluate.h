// Judging a net: its outputs, loss and metrics on a data set.
#pragma once

#include <optional>

#include "descent/data/dataset.h"
#include "descent/nn/function.h"
#include "descent/nn/losses.h"
#include "descent/nn/module.h"
#include "descent/train/metrics.h"

namespace descent::train {

struct EvaluateOptions {
  nn::Precision precision = nn::Precision::automatic;
  int64_t batch_size = 2000;
  double unit = 1;    // what errors of numbers are multiplied by: the deviation that targets were divided by
  int64_t top_k = 0;  // also how often the label is among the k largest scores; 0: not
  uint64_t seed = 0;  // of parameters, if the net has none yet
};

struct Evaluation {
  Figures figures;  // loss, then the metrics; of sequences accuracy and perplexity, of transcripts cer, wer
                    // and sentence_error
  std::optional<ConfusionMatrix> confusion;  // of a classification of whole examples
};

// Above which a single output means class 1: 0 for losses of scores, 0.5 where outputs are compared with 0 and 1.
double class_threshold(const nn::Loss& loss);

// How many classes outputs [..,K] tell apart: K, and one output two.
int64_t class_count(const Shape& outputs);

// A net with its loss, compiled for large batches and kept for the next call.
class Evaluator {
 public:
  Evaluator(nn::Module& net, nn::Loss loss, EvaluateOptions options = {});

  // Labels are judged as classes, numbers as numbers. Fails if there is no row or no target, and naming the row of a
  // label that is no class of the net.
  Evaluation operator()(const data::Dataset& data);

 private:
  nn::Loss loss_;
  EvaluateOptions options_;
  nn::Function judge_;
};

Evaluation evaluate(nn::Module& net, const nn::Loss& loss, const data::Dataset& data, EvaluateOptions options = {});

// The net's outputs for inputs [N,..]: [N,K].
Array predict(nn::Module& net, const Array& inputs, EvaluateOptions options = {});

}  // namespace descent::train
