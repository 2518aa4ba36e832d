#pragma once

#include "descent/ops/add.h"
#include "descent/ops/cast.h"
#include "descent/ops/minimum.h"
#include "descent/ops/mul.h"
#include "descent/ops/random_source.h"

namespace descent {

// bits / 2^32, kept below 1: see uniform_from_word.
inline Tensor uniform_from_bits(Tensor bits, Site at) {
  return minimum(cast(bits, DType::f32, at) * 0x1p-32, 1 - 0x1p-24);
}

struct RandomUniform {
  static constexpr auto name = "random_uniform";
  static constexpr auto summary =
      "f32 numbers uniform in [low, high), chosen by key and counter: {shape, low, high, stream}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 2;
  static constexpr auto no_gradient = "random numbers have no derivative";

  static std::vector<Type> infer(const InferArgs& args) {
    check_random_source(args.inputs[0], args.inputs[1], args.attrs, name);
    const double low = args.attrs.number("low"), high = args.attrs.number("high");
    if (!(low <= high)) fail(text(name, ": the range from ", low, " to ", high, " is empty"));
    return {{DType::f32, args.attrs.shape("shape")}};
  }

  static void evaluate(const EvalArgs& args) {
    const RandomSource source = random_source(args.inputs[0], args.inputs[1], args.attrs.integer("stream"));
    const double low = args.attrs.number("low"), high = args.attrs.number("high");
    std::vector<double>& out = args.outputs[0].values;
    for (size_t i = 0; i < out.size(); ++i) out[i] = low + (high - low) * uniform_from_word(source.word(i));
  }

  static Tensors expand(const ExpandArgs& args) {
    const double low = args.attrs.number("low"), high = args.attrs.number("high");
    const Tensor bits =
        random_bits(args.inputs[0], args.inputs[1], args.attrs.shape("shape"), args.attrs.integer("stream"), args.at);
    return {low + (high - low) * uniform_from_bits(bits, args.at)};
  }

  static Samples samples() {
    const auto attrs = [](std::vector<int64_t> shape, double low, double high, int64_t stream) {
      return Attrs{{"shape", std::move(shape)}, {"low", low}, {"high", high}, {"stream", stream}};
    };
    const std::vector<SampleInput> inputs{random_pair(4294967295.0, 7), random_pair(3, 2147483648.0)};
    return {{"unit", inputs, attrs({7, 9}, 0, 1, 0)},
            {"range", inputs, attrs({40}, -3, 5, 2147483647)},
            {"one value", inputs, attrs({5}, 2, 2, 1)},
            {"scalar", inputs, attrs({}, 0, 1, 1)},
            {"empty", inputs, attrs({0, 4}, 0, 1, 1)}};
  }
  static Misuses misuse() {
    Misuses all = random_misuse(name, {{"shape", std::vector<int64_t>{4}}, {"low", 0.0}, {"high", 1.0}});
    const Type pair{DType::u32, {2}};
    all.push_back({{pair, pair},
                   {{"shape", std::vector<int64_t>{4}}, {"low", 1.0}, {"high", 0.0}, {"stream", int64_t{0}}},
                   "random_uniform: the range from 1 to 0 is empty"});
    return all;
  }
};

struct UniformOptions {
  double low = 0, high = 1;
};

// `key` u32[2] says which run, `counter` u32[2] which step, `stream` (below 2^31) which of the run's random numbers.
inline Tensor random_uniform(Tensor key, Tensor counter, const Shape& shape, int64_t stream,
                             const UniformOptions& options = {}, Site at = Site::here()) {
  return apply<RandomUniform>(
      {key, counter}, {{"shape", shape.to_vector()}, {"low", options.low}, {"high", options.high}, {"stream", stream}},
      at);
}

}  // namespace descent
