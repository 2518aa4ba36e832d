#include "descent/backend/cpu/native_row_values.h"

#if defined(__x86_64__)
#include <algorithm>

namespace descent::cpu {

Xbyak::Address RowValues::source_vector(int id, int which) const {
  const auto number = static_cast<int>(std::ranges::find(random_, id) - random_.begin());
  return ptr[rsp + vector_bytes * (1 + 2 * number + which)];
}

void RowValues::write_row_values(int s) {
  forget_registers();
  for (const int id : column_)
    if (stage(id) == s) write_row_value(id);
  for (int id = 0; id < nodes(); ++id)
    if (node(id).kind == Kind::store && node(id).level == Level::row && stage(id) == s) write_row_store(id);
}

// It stays in a register for those that follow while there are enough.
void RowValues::write_row_value(int id) {
  constexpr int enough = 16;
  const int made = node(id).kind == Kind::reduce ? sum_of_rows(id, 0, lane_group) : take();
  if (node(id).kind == Kind::compute)
    write_compute(id, made);
  else if (node(id).kind != Kind::reduce)
    write_steady_load(id, Xbyak::Zmm(made), false);
  give_back();
  // Lanes that have been stored must not be written again: whoever loads them would have to wait for that.
  half_ > 0 ? store_rows(ptr[rsp + slot_offset(id) + 4 * rows_], Xbyak::Zmm(made))
            : vmovaps(slot(id), Xbyak::Zmm(made));
  free_registers() >= enough ? keep_register(id, made) : release(made);
}

void RowValues::write_row_store(int id) {
  const int from = node(id).in[0];
  Xbyak::Zmm value(kept(from));
  if (kept(from) < 0) vmovaps(value = temporary(), slot(from));
  store_rows(ptr[row_element(id)], value);
  give_back();
}
void RowValues::store_rows(const Xbyak::Address& to, const Xbyak::Zmm& value) {
  switch (rows_) {
    case 8: return half_ > 0 ? vextractf32x8(to, value, 1) : vmovups(to, Xbyak::Ymm(value.getIdx()));
    case 4: return half_ > 0 ? vextractf32x4(to, value, 1) : vmovups(to, Xbyak::Xmm(value.getIdx()));
    default: return vmovss(to, Xbyak::Xmm(value.getIdx()));
  }
}

void RowValues::write_steady_load(int id, const Xbyak::Zmm& to, bool) {
  if (node(id).uniform) return write_number(id, to);
  const Xbyak::Address from = ptr[row_element(id)];
  switch (rows_) {
    case 8: return vbroadcastf32x8(to, from);
    case 4: return vbroadcastf32x4(to, from);
    default: return vbroadcastss(to, from);
  }
}
Xbyak::RegExp RowValues::row_element(int id) {
  mov(whole_, addresses_word_);
  mov(whole_, ptr[whole_ + static_cast<int>(view(id).buffer * sizeof(std::byte*))]);
  mov(ahead_, view(id).offset * 4);
  add(whole_, ahead_);
  mov(ahead_, row_word_);
  return whole_ + ahead_ * 4 + 4 * half_ * rows_;
}

// Sixteen rows' sixteen lanes merged to one a row: of each four neighbouring lanes (0 + 2) + (1 + 3), then of those
// four sums likewise. Fewer rows come again and again.
int RowValues::sum_of_rows(int id, int first, int64_t rows) {
  const auto half = static_cast<int>(rows / 2);
  int a = -1, b = -1;
  if (half == 1) {
    const auto lanes_of = [&](int row) {
      return ptr[rsp + sum_offset(id) + vector_bytes * (half_ * rows_ + row % rows_)];
    };
    a = take(), b = take();
    vmovaps(Xbyak::Zmm(b), lanes_of(first));
    vshufps(Xbyak::Zmm(a), Xbyak::Zmm(b), lanes_of(first + 1), 0x44);
    vshufps(Xbyak::Zmm(b), Xbyak::Zmm(b), lanes_of(first + 1), 0xee);
  } else {
    const int from = sum_of_rows(id, first, half);
    b = rows_ > half ? sum_of_rows(id, first + half, half) : from;
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
void RowValues::choose_lanes(int half, int to, int a, int b, bool upper) {
  const Xbyak::Zmm made(to), first(a), second(b);
  if (half == 2) return vshufps(made, first, second, upper ? 0xdd : 0x88);
  vshuff32x4(made, first, second, half == 4 ? (upper ? 0xee : 0x44) : (upper ? 0xdd : 0x88));
}

void RowValues::merge(int id, const Xbyak::Zmm& to, const Xbyak::Zmm& a, const Xbyak::Zmm& b) {
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

}  // namespace descent::cpu
#endif
