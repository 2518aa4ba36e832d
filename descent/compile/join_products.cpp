// A weight that is used in each step of a sequence has a gradient that is the sum of as many products as there are
// steps: one product, whose depth is that of all of them.
#include <algorithm>
#include <optional>
#include <set>

#include "descent/compile/passes.h"
#include "descent/ops/add.h"
#include "descent/ops/concat.h"
#include "descent/ops/matmul.h"

namespace descent {

namespace {

constexpr size_t fewest = 3;  // products: what joining costs is that operands are put together

bool is_transposed(const Node& node) {
  return node.op == &op_def<Permute>() && node.attrs.integers("axes") == std::vector<int64_t>{1, 0};
}

// a^T b of two matrices.
struct Product {
  Value a, b;
};

class SumFinder {
 public:
  explicit SumFinder(const Staged& staged) : graph_(*staged.graph), uses_(use_counts(graph_, staged.results)) {}

  // The terms of a sum, a product each; none if `id` is no such sum, or a part of a larger one.
  std::vector<Product> terms(uint32_t id) const {
    std::vector<Product> out;
    if (!gather({id, 0}, out, true) || out.size() < fewest) return {};
    std::ranges::sort(out, {}, &Product::a);  // as the steps were written
    return out;
  }

 private:
  std::optional<Product> product(Value value) const {
    const Node& node = graph_.node(value);
    if (node.op != &op_def<Matmul>() || node.outputs[0].shape.rank() != 2) return std::nullopt;
    const Node& left = graph_.node(node.inputs[0]);
    if (!is_transposed(left)) return std::nullopt;
    return Product{left.inputs[0], node.inputs[1]};
  }

  // Sums are long chains, so no recursion along them.
  bool gather(Value value, std::vector<Product>& out, bool whole) const {
    std::vector<Value> open{value};
    while (!open.empty()) {
      const Value at = open.back();
      open.pop_back();
      if (!whole && uses_.at(at) != 1) return false;
      whole = false;
      const Node& node = graph_.node(at);
      if (node.op == &op_def<Add>()) {
        open.push_back(node.inputs[1]);
        open.push_back(node.inputs[0]);
      } else if (const std::optional<Product> found = product(at)) {
        if (!out.empty() && !alike(out.front(), *found)) return false;
        out.push_back(*found);
      } else {
        return false;
      }
    }
    return true;
  }

  bool alike(const Product& x, const Product& y) const {
    const Type &a = graph_.type(x.a), &b = graph_.type(y.a);
    return a.dtype == b.dtype && a.shape[1] == b.shape[1];
  }

  const Graph& graph_;
  std::map<Value, int> uses_;
};

// Values that are wanted one behind the other, and where they stand so already, if they do.
struct Together {
  std::vector<Value> parts;
  std::optional<uint32_t> whole = {};  // a concatenation that has them from row `begin` on
  int64_t begin = 0, size = 0;
};

struct Sum {
  Together a, b;
};

class Joining {
 public:
  explicit Joining(const Staged& from) : from_(from), graph_(*from.graph), live_(live_nodes(graph_, from.results)) {
    const SumFinder finder(from);
    for (const uint32_t id : live_) {
      if (graph_.node(id).op != &op_def<Add>()) continue;
      Sum sum;
      for (const Product& term : finder.terms(id)) {
        sum.a.parts.push_back(term.a);
        sum.b.parts.push_back(term.b);
      }
      if (!sum.a.parts.empty()) sums_.emplace(id, std::move(sum));
    }
    find_wholes();
  }

  Staged run() {
    std::vector<uint32_t> order = in_order();
    if (order.size() != live_.size()) {  // two wait for each other
      for (auto& [id, sum] : sums_) sum.a.whole = sum.b.whole = std::nullopt;
      order = live_;
    }
    Rewriter rewriter(from_);
    return rewriter.run(order, [&](uint32_t id, const Node& node) -> Tensors {
      const auto sum = sums_.find(id);
      if (sum == sums_.end()) return rewriter.copy(node);
      const Tensor left = together(rewriter, sum->second.a, node.site),
                   right = together(rewriter, sum->second.b, node.site);
      return {apply<Matmul>({transpose(left, node.site), right}, {{"to", node.outputs[0].dtype}}, node.site)};
    });
  }

 private:
  void find_wholes() {
    for (const uint32_t id : live_) {
      const Node& node = graph_.node(id);
      if (node.op != &op_def<Concat>() || node.attrs.integer("axis") != 0) continue;
      for (auto& [sum, operands] : sums_)
        for (Together* wanted : {&operands.a, &operands.b}) find_in(id, node, *wanted);
    }
  }

  void find_in(uint32_t id, const Node& node, Together& wanted) const {
    const std::vector<Value>&all = node.inputs, &parts = wanted.parts;
    const auto found = std::search(all.begin(), all.end(), parts.begin(), parts.end());
    if (found == all.end() || wanted.whole) return;
    wanted.whole = id;
    for (auto part = all.begin(); part != found; ++part) wanted.begin += graph_.type(*part).shape[0];
    for (const Value part : parts) wanted.size += graph_.type(part).shape[0];
  }

  // The live nodes such that each sum comes behind what it is a slice of: oldest first, where that leaves a choice.
  std::vector<uint32_t> in_order() const {
    std::vector<int> waits(graph_.size(), 0);
    std::vector<std::vector<uint32_t>> next(graph_.size());
    const auto after = [&](uint32_t before, uint32_t id) { next[before].push_back(id), ++waits[id]; };
    for (const uint32_t id : live_)
      for (const Value input : graph_.node(id).inputs) after(input.node, id);
    for (const auto& [id, sum] : sums_)
      for (const Together* each : {&sum.a, &sum.b})
        if (each->whole) after(*each->whole, id);
    std::set<uint32_t> ready;
    for (const uint32_t id : live_)
      if (waits[id] == 0) ready.insert(id);
    std::vector<uint32_t> out;
    while (!ready.empty()) {
      const uint32_t id = *ready.begin();
      ready.erase(ready.begin());
      out.push_back(id);
      for (const uint32_t each : next[id])
        if (--waits[each] == 0) ready.insert(each);
    }
    return out;
  }

  static Tensor together(Rewriter& rewriter, const Together& wanted, Site at) {
    if (wanted.whole)
      return slice_axis(rewriter({*wanted.whole, 0}), 0, wanted.begin, wanted.begin + wanted.size, 1, at);
    Tensors in;
    for (const Value part : wanted.parts) in.push_back(rewriter(part));
    return concat(in, 0, at);
  }

  const Staged& from_;
  const Graph& graph_;
  std::vector<uint32_t> live_;
  std::map<uint32_t, Sum> sums_;
};

}  // namespace

Staged join_products(const Staged& from) { return Joining(from).run(); }

}  // namespace descent
