#include <algorithm>
#include <numeric>
#include <set>
#include <span>

#include "descent/compile/lower.h"
#include "descent/ops/fused_attention_gradient.h"

namespace descent {

namespace {

std::set<BufferId> buffers_in(const std::vector<View>& views) {
  std::set<BufferId> out;
  for (const View& view : views) out.insert(view.buffer);
  return out;
}

bool share(const std::set<BufferId>& a, const std::set<BufferId>& b) {
  return std::ranges::any_of(a, [&](BufferId buffer) { return b.contains(buffer); });
}

}  // namespace

void merge_launches(Program& program) {
  std::vector<Step> merged;
  std::set<BufferId> reads, writes;  // of the launch being built
  for (Step& step : program.steps) {
    const std::set<BufferId> step_reads = buffers_in(reads_of(step)), step_writes = buffers_in(writes_of(step));
    auto* into = merged.empty() ? nullptr : std::get_if<LoopStep>(&merged.back().work);
    auto* loop = std::get_if<LoopStep>(&step.work);
    const bool depends = share(step_reads, writes) || share(step_writes, writes) || share(step_writes, reads);
    if (into != nullptr && loop != nullptr && !depends) {
      std::ranges::move(loop->kernels, std::back_inserter(into->kernels));
      if (!step.label.empty() && merged.back().label != step.label)
        merged.back().label += text(merged.back().label.empty() ? "" : " ", step.label);
      reads.insert(step_reads.begin(), step_reads.end());
      writes.insert(step_writes.begin(), step_writes.end());
    } else {
      reads = step_reads;
      writes = step_writes;
      merged.push_back(std::move(step));
    }
  }
  program.steps = std::move(merged);
}

namespace {

struct Life {
  int first = -1, last = -1;
  int64_t bytes = 0;
  std::vector<BufferId> members;  // buffers that follow each other in one place
};

// The loop kernels of a step: its own, or the epilogue of its call.
std::span<const LoopKernel> kernels_of(const Step& step) {
  if (const auto* loop = std::get_if<LoopStep>(&step.work)) return loop->kernels;
  const auto& epilogue = std::get<CallStep>(step.work).epilogue;
  return epilogue ? std::span(&*epilogue, 1) : std::span<const LoopKernel>();
}

// How loop kernels use one buffer.
struct LoopUse {
  int kernels = 0;  // that touch it
  const LoopKernel* kernel = nullptr;
  bool elementwise = true;  // only whole, in order, at element level
};

LoopUse use_in(std::span<const LoopKernel> kernels, BufferId buffer) {
  LoopUse use;
  for (const LoopKernel& kernel : kernels) {
    bool touched = false;
    for (const Instr& instr : kernel.body) {
      if (instr.view < 0 || kernel.views[instr.view].buffer != buffer) {
        if (instr.view2 >= 0 && kernel.views[instr.view2].buffer == buffer) touched = true, use.elementwise = false;
        continue;
      }
      const View& view = kernel.views[instr.view];
      touched = true;
      use.elementwise &=
          instr.level == Level::element && instr.op != LoopOp::random_bits && view.offset == 0 && view.dense();
    }
    if (touched) {
      ++use.kernels;
      use.kernel = &kernel;
    }
  }
  return use;
}

// Whether a call's result lies as its first operands do, those of one array, and its kernels read what belongs to an
// element before they write it: a self-attention's gradient, head by head.
bool lies_as_operands(const CallStep& call) {
  if (call.what != FusedAttentionGradient::name) return false;
  const View& q = call.reads[0];
  const int64_t features = q.sizes[3], width = q.sizes[1] * features, row = 3 * width;
  const std::vector<int64_t> strides{q.sizes[2] * row, features, row, 1};
  for (int64_t i = 0; i < 3; ++i) {
    const View& part = call.reads[static_cast<size_t>(i)];
    if (part.buffer != q.buffer || part.offset != i * width || !std::ranges::equal(part.strides, strides)) return false;
  }
  return std::none_of(call.reads.begin() + 3, call.reads.end(), [&](const View& x) { return x.buffer == q.buffer; });
}

class MemoryPlan {
 public:
  explicit MemoryPlan(Program& program) : program_(program), life_of_(program.buffers.size(), -1) {
    for (BufferId id = 0; id < program.buffers.size(); ++id)
      if (program.buffers[id].role == BufferRole::temporary) {
        life_of_[id] = static_cast<int>(lives_.size());
        lives_.push_back({-1, -1, program.buffers[id].type.bytes(), {id}});
      }
    for (size_t i = 0; i < program.steps.size(); ++i) {
      for (const View& view : reads_of(program.steps[i])) touch(view.buffer, static_cast<int>(i));
      for (const View& view : writes_of(program.steps[i])) touch(view.buffer, static_cast<int>(i));
    }
  }

  // A value that is last read where another of its size is first written hands its place on, if one loop kernel reads
  // the one and writes the other element by element: the lines that it writes are those that it has just read. An
  // epilogue is such a kernel, unless its product reads the value too. Down columns kernels go more than once, and
  // would have to write late.
  void donate() {
    for (size_t i = 0; i < program_.steps.size(); ++i) {
      for (const BufferId target : buffers_in(writes_of(program_.steps[i]))) hand_on(static_cast<int>(i), target);
      const auto* call = std::get_if<CallStep>(&program_.steps[i].work);
      if (call != nullptr && lies_as_operands(*call)) hand_on_all(static_cast<int>(i), *call);
    }
  }

  void place() {
    std::vector<size_t> order(lives_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, std::greater<>{}, [&](size_t i) { return lives_[i].bytes; });
    std::vector<std::pair<size_t, int64_t>> placed;
    for (const size_t i : order) {
      if (lives_[i].first < 0) continue;
      const int64_t offset = place_for(lives_[i], placed);
      placed.emplace_back(i, offset);
      for (const BufferId member : lives_[i].members) program_.buffers[member].offset = offset;
      program_.arena_bytes = std::max(program_.arena_bytes, offset + padded(lives_[i].bytes));
    }
  }

 private:
  // Whole lines of a cache; behind a large value some more, an odd number of them. Else values that are gone through side
  // by side, whose sizes are powers of two as a rule, would lie in the same few places of the caches.
  static int64_t padded(int64_t bytes) {
    constexpr int64_t line = 64, large = int64_t{1} << 16, apart = 5;
    return ((bytes + line - 1) / line + (bytes >= large ? apart : 0)) * line;
  }

  void touch(BufferId buffer, int step) {
    if (life_of_[buffer] < 0) return;
    Life& life = lives_[life_of_[buffer]];
    if (life.first < 0) life.first = step;
    life.last = step;
  }

  void hand_on(int step, BufferId target) {
    const int to = life_of_[target];
    if (to < 0 || lives_[to].first != step) return;
    const std::span<const LoopKernel> kernels = kernels_of(program_.steps[step]);
    const auto* call = std::get_if<CallStep>(&program_.steps[step].work);
    const std::set<BufferId> operands = call ? buffers_in(call->reads) : std::set<BufferId>{};
    const LoopUse written = use_in(kernels, target);
    if (written.kernels != 1 || !written.elementwise || reduces_columns(*written.kernel)) return;
    for (const BufferId source : buffers_in(reads_of(program_.steps[step]))) {
      const int from = life_of_[source];
      if (from < 0 || from == to || lives_[from].last != step || lives_[from].bytes != lives_[to].bytes) continue;
      if (operands.contains(source)) continue;
      const LoopUse read = use_in(kernels, source);
      const bool same_width =
          size_of(program_.buffers[source].type.dtype) == size_of(program_.buffers[target].type.dtype);
      if (read.kernels != 1 || read.kernel != written.kernel || !read.elementwise || !same_width) continue;
      if (!read_before_written(*read.kernel, source, target)) continue;
      return join(from, to);
    }
  }

  // All operands that a call reads in one array, to its result.
  void hand_on_all(int step, const CallStep& call) {
    const int from = life_of_[call.reads[0].buffer], to = life_of_[call.writes[0].buffer];
    if (from < 0 || to < 0 || lives_[from].last != step || lives_[to].first != step) return;
    if (lives_[from].bytes == lives_[to].bytes) join(from, to);
  }

  static bool read_before_written(const LoopKernel& kernel, BufferId source, BufferId target) {
    const auto touches = [&](BufferId buffer) {
      return [&kernel, buffer](const Instr& instr) {
        return instr.view >= 0 && kernel.views[instr.view].buffer == buffer;
      };
    };
    const auto first_written = std::ranges::find_if(kernel.body, touches(target));
    return std::none_of(first_written, kernel.body.end(), touches(source));
  }

  static bool reduces_columns(const LoopKernel& kernel) {
    return std::ranges::any_of(
        kernel.body, [](const Instr& instr) { return instr.op >= LoopOp::sum && instr.level == Level::column; });
  }

  void join(int from, int to) {
    lives_[from].last = lives_[to].last;
    for (const BufferId member : lives_[to].members) {
      life_of_[member] = from;
      lives_[from].members.push_back(member);
    }
    lives_[to] = {};
  }

  // Where there is room for it; among places of large values the one that was used last, which is in the caches rather.
  int64_t place_for(const Life& life, const std::vector<std::pair<size_t, int64_t>>& placed) const {
    constexpr int64_t large = int64_t{1} << 18;
    const int64_t lowest = lowest_gap(life, placed);
    if (life.bytes < large || lowest + padded(life.bytes) > program_.arena_bytes) return lowest;
    std::set<int64_t> offsets;
    for (const auto& [other, offset] : placed) offsets.insert(offset);
    int64_t best = lowest;
    int latest = last_use(life, lowest, placed);
    for (const int64_t offset : offsets) {
      const int used = last_use(life, offset, placed);
      if (used > latest) best = offset, latest = used;
    }
    return best;
  }

  // The last step before the life that touches any of the place; -1 if there is none; -2 if the place is taken.
  int last_use(const Life& life, int64_t offset, const std::vector<std::pair<size_t, int64_t>>& placed) const {
    int last = -1;
    const int64_t end = offset + padded(life.bytes);
    if (end > program_.arena_bytes) return -2;
    for (const auto& [other, at] : placed) {
      if (at >= end || offset >= at + padded(lives_[other].bytes)) continue;
      if (lives_[other].first <= life.last && life.first <= lives_[other].last) return -2;
      if (lives_[other].last < life.first) last = std::max(last, lives_[other].last);
    }
    return last;
  }

  int64_t lowest_gap(const Life& life, const std::vector<std::pair<size_t, int64_t>>& placed) const {
    std::vector<std::pair<int64_t, int64_t>> taken;  // offset, end
    for (const auto& [other, offset] : placed)
      if (lives_[other].first <= life.last && life.first <= lives_[other].last)
        taken.emplace_back(offset, offset + padded(lives_[other].bytes));
    std::ranges::sort(taken);
    int64_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (begin - offset >= padded(life.bytes)) break;
      offset = std::max(offset, end);
    }
    return offset;
  }

  Program& program_;
  std::vector<int> life_of_;
  std::vector<Life> lives_;
};

}  // namespace

void plan_memory(Program& program, bool donate) {
  MemoryPlan plan(program);
  if (donate) plan.donate();
  plan.place();
}

}  // namespace descent
