#include "descent/backend/cpu/matmul.h"

#include <algorithm>
#include <optional>

#include "descent/backend/cpu/gemm.h"
#include "descent/backend/cpu/processor.h"
#include "descent/backend/cpu/tile_machine.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"

namespace descent::cpu {

namespace {

// A product with no elements, or over nothing: what is left of it is the bias.
class EmptyMatmul : public Call {
 public:
  explicit EmptyMatmul(const CallStep& step) : step_(step) {}
  void run(std::byte* const* addresses) override {
    const View& out = step_.writes[0];
    std::byte* to = address_of(out, addresses);
    std::fill(to, to + out.elements() * static_cast<int64_t>(size_of(out.dtype)), std::byte{0});
    if (step_.reads.size() < 3 || out.dtype != DType::f32) return;
    const auto* bias = reinterpret_cast<const float*>(address_of(step_.reads[2], addresses));
    const bool relu = step_.attrs.string("activation") == "relu";
    for (int64_t i = 0; i < out.elements(); ++i)
      reinterpret_cast<float*>(to)[i] = relu ? std::max(0.0f, bias[i % out.sizes.back()]) : bias[i % out.sizes.back()];
  }
  std::string kernel() const override { return "empty"; }

 private:
  CallStep step_;
};

bool is_multiplied_here(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

bool is_empty(const CallStep& step) { return step.reads[0].elements() == 0 || step.reads[1].elements() == 0; }

gemm::Matrix last_two(const View& view) {
  const size_t rank = view.sizes.size();
  gemm::Matrix out{nullptr, view.strides[rank - 2], view.strides[rank - 1]};
  // An axis of size 1 may have any stride: give it one that makes the matrix plain.
  if (view.sizes[rank - 1] == 1 && out.row_stride != 1) out.column_stride = 1;
  if (view.sizes[rank - 2] == 1 && out.column_stride != 1) out.row_stride = 1;
  return out;
}

// The address of the matrix number `index` of a batch.
std::byte* matrix_at(const View& view, std::byte* const* addresses, int64_t index) {
  int64_t offset = 0;
  for (size_t axis = view.sizes.size() - 2; axis-- > 0;) {
    offset += index % view.sizes[axis] * view.strides[axis];
    index /= view.sizes[axis];
  }
  return address_of(view, addresses) + offset * static_cast<int64_t>(size_of(view.dtype));
}

// How much of a product one thread has in hand at a time.
constexpr size_t group_bytes = 512 << 10;  // of packed panels: they stay in the second cache
constexpr size_t chunk_bytes = 256 << 10;  // of the tiles of A that a group is multiplied with before the next ones
constexpr int64_t epilogue_rows = 32;       // of the product, before the epilogue runs on them

// Our own kernels: one parallel region, over panels of columns where there are enough, else over rows; a batch of
// small products is shared out whole.
class GemmMatmul : public Call {
 public:
  GemmMatmul(const CallStep& step, const Program& program, const gemm::Kernels& kernels)
      : kernels_(kernels), operands_(step), problem_(operands_.problem()), batch_(operands_.batch()) {
    if (step.epilogue) epilogue_.emplace(*step.epilogue, program);
    buffers_ = program.buffers.size();
    plan(useful_threads(problem_, batch_));
  }

  void run(std::byte* const* addresses) override {
    run_together(threads_, [&](Share share) { run_part(addresses, share); });
  }
  std::string kernel() const override { return text(kernels_.name, epilogue_ ? " with epilogue" : ""); }

 private:
  void plan(int threads) {
    threads_ = threads;
    whole_ = batch_ > 1;
    panels_ = (problem_.n + kernels_.panel(problem_) - 1) / kernels_.panel(problem_);
    tiles_ = kernels_.tiles(problem_);
    by_panels_ = !epilogue_ && (panels_ % threads_ == 0 || panels_ >= 4 * threads_);
    plan_group();
    shared_bytes_ = rounded(kernels_.shared_bytes(problem_));
    scratch_bytes_ = rounded(kernels_.scratch_bytes(problem_));
    piece_bytes_ = epilogue_ ? rounded(static_cast<size_t>(most_rows() * piece_pitch()) * sizeof(float)) : 0;
    table_bytes_ = epilogue_ ? rounded(buffers_ * sizeof(std::byte*)) : 0;
    thread_bytes_ = rounded(static_cast<size_t>(group_) * kernels_.panel_bytes(problem_)) + scratch_bytes_ + piece_bytes_ + table_bytes_;
    const size_t shares = whole_ ? static_cast<size_t>(threads_) : 1;
    memory_ = allocate_bytes(shares * shared_bytes_ + static_cast<size_t>(threads_) * thread_bytes_);
    threads_memory_ = memory_.get() + shares * shared_bytes_;
  }

  // Several panels are packed at once, and then multiplied with some tiles at a time.
  void plan_group() {
    const int64_t each = by_panels_ && !whole_ ? (panels_ + threads_ - 1) / threads_ : panels_;
    group_ = std::clamp<int64_t>(static_cast<int64_t>(group_bytes / kernels_.panel_bytes(problem_)), 1, each);
    const int64_t tile_rows = kernels_.tile_row(problem_, 1);
    const auto tile_bytes = static_cast<size_t>(tile_rows * problem_.k) * (problem_.bf16 ? 2 : 4);
    chunk_ = epilogue_ ? (epilogue_rows + tile_rows - 1) / tile_rows
             : group_ == 1 ? tiles_
                           : std::max<int64_t>(1, static_cast<int64_t>(chunk_bytes / tile_bytes));
  }

  // Not a power of two, or the rows' lines would all be in the same few places of the first cache.
  int64_t piece_pitch() const { return group_ * kernels_.panel(problem_) + 16; }

  static size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }
  int64_t most_rows() const {
    int64_t most = 0;
    for (int64_t t = 0; t < tiles_; t += chunk_) most = std::max(most, rows_of(t, std::min(t + chunk_, tiles_)));
    return most;
  }
  int64_t rows_of(int64_t tile_begin, int64_t tile_end) const { return kernels_.tile_row(problem_, tile_end) - kernels_.tile_row(problem_, tile_begin); }

  // One thread's memory.
  struct Mine {
    std::byte *panels, *scratch, *piece;
    std::byte** table;  // of addresses
  };
  Mine mine(int part) const {
    std::byte* at = threads_memory_ + static_cast<size_t>(part) * thread_bytes_;
    return {at + scratch_bytes_ + piece_bytes_ + table_bytes_, at, at + scratch_bytes_, reinterpret_cast<std::byte**>(at + scratch_bytes_ + piece_bytes_)};
  }

  void run_part(std::byte* const* addresses, Share share) {
    const auto [part, parts] = share;
    const Mine own = mine(part);
    if (whole_) {
      std::byte* shared = memory_.get() + static_cast<size_t>(part) * shared_bytes_;
      for (int64_t i = batch_ * part / parts; i < batch_ * (part + 1) / parts; ++i) {
        const gemm::Problem p = operands_.bound(addresses, i);
        if (shared_bytes_ != 0) kernels_.share_a(p, shared, 0, 1);
        multiply(p, shared, own, {0, tiles_, 0, panels_});
      }
      return;
    }
    const gemm::Problem p = operands_.bound(addresses, 0);
    if (shared_bytes_ != 0) {
      kernels_.share_a(p, memory_.get(), part, parts);
      team::barrier(share);
    }
    if (epilogue_) {
      std::copy_n(addresses, buffers_, own.table);
      epilogue_->begin(own.table);
    }
    if (by_panels_) multiply(p, memory_.get(), own, {0, tiles_, panels_ * part / parts, panels_ * (part + 1) / parts});
    else multiply(p, memory_.get(), own, {tiles_ * part / parts, tiles_ * (part + 1) / parts, 0, panels_});
  }

  struct Range {
    int64_t tile_begin, tile_end, panel_begin, panel_end;
  };

  void multiply(const gemm::Problem& p, const std::byte* shared, const Mine& own, const Range& range) const {
    for (int64_t panel = range.panel_begin; panel < range.panel_end; panel += group_) {
      const int64_t count = std::min(group_, range.panel_end - panel);
      kernels_.pack(p, panel, count, own.panels);
      for (int64_t tile = range.tile_begin; tile < range.tile_end; tile += chunk_) {
        const int64_t end = std::min(tile + chunk_, range.tile_end);
        if (epilogue_) multiply_piece(p, shared, own, {tile, end, panel, panel + count});
        else kernels_.multiply(p, shared, own.panels, own.scratch, tile, end, panel, count);
      }
    }
  }

  // A piece of the product, and its epilogue.
  void multiply_piece(gemm::Problem p, const std::byte* shared, const Mine& own, const Range& piece) const {
    const int64_t columns = kernels_.panel(p), first = piece.panel_begin * columns, width = std::min(piece.panel_end * columns, p.n) - first;
    const int64_t row = kernels_.tile_row(p, piece.tile_begin), rows = rows_of(piece.tile_begin, piece.tile_end);
    auto* sums = reinterpret_cast<float*>(own.piece);
    p.ldc = piece_pitch();
    p.c = reinterpret_cast<std::byte*>(sums - row * p.ldc - first);
    kernels_.multiply(p, shared, own.panels, own.scratch, piece.tile_begin, piece.tile_end, piece.panel_begin, piece.panel_end - piece.panel_begin);
    epilogue_->run({row * p.n + first, rows, width, p.n}, own.table, {operands_.result().buffer, sums, p.ldc});
  }

  const gemm::Kernels& kernels_;
  MatmulOperands operands_;
  gemm::Problem problem_;
  std::optional<TileSpans> epilogue_;
  size_t buffers_ = 0;  // of the program
  int64_t batch_, panels_ = 1, tiles_ = 1;
  int64_t group_ = 1, chunk_ = 1;  // panels and tiles in hand
  int threads_ = 1;
  bool whole_ = false, by_panels_ = true;
  size_t shared_bytes_ = 0, scratch_bytes_ = 0, piece_bytes_ = 0, table_bytes_ = 0, thread_bytes_ = 0;
  std::shared_ptr<std::byte[]> memory_;
  std::byte* threads_memory_ = nullptr;
};

// For kernels that make a product whole: the epilogue runs behind them.
class WithEpilogue : public Call {
 public:
  WithEpilogue(std::unique_ptr<Call> product, const CallStep& step, const Program& program)
      : product_(std::move(product)), result_(step.writes[0]), epilogue_(*step.epilogue, program), table_(program.buffers.size()),
        memory_(allocate_bytes(static_cast<size_t>(result_.elements()) * size_of(result_.dtype))) {}

  void run(std::byte* const* addresses) override {
    std::copy_n(addresses, table_.size(), table_.begin());
    table_[result_.buffer] = memory_.get();
    product_->run(table_.data());
    epilogue_.begin(table_.data());
    epilogue_.run({0, 1, result_.elements(), 0}, table_.data(), {result_.buffer, reinterpret_cast<float*>(memory_.get()), 0});
  }
  std::string kernel() const override { return product_->kernel() + ", then its epilogue"; }

  Scratch scratch() const override { return product_->scratch(); }
  void use_scratch(std::byte* memory, size_t bytes) override { product_->use_scratch(memory, bytes); }

 private:
  std::unique_ptr<Call> product_;
  View result_;
  TileSpans epilogue_;
  std::vector<std::byte*> table_;
  std::shared_ptr<std::byte[]> memory_;
};

}  // namespace

namespace {

// How an epilogue ends a product, all in bf16 and dense: result = product * factors; or gelu(product), and its slope.
struct Ending {
  View result;
  std::optional<View> factors, slopes;
};

class EndingFinder {
 public:
  explicit EndingFinder(const CallStep& step) : product_(step.writes[0].buffer), kernel_(*step.epilogue) {}

  std::optional<Ending> find() const {
    if (kernel_.body.size() == 6) return scaling();
    return kernel_.body.size() == 5 ? gelu() : std::nullopt;
  }

 private:
  const Instr& at(int32_t id) const { return kernel_.body[static_cast<size_t>(id)]; }
  const View& view(const Instr& i) const { return kernel_.views[static_cast<size_t>(i.view)]; }
  static bool computes(const Instr& i, ScalarOp op) { return i.op == LoopOp::scalar && i.scalar == op; }
  bool is_whole(const Instr& i, LoopOp op, DType dtype) const {
    return i.op == op && i.level == Level::element && view(i).dtype == dtype && view(i).dense() && view(i).offset == 0;
  }
  bool is_product(const Instr& i) const { return is_whole(i, LoopOp::load, DType::f32) && view(i).buffer == product_; }

  std::optional<Ending> scaling() const {
    const Instr& store = kernel_.body.back();
    if (!is_whole(store, LoopOp::store, DType::bf16) || !computes(at(store.args[0]), ScalarOp::cast)) return {};
    const Instr& scaled = at(at(store.args[0]).args[0]);
    if (!computes(scaled, ScalarOp::mul)) return {};
    for (const int product : {0, 1}) {
      const Instr& widened = at(scaled.args[1 - product]);
      if (!is_product(at(scaled.args[product])) || !computes(widened, ScalarOp::cast)) continue;
      const Instr& factors = at(widened.args[0]);
      if (is_whole(factors, LoopOp::load, DType::bf16)) return Ending{view(store), view(factors), {}};
    }
    return {};
  }

  std::optional<Ending> gelu() const {
    Ending out;
    for (const Instr& store : kernel_.body) {
      if (store.op != LoopOp::store) continue;
      const Instr& made = at(store.args[0]);
      if (!is_whole(store, LoopOp::store, DType::bf16) || made.op != LoopOp::scalar || !is_product(at(made.args[0]))) return {};
      if (made.scalar == ScalarOp::rounded_gelu) out.result = view(store);
      if (made.scalar == ScalarOp::rounded_gelu_slope) out.slopes = view(store);
    }
    return out.result.dtype == DType::bf16 && out.slopes ? std::optional(out) : std::nullopt;
  }

  BufferId product_;
  const LoopKernel& kernel_;
};

}  // namespace

MatmulOperands::MatmulOperands(const CallStep& step, bool ends)
    : a_(step.reads[0]),
      b_(step.reads[1]),
      c_(step.writes[0]),
      has_bias_(step.reads.size() == 3),
      passing_(step.epilogue.has_value()) {
  if (has_bias_) bias_ = step.reads[2];
  const size_t rank = a_.sizes.size();
  problem_.m = a_.sizes[rank - 2];
  problem_.k = a_.sizes[rank - 1];
  problem_.n = b_.sizes[rank - 1];
  problem_.bf16 = a_.dtype == DType::bf16;
  problem_.a = last_two(a_);
  problem_.b = last_two(b_);
  problem_.ldc = problem_.n;
  problem_.c_bf16 = c_.dtype == DType::bf16;
  problem_.relu = step.what == "fused_matmul" && step.attrs.string("activation") == "relu";
  for (size_t axis = 0; axis + 2 < rank; ++axis) batch_ *= a_.sizes[axis];
  if (!ends || !step.epilogue || batch_ > 1) return;
  if (const std::optional<Ending> ending = EndingFinder(step).find()) {
    constexpr int64_t large = int64_t{1} << 22;  // elements of slopes that do not stay in any cache until they are read
    c_ = ending->result;
    c_.sizes = step.writes[0].sizes;
    factors_ = ending->factors;
    slopes_ = ending->slopes;
    problem_.c_bf16 = true;
    problem_.slopes_pass_caches = problem_.m * problem_.n >= large && problem_.n % 32 == 0;
    passing_ = false;
  }
}

gemm::Problem MatmulOperands::bound(std::byte* const* addresses, int64_t index) const {
  gemm::Problem p = problem_;
  p.a.data = matrix_at(a_, addresses, index);
  p.b.data = matrix_at(b_, addresses, index);
  if (!passing_) p.c = matrix_at(c_, addresses, index);
  if (has_bias_) p.bias = reinterpret_cast<const float*>(address_of(bias_, addresses));
  if (factors_) p.factors = address_of(*factors_, addresses);
  if (slopes_) p.slopes = address_of(*slopes_, addresses);
  return p;
}

int useful_threads(const gemm::Problem& problem, int64_t batch) {
  const double work =
      2.0 * static_cast<double>(problem.m * problem.n) * static_cast<double>(problem.k) * static_cast<double>(batch);
  constexpr double worth_a_thread = 1e5;
  return static_cast<int>(std::clamp(work / worth_a_thread, 1.0, static_cast<double>(thread_count())));
}

std::unique_ptr<Call> make_matmul(const CallStep& step, const Program& program) {
  if (!is_multiplied_here(step.reads[0].dtype)) fail(text("matrix products on the CPU take f32 or bf16, not ", step.reads[0].dtype));
  if (is_empty(step)) return std::make_unique<EmptyMatmul>(step);
  if (std::unique_ptr<Call> row = make_gemv(step)) {
    if (!step.epilogue) return row;
    return std::make_unique<WithEpilogue>(std::move(row), step, program);
  }
  const bool bf16 = step.reads[0].dtype == DType::bf16;
  if (const gemm::Kernels* own = gemm::best_kernels(bf16)) {
    if (own->go_on && step.reads[0].sizes.size() == 2) return make_blocked_matmul(step, program, *own);
    return std::make_unique<GemmMatmul>(step, program, *own);
  }
  std::unique_ptr<Call> product = bf16 ? make_widened_matmul(step, program) : make_onednn_matmul(step);
  if (!step.epilogue) return product;
  return std::make_unique<WithEpilogue>(std::move(product), step, program);
}

}  // namespace descent::cpu
