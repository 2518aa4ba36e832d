#include "descent/backend/cpu/tile_targets.h"

#include <hwy/targets.h>

#include "descent/backend/cpu/tile_code.h"
#include "descent/backend/cpu/tile_machine.h"

namespace descent::cpu {

namespace {

constexpr std::string_view with_bf16 = "+BF16";
constexpr int64_t wide_targets = HWY_AVX3 | HWY_AVX3_DL;

// What processor and program have in common, best first. (Highway's own answer depends on what was chosen last.)
const std::vector<int64_t>& common_targets() {
  static const std::vector<int64_t> all = hwy::SupportedAndGeneratedTargets();
  return all;
}

struct Active {
  int64_t target;
  bool bf16;
  TileTable table;

  Active(int64_t chosen, bool use_bf16) : target(chosen) {
    fill_arith(table);
    fill_memory(table);
    fill_reduce(table);
    bf16 = use_bf16 && (target & wide_targets) != 0 && fill_bf16(table);
  }
};

Active& active() {
  static Active chosen(common_targets()[0], true);
  return chosen;
}

std::string name_of(int64_t target, bool bf16) {
  return std::string(hwy::TargetName(target)) + std::string(bf16 ? with_bf16 : "");
}

}  // namespace

const TileTable& tile_table() { return active().table; }

std::string tile_target() { return name_of(active().target, active().bf16); }

std::vector<std::string> tile_targets() {
  std::vector<std::string> names;
  TileTable unused;
  for (const int64_t target : common_targets()) {
    if ((target & wide_targets) != 0 && fill_bf16(unused)) names.push_back(name_of(target, true));
    names.push_back(name_of(target, false));
  }
  return names;
}

void set_tile_target(const std::string& name) {
  for (const int64_t target : common_targets())
    for (const bool bf16 : {false, true}) {
      if (name != name_of(target, bf16)) continue;
      hwy::SetSupportedTargetsForTest(target);
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
      active() = Active(target, bf16);
      return;
    }
  const std::vector<std::string> names = tile_targets();
  fail(text("this processor and program have no vector target '", name, "', but ", join(names, ", ")));
}

}  // namespace descent::cpu
