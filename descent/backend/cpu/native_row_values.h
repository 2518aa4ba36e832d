// Values of rows, a lane of one register each: how sums of lanes become them, and where they lie on the stack.
#pragma once

#include "descent/backend/cpu/native_row_stages.h"

#if defined(__x86_64__)

namespace descent::cpu {

class RowValues : public RowStages {
 protected:
  using RowStages::RowStages;

  // The stack: words, then vectors of random sources, of rows' sums, and pointers to columns' sums.
  static constexpr int words_before_vectors = 7;  // behind them vectors are aligned
  int sum_vector() const { return 1 + 2 * static_cast<int>(random_.size()); }
  int pointer_vector() const { return sum_vector() + most_turns_ * sums_before(Level::row, nodes()); }
  Xbyak::Address source_vector(int id, int which) const;
  // The lanes of a sum of the first row.
  int sum_offset(int id) const { return vector_bytes * (sum_vector() + most_turns_ * sums_before(Level::row, id)); }
  Xbyak::Address pointer(int id) const {
    return qword[rsp + vector_bytes * pointer_vector() + 8 * sums_before(Level::column, id)];
  }

  void write_row_values(int s);  // of stage s
  void write_steady_load(int id, const Xbyak::Zmm& to, bool) override;

  bool adds(int id) const { return node(id).reduce == LoopOp::sum; }
  void merge(int id, const Xbyak::Zmm& to, const Xbyak::Zmm& a, const Xbyak::Zmm& b);

  int most_turns_ = 1;       // rows at a time
  int rows_ = 1, half_ = 0;  // of a half of those in hand; which
  const Xbyak::Address addresses_word_ = word(0), row_word_ = word(1), end_word_ = word(2), turn_word_ = word(3),
                       row_of_period_word_ = word(4);

 private:
  void write_row_value(int id);
  void write_row_store(int id);
  void store_rows(const Xbyak::Address& to, const Xbyak::Zmm& value);
  Xbyak::RegExp row_element(int id);
  int sum_of_rows(int id, int first, int64_t rows);
  void choose_lanes(int half, int to, int a, int b, bool upper);
};

}  // namespace descent::cpu
#endif
