// What the routines of all targets share: lanes seen as numbers of either kind, rounding, and the loop over a register.
#if defined(DESCENT_BACKEND_CPU_TILE_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_BACKEND_CPU_TILE_LANES_INL_H_
#undef DESCENT_BACKEND_CPU_TILE_LANES_INL_H_
#else
#define DESCENT_BACKEND_CPU_TILE_LANES_INL_H_
#endif

#include <bit>
#include <cstring>
#include <utility>

#include "descent/backend/cpu/tile_code.h"
#include "descent/backend/cpu/tile_math-inl.h"

// One lane a vector, or four emulated ones: no vector instructions are named in the source.
#undef DESCENT_PLAIN_TARGET
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
#define DESCENT_PLAIN_TARGET 1
#else
#define DESCENT_PLAIN_TARGET 0
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::cpu::HWY_NAMESPACE {

HWY_INLINE Int as_int(Real x) { return hn::BitCast(int_tag, x); }
HWY_INLINE Word as_word(Real x) { return hn::BitCast(word_tag, x); }
HWY_INLINE Real as_real(Int x) { return hn::BitCast(real_tag, x); }
HWY_INLINE Real as_real(Word x) { return hn::BitCast(real_tag, x); }
HWY_INLINE Int whole(int32_t value) { return hn::Set(int_tag, value); }
HWY_INLINE Word word(uint32_t value) { return hn::Set(word_tag, value); }

HWY_INLINE Real load_lanes(const float* from) { return hn::LoadU(real_tag, from); }
HWY_INLINE void store_lanes(Real x, float* to) { hn::StoreU(x, real_tag, to); }
HWY_INLINE size_t lanes_per_vector() { return hn::Lanes(real_tag); }

template <class Mask>
HWY_INLINE RealMask real_mask(Mask mask) {
  return hn::RebindMask(real_tag, mask);
}
template <class Mask>
HWY_INLINE Real truth(Mask mask) {
  return hn::IfThenElseZero(real_mask(mask), as_real(whole(1)));
}

// Maxima and minima as the ops define them: a NaN in either place stays, and of equal numbers (0 and -0) the second.
HWY_INLINE Real larger(Real a, Real b) {
#if DESCENT_PLAIN_TARGET
  const Real of_two = hn::IfThenElse(hn::Gt(a, b), a, b);
#else
  const Real of_two = hn::Max(a, b);  // x86: the second unless the first is larger
#endif
  return hn::IfThenElse(hn::IsNaN(a), a, of_two);
}
HWY_INLINE Real smaller(Real a, Real b) {
#if DESCENT_PLAIN_TARGET
  const Real of_two = hn::IfThenElse(hn::Lt(a, b), a, b);
#else
  const Real of_two = hn::Min(a, b);
#endif
  return hn::IfThenElse(hn::IsNaN(a), a, of_two);
}

// Sums that stay at the ends of the range.
HWY_INLINE Int added(Int a, Int b) {
  const Int sum = hn::Add(a, b), end = hn::Xor(hn::ShiftRight<31>(a), whole(0x7fffffff));
  return hn::IfThenElse(hn::Lt(hn::And(hn::Xor(a, sum), hn::Xor(b, sum)), whole(0)), end, sum);
}
HWY_INLINE Word added(Word a, Word b) {
  const Word sum = hn::Add(a, b);
  return hn::IfThenElse(hn::Lt(sum, a), word(0xffffffff), sum);
}

// The f32 bits of x rounded to bf16, in the upper halves; numbers below the normal range become zeros, as the
// processor's own instruction has it, so that every target gives the same bits.
HWY_INLINE Word bf16_bits(Real x) {
  const Word bits = as_word(x), magnitude = hn::And(bits, word(0x7fffffff));
  const Word last = hn::And(hn::ShiftRight<16>(bits), word(1));
  const Word near = hn::Add(bits, hn::Add(last, word(0x7fff)));
  const Word quiet = hn::Or(bits, word(0x400000)), zero = hn::And(bits, word(0x80000000));
  const Word number_or_nan = hn::IfThenElse(hn::Gt(magnitude, word(0x7f800000)), quiet, near);
  const Word all = hn::IfThenElse(hn::Lt(magnitude, word(0x800000)), zero, number_or_nan);
  return hn::And(all, word(0xffff0000));
}
HWY_INLINE Real rounded_to_bf16(Real x) { return as_real(bf16_bits(x)); }

HWY_INLINE Real rounded_to_f16(Real x) {
#if DESCENT_PLAIN_TARGET
  HWY_ALIGN float lanes[16];
  hn::Store(x, real_tag, lanes);
  for (size_t i = 0; i < lanes_per_vector(); ++i) lanes[i] = float_from_f16(f16_from_float(lanes[i]));
  return hn::Load(real_tag, lanes);
#else
  const hn::Rebind<hwy::float16_t, RealTag> half;
  return hn::PromoteTo(real_tag, hn::DemoteTo(half, x));
#endif
}

// Runs Body::run over all lanes of the operands, `unroll` vectors at a time so that independent ones overlap. The
// result may be one of the operands.
template <class Body, size_t... inputs>
HWY_INLINE void sweep(const TileOp& op, const TileFrame& frame, std::index_sequence<inputs...>) {
  const size_t n = lanes_per_vector();
  float* out = frame.reg[op.out];
  const float* in[] = {frame.reg[op.in[inputs]]...};
  const size_t step[] = {op.step[inputs] * n...};
  size_t left = static_cast<size_t>(frame.lanes[static_cast<size_t>(op.lanes)]);
  if constexpr (Body::unroll == 4) {
    for (; left >= 4 * n; left -= 4 * n, out += 4 * n) {
      const Real r0 = Body::run(load_lanes(in[inputs])...);
      const Real r1 = Body::run(load_lanes(in[inputs] + step[inputs])...);
      const Real r2 = Body::run(load_lanes(in[inputs] + 2 * step[inputs])...);
      const Real r3 = Body::run(load_lanes(in[inputs] + 3 * step[inputs])...);
      store_lanes(r0, out);
      store_lanes(r1, out + n);
      store_lanes(r2, out + 2 * n);
      store_lanes(r3, out + 3 * n);
      ((in[inputs] += 4 * step[inputs]), ...);
    }
  } else if constexpr (Body::unroll == 2) {
    for (; left >= 2 * n; left -= 2 * n, out += 2 * n) {
      const Real r0 = Body::run(load_lanes(in[inputs])...);
      const Real r1 = Body::run(load_lanes(in[inputs] + step[inputs])...);
      store_lanes(r0, out);
      store_lanes(r1, out + n);
      ((in[inputs] += 2 * step[inputs]), ...);
    }
  }
  for (; left > 0; left -= n, out += n) {
    store_lanes(Body::run(load_lanes(in[inputs])...), out);
    ((in[inputs] += step[inputs]), ...);
  }
}

template <class Body>
void routine(const TileOp& op, const TileFrame& frame) {
  sweep<Body>(op, frame, std::make_index_sequence<Body::inputs>());
}

// The shape of a body: how many arguments it takes, and how many of it fit the vector registers at once.
template <size_t arguments, int vectors = 4>
struct BodyOf {
  static constexpr size_t inputs = arguments;
  static constexpr int unroll = vectors;
};

}  // namespace descent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
