#include "descent/check/gradient_check.h"

#include <algorithm>
#include <numeric>

#include "descent/grad/gradient.h"

namespace descent::check {

namespace {

constexpr double step = 1e-4;  // of the differences, whose own error is of order step^4
constexpr double relative = 1e-6;
constexpr double of_result = 1e-10;  // what rounding of the meaning in double may add, in parts of its value
constexpr int rounds = 2;
constexpr int64_t small_jacobian = 64;
constexpr size_t many_inputs = 6;  // beyond, not every subset but each input alone, each pair and all together

std::vector<Dense> meaning(const Row& row, std::span<const Dense> inputs) {
  return evaluate_op(*row.op, row.attrs, inputs, {.exact = true});
}

// The op's outputs where its differentiable inputs are moved by `size` along `direction`.
std::vector<Dense> moved(const Row& row, std::span<const Dense> direction, double size) {
  std::vector<Dense> inputs = row.inputs;
  for (size_t i = 0; i < inputs.size(); ++i)
    for (size_t j = 0; j < direction[i].values.size(); ++j) inputs[i].values[j] += size * direction[i].values[j];
  return meaning(row, inputs);
}

// a - b, where the same infinity twice is no change.
double change(double a, double b) { return a == b ? 0 : a - b; }

struct Slopes {
  std::vector<Dense> values;      // by output
  std::vector<Dense> magnitudes;  // the largest result that went into each: what rounding is relative to
};

// The derivative of all outputs along `direction` (an empty Dense: an input that stays), of fourth order:
// (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h.
Slopes difference(const Row& row, std::span<const Dense> direction) {
  const std::vector<Dense> ahead = moved(row, direction, step), back = moved(row, direction, -step);
  const std::vector<Dense> far = moved(row, direction, 2 * step), far_back = moved(row, direction, -2 * step);
  Slopes out{ahead, ahead};
  for (size_t port = 0; port < ahead.size(); ++port)
    for (size_t i = 0; i < ahead[port].values.size(); ++i) {
      const double a = ahead[port].values[i], b = back[port].values[i], c = far[port].values[i],
                   d = far_back[port].values[i];
      out.values[port].values[i] = (8 * change(a, b) - change(c, d)) / (12 * step);
      const double largest = std::max({std::abs(a), std::abs(b), std::abs(c), std::abs(d)});
      out.magnitudes[port].values[i] = std::isfinite(largest) ? largest : 0;
    }
  return out;
}

struct Product {
  double sum = 0, magnitude = 0;  // of the terms, of their absolute values
};
Product inner(const Dense& a, const Dense& b) {
  Product out;
  for (size_t i = 0; i < a.values.size(); ++i) {
    out.sum += a.values[i] * b.values[i];
    out.magnitude += std::abs(a.values[i] * b.values[i]);
  }
  return out;
}
Product& operator+=(Product& a, const Product& b) {
  a.sum += b.sum;
  a.magnitude += b.magnitude;
  return a;
}

// One traced gradient computation: which inputs, which outputs, and the cotangents' names.
class GradientCase {
 public:
  GradientCase(const Row& row, std::vector<size_t> subset, std::optional<size_t> port)
      : subset_(std::move(subset)), traced_(trace(row)) {
    Tensors wrt;
    for (const size_t i : subset_) wrt.push_back(traced_.inputs[i]);
    for (const Tensor& gradient : trace_gradients(traced_, row, wrt, port)) results_.push_back(gradient.value());
  }

  // By the subset's order.
  std::vector<Dense> gradients() const { return interpret(*traced_.graph, traced_.fed, results_, {.exact = true}); }
  // Nothing for outputs without one.
  std::vector<Dense> cotangents() const {
    std::vector<Dense> out(traced_.outputs.size());
    for (size_t port = 0; port < out.size(); ++port)
      if (const auto at = traced_.fed.find(name(port)); at != traced_.fed.end()) out[port] = at->second;
    return out;
  }
  void set_cotangent(size_t port, const Dense& value) { traced_.fed.at(name(port)) = value; }
  const std::vector<size_t>& subset() const { return subset_; }

  static std::string name(size_t port) { return text("cotangent", port); }

 private:
  std::vector<size_t> subset_;
  Traced traced_;
  std::vector<Value> results_;
};

std::string subset_text(const std::vector<size_t>& subset) {
  std::string out = subset.size() == 1 ? "input" : "inputs";
  for (const size_t i : subset) out += text(i == subset[0] ? " " : ", ", i);
  return out;
}

// A comparison of gradients with differences, with a mistake made on the way if asked for.
class GradientChecker {
 public:
  GradientChecker(const Row& row, const Mistake& mistake, size_t mistaken)
      : row_(row), mistake_(mistake), mistaken_(mistaken), values_(meaning(row, row.inputs)) {}

  Verdict directions(const GradientCase& rule, Random& random) {
    Verdict out;
    const std::vector<Dense> gradients = mistaken_gradients(rule);
    const std::vector<Dense> cotangents = rule.cotangents();
    for (int round = 0; round < rounds; ++round) {
      std::vector<Dense> direction(row_.inputs.size());
      for (const size_t i : rule.subset()) direction[i] = random_direction(row_.inputs[i].type, random);
      out = worse(out, along(rule, gradients, cotangents, direction));
    }
    return out;
  }

  // Entry by entry: the row of each output element from the rule, the column of each input element from differences.
  Verdict jacobian(GradientCase& rule, size_t port) {
    std::vector<std::vector<Dense>> rows;  // by output element, then by input of the subset
    Dense unit{values_[port].type, std::vector<double>(values_[port].values.size(), 0)};
    for (double& element : unit.values) {
      element = 1;
      rule.set_cotangent(port, unit);
      rows.push_back(mistaken_gradients(rule));
      element = 0;
    }
    Verdict out;
    for (size_t i = 0; i < rule.subset().size(); ++i)
      for (size_t j = 0; j < row_.inputs[rule.subset()[i]].values.size(); ++j)
        out = worse(out, column(rule, port, rows, i, j));
    return out;
  }

 private:
  std::vector<Dense> mistaken_gradients(const GradientCase& rule) const {
    std::vector<Dense> out = rule.gradients();
    for (size_t i = 0; i < out.size(); ++i) {
      if (out[i].type != row_.inputs[rule.subset()[i]].type)
        fail(text("the gradient of input ", rule.subset()[i], " ", row_.inputs[rule.subset()[i]].type, " is ",
                  out[i].type));
      if (rule.subset()[i] == mistaken_) mistake_.apply(out[i].values);
    }
    return out;
  }

  static Dense random_direction(const Type& type, Random& random) {
    Dense out{type, std::vector<double>(static_cast<size_t>(type.shape.elements()))};
    for (double& value : out.values) value = random.uniform(-1, 1);
    return out;
  }

  Verdict along(const GradientCase& rule, const std::vector<Dense>& gradients, const std::vector<Dense>& cotangents,
                const std::vector<Dense>& direction) const {
    Product by_rule, by_difference, of_values;
    for (size_t i = 0; i < gradients.size(); ++i) by_rule += inner(gradients[i], direction[rule.subset()[i]]);
    const Slopes slopes = difference(row_, direction);
    for (size_t port = 0; port < cotangents.size(); ++port) {
      if (cotangents[port].values.empty()) continue;
      by_difference += inner(cotangents[port], slopes.values[port]);
      of_values += inner(cotangents[port], slopes.magnitudes[port]);
    }
    const double allowed =
        relative * std::max(by_rule.magnitude, by_difference.magnitude) + of_result * of_values.magnitude + 1e-300;
    const double error = std::abs(by_rule.sum - by_difference.sum) / allowed;
    if (error <= 1) return {true, "", error};
    return failed(text("for ", subset_text(rule.subset()), " the gradient rule gives a slope of ", by_rule.sum,
                       ", differences of the meaning give ", by_difference.sum),
                  error);
  }

  Verdict column(const GradientCase& rule, size_t port, const std::vector<std::vector<Dense>>& rows, size_t i,
                 size_t j) const {
    std::vector<Dense> direction(row_.inputs.size());
    const size_t input = rule.subset()[i];
    direction[input] = {row_.inputs[input].type, std::vector<double>(row_.inputs[input].values.size(), 0)};
    direction[input].values[j] = 1;
    const Slopes slopes = difference(row_, direction);
    Verdict out;
    for (size_t e = 0; e < rows.size(); ++e) {
      const double by_rule = rows[e][i].values[j], by_difference = slopes.values[port].values[e];
      const double allowed = relative * std::abs(by_rule) + of_result * (1 + slopes.magnitudes[port].values[e]);
      const double error = std::abs(by_rule - by_difference) / allowed;
      if (!(error <= 1))
        out = worse(out, failed(text("output ", port, " element ", e, " by input ", input, " element ", j,
                                     ": the gradient rule gives ", by_rule, ", differences of the meaning give ",
                                     by_difference),
                                error));
      else
        out.max_error = std::max(out.max_error, error);
    }
    return out;
  }

  const Row& row_;
  const Mistake& mistake_;
  size_t mistaken_;
  std::vector<Dense> values_;
};

std::vector<std::vector<size_t>> subsets(const std::vector<size_t>& inputs) {
  std::vector<std::vector<size_t>> out;
  for (uint64_t bits = 1; bits < uint64_t{1} << inputs.size(); ++bits) {
    std::vector<size_t> subset;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (bits >> i & 1) subset.push_back(inputs[i]);
    if (inputs.size() <= many_inputs || subset.size() <= 2 || subset.size() == inputs.size())
      out.push_back(std::move(subset));
  }
  return out;
}

int64_t elements_of(const Row& row, const std::vector<size_t>& inputs) {
  return std::accumulate(inputs.begin(), inputs.end(), int64_t{0},
                         [&](int64_t sum, size_t i) { return sum + row.inputs[i].type.shape.elements(); });
}

// The derivative along `direction` of <gradients, weights>, from gradients at moved inputs.
Product slope_of_gradients(const Traced& traced, const std::vector<Value>& gradients, const std::vector<Dense>& weights,
                           const std::vector<Dense>& direction) {
  const auto at = [&](double size) {
    std::map<std::string, Dense> fed = traced.fed;
    for (size_t i = 0; i < direction.size(); ++i) {
      Dense& input = fed.at(text("in", i));
      for (size_t j = 0; j < direction[i].values.size(); ++j) input.values[j] += size * direction[i].values[j];
    }
    Product out;
    const std::vector<Dense> values = interpret(*traced.graph, fed, gradients, {.exact = true});
    for (size_t i = 0; i < values.size(); ++i) out += inner(values[i], weights[i]);
    return out;
  };
  const Product ahead = at(step), back = at(-step), far = at(2 * step), far_back = at(-2 * step);
  return {(8 * (ahead.sum - back.sum) - (far.sum - far_back.sum)) / (12 * step), ahead.magnitude};
}

}  // namespace

Verdict check_second_gradient(const Row& row) {
  Traced traced = trace(row);
  Random random = row.random("second");
  Tensors wrt, cotangents;
  for (const size_t i : row.differentiable) wrt.push_back(traced.inputs[i]);
  const Tensors first = trace_gradients(traced, row, wrt);
  std::vector<Dense> weights, direction(row.inputs.size());
  std::vector<Value> first_values, second_values;
  for (size_t i = 0; i < first.size(); ++i) {
    first_values.push_back(first[i].value());
    weights.push_back(random_dense(first[i].type(), random));
    direction[row.differentiable[i]] = random_dense(first[i].type(), random);
    cotangents.push_back(feed(traced, text("weights", i), weights[i]));
  }
  for (const Tensor& gradient : gradients(first, cotangents, wrt)) second_values.push_back(gradient.value());
  const std::vector<Dense> second = interpret(*traced.graph, traced.fed, second_values, {.exact = true});
  Product by_rule;
  for (size_t i = 0; i < second.size(); ++i) by_rule += inner(second[i], direction[row.differentiable[i]]);
  const Product by_difference = slope_of_gradients(traced, first_values, weights, direction);
  const double allowed = relative * std::max(by_rule.magnitude, std::abs(by_difference.sum)) +
                         of_result * by_difference.magnitude + 1e-300;
  const double error = std::abs(by_rule.sum - by_difference.sum) / allowed;
  if (error <= 1) return {true, "", error};
  return failed(text("the gradient of the gradient gives a slope of ", by_rule.sum,
                     ", differences of the gradient give ", by_difference.sum),
                error);
}

void Mistake::apply(std::vector<double>& values) const {
  for (double& value : values) value *= scale;
  if (rotate && !values.empty()) std::rotate(values.begin(), values.begin() + 1, values.end());
}

Tensors trace_gradients(Traced& traced, const Row& row, std::span<const Tensor> wrt, std::optional<size_t> port) {
  Random random = row.random("cotangents");
  Tensors outputs, cotangents;
  for (size_t i = 0; i < traced.outputs.size(); ++i) {
    const Tensor output = traced.outputs[i];
    if (!is_floating(output.dtype()) || (port && *port != i)) continue;
    outputs.push_back(output);
    cotangents.push_back(feed(traced, GradientCase::name(i), random_dense(output.type(), random)));
  }
  return gradients(outputs, cotangents, wrt);
}

std::vector<Dense> row_gradients(const Row& row, const OpDef& op) {
  Traced traced = trace(row, op);
  Tensors wrt;
  for (const size_t i : row.differentiable) wrt.push_back(traced.inputs[i]);
  std::vector<Value> results;
  for (const Tensor& gradient : trace_gradients(traced, row, wrt)) results.push_back(gradient.value());
  return interpret(*traced.graph, traced.fed, results, {.exact = true});
}

Verdict check_gradient(const Row& row, const Mistake& mistake, size_t mistaken) {
  GradientChecker checker(row, mistake, mistaken);
  Random random = row.random("directions");
  const std::vector<Dense> values = meaning(row, row.inputs);
  Verdict out;
  for (const std::vector<size_t>& subset : subsets(row.differentiable))
    out = worse(out, checker.directions(GradientCase(row, subset, {}), random));
  for (size_t port = 0; port < values.size(); ++port) {
    if (!is_floating(values[port].type.dtype)) continue;
    GradientCase rule(row, row.differentiable, port);
    if (values.size() > 1) out = worse(out, checker.directions(rule, random));
    if (elements_of(row, row.differentiable) * values[port].type.shape.elements() < small_jacobian)
      out = worse(out, checker.jacobian(rule, port));
  }
  return out;
}

}  // namespace descent::check
