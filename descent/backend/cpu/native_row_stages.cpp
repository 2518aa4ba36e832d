#include "descent/backend/cpu/native_row_stages.h"

#if defined(__x86_64__)
#include <algorithm>
#include <utility>

namespace descent::cpu {

bool RowStages::repeats_in_row(int id) const {
  if (node(id).kind != Kind::load || node(id).uniform || node(id).level != Level::element) return false;
  const TileView& seen = view(id);
  return seen.axes == 2 && seen.sizes[1] == columns_ && seen.strides[0] == 1 && seen.strides[1] == 0;
}

int64_t RowStages::row_step(int id) const {
  const TileView& seen = view(id);
  if (seen.contiguous() || row_period(id) > 0) return columns_;
  const bool rows = seen.axes == 2 && seen.sizes[1] == columns_ && seen.strides[1] == 1 && seen.strides[0] >= 0;
  return rows ? seen.strides[0] : -1;
}

int64_t RowStages::row_period(int id) const {
  const int64_t period = node(id).kind == Kind::load ? period_of(view(id)) : 0;
  return period > columns_ && period % columns_ == 0 ? period / columns_ : 0;
}

int RowStages::sums_before(Level level, int id) const {
  int found = 0;
  for (int before = 0; before < id; ++before) found += node(before).kind == Kind::reduce && node(before).level == level;
  return found;
}

// --- What belongs where ---

bool RowStages::sort_by_stage() {
  const std::vector<int> order = needed();
  for (const int id : order) {
    if (!is_known(id)) return false;
    for (const int arg : arguments_of(id)) stage_[static_cast<size_t>(id)] = std::max(stage(id), stage(arg));
    if (sums_rows(id)) ++stage_[static_cast<size_t>(id)];
    stages_ = std::max(stages_, stage(id) + 1);
    const bool steady = of_row(id) || node(id).kind == Kind::spread;
    set_rate(id, node(id).uniform && node(id).kind != Kind::store ? Rate::never
                 : steady                                         ? Rate::column
                                                                  : Rate::element);
    if (node(id).kind == Kind::random) random_.push_back(id);
    if (rate(id) == Rate::never)
      never_.push_back(id);
    else if (of_row(id) && node(id).kind != Kind::store)
      column_.push_back(id);
  }
  find_late_stores();
  fill_stages(order);
  return stages_ > 1 || !column_.empty() || period_rows_ > 0;
}

void RowStages::find_late_stores() {
  constexpr int64_t large = int64_t{1} << 17;
  for (int id = 0; id < nodes(); ++id) {
    if (node(id).kind != Kind::store || node(id).level != Level::element || columns_ % (2 * lane_group) != 0) continue;
    passes_caches_[static_cast<size_t>(id)] = places_.passes_caches(view(id), large) && !is_read(id);
  }
}

std::vector<int> RowStages::arguments_of(int id) const {
  std::vector<int> out;
  for (const int arg : node(id).kind == Kind::spread ? node(id).in : arguments(id))
    if (arg >= 0) out.push_back(arg);
  return out;
}

// What becomes of columns' sums is not done here.
std::vector<int> RowStages::needed() const {
  std::vector<bool> wanted(body_.nodes.size(), false);
  std::vector<int> out;
  for (int id = nodes(); id-- > 0;) {
    const bool end = node(id).kind == Kind::store ? node(id).level != Level::column : sums_columns(id);
    if (node(id).kind == Kind::dead || (!end && !wanted[static_cast<size_t>(id)])) continue;
    out.push_back(id);
    for (const int arg : arguments_of(id)) wanted[static_cast<size_t>(arg)] = true;
  }
  std::ranges::reverse(out);
  return out;
}

bool RowStages::is_known(int id) {
  const TileNode& of = node(id);
  switch (of.kind) {
    case Kind::constant: return true;
    case Kind::load:
      if (repeats_in_row(id)) return view(id).dtype == DType::f32 || view(id).dtype == DType::i32;
      if (of.uniform || of_row(id))
        return view(id).dtype == DType::f32 && !view(id).empty() && (of.uniform || view(id).contiguous());
      if (of.level != Level::element || !is_stored(view(id).dtype) || row_step(id) < 0) return false;
      if (const int64_t period = row_period(id); period > 0) {
        if (period_rows_ > 0 && period_rows_ != period) return false;
        period_rows_ = period;
      }
      return true;
    case Kind::store:
      if (of.level == Level::row) return view(id).dtype == DType::f32 && view(id).contiguous();
      return of.level == Level::element && is_stored(view(id).dtype) && row_step(id) > 0;
    case Kind::iota: return of.level == Level::element && of.inner == 1 && of.size == columns_;
    case Kind::random: return of.level == Level::element && columns_ % 4 == 0 && has_plain_source(id);
    case Kind::compute: return of.level != Level::column && has_code(id);
    case Kind::spread: return node(of.in[0]).level == Level::row && lane_type(of.dtype) == LaneType::real;
    case Kind::reduce:
      if (of.type != LaneType::real || of.reduce == LoopOp::argmax) return false;
      return of.level == Level::row || (of.level == Level::column && of.reduce == LoopOp::sum);
    default: return false;
  }
}

// A stage's loop has what its stores and sums need; of earlier stages loads again, and what these have kept.
void RowStages::fill_stages(const std::vector<int>& order) {
  loops_.resize(static_cast<size_t>(stages_));
  for (int s = 0; s < stages_; ++s) {
    std::vector<bool> wanted(body_.nodes.size(), false);
    for (auto at = order.rbegin(); at != order.rend(); ++at) {
      const int id = *at;
      const bool sink = is_sink(id) && !(node(id).kind == Kind::store && of_row(id)) && used_in(id) == s;
      if (!sink && !(wanted[static_cast<size_t>(id)] && rate(id) == Rate::element)) continue;
      loops_[static_cast<size_t>(s)].push_back(id);
      if (!sink && is_kept(id, s)) {
        keep(id);
        continue;
      }
      for (const int arg : arguments(id))
        if (arg >= 0) wanted[static_cast<size_t>(arg)] = true;
    }
    std::ranges::reverse(loops_[static_cast<size_t>(s)]);
  }
  // What is kept is computed in its own stage.
  for (const int id : order)
    if (kept_beside(id) >= 0 || kept_in_store(id) >= 0) require(id, stage(id), order);
  for (const std::vector<int>& each : loops_) loop_.insert(loop_.end(), each.begin(), each.end());
}

void RowStages::keep(int id) {
  if (kept_beside(id) >= 0 || kept_in_store(id) >= 0) return;
  if (const int store = store_of(id); store >= 0)
    stored_[static_cast<size_t>(id)] = store;
  else
    kept_[static_cast<size_t>(id)] = kept_count_++;
}

int RowStages::store_of(int id) const {
  for (int store = 0; store < nodes(); ++store)
    if (node(store).kind == Kind::store && node(store).level == Level::element && arguments(store)[0] == id &&
        view(store).dtype == DType::f32)
      return store;
  return -1;
}

bool RowStages::stays(int id) const {
  if (node(id).kind != Kind::load) return store_of(id) >= 0;
  for (int store = 0; store < nodes(); ++store)
    if (node(store).kind == Kind::store && places_.may_overlap(view(store), view(id))) return false;
  return true;
}

bool RowStages::is_cheap(int id) const {
  constexpr Arith quick[] = {Arith::neg, Arith::add, Arith::sub, Arith::mul};
  if (node(id).in_bf16 || store_of(id) >= 0) return false;
  int from = -1;
  for (const int arg : arguments(id))
    if (arg >= 0 && rate(arg) == Rate::element && std::exchange(from, arg) >= 0) return false;
  if (from < 0 || !stays(from)) return false;
  if (!node(id).arith) return node(from).kind == Kind::load && node(id).dtype == DType::f32;
  return std::ranges::count(quick, *node(id).arith) > 0 &&
         (node(from).kind != Kind::load || view(from).dtype == DType::f32);
}

void RowStages::require(int id, int in, const std::vector<int>& order) {
  std::vector<int>& loop = loops_[static_cast<size_t>(in)];
  if (rate(id) != Rate::element || std::ranges::find(loop, id) != loop.end()) return;
  loop.push_back(id);
  if (is_kept(id, in))
    keep(id);
  else
    for (const int arg : arguments(id))
      if (arg >= 0) require(arg, in, order);
  std::ranges::sort(loop);  // ids are in order
}

bool RowStages::loads_first(int id, int in) const {
  for (int s = 0; s < in; ++s)
    for (const int each : loops_[static_cast<size_t>(s)])
      if (node(each).kind == Kind::load && places_.same(view(each), view(id))) return false;
  return true;
}

int RowStages::last_stage_of(int load) const {
  int last = -1;
  for (int s = 0; s < stages_; ++s)
    if (std::ranges::find(loops_[static_cast<size_t>(s)], load) != loops_[static_cast<size_t>(s)].end()) last = s;
  return last;
}

// Elements may be written over where they have been read for the last time, before them.
bool RowStages::overwrites() {
  const auto is_over = [&](int store, int load) {
    const int last = last_stage_of(load);
    return places_.same(view(store), view(load)) && view(store).contiguous() &&
           (last < stage(store) || (last == stage(store) && load < store));
  };
  for (const int store : loop_)
    for (const int load : loop_)
      if (node(store).kind == Kind::store && node(load).kind == Kind::load &&
          places_.may_overlap(view(store), view(load)) && !is_over(store, load))
        return true;
  for (int store = 0; store < nodes(); ++store)
    if (node(store).kind == Kind::store && node(store).level == Level::row)
      for (int load = 0; load < nodes(); ++load)
        if (node(load).kind == Kind::load && places_.may_overlap(view(store), view(load))) return true;
  return false;
}

bool RowStages::has_room() {
  if (!find_streams()) return false;
  for (const std::vector<int>& each : loops_) {
    loop_ = each;
    find_last_uses();
    if (left() < 0) return false;
  }
  return true;
}

int RowStages::left() const {
  const auto sums = std::ranges::count_if(loop_, [&](int id) { return sums_rows(id); });
  return registers - scratch - 1 - most_alive() - 4 * static_cast<int>(sums);
}

int64_t RowStages::bytes_of_row() const {
  int64_t bytes = kept_count_ * pitch() * 4;
  for (const Stream& stream : streams_)
    if (stream.step > 0) bytes += columns_ * stream.width;
  return bytes;
}

}  // namespace descent::cpu
#endif
