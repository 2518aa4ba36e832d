#pragma once

#include <algorithm>
#include <cmath>

#include "descent/ops/less.h"
#include "descent/ops/mul.h"
#include "descent/ops/random_source.h"
#include "descent/ops/where.h"

namespace descent {

// Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014; scaled while training,
// so that nothing is left to do afterwards ("inverted"). The choice is an integer comparison, so the same on every
// device. Its gradient is the derived one: that draws the same bits from key and counter again, so no mask is kept.
struct Dropout {
  static constexpr auto name = "dropout";
  static constexpr auto summary =
      "0 with probability rate, else x / (1 - rate), chosen by key and counter: {rate, stream}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 3;

  static std::vector<Type> infer(const InferArgs& args) {
    const double rate = args.attrs.number("rate");
    if (!(rate >= 0 && rate < 1)) fail(text(name, ": the rate must be at least 0 and below 1, got ", rate));
    if (!is_floating(args.inputs[0].dtype)) fail(text(name, ": needs floating-point inputs, got ", args.inputs[0]));
    check_random_source(args.inputs[1], args.inputs[2], args.attrs, name);
    return {args.inputs[0]};
  }

  // An element is dropped if its 32 random bits are below this.
  static double threshold(const Attrs& attrs) {
    return std::min(std::round(attrs.number("rate") * 0x1p32), 0x1p32 - 1);
  }

  static void evaluate(const EvalArgs& args) {
    const RandomSource source = random_source(args.inputs[1], args.inputs[2], args.attrs.integer("stream"));
    const double below = threshold(args.attrs), scale = 1 / (1 - args.attrs.number("rate"));
    std::vector<double>& out = args.outputs[0].values;
    for (size_t i = 0; i < out.size(); ++i) out[i] = source.word(i) < below ? 0 : args.inputs[0].values[i] * scale;
  }

  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0];
    const Tensor bits = random_bits(args.inputs[1], args.inputs[2], x.shape(), args.attrs.integer("stream"), args.at);
    return {where(less(bits, threshold(args.attrs)), 0, x * (1 / (1 - args.attrs.number("rate"))))};
  }

  static Samples samples() {
    const SampleInput key = random_pair(4294967295.0, 7), counter = random_pair(3, 2147483648.0);
    return {{"half", {{{DType::f32, {7, 9}}, 1, 2}, key, counter}, {{"rate", 0.5}, {"stream", int64_t{0}}}},
            {"other stream", {{{DType::f32, {7, 9}}, 1, 2}, key, counter}, {{"rate", 0.2}, {"stream", int64_t{5}}}},
            {"nothing", {{{DType::f32, {5}}}, key, counter}, {{"rate", 0.0}, {"stream", int64_t{1}}}},
            {"nearly all", {{{DType::f32, {5}}}, key, counter}, {{"rate", 0.999}, {"stream", int64_t{1}}}},
            {"empty", {{{DType::f32, {0, 4}}}, key, counter}, {{"rate", 0.5}, {"stream", int64_t{0}}}}};
  }
  static Misuses misuse() {
    const Type x{DType::f32, {4}}, pair{DType::u32, {2}};
    return {{{x, pair, pair},
             {{"rate", 1.0}, {"stream", int64_t{0}}},
             "dropout: the rate must be at least 0 and below 1, got 1"},
            {{x, {DType::u32, {3}}, pair},
             {{"rate", 0.5}, {"stream", int64_t{0}}},
             "dropout: needs a key u32[2] and a counter u32[2], got u32[3] and u32[2]"},
            {{{DType::i32, {4}}, pair, pair},
             {{"rate", 0.5}, {"stream", int64_t{0}}},
             "dropout: needs floating-point inputs, got i32[4]"}};
  }
};

// `key` u32[2] says which run, `counter` u32[2] which step, `stream` which of the run's uses of random numbers.
inline Tensor dropout(Tensor x, Tensor key, Tensor counter, double rate, int64_t stream, Site at = Site::here()) {
  return apply<Dropout>({x, key, counter}, {{"rate", rate}, {"stream", stream}}, at);
}

}  // namespace descent
