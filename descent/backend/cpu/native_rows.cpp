// Kernels with values for each row: norms, softmax, and their gradients, and columns' sums of what they look at. Each
// stage goes through some rows, whose sums are then added up together: a row's values are lanes of one register, so
// quotients and roots are made for all these rows at once. The order of additions is that of tile_reduce.cpp.
#include "descent/backend/cpu/native_loop.h"
#include "descent/backend/cpu/native_row_stages.h"

#if defined(__x86_64__)
#include <algorithm>
#include <array>
#include <limits>

namespace descent::cpu {

namespace {

class RowWriter : public RowStages {
 public:
  RowWriter(const TileBody& body, const BufferPlaces& places, int64_t columns, std::span<const int> sums)
      : RowStages(body, places, columns, 65536 + 16384 * body.nodes.size()), column_sums_(sums) {}
  using Code = void (*)(std::byte* const* addresses, int64_t row, int64_t rows, float* kept, float* const* registers,
                        int64_t row_of_period);

  // Null if that is not possible.
  Code write() {
    if (!sort_by_stage() || overwrites() || !has_room()) return nullptr;
    choose_turns();
    enter(words_before_vectors + 8 * (pointer_vector() + (sums_before(Level::column, nodes()) + 7) / 8 - 1));
    mov(addresses_word_, addresses_);
    mov(row_word_, index_);
    lea(whole_, ptr[index_ + run_]);
    mov(end_word_, whole_);
    mov(row_of_period_word_, r9);
    for (int id = 0; id < nodes(); ++id)
      if (sums_columns(id)) {
        mov(whole_, ptr[r8 + column_sums_[static_cast<size_t>(id)] * static_cast<int>(sizeof(float*))]);
        mov(pointer(id), whole_);
      }
    mov(run_, rcx);
    for (size_t id = 0; id < body_.nodes.size(); ++id)
      if (node(static_cast<int>(id)).kind == Kind::spread)
        share_slot(static_cast<int>(id), node(static_cast<int>(id)).in[0]);
    write_steady(never_, false);
    for (const int id : random_) write_random_source(id, source_vector(id, 0), source_vector(id, 1));
    find_row_bases();
    set_tail_mask();
    write_all_rows();
    sfence();  // what passes the caches is there before the others go on
    leave();
    finish();
    return getCode<Code>();
  }

  int64_t kept_floats() const { return kept_count() * pitch() * most_turns_; }
  using RowStages::period_rows;

 private:
  static constexpr int words_before_vectors = 7;  // of the stack: behind them vectors are aligned
  static constexpr int groups = 4;                // of sixteen lanes, each with sums of its own
  static constexpr int64_t unrolled = groups * lane_group;

  // As many rows at a time, 1, 4, 8 or 16, as stay in the first cache from stage to stage.
  void choose_turns() {
    constexpr int64_t first_cache = 32768;  // bytes of it that are surely ours
    most_turns_ = 16;
    while (most_turns_ > 4 && most_turns_ * bytes_of_row() > first_cache) most_turns_ /= 2;
    if (most_turns_ * bytes_of_row() > 2 * first_cache) most_turns_ = 1;
  }

  // --- The stack: words, then vectors of random sources, of rows' sums, and pointers to columns' sums ---

  int sum_vector() const { return 1 + 2 * static_cast<int>(random_.size()); }
  int pointer_vector() const { return sum_vector() + most_turns_ * sums_before(Level::row, nodes()); }
  Xbyak::Address source_vector(int id, int which) {
    const auto number = static_cast<int>(std::ranges::find(random_, id) - random_.begin());
    return ptr[rsp + vector_bytes * (1 + 2 * number + which)];
  }
  // The lanes of a sum of the first row.
  int sum_offset(int id) const { return vector_bytes * (sum_vector() + most_turns_ * sums_before(Level::row, id)); }
  Xbyak::Address pointer(int id) const {
    return qword[rsp + vector_bytes * pointer_vector() + 8 * sums_before(Level::column, id)];
  }

  // --- Rows ---

  void find_row_bases() {
    for (size_t i = 0; i < streams_.size(); ++i) {
      mov(whole_, streams_[i].step * streams_[i].width);
      imul(whole_, streams_[i].period > 0 ? row_of_period_word_ : row_word_);
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

  void write_all_rows() {
    Xbyak::Label rest, end;
    if (most_turns_ > 1) {
      Xbyak::Label some;
      go_on_with(most_turns_, rest);
      L(some);
      write_rows(most_turns_);
      go_on_with(most_turns_, rest);
      jmp(some, T_NEAR);
    }
    L(rest);
    Xbyak::Label one;
    go_on_with(1, end);
    L(one);
    write_rows(1);
    go_on_with(1, end);
    jmp(one, T_NEAR);
    L(end);
  }

  // Unless fewer rows than that are left.
  void go_on_with(int rows, const Xbyak::Label& otherwise) {
    mov(whole_, row_word_);
    add(whole_, rows);
    cmp(whole_, end_word_);
    jg(otherwise, T_NEAR);
  }

  void write_rows(int turns) {
    turns_ = turns;
    advanced_ = false;
    for (int s = 0; s < stages_; ++s) {
      write_row_values(s);
      write_loop(s);
    }
    if (advanced_) move_kept(-turns_);
    if (!advanced_) move_bases(turns_);
    add(row_word_, turns_);
  }

  void move_bases(int rows) {
    for (size_t i = 0; i < streams_.size(); ++i)
      if (streams_[i].step > 0) {
        mov(whole_, rows * streams_[i].step * streams_[i].width);
        move_base(i, whole_);
      }
  }
  void move_kept(int rows) {
    if (kept_count() > 0) add(run_, static_cast<int>(rows * kept_count() * pitch() * 4));
  }

  // --- Values of rows, a lane each ---

  void write_row_values(int s) {
    forget_registers();
    for (const int id : column_)
      if (stage(id) == s) write_row_value(id);
    for (int id = 0; id < nodes(); ++id)
      if (node(id).kind == Kind::store && node(id).level == Level::row && stage(id) == s) write_row_store(id);
  }

  // It stays in a register for those that follow while there are enough.
  void write_row_value(int id) {
    constexpr int enough = 16;
    const int made = node(id).kind == Kind::reduce ? sum_of_rows(id, 0, lane_group) : take();
    if (node(id).kind == Kind::compute)
      write_compute(id, made);
    else if (node(id).kind != Kind::reduce)
      write_steady_load(id, Xbyak::Zmm(made), false);
    give_back();
    vmovaps(slot(id), Xbyak::Zmm(made));
    free_registers() >= enough ? keep_register(id, made) : release(made);
  }

  void write_row_store(int id) {
    const int from = node(id).in[0];
    Xbyak::Zmm value(kept(from));
    if (kept(from) < 0) vmovaps(value = temporary(), slot(from));
    const Xbyak::Address to = ptr[row_element(id)];
    switch (turns_) {
      case 16: vmovups(to, value); break;
      case 8: vmovups(to, Xbyak::Ymm(value.getIdx())); break;
      case 4: vmovups(to, Xbyak::Xmm(value.getIdx())); break;
      default: vmovss(to, Xbyak::Xmm(value.getIdx()));
    }
    give_back();
  }

  void write_steady_load(int id, const Xbyak::Zmm& to, bool) override {
    if (node(id).uniform) return write_number(id, to);
    const Xbyak::Address from = ptr[row_element(id)];
    switch (turns_) {
      case 16: return vmovups(to, from);
      case 8: return vbroadcastf32x8(to, from);
      case 4: return vbroadcastf32x4(to, from);
      default: return vbroadcastss(to, from);
    }
  }
  Xbyak::RegExp row_element(int id) {
    mov(whole_, addresses_word_);
    mov(whole_, ptr[whole_ + static_cast<int>(view(id).buffer * sizeof(std::byte*))]);
    mov(ahead_, view(id).offset * 4);
    add(whole_, ahead_);
    mov(ahead_, row_word_);
    return whole_ + ahead_ * 4;
  }

  // Sixteen rows' sixteen lanes merged to one a row: of each four neighbouring lanes (0 + 2) + (1 + 3), then of those
  // four sums likewise. Fewer rows come again and again.
  int sum_of_rows(int id, int first, int64_t rows) {
    const auto half = static_cast<int>(rows / 2);
    int a = -1, b = -1;
    if (half == 1) {
      const auto lanes_of = [&](int row) { return ptr[rsp + sum_offset(id) + vector_bytes * (row % turns_)]; };
      a = take(), b = take();
      vmovaps(Xbyak::Zmm(b), lanes_of(first));
      vshufps(Xbyak::Zmm(a), Xbyak::Zmm(b), lanes_of(first + 1), 0x44);
      vshufps(Xbyak::Zmm(b), Xbyak::Zmm(b), lanes_of(first + 1), 0xee);
    } else {
      const int from = sum_of_rows(id, first, half);
      b = turns_ > half ? sum_of_rows(id, first + half, half) : from;
      a = take();
      choose_lanes(half, a, from, b, false);
      choose_lanes(half, b, from, b, true);
      if (from != b) release(from);
    }
    merge(id, Xbyak::Zmm(a), Xbyak::Zmm(a), Xbyak::Zmm(b));
    give_back();
    release(b);
    return a;
  }
  // Of two registers with `half` rows each, what is merged with the upper part.
  void choose_lanes(int half, int to, int a, int b, bool upper) {
    const Xbyak::Zmm made(to), first(a), second(b);
    if (half == 2) return vshufps(made, first, second, upper ? 0xdd : 0x88);
    vshuff32x4(made, first, second, half == 4 ? (upper ? 0xee : 0x44) : (upper ? 0xdd : 0x88));
  }

  // --- A stage's loop, for each row ---

  void write_loop(int s) {
    loop_ = loops_[static_cast<size_t>(s)];
    if (loop_.empty()) return;
    in_ = s;
    find_last_uses();
    forget_registers();
    std::vector<int> steady;
    for (int id = 0; id < nodes(); ++id)
      if (rate(id) == Rate::column && (node(id).kind == Kind::spread || repeats_in_row(id))) steady.push_back(id);
    const int room = left();
    pin(steady, room);
    pin(never_,
        std::max(0, room - static_cast<int>(std::ranges::count_if(steady, [&](int id) { return is_used(id); }))));
    load_pinned(never_);
    write_turns(steady);
  }

  void write_turns(const std::vector<int>& steady) {
    Xbyak::Label turn;
    if (advanced_) move_bases(-turns_), move_kept(-turns_);
    if (turns_ > 1) {
      xor_(whole_, whole_);
      mov(turn_word_, whole_);
      L(turn);
    }
    in_turns_ = turns_ > 1;
    load_pinned(steady);
    begin_sums();
    write_columns();
    end_sums();
    in_turns_ = false;
    if (turns_ == 1) return;
    move_bases(1);
    move_kept(1);
    advanced_ = true;
    mov(whole_, turn_word_);
    inc(whole_);
    mov(turn_word_, whole_);
    cmp(whole_, turns_);
    jl(turn, T_NEAR);
  }

  void fetch(const Xbyak::Zmm& to, int id) override {
    if (!in_turns_ || rate(id) != Rate::column) return vmovaps(to, slot(id));
    mov(ahead_, turn_word_);
    vbroadcastss(to, ptr[rsp + ahead_ * 4 + slot_offset(id)]);
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
      if (!sums_rows(id)) continue;
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
    if (sums_columns(id)) return add_to_column_sum(id, value);
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

  void add_to_column_sum(int id, const Xbyak::Zmm& value) {
    const Xbyak::Zmm added = temporary();
    mov(whole_, pointer(id));
    vaddps(added, value, ptr[whole_ + index_ * sizeof(float)]);
    const Xbyak::Address to = ptr[whole_ + index_ * sizeof(float)];
    vmovups(tail_ ? to | some_ : to, added);
  }

  void merge_groups() {
    for (const int id : sums_) {
      merge(id, sum(id, 0), sum(id, 0), sum(id, 1));
      merge(id, sum(id, 2), sum(id, 2), sum(id, 3));
      merge(id, sum(id, 0), sum(id, 0), sum(id, 2));
      give_back();
    }
  }

  void end_sums() {
    if (sums_.empty()) return;
    if (turns_ > 1) {
      mov(whole_, turn_word_);
      shl(whole_, 6);
    } else {
      xor_(whole_, whole_);
    }
    for (const int id : sums_) vmovaps(ptr[rsp + whole_ + sum_offset(id)], sum(id, 0));
  }

  // --- Elements ---

  void write_random(int id, const Xbyak::Zmm& to) override {
    mov(ahead_, row_word_);
    if (in_turns_) add(ahead_, turn_word_);
    imul(ahead_, ahead_, static_cast<int>(columns_ / 4));
    mov(whole_, index_);
    shr(whole_, 2);
    add(whole_, ahead_);
    write_random_bits(to, source_vector(id, 0), source_vector(id, 1));
  }

  bool reload(int id, const Xbyak::Zmm& to) override {
    if (!is_kept(id, in_)) return false;
    if (const int store = kept_in_store(id); store >= 0)
      vmovups(tail_ ? to | some_ | T_z : to, ptr[at(store)]);
    else
      vmovups(to, ptr[kept_at(id)]);
    return true;
  }
  void made(int id, const Xbyak::Zmm& value) override {
    if (kept_beside(id) >= 0 && stage(id) == in_) vmovups(ptr[kept_at(id)], value);
  }
  Xbyak::RegExp kept_at(int id) const { return run_ + index_ * 4 + static_cast<int>(kept_beside(id) * pitch() * 4); }

  // Rows that follow are fetched ahead.
  int64_t bytes_ahead(int id) const {
    const int64_t bytes = row_step(id) * std::max(most_turns_, 2) * static_cast<int64_t>(size_of(view(id).dtype));
    return bytes > 0 && bytes < (1 << 24) && row_period(id) == 0 ? bytes : 0;
  }
  void prefetch_load(int id) override {
    const int64_t bytes = bytes_ahead(id);
    if (bytes > 0 && loads_first(id, in_)) prefetcht0(ptr[at(id) + static_cast<int>(bytes)]);
  }
  void prefetch_store(int id) override {
    if (const int64_t bytes = bytes_ahead(id); bytes > 0 && !passes_caches(id))
      prefetchw(ptr[at(id) + static_cast<int>(bytes)]);
  }

  std::span<const int> column_sums_;  // numbers of registers, by node
  int most_turns_ = 1, turns_ = 1;    // rows at a time
  bool advanced_ = false;             // bases, to behind these rows
  bool in_turns_ = false;
  int in_ = 0, group_ = 0;
  bool tail_ = false;
  std::vector<int> sums_;                          // of the loop
  std::map<int, std::array<int, groups>> sum_in_;  // registers
  const Xbyak::Address addresses_word_ = word(0), row_word_ = word(1), end_word_ = word(2), turn_word_ = word(3),
                       row_of_period_word_ = word(4);
};

class Rows : public NativeRows {
 public:
  Rows(const TileBody& body, const BufferPlaces& places, int64_t columns, std::span<const int> sums)
      : writer_(body, places, columns, sums), code_(writer_.write()), period_(writer_.period_rows()) {}
  bool ready() const { return code_ != nullptr; }
  int64_t kept_floats() const override { return writer_.kept_floats(); }
  void run(std::byte* const* addresses, int64_t row, int64_t rows, float* kept,
           float* const* registers) const override {
    if (period_ == 0) return code_(addresses, row, rows, kept, registers, 0);
    for (const int64_t end = row + rows; row < end; row += rows) {
      rows = std::min(period_ - row % period_, end - row);
      code_(addresses, row, rows, kept, registers, row % period_);
    }
  }

 private:
  RowWriter writer_;  // owns the code
  RowWriter::Code code_;
  int64_t period_;
};

}  // namespace

std::unique_ptr<const NativeRows> NativeRows::make(const TileBody& body, const BufferPlaces& places, int64_t columns,
                                                   std::span<const int> sums) {
  constexpr int64_t fewest = 32;  // shorter rows are better taken together
  if (columns < fewest) return nullptr;
  try {
    auto written = std::make_unique<const Rows>(body, places, columns, sums);
    return written->ready() ? std::move(written) : nullptr;
  } catch (const Xbyak::Error&) {
    return nullptr;
  }
}

}  // namespace descent::cpu

#else

namespace descent::cpu {
std::unique_ptr<const NativeRows> NativeRows::make(const TileBody&, const BufferPlaces&, int64_t,
                                                   std::span<const int>) {
  return nullptr;
}
}  // namespace descent::cpu

#endif
