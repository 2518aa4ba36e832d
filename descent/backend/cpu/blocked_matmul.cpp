// Matrix products on tiles, for which memory is what is scarce: every panel and tile is packed by the thread that uses
// it, right before, and stays in that thread's second cache meanwhile.
//
// Threads share a product by rows or by columns, so each has a region of C. Where the packed panels of the region fit
// (deep products are the exception), they are packed once and the region's rows go by, tile by tile: a tile of A stays in
// the first cache, from where it lies in memory if it can, while the panels stream past it. Else the
// region is made block by block, each in parts along k: sums wait in a buffer between parts. Small deep products, the
// gradients of weights over a batch, are made in two halves along k and added, whatever the number of threads: so each
// thread reads those rows of the batch that it has worked on before, and packs them alone.
#include <algorithm>
#include <optional>

#include "descent/backend/cpu/matmul.h"
#include "descent/backend/cpu/tile_machine.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"

namespace descent::cpu {

namespace {

constexpr int64_t side = 32;  // of a tile and of a panel

// Bytes of the panels that stay; and of panels that are so small that each thread may have all of them, and rows of its
// own.
constexpr int64_t panels_bytes = 1280 << 10, own_panels_bytes = 640 << 10;

// The greatest depth of a part along k: a tile of A so deep fits in the first cache.
// A block of C that is made in parts: one side, its elements, and the most elements of both operands of a part.
constexpr int64_t block_side = 384, block_elements = 288 << 10, block_depth = 512, part_elements = 600 << 10;

// Products that are made in halves: at least so deep, at most so many elements.
constexpr int64_t halved_depth = 1024, halved_size = 256 << 10;

constexpr int64_t epilogue_columns = 512;  // of a piece, beside which the epilogue's own arrays want room

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
int64_t padded(int64_t bytes) { return round_up(bytes, 64); }

// The size of parts, each a multiple of `unit`, that `whole` is divided into: at most `most`, all nearly the same.
int64_t part_size(int64_t whole, int64_t most, int64_t unit) {
  return round_up(ceil_div(whole, ceil_div(whole, most)), unit);
}

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

// A share of `size` in whole units.
Range share_of(int64_t size, int64_t unit, Share share) {
  const int64_t units = ceil_div(size, unit);
  return {units * share.part / share.parts * unit, std::min(units * (share.part + 1) / share.parts * unit, size)};
}

// A part of the product as a product: some rows, some columns, some depth.
gemm::Problem part_of(const gemm::Problem& whole, Range rows, Range columns, Range depth) {
  gemm::Problem p = whole;
  p.m = rows.size();
  p.n = columns.size();
  p.k = depth.size();
  constexpr int64_t bf16 = 2;
  p.a.data += (rows.begin * p.a.row_stride + depth.begin * p.a.column_stride) * bf16;
  p.b.data += (columns.begin * p.b.column_stride + depth.begin * p.b.row_stride) * bf16;
  if (p.c != nullptr) p.c += (rows.begin * p.ldc + columns.begin) * (p.c_bf16 ? 2 : 4);
  if (p.bias != nullptr) p.bias += columns.begin;
  if (p.factors != nullptr) p.factors += (rows.begin * p.ldc + columns.begin) * bf16;
  if (p.slopes != nullptr) p.slopes += (rows.begin * p.ldc + columns.begin) * bf16;
  return p;
}

class BlockedMatmul : public Call {
 public:
  BlockedMatmul(const CallStep& step, const Program& program, const gemm::Kernels& kernels)
      : kernels_(kernels), operands_(step, true), problem_(operands_.problem()), buffers_(program.buffers.size()) {
    if (step.epilogue && !operands_.has_factors() && !operands_.has_slopes()) epilogue_.emplace(*step.epilogue, program);
    plan(useful_threads(problem_, 1));
  }

  void run(std::byte* const* addresses) override {
    if (lent_) packed_for_ = 0;
    // What a thread has made itself it need not fetch from another's cache.
    run_together(threads_, [this, addresses](Share share) { run_part(operands_.bound(addresses, 0), addresses, share); });
  }
  std::string kernel() const override {
    return text(kernels_.name, epilogue_                 ? " with epilogue"
                                : operands_.has_factors() ? " scaled"
                                : operands_.has_slopes()  ? " with gelu"
                                                          : "",
                owner_ ? ", packed before" : "");
  }

  bool takes_panels_of(Call& other) override {
    auto* earlier = dynamic_cast<BlockedMatmul*>(&other);
    if (earlier == nullptr || !earlier->stays_ || !stays_ || earlier->by_rows_ != by_rows_ ||
        earlier->threads_ != threads_ || columns_each_ < columns_ || earlier->columns_each_ != columns_each_ ||
        earlier->depth_each_ != depth_each_)
      return false;
    owner_ = earlier->owner_ ? earlier->owner_ : earlier;
    if (owner_->lent_ == nullptr) owner_->lent_ = allocate_bytes(static_cast<size_t>(threads_ * b_bytes_));
    return true;
  }

  Scratch scratch() const override { return {static_cast<size_t>(thread_bytes_ + half_bytes_), threads_}; }
  void use_scratch(std::byte* memory, size_t bytes) override {
    memory_ = memory;
    stride_ = static_cast<int64_t>(bytes);
  }

 private:
  // What a way of sharing costs, in copies of elements: A's when it lies along k are cheap.
  double copies(bool by_rows, int threads) const {
    const auto m = static_cast<double>(problem_.m), n = static_cast<double>(problem_.n);
    const double a = problem_.a.column_stride == 1 ? 1 : 2, b = problem_.b.column_stride == 1 ? 1 : 2;
    return by_rows ? n * b * (threads - 1) : m * a * (threads - 1);
  }

  bool goes_in_halves() const {
    return !epilogue_ && !problem_.c_bf16 && !problem_.relu && !operands_.has_bias() && problem_.a.column_stride != 1 &&
           problem_.k >= halved_depth && problem_.m * problem_.n <= halved_size;
  }

  void plan(int threads) {
    halves_ = goes_in_halves();
    const int64_t tiles = ceil_div(problem_.m, side), panels = ceil_div(problem_.n, side);
    const auto even = [&](int64_t units) { return units % threads == 0 || units >= 4 * threads; };
    const bool fewer = even(tiles) == even(panels) ? copies(true, threads) < copies(false, threads) : even(tiles);
    by_rows_ = fewer || (tiles % threads == 0 && problem_.n * problem_.k * 2 <= own_panels_bytes);
    threads_ = static_cast<int>(std::min<int64_t>(threads, by_rows_ ? tiles : panels));
    rows_ = by_rows_ ? round_up(ceil_div(tiles, threads_) * side, side) : tiles * side;
    columns_ = by_rows_ ? panels * side : ceil_div(panels, threads_) * side;
    if (halves_) {
      threads_ = std::min(threads, 2);
      rows_ = tiles * side;
      columns_ = panels * side;
    }
    stays_ = !halves_ && (columns_ * problem_.k * 2 <= panels_bytes || problem_.k <= block_depth);
    in_place_ = stays_ && problem_.a.column_stride == 1 && problem_.k % side == 0 && problem_.a.row_stride % 2 == 0;
    stays_ ? plan_staying() : plan_parts();
    scratch_bytes_ = padded(static_cast<int64_t>(kernels_.scratch_bytes(problem_)));
    table_bytes_ = epilogue_ ? padded(static_cast<int64_t>(buffers_ * sizeof(std::byte*))) : 0;
    const gemm::Problem most = part_of(problem_, {0, rows_each_}, {0, columns_each_}, {0, depth_each_});
    part_bytes_ = ceil_div(columns_each_, side) * static_cast<int64_t>(kernels_.panel_bytes(most));
    b_bytes_ = (stays_ ? parts() : 1) * part_bytes_;
    a_bytes_ = padded(static_cast<int64_t>(kernels_.shared_bytes(most)));
    sums_bytes_ = padded(sums_rows() * pitch_ * 4);
    thread_bytes_ = b_bytes_ + a_bytes_ + sums_bytes_ + scratch_bytes_ + table_bytes_;
    half_pitch_ = columns_ + 16;
    half_bytes_ = halves_ ? padded(rows_ * half_pitch_ * 4) * (threads_ == 1 ? 2 : 1) : 0;
  }

  void plan_staying() {
    depth_each_ = part_size(problem_.k, block_depth, side);
    columns_each_ = part_size(columns_, std::max(panels_bytes / (2 * problem_.k) / side * side, side), side);
    rows_each_ = side;
    piece_columns_ = epilogue_ ? part_size(columns_each_, epilogue_columns, side) : columns_each_;
    pitch_ = (parts() > 1 ? columns_each_ : piece_columns_) + 16;
  }
  int64_t parts() const { return ceil_div(problem_.k, depth_each_); }
  void plan_parts() {
    // Where one side is short, the other may be longer.
    const auto beside = [](int64_t other) {
      return std::max(block_side, block_elements / other / side * side);
    };
    rows_each_ = part_size(rows_, beside(part_size(columns_, block_side, side)), side);
    columns_each_ = part_size(columns_, beside(rows_each_), side);
    const int64_t deepest =
        std::clamp(part_elements / (rows_each_ + columns_each_) / side * side, 8 * side, block_depth);
    depth_each_ = part_size(halves_ ? half_depth() : problem_.k, deepest, side);
    piece_columns_ = columns_each_;
    pitch_ = columns_each_ + 16;  // not a power of two, or the rows' lines would all be in few places of the cache
  }

  // Of the buffer of sums: a block's, or a piece's that an epilogue waits for.
  int64_t sums_rows() const { return !stays_ || epilogue_ || parts() > 1 ? rows_each_ : 0; }

  struct Mine {
    std::byte *a, *b, *scratch;
    float* sums;
    std::byte** table;  // of addresses, for the epilogue
  };
  Mine mine(int part) const {
    std::byte* at = memory_ + part * stride_;
    std::byte* behind = at + a_bytes_ + b_bytes_ + sums_bytes_;
    std::byte* panels = lent_ ? lent_.get() + part * b_bytes_ : at + a_bytes_;
    return {at, panels, behind, reinterpret_cast<float*>(at + a_bytes_ + b_bytes_),
            reinterpret_cast<std::byte**>(behind + scratch_bytes_)};
  }

  int64_t half_depth() const { return round_up(ceil_div(problem_.k, 2), side); }
  float* half(int64_t i) const {
    const int64_t offset = threads_ == 1 ? i * half_bytes_ / 2 : i * stride_;
    return reinterpret_cast<float*>(memory_ + thread_bytes_ + offset);
  }

  void run_halves(const gemm::Problem& whole, Share share) const {
    for (int64_t i = 2 * share.part / share.parts; i < 2 * (share.part + 1) / share.parts; ++i) {
      gemm::Problem p =
          part_of(whole, {0, whole.m}, {0, whole.n}, {i * half_depth(), std::min((i + 1) * half_depth(), whole.k)});
      p.c = reinterpret_cast<std::byte*>(half(i));
      p.ldc = half_pitch_;
      make_blocks(p, {0, whole.m}, {0, whole.n}, mine(share.part));
    }
    team::barrier(share);
    const Range rows = share_of(whole.m, 1, share);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const float *a = half(0) + r * half_pitch_, *b = half(1) + r * half_pitch_;
      float* to = reinterpret_cast<float*>(whole.c) + r * whole.ldc;
      for (int64_t i = 0; i < whole.n; ++i) to[i] = a[i] + b[i];
    }
  }

  void make_blocks(const gemm::Problem& p, Range rows, Range columns, const Mine& own) const {
    for (int64_t column = columns.begin; column < columns.end; column += columns_each_)
      for (int64_t row = rows.begin; row < rows.end; row += rows_each_)
        in_parts(p, {row, std::min(row + rows_each_, rows.end)},
                 {column, std::min(column + columns_each_, columns.end)}, own);
  }

  void run_part(const gemm::Problem& whole, std::byte* const* addresses, Share share) const {
    if (halves_) return run_halves(whole, share);
    const Range rows = by_rows_ ? share_of(whole.m, side, share) : Range{0, whole.m};
    const Range columns = by_rows_ ? Range{0, whole.n} : share_of(whole.n, side, share);
    const Mine own = mine(share.part);
    if (epilogue_) {
      std::copy_n(addresses, buffers_, own.table);
      epilogue_->begin(own.table);
    }
    if (!stays_) return make_blocks(whole, rows, columns, own);
    for (int64_t column = columns.begin; column < columns.end; column += columns_each_) {
      const Range some{column, std::min(column + columns_each_, columns.end)};
      const std::byte* panels = packed(part_of(whole, rows, some, {0, whole.k}), own, share);
      const int64_t next = multiply_in_place(whole, rows, some, panels, own);
      for (int64_t row = next; row < rows.end; row += side)
        multiply_tile(whole, {row, std::min(row + side, rows.end)}, rows.end, some, panels, own);
    }
  }

  Range part(int64_t index) const { return {index * depth_each_, std::min((index + 1) * depth_each_, problem_.k)}; }

  // The panels of this thread's columns, part after part along k. Those of another call are good if that was shared
  // among as many threads.
  const std::byte* packed(const gemm::Problem& p, const Mine& own, Share share) const {
    if (owner_ != nullptr && owner_->packed_for_ == share.parts) return owner_->mine(share.part).b;
    for (int64_t i = 0; i < parts(); ++i)
      kernels_.pack(part_of(p, {0, p.m}, {0, p.n}, part(i)), 0, ceil_div(p.n, side), own.b + i * part_bytes_);
    if (lent_ && share.part == 0) packed_for_ = share.parts;
    return own.b;
  }

  // All whole tiles of some rows times all panels, if nothing halts the work between tiles. The first row that is left.
  int64_t multiply_in_place(const gemm::Problem& whole, Range rows, Range columns, const std::byte* panels,
                            const Mine& own) const {
    const int64_t end = rows.begin + rows.size() / side * side;
    if (!in_place_ || epilogue_ || parts() > 1 || end == rows.begin) return rows.begin;
    gemm::Problem p = part_of(whole, {rows.begin, end}, columns, {0, whole.k});
    p.a_in_place = true;
    kernels_.multiply(p, nullptr, panels, own.scratch, 0, kernels_.tiles(p), 0, ceil_div(p.n, side));
    return end;
  }

  // A tile of rows times all panels, part by part along k, and the epilogue piece by piece.
  void multiply_tile(const gemm::Problem& whole, Range rows, int64_t end, Range columns, const std::byte* panels,
                     const Mine& own) const {
    for (int64_t i = 0; i < parts(); ++i, panels += part_bytes_) {
      const bool last = i + 1 == parts();
      gemm::Problem p = part_of(whole, rows, columns, part(i));
      p.a_in_place = in_place_ && p.m == side;
      if (!p.a_in_place) kernels_.share_a(p, own.a, 0, 1);
      p.more_rows = rows.end < end;
      begin_and_leave(p, i == 0, last, own);
      if (!epilogue_ || !last) {
        kernels_.multiply(p, own.a, panels, own.scratch, 0, 1, 0, ceil_div(p.n, side));
        continue;
      }
      for (int64_t column = 0; column < p.n; column += piece_columns_) {
        const Range some{column, std::min(column + piece_columns_, p.n)};
        float* sums = own.sums + (parts() > 1 ? column : 0);
        p.c = reinterpret_cast<std::byte*>(sums - column);
        const int64_t panel = column / side;
        kernels_.multiply(p, own.a, panels + panel * static_cast<int64_t>(kernels_.panel_bytes(p)), own.scratch, 0, 1, panel,
                          ceil_div(some.size(), side));
        finish(rows, {columns.begin + some.begin, columns.begin + some.end}, sums, own);
        p.more_rows = false;
      }
    }
  }

  // A part along k begins with the sums of those before, and unless it is the last leaves its own there; so does the
  // last for an epilogue.
  void begin_and_leave(gemm::Problem& p, bool first, bool last, const Mine& own) const {
    if (!first) {
      p.before = own.sums;
      p.before_pitch = pitch_;
    }
    if (last && !epilogue_) return;
    p.c = reinterpret_cast<std::byte*>(own.sums);
    p.ldc = pitch_;
    p.roomy = true;
    p.c_bf16 = false;
    if (!last) p.bias = nullptr, p.relu = false, p.factors = nullptr, p.slopes = nullptr;
  }

  // A block of C, part by part along k.
  void in_parts(const gemm::Problem& whole, Range rows, Range columns, const Mine& own) const {
    for (int64_t depth = 0; depth < whole.k; depth += depth_each_) {
      const bool last = depth + depth_each_ >= whole.k;
      gemm::Problem p = part_of(whole, rows, columns, {depth, std::min(depth + depth_each_, whole.k)});
      const int64_t panels = ceil_div(p.n, side), tiles = kernels_.tiles(p);
      kernels_.pack(p, 0, panels, own.b);
      kernels_.share_a(p, own.a, 0, 1);
      begin_and_leave(p, depth == 0, last, own);
      kernels_.multiply(p, own.a, own.b, own.scratch, 0, tiles, 0, panels);
    }
    if (!epilogue_) return;
    for (int64_t row = rows.begin; row < rows.end; row += side)
      finish({row, std::min(row + side, rows.end)}, columns, own.sums + (row - rows.begin) * pitch_, own);
  }

  // The epilogue of a piece of C whose sums lie there.
  void finish(Range rows, Range columns, float* sums, const Mine& own) const {
    epilogue_->run({rows.begin * problem_.n + columns.begin, rows.size(), columns.size(), problem_.n}, own.table,
                   {operands_.result().buffer, sums, pitch_});
  }

  const gemm::Kernels& kernels_;
  MatmulOperands operands_;
  gemm::Problem problem_;
  std::optional<TileSpans> epilogue_;
  size_t buffers_;
  int threads_ = 1;
  bool by_rows_ = true, stays_ = true, halves_ = false, in_place_ = false;
  int64_t rows_ = 0, columns_ = 0;                             // of a thread's region, at most
  int64_t rows_each_ = 0, columns_each_ = 0, depth_each_ = 0;  // in hand
  int64_t piece_columns_ = 0, pitch_ = 0, half_pitch_ = 0, half_bytes_ = 0;
  int64_t a_bytes_ = 0, part_bytes_ = 0, b_bytes_ = 0, sums_bytes_ = 0, scratch_bytes_ = 0, table_bytes_ = 0, thread_bytes_ = 0;
  std::byte* memory_ = nullptr;  // all threads', `stride_` bytes each
  int64_t stride_ = 0;
  BlockedMatmul* owner_ = nullptr;     // an earlier call whose panels are also this one's
  std::shared_ptr<std::byte[]> lent_;  // panels for later calls
  mutable int packed_for_ = 0;  // threads: the panels that lie here, once they are all there
};

}  // namespace

std::unique_ptr<Call> make_blocked_matmul(const CallStep& step, const Program& program, const gemm::Kernels& kernels) {
  return std::make_unique<BlockedMatmul>(step, program, kernels);
}

}  // namespace descent::cpu
