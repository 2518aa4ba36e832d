// What a program only moves: `descent inspect RECIPE --after layout`.
#include "descent/compile/lower.h"

namespace descent {

namespace {

// The load whose value a store writes unchanged but for its type; null if the value is computed.
const Instr* moved(const LoopKernel& kernel, const Instr& store) {
  const Instr* from = &kernel.body[static_cast<size_t>(store.args[0])];
  while (from->op == LoopOp::scalar && from->scalar == ScalarOp::cast)
    from = &kernel.body[static_cast<size_t>(from->args[0])];
  return from->op == LoopOp::load && from->level == store.level ? from : nullptr;
}

int64_t bytes_of(const View& view) { return view.elements() * static_cast<int64_t>(size_of(view.dtype)); }

}  // namespace

std::string layout_text(const Program& program) {
  std::string out;
  int64_t total = 0;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const auto* loop = std::get_if<LoopStep>(&program.steps[i].work);
    if (loop == nullptr) continue;
    for (const LoopKernel& kernel : loop->kernels)
      for (const Instr& instr : kernel.body) {
        if (instr.op != LoopOp::store) continue;
        const Instr* load = moved(kernel, instr);
        if (load == nullptr) continue;
        const View &from = kernel.views[static_cast<size_t>(load->view)],
                   &to = kernel.views[static_cast<size_t>(instr.view)];
        const bool reordered = !from.dense() || !to.dense();
        if (!reordered && from.dtype != to.dtype) continue;  // a change of type alone
        const int64_t bytes = bytes_of(from) + bytes_of(to);
        total += bytes;
        out += text("step ", i, " (", program.steps[i].label, "): ", reordered ? "reorders " : "copies ", to_text(from),
                    " to ", to_text(to), ", ", bytes, " bytes read and written\n");
      }
  }
  if (out.empty()) return "nothing is copied or brought into another order between kernels\n";
  return out + text("in all ", total, " bytes a step\n");
}

}  // namespace descent
