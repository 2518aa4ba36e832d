#include "descent/backend/cpu/native_loop.h"

#include <algorithm>

#include "descent/backend/cpu/native_writer.h"
#include "descent/backend/cpu/processor.h"

#if defined(__x86_64__)

namespace descent::cpu {

namespace {

// Element after element, row after row. Views of parts of rows (a gate's columns among all gates') have rows of their
// own, `own_columns` long, which lie apart.
class AlongWriter : public NativeWriter {
 public:
  AlongWriter(const TileBody& body, const BufferPlaces& places, bool past_caches)
      : NativeWriter(body, places), past_caches_(past_caches) {}
  using Code = void (*)(std::byte* const* addresses, int64_t flat, int64_t run, int64_t rows, int64_t pitch,
                        int64_t passing_pitch, int64_t own_row, int64_t own_column);

  // Null if that is not possible.
  Code write() {
    find_own_columns();
    if (!sort_nodes() || !find_streams() || !has_room_for_own()) return nullptr;
    copies_ = has_long_chains() && 2 * most_alive() <= registers - scratch ? 2 : 1;
    const int left = registers - scratch - copies_ * most_alive();
    if (left < 0) return nullptr;
    mov(ahead_, ptr[rsp + 8]);
    mov(rax, ptr[rsp + 16]);
    enter(6);
    mov(own_row_, ahead_);
    mov(own_column_, rax);
    mov(rows_, rcx);
    mov(pitch_, r8);
    sub(r9, r8);
    mov(passing_, r9);
    write_steady(never_, false);
    const int unpinned = pin(never_, left);
    load_pinned(never_);
    hold_tables(unpinned);
    write_rows();
    if (passes_caches()) sfence();  // before the others go on
    leave();
    finish();
    return getCode<Code>();
  }
  // Whether it writes lines past the caches, which has to begin with a whole one.
  bool passes_caches() const {
    return std::ranges::any_of(loop_, [&](int id) { return node(id).kind == Kind::store && passes_caches(id); });
  }
  int64_t own_columns() const { return own_columns_; }

 private:
  static constexpr int rows_ahead = 2;

  static bool is_apart(const TileView& view) {
    return view.axes == 2 && view.strides[1] == 1 && view.strides[0] > 0 && view.sizes[1] >= lane_group;
  }
  void find_own_columns() {
    for (const TileNode& each : body_.nodes)
      if (each.view >= 0 && own_columns_ == 0 && is_apart(body_.views[static_cast<size_t>(each.view)]))
        own_columns_ = body_.views[static_cast<size_t>(each.view)].sizes[1];
  }
  bool has_view(int id) const override { return view(id).contiguous() || row_step(id) >= 0; }
  bool repeats_row(int) const override { return false; }
  int64_t row_step(int id) const override {
    const bool own = is_apart(view(id)) || (node(id).kind == Kind::load && period_of(view(id)) > 0);
    return own && own_columns_ > 0 && view(id).sizes[1] == own_columns_ ? view(id).strides[0] : -1;
  }

  // A piece of a product has no rows of its own.
  bool has_room_for_own() const {
    return own_columns_ == 0 ||
           std::ranges::none_of(streams_, [&](const Stream& stream) { return places_.is_passing(stream.buffer); });
  }

  // Streams with rows of their own begin at own_row_ and own_column_.
  void find_own_bases() {
    for (size_t i = 0; i < streams_.size(); ++i) {
      if (streams_[i].step < 0) continue;
      mov(whole_, streams_[i].step);
      imul(whole_, own_row_);
      add(whole_, own_column_);
      imul(whole_, whole_, streams_[i].width);
      mov(ahead_, streams_[i].byte);
      add(whole_, ahead_);
      add(whole_, ptr[addresses_ + static_cast<int>(streams_[i].buffer * sizeof(std::byte*))]);
      set_base(i, whole_);
    }
  }

  void write_rows() {
    Xbyak::Label row, end;
    find_bases();
    find_own_bases();
    set_mask();
    mov(row_, index_);
    L(row);
    mov(ahead_, pitch_);
    lea(ahead_, ptr[index_ + ahead_ * rows_ahead]);
    mov(whole_, run_);
    and_(whole_, -lane_group);
    add(whole_, index_);
    for (int copies = copies_; copies > 0; --copies) write_whole_lanes(copies);
    test(run_.cvt32(), static_cast<uint32_t>(lane_group - 1));
    jz(end, T_NEAR);
    write_elements(true);
    L(end);
    mov(index_, row_);
    add(index_, pitch_);
    mov(row_, index_);
    for (size_t i = 0; i < streams_.size(); ++i) {
      if (streams_[i].step >= 0) {
        mov(whole_, (streams_[i].step - own_columns_) * streams_[i].width);
        move_base(i, whole_);
      }
      if (!places_.is_passing(streams_[i].buffer)) continue;
      mov(whole_, passing_);
      imul(whole_, whole_, streams_[i].width);
      move_base(i, whole_);
    }
    dec(rows_);
    jnz(row, T_NEAR);
  }

  // As long as there are so many groups of lanes before whole_.
  void write_whole_lanes(int copies) {
    Xbyak::Label loop, end;
    const auto step = static_cast<int>(copies * lane_group);
    lea(fetched_, ptr[index_ + step]);
    cmp(fetched_, whole_);
    jg(end, T_NEAR);
    align(32);
    L(loop);
    write_elements(false, copies);
    add(index_, step);
    add(ahead_, step);
    lea(fetched_, ptr[index_ + step]);
    cmp(fetched_, whole_);
    jle(loop, T_NEAR);
    L(end);
  }

  void prefetch_load(int id) override {
    if (!places_.is_passing(view(id).buffer) && size_of(view(id).dtype) > 1) prefetcht0(ptr[at(id, ahead_)]);
  }

  // Lines that are not read are fetched too: memory has them written whole only after that.
  void prefetch_store(int id) override {
    const bool is_read = std::ranges::any_of(
        loop_, [&](int each) { return node(each).kind == Kind::load && places_.same(view(each), view(id)); });
    if (!is_read && !passes_caches(id) && !places_.is_passing(view(id).buffer) && size_of(view(id).dtype) > 1)
      prefetchw(ptr[at(id, ahead_)]);
  }

  // Smaller values may still be in the last cache when they are read.
  bool passes_caches(int id) const override {
    constexpr int64_t large = int64_t{1} << 22;
    return past_caches_ && copies_ == 2 && places_.passes_caches(view(id), large) && !is_read(id);
  }

  void write_steady_load(int id, const Xbyak::Zmm& to, bool) override { write_number(id, to); }

  const bool past_caches_;
  int copies_ = 1;           // groups of lanes at a time
  int64_t own_columns_ = 0;  // 0: there are no such views
  const Xbyak::Address rows_ = word(0), pitch_ = word(1), row_ = word(2), passing_ = word(3), own_row_ = word(4),
                       own_column_ = word(5);
};

// Sixteen columns after sixteen columns, each from top to bottom: what changes from column to column only stays in
// registers, sums too.
class DownWriter : public NativeWriter {
 public:
  DownWriter(const TileBody& body, const BufferPlaces& places, std::span<const int> sums)
      : NativeWriter(body, places), sums_(sums) {}
  using Code = void (*)(std::byte* const* addresses, int64_t flat, int64_t run, int64_t rows, int64_t pitch,
                        int64_t column, float* const* registers);

  Code write() {
    if (!sort_nodes() || !find_streams()) return nullptr;
    for (const Stream& stream : streams_)
      if (places_.is_passing(stream.buffer)) return nullptr;
    const int left = registers - scratch - most_alive() - count_sums();
    if (left < 0) return nullptr;
    mov(ahead_, ptr[rsp + 8]);
    enter(6);
    mov(registers_, ahead_);
    mov(rows_, rcx);
    mov(pitch_, r8);
    mov(column_word_, r9);
    mov(addresses_word_, addresses_);
    write_steady(never_, false);
    for (const int id : loop_)
      if (node(id).kind == Kind::reduce) keep_register(id);
    const auto wanted = static_cast<int>(column_.size());
    pin(column_, left);
    pin(never_, std::max(0, left - wanted));
    period_ = find_period();
    write_columns();
    leave();
    finish();
    return getCode<Code>();
  }

  int64_t period() const { return period_; }

 private:
  // Of the views that show one row for all; 0 if there are several such lengths, or none.
  int64_t find_period() const {
    int64_t found = 0;
    for (const int id : column_) {
      if (node(id).kind != Kind::load) continue;
      const int64_t period = view(id).sizes[1];
      if (found != 0 && found != period) return 0;
      found = period;
    }
    return found;
  }

  int count_sums() const {
    return static_cast<int>(std::ranges::count_if(loop_, [&](int id) { return node(id).kind == Kind::reduce; }));
  }

  void write_columns() {
    Xbyak::Label full, part, end;
    find_bases();
    set_mask();
    mov(at_, index_);
    cmp(run_, static_cast<uint32_t>(lane_group));
    jl(part, T_NEAR);
    L(full);
    write_strip(false);
    add(index_, static_cast<uint32_t>(lane_group));
    mov(at_, index_);
    lea(whole_, ptr[index_ + lane_group]);
    cmp(whole_, run_);
    jle(full, T_NEAR);
    L(part);
    cmp(index_, run_);
    jge(end, T_NEAR);
    write_strip(true);
    L(end);
  }

  // The columns from index_ on.
  void write_strip(bool some) {
    write_steady(column_, some);
    load_pinned(column_);
    load_pinned(never_);
    each_sum([&](int id) { vmovups(Xbyak::Zmm(kept(id)), ptr[register_at(sums_[static_cast<size_t>(id)])]); });
    mov(whole_, rows_);
    mov(ahead_, pitch_);
    Xbyak::Label row;
    align(32);
    L(row);
    write_elements(some);
    add(index_, ahead_);
    dec(whole_);
    jnz(row, T_NEAR);
    mov(index_, at_);
    each_sum([&](int id) {
      const Xbyak::Address to = ptr[register_at(sums_[static_cast<size_t>(id)])];
      vmovups(some ? to | some_ : to, Xbyak::Zmm(kept(id)));
    });
  }

  template <class Function>
  void each_sum(Function function) const {
    for (const int id : loop_)
      if (node(id).kind == Kind::reduce) function(id);
  }

  Xbyak::RegExp register_at(int number) {
    mov(whole_, registers_);
    mov(whole_, ptr[whole_ + number * static_cast<int>(sizeof(float*))]);
    return whole_ + index_ * sizeof(float);
  }

  void write_steady_load(int id, const Xbyak::Zmm& to, bool some) override {
    if (node(id).kind == Kind::spread) {
      const Xbyak::RegExp from = register_at(node(id).in[0]);
      return vmovups(some ? to | some_ | T_z : to, ptr[from]);
    }
    if (rate(id) == Rate::never) return write_number(id, to);
    const auto width = static_cast<int>(size_of(view(id).dtype));
    mov(ahead_, addresses_word_);
    mov(whole_, view(id).offset * width);
    add(whole_, ptr[ahead_ + static_cast<int>(view(id).buffer * sizeof(std::byte*))]);
    mov(ahead_, column_word_);
    lea(whole_, ptr[whole_ + ahead_ * width]);
    load_lanes(to, whole_ + index_ * width, view(id).dtype, some);
  }

  // The processor's own fetching stops at the end of a page.
  void prefetch_load(int id) override { prefetcht0(ptr[at(id) + page]); }
  void prefetch_store(int id) override { prefetchw(ptr[at(id) + page]); }

  void add_to_sum(int id, const Xbyak::Zmm& value) override {
    vaddps(Xbyak::Zmm(kept(id)), Xbyak::Zmm(kept(id)), value);
  }

  static constexpr int page = 4096;

  std::span<const int> sums_;
  int64_t period_ = 0;
  const Xbyak::Address registers_ = word(0), rows_ = word(1), pitch_ = word(2), column_word_ = word(3),
                       addresses_word_ = word(4), at_ = word(5);
};

class AlongLoop : public NativeLoop {
 public:
  AlongLoop(const TileBody& body, const BufferPlaces& places)
      : writer_(body, places, true), code_(writer_.write()), any_writer_(body, places, false) {
    any_code_ = ready() && writer_.passes_caches() ? any_writer_.write() : code_;
  }
  bool ready() const { return code_ != nullptr; }
  bool takes_rows() const override { return true; }
  void run(std::byte* const* addresses, const Extent& extent, int64_t passing_pitch) const override {
    if (writer_.own_columns() > 0) return run_own(addresses, extent);
    constexpr int64_t line = 32;  // elements
    const bool whole_lines = extent.flat % line == 0 && (extent.rows == 1 || extent.pitch % line == 0);
    (whole_lines ? code_ : any_code_)(addresses, extent.flat, extent.run, extent.rows, extent.pitch, passing_pitch, 0, 0);
  }

 private:
  // The rest of an own row, whole rows, and the beginning of one.
  void run_own(std::byte* const* addresses, const Extent& extent) const {
    const int64_t columns = writer_.own_columns();
    for (int64_t row = 0; row < extent.rows; ++row)
      for (int64_t flat = extent.flat + row * extent.pitch, end = flat + extent.run; flat < end;) {
        const int64_t column = flat % columns;
        const bool whole = column == 0 && end - flat >= columns;
        const int64_t rows = whole ? (end - flat) / columns : 1,
                      run = whole ? columns : std::min(columns - column, end - flat);
        any_code_(addresses, flat, run, rows, columns, 0, flat / columns, column);
        flat += rows * run;
      }
  }

  AlongWriter writer_;  // owns the code
  AlongWriter::Code code_;
  AlongWriter any_writer_;  // of elements that begin anywhere
  AlongWriter::Code any_code_;
};

class DownColumns : public NativeColumns {
 public:
  DownColumns(const TileBody& body, const BufferPlaces& places, std::span<const int> sums)
      : writer_(body, places, sums), code_(writer_.write()) {}
  bool ready() const { return code_ != nullptr; }
  int64_t period() const { return writer_.period(); }
  void run(std::byte* const* addresses, float* const* registers, const Extent& extent, int64_t column) const override {
    code_(addresses, extent.flat, extent.run, extent.rows, extent.pitch, column, registers);
  }

 private:
  DownWriter writer_;
  DownWriter::Code code_;
};

// Elements in order where something repeats from row to row: the rest of a row, whole rows, and the beginning of one.
class RepeatingLoop : public NativeLoop {
 public:
  RepeatingLoop(const TileBody& body, const BufferPlaces& places) : columns_(body, places, {}) {}
  bool ready() const { return columns_.ready() && columns_.period() > 0; }
  bool takes_rows() const override { return false; }

  void run(std::byte* const* addresses, const Extent& extent, int64_t) const override {
    const int64_t period = columns_.period(), end = extent.flat + extent.run;
    const int64_t most =
        std::max<int64_t>(1, block / period);  // rows that stay in the first cache from column to column
    for (int64_t flat = extent.flat; flat < end;) {
      const int64_t column = flat % period;
      Extent some{flat, 1, std::min(period - column, end - flat), period};
      if (some.run == period) some.rows = std::min(most, (end - flat) / period);
      columns_.run(addresses, nullptr, some, column);
      flat += some.rows * some.run;
    }
  }

 private:
  static constexpr int64_t block = 4096;  // elements
  DownColumns columns_;
};

template <class Made, class... Args>
std::unique_ptr<const Made> made(const Args&... args) {
  try {
    auto written = std::make_unique<const Made>(args...);
    return written->ready() ? std::move(written) : nullptr;
  } catch (const Xbyak::Error&) {
    return nullptr;
  }
}

}  // namespace

bool has_native_loops() { return processor().avx512 && processor().avx512_bf16; }

std::unique_ptr<const NativeLoop> NativeLoop::make(const TileBody& body, const BufferPlaces& places) {
  if (auto along = made<AlongLoop>(body, places)) return along;
  return made<RepeatingLoop>(body, places);
}

std::unique_ptr<const NativeColumns> NativeColumns::make(const TileBody& body, const BufferPlaces& places,
                                                         std::span<const int> sums) {
  return made<DownColumns>(body, places, sums);
}

}  // namespace descent::cpu

#else

namespace descent::cpu {
bool has_native_loops() { return false; }
std::unique_ptr<const NativeLoop> NativeLoop::make(const TileBody&, const BufferPlaces&) { return nullptr; }
std::unique_ptr<const NativeColumns> NativeColumns::make(const TileBody&, const BufferPlaces&, std::span<const int>) {
  return nullptr;
}
}  // namespace descent::cpu

#endif
