#pragma once

#include "descent/ops/composite.h"
#include "descent/ops/cos.h"
#include "descent/ops/log.h"
#include "descent/ops/maximum.h"
#include "descent/ops/random_uniform.h"
#include "descent/ops/sqrt.h"

namespace descent {

// Box and Muller, "A note on the generation of random normal deviates", 1958. Each number takes two words, the second
// from stream + 2^31.
struct RandomNormal {
  static constexpr auto name = "random_normal";
  static constexpr auto summary =
      "f32 numbers of the normal distribution with that mean and standard deviation, chosen by key and counter: "
      "{shape, "
      "mean, deviation, stream}";
  static constexpr OpClass op_class = OpClass::composite;
  static constexpr int arity = 2;
  static constexpr auto no_gradient = "random numbers have no derivative";

  static std::vector<Type> infer(const InferArgs& args) {
    check_random_source(args.inputs[0], args.inputs[1], args.attrs, name);
    args.attrs.number("mean");
    nonnegative(args, name, "deviation");
    return {{DType::f32, args.attrs.shape("shape")}};
  }

  static void evaluate(const EvalArgs& args) {
    const int64_t stream = args.attrs.integer("stream");
    const RandomSource radius = random_source(args.inputs[0], args.inputs[1], stream);
    const RandomSource angle = random_source(args.inputs[0], args.inputs[1], stream + second_streams);
    const double mean = args.attrs.number("mean"), deviation = args.attrs.number("deviation");
    std::vector<double>& out = args.outputs[0].values;
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = mean + deviation * normal_from_words(radius.word(i), angle.word(i));
  }

  static Tensors expand(const ExpandArgs& args) {
    const auto uniform = [&](int64_t half) {
      const int64_t stream = args.attrs.integer("stream") + half;
      return uniform_from_bits(random_bits(args.inputs[0], args.inputs[1], args.attrs.shape("shape"), stream, args.at),
                               args.at);
    };
    const Tensor radius = sqrt(-2 * log(maximum(uniform(0), 0x1p-33), args.at), args.at);
    const Tensor normal = radius * cos(2 * std::numbers::pi * uniform(second_streams), args.at);
    return {args.attrs.number("mean") + args.attrs.number("deviation") * normal};
  }

  static Samples samples() {
    const auto attrs = [](std::vector<int64_t> shape, double mean, double deviation, int64_t stream) {
      return Attrs{{"shape", std::move(shape)}, {"mean", mean}, {"deviation", deviation}, {"stream", stream}};
    };
    const std::vector<SampleInput> inputs{random_pair(4294967295.0, 7), random_pair(3, 2147483648.0)};
    return {{"standard", inputs, attrs({7, 9}, 0, 1, 0)},
            {"other", inputs, attrs({40}, -3, 0.1, 2147483647)},
            {"constant", inputs, attrs({5}, 2, 0, 1)},
            {"empty", inputs, attrs({0, 4}, 0, 1, 1)}};
  }
  static Misuses misuse() {
    Misuses all = random_misuse(name, {{"shape", std::vector<int64_t>{4}}, {"mean", 0.0}, {"deviation", 1.0}});
    const Type pair{DType::u32, {2}};
    all.push_back({{pair, pair},
                   {{"shape", std::vector<int64_t>{4}}, {"mean", 1.0}, {"deviation", -1.0}, {"stream", int64_t{0}}},
                   "random_normal: the deviation must be at least 0, got -1"});
    return all;
  }
};

struct NormalOptions {
  double mean = 0, deviation = 1;
};

// As random_uniform.
inline Tensor random_normal(Tensor key, Tensor counter, const Shape& shape, int64_t stream,
                            const NormalOptions& options = {}, Site at = Site::here()) {
  return apply<RandomNormal>(
      {key, counter},
      {{"shape", shape.to_vector()}, {"mean", options.mean}, {"deviation", options.deviation}, {"stream", stream}}, at);
}

}  // namespace descent
