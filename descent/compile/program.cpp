#include "descent/compile/program.h"

#include <algorithm>
#include <array>

namespace descent {

namespace {

constexpr std::array<std::string_view, 22> scalar_names{
    "neg",   "exp",  "log", "sqrt", "sin", "cos", "tanh", "erf", "x_erf_slope", "rounded_gelu", "rounded_gelu_slope",
    "floor", "cast", "add", "mul",  "div", "max", "min",  "pow", "less",        "equal",        "where"};
constexpr std::array<std::string_view, 10> loop_names{"load",   "store",  "constant", "iota", "random_bits",
                                                      "scalar", "spread", "sum",      "max",  "argmax"};
constexpr std::array<std::string_view, 3> level_names{"", ".row", ".column"};

std::string_view name_of(const Instr& instr) {
  return instr.op == LoopOp::scalar ? scalar_names[static_cast<size_t>(instr.scalar)]
                                    : loop_names[static_cast<size_t>(instr.op)];
}

std::string detail_of(const Instr& instr, const LoopKernel& kernel) {
  std::string out;
  for (const int32_t arg : instr.args)
    if (arg >= 0) out += text(out.empty() ? "r" : ", r", arg);
  if (instr.op == LoopOp::constant) out += number_text(instr.number);
  if (instr.op == LoopOp::iota) out += text("/", instr.inner, " %", instr.size);
  if (instr.op == LoopOp::random_bits)
    out += text("stream ", instr.stream, " ", kernel.views[instr.view], " ", kernel.views[instr.view2]);
  else if (instr.view >= 0)
    out += text(instr.op == LoopOp::store ? " -> " : "", kernel.views[instr.view]);
  return out;
}

std::string list_text(const std::vector<int64_t>& values) {
  std::string out;
  for (const int64_t value : values) out += text(out.empty() ? "" : ",", value);
  return out;
}

}  // namespace

std::string to_text(const View& view) {
  std::string out = text("b", view.buffer, ":", view.dtype, "[", list_text(view.sizes), "]");
  if (!view.dense()) out += text(" strides [", list_text(view.strides), "]");
  if (view.offset != 0) out += text(" from ", view.offset);
  return out;
}

std::string to_text(const LoopKernel& kernel) {
  std::string out = text("    over ", kernel.rows, " x ", kernel.columns, "\n");
  for (size_t i = 0; i < kernel.body.size(); ++i) {
    const Instr& instr = kernel.body[i];
    const std::string result = instr.op == LoopOp::store ? "" : text("r", i, " = ");
    out += text("      ", result, name_of(instr), level_names[static_cast<size_t>(instr.level)], ".", instr.dtype, " ",
                detail_of(instr, kernel), "\n");
  }
  return out;
}

namespace {

std::string work_text(const LoopStep& step) {
  std::string out = text("loop, ", step.kernels.size(), step.kernels.size() == 1 ? " kernel\n" : " kernels\n");
  for (const LoopKernel& kernel : step.kernels) out += to_text(kernel);
  return out;
}

std::string work_text(const CallStep& step) {
  std::string out = text("call ", step.what, " {", step.attrs, "}\n");
  for (const View& view : step.reads) out += text("      reads ", view, "\n");
  for (const View& view : step.writes) out += text("      writes ", view, "\n");
  if (step.epilogue) out += text("    and with each piece of it\n", *step.epilogue);
  return out;
}

std::string role_text(const Buffer& buffer) {
  if (buffer.role == BufferRole::input) return text("input ", buffer.name);
  if (buffer.role == BufferRole::output) return text("output ", buffer.name);
  if (buffer.role == BufferRole::passing) return "passing";
  return text("at ", buffer.offset);
}

}  // namespace

std::string to_text(const Program& program) {
  std::string out = text("buffers, arena of ", program.arena_bytes, " bytes\n");
  for (size_t i = 0; i < program.buffers.size(); ++i)
    out += text("  b", i, " ", program.buffers[i].type, " ", role_text(program.buffers[i]), "\n");
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    out += text("step ", i, step.label.empty() ? "" : text(" (", step.label, ")"), ": ");
    out += std::visit([](const auto& work) { return work_text(work); }, step.work);
  }
  return out;
}

namespace {

void collect(const LoopKernel& kernel, std::vector<View>* reads, std::vector<View>* writes) {
  for (const Instr& instr : kernel.body) {
    if (instr.op == LoopOp::store) {
      if (writes) writes->push_back(kernel.views[instr.view]);
    } else if (reads) {
      if (instr.view >= 0) reads->push_back(kernel.views[instr.view]);
      if (instr.view2 >= 0) reads->push_back(kernel.views[instr.view2]);
    }
  }
}

}  // namespace

// What an epilogue reads of the product does not come from memory.
std::vector<View> reads_of(const Step& step) {
  std::vector<View> reads;
  if (const auto* call = std::get_if<CallStep>(&step.work)) {
    if (call->epilogue) collect(*call->epilogue, &reads, nullptr);
    std::erase_if(reads, [&](const View& view) { return view.buffer == call->writes[0].buffer; });
    reads.insert(reads.end(), call->reads.begin(), call->reads.end());
  } else {
    for (const LoopKernel& kernel : std::get<LoopStep>(step.work).kernels) collect(kernel, &reads, nullptr);
  }
  return reads;
}

std::vector<View> writes_of(const Step& step) {
  std::vector<View> writes;
  if (const auto* call = std::get_if<CallStep>(&step.work)) {
    if (!call->epilogue) return call->writes;
    collect(*call->epilogue, nullptr, &writes);
  } else {
    for (const LoopKernel& kernel : std::get<LoopStep>(step.work).kernels) collect(kernel, nullptr, &writes);
  }
  return writes;
}

namespace {

void check_view(const Program& program, const View& view) {
  if (view.buffer >= program.buffers.size()) fail(text("it uses buffer b", view.buffer, ", which does not exist"));
  if (view.elements() == 0) return;
  int64_t low = view.offset, high = view.offset;
  for (size_t i = 0; i < view.sizes.size(); ++i)
    (view.strides[i] < 0 ? low : high) += (view.sizes[i] - 1) * view.strides[i];
  if (low < 0 || high >= program.buffers[view.buffer].type.shape.elements())
    fail(text("the view ", view, " leaves its buffer ", program.buffers[view.buffer].type));
}

void check_kernel(const LoopKernel& kernel) {
  for (size_t i = 0; i < kernel.body.size(); ++i) {
    const Instr& instr = kernel.body[i];
    for (const int32_t arg : instr.args)
      if (arg >= static_cast<int32_t>(i)) fail(text("register r", i, " reads r", arg, ", which comes later"));
    if (instr.view < 0 || instr.op == LoopOp::random_bits) continue;
    const int64_t wanted = instr.level == Level::element ? kernel.rows * kernel.columns
                           : instr.level == Level::row   ? kernel.rows
                                                         : kernel.columns;
    if (kernel.views[instr.view].elements() != wanted)
      fail(text("r", i, " covers ", wanted, " elements, its view ", kernel.views[instr.view], " has ",
                kernel.views[instr.view].elements()));
  }
}

struct Lifetime {
  int first = -1, last = -1;
};

void check_overlaps(const Program& program, const std::vector<Lifetime>& lives) {
  for (size_t a = 0; a < lives.size(); ++a)
    for (size_t b = a + 1; b < lives.size(); ++b) {
      const Buffer &x = program.buffers[a], &y = program.buffers[b];
      if (x.role != BufferRole::temporary || y.role != BufferRole::temporary || lives[a].first < 0 ||
          lives[b].first < 0)
        continue;
      // A buffer may begin where another ends, in one step: plan_memory checked that they go element by element.
      const bool together = lives[a].first < lives[b].last && lives[b].first < lives[a].last;
      const bool overlap = x.offset < y.offset + y.type.bytes() && y.offset < x.offset + x.type.bytes();
      if (together && overlap) fail(text("temporaries b", a, " and b", b, " live at one time in one place"));
    }
}

}  // namespace

void verify(const Program& program) {
  std::vector<Lifetime> lives(program.buffers.size());
  std::vector<bool> written(program.buffers.size(), false);
  for (size_t i = 0; i < program.buffers.size(); ++i) written[i] = program.buffers[i].role == BufferRole::input;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    const auto touch = [&](BufferId buffer) {
      if (lives[buffer].first < 0) lives[buffer].first = static_cast<int>(i);
      lives[buffer].last = static_cast<int>(i);
    };
    try {
      if (const auto* loop = std::get_if<LoopStep>(&step.work))
        std::ranges::for_each(loop->kernels, check_kernel);
      else if (const auto& epilogue = std::get<CallStep>(step.work).epilogue)
        check_kernel(*epilogue);
      for (const View& view : reads_of(step)) {
        check_view(program, view);
        if (!written[view.buffer]) fail(text("it reads b", view.buffer, " before anything wrote it"));
        touch(view.buffer);
      }
      for (const View& view : writes_of(step)) {
        check_view(program, view);
        written[view.buffer] = true;
        touch(view.buffer);
      }
    } catch (const Error& error) {
      fail(text("program step ", i, " (", step.label, "): ", error.what()));
    }
  }
  check_overlaps(program, lives);
}

}  // namespace descent
