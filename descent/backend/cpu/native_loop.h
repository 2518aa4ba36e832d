// Loop kernels as machine code: values stay in vector registers from the loads to the stores, where the tile machine's
// go through the first-level cache between any two instructions. The results are the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "descent/backend/cpu/tile_layout.h"

namespace descent::cpu {

// A kernel whose nodes are all of elements.
class NativeLoop {
 public:
  // Writes the code of a body whose nodes are not joined yet. Null where there is something that has no instruction
  // here (logarithms, sines, powers, random bits, views that are neither dense nor one value nor one row for all), where the
  // registers do not suffice, or where the system allows no new code.
  static std::unique_ptr<const NativeLoop> make(const TileBody& body, const BufferPlaces& places);
  virtual ~NativeLoop() = default;

  // addresses[i] are the bytes of buffer i. Rows that follow are fetched ahead. The extent's rows in passing buffers
  // are `passing_pitch` elements apart; one row only if something has a value for each column.
  virtual void run(std::byte* const* addresses, const Extent& extent, int64_t passing_pitch) const = 0;
  virtual bool takes_rows() const = 0;  // several at once
};

// A kernel with a value for each column, and sums down the columns.
class NativeColumns {
 public:
  // As above. A spread register's columns are found in registers[number of the node that is spread], and what is summed
  // is added to registers[sums[number of the sum]].
  static std::unique_ptr<const NativeColumns> make(const TileBody& body, const BufferPlaces& places,
                                                   std::span<const int> sums);
  virtual ~NativeColumns() = default;

  // The extent begins at `column`; its registers begin with that column. At least one row.
  virtual void run(std::byte* const* addresses, float* const* registers, const Extent& extent,
                   int64_t column) const = 0;
};

// A kernel with values for each row, whose rows are whole.
class NativeRows {
 public:
  // There may be sums down the columns too: as above, number of the sum by node; -1: none.
  static std::unique_ptr<const NativeRows> make(const TileBody& body, const BufferPlaces& places, int64_t columns,
                                                std::span<const int> sums = {});
  virtual ~NativeRows() = default;

  // `kept` has room for kept_floats().
  virtual void run(std::byte* const* addresses, int64_t row, int64_t rows, float* kept,
                   float* const* registers = nullptr) const = 0;
  virtual int64_t kept_floats() const = 0;
};

// Whether this processor has the instructions: AVX-512 with bf16 conversions.
bool has_native_loops();

}  // namespace descent::cpu
