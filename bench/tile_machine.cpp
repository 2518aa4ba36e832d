// Times the tile machine: what a training step spends beside its matrix products, in nanoseconds an element and GB/s,
// with loops fused by hand beside it where the machine is to come near them. Arguments: threads, and a part of a name.
#include "descent/backend/cpu/tile_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/tile_machine.cpp"
#include <hwy/foreach_target.h>
// The target's own headers.
#include <hwy/highway.h>

#include "bench/tile_fused.h"
#include "descent/backend/cpu/tile_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace descent::cpu::HWY_NAMESPACE {
namespace {

// Elements begin to end, a multiple of 16.
void fused_adam(const AdamArrays& a, int64_t begin, int64_t end) {
  const hn::Rebind<uint16_t, RealTag> half_tag;
  for (int64_t i = begin; i < end; i += static_cast<int64_t>(lanes_per_vector())) {
    const Real g = load_lanes(a.g + i);
    const Real m = hn::Add(hn::Mul(load_lanes(a.m + i), number(0.9f)), hn::Mul(g, number(0.1f)));
    const Real v = hn::Add(hn::Mul(load_lanes(a.v + i), number(0.999f)), hn::Mul(hn::Mul(g, g), number(0.001f)));
    const Real root = hn::Add(hn::Sqrt(v), number(a.epsilon));
    const Real w = hn::Add(load_lanes(a.w + i), hn::Mul(hn::Div(m, root), number(a.rate)));
    store_lanes(m, a.m + i);
    store_lanes(v, a.v + i);
    store_lanes(w, a.w + i);
    hn::StoreU(hn::DemoteTo(half_tag, hn::BitCast(int_tag, hn::ShiftRight<16>(bf16_bits(w)))), half_tag, a.half + i);
  }
}

// The gradient of x / 2 (1 + tanh(k (x + c x^3))), from bf16 to bf16.
void fused_gelu(const GeluArrays& a, int64_t begin, int64_t end) {
  const hn::Rebind<uint16_t, RealTag> half_tag;
  const auto widen = [&](const uint16_t* from) HWY_ATTR {
    return as_real(hn::ShiftLeft<16>(hn::PromoteTo(word_tag, hn::LoadU(half_tag, from))));
  };
  for (int64_t i = begin; i < end; i += static_cast<int64_t>(lanes_per_vector())) {
    const Real x = widen(a.x + i), square = hn::Mul(x, x);
    const Real t = tanh_of(hn::Mul(number(0.797884561f), hn::Add(x, hn::Mul(number(0.044715f), hn::Mul(x, square)))));
    const Real slope = hn::Mul(number(0.797884561f), hn::Add(number(1), hn::Mul(number(0.134145f), square)));
    const Real bell = hn::Mul(hn::Sub(number(1), hn::Mul(t, t)), slope);
    const Real d = hn::Add(hn::Mul(number(0.5f), hn::Add(number(1), t)), hn::Mul(hn::Mul(number(0.5f), x), bell));
    const Real dx = hn::Mul(widen(a.dy + i), d);
    hn::StoreU(hn::DemoteTo(half_tag, hn::BitCast(int_tag, hn::ShiftRight<16>(bf16_bits(dx)))), half_tag, a.dx + i);
  }
}

}  // namespace
}  // namespace descent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <omp.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "descent/backend/cpu/tile_machine.h"
#include "descent/base/threads.h"
#include "descent/core/array.h"

namespace descent::cpu {

HWY_EXPORT(fused_adam);
HWY_EXPORT(fused_gelu);

namespace {

int threads = 2;
std::string filter;

// Seconds of one call: the least and the median of many.
struct Times {
  double best = 0, median = 0;
};

Times measure(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [&](int64_t calls) {
    const auto begin = Clock::now();
    for (int64_t i = 0; i < calls; ++i) call();
    return std::chrono::duration<double>(Clock::now() - begin).count() / static_cast<double>(calls);
  };
  seconds(3);
  const auto calls = std::max<int64_t>(1, static_cast<int64_t>(0.004 / seconds(3)));
  std::vector<double> all;
  for (int i = 0; i < 60; ++i) all.push_back(seconds(calls));
  std::ranges::sort(all);
  return {all.front(), all[all.size() / 2]};
}

void report(const std::string& name, int64_t elements, double bytes, const Times& times) {
  const double n = static_cast<double>(elements);
  std::printf("%-44s %9.2f us  %7.3f ns/element (median %7.3f)  %6.1f GB/s\n", name.c_str(), times.best * 1e6,
              times.best / n * 1e9, times.median / n * 1e9, bytes / times.best / 1e9);
  std::fflush(stdout);
}

bool wanted(const std::string& name) { return name.find(filter) != std::string::npos; }

void in_threads(int64_t elements, const std::function<void(int64_t, int64_t)>& part) {
#pragma omp parallel num_threads(threads)
  {
    const int64_t all = omp_get_num_threads(), mine = omp_get_thread_num(), groups = elements / 16;
    part(groups * mine / all * 16, groups * (mine + 1) / all * 16);
  }
}

// A loop step under construction, with its arrays.
class Kernels {
 public:
  Program program;
  LoopStep step;
  std::vector<Array> arrays;

  void kernel(int64_t rows, int64_t columns) {
    step.kernels.emplace_back();
    step.kernels.back().rows = rows;
    step.kernels.back().columns = columns;
  }
  BufferId buffer(DType dtype, int64_t elements, double low = -1, double high = 1) {
    Array array(dtype, {elements});
    uint64_t state = 88172645463325252ull + program.buffers.size();
    for (int64_t i = 0; i < elements; ++i) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      array.set(i, low + (high - low) * static_cast<double>(state >> 11) * 0x1p-53);
    }
    program.buffers.push_back(
        {.role = BufferRole::input, .type = array.type(), .name = "", .offset = 0, .in_place_of = -1});
    arrays.push_back(std::move(array));
    return static_cast<BufferId>(arrays.size() - 1);
  }
  int32_t emit(const Instr& instr) {
    step.kernels.back().body.push_back(instr);
    return static_cast<int32_t>(step.kernels.back().body.size()) - 1;
  }
  int32_t add_view(BufferId id, std::vector<int64_t> sizes, std::vector<int64_t> strides) {
    step.kernels.back().views.push_back({id, program.buffers[id].type.dtype, 0, std::move(sizes), std::move(strides)});
    return static_cast<int32_t>(step.kernels.back().views.size()) - 1;
  }
  int32_t add_view(BufferId id) { return add_view(id, {program.buffers[id].type.shape.elements()}, {1}); }
  int32_t load(int32_t view, Level level = Level::element) {
    return emit({.op = LoopOp::load,
                 .level = level,
                 .dtype = step.kernels.back().views[static_cast<size_t>(view)].dtype,
                 .view = view});
  }
  int32_t load(BufferId id, Level level = Level::element) { return load(add_view(id), level); }
  // An element of a one-element buffer for each of `elements`.
  int32_t repeated(BufferId id, int64_t elements) { return load(add_view(id, {elements}, {0})); }
  void store(int32_t value, BufferId id, Level level = Level::element) {
    emit({.op = LoopOp::store,
          .level = level,
          .dtype = program.buffers[id].type.dtype,
          .args = {value, -1, -1},
          .view = add_view(id)});
  }
  int32_t constant(double value, DType dtype = DType::f32) {
    return emit({.op = LoopOp::constant, .dtype = dtype, .number = value});
  }
  int32_t scalar(ScalarOp op, int32_t a, int32_t b = -1, int32_t c = -1) {
    const Instr& of = step.kernels.back().body[static_cast<size_t>(op == ScalarOp::where ? b : a)];
    const bool test = op == ScalarOp::less || op == ScalarOp::equal;
    return emit({.op = LoopOp::scalar,
                 .level = of.level,
                 .dtype = test ? DType::boolean : of.dtype,
                 .scalar = op,
                 .args = {a, b, c}});
  }
  int32_t cast(int32_t a, DType to) {
    const Level level = step.kernels.back().body[static_cast<size_t>(a)].level;
    return emit({.op = LoopOp::scalar, .level = level, .dtype = to, .scalar = ScalarOp::cast, .args = {a, -1, -1}});
  }
  int32_t add(int32_t a, int32_t b) { return scalar(ScalarOp::add, a, b); }
  int32_t mul(int32_t a, int32_t b) { return scalar(ScalarOp::mul, a, b); }
  int32_t sub(int32_t a, int32_t b) { return add(a, scalar(ScalarOp::neg, b)); }
  int32_t spread(int32_t a) {
    return emit(
        {.op = LoopOp::spread, .dtype = step.kernels.back().body[static_cast<size_t>(a)].dtype, .args = {a, -1, -1}});
  }
  int32_t reduce(LoopOp op, int32_t a, Level level) {
    return emit(
        {.op = op, .level = level, .dtype = op == LoopOp::argmax ? DType::i32 : DType::f32, .args = {a, -1, -1}});
  }

  Times time() {
    std::vector<std::byte*> addresses;
    for (Array& array : arrays) addresses.push_back(array.data());
    const TileLaunch launch(step, program, threads);
    return measure([&] { launch.run(addresses.data()); });
  }
};

// --- The cases ---

Kernels adam_kernels(const std::vector<int64_t>& sizes) {
  Kernels k;
  const BufferId rate = k.buffer(DType::f32, 1, 0.001, 0.001), step = k.buffer(DType::f32, 1, 100, 100);
  for (const int64_t n : sizes) {
    k.kernel(1, n);
    const BufferId w = k.buffer(DType::f32, n), m = k.buffer(DType::f32, n), v = k.buffer(DType::f32, n, 0, 1),
                   g = k.buffer(DType::f32, n), half = k.buffer(DType::bf16, n);
    const auto correction = [&](double beta) {
      return k.sub(k.constant(1), k.scalar(ScalarOp::exp, k.mul(k.repeated(step, n), k.constant(std::log(beta)))));
    };
    const int32_t root = k.scalar(ScalarOp::sqrt, correction(0.999));
    const int32_t scale =
        k.scalar(ScalarOp::neg, k.scalar(ScalarOp::div, k.mul(k.repeated(rate, n), root), correction(0.9)));
    const int32_t d = k.load(g);
    const int32_t new_m = k.add(k.mul(k.constant(0.9), k.load(m)), k.mul(k.constant(0.1), d));
    const int32_t new_v = k.add(k.mul(k.constant(0.999), k.load(v)), k.mul(k.constant(0.001), k.mul(d, d)));
    const int32_t below = k.add(k.scalar(ScalarOp::sqrt, new_v), k.mul(k.constant(1e-8), root));
    const int32_t new_w = k.add(k.load(w), k.mul(scale, k.scalar(ScalarOp::div, new_m, below)));
    k.store(new_w, w);
    k.store(new_m, m);
    k.store(new_v, v);
    k.store(new_w, half);
  }
  return k;
}

void adam(const std::string& name, const std::vector<int64_t>& sizes) {
  if (!wanted("Adam")) return;
  int64_t n = 0;
  for (const int64_t size : sizes) n += size;
  Kernels k = adam_kernels(sizes);
  report("Adam " + name, n, 30.0 * static_cast<double>(n), k.time());
  Kernels one = adam_kernels({n});  // fused by hand, as if all parameters were one array
  const auto floats = [&](BufferId id) { return one.arrays[id].as<float>().data(); };
  const AdamArrays arrays{floats(2), floats(3), floats(4), floats(5), one.arrays[6].as<uint16_t>().data(),
                          -0.001f,   1e-8f};
  report("Adam " + name + ", by hand", n, 30.0 * static_cast<double>(n), measure([&] {
           in_threads(n, [&](int64_t begin, int64_t end) { HWY_DYNAMIC_DISPATCH(fused_adam)(arrays, begin, end); });
         }));
}

// dx = dy * gelu'(x) in f32, from bf16 to bf16; with `reduce` also the bias's gradient: the sums of dx down the
// columns.
Kernels gelu_kernels(int64_t rows, int64_t columns, bool reduce, BufferId (&ids)[3]) {
  Kernels k;
  k.kernel(rows, columns);
  for (BufferId& id : ids) id = k.buffer(DType::bf16, rows * columns, -3, 3);
  const int32_t x = k.cast(k.load(ids[0]), DType::f32), dy = k.cast(k.load(ids[1]), DType::f32), one = k.constant(1),
                half = k.constant(0.5);
  const int32_t factor = k.constant(0.797884561), square = k.mul(x, x);
  const int32_t t = k.scalar(ScalarOp::tanh, k.mul(factor, k.add(x, k.mul(k.constant(0.044715), k.mul(x, square)))));
  const int32_t slope = k.mul(factor, k.add(one, k.mul(k.constant(0.134145), square)));
  const int32_t bell = k.mul(k.sub(one, k.mul(t, t)), slope);
  const int32_t d = k.add(k.mul(half, k.add(one, t)), k.mul(k.mul(half, x), bell));
  const int32_t dx = k.mul(dy, d);
  k.store(dx, ids[2]);
  if (reduce) k.store(k.reduce(LoopOp::sum, dx, Level::column), k.buffer(DType::f32, columns), Level::column);
  return k;
}

void gelu(int64_t rows, int64_t columns) {
  if (!wanted("GELU")) return;
  const int64_t n = rows * columns;
  const std::string name = text("GELU backward bf16 ", rows, "x", columns);
  BufferId ids[3];
  Kernels k = gelu_kernels(rows, columns, false, ids);
  report(name, n, 6.0 * static_cast<double>(n), k.time());
  const auto halves = [&](size_t i) { return k.arrays[ids[i]].as<uint16_t>().data(); };
  const GeluArrays arrays{halves(0), halves(1), halves(2)};
  report(name + ", by hand", n, 6.0 * static_cast<double>(n), measure([&] {
           in_threads(n, [&](int64_t begin, int64_t end) { HWY_DYNAMIC_DISPATCH(fused_gelu)(arrays, begin, end); });
         }));
  Kernels sums = gelu_kernels(rows, columns, true, ids);
  report(name + " + bias gradient", n, 6.0 * static_cast<double>(n), sums.time());
}

void cross_entropy(int64_t rows, int64_t columns) {
  const std::string name = text("softmax + cross entropy ", rows, "x", columns);
  if (!wanted(name)) return;
  Kernels k;
  k.kernel(rows, columns);
  const BufferId scores = k.buffer(DType::f32, rows * columns, -5, 5),
                 labels = k.buffer(DType::i32, rows, 0, static_cast<double>(columns) - 0.5);
  const BufferId loss = k.buffer(DType::f32, rows), gradient = k.buffer(DType::bf16, rows * columns);
  const int32_t x = k.load(scores), shifted = k.sub(x, k.spread(k.reduce(LoopOp::max, x, Level::row)));
  const int32_t e = k.scalar(ScalarOp::exp, shifted), total = k.reduce(LoopOp::sum, e, Level::row);
  const int32_t hit =
      k.scalar(ScalarOp::equal, k.emit({.op = LoopOp::iota, .dtype = DType::i32, .inner = 1, .size = columns}),
               k.spread(k.load(labels, Level::row)));
  const int32_t picked =
      k.reduce(LoopOp::max, k.scalar(ScalarOp::where, hit, shifted, k.constant(-HUGE_VAL)), Level::row);
  k.store(k.sub(k.scalar(ScalarOp::log, total), picked), loss, Level::row);
  const int32_t share =
      k.emit({.op = LoopOp::constant, .level = Level::row, .number = 1.0 / static_cast<double>(rows)});
  const int32_t scale = k.spread(k.scalar(ScalarOp::div, share, total));
  k.store(k.add(k.mul(e, scale),
                k.scalar(ScalarOp::where, hit, k.constant(-1.0 / static_cast<double>(rows)), k.constant(0))),
          gradient);
  report(name, rows * columns, 6.0 * static_cast<double>(rows * columns), k.time());
}

void column_sum(int64_t rows, int64_t columns, DType dtype) {
  const std::string name = text("column sum ", dtype, " ", rows, "x", columns);
  if (!wanted(name)) return;
  Kernels k;
  k.kernel(rows, columns);
  const int32_t x = k.cast(k.load(k.buffer(dtype, rows * columns)), DType::f32);
  k.store(k.reduce(LoopOp::sum, x, Level::column), k.buffer(DType::f32, columns), Level::column);
  report(name, rows * columns, static_cast<double>(size_of(dtype)) * static_cast<double>(rows * columns), k.time());
}

void row_sum(int64_t rows, int64_t columns) {
  const std::string name = text("row sum ", rows, "x", columns);
  if (!wanted(name)) return;
  Kernels k;
  k.kernel(rows, columns);
  k.store(k.reduce(LoopOp::sum, k.load(k.buffer(DType::f32, rows * columns)), Level::row), k.buffer(DType::f32, rows),
          Level::row);
  report(name, rows * columns, 4.0 * static_cast<double>(rows * columns), k.time());
}

void layer_norm(int64_t rows, int64_t columns) {
  const std::string name = text("layer norm bf16 ", rows, "x", columns);
  if (!wanted(name)) return;
  Kernels k;
  k.kernel(rows, columns);
  const auto by = [&](int32_t a, double b) {
    return k.mul(a, k.emit({.op = LoopOp::constant, .level = Level::row, .number = b}));
  };
  const int32_t x = k.cast(k.load(k.buffer(DType::bf16, rows * columns)), DType::f32);
  const int32_t centred =
      k.sub(x, k.spread(by(k.reduce(LoopOp::sum, x, Level::row), 1.0 / static_cast<double>(columns))));
  const int32_t variance =
      by(k.reduce(LoopOp::sum, k.mul(centred, centred), Level::row), 1.0 / static_cast<double>(columns));
  const int32_t epsilon = k.emit({.op = LoopOp::constant, .level = Level::row, .number = 1e-5}),
                one = k.emit({.op = LoopOp::constant, .level = Level::row, .number = 1});
  const int32_t inverse = k.scalar(ScalarOp::div, one, k.scalar(ScalarOp::sqrt, k.add(variance, epsilon)));
  const int32_t gain = k.load(k.add_view(k.buffer(DType::f32, columns), {rows, columns}, {0, 1})),
                bias = k.load(k.add_view(k.buffer(DType::f32, columns), {rows, columns}, {0, 1}));
  k.store(k.add(k.mul(k.mul(centred, k.spread(inverse)), gain), bias), k.buffer(DType::bf16, rows * columns));
  report(name, rows * columns, 4.0 * static_cast<double>(rows * columns), k.time());
}

void dropout(int64_t n) {
  if (!wanted("Philox")) return;
  Kernels k;
  k.kernel(1, n);
  const int32_t key = k.add_view(k.buffer(DType::u32, 2, 0, 1e9)),
                counter = k.add_view(k.buffer(DType::u32, 2, 0, 1e9));
  const int32_t bits = k.emit({.op = LoopOp::random_bits, .dtype = DType::u32, .view = key, .view2 = counter});
  const int32_t x = k.cast(k.load(k.buffer(DType::bf16, n)), DType::f32);
  const int32_t kept = k.scalar(ScalarOp::where, k.scalar(ScalarOp::less, bits, k.constant(858993459, DType::u32)),
                                k.constant(0), k.mul(x, k.constant(1.25)));
  k.store(kept, k.buffer(DType::bf16, n));
  report(text("Philox dropout bf16 ", n), n, 4.0 * static_cast<double>(n), k.time());
}

void transpose(int64_t rows, int64_t columns, DType dtype) {
  const std::string name = text("transpose ", dtype, " ", rows, "x", columns);
  if (!wanted(name)) return;
  Kernels k;
  k.kernel(1, rows * columns);
  const BufferId from = k.buffer(dtype, rows * columns), to = k.buffer(dtype, rows * columns);
  k.store(k.load(k.add_view(from, {columns, rows}, {1, columns})), to);
  report(name, rows * columns, 2.0 * static_cast<double>(size_of(dtype)) * static_cast<double>(rows * columns),
         k.time());
}

void bias_relu(int64_t rows, int64_t columns) {
  const std::string name = text("bias + ReLU bf16 ", rows, "x", columns);
  if (!wanted(name)) return;
  Kernels k;
  k.kernel(1, rows * columns);
  const int32_t x = k.cast(k.load(k.buffer(DType::bf16, rows * columns)), DType::f32);
  const int32_t sum = k.add(x, k.load(k.add_view(k.buffer(DType::f32, columns), {rows, columns}, {0, 1}))),
                zero = k.constant(0);
  k.store(k.scalar(ScalarOp::where, k.scalar(ScalarOp::less, sum, zero), zero, sum),
          k.buffer(DType::bf16, rows * columns));
  report(name, rows * columns, 4.0 * static_cast<double>(rows * columns), k.time());
}

void elementary(ScalarOp op, const std::string& name) {
  if (!wanted(name)) return;
  constexpr int64_t n = 1 << 16;
  Kernels k;
  k.kernel(1, n);
  k.store(k.scalar(op, k.load(k.buffer(DType::f32, n, 0.1, 4))), k.buffer(DType::f32, n));
  report(name, n, 8.0 * n, k.time());
}

void all() {
  std::printf("vector target %s, %d threads\n", tile_target().c_str(), threads);
  adam("784-512-10, 4 arrays", {784 * 512, 512, 512 * 10, 16});
  adam("4.2M", {4194304});
  gelu(128, 512);
  gelu(4096, 1024);
  for (const auto& [rows, columns] : {std::pair{128, 10}, {512, 10}, {512, 1000}, {64, 50000}})
    cross_entropy(rows, columns);
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const auto& [rows, columns] : {std::pair{128, 10}, {128, 512}, {512, 1024}, {100000, 10}})
      column_sum(rows, columns, dtype);
  for (const auto& [rows, columns] : {std::pair{128, 10}, {512, 1024}, {1, 1000000}}) row_sum(rows, columns);
  layer_norm(512, 256);
  layer_norm(4096, 384);
  dropout(128 * 512);
  dropout(4194304);
  bias_relu(128, 512);
  bias_relu(4096, 1000);
  for (const DType dtype : {DType::f32, DType::bf16}) transpose(512, 784, dtype);
  const std::pair<ScalarOp, const char*> functions[] = {
      {ScalarOp::exp, "exp"},   {ScalarOp::log, "log"}, {ScalarOp::tanh, "tanh"}, {ScalarOp::erf, "erf"},
      {ScalarOp::sqrt, "sqrt"}, {ScalarOp::sin, "sin"}, {ScalarOp::add, "neg"}};
  for (const auto& [op, name] : functions) elementary(op == ScalarOp::add ? ScalarOp::neg : op, name);
}

}  // namespace

}  // namespace descent::cpu

int main(int argc, char** argv) {
  if (argc > 1) descent::cpu::threads = std::max(1, std::atoi(argv[1]));
  if (argc > 2) descent::cpu::filter = argv[2];
  descent::set_thread_count(descent::cpu::threads);
  const descent::SubnormalsFlushed flushed;
  descent::cpu::all();
}

#endif
