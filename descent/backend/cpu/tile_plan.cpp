#include "descent/backend/cpu/tile_plan.h"

namespace descent::cpu {

namespace {

using Kind = TileNode::Kind;

void prune(TileBody& body) {
  std::vector<bool> needed(body.nodes.size(), false);
  for (size_t id = body.nodes.size(); id-- > 0;) {
    TileNode& each = body.nodes[id];
    if (each.kind != Kind::store && !needed[id]) each.kind = Kind::dead;
    for (const int arg : each.in)
      if (each.kind != Kind::dead && arg >= 0) needed[static_cast<size_t>(arg)] = true;
  }
}

void join(TilePlan& plan, const TileTable& table) {
  std::vector<int> places;
  for (const NodeTime& each : plan.times)
    places.push_back(each.when * static_cast<int>(lanes_kinds) + static_cast<int>(each.lanes));
  join_nodes(plan.body, table, places);
}

bool overlaps_load(const TilePlan& plan, const TileNode& store, const BufferPlaces& places) {
  return plan.any_alive([&](const TileNode& each) {
    return each.kind == Kind::load && places.may_overlap(plan.view(store), plan.view(each));
  });
}

int last_phase(const TilePlan& plan) {
  int last = 0;
  for (int id = 0; id < plan.count(); ++id) {
    if (!plan.alive(id)) continue;
    if (plan.in_tile(id))
      last = std::max(last, plan.time(id).phase);
    else if (plan.is_accumulated(id))
      last = std::max(last, plan.time(id).when - 1);
  }
  return last;
}

// Elements are stored as soon as they are there, but where loads of later phases would read them instead of what was
// there before: then in the last phase.
void place_stores(TilePlan& plan, const BufferPlaces& places) {
  for (int id = 0; id < plan.count(); ++id)
    if (plan.node(id).kind == Kind::store && plan.in_tile(id) && overlaps_load(plan, plan.node(id), places))
      plan.times[static_cast<size_t>(id)].phase = plan.last_phase;
}

// Chunks read what levels store in later stages: wrong if a level was updated in between.
bool rereads_stored_levels(const TilePlan& plan, const BufferPlaces& places) {
  return plan.last_phase > 0 && plan.any_alive([&](const TileNode& each) {
    return each.kind == Kind::store && each.level != Level::element && overlaps_load(plan, each, places);
  });
}

void unstage(TilePlan& plan) {
  TileLayout& layout = plan.layout;
  const bool down = layout.walk == Walk::columns;
  plan.staged = false;
  layout.chunks = 1;
  layout.chunk = round_up(std::max<int64_t>(down ? layout.rows : layout.columns, 1),
                          down ? layout.tile_rows : layout.tile_columns);
}

}  // namespace

TilePlan make_plan(const LoopKernel& kernel, const BufferPlaces& places, const TileTable& table) {
  const Walk walk = choose_walk(kernel);
  TilePlan plan;
  plan.body = tile_body(kernel, walk, table);
  prune(plan.body);
  find_differences(plan.body, table);
  plan.layout = choose_layout(kernel, plan.body, walk);
  plan.times = node_times(plan.body, plan.layout);
  plan.unjoined = plan.body;
  join(plan, table);
  plan.last_phase = last_phase(plan);
  place_stores(plan, places);
  plan.staged =
      plan.layout.chunks > 1 && plan.any_alive([](const TileNode& node) { return node.kind == Kind::reduce; });
  if (plan.staged && rereads_stored_levels(plan, places)) unstage(plan);
  return plan;
}

std::vector<int> last_uses(const TilePlan& plan, const std::vector<int>& order) {
  std::vector<int> last(plan.body.nodes.size(), -1);
  for (size_t at = 0; at < order.size(); ++at)
    for (const int arg : plan.node(order[at]).in)
      if (arg >= 0) last[static_cast<size_t>(arg)] = static_cast<int>(at);
  return last;
}

}  // namespace descent::cpu
