#include "descent/backend/cpu/native_loop.h"

#include "descent/backend/cpu/processor.h"

#if defined(__x86_64__)
#include <xbyak/xbyak.h>

#include <algorithm>
#include <bit>
#include <list>
#include <map>

namespace descent::cpu {

namespace {

using Kind = TileNode::Kind;
using Xbyak::Opmask;
using Xbyak::Reg64;
using Xbyak::Ymm;
using Xbyak::Zmm;

constexpr int registers = 32;
constexpr int scratch = 3;  // registers that one node may need beside its arguments and its result
constexpr int vector_bytes = 64;
constexpr int rows_ahead = 2;

bool is_whole(DType dtype) { return dtype == DType::i32 || dtype == DType::u8 || dtype == DType::boolean; }
bool is_stored(DType dtype) { return is_whole(dtype) || dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::u32; }

// --- What can be written ---

bool has_arithmetic(const TileNode& node) {
  const Arith op = *node.arith;
  if (op == Arith::where || op == Arith::equal) return true;
  if (node.type == LaneType::i32) return op == Arith::max || op == Arith::min || op == Arith::less;
  if (node.type == LaneType::u32) return false;
  switch (op) {
    case Arith::neg:
    case Arith::sqrt:
    case Arith::floor:
    case Arith::add:
    case Arith::sub:
    case Arith::mul:
    case Arith::div:
    case Arith::max:
    case Arith::min:
    case Arith::less: return true;
    default: return false;
  }
}

bool has_conversion(LaneType from, DType to) {
  if (from == LaneType::real) return to == DType::f32 || to == DType::bf16 || to == DType::boolean;
  if (from == LaneType::i32) return to == DType::f32 || to == DType::bf16 || is_whole(to);
  return to == DType::u32;
}

bool can_write(const TileBody& body, const TileNode& node) {
  if (node.level != Level::element && !node.uniform) return false;
  switch (node.kind) {
    case Kind::dead:
    case Kind::constant: return true;
    case Kind::load:
    case Kind::store: {
      const TileView& view = body.views[static_cast<size_t>(node.view)];
      const bool one = node.uniform && view.dtype == DType::f32 && !view.empty();
      return one || (!node.uniform && view.contiguous() && is_stored(view.dtype));
    }
    case Kind::compute: return node.arith ? has_arithmetic(node) : has_conversion(node.type, node.dtype);
    default: return false;
  }
}

// --- Writing ---

// Values that do not change lie on the stack, those that fit in registers too. The others have a register from where
// they are computed to where they are last used.
class Writer : public Xbyak::CodeGenerator {
 public:
  Writer(const TileBody& body, const BufferPlaces& places)
      : CodeGenerator(4096 + 1024 * body.nodes.size(), Xbyak::DontSetProtectRWE), body_(body), places_(places), last_(body.nodes.size(), -1), slot_(body.nodes.size(), -1),
        place_(body.nodes.size(), -1) {}

  using Code = void (*)(std::byte* const* addresses, int64_t flat, int64_t run, int64_t rows, int64_t pitch, int64_t passing_pitch);

  // Null if the registers do not suffice.
  Code write() {
    sort_nodes();
    const int most = most_alive();
    if (most + scratch > registers || !find_streams()) return nullptr;
    enter();
    write_constant_nodes();
    pin(registers - most - scratch);
    write_loop();
    leave();
    write_slow_quotients();
    write_numbers();
    setProtectModeRE();
    return getCode<Code>();
  }

 private:
  const TileNode& node(int id) const { return body_.nodes[static_cast<size_t>(id)]; }
  const TileView& view(int id) const { return body_.views[static_cast<size_t>(node(id).view)]; }

  // What a store writes. It rounds to bf16 itself.
  int stored(int id) const {
    const int from = node(id).in[0];
    const TileNode& value = node(from);
    const bool rounding = value.kind == Kind::compute && !value.arith && value.dtype == DType::bf16 && value.type == LaneType::real;
    return rounding && !value.uniform && view(id).dtype == DType::bf16 ? value.in[0] : from;
  }
  std::array<int, 4> arguments(int id) const {
    if (node(id).kind == Kind::store) return {stored(id), -1, -1, -1};
    return node(id).in;
  }

  // Which nodes are computed before the loop and in it, and what is used last where.
  void sort_nodes() {
    std::vector<bool> needed(body_.nodes.size(), false);
    for (int id = static_cast<int>(body_.nodes.size()); id-- > 0;) {
      if (node(id).kind == Kind::dead || (node(id).kind != Kind::store && !needed[static_cast<size_t>(id)])) continue;
      std::vector<int>& nodes = node(id).uniform ? constant_ : loop_;
      nodes.insert(nodes.begin(), id);
      for (const int arg : arguments(id))
        if (arg >= 0) needed[static_cast<size_t>(arg)] = true;
    }
    for (size_t at = 0; at < loop_.size(); ++at)
      for (const int arg : arguments(loop_[at]))
        if (arg >= 0) last_[static_cast<size_t>(arg)] = static_cast<int>(at);
  }

  // Registers that the loop's own values need at once, counting those of a node's arguments that lie on the stack.
  int most_alive() const {
    int alive = 0, most = 0;
    for (size_t at = 0; at < loop_.size(); ++at) {
      int fetched = 0;
      for (const int arg : arguments(loop_[at])) fetched += arg >= 0 && node(arg).uniform;
      alive += node(loop_[at]).kind != Kind::store;
      most = std::max(most, alive + fetched);
      alive -= count_ended(at);
    }
    return most;
  }
  int count_ended(size_t at) const {
    int ended = 0;
    const std::array<int, 4> args = arguments(loop_[at]);
    for (size_t i = 0; i < args.size(); ++i) {
      const bool again = std::find(args.begin(), args.begin() + static_cast<int64_t>(i), args[i]) != args.begin() + static_cast<int64_t>(i);
      ended += args[i] >= 0 && !again && !node(args[i]).uniform && last_[static_cast<size_t>(args[i])] == static_cast<int>(at);
    }
    return ended;
  }

  // --- Memory ---

  struct Stream {
    BufferId buffer;
    int64_t byte;
    int width;
    bool operator==(const Stream&) const = default;
  };

  Stream stream_of(int id) const {
    const auto width = static_cast<int64_t>(size_of(view(id).dtype));
    return {view(id).buffer, view(id).offset * width, static_cast<int>(width)};
  }

  bool find_streams() {
    for (const int id : loop_) {
      if (node(id).kind != Kind::load && node(id).kind != Kind::store) continue;
      if (std::find(streams_.begin(), streams_.end(), stream_of(id)) == streams_.end()) streams_.push_back(stream_of(id));
    }
    return streams_.size() <= std::size(bases_);
  }

  Xbyak::RegExp at(int id) const { return at(id, index_); }
  Xbyak::RegExp at(int id, const Reg64& index) const {
    const Stream stream = stream_of(id);
    const auto number = std::find(streams_.begin(), streams_.end(), stream) - streams_.begin();
    return bases_[number] + index * stream.width;
  }

  // The arguments come in rdi, rsi, rdx, rcx, r8 and r9. Those that are not in use all the time go to the stack.
  void enter() {
    for (const Reg64& reg : kept_) push(reg);
    mov(whole_, rsp);
    sub(rsp, static_cast<uint32_t>((constant_.size() + 1) * vector_bytes));
    and_(rsp, -vector_bytes);
    mov(ptr[rsp], whole_);
    mov(rows_, rcx);
    mov(pitch_, r8);
    sub(r9, r8);
    mov(passing_, r9);
  }

  void find_bases() {
    for (size_t i = 0; i < streams_.size(); ++i) {
      mov(whole_, streams_[i].byte);
      add(whole_, ptr[addresses_ + static_cast<int>(streams_[i].buffer * sizeof(std::byte*))]);
      lea(bases_[i], ptr[whole_ + index_ * streams_[i].width]);  // the last base takes the place of the addresses
    }
  }

  void leave() {
    mov(rsp, ptr[rsp]);
    for (size_t i = std::size(kept_); i-- > 0;) pop(kept_[i]);
    vzeroupper();
    ret();
  }

  // --- Values that do not change ---

  Xbyak::Address slot(int id) const { return ptr[rsp + (slot_[static_cast<size_t>(id)] + 1) * vector_bytes]; }

  void write_constant_nodes() {
    for (size_t i = 0; i < constant_.size(); ++i) {
      const int id = constant_[i];
      slot_[static_cast<size_t>(id)] = static_cast<int>(i);
      reset_registers();
      const int made = take();
      if (node(id).kind == Kind::constant) {
        vbroadcastss(Zmm(made), ptr[rip + number(node(id).bits)]);
      } else if (node(id).kind == Kind::load) {
        mov(whole_, view(id).offset * 4);
        add(whole_, ptr[addresses_ + static_cast<int>(view(id).buffer * sizeof(std::byte*))]);
        vbroadcastss(Zmm(made), ptr[whole_]);
      } else {
        write_compute(id, made);
      }
      vmovaps(slot(id), Zmm(made));
    }
    reset_registers();
  }

  void pin(int most) {
    for (const int id : constant_)
      if (most > 0 && last_[static_cast<size_t>(id)] >= 0) {
        --most;
        vmovaps(Zmm(place_[static_cast<size_t>(id)] = take()), slot(id));
      }
  }

  // --- Registers ---

  void reset_registers() {
    taken_.clear();
    free_.clear();
    for (int reg = registers; reg-- > 0;) free_.push_back(reg);
  }

  int take() {
    const int reg = free_.back();
    free_.pop_back();
    return reg;
  }

  // An argument of the node in hand. What is fetched from the stack is given back with the scratch registers.
  Zmm get(int id) {
    if (const int reg = place_[static_cast<size_t>(id)]; reg >= 0) return Zmm(reg);
    const Zmm fetched = temporary();
    vmovaps(fetched, slot(id));
    return fetched;
  }
  Zmm temporary() {
    taken_.push_back(take());
    return Zmm(taken_.back());
  }
  void give_back() {
    free_.insert(free_.end(), taken_.begin(), taken_.end());
    taken_.clear();
  }

  // --- The loop ---

  void write_loop() {
    Xbyak::Label row, loop, tail, end;
    find_bases();
    mov(whole_.cvt32(), run_.cvt32());
    and_(whole_.cvt32(), static_cast<uint32_t>(lane_group - 1));
    mov(ahead_.cvt32(), -1);
    bzhi(ahead_.cvt32(), ahead_.cvt32(), whole_.cvt32());
    kmovw(some_, ahead_.cvt32());
    xor_(index_, index_);
    mov(row_, index_);
    L(row);
    mov(ahead_, pitch_);
    lea(ahead_, ptr[index_ + ahead_ * rows_ahead]);
    mov(whole_, run_);
    and_(whole_, -lane_group);
    add(whole_, index_);
    cmp(index_, whole_);
    jge(tail, T_NEAR);
    align(32);
    L(loop);
    write_elements(false);
    add(index_, static_cast<uint32_t>(lane_group));
    add(ahead_, static_cast<uint32_t>(lane_group));
    cmp(index_, whole_);
    jl(loop, T_NEAR);
    L(tail);
    test(run_.cvt32(), static_cast<uint32_t>(lane_group - 1));
    jz(end, T_NEAR);
    write_elements(true);
    L(end);
    mov(index_, row_);
    add(index_, pitch_);
    mov(row_, index_);
    for (size_t i = 0; i < streams_.size(); ++i) {
      if (!places_.is_passing(streams_[i].buffer)) continue;
      mov(whole_, passing_);
      lea(bases_[i], ptr[bases_[i] + whole_ * streams_[i].width]);
    }
    dec(rows_);
    jnz(row, T_NEAR);
  }

  void write_elements(bool some) {
    const std::vector<int> free = free_, places = place_;
    for (size_t at = 0; at < loop_.size(); ++at) {
      const int id = loop_[at];
      const bool store = node(id).kind == Kind::store;
      const int made = store ? -1 : take();
      if (node(id).kind == Kind::load) write_load(id, Zmm(made), some);
      else if (store) write_store(id, some);
      else write_compute(id, made);
      give_back();
      place_[static_cast<size_t>(id)] = made;
      for (const int arg : arguments(id)) {
        if (arg < 0 || node(arg).uniform || last_[static_cast<size_t>(arg)] != static_cast<int>(at) || place_[static_cast<size_t>(arg)] < 0) continue;
        free_.push_back(place_[static_cast<size_t>(arg)]);
        place_[static_cast<size_t>(arg)] = -1;
      }
    }
    free_ = free;
    place_ = places;
  }

  void write_load(int id, const Zmm& to, bool some) {
    const Zmm masked = some ? to | some_ | T_z : to;
    if (!some && size_of(view(id).dtype) > 1 && !places_.is_passing(view(id).buffer)) prefetcht0(ptr[at(id, ahead_)]);
    switch (size_of(view(id).dtype)) {
      case 4: return vmovups(masked, ptr[at(id)]);
      case 2: return vpmovzxwd(masked, ptr[at(id)]), vpslld(to, to, 16);
      default: return vpmovzxbd(masked, ptr[at(id)]);
    }
  }

  void write_store(int id, bool some) {
    const Zmm value = get(stored(id));
    const Xbyak::Address to = some ? ptr[at(id)] | some_ : ptr[at(id)];
    if (view(id).dtype == DType::bf16) {
      const Ymm half(temporary().getIdx());
      vcvtneps2bf16(half, value);
      return vmovdqu16(to, half);
    }
    size_of(view(id).dtype) == 1 ? vpmovdb(to, value) : vmovups(to, value);
  }

  // --- Arithmetic ---

  void write_compute(int id, int made) {
    const TileNode& of = node(id);
    const Zmm to(made);
    if (!of.arith) return convert(to, get(of.in[0]), of.type, of.dtype);
    std::vector<Zmm> in;
    for (const int arg : of.in)
      if (arg >= 0) in.push_back(get(arg));
    of.type == LaneType::real ? write_real(*of.arith, to, in) : write_whole(*of.arith, to, in);
    if (of.in_bf16) round(to, to);
  }

  void round(const Zmm& to, const Zmm& from) {
    const Ymm half(to.getIdx());
    vcvtneps2bf16(half, from);
    vpmovzxwd(to, half);
    vpslld(to, to, 16);
  }

  void convert(const Zmm& to, const Zmm& from, LaneType type, DType dtype) {
    const bool real = type == LaneType::real;
    if (dtype == DType::boolean) {
      real ? vcmpps(test_, from, ptr_b[rip + number(0)], not_equal) : vptestmd(test_, from, from);
      return truth(to);
    }
    if (real) return dtype == DType::bf16 ? round(to, from) : vmovaps(to, from);
    if (dtype == DType::u8) {
      vpmaxsd(to, from, ptr_b[rip + number(0)]);
      return vpminsd(to, to, ptr_b[rip + number(255)]);
    }
    if (is_whole(dtype) || dtype == DType::u32) return vmovaps(to, from);
    vcvtdq2ps(to, from);
    if (dtype == DType::bf16) round(to, to);
  }

  void truth(const Zmm& to) { vpbroadcastd(to | test_ | T_z, ptr[rip + number(1)]); }

  void write_whole(Arith op, const Zmm& to, const std::vector<Zmm>& in) {
    switch (op) {
      case Arith::max: return vpmaxsd(to, in[0], in[1]);
      case Arith::min: return vpminsd(to, in[0], in[1]);
      case Arith::less: return vpcmpgtd(test_, in[1], in[0]), truth(to);
      case Arith::equal: return vpcmpeqd(test_, in[0], in[1]), truth(to);
      default: return write_where(to, in);
    }
  }

  void write_real(Arith op, const Zmm& to, const std::vector<Zmm>& in) {
    switch (op) {
      case Arith::neg: return vpxord(to, in[0], ptr_b[rip + number(0x80000000)]);
      case Arith::sqrt: return vsqrtps(to, in[0]);
      case Arith::floor: return vrndscaleps(to, in[0], 9);
      case Arith::add: return vaddps(to, in[0], in[1]);
      case Arith::sub: return vsubps(to, in[0], in[1]);
      case Arith::mul: return vmulps(to, in[0], in[1]);
      case Arith::div: return write_quotient(to, in[0], in[1]);
      case Arith::max: return vmaxps(to, in[0], in[1]), keep_nan(to, in[0]);
      case Arith::min: return vminps(to, in[0], in[1]), keep_nan(to, in[0]);
      case Arith::less: return vcmpps(test_, in[0], in[1], 17), truth(to);
      case Arith::equal: return vcmpps(test_, in[0], in[1], 0), truth(to);
      default: return write_where(to, in);
    }
  }

  // The instructions for the larger and the smaller give the second argument where the first is no number.
  void keep_nan(const Zmm& to, const Zmm& first) {
    vcmpps(test_, first, first, 3);
    vmovaps(to | test_, first);
  }

  void write_where(const Zmm& to, const std::vector<Zmm>& in) {
    vptestmd(test_, in[0], in[0]);
    vblendmps(to | test_, in[2], in[1]);
  }

  // As in tile_math-inl.h: from an estimate, unless something is near the ends of the range. (Square roots are left to
  // the processor: its divider works on them while this goes on beside it.)
  void write_quotient(const Zmm& to, const Zmm& a, const Zmm& b) {
    const Zmm r = temporary(), t = temporary();
    vrcp14ps(r, b);
    vbroadcastss(t, ptr[rip + number(std::bit_cast<uint32_t>(1.0f))]);
    vfnmadd231ps(t, b, r);
    vfmadd213ps(r, t, r);
    vmulps(to, a, r);
    is_usual(usual_, to, t);
    is_usual(test_, b, t);
    vcmpps(zero_, a, ptr_b[rip + number(0)], 0);
    korw(zero_, zero_, usual_);
    kandw(zero_, zero_, test_);
    kortestw(zero_, zero_);
    slow_.emplace_back(to.getIdx(), a.getIdx(), b.getIdx());
    jnc(slow_.back().begin, T_NEAR);
    vmovaps(t, a);
    vfnmadd231ps(t, b, to);
    vfmadd231ps(to | usual_, t, r);
    L(slow_.back().end);
  }

  // 2^-50 to 2^50, of the magnitude.
  void is_usual(const Opmask& to, const Zmm& x, const Zmm& t) {
    constexpr uint32_t least = (127 - 50) << 23, range = 100u << 23;
    vpandd(t, x, ptr_b[rip + number(0x7fffffff)]);
    vpsubd(t, t, ptr_b[rip + number(least)]);
    vpcmpud(to, t, ptr_b[rip + number(range)], 1);
  }

  struct SlowQuotient {
    SlowQuotient(int quotient, int dividend, int divisor) : to(quotient), a(dividend), b(divisor) {}
    int to, a, b;
    Xbyak::Label begin, end;
  };
  void write_slow_quotients() {
    for (SlowQuotient& slow : slow_) {
      L(slow.begin);
      vdivps(Zmm(slow.to), Zmm(slow.a), Zmm(slow.b));
      jmp(slow.end, T_NEAR);
    }
  }

  // 32 bits behind the code.
  Xbyak::Label& number(uint32_t bits) { return numbers_[bits]; }
  void write_numbers() {
    align(4);
    for (auto& [bits, label] : numbers_) {
      L(label);
      dd(bits);
    }
  }

  static constexpr uint8_t not_equal = 4;

  const TileBody& body_;
  const BufferPlaces& places_;
  std::vector<int> constant_, loop_;  // nodes
  std::vector<int> last_;             // by node: where in the loop it is last used
  std::vector<int> slot_, place_;     // by node: on the stack, in registers
  std::vector<int> free_, taken_;
  std::vector<Stream> streams_;
  std::list<SlowQuotient> slow_;
  std::map<uint32_t, Xbyak::Label> numbers_;

  const Reg64 addresses_ = rdi, index_ = rsi, run_ = rdx, whole_ = r10, ahead_ = r11;
  const Reg64 kept_[6] = {rbx, rbp, r12, r13, r14, r15};
  const Reg64 bases_[11] = {rax, rcx, r8, r9, rbx, rbp, r12, r13, r14, r15, rdi};
  const Xbyak::Address rows_ = qword[rsp + 8], pitch_ = qword[rsp + 16], row_ = qword[rsp + 24], passing_ = qword[rsp + 32];
  const Opmask test_ = k1, usual_ = k2, zero_ = k3, some_ = k7;
};

class WrittenLoop : public NativeLoop {
 public:
  WrittenLoop(const TileBody& body, const BufferPlaces& places) : writer_(body, places), code_(writer_.write()) {}
  bool ready() const { return code_ != nullptr; }
  void run(std::byte* const* addresses, const Extent& extent, int64_t passing_pitch) const override {
    code_(addresses, extent.flat, extent.run, extent.rows, extent.pitch, passing_pitch);
  }

 private:
  Writer writer_;  // owns the code
  Writer::Code code_;
};

}  // namespace

bool has_native_loops() { return processor().avx512 && processor().avx512_bf16; }

std::unique_ptr<const NativeLoop> NativeLoop::make(const TileBody& body, const BufferPlaces& places) {
  for (const TileNode& node : body.nodes)
    if (!can_write(body, node)) return nullptr;
  try {
    auto written = std::make_unique<const WrittenLoop>(body, places);
    return written->ready() ? std::move(written) : nullptr;
  } catch (const Xbyak::Error&) {
    return nullptr;
  }
}

}  // namespace descent::cpu

#else

namespace descent::cpu {
bool has_native_loops() { return false; }
std::unique_ptr<const NativeLoop> NativeLoop::make(const TileBody&, const BufferPlaces&) { return nullptr; }
}  // namespace descent::cpu

#endif
