// Random bits in native loops: those of the tile machine, word for word.
#include "descent/backend/cpu/native_writer.h"

#if defined(__x86_64__)

namespace descent::cpu {

namespace {

// Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.
constexpr int rounds = 10;
constexpr uint32_t m0 = 0xD2511F53, m1 = 0xCD9E8D57, w0 = 0x9E3779B9, w1 = 0xBB67AE85;

// Four counters at a time have four lanes each; a is for the first of them, c for the third.
constexpr std::array<uint32_t, 16> in_each_counter(uint32_t a, uint32_t c) {
  return {a, 0, c, 0, a, 0, c, 0, a, 0, c, 0, a, 0, c, 0};
}

}  // namespace

bool NativeWriter::has_plain_source(int id) const {
  return view(id).contiguous() && body_.views[static_cast<size_t>(node(id).view2)].contiguous();
}

void NativeWriter::write_random_source(int id, const Xbyak::Address& keys, const Xbyak::Address& counters) {
  const Xbyak::Xmm x(0);
  const Zmm all(0);
  const auto find_words = [&](const TileView& source) {
    mov(whole_, source.offset * 4);
    add(whole_, ptr[addresses_ + static_cast<int>(source.buffer * sizeof(std::byte*))]);
  };
  find_words(view(id));
  vpmovzxdq(x, ptr[whole_]);  // key 0, 0, key 1, 0
  vshufi32x4(all, all, all, 0);
  vmovaps(keys, all);
  find_words(body_.views[static_cast<size_t>(node(id).view2)]);
  vmovq(x, ptr[whole_]);
  vpslldq(x, x, 8);
  mov(whole_.cvt32(), node(id).bits);
  vpinsrd(x, x, whole_.cvt32(), 1);  // 0, stream, counter 0, counter 1
  vshufi32x4(all, all, all, 0);
  vpaddd(all, all, lanes({0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0}));
  vmovaps(counters, all);
}

// A round makes (a, b, c, d) to (high of m1 c ^ b ^ key 0, low of m1 c, high of m0 a ^ d ^ key 1, low of m0 a).
void NativeWriter::write_random_bits(const Zmm& to, const Xbyak::Address& keys, const Xbyak::Address& counters) {
  const Zmm product = temporary(), key = temporary();
  mov(ahead_.cvt32(), 0x1111);
  kmovw(test_, ahead_.cvt32());
  vpbroadcastd(to | test_ | T_z, whole_.cvt32());
  vpaddd(to, to, counters);
  vmovaps(key, keys);
  for (int round = 0; round < rounds; ++round) {
    if (round > 0) vpaddd(key, key, lanes(in_each_counter(w0, w1)));
    vpmuludq(product, to, lanes(in_each_counter(m0, m1)));
    vpsrlq(to, to, 32);
    vpshufd(product, product, 0x1b);
    vpternlogd(to, product, key, 0x96);  // all three, by exclusive or
  }
}

}  // namespace descent::cpu
#endif
