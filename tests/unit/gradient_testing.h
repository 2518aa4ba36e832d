// Gradients of a net's parameters against differences of what the net means, in the reference's doubles.
#pragma once

#include "descent/grad/gradient.h"
#include "descent/nn/lengths.h"
#include "descent/ops/ops.h"
#include "tests/unit/step_reference.h"

namespace descent {

// `loss` makes a number of (pass, inputs). Of each parameter some elements are tried.
template <class Loss>
void expect_gradients_of_differences(const std::vector<Array>& arguments, Loss loss) {
  std::vector<Type> types;
  for (const Array& argument : arguments) types.push_back(argument.type());
  std::vector<std::string> names;
  const nn::Function function(
      [&](nn::Pass& pass, std::span<const Tensor> in) -> Tensors {
        Tensors out{loss(pass, in)}, wrt;
        for (const nn::ParameterPtr& parameter : pass.parameters()) {
          wrt.push_back(pass.read(parameter));
          names.push_back(parameter->name());
        }
        std::ranges::copy(gradients(out[0], wrt), std::back_inserter(out));
        return out;
      },
      {.precision = nn::Precision::f32});
  const nn::Function::Traced traced = function.trace(types);
  std::map<std::string, Dense> inputs;
  for (size_t i = 0; i < arguments.size(); ++i) inputs[text("argument", i)] = dense(arguments[i]);
  for (const nn::Pass::Touched& touched : traced.touched) inputs[touched.state->name()] = dense(touched.state->array());
  std::vector<Value> values;
  for (const Tensor& result : traced.results) values.push_back(result.value());
  const auto run = [&](std::span<const Value> wanted) {
    return interpret(*traced.graph, inputs, wanted, {.exact = true});
  };
  const std::vector<Dense> all = run(values);
  ASSERT_EQ(names.size() + 1, all.size());
  for (size_t i = 0; i < names.size(); ++i) {
    std::vector<double>& parameter = inputs.at(names[i]).values;
    const std::vector<double>& gradient = all[i + 1].values;
    constexpr double step = 1e-5;
    for (size_t at = 0; at < parameter.size(); at += 1 + parameter.size() / 9) {
      const double before = parameter[at];
      parameter[at] = before + step;
      const double above = run(std::span(values).first(1))[0].values[0];
      parameter[at] = before - step;
      const double below = run(std::span(values).first(1))[0].values[0];
      parameter[at] = before;
      EXPECT_NEAR(gradient[at], (above - below) / (2 * step), 1e-6 * (1 + std::abs(gradient[at])))
          << names[i] << " at " << at;
    }
  }
}

// Of a net with one input, whose outputs behind the ends of sequences do not count.
inline void expect_gradients_of_differences(nn::Module& net, const Array& x) {
  expect_gradients_of_differences({x}, [&net](nn::Pass& pass, std::span<const Tensor> in) {
    const Tensor y = nn::zeros_after_end(pass, net(in[0], pass), Site::here());
    return sum(y * (y + 0.3));
  });
}

}  // namespace descent
