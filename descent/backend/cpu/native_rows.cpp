// Kernels with values for each row: norms, softmax, and their gradients, and columns' sums of what they look at. Each
// stage goes through some rows, whose sums are then added up together: a row's values are lanes of one register, so
// quotients and roots are made for all these rows at once. The order of additions is that of tile_reduce.cpp.
#include "descent/backend/cpu/native_loop.h"
#include "descent/backend/cpu/native_row_values.h"

#if defined(__x86_64__)
#include <algorithm>
#include <array>
#include <limits>

namespace descent::cpu {

namespace {

class RowWriter : public RowValues {
 public:
  RowWriter(const TileBody& body, const BufferPlaces& places, int64_t columns, std::span<const int> sums)
      : RowValues(body, places, columns, 65536 + 16384 * body.nodes.size()), column_sums_(sums) {}
  using Code = void (*)(std::byte* const* addresses, int64_t row, int64_t rows, float* kept, float* const* registers,
                        int64_t row_of_period);

  // Null if that is not possible.
  Code write() {
    if (!sort_by_stage() || overwrites() || !has_room()) return nullptr;
    for (int id = 0; id < nodes(); ++id)
      if (node(id).level == Level::element && rate(id) == Rate::element) {
        if (node(id).kind == Kind::load) all_loads_.push_back(id);
        if (node(id).kind == Kind::store) all_stores_.push_back(id);
      }
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
  static constexpr int groups = 4;  // of sixteen lanes, each with sums of its own
  static constexpr int64_t unrolled = groups * lane_group;

  // As many rows at a time, 1, 4, 8 or 16, as stay in the first cache from stage to stage.
  void choose_turns() {
    constexpr int64_t first_cache = 24576;  // bytes of it that are surely ours
    most_turns_ = 16;
    while (most_turns_ > 4 && most_turns_ * bytes_of_row() > first_cache) most_turns_ /= 2;
    if (most_turns_ * bytes_of_row() > 2 * first_cache) most_turns_ = 1;
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

  // In two halves where there are enough: while the quotients and roots of one are made, which takes long but few
  // instructions, the loop goes through the other.
  void write_rows(int turns) {
    turns_ = turns;
    const int halves = turns > 4 ? 2 : 1;
    rows_ = turns / halves;
    advanced_ = false;
    for (half_ = 0; half_ < halves; ++half_) write_row_values(0);
    for (int s = 0; s < stages_; ++s)
      for (half_ = 0; half_ < halves; ++half_) {
        write_loop(s);
        if (s + 1 < stages_) write_row_values(s + 1);
      }
    if (advanced_) move_kept(-turns_);
    if (!advanced_) move_bases(turns_);
    add(row_word_, turns_);
  }

  void move_bases(int rows) {
    for (size_t i = 0; i < streams_.size(); ++i)
      if (streams_[i].step > 0) move_base(i, rows * streams_[i].step * streams_[i].width);
  }
  void move_kept(int rows) {
    if (kept_count() > 0) add(run_, static_cast<int>(rows * kept_count() * pitch() * 4));
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
    choose_columns();
    find_fetches(s);
    const int room = copies_ > 1 ? left() - most_alive() : left();
    pin(steady, room);
    pin(never_,
        std::max(0, room - static_cast<int>(std::ranges::count_if(steady, [&](int id) { return is_used(id); }))));
    load_pinned(never_);
    write_turns(steady);
  }

  void write_turns(const std::vector<int>& steady) {
    Xbyak::Label turn;
    if (advanced_ && half_ == 0) move_bases(-turns_), move_kept(-turns_);
    if (turns_ > 1) {
      if (half_ == 0) mov(turn_word_, 0);
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
    inc(turn_word_);
    cmp(turn_word_, (half_ + 1) * rows_);
    jl(turn, T_NEAR);
  }

  void fetch(const Xbyak::Zmm& to, int id) override {
    if (!in_turns_ || rate(id) != Rate::column) return vmovaps(to, slot(id));
    mov(ahead_, turn_word_);
    vbroadcastss(to, ptr[rsp + ahead_ * 4 + slot_offset(id)]);
  }

  // Short rows are written out from end to end. Where values are rounded, two groups of lanes share an instruction and
  // a line.
  void choose_columns() {
    constexpr int64_t longest = 256;  // nodes written out
    without_index_ = columns_ / lane_group * static_cast<int64_t>(loop_.size()) <= longest;
    const bool rounds = std::ranges::any_of(
        loop_, [&](int id) { return node(id).kind == Kind::store && view(id).dtype == DType::bf16; });
    copies_ = rounds && left() >= most_alive() ? 2 : 1;
  }

  void write_columns() {
    const int64_t whole = columns_ / lane_group * lane_group, many = columns_ / unrolled * unrolled;
    xor_(index_, index_);
    grouped_ = many > 0;
    int64_t behind = many;  // where what follows begins, from index_ on
    if (without_index_) {
      write_groups(0, many);
    } else if (many > 0) {
      Xbyak::Label loop;
      align(32);
      L(loop);
      write_groups(0, unrolled);
      add(index_, static_cast<uint32_t>(unrolled));
      cmp(index_, static_cast<uint32_t>(many));
      jl(loop, T_NEAR);
      behind = 0;
    }
    if (many > 0) merge_groups();
    grouped_ = false;
    write_groups(behind, behind + whole - many);
    if (whole < columns_) {
      shift_ = behind + whole - many;
      tail_ = true;
      write_elements(true);
      tail_ = false;
    }
    shift_ = 0;
  }

  void write_groups(int64_t from, int64_t end) {
    for (shift_ = from; shift_ < end;) {
      const int copies = shift_ + copies_ * lane_group <= end ? copies_ : 1;
      fetch_ahead(copies);
      write_elements(false, copies);
      shift_ += copies * lane_group;
    }
  }

  // --- Sums ---

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
  // To which the elements in hand belong.
  int group() const { return grouped_ ? static_cast<int>(shift_ / lane_group + copy()) % groups : 0; }

  void add_to_sum(int id, const Xbyak::Zmm& value) override {
    if (sums_columns(id)) return add_to_column_sum(id, value);
    if (!tail_) return merge(id, sum(id, group()), sum(id, group()), value);
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
    const Xbyak::Address to = ptr[element_at(whole_)];
    vaddps(added, value, to);
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
    lea(whole_, ptr[index_ + static_cast<int>(shift_ + copy() * lane_group)]);
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
  Xbyak::RegExp kept_at(int id) const { return element_at(run_) + static_cast<int>(kept_beside(id) * pitch() * 4); }
  // Of floats from `base` on.
  Xbyak::RegExp element_at(const Xbyak::Reg64& base) const {
    const auto apart = static_cast<int>((shift_ + copy() * lane_group) * 4);
    return without_index_ ? base + apart : base + index_ * 4 + apart;
  }

  // --- What is fetched ahead ---

  // While a loop goes on, what the next one looks at first comes to the cache: of the same rows, or of those that
  // follow. So the memory has work all the time.
  struct Fetch {
    int id, bytes;  // a load or store, and how far ahead
    bool writes;
  };

  void find_fetches(int s) {
    fetches_.clear();
    int next = s;
    do next = (next + 1) % stages_;
    while (loops_[static_cast<size_t>(next)].empty());
    const int rows = next > s ? 0 : std::max(turns_, 2);
    for (const int id : loops_[static_cast<size_t>(next)]) {
      if (node(id).kind != Kind::load && node(id).kind != Kind::store) continue;
      const bool writes = node(id).kind == Kind::store;
      const int64_t bytes = rows * row_step(id) * static_cast<int64_t>(size_of(view(id).dtype));
      if (row_step(id) <= 0 || row_period(id) > 0 || bytes >= (1 << 24)) continue;
      if (writes ? passes_caches(id) || is_read_first(id) : !loads_first(id, next)) continue;
      fetches_.push_back({id, static_cast<int>(bytes), writes || is_written_over(id)});
    }
  }
  bool is_read_first(int store) const {
    return std::ranges::any_of(all_loads_, [&](int load) { return places_.same(view(store), view(load)); });
  }
  bool is_written_over(int load) const {
    return std::ranges::any_of(all_stores_, [&](int store) { return places_.same(view(store), view(load)); });
  }

  void fetch_ahead(int copies) {
    for (const Fetch& each : fetches_) {
      const auto width = static_cast<int64_t>(size_of(view(each.id).dtype));
      for (int64_t apart = 0; apart < copies * lane_group * width; apart += vector_bytes) {
        if ((shift_ * width + apart) % vector_bytes != 0) break;  // within a line
        const Xbyak::Address line = ptr[at(each.id) + each.bytes + static_cast<int>(apart)];
        each.writes ? prefetchw(line) : prefetcht0(line);
      }
    }
  }

  std::span<const int> column_sums_;  // numbers of registers, by node
  int turns_ = 1;                     // rows at a time
  bool advanced_ = false;             // bases, to behind these rows
  bool in_turns_ = false;
  int in_ = 0, copies_ = 1;
  bool grouped_ = false;  // sums have groups of their own
  bool tail_ = false;
  std::vector<int> all_loads_, all_stores_;        // of elements
  std::vector<Fetch> fetches_;                     // in the loop in hand
  std::vector<int> sums_;                          // of the loop
  std::map<int, std::array<int, groups>> sum_in_;  // registers
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
