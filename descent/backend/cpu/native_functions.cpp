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

// Sixteen of a table's numbers.
Xbyak::Address NativeWriter::half_table(const float* numbers) {
  Words words;
  for (size_t i = 0; i < words.size(); ++i) words[i] = std::bit_cast<uint32_t>(numbers[i]);
  return lanes(words);
}

// One of 32 numbers for each lane.
void NativeWriter::look_up(const Zmm& to, const Zmm& index, const float* numbers) {
  const auto first = held_.find(numbers), second = held_.find(numbers + lane_group);
  const bool first_held = first != held_.end();
  first_held ? vmovaps(to, index) : vmovaps(to, half_table(numbers));
  const auto look = [&](const Xbyak::Operand& last) {
    first_held ? vpermi2ps(to, Zmm(first->second), last) : vpermt2ps(to, index, last);
  };
  second != held_.end() ? look(Zmm(second->second)) : look(half_table(numbers + lane_group));
}

// Tables that the loop looks up, in registers, as far as these go: loads would hold up everything else.
void NativeWriter::hold_tables(int most) {
  std::vector<const float*> tables;
  const auto add = [&](const float(*rows)[piece_count], int count) {
    for (int i = 0; i < count; ++i) tables.push_back(rows[i]);
  };
  for (const int id : loop_) {
    const std::optional<Arith>& of = node(id).arith;
    if (of == Arith::rounded_gelu || of == Arith::rounded_gelu_slope) add(gelu_coefficients, gelu_degree + 1);
    if (of == Arith::erf || of == Arith::x_erf_slope) add(erf_pieces.coefficients, erf_pieces.degree + 1);
    if (of == Arith::tanh) add(tanh_pieces.coefficients, tanh_pieces.degree + 1);
  }
  for (const float* table : tables)
    for (const float* half : {table, table + lane_group})
      if (most > 0 && !held_.contains(half)) {
        --most;
        vmovaps(Zmm(held_[half] = take()), half_table(half));
      }
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

void NativeWriter::write_rounded_gelus(const Zmm& gelu, const Zmm* slope, const Zmm& x) {
  const Zmm piece = temporary(), next = temporary();
  constexpr int least_size = 2;  // and x's sign
  vrangeps(next, x, each((gelu_middle - 1) * gelu_step), least_size);
  spread(piece, whole_in_last_bits + gelu_middle);
  vfmadd231ps(piece, next, each(1 / gelu_step));
  look_up(gelu, piece, gelu_coefficients[gelu_degree]);
  if (slope != nullptr) vmovaps(*slope, gelu);
  for (int i = gelu_degree - 1; i >= 0; --i) {
    look_up(next, piece, gelu_coefficients[i]);
    vfmadd213ps(gelu, x, next);
    if (slope != nullptr && i > 0) vfmadd213ps(*slope, x, gelu);
  }
}

// A function and its slope, of the same number, are made at once: where in the loop the other one is, else -1.
int NativeWriter::twin(size_t at) const {
  constexpr std::pair<Arith, Arith> pairs[] = {{Arith::erf, Arith::x_erf_slope},
                                               {Arith::rounded_gelu, Arith::rounded_gelu_slope}};
  const TileNode& of = node(loop_[at]);
  for (const auto& [function, slope] : pairs) {
    if (of.arith != function && of.arith != slope) continue;
    const Arith other = of.arith == function ? slope : function;
    const auto found =
        std::ranges::find_if(loop_, [&](int id) { return node(id).arith == other && node(id).in == of.in; });
    return found == loop_.end() ? -1 : static_cast<int>(found - loop_.begin());
  }
  return -1;
}

void NativeWriter::write_twins(int id, int other, int made) {
  const Zmm x = get(node(id).in[0]), one(made), two(place_of(other) = take());
  const bool first = node(id).arith == Arith::erf || node(id).arith == Arith::rounded_gelu;
  const Zmm &function = first ? one : two, &slope = first ? two : one;
  const bool erf = node(id).arith == Arith::erf || node(other).arith == Arith::erf;
  erf ? write_erfs(function, slope, x) : write_rounded_gelus(function, &slope, x);
  if (wants_rounding(id)) round(one, one);
  if (wants_rounding(other)) round(two, two);
}

}  // namespace descent::cpu
#endif
