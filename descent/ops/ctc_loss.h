#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "descent/graph/op.h"

namespace descent {

// Defined in ctc_gradient.h, included below.
Tensor ctc_gradient(Tensor g, std::span<const Tensor> inputs, const Attrs& attrs, Site at);

// Connectionist temporal classification (Graves et al., "Connectionist temporal classification: labelling unsegmented
// sequence data with recurrent neural networks", 2006). Each frame says a class or a blank; a row of frames stands for
// the labels that are left when runs of one class become one and blanks go.
namespace ctc {

struct Sizes {
  int64_t sequences, frames, classes, labels;
};

inline Sizes sizes_of(const Type& scores, const Type& labels) {
  return {scores.shape[0], scores.shape[1], scores.shape[2], labels.shape[1]};
}

// scores, labels, lengths and label_lengths must fit together.
inline void check(std::span<const Type> inputs, const Attrs& attrs, std::string_view name) {
  const Type &scores = inputs[0], &labels = inputs[1];
  if (scores.dtype != DType::f32 || scores.shape.rank() != 3 || scores.shape[2] == 0)
    fail(text(name, ": needs f32 scores [sequences, frames, classes] with at least one class, got ", scores));
  if (labels.dtype != DType::i32 || labels.shape.rank() != 2 || labels.shape[0] != scores.shape[0])
    fail(text(name, ": scores ", scores, " take labels i32[", scores.shape[0], ",most], got ", labels));
  const Type each{DType::i32, {scores.shape[0]}};
  if (inputs[2] != each || inputs[3] != each)
    fail(text(name, ": the numbers of frames and of labels of each sequence are ", each, ", got ", inputs[2], " and ",
              inputs[3]));
  if (const int64_t blank = attrs.integer("blank"); blank < 0 || blank >= scores.shape[2])
    fail(text(name, ": the blank, ", blank, ", is none of the ", scores.shape[2], " classes"));
}

inline double log_add(double a, double b) {
  if (a < b) std::swap(a, b);
  return b == -std::numeric_limits<double>::infinity() ? a : a + std::log1p(std::exp(b - a));
}

// One sequence with its labels, in logarithms of double: the meaning of both ops.
class Paths {
 public:
  // Scores [length, classes].
  Paths(std::span<const double> scores, std::span<const double> labels, int64_t classes, int64_t blank)
      : classes_(classes), frames_(std::ssize(scores) / classes), states_(2 * std::ssize(labels) + 1, blank) {
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto label = static_cast<int64_t>(labels[i]);
      known_ = known_ && label >= 0 && label < classes && label != blank;
      states_[2 * i + 1] = known_ ? label : blank;
    }
    for (int64_t t = 0; t < frames_; ++t) {
      const std::span<const double> row =
          scores.subspan(static_cast<size_t>(t * classes), static_cast<size_t>(classes));
      const double largest = *std::ranges::max_element(row);
      double total = 0;
      for (const double score : row) total += std::exp(score - largest);
      for (const double score : row) log_p_.push_back(score - largest - std::log(total));
    }
    before_ = walk();
  }

  int64_t frames() const { return frames_; }
  double log_p(int64_t t, int64_t c) const { return log_p_[static_cast<size_t>(t * classes_ + c)]; }

  // Of all rows of frames that stand for the labels; minus infinity if there is none.
  double log_probability() const {
    if (!known_) return -std::numeric_limits<double>::infinity();
    if (frames_ == 0) return states_.size() == 1 ? 0 : -std::numeric_limits<double>::infinity();
    const double last = at(before_, frames_ - 1, count() - 1);
    return count() > 1 ? log_add(last, at(before_, frames_ - 1, count() - 2)) : last;
  }

  // How likely each class is at each frame given that the labels are right, [frames, classes].
  std::vector<double> occupancy() const {
    const double all = log_probability();
    std::vector<double> out(log_p_.size(), 0);
    std::vector<double> after(states_.size(), -std::numeric_limits<double>::infinity());  // of what follows frame t
    after[states_.size() - 1] = 0;
    if (count() > 1) after[states_.size() - 2] = 0;
    for (int64_t t = frames_ - 1; t >= 0; --t) {
      for (int64_t s = 0; s < count(); ++s)
        out[static_cast<size_t>(t * classes_ + states_[s])] +=
            std::exp(at(before_, t, s) + after[static_cast<size_t>(s)] - all);
      after = back(t, after);
    }
    return out;
  }

 private:
  int64_t count() const { return std::ssize(states_); }
  double at(const std::vector<double>& table, int64_t t, int64_t s) const {
    return table[static_cast<size_t>(t * count() + s)];
  }

  // Whether a path may go to state s from two states before it: past a blank, to another label.
  bool skips_to(int64_t s) const { return s >= 2 && s % 2 == 1 && states_[s] != states_[s - 2]; }

  // log of the probability of all ways to be in state s after frame t.
  std::vector<double> walk() const {
    std::vector<double> out(static_cast<size_t>(frames_ * count()), -std::numeric_limits<double>::infinity());
    for (int64_t t = 0; t < frames_; ++t)
      for (int64_t s = 0; s < count(); ++s) {
        double way = t == 0 ? (s < 2 ? 0.0 : -std::numeric_limits<double>::infinity()) : at(out, t - 1, s);
        if (t > 0 && s >= 1) way = log_add(way, at(out, t - 1, s - 1));
        if (t > 0 && skips_to(s)) way = log_add(way, at(out, t - 1, s - 2));
        out[static_cast<size_t>(t * count() + s)] = way + log_p(t, states_[s]);
      }
    return out;
  }

  // From what follows frame t, by state, to what follows the frame before it.
  std::vector<double> back(int64_t t, const std::vector<double>& after) const {
    std::vector<double> out(after.size());
    const auto onwards = [&](int64_t s) { return after[static_cast<size_t>(s)] + log_p(t, states_[s]); };
    for (int64_t s = 0; s < count(); ++s) {
      double way = onwards(s);
      if (s + 1 < count()) way = log_add(way, onwards(s + 1));
      if (s + 2 < count() && skips_to(s + 2)) way = log_add(way, onwards(s + 2));
      out[static_cast<size_t>(s)] = way;
    }
    return out;
  }

  int64_t classes_, frames_;
  std::vector<int64_t> states_;  // a blank, the first label, a blank, ..., a blank
  bool known_ = true;            // every label is a class, and not the blank
  std::vector<double> log_p_, before_;
};

inline Paths paths_of(std::span<const Dense> inputs, const Attrs& attrs, int64_t sequence) {
  const Sizes sizes = sizes_of(inputs[0].type, inputs[1].type);
  const auto length = [&](int input, int64_t most) {
    const double given = inputs[input].values[static_cast<size_t>(sequence)];
    return static_cast<size_t>(std::clamp(given, 0.0, static_cast<double>(most)));
  };
  const auto row = [&](int input, int64_t width, size_t used) {
    return std::span(inputs[input].values).subspan(static_cast<size_t>(sequence * width), used);
  };
  return {row(0, sizes.frames * sizes.classes, length(2, sizes.frames) * static_cast<size_t>(sizes.classes)),
          row(1, sizes.labels, length(3, sizes.labels)), sizes.classes, attrs.integer("blank")};
}

// Inputs for both ops: frames, classes and labels of some sequences.
struct Case {
  std::string name;
  Shape scores;
  std::vector<std::vector<double>> labels;  // padded by classes that do not count
  std::vector<double> lengths, label_lengths;
  int64_t blank = 0;
  bool zero_infinity = false;

  std::vector<SampleInput> inputs() const {
    const auto count = scores[0];
    const auto most = labels.empty() ? int64_t{0} : std::ssize(labels[0]);
    SampleInput all{{DType::i32, {count, most}}, 0, 1, {}};
    for (const std::vector<double>& row : labels) all.values.insert(all.values.end(), row.begin(), row.end());
    return {{{DType::f32, scores}, -2, 2},
            all,
            {{DType::i32, {count}}, 0, 1, lengths},
            {{DType::i32, {count}}, 0, 1, label_lengths}};
  }
  Attrs attrs() const { return {{"blank", blank}, {"zero_infinity", int64_t{zero_infinity}}}; }
};

inline std::vector<Case> cases() {
  return {{"one label", {1, 2, 2}, {{1}}, {2}, {1}},
          {"labels", {3, 6, 4}, {{1, 2, 3}, {2, 1, 9}, {3, 9, 9}}, {6, 5, 4}, {3, 2, 1}},
          {"repeated", {2, 7, 3}, {{1, 1, 2}, {2, 2, 2}}, {7, 5}, {3, 3}},
          {"no labels", {2, 3, 3}, {{9, 9}, {1, 2}}, {3, 3}, {0, 2}},
          {"last is blank", {2, 5, 3}, {{0, 1}, {1, 1}}, {5, 4}, {2, 2}, 2},
          {"long",
           {4, 60, 9},
           {{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4},
            {8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3},
            {1, 2, 1, 2, 9, 9, 9, 9, 9, 9, 9, 9},
            {3, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}},
           {60, 40, 23, 11},
           {12, 12, 4, 1}},
          {"lengths outside", {2, 4, 3}, {{1, 2}, {2, 1}}, {-5, 1000}, {-1, 1000}}};
}

}  // namespace ctc

struct CtcLoss {
  static constexpr auto name = "ctc_loss";
  static constexpr auto summary =
      "-log of the probability of labels under scores[sequences, frames, classes], lengths of both given: {blank, "
      "zero_infinity: 1 for 0 where no frames can give the labels}";
  static constexpr OpClass op_class = OpClass::index;
  static constexpr int arity = 4;
  static constexpr auto no_second_gradient = "a loss is descended on by its first";

  static std::vector<Type> infer(const InferArgs& args) {
    ctc::check(args.inputs, args.attrs, name);
    return {{DType::f32, {args.inputs[0].shape[0]}}};
  }

  static void evaluate(const EvalArgs& args) {
    std::vector<double>& out = args.outputs[0].values;
    for (int64_t i = 0; i < std::ssize(out); ++i) {
      const double loss = -ctc::paths_of(args.inputs, args.attrs, i).log_probability();
      out[static_cast<size_t>(i)] = std::isinf(loss) && args.attrs.integer("zero_infinity") != 0 ? 0 : loss;
    }
  }

  static Tensors vjp(const VjpArgs& args) {
    return {ctc_gradient(args.cotangents[0], args.inputs, args.attrs, args.at), Tensor(), Tensor(), Tensor()};
  }

  static Samples samples() {
    Samples out;
    for (const ctc::Case& each : ctc::cases()) out.push_back({each.name, each.inputs(), each.attrs()});
    const ctc::Case impossible{"", {3, 3, 3}, {{1, 1, 1}, {1, 2, 5}, {1, 0, 2}}, {3, 3, 3}, {3, 3, 3}};
    out.push_back({"impossible", impossible.inputs(), impossible.attrs(), false});
    ctc::Case forgiven = impossible;
    forgiven.zero_infinity = true;
    out.push_back({"forgiven", forgiven.inputs(), forgiven.attrs(), false});
    std::vector<SampleInput> certain = ctc::Case{"", {1, 3, 2}, {{1}}, {3}, {1}}.inputs();
    certain[0].values = {0, -HUGE_VAL, -HUGE_VAL, 0, 0, -HUGE_VAL};
    out.push_back({"certain", certain, impossible.attrs(), false});
    const ctc::Case none{"", {0, 3, 3}, {}, {}, {}};
    out.push_back({"empty", none.inputs(), none.attrs()});
    return out;
  }
  static Misuses misuse() {
    const Type scores{DType::f32, {2, 9, 5}}, labels{DType::i32, {2, 3}}, each{DType::i32, {2}};
    const Attrs attrs{{"blank", int64_t{0}}, {"zero_infinity", int64_t{0}}};
    return {{{{DType::f32, {9, 5}}, labels, each, each},
             attrs,
             "ctc_loss: needs f32 scores [sequences, frames, classes] with at least one class, got f32[9,5]"},
            {{scores, {DType::i32, {3, 3}}, each, each},
             attrs,
             "ctc_loss: scores f32[2,9,5] take labels i32[2,most], got i32[3,3]"},
            {{scores, labels, each, {DType::i32, {3}}},
             attrs,
             "the numbers of frames and of labels of each sequence are i32[2], got i32[2] and i32[3]"},
            {{scores, labels, each, each},
             {{"blank", int64_t{5}}, {"zero_infinity", int64_t{0}}},
             "ctc_loss: the blank, 5, is none of the 5 classes"}};
  }
};

struct CtcOptions {
  int64_t blank = 0;
  bool zero_infinity = false;  // an impossible row of labels costs 0 instead
};

// Scores f32[B,T,C], labels i32[B,L] and the numbers of frames and labels that count, i32[B] each (below 0 is 0, above
// T or L is T or L), give losses f32[B]. Labels that cannot be had, since they are more than the frames (two equal
// neighbours take a blank between them), or are the blank or no class, have an infinite loss, or 0 if so chosen. Their
// gradient is 0 either way: nothing can be learnt from them.
inline Tensor ctc_loss(Tensor scores, Tensor labels, Tensor lengths, Tensor label_lengths,
                       const CtcOptions& options = {}, Site at = Site::here()) {
  return apply<CtcLoss>({scores, labels, lengths, label_lengths},
                        {{"blank", options.blank}, {"zero_infinity", int64_t{options.zero_infinity}}}, at);
}

}  // namespace descent

#include "descent/ops/ctc_gradient.h"
