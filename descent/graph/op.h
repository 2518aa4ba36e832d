// What an op is: the record that everything else reads. The ops themselves are in descent/ops/, one header each.
#pragma once

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "descent/base/text.h"
#include "descent/graph/graph.h"

namespace descent {

enum class OpClass { leaf, elementwise, view, reduce, index, contraction, composite };

// The scalar instructions of loop kernels: what an elementwise core op does to one element. A composite has none.
enum class ScalarOp : uint8_t {
  neg,
  exp,
  log,
  sqrt,
  sin,
  cos,
  tanh,
  erf,
  x_erf_slope,
  rounded_gelu,
  rounded_gelu_slope,
  floor,
  cast,
  add,
  mul,
  div,
  max,
  min,
  pow,
  less,
  equal,
  where
};

// A dense row-major array of doubles: what the reference interpreter computes with (integers are exact up to 2^53).
struct Dense {
  Type type;
  std::vector<double> values;
};

struct InferArgs {
  std::span<const Type> inputs;
  const Attrs& attrs;
  Site at;
};

struct EvalArgs {
  std::span<const Dense> inputs;
  std::span<Dense> outputs;  // sized and zeroed; values are rounded to their dtype afterwards by the interpreter
  const Attrs& attrs;
};

struct ExpandArgs {
  std::span<const Tensor> inputs;
  const Attrs& attrs;
  Site at;
};

struct VjpArgs {
  std::span<const Tensor> inputs;
  std::span<const Tensor> outputs;
  std::span<const Tensor> cotangents;  // one an output; no tensor where nothing depends on that output
  const Attrs& attrs;
  Site at;
};

// An input of a sample: how its values are made (always the same for the same sample).
struct SampleInput {
  Type type;
  double low = -1, high = 1;        // uniform in [low, high); integers likewise
  std::vector<double> values = {};  // these exactly, if any
  bool differentiate = true;        // false: no gradient is asked for this input (there is none at these values)
};

// Inputs to test an op with, beside `descent check`. `name` tells what is special about it.
struct Sample {
  std::string name;
  std::vector<SampleInput> inputs;
  Attrs attrs;
  bool differentiate = true;  // false: the sample sits on a kink or tie, where only the forward value is defined
};
using Samples = std::vector<Sample>;

// Inputs that must be rejected with a sentence that contains `says`.
struct Misuse {
  std::vector<Type> inputs;
  Attrs attrs;
  std::string says;
};
using Misuses = std::vector<Misuse>;

struct OpDef {
  std::string_view name;
  std::string_view summary;
  OpClass op_class;
  int arity;  // -1: any number of inputs
  std::vector<Type> (*infer)(const InferArgs&);
  void (*evaluate)(const EvalArgs&);               // the meaning, in double
  Tensors (*expand)(const ExpandArgs&) = nullptr;  // composites: the same in other ops
  Tensors (*vjp)(const VjpArgs&) = nullptr;        // one gradient an input (no tensor: none); null: from expand
  std::string_view no_gradient = {};               // why there is none
  std::string_view no_second_gradient = {};        // why its gradient has none
  std::optional<ScalarOp> scalar = {};             // elementwise core ops
  bool exact = false;                              // results are chosen, copied or counted, not computed with
                                                   // rounding: backends give the meaning's bits
  double absolute_error = 0;                       // by so much may results be off beside their rounding
  Samples (*samples)() = nullptr;
  Misuses (*misuse)() = nullptr;
  int64_t (*multiply_adds)(std::span<const Type> inputs, const Attrs&) = nullptr;  // contractions
};

// --- What an op's header must state. An op is a struct of statics; `op_def<T>()` is its record. ---

template <class T>
concept HasVjp = requires(const VjpArgs& args) {
  { T::vjp(args) } -> std::same_as<Tensors>;
};
template <class T>
concept HasExpand = requires(const ExpandArgs& args) {
  { T::expand(args) } -> std::same_as<Tensors>;
};
template <class T>
concept NoGradient = requires {
  { T::no_gradient } -> std::convertible_to<std::string_view>;
};
template <class T>
concept NoSecondGradient = requires {
  { T::no_second_gradient } -> std::convertible_to<std::string_view>;
};
template <class T>
concept HasScalar = requires {
  { T::scalar_op } -> std::convertible_to<ScalarOp>;
};
template <class T>
concept HasExact = requires {
  requires std::same_as<decltype(T::exact), const bool>;
};
template <class T>
concept HasAbsoluteError = requires {
  { T::absolute_error } -> std::convertible_to<double>;
};
template <class T>
concept HasMultiplyAdds = requires(std::span<const Type> inputs, const Attrs& attrs) {
  { T::multiply_adds(inputs, attrs) } -> std::same_as<int64_t>;
};
template <class T>
concept HasMisuse = requires {
  { T::misuse() } -> std::same_as<Misuses>;
};

// The concept that rejects an op lacking a meaning, a shape rule, a gradient (or the reason for none), or samples; a
// contraction also counts its work.
template <class T>
concept OpSpec = requires(const InferArgs& infer, const EvalArgs& evaluate) {
  { T::name } -> std::convertible_to<std::string_view>;
  { T::summary } -> std::convertible_to<std::string_view>;
  { T::op_class } -> std::convertible_to<OpClass>;
  { T::arity } -> std::convertible_to<int>;
  { T::infer(infer) } -> std::same_as<std::vector<Type>>;
  { T::evaluate(evaluate) } -> std::same_as<void>;
  { T::samples() } -> std::same_as<Samples>;
}
&&(HasVjp<T> || HasExpand<T> || NoGradient<T>)&&(HasExpand<T> == (T::op_class == OpClass::composite)) &&
    (HasMultiplyAdds<T> == (T::op_class == OpClass::contraction));

template <OpSpec T>
const OpDef& op_def() {
  static const OpDef def = [] {
    OpDef out{.name = T::name,
              .summary = T::summary,
              .op_class = T::op_class,
              .arity = T::arity,
              .infer = &T::infer,
              .evaluate = &T::evaluate};
    if constexpr (HasExpand<T>) out.expand = &T::expand;
    if constexpr (HasVjp<T>) out.vjp = &T::vjp;
    if constexpr (NoGradient<T>) out.no_gradient = T::no_gradient;
    if constexpr (NoSecondGradient<T>) out.no_second_gradient = T::no_second_gradient;
    if constexpr (HasScalar<T>) out.scalar = T::scalar_op;
    if constexpr (HasExact<T>)
      out.exact = T::exact;
    else
      out.exact = T::op_class == OpClass::view || T::op_class == OpClass::leaf;
    if constexpr (HasAbsoluteError<T>) out.absolute_error = T::absolute_error;
    if constexpr (HasMisuse<T>) out.misuse = &T::misuse;
    if constexpr (HasMultiplyAdds<T>) out.multiply_adds = &T::multiply_adds;
    out.samples = &T::samples;
    return out;
  }();
  return def;
}

// The floating-point operations of a contraction, 2 a multiply-add; 0 of other nodes.
int64_t contraction_flops(const Graph& graph, const Node& node);

// Adds an op to the graph of its inputs (which must agree) and returns its outputs.
Tensors apply(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs, Site at);

template <OpSpec T>
Tensor apply(std::initializer_list<Tensor> inputs, Attrs attrs, Site at) {
  return apply(op_def<T>(), std::span(inputs.begin(), inputs.size()), std::move(attrs), at)[0];
}

// --- Shape rules shared by many ops ---

// Every input has the first one's type, which is the output's.
std::vector<Type> infer_same(const InferArgs& args, std::string_view name);

// --- Elementwise ops: state `static double scalar(double...)` and the type rule and the meaning follow. ---

template <class Self, int inputs>
struct ElementwiseMeaning {
  static constexpr int arity = inputs;

  static std::vector<Type> infer(const InferArgs& args) { return infer_same(args, Self::name); }

  static void evaluate(const EvalArgs& args) {
    std::vector<double>& out = args.outputs[0].values;
    const auto in = [&](int port, size_t i) { return args.inputs[port].values[i]; };
    for (size_t i = 0; i < out.size(); ++i) {
      if constexpr (inputs == 1) out[i] = Self::scalar(in(0, i));
      if constexpr (inputs == 2) out[i] = Self::scalar(in(0, i), in(1, i));
      if constexpr (inputs == 3) out[i] = Self::scalar(in(0, i), in(1, i), in(2, i));
    }
  }
};

// A core op: loop kernels have an instruction for it, `static constexpr ScalarOp scalar_op`.
template <class Self, int inputs>
struct Elementwise : ElementwiseMeaning<Self, inputs> {
  static constexpr OpClass op_class = OpClass::elementwise;
};

// An op that expands into others.
template <class Self, int inputs>
struct ElementwiseComposite : ElementwiseMeaning<Self, inputs> {
  static constexpr OpClass op_class = OpClass::composite;
};

}  // namespace descent
