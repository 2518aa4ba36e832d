// How the machine code of loop kernels is written: which values are where, and an instruction for each node.
#pragma once

#if defined(__x86_64__)
#include <xbyak/xbyak.h>

#include <array>
#include <bit>
#include <initializer_list>
#include <list>
#include <map>
#include <vector>

#include "descent/backend/cpu/piecewise.h"
#include "descent/backend/cpu/tile_layout.h"

namespace descent::cpu {

// The columns of a view that shows one row again and again; else 0.
int64_t period_of(const TileView& view);

// What is common to the two orders in which elements are walked through: along rows and down columns. A node's value
// changes with each element, or from column to column only, or never. Values of the last two kinds lie on the stack,
// those that fit in registers too; the others have a register from where they are computed to where they are last used.
class NativeWriter : public Xbyak::CodeGenerator {
 protected:
  using Kind = TileNode::Kind;
  enum class Rate : uint8_t { never, column, element };

  static constexpr int registers = 32, scratch = 5;  // so many may one node need beside its arguments and its result
  static constexpr int vector_bytes = 64;

  NativeWriter(const TileBody& body, const BufferPlaces& places, size_t code_bytes = 0);  // 0: as much as elements need

  const TileNode& node(int id) const { return body_.nodes[static_cast<size_t>(id)]; }
  const TileView& view(int id) const { return body_.views[static_cast<size_t>(node(id).view)]; }
  Rate rate(int id) const { return rates_[static_cast<size_t>(id)]; }
  void set_rate(int id, Rate rate) { rates_[static_cast<size_t>(id)] = rate; }
  bool has_code(int id) const;                 // of a compute node
  static bool is_stored(DType dtype);          // it is loaded and stored
  std::array<int, 4> arguments(int id) const;  // the nodes whose values this one is computed from
  void find_last_uses();                       // in loop_
  bool is_used(int id) const { return last_[static_cast<size_t>(id)] >= 0; }  // by the loop
  bool is_read(int store) const;  // something may be loaded from where it writes
  bool is_sink(int id) const { return node(id).kind == Kind::store || node(id).kind == Kind::reduce; }

  // False if there is something that has no instruction here.
  bool sort_nodes();
  int most_alive() const;  // registers that the values of elements need at once
  bool find_streams();     // false if there are too many

  // The function's beginning and end, with room on the stack for `words` of 8 bytes, which word() names, and for
  // values.
  void enter(int words);
  void leave();
  Xbyak::Address word(int index) const { return qword[rsp + 8 + index * 8]; }
  void find_bases();  // of streams, once what is on the stack has its place
  void set_base(size_t stream, const Xbyak::Reg64& value);
  void move_base(size_t stream, const Xbyak::Reg64& bytes);
  void move_base(size_t stream, int64_t bytes);

  void write_steady(const std::vector<int>& nodes, bool some);
  void write_compute(int id, int made);
  int pin(const std::vector<int>& nodes, int most);
  void load_pinned(const std::vector<int>& nodes);
  // The loop's nodes for sixteen elements, or for as many more in turns: so one hides the other's latency.
  void write_elements(bool some, int copies = 1);
  void finish();  // what lies behind the code

  void set_mask();                                  // some_: the last run_ % 16 columns
  void write_number(int id, const Xbyak::Zmm& to);  // the only element of a view
  void keep_register(int id) { place_[static_cast<size_t>(id)] = take(); }
  void keep_register(int id, int reg) { place_[static_cast<size_t>(id)] = reg; }
  int free_registers() const { return static_cast<int>(free_.size()); }
  int take();
  void release(int reg) { free_.push_back(reg); }
  Xbyak::Zmm temporary();
  void give_back();         // the temporary ones
  void forget_registers();  // that nodes have in the loop
  void share_slot(int id, int with) { slot_[static_cast<size_t>(id)] = slot_[static_cast<size_t>(with)]; }
  int slot_offset(int id) const { return slot_[static_cast<size_t>(id)] * vector_bytes; }  // on the stack
  Xbyak::Address slot(int id) const { return ptr[rsp + slot_offset(id)]; }
  Xbyak::Address each(uint32_t bits) { return ptr_b[rip + label_of(bits)]; }  // for all lanes
  using Words = std::array<uint32_t, 16>;
  Xbyak::Address lanes(const Words& words) { return ptr[rip + vectors_[words]]; }  // a word for each lane
  void spread(const Xbyak::Zmm& to, float value) {
    vbroadcastss(to, ptr[rip + label_of(std::bit_cast<uint32_t>(value))]);
  }
  void keep_nan(const Xbyak::Zmm& to, const Xbyak::Zmm& first);
  virtual bool has_view(int id) const;                                        // for a load or store of elements
  virtual bool repeats_row(int id) const { return period_of(view(id)) > 0; }  // a load: from column to column only
  virtual int64_t row_step(int) const { return -1; }   // of a stream: elements; -1: rows do not matter
  virtual int64_t row_period(int) const { return 0; }  // after so many rows it begins anew; 0: never
  virtual void fetch(const Xbyak::Zmm& to, int id) { vmovaps(to, slot(id)); }  // a value that the loop does not change
  virtual bool reload(int, const Xbyak::Zmm&) { return false; }  // true if the loop need not compute the node
  virtual void made(int, const Xbyak::Zmm&) {}                   // a node's value is there
  int kept(int id) const { return place_[static_cast<size_t>(id)]; }
  int copy() const { return copy_; }  // of the loop's nodes, in hand
  void hold_tables(int most);         // so many registers more stay taken
  bool has_long_chains() const;       // nodes of many instructions, each of which waits for the one before
  void load_lanes(const Xbyak::Zmm& to, const Xbyak::RegExp& from, DType dtype, bool some);
  virtual void prefetch_load(int) {}
  virtual void prefetch_store(int) {}
  virtual bool passes_caches(int) const { return false; }  // a store of bf16: it goes to memory right away
  virtual void write_steady_load(int id, const Xbyak::Zmm& to, bool some) = 0;
  virtual void add_to_sum(int, const Xbyak::Zmm&) {}
  virtual void write_random(int, const Xbyak::Zmm&) {}

  // native_random.cpp. The source's keys and counters are looked up while the addresses are at hand; the bits are those
  // of four blocks from number whole_ on, which is used up.
  bool has_plain_source(int id) const;
  void write_random_source(int id, const Xbyak::Address& keys, const Xbyak::Address& counters);
  void write_random_bits(const Xbyak::Zmm& to, const Xbyak::Address& keys, const Xbyak::Address& counters);

  Xbyak::RegExp at(int id, const Xbyak::Reg64& index);
  Xbyak::RegExp at(int id) { return at(id, index_); }

  // What is read or written of one buffer with one step: views of it lie a number of bytes apart.
  struct Stream {
    BufferId buffer;
    int64_t byte;  // of the first view
    int width;
    int64_t step, period;  // see row_step(), row_period()
    bool holds(const Stream& other) const;
  };

  const TileBody& body_;
  const BufferPlaces& places_;
  std::vector<int> never_, column_, loop_;  // nodes by rate
  std::vector<Stream> streams_;
  int64_t shift_ = 0;           // elements are those behind index_ by so many,
  bool without_index_ = false;  // which is zero

  const Xbyak::Reg64 addresses_ = rdi, index_ = rsi, run_ = rdx, whole_ = r10, ahead_ = r11;
  // Streams' bases; more of them are on the stack, and come to `fetched_`, where the addresses are no longer wanted.
  const Xbyak::Reg64 bases_[10] = {rax, rcx, r8, r9, rbx, rbp, r12, r13, r14, r15}, fetched_ = rdi;
  const Xbyak::Opmask test_ = k1, usual_ = k2, zero_ = k3, some_ = k7;

 private:
  using Zmm = Xbyak::Zmm;
  struct SlowQuotient {
    SlowQuotient(int quotient, int dividend, int divisor) : to(quotient), a(dividend), b(divisor) {}
    int to, a, b;
    Xbyak::Label begin, end;
  };

  int stored(int id) const;
  Rate find_rate(int id) const;
  int count_made(size_t at) const;
  int count_ended(size_t at) const;
  Stream stream_of(int id) const;
  Xbyak::Address base_word(size_t stream) const {
    return word(base_words_ + static_cast<int>(stream - std::size(bases_)));
  }

  void reset_registers();
  Zmm get(int id);
  int& place_of(int id) { return (copy_ == 0 ? place_ : second_place_)[static_cast<size_t>(id)]; }  // in the loop
  void end_arguments(size_t at);

  void write_value(size_t at, bool some);
  void write_node(int id, int made, bool some);
  void write_column_numbers(const Zmm& to);
  void write_store(int id, bool some);
  void write_pair(int id);
  bool wants_rounding(int id) const;
  void round(const Zmm& to, const Zmm& from);
  void convert(const Zmm& to, const Zmm& from, LaneType type, DType dtype);
  void truth(const Zmm& to);
  void write_whole(Arith op, const Zmm& to, const std::vector<Zmm>& in);
  void write_real(Arith op, const Zmm& to, const std::vector<Zmm>& in);
  void write_where(const Zmm& to, const std::vector<Zmm>& in);

  // native_functions.cpp
  void write_quotient(const Zmm& to, const Zmm& a, const Zmm& b, const Zmm& r, const Zmm& t);
  void is_usual(const Xbyak::Opmask& to, const Zmm& x, const Zmm& t);
  void estimate_reciprocal(const Zmm& r, const Zmm& b, const Zmm& t);
  void write_reciprocal(const Zmm& to, const Zmm& one, const Zmm& b);
  bool is_reciprocal(const TileNode& of) const;
  void write_exp(const Zmm& to, const Zmm& x);
  void write_in_pieces(const Pieces& table, const Zmm& value, const Zmm* slope, const Zmm& x);
  void write_erfs(const Zmm& erf, const Zmm& x_erf_slope, const Zmm& x);
  void write_rounded_gelus(const Zmm& gelu, const Zmm* slope, const Zmm& x);
  Xbyak::Address half_table(const float* numbers);
  void look_up(const Zmm& to, const Zmm& index, const float* numbers);
  int twin(size_t at) const;
  void write_twins(int id, int other, int made);
  void write_exp_in_range(const Zmm& to, const Zmm& x, const Zmm& n, const Zmm& p);
  void write_polynomial(const Zmm& to, const Zmm& x, std::initializer_list<float> coefficients);
  void limit(const Zmm& to, const Zmm& x, float most);

  // 32 bits behind the code: one place for all lanes of an operand, or to be spread to a register's.
  Xbyak::Label& label_of(uint32_t bits) { return numbers_[bits]; }
  Xbyak::Address each(float value) { return each(std::bit_cast<uint32_t>(value)); }

  std::vector<Rate> rates_;
  std::vector<int> last_;          // by node: where in the loop it is last used
  std::vector<int> slot_, place_;  // by node: on the stack, in registers
  std::vector<int> second_place_;  // of the second copy
  int copy_ = 0;                   // in hand
  std::vector<int> free_, taken_;
  int words_ = 0, base_words_ = 0;  // on the stack: vectors of words, and the word of the first base there
  std::list<SlowQuotient> slow_;
  std::map<const float*, int> held_;  // halves of tables that are in registers
  std::map<uint32_t, Xbyak::Label> numbers_;
  std::map<Words, Xbyak::Label> vectors_;

  const Xbyak::Reg64 kept_[6] = {rbx, rbp, r12, r13, r14, r15};
};

}  // namespace descent::cpu
#endif
