// An op of one's own, as CONTRIBUTING.md explains it. In Descent itself this struct would be descent/ops/softsign.h,
// and that would be all: the list of ops, the documentation and the table of tests are made from what it states.
#include <cmath>
#include <cstdio>

#include "descent/check/check.h"
#include "descent/descent.h"

using namespace descent;

// Turian, Bergstra and Bengio, "Quadratic features and deep architectures for chunking", 2009.
struct Softsign : ElementwiseComposite<Softsign, 1> {
  static constexpr auto name = "softsign";
  static constexpr auto summary = "x / (1 + |x|)";

  // What it means, in double: the judge of every backend.
  static double scalar(double x) { return x / (1 + std::abs(x)); }

  // What inputs it takes, and which type comes out.
  static std::vector<Type> infer(const InferArgs& args) { return infer_floating(args, name); }

  // The same in other ops. Its gradient follows; a rule of its own, vjp(), is only needed for speed or accuracy.
  static Tensors expand(const ExpandArgs& args) {
    const Tensor x = args.inputs[0];
    return {x / (1 + abs(x, args.at))};
  }

  // What to test it with, and what it must refuse.
  static Samples samples() { return {{"matrix", {{{DType::f32, {3, 5}}, -3, 3}}, {}}}; }
  static Misuses misuse() { return {{{{DType::i32, {3}}}, {}, "softsign: needs floating-point inputs, got i32[3]"}}; }
};

// How users call it.
inline Tensor softsign(Tensor x, Site at = Site::here()) { return apply<Softsign>({x}, {}, at); }

int main() {
  nn::Function both = nn::compile([](nn::Pass&, Tensor x) {
    const Tensor y = softsign(x), slope = gradients(sum(y), std::vector{x})[0];
    return concat({y, slope}, 0);
  });
  const float points[] = {-3, -1, 0.5, 2};
  const Array result = both({Array::from(points, {4})})[0];
  for (int64_t i = 0; i < 4; ++i)
    std::printf("x %4.1f  softsign %7.4f  gradient %.4f\n", double{points[i]}, result.at(i), result.at(4 + i));

  // The table of checks: its shape rule, its gradient against differences, its expansion against its meaning ...
  const OpDef* const ops[] = {&op_def<Softsign>()};
  const std::vector<check::Result> results = check::run({.ops = ops});
  for (const check::Result& cell : results)
    if (!cell.ok) std::printf("%s: %s\n", cell.name.c_str(), cell.message.c_str());
  std::printf("checks: %s\n", check::totals(results).c_str());
}
