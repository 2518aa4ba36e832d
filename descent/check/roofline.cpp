#include "descent/check/roofline.h"

#include <algorithm>
#include <chrono>

#include "descent/ops/ops.h"
#include "descent/runtime/compiled_step.h"

namespace descent::check {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// `work` a run, in `unit` per second, over as many runs as fit in.
Measurement measured(CompiledStep& step, double work, std::string unit, double seconds) {
  std::vector<double> times;
  step.run();
  for (const Clock::time_point begin = Clock::now(); times.size() < 5 || seconds_since(begin) < seconds;) {
    const Clock::time_point start = Clock::now();
    step.run();
    times.push_back(seconds_since(start));
  }
  std::ranges::sort(times);
  return {work / times.front(), work / times[times.size() / 2], std::move(unit)};
}

// Small numbers of both signs: sums stay finite, and no product is subnormal.
Array filled(const Type& type) {
  Array out(type);
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, static_cast<double>(i % 17) / 8 - 1);
  return out;
}

}  // namespace

Measurement measure_product(DType dtype, int64_t size, Backend& backend, double seconds) {
  Graph graph;
  const Type type{dtype, {size, size}};
  const Tensor a = input(graph, "a", type), b = input(graph, "b", type);
  const Value result = apply<Matmul>({a, b}, {{"to", DType::f32}}, {}).value();
  CompiledStep step(graph, std::span(&result, 1), {}, backend);
  step.bind("a", filled(type));
  step.bind("b", filled(type));
  const auto n = static_cast<double>(size);
  return measured(step, 2 * n * n * n / 1e9, "GFLOP/s", seconds);
}

Measurement measure_update(int64_t bytes, Backend& backend, double seconds) {
  Graph graph;
  const Type type{DType::f32, {bytes / 4}};
  const Value result = (input(graph, "x", type) * 0.999).value();
  CompiledStep step(graph, std::span(&result, 1), {.updates = {{0, "x"}}}, backend);
  step.bind("x", Array::full(type, 1));
  return measured(step, 2 * static_cast<double>(bytes) / 1e9, "GB/s", seconds);
}

Measurement measure_read(int64_t bytes, Backend& backend, double seconds) {
  constexpr int64_t row = 4096;
  Graph graph;
  const Type type{DType::f32, {std::max<int64_t>(1, bytes / 4 / row), row}};
  const Value result = sum(input(graph, "x", type), {1}).value();
  CompiledStep step(graph, std::span(&result, 1), {}, backend);
  step.bind("x", Array::full(type, 1));
  return measured(step, static_cast<double>(type.bytes()) / 1e9, "GB/s", seconds);
}

Measurement measure_peak(DType dtype, Backend& backend, double seconds) {
  const double peak = backend.matrix_peak(dtype, seconds) / 1e9;
  return {peak, peak, "GFLOP/s"};
}

std::vector<RooflineEntry> roofline(Backend& backend) {
  std::vector<RooflineEntry> out;
  for (const DType dtype : {DType::f32, DType::bf16})
    if (dtype == DType::f32 || backend.fast_bf16())
      out.push_back({text("peak/", dtype), [=, &backend] { return measure_peak(dtype, backend); }});
  for (const DType dtype : {DType::f32, DType::bf16}) {
    if (dtype == DType::bf16 && !backend.fast_bf16()) continue;
    for (const int64_t size : {64, 256, 512, 1024, 2048})
      out.push_back(
          {text("product/", dtype, "/", size), [=, &backend] { return measure_product(dtype, size, backend); }});
  }
  for (const int64_t kilobytes : {16, 256, 1024, 4096, 16384, 65536, 262144})
    out.push_back({text("update/", kilobytes < 1024 ? text(kilobytes, "kB") : text(kilobytes / 1024, "MB")),
                   [=, &backend] { return measure_update(kilobytes << 10, backend); }});
  for (const int64_t megabytes : {1, 16, 64, 256})
    out.push_back({text("read/", megabytes, "MB"), [=, &backend] { return measure_read(megabytes << 20, backend); }});
  return out;
}

}  // namespace descent::check
