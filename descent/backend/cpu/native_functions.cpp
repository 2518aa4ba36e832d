// The elementary functions of native loops: instruction for instruction those of tile_math-inl.h, which says how they
// come about.
#include "descent/backend/cpu/native_writer.h"
#include "descent/backend/cpu/piecewise.h"

#if defined(__x86_64__)
#include <algorithm>

namespace descent::cpu {

namespace {
constexpr uint32_t sign_bit = 0x80000000, magnitude_bits = 0x7fffffff;
}

// As in tile_math-inl.h: from an estimate, unless something is near the ends of the range. (Square roots are left to
// the processor: its divider works on them while this goes on beside it.)
void NativeWriter::write_quotient(const Zmm& to, const Zmm& a, const Zmm& b, const Zmm& r, const Zmm& t) {
  estimate_reciprocal(r, b, t);
  vmulps(to, a, r);
  is_usual(usual_, to, t);
  is_usual(test_, b, t);
  vcmpps(zero_, a, each(uint32_t{0}), 0);
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

void NativeWriter::estimate_reciprocal(const Zmm& r, const Zmm& b, const Zmm& t) {
  vrcp14ps(r, b);
  spread(t, 1);
  vfnmadd231ps(t, b, r);
  vfmadd213ps(r, t, r);
}

// The same for a dividend of 1: only the divisor can be near the ends of the range.
void NativeWriter::write_reciprocal(const Zmm& to, const Zmm& one, const Zmm& b) {
  const Zmm r = temporary();
  estimate_reciprocal(r, b, to);
  is_usual(usual_, b, to);
  kortestw(usual_, usual_);
  slow_.emplace_back(to.getIdx(), one.getIdx(), b.getIdx());
  jnc(slow_.back().begin, T_NEAR);
  vmovaps(to, one);
  vfnmadd231ps(to, b, r);
  vfmadd213ps(to, r, r);
  L(slow_.back().end);
}

bool NativeWriter::is_reciprocal(const TileNode& of) const {
  return of.arith == Arith::div && of.type == LaneType::real && node(of.in[0]).kind == Kind::constant &&
         node(of.in[0]).bits == std::bit_cast<uint32_t>(1.0f);
}

// 2^-50 to 2^50, of the magnitude.
void NativeWriter::is_usual(const Xbyak::Opmask& to, const Zmm& x, const Zmm& t) {
  constexpr uint32_t least = (127 - 50) << 23, range = 100u << 23;
  vpandd(t, x, each(uint32_t{0x7fffffff}));
  vpsubd(t, t, each(uint32_t{least}));
  vpcmpud(to, t, each(uint32_t{range}), 1);
}

// Horner's scheme; coefficients from the constant term up.
void NativeWriter::write_polynomial(const Zmm& to, const Zmm& x, std::initializer_list<float> coefficients) {
  const float* c = coefficients.end() - 1;
  spread(to, *c);
  while (c != coefficients.begin()) vfmadd213ps(to, x, each(*--c));
}

// The smaller of the two; of no number, that. (The instruction gives its second argument then.)
void NativeWriter::limit(const Zmm& to, const Zmm& x, float most) {
  spread(to, most);
  vminps(to, to, x);
}

// `x` is used up.
void NativeWriter::write_exp_in_range(const Zmm& to, const Zmm& x, const Zmm& n, const Zmm& p) {
  vmulps(n, x, each(1.44269504f));
  vrndscaleps(n, n, 8);
  vmovaps(to, x);
  vfnmadd231ps(to, n, each(0.693359375f));
  vfnmadd231ps(to, n, each(-2.12194440e-4f));
  write_polynomial(p, to, {0.5f, 0.166665182f, 0.0416664556f, 0.00836897548f, 0.00139357836f});
  vmulps(x, to, to);
  vfmadd213ps(x, p, to);
  vaddps(x, x, each(1.0f));
  vscalefps(to, x, n);
}

void NativeWriter::write_exp(const Zmm& to, const Zmm& x) {
  const Zmm inside = temporary(), n = temporary(), p = temporary();
  spread(inside, -105);
  vmaxps(inside, inside, x);
  limit(n, inside, 89.5f);
  write_exp_in_range(to, n, inside, p);
}

// One of 32 numbers for each lane.
void NativeWriter::look_up(const Zmm& to, const Zmm& index, const float* numbers) {
  Words words[2];
  for (size_t i = 0; i < 2 * lane_group; ++i)
    words[i / lane_group][i % lane_group] = std::bit_cast<uint32_t>(numbers[i]);
  vmovaps(to, lanes(words[0]));
  vpermt2ps(to, index, lanes(words[1]));
}

// The slope if there is a place for it.
void NativeWriter::write_in_pieces(const Pieces& table, const Zmm& value, const Zmm* slope, const Zmm& x) {
  const Zmm t = temporary(), piece = temporary(), next = temporary();
  vpandd(piece, x, each(magnitude_bits));
  limit(t, piece, table.last());
  spread(piece, whole_in_last_bits);
  vfmadd231ps(piece, t, each(1 / table.step));
  look_up(next, piece, table.centres);
  vsubps(t, t, next);
  look_up(value, piece, table.coefficients[table.degree]);
  if (slope != nullptr) vmovaps(*slope, value);
  for (int i = table.degree - 1; i > 0; --i) {
    look_up(next, piece, table.coefficients[i]);
    vfmadd213ps(value, t, next);
    if (slope != nullptr) vfmadd213ps(*slope, t, value);
  }
  look_up(next, piece, table.coefficients[0]);
  if (table.rest != 0) vfmadd231ps(next, t, each(table.rest));
  vfmadd213ps(value, t, next);
  vpternlogd(value, x, each(sign_bit), 0xf8);  // itself, or x and the sign
}

void NativeWriter::write_erfs(const Zmm& erf, const Zmm& x_erf_slope, const Zmm& x) {
  write_in_pieces(erf_pieces, erf, &x_erf_slope, x);
  vfmadd213ps(x_erf_slope, x, erf);
}

// erf and x_erf_slope of the same number are made at once: where in the loop the other one is, else -1.
int NativeWriter::twin(size_t at) const {
  const TileNode& of = node(loop_[at]);
  const bool erf = of.arith == Arith::erf;
  if (!erf && of.arith != Arith::x_erf_slope) return -1;
  const auto found = std::ranges::find_if(
      loop_, [&](int id) { return node(id).arith == (erf ? Arith::x_erf_slope : Arith::erf) && node(id).in == of.in; });
  return found == loop_.end() ? -1 : static_cast<int>(found - loop_.begin());
}

void NativeWriter::write_twins(int id, int other, int made) {
  const Zmm x = get(node(id).in[0]), one(made), two(place_of(other) = take());
  node(id).arith == Arith::erf ? write_erfs(one, two, x) : write_erfs(two, one, x);
  if (node(id).in_bf16) round(one, one);
  if (node(other).in_bf16) round(two, two);
}

}  // namespace descent::cpu
#endif
