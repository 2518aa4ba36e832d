// Joining neighbours: fewer passes over registers, the same results.
#include "descent/backend/cpu/tile_body.h"

namespace descent::cpu {

namespace {

using Kind = TileNode::Kind;

std::optional<Inner> inner_of(Arith op) {
  switch (op) {
    case Arith::add: return Inner::add;
    case Arith::sub: return Inner::sub;
    case Arith::mul: return Inner::mul;
    case Arith::div: return Inner::div;
    default: return std::nullopt;
  }
}

// The outer operation with the inner result as its first (or, if `second`, its second) argument.
Outer outer_of(Inner op, bool second) {
  switch (op) {
    case Inner::add: return Outer::add;
    case Inner::sub: return second ? Outer::rsub : Outer::sub;
    case Inner::mul: return Outer::mul;
    case Inner::div: return second ? Outer::rdiv : Outer::div;
  }
  return Outer::add;
}

template <class Table, class... Index>
TileRoutine entry(const Table& table, Index... index) {
  if constexpr (sizeof...(Index) == 0)
    return table;
  else
    return [&](auto first, auto... rest) { return entry(table[static_cast<size_t>(first)], rest...); }(index...);
}

class Joiner {
 public:
  Joiner(TileBody& body, const TileTable& table, std::span<const int> places)
      : nodes_(body.nodes), table_(table), places_(places), uses_(nodes_.size(), 0) {
    for (const TileNode& node : nodes_)
      for (const int id : node.in)
        if (id >= 0) ++uses_[static_cast<size_t>(id)];
  }

  void find_differences() {
    for (TileNode& node : nodes_) subtract(node);
  }

  // From the last to the first, so that the longest joins are found first.
  void join() {
    for (size_t id = nodes_.size(); id-- > 0;)
      if (nodes_[id].joins()) join(id);
  }

 private:
  TileNode& node(int id) { return nodes_[static_cast<size_t>(id)]; }

  void drop(int id) {
    if (--uses_[static_cast<size_t>(id)] > 0 || node(id).kind != Kind::compute) return;
    node(id).kind = Kind::dead;
    for (const int arg : node(id).in)
      if (arg >= 0) --uses_[static_cast<size_t>(arg)];
  }

  bool is_real(const TileNode& from, Arith op) const {
    return from.joins() && from.arith == op && from.type == LaneType::real;
  }

  // a + -b is a - b.
  void subtract(TileNode& sum) {
    if (!is_real(sum, Arith::add)) return;
    for (const size_t i : {1, 0}) {
      const int negated = sum.in[i];
      if (!is_real(node(negated), Arith::neg)) continue;
      sum.in = {sum.in[1 - i], node(negated).in[0], -1, -1};
      sum.arith = Arith::sub;
      sum.run = entry(table_.arith, LaneType::real, Arith::sub);
      ++uses_[static_cast<size_t>(sum.in[1])];
      return drop(negated);
    }
  }

  // Whether argument `id` of `of` can be computed within it.
  bool can_take(size_t of, int id, bool real = true) {
    const TileNode& from = node(id);
    return from.joins() && (!real || from.type == LaneType::real) &&
           uses_[static_cast<size_t>(id)] == 1 && places_[of] == places_[static_cast<size_t>(id)];
  }
  std::optional<Inner> takes(size_t of, int id) { return can_take(of, id) ? inner_of(*node(id).arith) : std::nullopt; }

  void become(size_t id, TileRoutine routine, std::array<int, 4> in, std::initializer_list<int> taken) {
    TileNode& made = nodes_[id];
    for (const int part : taken) {
      made.cost += node(part).cost;
      node(part).kind = Kind::dead;
    }
    made.run = routine;
    made.in = in;
    made.arith.reset();
  }

  void join(size_t id) {
    const TileNode& of = nodes_[id];
    if (of.arith == Arith::where) return join_selection(id);
    if (of.type != LaneType::real) return;
    if (of.arith == Arith::exp) return join_exp(id);
    if (const std::optional<Inner> op = inner_of(*of.arith)) join_binary(id, *op);
  }

  void join_binary(size_t id, Inner op) {
    const auto [a, b] = std::pair(nodes_[id].in[0], nodes_[id].in[1]);
    const std::optional<Inner> left = takes(id, a), right = takes(id, b);
    if (left && right && *left != Inner::div && *right != Inner::div)
      return become(id, entry(table_.both, *left, op, *right),
                    {node(a).in[0], node(a).in[1], node(b).in[0], node(b).in[1]}, {a, b});
    for (const bool second : {false, true}) {
      const int inner = second ? b : a, other = second ? a : b;
      const Outer outer = outer_of(op, second);
      if (const std::optional<Inner> first = takes(id, inner))
        return become(id, entry(table_.pair, *first, outer), {node(inner).in[0], node(inner).in[1], other, -1},
                      {inner});
      if (can_take(id, inner) && node(inner).arith == Arith::sqrt)
        return become(id, entry(table_.root_pair, outer), {node(inner).in[0], other, -1, -1}, {inner});
    }
  }

  void join_exp(size_t id) {
    const int inner = nodes_[id].in[0];
    if (const std::optional<Inner> first = takes(id, inner))
      become(id, entry(table_.exp_of, *first), {node(inner).in[0], node(inner).in[1], -1, -1}, {inner});
  }

  void join_selection(size_t id) {
    const int test = nodes_[id].in[0];
    if (!can_take(id, test, false)) return;
    const bool less = node(test).arith == Arith::less;
    if (!less && node(test).arith != Arith::equal) return;
    const auto& routines = less ? table_.select_less : table_.select_equal;
    become(id, entry(routines, node(test).type),
           {node(test).in[0], node(test).in[1], nodes_[id].in[1], nodes_[id].in[2]}, {test});
  }

  std::vector<TileNode>& nodes_;
  const TileTable& table_;
  std::span<const int> places_;
  std::vector<int> uses_;
};

}  // namespace

void find_differences(TileBody& body, const TileTable& table) { Joiner(body, table, {}).find_differences(); }

void join_nodes(TileBody& body, const TileTable& table, std::span<const int> places) {
  Joiner(body, table, places).join();
}

}  // namespace descent::cpu
