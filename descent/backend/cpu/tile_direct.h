// Registers that are memory: what tiles load as it lies, or store as it is computed, needs no copying.
#pragma once

#include "descent/backend/cpu/tile_plan.h"

namespace descent::cpu {

struct DirectRegister {
  int access;  // the load, or the store, that vanishes
  int value;   // whose register is the memory that the access shows
};

// Those of the nodes of `order`, in the order that tiles compute them in. They hold in tiles of whole lane groups.
std::vector<DirectRegister> direct_registers(const TilePlan& plan, const BufferPlaces& places,
                                             const std::vector<int>& order);

}  // namespace descent::cpu
