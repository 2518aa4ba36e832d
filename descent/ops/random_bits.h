#pragma once

#include "descent/core/philox.h"
#include "descent/graph/op.h"

namespace descent {

// Random numbers without state: equal inputs give equal bits, so equal nodes may merge and a step can be repeated.
// A net has one key; each step its counter; each random node its own stream.
struct RandomBits {
  static constexpr auto name = "random_bits";
  static constexpr auto summary =
      "32 random bits an element: word (flat index % 4) of Philox4x32-10 with counter (flat index / 4, "
      "stream, counter[0], counter[1]): {shape, stream}";
  static constexpr OpClass op_class = OpClass::leaf;
  static constexpr int arity = 2;
  static constexpr bool exact = true;
  static constexpr auto no_gradient = "bits have no derivative";

  static std::vector<Type> infer(const InferArgs& args) {
    const Type pair{DType::u32, {2}};
    if (args.inputs[0] != pair || args.inputs[1] != pair)
      fail(text(name, ": needs a key u32[2] and a counter u32[2], got ", args.inputs[0], " and ", args.inputs[1]));
    if (const int64_t stream = args.attrs.integer("stream"); stream < 0 || stream > UINT32_MAX)
      fail(text(name, ": the stream ", stream, " is not a 32-bit number"));
    return {{DType::u32, args.attrs.shape("shape")}};
  }

  static void evaluate(const EvalArgs& args) {
    const auto word = [&](int port, int i) { return static_cast<uint32_t>(args.inputs[port].values[i]); };
    const auto stream = static_cast<uint32_t>(args.attrs.integer("stream"));
    std::vector<double>& out = args.outputs[0].values;
    for (size_t flat = 0; flat < out.size(); ++flat)
      out[flat] = philox4x32_10({static_cast<uint32_t>(flat / 4), stream, word(1, 0), word(1, 1)},
                                {word(0, 0), word(0, 1)})[flat % 4];
  }

  static Samples samples() {
    const auto pair = [](double a, double b) { return SampleInput{{DType::u32, {2}}, 0, 0, {a, b}}; };
    const auto into = [](std::vector<int64_t> shape, int64_t stream) {
      return Attrs{{"shape", std::move(shape)}, {"stream", stream}};
    };
    return {{"zeros", {pair(0, 0), pair(0, 0)}, into({4}, 0)},
            {"matrix", {pair(3735928559.0, 1), pair(7, 4294967295.0)}, into({5, 7}, 3)},
            {"long", {pair(1, 2), pair(3, 4)}, into({1000}, 4294967295)},
            {"scalar", {pair(1, 2), pair(3, 4)}, into({}, 1)},
            {"empty", {pair(1, 2), pair(3, 4)}, into({0, 3}, 1)}};
  }
  static Misuses misuse() {
    const Type pair{DType::u32, {2}};
    const std::vector<int64_t> shape{4};
    return {{{pair, {DType::i32, {2}}},
             {{"shape", shape}, {"stream", int64_t{0}}},
             "random_bits: needs a key u32[2] and a counter u32[2], got u32[2] and i32[2]"},
            {{pair, pair},
             {{"shape", shape}, {"stream", int64_t{-1}}},
             "random_bits: the stream -1 is not a 32-bit number"}};
  }
};

// Nodes with the same key, counter and stream hold the same bits: give each its own stream.
inline Tensor random_bits(Tensor key, Tensor counter, const Shape& shape, int64_t stream, Site at = Site::here()) {
  return apply<RandomBits>({key, counter}, {{"shape", shape.to_vector()}, {"stream", stream}}, at);
}

}  // namespace descent
