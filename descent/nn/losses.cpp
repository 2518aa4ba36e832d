#include "descent/nn/losses.h"

#include "descent/ops/absolute_error.h"
#include "descent/ops/binary_cross_entropy.h"
#include "descent/ops/binary_hinge.h"
#include "descent/ops/compare.h"
#include "descent/ops/cross_entropy.h"
#include "descent/ops/ctc_loss.h"
#include "descent/ops/div.h"
#include "descent/ops/hinge.h"
#include "descent/ops/huber.h"
#include "descent/ops/kl_divergence.h"
#include "descent/ops/maximum.h"
#include "descent/ops/mean.h"
#include "descent/ops/minimum.h"
#include "descent/ops/one_hot.h"
#include "descent/ops/slice.h"
#include "descent/ops/soft_cross_entropy.h"
#include "descent/ops/squared_error.h"
#include "descent/ops/sum.h"
#include "descent/ops/where.h"

namespace descent::nn {

namespace {

bool one_score_each(Tensor outputs) { return outputs.rank() == 0 || outputs.shape().back() == 1; }

// Targets that lack the outputs' last axis, of size 1, get it; others stay for the op to judge.
Tensor beside(Tensor outputs, Tensor targets, Site at) {
  const bool lacks_axis = one_score_each(outputs) && targets.rank() + 1 == outputs.rank() &&
                          targets.shape() == outputs.shape().first(targets.rank());
  return lacks_axis ? reshape(targets, outputs.shape(), at) : targets;
}

// Targets as numbers of the outputs' element type.
Tensor numbers(Tensor outputs, Tensor targets, Site at) {
  if (is_floating(targets.dtype())) return beside(outputs, targets, at);
  const bool labels = !one_score_each(outputs) && targets.rank() + 1 == outputs.rank();
  return labels ? one_hot(targets, outputs.shape().back(), outputs.dtype(), at)
                : cast(beside(outputs, targets, at), outputs.dtype(), at);
}

// Labels 0 and 1 as targets -1 and 1; targets of that kind as they are.
Tensor signs(Tensor scores, Tensor targets, Site at) {
  const Tensor values = numbers(scores, targets, at);
  return is_floating(targets.dtype()) ? values : add({mul({values, at}, 2), at}, -1);
}

// Several classes with labels, or single scores; targets of the scores' own rank are single, too.
Tensor mean_hinge(Tensor scores, Tensor targets, double margin, Site at) {
  const bool classes = !one_score_each(scores) && targets.dtype() == DType::i32 && targets.rank() < scores.rank();
  return mean(classes ? descent::hinge(scores, targets, margin, at)
                      : binary_hinge(scores, signs(scores, targets, at), margin, at),
              at);
}

}  // namespace

Tensor CrossEntropy::operator()(Tensor scores, Tensor targets, Site at) const {
  if (!is_floating(targets.dtype())) return mean(descent::cross_entropy(scores, targets, label_smoothing, at), at);
  if (!(label_smoothing >= 0 && label_smoothing < 1))
    fail(at, text("cross_entropy: the label_smoothing must be at least 0 and below 1, got ", label_smoothing));
  if (label_smoothing > 0 && targets.rank() > 0)
    targets = add({mul({targets, at}, 1 - label_smoothing), at},
                  label_smoothing / static_cast<double>(targets.shape().back()));
  return mean(soft_cross_entropy(scores, targets, at), at);
}

Tensor SequenceCrossEntropy::operator()(Tensor scores, Tensor labels, Site at) const {
  const bool fits = scores.rank() == 3 && labels.dtype() == DType::i32 && labels.rank() == 2 &&
                    labels.shape()[0] == scores.shape()[0] && labels.shape()[1] >= scores.shape()[1];
  if (!fits)
    fail(at, text("sequence_cross_entropy takes scores [B, T, classes] and labels i32[B, at least T], got ",
                  scores.type(), " and ", labels.type()));
  const Tensor own = slice_axis(labels, 1, 0, scores.shape()[1], 1, at);
  const Tensor counts = less({-1.0, at}, {own, at});
  const Tensor each = descent::cross_entropy(scores, maximum({own, at}, {0.0, at}), label_smoothing, at);
  const Tensor total = sum(where(counts, {each, at}, {0.0, at}), at), number = sum(cast(counts, each.dtype(), at), at);
  return div({total, at}, {maximum({number, at}, {1.0, at}), at});
}

Tensor KlDivergence::operator()(Tensor scores, Tensor targets, Site at) const {
  return mean(descent::kl_divergence(scores, targets, at), at);
}

Tensor MeanSquaredError::operator()(Tensor outputs, Tensor targets, Site at) const {
  return mean(squared_error(outputs, numbers(outputs, targets, at), at), at);
}

Tensor MeanAbsoluteError::operator()(Tensor outputs, Tensor targets, Site at) const {
  return mean(absolute_error(outputs, numbers(outputs, targets, at), at), at);
}

Tensor Huber::operator()(Tensor outputs, Tensor targets, Site at) const {
  return mean(descent::huber(outputs, numbers(outputs, targets, at), delta, at), at);
}

Tensor BinaryCrossEntropy::operator()(Tensor scores, Tensor targets, Site at) const {
  return mean(descent::binary_cross_entropy(scores, numbers(scores, targets, at), at), at);
}

Tensor Hinge::operator()(Tensor scores, Tensor targets, Site at) const {
  return mean_hinge(scores, targets, margin, at);
}

Tensor Perceptron::operator()(Tensor scores, Tensor targets, Site at) const {
  return mean_hinge(scores, targets, 0, at);
}

Tensor PolicyAndValue::operator()(Tensor outputs, Tensor targets, Site at) const {
  const Shape &out = outputs.shape(), &wanted = targets.shape();
  if (out.rank() != 2 || out[1] < 3 || targets.dtype() != DType::i32 || wanted != Shape{out[0], 2})
    fail(at, text("policy_and_value takes outputs [N, classes + 1] and targets i32[N,2], got ", outputs.type(), " and ",
                  targets.type()));
  const int64_t rows = out[0], classes = out[1] - 1;
  const auto column = [&](int64_t i) { return reshape(slice_axis(targets, 1, i, i + 1, 1, at), Shape{rows, 1}, at); };
  const Tensor policy = mean(
      descent::cross_entropy(slice_axis(outputs, 1, 0, classes, 1, at), reshape(column(0), Shape{rows}, at), 0, at),
      at);
  const Tensor outcome = cast(column(1), outputs.dtype(), at);
  const Tensor won = maximum({outcome, at}, {0.0, at});
  const Tensor known = minimum({add({outcome, at}, {1.0, at}), at}, {1.0, at});  // 0 where the outcome is -1
  const Tensor value = descent::binary_cross_entropy(slice_axis(outputs, 1, classes, classes + 1, 1, at), won, at);
  return add({policy, at}, {mul({mean(mul({value, at}, {known, at}), at), at}, {value_weight, at}), at});
}

Tensor Ctc::operator()(Tensor scores, Tensor targets, Site at) const {
  if (scores.rank() != 3 || targets.dtype() != DType::i32 || targets.rank() != 2)
    fail(at, text("ctc takes scores [N, frames, characters + 1] and targets i32[N, most], got ", scores.type(), " and ",
                  targets.type()));
  const Shape rows{scores.shape()[0]};
  const Tensor spoken = cast(less({-1.0, at}, {targets, at}), DType::f32, at);
  const Tensor characters = cast(sum(spoken, {1}, false, at), DType::i32, at);
  const Tensor frames =
      broadcast(constant(scores.graph(), static_cast<double>(scores.shape()[1]), DType::i32, at), rows, at);
  const CtcOptions options{.blank = scores.shape()[2] - 1, .zero_infinity = zero_infinity};
  const Tensor losses = ctc_loss(scores, targets, frames, characters, options, at);
  if (!per_character) return mean(losses, at);
  return mean(div({losses, at}, {maximum({cast(characters, DType::f32, at), at}, {1.0, at}), at}), at);
}

namespace {

template <class T>
Kind<Loss> plain_kind(std::string_view about) {
  return {T::name, about, {}, [](const Settings&) { return Loss(T{}); }};
}

}  // namespace

std::span<const Kind<Loss>> loss_kinds() {
  static const std::vector<Kind<Loss>> kinds = {
      {"cross_entropy",
       "-log of the probability of the label",
       {{"label_smoothing", 0.0, "how much of the target is spread over all classes"}},
       [](const Settings& s) { return Loss(CrossEntropy{s.number("label_smoothing")}); }},
      {"sequence_cross_entropy",
       "the same over the places of sequences that have a label, those below 0 being padding",
       {{"label_smoothing", 0.0, "how much of the target is spread over all classes"}},
       [](const Settings& s) { return Loss(SequenceCrossEntropy{s.number("label_smoothing")}); }},
      plain_kind<KlDivergence>("the divergence from target distributions"),
      plain_kind<MeanSquaredError>("the mean of squared errors"),
      plain_kind<MeanAbsoluteError>("the mean of absolute errors"),
      {"huber",
       "squared for small errors, absolute for large ones",
       {{"delta", 1.0, "where small ends"}},
       [](const Settings& s) { return Loss(Huber{s.number("delta")}); }},
      plain_kind<BinaryCrossEntropy>("-log of the probability of yes or no"),
      {"hinge",
       "by how much the label's score does not lead by the margin",
       {{"margin", 1.0, "the lead that is enough"}},
       [](const Settings& s) { return Loss(Hinge{s.number("margin")}); }},
      plain_kind<Perceptron>("the perceptron's criterion: hinge with margin 0"),
      {"policy_and_value",
       "cross entropy of a choice, and binary cross entropy of what comes of it",
       {{"value_weight", 1.0, "of the second"}},
       [](const Settings& s) { return Loss(PolicyAndValue{s.number("value_weight")}); }},
      {"ctc",
       "-log of the probability of a transcript, wherever its characters stand",
       {{"zero_infinity", true, "transcripts too long for their frames cost 0 instead of infinity"},
        {"per_character", false, "each transcript's over the number of its characters"}},
       [](const Settings& s) {
         return Loss(Ctc{s.flag("zero_infinity"), s.flag("per_character")});
       }}};
  return kinds;
}

Loss make_loss(std::string_view kind, const Settings& settings) {
  return make_kind(loss_kinds(), "loss", kind, settings);
}

}  // namespace descent::nn
