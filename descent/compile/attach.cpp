// Kernels that become a matrix product's epilogue: see attach_epilogues in lower.h.
#include <algorithm>

#include "descent/compile/lower.h"

namespace descent {

namespace {

bool is_product(const CallStep& call) { return call.what == "matmul" || call.what == "fused_matmul"; }

// A piece of the domain needs nothing else of it: every element is computed by itself, from the same place of each view
// or from one element for all.
bool goes_by_elements(const LoopKernel& kernel) {
  const auto plain = [&](const Instr& instr) { return instr.level == Level::element && instr.op < LoopOp::spread && instr.op != LoopOp::random_bits; };
  const auto simple = [](const View& view) {
    return view.dense() || std::ranges::all_of(view.strides, [](int64_t stride) { return stride == 0; });
  };
  return std::ranges::all_of(kernel.body, plain) && std::ranges::all_of(kernel.views, simple);
}

bool reduces_columns(const Instr& instr) { return instr.op == LoopOp::sum && instr.level == Level::column; }

// A kernel that also sums columns of what it stores (a ReLU's gradient, and the bias gradient from it), as two: what goes
// by elements, and the sums, which read that back. Nothing if the sums need more than is stored.
class Splitting {
 public:
  explicit Splitting(const LoopKernel& kernel) : from_(kernel) {}

  std::optional<std::pair<LoopKernel, LoopKernel>> run() {
    const size_t count = from_.body.size();
    late_.assign(count, false);
    for (size_t i = 0; i < count; ++i) {
      const Instr& instr = from_.body[i];
      late_[i] = reduces_columns(instr) || std::ranges::any_of(instr.args, [&](int32_t arg) { return arg >= 0 && late_[static_cast<size_t>(arg)]; });
    }
    if (std::ranges::none_of(from_.body, reduces_columns)) return std::nullopt;
    LoopKernel elements = part([&](size_t i) { return !late_[i]; }, {});
    elements.columns *= elements.rows;
    elements.rows = 1;
    sums_ = {from_.rows, from_.columns, {}, from_.views};
    std::vector<int32_t> made(count, -1);
    for (size_t i = 0; i < count; ++i)
      if (late_[i] && !copy_late(i, made)) return std::nullopt;
    return std::pair{std::move(elements), std::move(sums_)};
  }

 private:
  template <class Keep>
  LoopKernel part(Keep keep, std::vector<int32_t> made) const {
    LoopKernel out{from_.rows, from_.columns, {}, from_.views};
    made.resize(from_.body.size(), -1);
    for (size_t i = 0; i < from_.body.size(); ++i) {
      if (!keep(i)) continue;
      Instr instr = from_.body[i];
      for (int32_t& arg : instr.args)
        if (arg >= 0) arg = made[static_cast<size_t>(arg)];
      made[i] = static_cast<int32_t>(out.body.size());
      out.body.push_back(instr);
    }
    return out;
  }

  bool copy_late(size_t i, std::vector<int32_t>& made) {
    Instr instr = from_.body[i];
    for (int32_t& arg : instr.args)
      if (arg >= 0) {
        const int32_t at = again(static_cast<size_t>(arg), made);
        if (at < 0) return false;
        arg = at;
      }
    made[i] = append(instr);
    return true;
  }

  // The register that has the value of register i in the second kernel: made there, or loaded if it was stored.
  int32_t again(size_t i, std::vector<int32_t>& made) {
    if (made[i] >= 0) return made[i];
    const Instr& instr = from_.body[i];
    const auto store = std::ranges::find_if(from_.body, [&](const Instr& each) { return each.op == LoopOp::store && each.args[0] == static_cast<int32_t>(i); });
    if (store != from_.body.end()) return made[i] = append({.op = LoopOp::load, .level = store->level, .dtype = store->dtype, .view = store->view});
    if (instr.op == LoopOp::scalar || instr.op == LoopOp::constant) return copy_late(i, made) ? made[i] : -1;
    return -1;
  }

  int32_t append(const Instr& instr) {
    sums_.body.push_back(instr);
    return static_cast<int32_t>(sums_.body.size()) - 1;
  }

  const LoopKernel& from_;
  std::vector<bool> late_;  // sums, and what depends on them
  LoopKernel sums_;
};

bool touches(const std::vector<View>& views, BufferId buffer) {
  return std::ranges::any_of(views, [&](const View& view) { return view.buffer == buffer; });
}

bool share_a_buffer(const std::vector<View>& a, const std::vector<View>& b) {
  return std::ranges::any_of(a, [&](const View& view) { return touches(b, view.buffer); });
}

// Smaller products stay in the cache as they are, and their kernels can share a launch with others.
constexpr int64_t worth_it = int64_t{1} << 14;

class Attaching {
 public:
  explicit Attaching(Program& program) : program_(program), steps_(program.steps) {}

  void run() {
    for (size_t at = 0; at < steps_.size(); ++at) {
      const auto* loop = std::get_if<LoopStep>(&steps_[at].work);
      if (loop == nullptr || loop->kernels.size() != 1) continue;
      const LoopKernel& kernel = loop->kernels[0];
      std::optional<std::pair<LoopKernel, LoopKernel>> split = Splitting(kernel).run();
      const LoopKernel& elements = split ? split->first : kernel;
      if (!goes_by_elements(elements)) continue;
      const std::optional<size_t> product = product_for(elements, at);
      if (!product) continue;
      const std::string label = steps_[at].label;
      at = attach(*product, at, elements);
      if (split) steps_.insert(steps_.begin() + static_cast<std::ptrdiff_t>(++at), {LoopStep{{std::move(split->second)}}, label});
    }
  }

 private:
  std::optional<size_t> product_for(const LoopKernel& kernel, size_t at) const {
    for (size_t i = 0; i < at; ++i) {
      const auto* call = std::get_if<CallStep>(&steps_[i].work);
      if (call != nullptr && is_product(*call) && !call->epilogue && fits(*call, kernel) && only_reader(call->writes[0].buffer, at) && can_move(i, at)) return i;
    }
    return std::nullopt;
  }

  bool fits(const CallStep& call, const LoopKernel& kernel) const {
    const View& product = call.writes[0];
    if (product.elements() < worth_it || product.sizes.size() != 2 || product.dtype != DType::f32 || call.reads[0].elements() == 0 || call.reads[1].elements() == 0) return false;
    if (program_.buffers[product.buffer].role != BufferRole::temporary || kernel.rows * kernel.columns != product.elements()) return false;
    const auto whole = [&](const View& view) { return view.dense() && view.offset == 0 && view.elements() == product.elements(); };
    const auto reads_it = [&](const View& view) { return view.buffer == product.buffer; };
    return std::ranges::any_of(kernel.views, reads_it) &&
           std::ranges::all_of(kernel.views, [&](const View& view) { return !reads_it(view) || whole(view); });
  }

  bool only_reader(BufferId product, size_t reader) const {
    for (size_t i = 0; i < steps_.size(); ++i)
      if (i != reader && touches(reads_of(steps_[i]), product)) return false;
    return !touches(writes_of(steps_[reader]), product);
  }

  // Nothing up to and including the kernel writes what the product reads.
  bool can_move(size_t from, size_t to) const {
    const std::vector<View>& reads = std::get<CallStep>(steps_[from].work).reads;
    for (size_t i = from + 1; i <= to; ++i)
      if (share_a_buffer(reads, writes_of(steps_[i]))) return false;
    return true;
  }

  // Returns the place of the joined step.
  size_t attach(size_t product, size_t at, LoopKernel kernel) {
    Step joined = std::move(steps_[product]);
    auto& call = std::get<CallStep>(joined.work);
    call.epilogue = std::move(kernel);
    program_.buffers[call.writes[0].buffer].role = BufferRole::passing;
    if (!steps_[at].label.empty()) joined.label += text(joined.label.empty() ? "" : " ", steps_[at].label);
    steps_[at] = std::move(joined);
    steps_.erase(steps_.begin() + static_cast<std::ptrdiff_t>(product));
    return at - 1;
  }

  Program& program_;
  std::vector<Step>& steps_;
};

}  // namespace

void attach_epilogues(Program& program) { Attaching(program).run(); }

}  // namespace descent
