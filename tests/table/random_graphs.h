// Random graphs: ops in combinations that nobody thought of, always the same ones for the same number.
#pragma once

#include <map>
#include <memory>

#include "descent/check/random.h"
#include "descent/grad/gradient.h"
#include "descent/ops/ops.h"
#include "descent/reference/interpreter.h"

namespace descent::check {

class RandomGraph {
 public:
  // `smooth`: only functions with a derivative everywhere, whose gradients rounding cannot throw from one side of a
  // kink to the other.
  RandomGraph(int number, bool smooth)
      : random_(text("graph ", number)), smooth_(smooth), graph_(std::make_shared<Graph>()) {
    const int64_t rows = one_of(sizes), columns = one_of(sizes);
    for (const Shape& shape : {Shape{rows, columns}, Shape{rows, columns}, Shape{columns}, Shape{rows, 1}, Shape{}})
      pool_.push_back(number_input(shape));
    if (whole(0, 2) == 0) pool_.push_back(number_input({whole(2, 4), rows, columns}));
    key_ = whole_input({DType::u32, {2}}, 1 << 30);
    counter_ = whole_input({DType::u32, {2}}, 1 << 20);
  }

  void grow(int ops) {
    while (ops-- > 0) pool_.push_back(grown());
  }

  // The last tensors; a loss of them and its gradients with respect to every input of numbers.
  std::vector<Value> results(int count, bool with_gradients) {
    std::vector<Value> out;
    const Tensors last(pool_.end() - count, pool_.end());
    for (const Tensor& tensor : last) out.push_back(tensor.value());
    if (!with_gradients) return out;
    Tensor loss = constant(*graph_, 0.0);
    for (const Tensor& tensor : last) loss = loss + mean(square(tensor));
    out.push_back(loss.value());
    for (const Tensor& gradient : gradients(loss, number_inputs_)) out.push_back(gradient.value());
    return out;
  }

  // Results that are new values of inputs, as in an optimiser's step.
  std::vector<std::pair<size_t, std::string>> add_updates(std::vector<Value>& results) {
    std::vector<std::pair<size_t, std::string>> updates;
    const std::vector<Value> before = results;
    for (const Tensor& state : number_inputs_) {
      for (const Value& value : before)
        if (graph_->type(value) == state.type() && whole(0, 2) == 0) {
          updates.emplace_back(results.size(), state.node().attrs.string("name"));
          results.push_back((state - 0.1 * Tensor(*graph_, value)).value());
          break;
        }
    }
    return updates;
  }

  const std::shared_ptr<Graph>& graph() const { return graph_; }
  const std::map<std::string, Dense>& fed() const { return fed_; }

 private:
  static constexpr int64_t sizes[] = {1, 2, 3, 5, 8, 16, 17, 33, 300};

  int64_t whole(int64_t from, int64_t to) {  // both included
    return from + static_cast<int64_t>(random_.uniform(0, 1) * static_cast<double>(to - from + 1));
  }
  template <class T, size_t count>
  T one_of(const T (&list)[count]) {
    return list[whole(0, static_cast<int64_t>(count) - 1)];
  }

  std::string feed(const Type& type, std::vector<double> values) {
    const std::string name = text("in", fed_.size());
    fed_.emplace(name, dense(type, std::move(values)));
    return name;
  }
  Tensor number_input(const Shape& shape) {
    const Type type{DType::f32, shape};
    std::vector<double> values;
    for (int64_t i = 0; i < shape.elements(); ++i) values.push_back(random_.uniform(-2, 2));
    number_inputs_.push_back(input(*graph_, feed(type, values), type));
    return number_inputs_.back();
  }
  Tensor whole_input(const Type& type, int64_t below) {
    std::vector<double> values;
    for (int64_t i = 0; i < type.shape.elements(); ++i) values.push_back(static_cast<double>(whole(0, below - 1)));
    return input(*graph_, feed(type, values), type);
  }

  // Mostly a late tensor, so that graphs grow deep.
  Tensor any() {
    const int64_t last = std::ssize(pool_) - 1;
    return pool_[static_cast<size_t>(whole(0, 3) == 0 ? whole(0, last) : whole(std::max<int64_t>(0, last - 4), last))];
  }
  Tensor with_rank(int least) {
    for (int tries = 0; tries < 20; ++tries)
      if (const Tensor x = any(); x.rank() >= least) return x;
    return pool_[0];
  }
  int axis_of(const Tensor& x) { return static_cast<int>(whole(0, x.rank() - 1)); }

  // `x` as an operand beside one of this shape: as it is, reshaped, or its mean.
  Tensor fitted(const Tensor& x, const Shape& shape) {
    if (x.shape() == shape || (x.rank() <= 1 && (x.rank() == 0 || x.shape()[0] == shape.back()))) return x;
    if (x.shape().elements() == shape.elements()) return reshape(x, shape.to_vector());
    return mean(x);
  }

  Tensor grown() {
    switch (whole(0, 9)) {
      case 0:
      case 1: return smooth_ || whole(0, 1) == 0 ? smooth_unary(any()) : kinked_unary(any());
      case 2:
      case 3: return binary();
      case 4: return reduction(with_rank(1));
      case 5: return along_rows(with_rank(2));
      case 6:
      case 7: return view(with_rank(1));
      case 8: return product(with_rank(2));
      default: return special(with_rank(1));
    }
  }

  // Bounded, so that numbers stay in range however deep the graph is.
  Tensor smooth_unary(Tensor x) {
    static constexpr Tensor (*functions[])(Tensor) = {
        [](Tensor a) { return -a; },
        [](Tensor a) { return tanh(a); },
        [](Tensor a) { return sigmoid(a); },
        [](Tensor a) { return gelu(a); },
        [](Tensor a) { return silu(a); },
        [](Tensor a) { return softplus(a); },
        [](Tensor a) { return exp(tanh(a)); },
        [](Tensor a) { return sin(a) + cos(a); },
        [](Tensor a) { return erf(a); },
        [](Tensor a) { return x_erf_slope(a); },
        [](Tensor a) { return square(tanh(a)); },
        [](Tensor a) { return sqrt(1.0 + square(a)); },
        [](Tensor a) { return log(1.5 + square(a)); },
        [](Tensor a) { return 1.0 / (1.0 + square(a)); },
        [](Tensor a) { return cast(cast(a, DType::bf16), DType::f32); },
    };
    return one_of(functions)(x);
  }
  Tensor kinked_unary(Tensor x) {
    static constexpr Tensor (*functions[])(Tensor) = {
        [](Tensor a) { return relu(a); },        [](Tensor a) { return abs(a); },
        [](Tensor a) { return leaky_relu(a); },  [](Tensor a) { return elu(a); },
        [](Tensor a) { return selu(a); },        [](Tensor a) { return clamp(a, -0.7, 0.9); },
        [](Tensor a) { return maximum(a, -a); },
    };
    return one_of(functions)(x);
  }

  Tensor binary() {
    const Tensor a = any(), b = fitted(any(), a.shape());
    switch (whole(0, smooth_ ? 4 : 6)) {
      case 0: return 0.7 * (a + b);
      case 1: return a - b;
      case 2: return a * tanh(b);
      case 3: return a / (1.0 + square(b));
      case 4: {
        // The condition is of inputs as they come: nothing rounds it over to the other side.
        const Tensor p = pool_[0], q = pool_[1];
        return where(less(p, q), fitted(a, p.shape()), fitted(b, p.shape()));
      }
      case 5: return maximum(a, b);
      default: return minimum(a, b);
    }
  }

  Tensor reduction(Tensor x) {
    const int axis = axis_of(x);
    const bool keep = whole(0, 1) == 0;
    const std::vector<int> axes =
        whole(0, 3) == 0 && x.rank() > 1 ? std::vector<int>{0, x.rank() - 1} : std::vector{axis};
    Tensor out;
    switch (whole(0, smooth_ ? 1 : 2)) {
      case 0: out = mean(x, axes, keep); break;
      case 1: out = sum(x, axes, keep) * (1.0 / std::sqrt(static_cast<double>(x.shape()[axis]))); break;
      default: out = max(x, axes, keep); break;
    }
    return keep && whole(0, 1) == 0 ? x - broadcast(out, x.shape()) : out;
  }

  Tensor along_rows(Tensor x) {
    const Shape features{x.shape().back()};
    switch (whole(0, 3)) {
      case 0: return softmax(x);
      case 1: return log_softmax(x);
      case 2: return layer_norm(x, number_input(features), number_input(features), 0.1);
      default: return rms_norm(x, number_input(features), 0.1);
    }
  }

  static Shape in_front(int64_t size, const Shape& shape) {
    Shape out{size};
    for (const int64_t each : shape) out.push_back(each);
    return out;
  }

  Tensor view(Tensor x) {
    const int axis = axis_of(x);
    const int64_t size = x.shape()[axis];
    switch (whole(0, 7)) {
      case 0: return x.rank() >= 2 ? transpose(x) : x;
      case 1: return reshape(x, {x.shape().elements()});
      case 2: return x.rank() < 4 ? reshape(x, in_front(1, x.shape()).to_vector()) : x;
      case 3: return size > 1 ? slice_axis(x, axis, whole(0, size / 2), size, whole(1, 2)) : x;
      case 4: {
        std::vector<int64_t> low(static_cast<size_t>(x.rank()), 0), high = low;
        low[static_cast<size_t>(axis)] = whole(0, 2);
        high[static_cast<size_t>(axis)] = whole(0, 2);
        return x.shape().elements() < 2000 ? pad(x, low, high, 0.25) : x;
      }
      case 5: return flip(x, {axis});
      case 6: return x.shape().elements() < 1000 ? concat({x, smooth_unary(x)}, axis) : x;
      default: return x.rank() < 4 && x.shape().elements() < 1000 ? broadcast(x, in_front(2, x.shape())) : x;
    }
  }

  // With a weight, as layers have it (bias and activation behind it, sometimes), or with itself.
  Tensor product(Tensor x) {
    const int64_t inner = x.shape().back();
    const double scale = 1 / std::sqrt(static_cast<double>(inner));
    if (whole(0, 2) == 0) return scale * matmul(x, transpose(whole(0, 1) == 0 ? x : smooth_unary(x)));
    const int64_t columns = one_of(sizes);
    Tensor out =
        matmul(x, whole(0, 1) == 0 ? number_input({inner, columns}) : transpose(number_input({columns, inner})));
    if (whole(0, 1) == 0) out = out + number_input({columns});
    if (whole(0, 1) == 0) out = smooth_ ? gelu(out) : relu(out);
    return scale * out;
  }

  Tensor special(Tensor x) {
    const int64_t rows = x.shape()[0];
    const Type few{DType::i32, {whole(1, 6)}},
        each{DType::i32, x.rank() > 0 ? x.shape().without(x.rank() - 1) : Shape{}};
    switch (whole(0, 4)) {
      case 0: return gather(x, whole_input(few, rows));
      case 1: return scatter_add(whole_input({DType::i32, {rows}}, 3), x, 3);
      case 2: return cross_entropy(x, whole_input(each, x.shape().back()), whole(0, 1) == 0 ? 0 : 0.1);
      case 3: return dropout(x, key_, counter_, 0.3, stream_++);
      default: return x + random_uniform(key_, counter_, x.shape(), stream_++);
    }
  }

  Random random_;
  bool smooth_;
  std::shared_ptr<Graph> graph_;
  std::map<std::string, Dense> fed_;
  Tensors pool_, number_inputs_;
  Tensor key_, counter_;
  int64_t stream_ = 0;
};

}  // namespace descent::check
