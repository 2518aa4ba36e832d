#include "descent/backend/cpu/tile_direct.h"

namespace descent::cpu {

namespace {

using Kind = TileNode::Kind;

class DirectFinder {
 public:
  DirectFinder(const TilePlan& plan, const BufferPlaces& places, const std::vector<int>& order)
      : plan_(plan), places_(places), order_(order), last_(last_uses(plan, order)), direct_(plan.body.nodes.size()) {}

  std::vector<DirectRegister> find() {
    if (!dense_tiles()) return {};
    for (size_t at = 0; at < order_.size(); ++at)
      if (load_is_direct(at)) add(order_[at], order_[at]);
    for (size_t at = 0; at < order_.size(); ++at)
      if (store_is_direct(at)) add(order_[at], plan_.node(order_[at]).in[0]);
    return std::move(found_);
  }

 private:
  const TileNode& ordered(size_t at) const { return plan_.node(order_[at]); }
  const TileView& view(const TileNode& access) const { return plan_.view(access); }

  void add(int access, int value) {
    direct_[static_cast<size_t>(access)] = true;
    found_.push_back({access, value});
  }

  bool whole_groups() const {
    const TileLayout& layout = plan_.layout;
    return layout.walk == Walk::long_rows || layout.walk == Walk::flat || layout.columns % lane_group == 0;
  }
  bool dense_tiles() const {
    const TileLayout& layout = plan_.layout;
    return layout.walk != Walk::blocks &&
           (layout.walk != Walk::columns || layout.tile_columns == layout.columns || layout.tile_rows == 1);
  }

  bool can_be_memory(const TileNode& access) const {
    return access.level == Level::element && !access.uniform && view(access).contiguous() &&
           size_of(view(access).dtype) == 4;
  }

  // Nothing may change the memory between the load and the last use.
  bool load_is_direct(size_t at) const {
    const TileNode& load = ordered(at);
    if (load.kind != Kind::load || !can_be_memory(load)) return false;
    const int end = last_[static_cast<size_t>(order_[at])];
    for (size_t other = 0; other < order_.size(); ++other) {
      const TileNode& each = ordered(other);
      const bool reads = std::ranges::find(each.in, order_[at]) != each.in.end();
      if (reads && !whole_groups() && each.kind != Kind::compute && each.kind != Kind::store)
        return false;  // reads behind the tile
      if (each.kind == Kind::store && places_.may_overlap(view(load), view(each)) &&
          (!places_.same(view(load), view(each)) || (other > at && static_cast<int>(other) < end)))
        return false;
    }
    return true;
  }

  bool is_stored_directly(int value) const {
    return std::ranges::any_of(found_, [&](const DirectRegister& each) { return each.value == value; });
  }

  // The value is computed where it is stored, if nothing reads that memory after that.
  bool store_is_direct(size_t at) const {
    const TileNode& store = ordered(at);
    if (store.kind != Kind::store || !can_be_memory(store)) return false;
    const int value = store.in[0];
    if (plan_.node(value).kind != Kind::compute || !plan_.in_tile(value) || plan_.time(value).lanes != Lanes::element ||
        plan_.node(value).level != Level::element)
      return false;
    if (is_stored_directly(value)) return false;
    const auto made = std::ranges::find(order_, value) - order_.begin();
    for (size_t other = 0; other < order_.size(); ++other) {
      const TileNode& each = ordered(other);
      if (other == at || (each.kind != Kind::load && each.kind != Kind::store) ||
          !places_.may_overlap(view(each), view(store)))
        continue;
      if (each.kind == Kind::store || !places_.same(view(each), view(store))) return false;
      const auto id = static_cast<size_t>(order_[other]);
      const int read = direct_[id] ? last_[id] : static_cast<int>(other);
      if (read > made && other < at) return false;
    }
    return true;
  }

  const TilePlan& plan_;
  const BufferPlaces& places_;
  const std::vector<int>& order_;
  const std::vector<int> last_;
  std::vector<bool> direct_;  // accesses that vanish
  std::vector<DirectRegister> found_;
};

}  // namespace

std::vector<DirectRegister> direct_registers(const TilePlan& plan, const BufferPlaces& places,
                                             const std::vector<int>& order) {
  return DirectFinder(plan, places, order).find();
}

}  // namespace descent::cpu
