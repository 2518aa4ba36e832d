// Which vector targets are compiled: AVX2, AVX-512 and plain C++ on x86. To be included before any Highway header.
#pragma once

#include <hwy/detect_targets.h>

#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)

namespace descent::cpu {

struct TileTable;

// Each fills its part of the table, for the target in use.
void fill_arith(TileTable& table);
void fill_memory(TileTable& table);
void fill_reduce(TileTable& table);
// The conversions that processors with AVX512-BF16 have instructions for; true if this one does.
bool fill_bf16(TileTable& table);

}  // namespace descent::cpu
