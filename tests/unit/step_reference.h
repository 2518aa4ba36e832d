// Runs steps through the reference interpreter: what a compiled step must do to its states, by the ops' own meanings.
#pragma once

#include <gtest/gtest.h>

#include "descent/nn/function.h"
#include "descent/nn/module.h"
#include "descent/reference/interpreter.h"

namespace descent {

// Runs the traced step once: returns its results and writes the states that it updates.
inline std::vector<Array> reference_step(const nn::Function::Traced& traced, const std::vector<Array>& arguments) {
  std::map<std::string, Dense> inputs;
  for (size_t i = 0; i < arguments.size(); ++i) inputs[text("argument", i)] = dense(arguments[i]);
  for (const nn::Pass::Touched& touched : traced.touched) inputs[touched.state->name()] = dense(touched.state->array());
  std::vector<Value> values;
  for (const Tensor& result : traced.results) values.push_back(result.value());
  std::vector<Array> results;
  for (const Dense& value : interpret(*traced.graph, inputs, values)) results.push_back(to_array(value));

  size_t updated = results.size() - traced.options.updates.size();
  const size_t own = updated;
  for (const nn::Pass::Touched& touched : traced.touched)
    if (touched.after) touched.state->assign(results[updated++]);
  results.resize(own);
  return results;
}

// Calls the function once, likewise.
inline std::vector<Array> reference_step(const nn::Function& function, const std::vector<Array>& arguments) {
  std::vector<Type> types;
  for (const Array& argument : arguments) types.push_back(argument.type());
  return reference_step(function.trace(types), arguments);
}

// A net's output for one input.
inline Array reference_forward(nn::Module& net, const Array& x, nn::FunctionOptions options = {}) {
  const nn::Function function = nn::compile([&](nn::Pass& pass, Tensor input) { return net(input, pass); }, options);
  return reference_step(function, {x})[0];
}

inline Array matrix(std::vector<float> values, Shape shape) {
  return Array::from(std::span<const float>(values), shape);
}

inline void expect_near(const Array& actual, const std::vector<double>& expected, double tolerance = 1e-6) {
  ASSERT_EQ(actual.elements(), static_cast<int64_t>(expected.size())) << to_text(actual.type());
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(actual.at(static_cast<int64_t>(i)), expected[i], tolerance) << "at " << i;
}

using Strings = std::vector<std::string>;

inline testing::AssertionResult contains(const std::string& whole, const std::string& part) {
  if (whole.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << whole << "\" lacks \"" << part << "\"";
}

template <class F>
std::string error_of(F body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace descent
