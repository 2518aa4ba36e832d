// The elementary functions of native loops: instruction for instruction those of tile_math-inl.h, which says how they
// come about.
#include "descent/backend/cpu/native_writer.h"

#if defined(__x86_64__)

namespace descent::cpu {

namespace {
constexpr uint32_t sign_bit = 0x80000000, magnitude_bits = 0x7fffffff;
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

void NativeWriter::copy_sign(const Zmm& to, const Zmm& sign, const Zmm& spare) {
  vpandd(to, to, each(magnitude_bits));
  vpandd(spare, sign, each(sign_bit));
  vpord(to, to, spare);
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

void NativeWriter::write_tanh(const Zmm& to, const Zmm& x) {
  const Zmm size = temporary(), low = temporary(), a = temporary(), b = temporary(), c = temporary();
  vpandd(size, x, each(magnitude_bits));
  vcmpps(near_, size, each(0.625f), 17);
  vmulps(a, x, x);
  write_polynomial(b, a, {-0.333333313f, 0.133332223f, -0.053948462f, 0.0217087492f, -0.00819508638f, 0.00215763575f});
  vmulps(low, a, x);
  vfmadd213ps(low, b, x);
  vaddps(size, size, size);
  limit(a, size, 40);
  write_exp_in_range(to, a, b, c);
  vaddps(b, to, each(1.0f));
  spread(a, 2);
  write_quotient(to, a, b, c, size);
  spread(a, 1);
  vsubps(to, a, to);
  copy_sign(to, x, a);
  vmovaps(to | near_, low);
}

void NativeWriter::write_erf(const Zmm& to, const Zmm& x) {
  const Zmm size = temporary(), low = temporary(), a = temporary(), b = temporary(), c = temporary();
  vpandd(a, x, each(magnitude_bits));
  vcmpps(near_, a, each(0.95f), 17);
  limit(size, a, 4);
  vmulps(a, x, x);
  write_polynomial(
      low, a,
      {0.128379166f, -0.376126319f, 0.112836704f, -0.0268580113f, 0.00519758044f, -0.000810359663f, 8.20586283e-05f});
  vfmadd213ps(low, x, x);
  write_polynomial(a, size,
                   {0.128504038f, 0.635752797f, 0.105216928f, -0.0228614677f, 0.00320615456f, -0.00021292681f});
  vfmadd213ps(a, size, size);
  vpxord(a, a, each(sign_bit));
  write_exp_in_range(to, a, b, c);
  spread(a, 1);
  vsubps(to, a, to);
  copy_sign(to, x, a);
  vmovaps(to | near_, low);
}

}  // namespace descent::cpu
#endif
