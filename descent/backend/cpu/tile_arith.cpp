// Arithmetic on registers: the scalar instructions of loop kernels, casts, and the joined instructions.
//
// Joined instructions round after each operation as their parts would: results do not depend on what was joined, nor on
// whether the target has fused multiply-add. Only the elementary functions use it, so that plain C++ may differ from
// the vector targets in their last bit.
#include "descent/backend/cpu/tile_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/backend/cpu/tile_arith.cpp"
#include <hwy/foreach_target.h>
// The target's own headers.
#include <hwy/highway.h>

#include "descent/backend/cpu/tile_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace descent::cpu::HWY_NAMESPACE {
namespace {

// --- Real numbers ---

struct RealNeg : BodyOf<1> {
  static HWY_INLINE Real run(Real x) { return hn::Neg(x); }
};
struct RealExp : BodyOf<1, 2> {
  static HWY_INLINE Real run(Real x) { return exp_of(x); }
};
struct RealLog : BodyOf<1, 2> {
  static HWY_INLINE Real run(Real x) { return log_of(x); }
};
struct RealSqrt : BodyOf<1> {
  static HWY_INLINE Real run(Real x) { return root(x); }
};
struct RealSin : BodyOf<1, 1> {
  static HWY_INLINE Real run(Real x) { return sin_of(x); }
};
struct RealCos : BodyOf<1, 1> {
  static HWY_INLINE Real run(Real x) { return cos_of(x); }
};
struct RealTanh : BodyOf<1, 2> {
  static HWY_INLINE Real run(Real x) { return tanh_of(x); }
};
struct RealErf : BodyOf<1, 2> {
  static HWY_INLINE Real run(Real x) { return erf_of(x); }
};
struct RealXErfSlope : BodyOf<1, 2> {
  static HWY_INLINE Real run(Real x) { return x_erf_slope_of(x); }
};
struct RealRoundedGelu : BodyOf<1, 2> {
  static HWY_INLINE Real run(Real x) { return RoundedGelu(x).value; }
};
struct RealRoundedGeluSlope : BodyOf<1, 2> {
  static HWY_INLINE Real run(Real x) { return RoundedGelu(x).slope; }
};
struct RealFloor : BodyOf<1> {
  static HWY_INLINE Real run(Real x) {
    const Real down = hn::Floor(x);
#if DESCENT_PLAIN_TARGET
    return hn::IfThenElse(hn::Eq(down, number(0)), hn::CopySign(down, x), down);
#else
    return down;
#endif
  }
};
struct RealAdd : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return hn::Add(a, b); }
};
struct RealSub : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return hn::Sub(a, b); }
};
struct RealMul : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return hn::Mul(a, b); }
};
struct RealDiv : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return divided(a, b); }
};
struct RealMax : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return larger(a, b); }
};
struct RealMin : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return smaller(a, b); }
};
struct RealPow : BodyOf<2, 1> {
  static HWY_INLINE Real run(Real a, Real b) { return pow_of(a, b); }
};
struct RealLess : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return truth(hn::Lt(a, b)); }
};
struct RealEqual : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return truth(hn::Eq(a, b)); }
};
struct Where : BodyOf<3> {
  static HWY_INLINE Real run(Real condition, Real yes, Real no) {
    return hn::IfThenElse(real_mask(hn::Ne(as_int(condition), whole(0))), yes, no);
  }
};

template <class Body>
struct ToBf16 : BodyOf<Body::inputs, Body::unroll> {
  template <class... Args>
  static HWY_INLINE Real run(Args... args) {
    return rounded_to_bf16(Body::run(args...));
  }
};
template <class Body>
struct ToF16 : BodyOf<Body::inputs, Body::unroll> {
  template <class... Args>
  static HWY_INLINE Real run(Args... args) {
    return rounded_to_f16(Body::run(args...));
  }
};
struct Same : BodyOf<1> {
  static HWY_INLINE Real run(Real x) { return x; }
};

// --- Integers: results saturate ---

struct IntNeg : BodyOf<1> {
  static HWY_INLINE Real run(Real x) {
    const Int a = as_int(x), least = whole(INT32_MIN);
    return as_real(hn::IfThenElse(hn::Eq(a, least), whole(INT32_MAX), hn::Neg(a)));
  }
};
struct IntAdd : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return as_real(added(as_int(a), as_int(b))); }
};
struct IntMax : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return as_real(hn::Max(as_int(a), as_int(b))); }
};
struct IntMin : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return as_real(hn::Min(as_int(a), as_int(b))); }
};
struct IntLess : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return truth(hn::Lt(as_int(a), as_int(b))); }
};
struct IntEqual : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return truth(hn::Eq(as_int(a), as_int(b))); }
};
struct WordNeg : BodyOf<1> {
  static HWY_INLINE Real run(Real) { return hn::Zero(real_tag); }
};
struct WordAdd : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return as_real(added(as_word(a), as_word(b))); }
};
struct WordMax : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return as_real(hn::Max(as_word(a), as_word(b))); }
};
struct WordMin : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return as_real(hn::Min(as_word(a), as_word(b))); }
};
struct WordLess : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real b) { return truth(hn::Lt(as_word(a), as_word(b))); }
};

// Products of integers are rare: one by one, in 64 bits.
template <class Integer>
void integer_mul(const TileOp& op, const TileFrame& frame) {
  const float *a = frame.reg[op.in[0]], *b = frame.reg[op.in[1]];
  float* out = frame.reg[op.out];
  using Wide = std::conditional_t<std::is_signed_v<Integer>, int64_t, uint64_t>;
  constexpr Wide low = std::numeric_limits<Integer>::min(), high = std::numeric_limits<Integer>::max();
  for (int64_t i = 0; i < frame.lanes[static_cast<size_t>(op.lanes)]; ++i) {
    const Wide x = std::bit_cast<Integer>(a[i * op.step[0]]), y = std::bit_cast<Integer>(b[i * op.step[1]]);
    out[i] = std::bit_cast<float>(static_cast<Integer>(std::clamp(x * y, low, high)));
  }
}

// --- Casts ---

struct RealToInt : BodyOf<1> {
  static HWY_INLINE Real run(Real x) { return as_real(hn::ConvertTo(int_tag, hn::IfThenElseZero(hn::Eq(x, x), x))); }
};
struct RealToWord : BodyOf<1> {
  static HWY_INLINE Real run(Real x) {
    const Real positive = hn::IfThenElseZero(hn::Gt(x, number(0)), x), half = number(0x1p31f);
    const RealMask large = hn::Ge(positive, half);
    const Int low = hn::ConvertTo(int_tag, hn::Sub(positive, hn::IfThenElseZero(large, half)));
    return hn::Xor(as_real(low), hn::IfThenElseZero(large, as_real(word(0x80000000))));
  }
};
struct RealToByte : BodyOf<1> {
  static HWY_INLINE Real run(Real x) {
    const Real positive = hn::IfThenElseZero(hn::Gt(x, number(0)), x);
    return as_real(hn::ConvertTo(int_tag, at_most(positive, 255)));
  }
};
struct RealToBool : BodyOf<1> {
  static HWY_INLINE Real run(Real x) { return hn::IfThenElse(hn::Eq(x, number(0)), number(0), as_real(whole(1))); }
};
struct IntToReal : BodyOf<1> {
  static HWY_INLINE Real run(Real x) { return hn::ConvertTo(real_tag, as_int(x)); }
};
struct IntToWord : BodyOf<1> {
  static HWY_INLINE Real run(Real x) { return as_real(hn::Max(as_int(x), whole(0))); }
};
struct IntToByte : BodyOf<1> {
  static HWY_INLINE Real run(Real x) { return as_real(hn::Min(hn::Max(as_int(x), whole(0)), whole(255))); }
};
struct IntToBool : BodyOf<1> {
  static HWY_INLINE Real run(Real x) { return truth(hn::Ne(as_int(x), whole(0))); }
};
struct WordToReal : BodyOf<1> {
  // The upper half times 2^16 is exact, so that only the sum rounds.
  static HWY_INLINE Real run(Real x) {
    const Int high = hn::BitCast(int_tag, hn::ShiftRight<16>(as_word(x)));
    const Int low = hn::And(as_int(x), whole(0xffff));
    return hn::Add(hn::Mul(hn::ConvertTo(real_tag, high), number(65536)), hn::ConvertTo(real_tag, low));
  }
};
struct WordToInt : BodyOf<1> {
  static HWY_INLINE Real run(Real x) { return as_real(hn::Min(as_word(x), word(0x7fffffff))); }
};
struct WordToByte : BodyOf<1> {
  static HWY_INLINE Real run(Real x) { return as_real(hn::Min(as_word(x), word(255))); }
};

// --- Joined instructions ---

template <Inner op>
HWY_INLINE Real inner(Real a, Real b) {
  if constexpr (op == Inner::add) return hn::Add(a, b);
  if constexpr (op == Inner::sub) return hn::Sub(a, b);
  if constexpr (op == Inner::mul) return hn::Mul(a, b);
  if constexpr (op == Inner::div) return divided(a, b);
}

template <Outer op>
HWY_INLINE Real outer(Real x, Real c) {
  if constexpr (op == Outer::add) return hn::Add(x, c);
  if constexpr (op == Outer::sub) return hn::Sub(x, c);
  if constexpr (op == Outer::rsub) return hn::Sub(c, x);
  if constexpr (op == Outer::mul) return hn::Mul(x, c);
  if constexpr (op == Outer::div) return divided(x, c);
  if constexpr (op == Outer::rdiv) return divided(c, x);
}

template <Inner first, Outer second>
struct Pair : BodyOf<3> {
  static HWY_INLINE Real run(Real a, Real b, Real c) { return outer<second>(inner<first>(a, b), c); }
};
template <Outer second>
struct RootPair : BodyOf<2> {
  static HWY_INLINE Real run(Real a, Real c) { return outer<second>(root(a), c); }
};
template <Inner first>
struct ExpOf : BodyOf<2, 2> {
  static HWY_INLINE Real run(Real a, Real b) { return exp_of(inner<first>(a, b)); }
};
template <Inner left, Inner middle, Inner right>
struct Both : BodyOf<4, 2> {
  static HWY_INLINE Real run(Real a, Real b, Real c, Real d) {
    return inner<middle>(inner<left>(a, b), inner<right>(c, d));
  }
};

template <class Compare>
struct Select : BodyOf<4> {
  static HWY_INLINE Real run(Real a, Real b, Real yes, Real no) {
    return hn::IfThenElse(real_mask(Compare::run(a, b)), yes, no);
  }
};
struct RealIsLess {
  static HWY_INLINE RealMask run(Real a, Real b) { return hn::Lt(a, b); }
};
struct RealIsEqual {
  static HWY_INLINE RealMask run(Real a, Real b) { return hn::Eq(a, b); }
};
struct IntIsLess {
  static HWY_INLINE auto run(Real a, Real b) { return hn::Lt(as_int(a), as_int(b)); }
};
struct IntIsEqual {
  static HWY_INLINE auto run(Real a, Real b) { return hn::Eq(as_int(a), as_int(b)); }
};
struct WordIsLess {
  static HWY_INLINE auto run(Real a, Real b) { return hn::Lt(as_word(a), as_word(b)); }
};

// --- The table ---

template <template <class> class Rounded>
void fill_reals(TileRoutine* to) {
  const TileRoutine all[] = {&routine<Rounded<RealNeg>>,
                             &routine<Rounded<RealExp>>,
                             &routine<Rounded<RealLog>>,
                             &routine<Rounded<RealSqrt>>,
                             &routine<Rounded<RealSin>>,
                             &routine<Rounded<RealCos>>,
                             &routine<Rounded<RealTanh>>,
                             &routine<Rounded<RealErf>>,
                             &routine<Rounded<RealXErfSlope>>,
                             &routine<Rounded<RealRoundedGelu>>,
                             &routine<Rounded<RealRoundedGeluSlope>>,
                             &routine<Rounded<RealFloor>>,
                             &routine<Rounded<RealAdd>>,
                             &routine<Rounded<RealSub>>,
                             &routine<Rounded<RealMul>>,
                             &routine<Rounded<RealDiv>>,
                             &routine<Rounded<RealMax>>,
                             &routine<Rounded<RealMin>>,
                             &routine<Rounded<RealPow>>};
  std::copy(std::begin(all), std::end(all), to);
}
template <class Body>
using Unrounded = Body;

TileRoutine& at(TileRoutine* table, Arith op) { return table[static_cast<size_t>(op)]; }

void fill_integers(TileTable& table) {
  TileRoutine* ints = table.arith[static_cast<size_t>(LaneType::i32)];
  at(ints, Arith::neg) = &routine<IntNeg>;
  at(ints, Arith::add) = &routine<IntAdd>;
  at(ints, Arith::mul) = &integer_mul<int32_t>;
  at(ints, Arith::max) = &routine<IntMax>;
  at(ints, Arith::min) = &routine<IntMin>;
  at(ints, Arith::less) = &routine<IntLess>;
  at(ints, Arith::equal) = &routine<IntEqual>;
  at(ints, Arith::where) = &routine<Where>;
  TileRoutine* words = table.arith[static_cast<size_t>(LaneType::u32)];
  at(words, Arith::neg) = &routine<WordNeg>;
  at(words, Arith::add) = &routine<WordAdd>;
  at(words, Arith::mul) = &integer_mul<uint32_t>;
  at(words, Arith::max) = &routine<WordMax>;
  at(words, Arith::min) = &routine<WordMin>;
  at(words, Arith::less) = &routine<WordLess>;
  at(words, Arith::equal) = &routine<IntEqual>;
  at(words, Arith::where) = &routine<Where>;
}

template <class ToReal, class ToInt, class ToWord, class ToByte, class ToBool>
void fill_casts(TileRoutine* to) {
  to[static_cast<size_t>(DType::f32)] = &routine<ToReal>;
  to[static_cast<size_t>(DType::bf16)] = &routine<ToBf16<ToReal>>;
  to[static_cast<size_t>(DType::f16)] = &routine<ToF16<ToReal>>;
  to[static_cast<size_t>(DType::i32)] = &routine<ToInt>;
  to[static_cast<size_t>(DType::u32)] = &routine<ToWord>;
  to[static_cast<size_t>(DType::u8)] = &routine<ToByte>;
  to[static_cast<size_t>(DType::boolean)] = &routine<ToBool>;
}

template <size_t first, size_t... seconds>
void fill_pairs(TileTable& table, std::index_sequence<seconds...>) {
  ((table.pair[first][seconds] = &routine<Pair<static_cast<Inner>(first), static_cast<Outer>(seconds)>>), ...);
}
template <size_t left, size_t middle, size_t... rights>
void fill_both(TileTable& table, std::index_sequence<rights...>) {
  ((table.both[left][middle][rights] =
        &routine<Both<static_cast<Inner>(left), static_cast<Inner>(middle), static_cast<Inner>(rights)>>),
   ...);
}
template <size_t left, size_t... middles>
void fill_both_left(TileTable& table, std::index_sequence<middles...>) {
  (fill_both<left, middles>(table, std::make_index_sequence<inner_count - 1>()), ...);
}
template <size_t... firsts>
void fill_inner(TileTable& table, std::index_sequence<firsts...>) {
  (fill_pairs<firsts>(table, std::make_index_sequence<outer_count>()), ...);
  ((table.exp_of[firsts] = &routine<ExpOf<static_cast<Inner>(firsts)>>), ...);
}
template <size_t... lefts>
void fill_quads(TileTable& table, std::index_sequence<lefts...>) {
  (fill_both_left<lefts>(table, std::make_index_sequence<inner_count>()), ...);
}
template <size_t... seconds>
void fill_roots(TileTable& table, std::index_sequence<seconds...>) {
  ((table.root_pair[seconds] = &routine<RootPair<static_cast<Outer>(seconds)>>), ...);
}

void fill_arith_of_target(TileTable& table) {
  TileRoutine* reals = table.arith[static_cast<size_t>(LaneType::real)];
  fill_reals<Unrounded>(reals);
  fill_reals<ToBf16>(table.arith_bf16);
  at(reals, Arith::less) = &routine<RealLess>;
  at(reals, Arith::equal) = &routine<RealEqual>;
  at(reals, Arith::where) = at(table.arith_bf16, Arith::where) = &routine<Where>;
  fill_integers(table);
  fill_casts<Same, RealToInt, RealToWord, RealToByte, RealToBool>(table.cast[static_cast<size_t>(LaneType::real)]);
  fill_casts<IntToReal, Same, IntToWord, IntToByte, IntToBool>(table.cast[static_cast<size_t>(LaneType::i32)]);
  fill_casts<WordToReal, WordToInt, Same, WordToByte, IntToBool>(table.cast[static_cast<size_t>(LaneType::u32)]);
  fill_inner(table, std::make_index_sequence<inner_count>());
  fill_quads(table, std::make_index_sequence<inner_count - 1>());  // of quotients only their outer operation
  fill_roots(table, std::make_index_sequence<outer_count>());
  const TileRoutine less[] = {&routine<Select<RealIsLess>>, &routine<Select<IntIsLess>>, &routine<Select<WordIsLess>>};
  const TileRoutine equal[] = {&routine<Select<RealIsEqual>>, &routine<Select<IntIsEqual>>,
                               &routine<Select<IntIsEqual>>};
  std::copy(std::begin(less), std::end(less), table.select_less);
  std::copy(std::begin(equal), std::end(equal), table.select_equal);
}

}  // namespace
}  // namespace descent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::cpu {

HWY_EXPORT(fill_arith_of_target);
void fill_arith(TileTable& table) { HWY_DYNAMIC_DISPATCH(fill_arith_of_target)(table); }

}  // namespace descent::cpu
#endif
