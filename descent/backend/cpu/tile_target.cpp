#include "descent/backend/cpu/tile_targets.h"

#include <hwy/targets.h>

#include "descent/backend/cpu/native_loop.h"
#include "descent/backend/cpu/processor.h"
#include "descent/backend/cpu/tile_code.h"
#include "descent/backend/cpu/tile_machine.h"

namespace descent::cpu {

namespace {

constexpr std::string_view with_bf16 = "+BF16", with_code = "+CODE";
constexpr int64_t wide_targets = HWY_AVX3 | HWY_AVX3_DL;

// What processor and program have in common, best first. (Highway's own answer depends on what was chosen last, and on
// what looking at the processor has hidden from it.)
const std::vector<int64_t>& common_targets() {
  static const std::vector<int64_t> all = [] {
    processor();
    return hwy::SupportedAndGeneratedTargets();
  }();
  return all;
}

// What is used of a target beyond its vectors, where the processor has it.
struct Choice {
  int64_t target;
  bool bf16 = false, code = false;
  std::string name() const { return text(hwy::TargetName(target), bf16 ? with_bf16 : "", code ? with_code : ""); }
};

// Best first.
std::vector<Choice> choices() {
  std::vector<Choice> all;
  TileTable unused;
  for (const int64_t target : common_targets()) {
    const bool bf16 = (target & wide_targets) != 0 && fill_bf16(unused);
    if (bf16 && has_native_loops()) all.push_back({target, true, true});
    if (bf16) all.push_back({target, true});
    all.push_back({target});
  }
  return all;
}

struct Active {
  Choice choice;
  TileTable table;

  explicit Active(const Choice& chosen) : choice(chosen) {
    fill_arith(table);
    fill_memory(table);
    fill_reduce(table);
    if (choice.bf16) fill_bf16(table);
    table.native_loops = choice.code;
  }
};

Active& active() {
  static Active chosen(choices()[0]);
  return chosen;
}

}  // namespace

const TileTable& tile_table() { return active().table; }

std::string tile_target() { return active().choice.name(); }

std::vector<std::string> tile_targets() {
  std::vector<std::string> names;
  for (const Choice& choice : choices()) names.push_back(choice.name());
  return names;
}

void set_tile_target(const std::string& name) {
  for (const Choice& choice : choices()) {
    if (name != choice.name()) continue;
    hwy::SetSupportedTargetsForTest(choice.target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    active() = Active(choice);
    return;
  }
  const std::vector<std::string> names = tile_targets();
  fail(text("this processor and program have no vector target '", name, "', but ", join(names, ", ")));
}

}  // namespace descent::cpu
