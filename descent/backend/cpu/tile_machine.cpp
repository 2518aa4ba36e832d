#include "descent/backend/cpu/tile_machine.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "descent/backend/cpu/tile_part.h"
#include "descent/base/team.h"

namespace descent::cpu {

namespace {

double parallel_cost = default_parallel_cost;

// Registers of the calling thread: they grow to the largest launch and stay.
class ThreadRegisters {
 public:
  void reserve(int64_t floats, int64_t pointers) {
    if (floats > floats_) {
      memory_.reset(
          static_cast<float*>(::operator new (static_cast<size_t>(floats) * sizeof(float), std::align_val_t{64})));
      std::memset(memory_.get(), 0, static_cast<size_t>(floats) * sizeof(float));
      floats_ = floats;
    }
    if (pointers > static_cast<int64_t>(pointers_.size())) pointers_.resize(static_cast<size_t>(pointers));
  }
  float* floats() { return memory_.get(); }
  float** pointers() { return pointers_.data(); }

 private:
  struct Free {
    void operator()(float* memory) const { ::operator delete (memory, std::align_val_t{64}); }
  };
  std::unique_ptr<float, Free> memory_;
  std::vector<float*> pointers_;
  int64_t floats_ = 0;
};

thread_local ThreadRegisters thread_registers;
thread_local TileFrame span_frame;

}  // namespace

struct TileLaunch::State {
  struct Item {
    size_t part, stage;  // of that part
    int64_t units;
    double unit_cost;
  };
  struct Slice {
    size_t part, stage;
    int64_t begin, end;  // units
  };

  std::vector<TilePart> parts;
  std::vector<std::vector<std::vector<Slice>>> slices;  // by stage of the launch and thread
  int threads = 1;
  int64_t floats = 0, pointers = 0;

  void add(TilePart made, std::vector<std::vector<Item>>& stages, size_t first_stage);
  void share(const std::vector<std::vector<Item>>& stages, int most_threads);
  void run_slices(const std::vector<Slice>& some, std::byte* const* addresses) const;
  void run_alone(std::byte* const* addresses) const;
  void run_together(std::byte* const* addresses) const;
};

void TileLaunch::State::add(TilePart made, std::vector<std::vector<Item>>& stages, size_t first_stage) {
  parts.push_back(std::move(made));
  const TilePart& part = parts.back();
  floats = std::max(floats, part.register_floats());
  pointers = std::max(pointers, part.register_count());
  stages.resize(std::max(stages.size(), first_stage + part.stages()));
  for (size_t stage = 0; stage < part.stages(); ++stage)
    stages[first_stage + stage].push_back({parts.size() - 1, stage, part.units(stage), part.unit_cost(stage)});
}

// Each thread takes a contiguous part of each stage's units, of equal cost.
void TileLaunch::State::share(const std::vector<std::vector<Item>>& stages, int most_threads) {
  double total = 0;
  for (const std::vector<Item>& items : stages)
    for (const Item& item : items) total += item.unit_cost * static_cast<double>(item.units);
  threads = total < parallel_cost ? 1 : std::max(1, most_threads);
  for (const std::vector<Item>& items : stages) {
    double cost = 0, before = 0;
    for (const Item& item : items) cost += item.unit_cost * static_cast<double>(item.units);
    std::vector<std::vector<Slice>>& shares = slices.emplace_back(static_cast<size_t>(threads));
    for (const Item& item : items) {
      const auto bound = [&](int thread) {
        const double reached = (cost * thread / threads - before) / item.unit_cost;
        return std::clamp<int64_t>(static_cast<int64_t>(reached + 0.5), 0, item.units);
      };
      for (int thread = 0; thread < threads; ++thread) {
        const int64_t begin = thread == 0 ? 0 : bound(thread),
                      end = thread + 1 == threads ? item.units : bound(thread + 1);
        if (begin < end) shares[static_cast<size_t>(thread)].push_back({item.part, item.stage, begin, end});
      }
      before += item.unit_cost * static_cast<double>(item.units);
    }
  }
}

void TileLaunch::State::run_slices(const std::vector<Slice>& some, std::byte* const* addresses) const {
  TileFrame frame;
  frame.addresses = addresses;
  frame.reg = thread_registers.pointers();
  for (const Slice& slice : some)
    parts[slice.part].run(slice.stage, slice.begin, slice.end, frame, thread_registers.floats());
}

void TileLaunch::State::run_alone(std::byte* const* addresses) const {
  thread_registers.reserve(floats, pointers);
  for (const auto& stage : slices)
    for (const std::vector<Slice>& share : stage) run_slices(share, addresses);
}

void TileLaunch::State::run_together(std::byte* const* addresses) const {
  descent::run_together(threads, [&](Share team_share) {
    thread_registers.reserve(floats, pointers);
    // There may be fewer threads than were asked for.
    const auto step = static_cast<size_t>(team_share.parts);
    for (size_t stage = 0; stage < slices.size(); ++stage) {
      if (stage > 0) team::barrier(team_share);
      for (auto share = static_cast<size_t>(team_share.part); share < slices[stage].size(); share += step)
        run_slices(slices[stage][share], addresses);
    }
  });
}

namespace {

struct Numbered {
  size_t number;
  LoopKernel kernel;
};

// A part for each kernel, or for two of them.
std::vector<TilePart> parts_of(const std::vector<Numbered>& kernels, const BufferPlaces& places) {
  std::vector<TilePart> out;
  std::vector<bool> done(kernels.size(), false);
  for (size_t i = 0; i < kernels.size(); ++i) {
    if (done[i]) continue;
    try {
      std::optional<TilePart> part;
      for (size_t j = i + 1; j < kernels.size() && !part; ++j) {
        if (done[j]) continue;
        const LoopKernel &first = kernels[i].kernel, &second = kernels[j].kernel;
        part = make_joint_part(first, second, places, tile_table());
        if (!part) part = make_joint_part(second, first, places, tile_table());
        done[j] = part.has_value();
      }
      out.push_back(part ? std::move(*part) : make_part(kernels[i].kernel, places, tile_table()));
    } catch (const Error& error) {
      fail(text("loop kernel ", kernels[i].number, ": ", error.what()));
    }
  }
  return out;
}

}  // namespace

TileLaunch::TileLaunch(const LoopStep& step, const Program& program, int threads) : state_(std::make_unique<State>()) {
  const BufferPlaces places(program);
  std::vector<std::vector<State::Item>> stages;
  std::vector<LoopKernel> later;  // row and column stores apart, after what may read what they change
  std::vector<Numbered> whole;
  for (size_t i = 0; i < step.kernels.size(); ++i) {
    std::vector<LoopKernel> kernels = without_stray_stores(step.kernels[i]);
    if (kernels.size() == 1 && choose_walk(kernels[0]) == choose_walk(step.kernels[i]))
      whole.push_back({i, std::move(kernels[0])});
    else
      std::ranges::move(kernels, std::back_inserter(later));
  }
  for (TilePart& part : parts_of(whole, places)) state_->add(std::move(part), stages, 0);
  for (const LoopKernel& kernel : later) state_->add(make_part(kernel, places, tile_table()), stages, stages.size());
  state_->share(stages, threads);
}

struct TileSpans::State {
  TilePart part;
};

TileSpans::TileSpans(const LoopKernel& kernel, const Program& program)
    : state_(std::make_unique<State>(State{make_part(kernel, BufferPlaces(program), tile_table())})) {
  if (!state_->part.is_flat()) fail("an epilogue's elements must not depend on each other");
}
TileSpans::TileSpans(TileSpans&&) noexcept = default;
TileSpans::~TileSpans() = default;

void TileSpans::begin(std::byte* const* addresses) const {
  thread_registers.reserve(state_->part.register_floats(), state_->part.register_count());
  span_frame = {};
  span_frame.addresses = addresses;
  span_frame.reg = thread_registers.pointers();
  state_->part.begin(0, span_frame, thread_registers.floats());
}

void TileSpans::run(const Extent& extent, std::byte** addresses, const Piece& piece) const {
  const TilePart& part = state_->part;
  // The address that element 0 would have if the buffer lay where this row of the piece does.
  const auto place_row = [&](int64_t row) {
    addresses[piece.buffer] =
        reinterpret_cast<std::byte*>(piece.data + row * (piece.pitch - extent.pitch) - extent.flat);
  };
  place_row(0);
  if (part.native() && part.native()->takes_rows()) return part.native()->run(addresses, extent, piece.pitch);
  for (int64_t row = 0; row < extent.rows; ++row) {
    place_row(row);
    part.run_span(extent.flat + row * extent.pitch, extent.run, span_frame, thread_registers.floats());
  }
}

void set_tile_parallel_cost(double vectors) { parallel_cost = vectors; }

TileLaunch::TileLaunch(TileLaunch&&) noexcept = default;
TileLaunch::~TileLaunch() = default;

int TileLaunch::threads() const { return state_->threads; }
bool TileLaunch::is_native() const {
  return std::ranges::all_of(state_->parts, [](const TilePart& part) { return part.is_native(); });
}

void TileLaunch::run(std::byte* const* addresses) const {
  if (state_->threads == 1)
    state_->run_alone(addresses);
  else
    state_->run_together(addresses);
}

}  // namespace descent::cpu
