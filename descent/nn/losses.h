// Losses: one number to minimise, the mean over the batch. Each is a value with its options as fields, called as a
// function: nn::cross_entropy(scores, labels), nn::CrossEntropy{.label_smoothing = 0.1}(scores, labels).
//
// `scores` are a net's outputs before any softmax or sigmoid. Labels are i32 class indices, one for each row of scores:
// scores [.., classes], labels [..].
#pragma once

#include <functional>

#include "descent/graph/op.h"
#include "descent/nn/settings.h"

namespace descent::nn {

// What a loss compares with: class indices, or numbers (distributions among them).
enum class Target { labels, numbers };

// -log of the probability that softmax(scores) gives the label. Targets f32 of the scores' shape are distributions.
// Smoothing (Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016) mixes the target with
// the uniform distribution.
struct CrossEntropy {
  static constexpr std::string_view name = "cross_entropy", metric = "accuracy";
  static constexpr Target target = Target::labels;
  double label_smoothing = 0;
  Tensor operator()(Tensor scores, Tensor targets, Site at = Site::here()) const;
};

// The same at the places of sequences that end where their labels do: scores [B, T, classes] and labels i32 [B, most],
// T at most `most`. Labels below 0 are padding and those beyond the T places are left out; the mean is over the others.
struct SequenceCrossEntropy {
  static constexpr std::string_view name = "sequence_cross_entropy", metric = "accuracy";
  static constexpr Target target = Target::labels;
  double label_smoothing = 0;
  Tensor operator()(Tensor scores, Tensor labels, Site at = Site::here()) const;
};

// The divergence of softmax(scores) from target distributions of the scores' shape, sum(t log(t / p)) for each row
// (Kullback and Leibler, "On information and sufficiency", 1951).
struct KlDivergence {
  static constexpr std::string_view name = "kl_divergence", metric = "";
  static constexpr Target target = Target::numbers;
  Tensor operator()(Tensor scores, Tensor targets, Site at = Site::here()) const;
};

// The next three take targets f32 of the outputs' shape, whose last axis may be left out if it is 1. Labels for outputs
// of several classes count as rows of 0 and 1.

struct MeanSquaredError {
  static constexpr std::string_view name = "mean_squared_error", metric = "rmse";
  static constexpr Target target = Target::numbers;
  Tensor operator()(Tensor outputs, Tensor targets, Site at = Site::here()) const;
};

struct MeanAbsoluteError {
  static constexpr std::string_view name = "mean_absolute_error", metric = "mae";
  static constexpr Target target = Target::numbers;
  Tensor operator()(Tensor outputs, Tensor targets, Site at = Site::here()) const;
};

// Half the square up to delta, then straight on (Huber, "Robust estimation of a location parameter", 1964).
struct Huber {
  static constexpr std::string_view name = "huber", metric = "mae";
  static constexpr Target target = Target::numbers;
  double delta = 1;
  Tensor operator()(Tensor outputs, Tensor targets, Site at = Site::here()) const;
};

// Each score is a yes-or-no question: the cross entropy of sigmoid(score) with targets between 0 and 1, f32, or labels
// 0 and 1. The last axis may be left out of the targets if it is 1.
struct BinaryCrossEntropy {
  static constexpr std::string_view name = "binary_cross_entropy", metric = "accuracy";
  static constexpr Target target = Target::labels;
  Tensor operator()(Tensor scores, Tensor targets, Site at = Site::here()) const;
};

// Labels with several classes: max(0, margin + best other score - the label's score) (Crammer and Singer 2001). With
// one score an example, labels 0 and 1 or f32 targets -1 and 1: max(0, margin - target * score) (Cortes and Vapnik
// 1995).
struct Hinge {
  static constexpr std::string_view name = "hinge", metric = "accuracy";
  static constexpr Target target = Target::labels;
  double margin = 1;
  Tensor operator()(Tensor scores, Tensor targets, Site at = Site::here()) const;
};

// The criterion that the perceptron's rule descends on (Rosenblatt 1958): hinge with margin 0.
struct Perceptron {
  static constexpr std::string_view name = "perceptron", metric = "accuracy";
  static constexpr Target target = Target::labels;
  Tensor operator()(Tensor scores, Tensor targets, Site at = Site::here()) const;
};

// What to do, and what will come of it (Silver et al., "Mastering the game of Go without human knowledge", 2017).
// Outputs [N, classes + 1] and targets i32 [N,2]: the cross entropy of all columns but the last with the first target,
// a label, and `value_weight` times the binary cross entropy of the last with the second, 1 or 0; -1 where it is not
// known.
struct PolicyAndValue {
  static constexpr std::string_view name = "policy_and_value", metric = "accuracy";
  static constexpr Target target = Target::labels;
  double value_weight = 1;
  Tensor operator()(Tensor outputs, Tensor targets, Site at = Site::here()) const;
};

// Connectionist temporal classification (Graves et al. 2006; ops/ctc_loss.h): scores [N, frames, characters + 1], whose
// last class is the blank, against targets i32 [N, most], each row's characters and then -1. The mean over the rows.
struct Ctc {
  static constexpr std::string_view name = "ctc", metric = "cer";
  static constexpr Target target = Target::labels;
  bool zero_infinity = true;  // rows of more characters than their frames can give cost nothing, instead of infinity
  bool per_character = false;  // a row's loss over the number of its characters, so that short ones count as long ones
  Tensor operator()(Tensor scores, Tensor targets, Site at = Site::here()) const;
};

inline constexpr CrossEntropy cross_entropy{};
inline constexpr SequenceCrossEntropy sequence_cross_entropy{};
inline constexpr KlDivergence kl_divergence{};
inline constexpr MeanSquaredError mean_squared_error{};
inline constexpr MeanAbsoluteError mean_absolute_error{};
inline constexpr Huber huber{};
inline constexpr BinaryCrossEntropy binary_cross_entropy{};
inline constexpr Hinge hinge{};
inline constexpr Perceptron perceptron{};
inline constexpr PolicyAndValue policy_and_value{};
inline constexpr Ctc ctc{};

// Any of these, or any function of outputs and targets that gives a scalar, as a trainer takes it.
class Loss {
 public:
  template <class F>
  requires(!std::same_as<F, Loss> && std::is_invocable_r_v<Tensor, const F&, Tensor, Tensor>)
      Loss(F function)  // NOLINT: implicit, as in Trainer{net, cross_entropy, ..}
      : function_([function](Tensor outputs, Tensor targets) { return function(outputs, targets); }) {
    if constexpr (requires { F::name; }) name_ = F::name;
    if constexpr (requires { F::metric; }) metric_ = F::metric;
    if constexpr (requires { F::target; }) target_ = F::target;
  }

  Tensor operator()(Tensor outputs, Tensor targets) const { return function_(outputs, targets); }
  const std::string& name() const { return name_; }
  const std::string& metric() const { return metric_; }  // what to judge by: "accuracy", "rmse", "mae", or ""
  Target target() const { return target_; }

 private:
  std::function<Tensor(Tensor, Tensor)> function_;
  std::string name_ = "loss", metric_;
  Target target_ = Target::numbers;
};

// The table, and a loss from it: make_loss("huber", {{"delta", 2.0}}).
std::span<const Kind<Loss>> loss_kinds();
Loss make_loss(std::string_view kind, const Settings& settings = {});

}  // namespace descent::nn
