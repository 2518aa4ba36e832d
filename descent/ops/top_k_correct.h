#pragma once

#include "descent/ops/cast.h"
#include "descent/ops/compare.h"
#include "descent/ops/labelled.h"

namespace descent {

// Ties go to the lower class, as in argmax, so that k = 1 is "argmax equals the label" and scores that are all alike
// count as one answer, not as every answer. A NaN score and a label outside 0 .. classes - 1 count as wrong.
struct TopKCorrect {
  static constexpr auto name = "top_k_correct";
  static constexpr auto summary = "1 where the label is among the k classes of largest score, else 0: {k}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 2;
  static constexpr auto no_gradient = "it counts; minimise a loss instead";

  static std::vector<Type> infer(const InferArgs& args) {
    const int64_t k = args.attrs.integer("k");
    if (k < 1) fail(text(name, ": k must be at least 1, got ", k));
    return infer_labelled(args, name);
  }

  static void evaluate(const EvalArgs& args) {
    evaluate_labelled(args, [k = args.attrs.integer("k")](std::span<const double> row, int64_t label) {
      const double own = label_score(row, label);
      int64_t before = 0;
      for (int64_t i = 0; i < static_cast<int64_t>(row.size()); ++i) {
        const double other = row[static_cast<size_t>(i)];
        before += !(other < own) && (other != own || i < label);
      }
      return before < k && label >= 0 && label < static_cast<int64_t>(row.size()) ? 1.0 : 0.0;
    });
  }

  // The label's place in its row is the number of classes that come before it.
  static Tensors expand(const ExpandArgs& args) {
    const Tensor scores = args.inputs[0], labels = beside_classes(args.inputs[1], args.at);
    const Tensor index = class_index(scores, args.at), own = max_where(equal(index, labels), scores, args.at);
    const Tensor before =
        where(less(scores, own), 0, where(equal(scores, own), cast(less(index, labels), DType::f32, args.at), 1));
    const Tensor place = sum(before, {-1}, true, args.at);
    const Tensor known = logical_and(less(-1, labels), less(labels, static_cast<double>(scores.shape().back())));
    const Tensor found = logical_and(known, less(place, static_cast<double>(args.attrs.integer("k"))));
    return {reshape(cast(found, scores.dtype(), args.at), args.inputs[1].shape(), args.at)};
  }

  static Samples samples() {
    const std::vector<SampleInput> rows{{{DType::f32, {40, 10}}, -3, 3}, {{DType::i32, {40}}, 0, 10}};
    return {{"first", rows, {{"k", 1}}},
            {"first three", rows, {{"k", 3}}},
            {"positions", {{{DType::f32, {2, 3, 5}}}, {{DType::i32, {2, 3}}, 0, 5}}, {{"k", 2}}},
            {"one row", {{{DType::f32, {7}}}, {{DType::i32, {}}, 0, 7}}, {{"k", 5}}},
            {"ties",
             {{{DType::f32, {3, 3}}, 0, 0, {1, 1, 1, 1, 1, 1, 0, 2, 2}}, {{DType::i32, {3}}, 0, 0, {0, 1, 2}}},
             {{"k", 1}}},
            {"out of range", {{{DType::f32, {2, 3}}}, {{DType::i32, {2}}, 0, 0, {-1, 3}}}, {{"k", 1}}},
            {"empty", {{{DType::f32, {0, 4}}}, {{DType::i32, {0}}}}, {{"k", 1}}}};
  }
  static Misuses misuse() {
    Misuses all = labelled_misuse(name, {{"k", 1}});
    all.push_back(
        {{{DType::f32, {4, 3}}, {DType::i32, {4}}}, {{"k", 0}}, "top_k_correct: k must be at least 1, got 0"});
    return all;
  }
};

// Scores [.., classes] and labels i32[..] give 1 or 0 for each row; the mean of that is the top-k accuracy.
inline Tensor top_k_correct(Tensor scores, Tensor labels, int64_t k = 1, Site at = Site::here()) {
  return apply<TopKCorrect>({scores, labels}, {{"k", k}}, at);
}

}  // namespace descent
