// Kernels with values for each row: norms, softmax, and their gradients. A row is gone through once for each stage of
// what its sums depend on: what the first stage computes of an element and a later one wants is kept beside, where it
// stays in the first cache. The order of additions is that of tile_reduce.cpp.
#include "descent/backend/cpu/native_loop.h"
#include "descent/backend/cpu/native_writer.h"

#if defined(__x86_64__)
#include <algorithm>
#include <array>
#include <limits>

namespace descent::cpu {

namespace {

class RowWriter : public NativeWriter {
 public:
  RowWriter(const TileBody& body, const BufferPlaces& places, int64_t columns)
      : NativeWriter(body, places), columns_(columns), stage_(body.nodes.size(), 0), kept_(body.nodes.size(), -1) {}
  using Code = void (*)(std::byte* const* addresses, int64_t row, int64_t rows, float* kept);

  // Null if that is not possible.
  Code write() {
    if (!sort_by_stage() || overwrites() || !has_room()) return nullptr;
    enter(4);
    mov(addresses_word_, addresses_);
    mov(row_word_, index_);
    lea(whole_, ptr[index_ + run_]);
    mov(end_word_, whole_);
    mov(run_, rcx);
    for (size_t id = 0; id < body_.nodes.size(); ++id)
      if (node(static_cast<int>(id)).kind == Kind::spread)
        share_slot(static_cast<int>(id), node(static_cast<int>(id)).in[0]);
    write_steady(never_, false);
    find_row_bases();
    set_tail_mask();
    write_rows();
    leave();
    finish();
    return getCode<Code>();
  }

  int64_t kept_floats() const { return kept_count_ * pitch(); }

 private:
  static constexpr int groups = 4;  // of sixteen lanes, each with sums of its own
  static constexpr int64_t unrolled = groups * lane_group;
  static constexpr int64_t rows_ahead = 2;

  int64_t pitch() const { return round_up(columns_, lane_group) + lane_group; }
  int stage(int id) const { return stage_[static_cast<size_t>(id)]; }
  bool of_row(int id) const { return (node(id).level == Level::row && !node(id).uniform) || repeats_in_row(id); }
  // A load of elements that shows one value for all of a row.
  bool repeats_in_row(int id) const {
    if (node(id).kind != Kind::load || node(id).uniform || node(id).level != Level::element) return false;
    const TileView& seen = view(id);
    return seen.axes == 2 && seen.sizes[1] == columns_ && seen.strides[0] == 1 && seen.strides[1] == 0;
  }

  // --- What belongs where ---

  bool sort_by_stage() {
    const std::vector<int> order = needed();
    for (const int id : order) {
      if (!is_known(id)) return false;
      for (const int arg : arguments_of(id)) stage_[static_cast<size_t>(id)] = std::max(stage(id), stage(arg));
      if (node(id).kind == Kind::reduce) ++stage_[static_cast<size_t>(id)];
      stages_ = std::max(stages_, stage(id) + 1);
      const bool steady = of_row(id) || node(id).kind == Kind::spread;
      set_rate(id, node(id).uniform && node(id).kind != Kind::store ? Rate::never
                   : steady                                         ? Rate::column
                                                                    : Rate::element);
      if (rate(id) == Rate::never)
        never_.push_back(id);
      else if (of_row(id) && node(id).kind != Kind::store)
        column_.push_back(id);
    }
    fill_stages(order);
    return stages_ > 1 || !column_.empty();
  }

  std::vector<int> arguments_of(int id) const {
    std::vector<int> out;
    for (const int arg : node(id).kind == Kind::spread ? node(id).in : arguments(id))
      if (arg >= 0) out.push_back(arg);
    return out;
  }

  std::vector<int> needed() const {
    std::vector<bool> wanted(body_.nodes.size(), false);
    std::vector<int> out;
    for (int id = static_cast<int>(body_.nodes.size()); id-- > 0;) {
      if (node(id).kind == Kind::dead || (node(id).kind != Kind::store && !wanted[static_cast<size_t>(id)])) continue;
      out.push_back(id);
      for (const int arg : arguments_of(id)) wanted[static_cast<size_t>(arg)] = true;
    }
    std::ranges::reverse(out);
    return out;
  }

  bool is_known(int id) const {
    const TileNode& of = node(id);
    switch (of.kind) {
      case Kind::constant: return true;
      case Kind::load:
        if (repeats_in_row(id)) return view(id).dtype == DType::f32 || view(id).dtype == DType::i32;
        if (of.uniform || of_row(id))
          return view(id).dtype == DType::f32 && !view(id).empty() && (of.uniform || view(id).contiguous());
        return of.level == Level::element && is_stored(view(id).dtype) && row_step(id) >= 0;
      case Kind::store:
        if (of.level == Level::row) return view(id).dtype == DType::f32 && view(id).contiguous();
        return of.level == Level::element && is_stored(view(id).dtype) && row_step(id) > 0;
      case Kind::iota: return of.level == Level::element && of.inner == 1 && of.size == columns_;
      case Kind::compute: return of.level != Level::column && has_code(id);
      case Kind::spread: return node(of.in[0]).level == Level::row && lane_type(of.dtype) == LaneType::real;
      case Kind::reduce: return of.level == Level::row && of.reduce != LoopOp::argmax && of.type == LaneType::real;
      default: return false;
    }
  }

  // How far apart the rows of an element's view begin; 0 if there is one row for all, -1 if neither.
  int64_t row_step(int id) const override {
    const TileView& seen = view(id);
    if (seen.contiguous()) return columns_;
    const bool rows = seen.axes == 2 && seen.sizes[1] == columns_ && seen.strides[1] == 1 && seen.strides[0] >= 0;
    return rows ? seen.strides[0] : -1;
  }

  // The loop in which the node's arguments are looked at.
  int used_in(int id) const { return node(id).kind == Kind::reduce ? stage(id) - 1 : stage(id); }

  // A stage's loop has what its stores and sums need; of earlier stages loads again, and what these have kept.
  void fill_stages(const std::vector<int>& order) {
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
      if (kept_[static_cast<size_t>(id)] >= 0) require(id, stage(id), order);
    for (const std::vector<int>& each : loops_) loop_.insert(loop_.end(), each.begin(), each.end());
  }
  bool is_kept(int id, int in) const { return node(id).kind == Kind::compute && stage(id) < in; }
  void keep(int id) {
    if (kept_[static_cast<size_t>(id)] < 0) kept_[static_cast<size_t>(id)] = kept_count_++;
  }
  void require(int id, int in, const std::vector<int>& order) {
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

  // A row is read again after some of it was written.
  bool overwrites() const {
    for (const int store : loop_) {
      if (node(store).kind != Kind::store) continue;
      for (const int load : loop_)
        if (node(load).kind == Kind::load && places_.may_overlap(view(store), view(load))) return true;
    }
    for (const TileNode& store : body_.nodes)
      if (store.kind == Kind::store && store.level == Level::row)
        for (const TileNode& load : body_.nodes)
          if (load.kind == Kind::load && places_.may_overlap(body_.views[static_cast<size_t>(store.view)],
                                                             body_.views[static_cast<size_t>(load.view)]))
            return true;
    return false;
  }

  bool has_room() {
    if (!find_streams()) return false;
    for (const std::vector<int>& each : loops_) {
      loop_ = each;
      find_last_uses();
      if (left() < 0) return false;
    }
    return true;
  }
  int left() const {
    return registers - scratch - 1 - most_alive() - groups * static_cast<int>(std::ranges::count_if(loop_, [&](int id) {
                                                      return node(id).kind == Kind::reduce;
                                                    }));
  }

  // --- The code ---

  void find_row_bases() {
    for (size_t i = 0; i < streams_.size(); ++i) {
      mov(whole_, streams_[i].step * streams_[i].width);
      imul(whole_, row_word_);
      mov(ahead_, streams_[i].byte);
      add(whole_, ahead_);
      mov(ahead_, addresses_word_);
      add(whole_, ptr[ahead_ + static_cast<int>(streams_[i].buffer * sizeof(std::byte*))]);
      set_base(i, whole_);
    }
  }

  void set_tail_mask() {
    mov(whole_.cvt32(), static_cast<uint32_t>((1u << (columns_ % lane_group)) - 1));
    kmovw(some_, whole_.cvt32());
  }

  void write_rows() {
    Xbyak::Label row;
    L(row);
    for (int s = 0; s < stages_; ++s) {
      write_row_values(s);
      write_loop(s);
    }
    for (size_t i = 0; i < streams_.size(); ++i)
      if (streams_[i].step > 0) {
        mov(whole_, streams_[i].step * streams_[i].width);
        move_base(i, whole_);
      }
    mov(whole_, row_word_);
    inc(whole_);
    mov(row_word_, whole_);
    cmp(whole_, end_word_);
    jl(row, T_NEAR);
  }

  void write_row_values(int s) {
    std::vector<int> values;
    for (const int id : column_)
      if (stage(id) == s && node(id).kind != Kind::reduce) values.push_back(id);
    forget_registers();
    write_steady(values, false);
    for (int id = 0; id < static_cast<int>(body_.nodes.size()); ++id) {
      if (node(id).kind != Kind::store || node(id).level != Level::row || stage(id) != s) continue;
      const Xbyak::Xmm value(0);
      vmovaps(value, slot(node(id).in[0]));
      vmovss(ptr[row_element(id)], value);
    }
  }

  void write_steady_load(int id, const Xbyak::Zmm& to, bool) override {
    node(id).uniform ? write_number(id, to) : vbroadcastss(to, ptr[row_element(id)]);
  }
  Xbyak::RegExp row_element(int id) {
    mov(whole_, addresses_word_);
    mov(whole_, ptr[whole_ + static_cast<int>(view(id).buffer * sizeof(std::byte*))]);
    mov(ahead_, view(id).offset * 4);
    add(whole_, ahead_);
    mov(ahead_, row_word_);
    return whole_ + ahead_ * 4;
  }

  void write_loop(int s) {
    loop_ = loops_[static_cast<size_t>(s)];
    if (loop_.empty()) return;
    in_ = s;
    find_last_uses();
    forget_registers();
    std::vector<int> steady;
    for (int id = 0; id < static_cast<int>(body_.nodes.size()); ++id)
      if (rate(id) == Rate::column && (node(id).kind == Kind::spread || repeats_in_row(id))) steady.push_back(id);
    const int room = left();
    pin(steady, room);
    pin(never_,
        std::max(0, room - static_cast<int>(std::ranges::count_if(steady, [&](int id) { return is_used(id); }))));
    load_pinned(steady);
    load_pinned(never_);
    begin_sums();
    write_columns();
    end_sums();
  }

  void write_columns() {
    const int64_t whole = columns_ / lane_group * lane_group, many = sums_.empty() ? 0 : columns_ / unrolled * unrolled;
    xor_(index_, index_);
    if (many > 0) {
      Xbyak::Label loop;
      align(32);
      L(loop);
      for (group_ = 0; group_ < groups; ++group_) {
        write_elements(false);
        add(index_, static_cast<uint32_t>(lane_group));
      }
      cmp(index_, static_cast<uint32_t>(many));
      jl(loop, T_NEAR);
      merge_groups();
    }
    group_ = 0;
    if (whole > many) {
      Xbyak::Label loop;
      align(32);
      L(loop);
      write_elements(false);
      add(index_, static_cast<uint32_t>(lane_group));
      cmp(index_, static_cast<uint32_t>(whole));
      jl(loop, T_NEAR);
    }
    if (whole == columns_) return;
    tail_ = true;
    write_elements(true);
    tail_ = false;
  }

  // --- Sums ---

  bool adds(int id) const { return node(id).reduce == LoopOp::sum; }

  // What changes nothing, not even the sign of zero.
  float neutral(int id) const { return adds(id) ? -0.0f : -std::numeric_limits<float>::infinity(); }
  void begin_sums() {
    sums_.clear();
    for (const int id : loop_) {
      if (node(id).kind != Kind::reduce) continue;
      sums_.push_back(id);
      for (int& in : sum_in_[id]) spread(Xbyak::Zmm(in = take()), neutral(id));
    }
  }
  Xbyak::Zmm sum(int id, int group) { return Xbyak::Zmm(sum_in_[id][static_cast<size_t>(group)]); }

  void merge(int id, const Xbyak::Zmm& to, const Xbyak::Zmm& a, const Xbyak::Zmm& b) {
    if (adds(id)) return vaddps(to, a, b);
    vcmpps(test_, a, a, 3);
    if (to.getIdx() == a.getIdx()) {
      const Xbyak::Zmm first = temporary();
      vmovaps(first, a);
      vmaxps(to, a, b);
      return vmovaps(to | test_, first);
    }
    vmaxps(to, a, b);
    vmovaps(to | test_, a);
  }

  void add_to_sum(int id, const Xbyak::Zmm& value) override {
    if (!tail_) return merge(id, sum(id, group_), sum(id, group_), value);
    const Xbyak::Zmm filled = temporary();
    if (adds(id)) {
      vmovaps(filled | some_ | T_z, value);
    } else {
      spread(filled, neutral(id));
      vmovaps(filled | some_, value);
    }
    merge(id, sum(id, 0), sum(id, 0), filled);
  }

  void merge_groups() {
    for (const int id : sums_) {
      merge(id, sum(id, 0), sum(id, 0), sum(id, 1));
      merge(id, sum(id, 2), sum(id, 2), sum(id, 3));
      merge(id, sum(id, 0), sum(id, 0), sum(id, 2));
      give_back();
    }
  }

  // Of each four neighbouring lanes (0 + 2) + (1 + 3), then of those four sums likewise: the same in all lanes.
  void end_sums() {
    for (const int id : sums_) {
      const Xbyak::Zmm all = sum(id, 0), other = sum(id, 1), made = sum(id, 2);
      vpermilps(other, all, 0x4e);
      merge(id, made, all, other);
      vpermilps(other, made, 0xb1);
      merge(id, all, made, other);
      vshuff32x4(other, all, all, 0x4e);
      merge(id, made, all, other);
      vshuff32x4(other, made, made, 0xb1);
      merge(id, all, made, other);
      vmovaps(slot(id), all);
      give_back();
    }
  }

  // --- Elements ---

  bool reload(int id, const Xbyak::Zmm& to) override {
    if (!is_kept(id, in_)) return false;
    vmovups(to, ptr[kept_at(id)]);
    return true;
  }
  void made(int id, const Xbyak::Zmm& value) override {
    if (kept_[static_cast<size_t>(id)] >= 0 && stage(id) == in_) vmovups(ptr[kept_at(id)], value);
  }
  Xbyak::RegExp kept_at(int id) const {
    return run_ + index_ * 4 + static_cast<int>(kept_[static_cast<size_t>(id)] * pitch() * 4);
  }

  void prefetch_load(int id) override {
    const int64_t bytes = row_step(id) * rows_ahead * static_cast<int64_t>(size_of(view(id).dtype));
    if (in_ == 0 && bytes > 0 && bytes < (1 << 24)) prefetcht0(ptr[at(id) + static_cast<int>(bytes)]);
  }

  int64_t columns_;
  std::vector<int> stage_;  // by node: when its value is there
  std::vector<int> kept_;   // by node: its place beside; -1: none
  std::vector<std::vector<int>> loops_;
  int stages_ = 1, kept_count_ = 0;
  int in_ = 0, group_ = 0;
  bool tail_ = false;
  std::vector<int> sums_;                          // of the loop
  std::map<int, std::array<int, groups>> sum_in_;  // registers
  const Xbyak::Address addresses_word_ = word(0), row_word_ = word(1), end_word_ = word(2);
};

class Rows : public NativeRows {
 public:
  Rows(const TileBody& body, const BufferPlaces& places, int64_t columns)
      : writer_(body, places, columns), code_(writer_.write()) {}
  bool ready() const { return code_ != nullptr; }
  int64_t kept_floats() const override { return writer_.kept_floats(); }
  void run(std::byte* const* addresses, int64_t row, int64_t rows, float* kept) const override {
    code_(addresses, row, rows, kept);
  }

 private:
  RowWriter writer_;  // owns the code
  RowWriter::Code code_;
};

}  // namespace

std::unique_ptr<const NativeRows> NativeRows::make(const TileBody& body, const BufferPlaces& places, int64_t columns) {
  constexpr int64_t fewest = 32;  // shorter rows are better taken together
  if (columns < fewest) return nullptr;
  try {
    auto written = std::make_unique<const Rows>(body, places, columns);
    return written->ready() ? std::move(written) : nullptr;
  } catch (const Xbyak::Error&) {
    return nullptr;
  }
}

}  // namespace descent::cpu

#else

namespace descent::cpu {
std::unique_ptr<const NativeRows> NativeRows::make(const TileBody&, const BufferPlaces&, int64_t) { return nullptr; }
}  // namespace descent::cpu

#endif
