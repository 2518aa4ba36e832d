// Elementwise kernels as machine code: values stay in vector registers from the loads to the stores, where the tile
// machine's go through the first-level cache between any two instructions. The results are the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "descent/backend/cpu/tile_layout.h"

namespace descent::cpu {

class NativeLoop {
 public:
  // Writes the code of a kernel whose nodes are all of elements and not joined yet. Null where there is something that
  // has no instruction here (elementary functions, random bits, views that are neither dense nor one value), where the
  // registers do not suffice, or where the system allows no new code.
  static std::unique_ptr<const NativeLoop> make(const TileBody& body, const BufferPlaces& places);
  virtual ~NativeLoop() = default;

  // addresses[i] are the bytes of buffer i. Rows that follow are fetched ahead. The extent's rows in passing buffers are
  // `passing_pitch` elements apart.
  virtual void run(std::byte* const* addresses, const Extent& extent, int64_t passing_pitch) const = 0;
};

// Whether this processor has the instructions: AVX-512 with bf16 conversions.
bool has_native_loops();

}  // namespace descent::cpu
