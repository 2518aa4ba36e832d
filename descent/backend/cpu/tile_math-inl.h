// Elementary functions on vectors of floats. Accurate to about 2 ulp in f32; NaN stays NaN. Compiled once a target.
#if defined(DESCENT_BACKEND_CPU_TILE_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_BACKEND_CPU_TILE_MATH_INL_H_
#undef DESCENT_BACKEND_CPU_TILE_MATH_INL_H_
#else
#define DESCENT_BACKEND_CPU_TILE_MATH_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>

#include "descent/backend/cpu/piecewise.h"

HWY_BEFORE_NAMESPACE();
namespace descent::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using RealTag = hn::ScalableTag<float>;
using IntTag = hn::ScalableTag<int32_t>;
using WordTag = hn::ScalableTag<uint32_t>;
using Real = hn::Vec<RealTag>;
using Int = hn::Vec<IntTag>;
using Word = hn::Vec<WordTag>;
using RealMask = hn::Mask<RealTag>;

constexpr RealTag real_tag;
constexpr IntTag int_tag;
constexpr WordTag word_tag;

HWY_INLINE Real number(float value) { return hn::Set(real_tag, value); }

// The limits in the order that keeps a NaN in `x`.
HWY_INLINE Real at_least(Real x, float low) { return hn::IfThenElse(hn::Lt(x, number(low)), number(low), x); }
HWY_INLINE Real at_most(Real x, float high) { return hn::IfThenElse(hn::Gt(x, number(high)), number(high), x); }

// Quotients and square roots, rounded correctly. AVX-512 takes 16 and 18 cycles for them and can do nothing else with
// the unit meanwhile; from its estimates of 14 bits, fused multiply-adds get the same bits in half the time (Markstein,
// "IA-64 and Elementary Functions", 2000, chapters 8 and 9) unless something is near the ends of the range. One
// quotient is an exception: a power of two over a mantissa of ones gets the neighbour that is 2^-24 of a unit farther.
#if HWY_TARGET == HWY_AVX3
// Lanes from 2^-b to 2^b, for positive x.
template <int b>
HWY_INLINE __mmask16 within(__m512 x) {
  const __m512i above = _mm512_sub_epi32(_mm512_castps_si512(x), _mm512_set1_epi32((127 - b) << 23));
  return _mm512_cmplt_epu32_mask(above, _mm512_set1_epi32((2 * b) << 23));
}
HWY_INLINE __mmask16 zeros(__m512 x) { return _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_EQ_OQ); }
#endif

HWY_INLINE Real divided(Real a, Real b) {
#if HWY_TARGET == HWY_AVX3
  __m512 r = _mm512_rcp14_ps(b.raw);
  r = _mm512_fmadd_ps(r, _mm512_fnmadd_ps(b.raw, r, _mm512_set1_ps(1)), r);
  const __m512 q = _mm512_mul_ps(a.raw, r);
  const __mmask16 usual = within<50>(_mm512_abs_ps(q));
  const __mmask16 good = within<50>(_mm512_abs_ps(b.raw)) & (usual | zeros(a.raw));
  if (HWY_UNLIKELY(good != 0xffff)) return hn::Div(a, b);
  return Real{_mm512_mask3_fmadd_ps(_mm512_fnmadd_ps(b.raw, q, a.raw), r, q, usual)};
#else
  return hn::Div(a, b);
#endif
}

HWY_INLINE Real root(Real x) {
#if HWY_TARGET == HWY_AVX3
  const __mmask16 usual = within<100>(x.raw);
  if (HWY_UNLIKELY((usual | zeros(x.raw)) != 0xffff)) return hn::Sqrt(x);
  const __m512 y = _mm512_maskz_rsqrt14_ps(usual, x.raw), half = _mm512_set1_ps(0.5f);
  __m512 s = _mm512_mul_ps(x.raw, y), h = _mm512_mul_ps(y, half);
  const __m512 r = _mm512_fnmadd_ps(s, h, half);
  s = _mm512_fmadd_ps(s, r, s);
  h = _mm512_fmadd_ps(h, r, h);
  return Real{_mm512_fmadd_ps(_mm512_fnmadd_ps(s, s, x.raw), h, s)};
#else
  return hn::Sqrt(x);
#endif
}

// Horner's scheme; coefficients from the constant term up.
HWY_INLINE Real polynomial(Real, float last) { return number(last); }
template <class... Rest>
HWY_INLINE Real polynomial(Real x, float first, Rest... rest) {
  return hn::MulAdd(polynomial(x, rest...), x, number(first));
}

HWY_INLINE Real power_of_two(Int exponent) {
  return hn::BitCast(real_tag, hn::ShiftLeft<23>(hn::Add(exponent, hn::Set(int_tag, 127))));
}

// x * 2^exponent (a whole number from -200 to 200), rounded once.
HWY_INLINE Real scaled(Real x, Real exponent) {
#if HWY_TARGET == HWY_AVX3
  return Real{_mm512_scalef_ps(x.raw, exponent.raw)};
#else
  const Int whole = hn::ConvertTo(int_tag, exponent), half = hn::ShiftRight<1>(whole);
  return hn::Mul(hn::Mul(x, power_of_two(half)), power_of_two(hn::Sub(whole, half)));
#endif
}

// The natural logarithm of 2 in two parts; the first has 9 bits, so that small multiples of it are exact.
constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;

// exp(x) for x from -104 to 89: a multiple of ln 2 and a rest r, e^r = 1 + r + r^2 p(r), p fitted to 3e-9.
HWY_INLINE Real exp_in_range(Real x) {
  const Real n = hn::Round(hn::Mul(x, number(1.44269504f)));
  const Real r = hn::NegMulAdd(n, number(ln2_low), hn::NegMulAdd(n, number(ln2_high), x));
  const Real p = polynomial(r, 0.5f, 0.166665182f, 0.0416664556f, 0.00836897548f, 0.00139357836f);
  return scaled(hn::Add(hn::MulAdd(hn::Mul(r, r), p, r), number(1)), n);
}

HWY_INLINE Real exp_of(Real x) {
  // At the limits the result is 0 or infinity already.
  return exp_in_range(at_most(at_least(x, -105.0f), 89.5f));
}

// log(x) = e ln 2 + log(1 + f), sqrt(1/2) <= 1 + f < sqrt(2), log(1 + f) = f - f^2 / 2 + f^3 q(f), q fitted to 8e-10.
HWY_INLINE Real log_of(Real x) {
  const RealMask tiny = hn::Lt(x, number(1.17549435e-38f));
  const Real scaled_up = hn::IfThenElse(tiny, hn::Mul(x, number(8388608.0f)), x);
  // 0x3f3504f3 are the bits of sqrt(1/2).
  const Int bits = hn::Sub(hn::BitCast(int_tag, scaled_up), hn::Set(int_tag, 0x3f3504f3));
  const Real exponent =
      hn::Sub(hn::ConvertTo(real_tag, hn::ShiftRight<23>(bits)), hn::IfThenElseZero(tiny, number(23)));
  const Int mantissa = hn::Add(hn::And(bits, hn::Set(int_tag, 0x7fffff)), hn::Set(int_tag, 0x3f3504f3));
  const Real f = hn::Sub(hn::BitCast(real_tag, mantissa), number(1)), square = hn::Mul(f, f);
  const Real q = polynomial(f, 0.333333135f, -0.250000119f, 0.20002073f, -0.166678533f, 0.142202318f, -0.124082372f,
                            0.118862644f, -0.116603866f, 0.0673248991f);
  const Real tail = hn::MulAdd(exponent, number(ln2_low), hn::Mul(hn::Mul(square, f), q));
  const Real result = hn::MulAdd(exponent, number(ln2_high), hn::Add(f, hn::NegMulAdd(number(0.5f), square, tail)));
  // 0, infinity and NaN, and negative numbers.
  const Real infinity = number(HUGE_VALF);
  const Real outside = hn::IfThenElse(hn::Lt(x, number(0)), number(NAN), x);
  const Real special = hn::IfThenElse(hn::Eq(x, number(0)), hn::Neg(infinity), outside);
  const RealMask ordinary = hn::And(hn::Gt(x, number(0)), hn::Lt(x, infinity));
  return hn::IfThenElse(ordinary, result, special);
}

// One of 32 numbers for each lane.
HWY_INLINE Real looked_up(const float* numbers, Int index) {
#if HWY_TARGET == HWY_AVX3
  return Real{_mm512_permutex2var_ps(_mm512_loadu_ps(numbers), index.raw, _mm512_loadu_ps(numbers + 16))};
#else
  return hn::GatherIndex(real_tag, numbers, index);
#endif
}

// An odd function and its slope, see piecewise.h. A NaN finds some piece, and stays NaN.
struct InPieces {
  HWY_INLINE InPieces(const Pieces& table, Real x) {
    const Real size = at_most(hn::Abs(x), table.last());
    const Real rounded = hn::MulAdd(size, number(1 / table.step), number(whole_in_last_bits));
    const Int piece = hn::And(hn::BitCast(int_tag, rounded), hn::Set(int_tag, piece_count - 1));
    const Real t = hn::Sub(size, looked_up(table.centres, piece));
    value = slope = looked_up(table.coefficients[table.degree], piece);
    for (int i = table.degree - 1; i > 0; --i) {
      value = hn::MulAdd(value, t, looked_up(table.coefficients[i], piece));
      slope = hn::MulAdd(slope, t, value);
    }
    Real constant = looked_up(table.coefficients[0], piece);
    if (table.rest != 0) constant = hn::MulAdd(t, number(table.rest), constant);
    value = hn::CopySignToAbs(hn::MulAdd(value, t, constant), x);
  }
  Real value, slope;
};

HWY_INLINE Real tanh_of(Real x) { return InPieces(tanh_pieces, x).value; }
HWY_INLINE Real erf_of(Real x) { return InPieces(erf_pieces, x).value; }

HWY_INLINE Real x_erf_slope_of(Real x) {
  const InPieces erf(erf_pieces, x);
  return hn::MulAdd(erf.slope, x, erf.value);
}

// gelu and its slope, for results that are rounded to bf16: see piecewise.h.
struct RoundedGelu {
  HWY_INLINE explicit RoundedGelu(Real x) {
    constexpr float last = (gelu_middle - 1) * gelu_step;
    const Real near = at_most(at_least(x, -last), last);
    const Real rounded = hn::MulAdd(near, number(1 / gelu_step), number(whole_in_last_bits + gelu_middle));
    const Int piece = hn::And(hn::BitCast(int_tag, rounded), hn::Set(int_tag, piece_count - 1));
    value = slope = looked_up(gelu_coefficients[gelu_degree], piece);
    for (int i = gelu_degree - 1; i >= 0; --i) {
      value = hn::MulAdd(value, x, looked_up(gelu_coefficients[i], piece));
      if (i > 0) slope = hn::MulAdd(slope, x, value);
    }
  }
  Real value, slope;
};

// Computes again, one by one in double, the lanes where `special` holds.
template <class Function, class... Args>
HWY_NOINLINE Real repaired(Real result, RealMask special, Function function, Args... args) {
  constexpr size_t most = 16;
  HWY_ALIGN float out[most], chosen[most], in[sizeof...(Args)][most];
  hn::Store(result, real_tag, out);
  hn::Store(hn::IfThenElseZero(special, number(1)), real_tag, chosen);
  size_t index = 0;
  (hn::Store(args, real_tag, in[index++]), ...);
  for (size_t i = 0; i < hn::Lanes(real_tag); ++i) {
    if (chosen[i] == 0) continue;
    if constexpr (sizeof...(Args) == 1)
      out[i] = static_cast<float>(function(in[0][i]));
    else
      out[i] = static_cast<float>(function(in[0][i], in[1][i]));
  }
  return hn::Load(real_tag, out);
}

inline double plain_sin(double x) { return std::sin(x); }
inline double plain_cos(double x) { return std::cos(x); }
inline double plain_pow(double a, double b) { return std::pow(a, b); }

// sin(x + shift quarter turns): x less a multiple of pi / 2 that is held in three parts, exact for up to 2^13 quarters.
HWY_INLINE Real sine_shifted(Real x, int32_t shift) {
  const Real n = hn::Round(hn::Mul(x, number(0.636619772f)));
  Real r = hn::NegMulAdd(n, number(1.5703125f), x);
  r = hn::NegMulAdd(n, number(4.83751297e-4f), r);
  r = hn::NegMulAdd(n, number(7.54978942e-8f), r);
  const Real square = hn::Mul(r, r);
  const Real s = polynomial(square, -0.166666552f, 0.0083321901f, -0.000195184082f);
  const Real c = polynomial(square, 0.0416666456f, -0.00138873095f, 2.44323383e-05f);
  const Real sine = hn::MulAdd(hn::Mul(square, r), s, r);
  const Real cosine = hn::MulAdd(hn::Mul(square, square), c, hn::NegMulAdd(number(0.5f), square, number(1)));
  const Int quarter = hn::Add(hn::ConvertTo(int_tag, n), hn::Set(int_tag, shift));
  const auto odd = hn::MaskFromVec(hn::BitCast(real_tag, hn::Neg(hn::And(quarter, hn::Set(int_tag, 1)))));
  const Real sign = hn::BitCast(real_tag, hn::ShiftLeft<30>(hn::And(quarter, hn::Set(int_tag, 2))));
  return hn::Xor(hn::IfThenElse(odd, cosine, sine), sign);
}

HWY_INLINE Real sine_of(Real x, int32_t shift, double (*plain)(double)) {
  const RealMask near = hn::Lt(hn::Abs(x), number(8192.0f));
  const Real result = sine_shifted(hn::IfThenElseZero(near, x), shift);
  if (HWY_LIKELY(hn::AllTrue(real_tag, near))) return result;
  return repaired(result, hn::Not(near), plain, x);
}
HWY_INLINE Real sin_of(Real x) { return sine_of(x, 0, &plain_sin); }
HWY_INLINE Real cos_of(Real x) { return sine_of(x, 1, &plain_cos); }

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

using DoubleTag = hn::ScalableTag<double>;
using Double = hn::Vec<DoubleTag>;
constexpr DoubleTag double_tag;

HWY_INLINE Double big(double value) { return hn::Set(double_tag, value); }
HWY_INLINE Double series(Double, double last) { return big(last); }
template <class... Rest>
HWY_INLINE Double series(Double x, double first, Rest... rest) {
  return hn::MulAdd(series(x, rest...), x, big(first));
}

// a^b = 2^(b log2 a) for ordinary positive a, in double: log by the series of atanh, exp by Taylor's, both to 1e-11.
HWY_INLINE Double pow_of_doubles(Double a, Double b) {
  const hn::ScalableTag<int64_t> long_tag;
  constexpr int64_t root_half = 0x3fe6a09e667f3bcd;
  const auto bits = hn::Sub(hn::BitCast(long_tag, a), hn::Set(long_tag, root_half));
  const auto whole = hn::And(bits, hn::Set(long_tag, int64_t{-1} << 52));
  const Double m = hn::BitCast(double_tag, hn::Sub(hn::BitCast(long_tag, a), whole));
  // The exponent as a double: 2^52 + 2^51 plus a small integer has that integer in its low bits.
  const auto exponent_bits =
      hn::Add(hn::ShiftRight<20>(hn::ShiftRight<32>(whole)), hn::Set(long_tag, 0x4338000000000000));
  const Double exponent = hn::Sub(hn::BitCast(double_tag, exponent_bits), big(0x1.8p52));
  const Double z = hn::Div(hn::Sub(m, big(1)), hn::Add(m, big(1))), square = hn::Mul(z, z);
  const Double odd = series(square, 1.0, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13);
  const Double log2 = hn::MulAdd(hn::Mul(z, odd), big(2 * 1.4426950408889634), exponent);
  Double power = hn::Mul(b, log2);
  power = hn::Min(hn::Max(power, big(-200)), big(200));
  const Double n = hn::Round(power), r = hn::Mul(hn::Sub(power, n), big(0.6931471805599453));
  const Double e =
      series(r, 1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880);
  const auto n_bits = hn::BitCast(long_tag, hn::Add(n, big(0x1.8p52 + 1023)));
  return hn::Mul(e, hn::BitCast(double_tag, hn::ShiftLeft<52>(n_bits)));
}

HWY_INLINE Real pow_of_ordinary(Real a, Real b) {
  const hn::Half<RealTag> half;
  const hn::Vec<hn::Half<RealTag>> low =
      hn::DemoteTo(half, pow_of_doubles(hn::PromoteTo(double_tag, hn::LowerHalf(half, a)),
                                        hn::PromoteTo(double_tag, hn::LowerHalf(half, b))));
  const hn::Vec<hn::Half<RealTag>> high =
      hn::DemoteTo(half, pow_of_doubles(hn::PromoteTo(double_tag, hn::UpperHalf(half, a)),
                                        hn::PromoteTo(double_tag, hn::UpperHalf(half, b))));
  return hn::Combine(real_tag, high, low);
}

HWY_INLINE Real pow_of(Real a, Real b) {
  const Real infinity = number(HUGE_VALF);
  const RealMask ordinary =
      hn::And(hn::And(hn::Ge(a, number(1.17549435e-38f)), hn::Lt(a, infinity)), hn::Lt(hn::Abs(b), infinity));
  const Real result = pow_of_ordinary(hn::IfThenElse(ordinary, a, number(1)), hn::IfThenElseZero(ordinary, b));
  if (HWY_LIKELY(hn::AllTrue(real_tag, ordinary))) return result;
  return repaired(result, hn::Not(ordinary), &plain_pow, a, b);
}

#else

HWY_INLINE Real pow_of(Real a, Real b) { return repaired(a, hn::Eq(number(0), number(0)), &plain_pow, a, b); }

#endif

}  // namespace descent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
