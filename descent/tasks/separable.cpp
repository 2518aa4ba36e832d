#include "descent/tasks/separable.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "descent/base/text.h"

namespace descent::tasks {

namespace {

using Real = long double;
using Column = std::vector<Real>;

constexpr Real tolerance = 1e-10L;

// Phase one of the simplex method with Bland's rule, which does not cycle: the least sum of artificials such that
// A x + artificials = b, all at least 0, for b >= 0. `columns` are those of A.
class Feasibility {
 public:
  Feasibility(const std::vector<Column>& columns, const Column& right)
      : rows_(right.size()), variables_(columns.size()), table_(rows_ + 1, Column(variables_ + rows_ + 1)) {
    for (size_t r = 0; r < rows_; ++r) {
      for (size_t c = 0; c < variables_; ++c) table_[r][c] = columns[c][r];
      table_[r][variables_ + r] = 1;
      table_[r].back() = right[r];
      basis_.push_back(variables_ + r);
    }
    for (size_t r = 0; r < rows_; ++r)
      for (size_t c = 0; c < table_[r].size(); ++c)
        if (c < variables_ || c == variables_ + rows_) table_[rows_][c] -= table_[r][c];
  }

  // False if it takes too many steps.
  bool solve() {
    for (size_t step = 0; step < 50 * (variables_ + rows_); ++step) {
      const size_t enter = entering();
      if (enter == none) return true;
      const size_t leave = leaving(enter);
      if (leave == none) return false;
      pivot(leave, enter);
    }
    return false;
  }

  Real residual() const { return -table_[rows_].back(); }

  Column solution() const {
    Column out(variables_);
    for (size_t r = 0; r < rows_; ++r)
      if (basis_[r] < variables_) out[basis_[r]] = table_[r].back();
    return out;
  }

  // The multipliers of the rows: what proves that nothing is feasible.
  Column dual() const {
    Column out(rows_);
    for (size_t r = 0; r < rows_; ++r) out[r] = 1 - table_[rows_][variables_ + r];
    return out;
  }

 private:
  static constexpr size_t none = static_cast<size_t>(-1);

  size_t entering() const {
    for (size_t c = 0; c < variables_; ++c)
      if (table_[rows_][c] < -tolerance) return c;
    return none;
  }

  size_t leaving(size_t enter) const {
    size_t best = none;
    for (size_t r = 0; r < rows_; ++r) {
      if (table_[r][enter] <= tolerance) continue;
      if (best == none) {
        best = r;
        continue;
      }
      const Real here = table_[r].back() / table_[r][enter], there = table_[best].back() / table_[best][enter];
      if (here < there - tolerance || (here <= there + tolerance && basis_[r] < basis_[best])) best = r;
    }
    return best;
  }

  void pivot(size_t row, size_t column) {
    const Real divisor = table_[row][column];
    for (Real& value : table_[row]) value /= divisor;
    for (size_t r = 0; r <= rows_; ++r) {
      const Real factor = table_[r][column];
      if (r == row || factor == 0) continue;
      for (size_t c = 0; c < table_[r].size(); ++c) table_[r][c] -= factor * table_[row][c];
    }
    basis_[row] = column;
  }

  size_t rows_, variables_;
  std::vector<Column> table_;  // the last row: reduced costs
  std::vector<size_t> basis_;
};

// Each example as the column sign * (x, 1): inseparable exactly if a convex combination of the columns is 0.
std::vector<Column> signed_columns(const Array& inputs, const Array& labels) {
  const int64_t rows = inputs.shape()[0], features = inputs.shape()[1];
  std::vector<Column> out;
  for (int64_t row = 0; row < rows; ++row) {
    const Real sign = labels.at(row) > 0 ? 1 : -1;
    Column column;
    for (int64_t f = 0; f < features; ++f) column.push_back(sign * static_cast<Real>(inputs.at(row * features + f)));
    column.push_back(sign);
    out.push_back(std::move(column));
  }
  return out;
}

Real dot(const Column& a, const Column& b) {
  Real sum = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) sum += a[i] * b[i];
  return sum;
}

// Is every example on its side of the plane?
bool separates(const Column& plane, const std::vector<Column>& columns) {
  return std::ranges::all_of(columns, [&](const Column& column) { return dot(plane, column) > 0; });
}

}  // namespace

Separable linearly_separable(const Array& inputs, const Array& labels) {
  const std::vector<Column> columns = signed_columns(inputs, labels);
  if (columns.empty()) return Separable::unknown;
  const size_t size = columns[0].size();
  std::vector<Column> extended = columns;
  for (Column& column : extended) column.push_back(1);  // weights that sum to 1
  Column right(size + 1, 0);
  right[size] = 1;
  Feasibility hulls(extended, right);
  if (!hulls.solve()) return Separable::unknown;
  if (hulls.residual() < tolerance) {
    const Column weights = hulls.solution();
    Real worst = 0;
    for (size_t i = 0; i < size; ++i) {
      Real sum = 0;
      for (size_t c = 0; c < columns.size(); ++c) sum += weights[c] * columns[c][i];
      worst = std::max(worst, std::abs(sum));
    }
    return worst < 100 * tolerance ? Separable::no : Separable::unknown;
  }
  Column plane = hulls.dual();
  plane.resize(size);
  for (Real& value : plane) value = -value;
  return separates(plane, columns) ? Separable::yes : Separable::unknown;
}

namespace {

constexpr int64_t most_rows = 2000, most_features = 100;

// Nothing but affine layers, and what bends nothing.
bool is_linear(const std::vector<nn::Settings>& layers) {
  static constexpr std::array<std::string_view, 4> straight{"linear", "flatten", "identity", "dropout"};
  return !layers.empty() && std::ranges::all_of(layers, [](const nn::Settings& layer) {
    return std::ranges::find(straight, layer.word("kind")) != straight.end();
  });
}

std::string_view plane_name(int64_t features) {
  return features == 1 ? "threshold" : features == 2 ? "line" : features == 3 ? "plane" : "hyperplane";
}

}  // namespace

std::string separability_note(const Experiment& experiment, const train::Figures& training) {
  const data::Dataset& data = experiment.splits.train;
  const std::optional<double> accuracy = train::figure(training, "accuracy");
  const bool small = data.inputs.shape().rank() == 2 && data.size() <= most_rows &&
                     data.inputs.shape()[1] <= most_features && data.inputs.dtype() == DType::f32;
  if (!accuracy || *accuracy >= 1 || data.classes.size() != 2 || !small || !is_linear(experiment.recipe.layers))
    return "";
  if (linearly_separable(data.inputs, data.targets) != Separable::no) return "";
  const std::string_view plane = plane_name(data.inputs.shape()[1]);
  return text("no ", plane, " separates the classes ", data.classes[0], " and ", data.classes[1],
              " (their convex hulls meet), and a net without a hidden layer draws one ", plane,
              ": it cannot get all training rows right, however long it trains; add a hidden layer");
}

}  // namespace descent::tasks
