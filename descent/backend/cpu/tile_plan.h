// What a loop kernel's instructions are made from: its body, how it is cut, and in which phase each node is computed.
#pragma once

#include <algorithm>
#include <vector>

#include "descent/backend/cpu/tile_layout.h"

namespace descent::cpu {

struct TilePlan {
  TileBody body;
  TileBody unjoined;  // the same, before neighbours were joined: what native loops are written from
  TileLayout layout;
  std::vector<NodeTime> times;  // by node
  int last_phase = 0;
  bool staged = false;  // the reduced axis is in chunks, see TilePart

  int count() const { return static_cast<int>(body.nodes.size()); }
  const TileNode& node(int id) const { return body.nodes[static_cast<size_t>(id)]; }
  const NodeTime& time(int id) const { return times[static_cast<size_t>(id)]; }
  const TileView& view(const TileNode& of) const { return body.views[static_cast<size_t>(of.view)]; }

  bool alive(int id) const { return node(id).kind != TileNode::Kind::dead; }
  bool in_tile(int id) const { return time(id).when == NodeTime::tile; }
  bool is_level(int id) const { return node(id).level != Level::element && !node(id).uniform; }
  // A reduction that is complete only after all tiles of its unit; of a unit's phase p.
  bool is_accumulated(int id) const { return node(id).kind == TileNode::Kind::reduce && !in_tile(id); }
  bool is_accumulated_in(int id, int p) const { return is_accumulated(id) && time(id).when == p + 1; }

  template <class Test>
  std::vector<int> nodes_where(Test test) const {
    std::vector<int> out;
    for (int id = 0; id < count(); ++id)
      if (alive(id) && test(id)) out.push_back(id);
    return out;
  }
  template <class Test>
  bool any_alive(Test test) const {
    return std::ranges::any_of(body.nodes,
                               [&](const TileNode& each) { return each.kind != TileNode::Kind::dead && test(each); });
  }

  // The nodes that `sinks` follow from, arguments first, without what `stop` says is there already (which is included
  // itself).
  template <class Stop>
  std::vector<int> closure(const std::vector<int>& sinks, Stop stop) const {
    std::vector<bool> needed(body.nodes.size(), false);
    for (const int id : sinks) needed[static_cast<size_t>(id)] = true;
    std::vector<int> out;
    for (int id = count(); id-- > 0;) {
      if (!needed[static_cast<size_t>(id)]) continue;
      out.push_back(id);
      if (stop(id)) continue;
      for (const int arg : node(id).in)
        if (arg >= 0) needed[static_cast<size_t>(arg)] = true;
    }
    std::ranges::reverse(out);
    return out;
  }
};

// Fails naming the instruction if there is something the machine cannot do.
TilePlan make_plan(const LoopKernel& kernel, const BufferPlaces& places, const TileTable& table);

// For each node where in `order` it is read for the last time; -1: nowhere.
std::vector<int> last_uses(const TilePlan& plan, const std::vector<int>& order);

}  // namespace descent::cpu
