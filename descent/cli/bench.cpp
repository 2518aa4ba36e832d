// descent bench [FILTER]: what this machine can do, and how near the kernels come to it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>

#include "descent/cli/command.h"
#include "descent/ops/ops.h"
#include "descent/runtime/compiled_step.h"

namespace descent::cli {

namespace {

// Seconds of one run: the best and the median of as many as fit into a third of a second.
struct Timing {
  double best = 0, median = 0;
};

Timing timed(CompiledStep& step) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  step.run();
  for (const Clock::time_point begin = Clock::now(); seconds.size() < 5 || std::chrono::duration<double>(Clock::now() - begin).count() < 0.33;) {
    const Clock::time_point start = Clock::now();
    step.run();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::ranges::sort(seconds);
  return {seconds.front(), seconds[seconds.size() / 2]};
}

Array filled(const Type& type) {
  Array out(type);
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, static_cast<double>(i % 17) / 8 - 1);
  return out;
}

struct Result {
  double value = 0, median = 0;
  std::string unit;
};

Result product(int64_t size, DType dtype) {
  Graph graph;
  const Tensor a = input(graph, "a", {dtype, {size, size}}), b = input(graph, "b", {dtype, {size, size}});
  const Value result = apply<Matmul>({a, b}, {{"to", DType::f32}}, {}).value();
  CompiledStep step(graph, std::span(&result, 1), {});
  step.bind("a", filled(a.type()));
  step.bind("b", filled(b.type()));
  const Timing timing = timed(step);
  const double flops = 2.0 * static_cast<double>(size * size) * static_cast<double>(size);
  return {flops / timing.best / 1e9, flops / timing.median / 1e9, "GFLOP/s"};
}

// Reads an array and writes it back, in place: the traffic of an optimiser.
Result update(int64_t bytes) {
  Graph graph;
  const Tensor x = input(graph, "x", {DType::f32, {bytes / 4}});
  const Value result = (x * 0.5).value();
  CompiledStep step(graph, std::span(&result, 1), {.updates = {{0, "x"}}});
  step.bind("x", Array(x.type()));
  const Timing timing = timed(step);
  return {2.0 * static_cast<double>(bytes) / timing.best / 1e9, 2.0 * static_cast<double>(bytes) / timing.median / 1e9, "GB/s"};
}

struct Entry {
  std::string name;
  std::function<Result()> run;
};

std::vector<Entry> entries() {
  std::vector<Entry> out;
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const int64_t size : {128, 512, 1024}) {
      if (dtype == DType::bf16 && !default_backend().fast_bf16()) continue;
      out.push_back({fmt::format("roofline/product/{}/{}", to_text(dtype), size), [size, dtype] { return product(size, dtype); }});
    }
  for (const int64_t megabytes : {1, 4, 16, 64, 256})
    out.push_back({fmt::format("roofline/update/{}MB", megabytes), [megabytes] { return update(megabytes << 20); }});
  return out;
}

void run_bench(const std::string& filter, bool json) {
  Json all = Json::array();
  if (!json) fmt::print("{}\n", default_backend().describe());
  for (const Entry& entry : entries()) {
    if (entry.name.find(filter) == std::string::npos) continue;
    const Result result = entry.run();
    all.push_back({{"name", entry.name}, {"best", result.value}, {"median", result.median}, {"unit", result.unit}});
    if (!json) fmt::print("{:<32} best {:>9.1f}  median {:>9.1f} {}\n", entry.name, result.value, result.median, result.unit);
  }
  if (all.empty()) throw UsageError(text("no benchmark matches '", filter, "'"));
  if (json) print_json({{"device", default_backend().describe()}, {"results", all}});
}

}  // namespace

void add_bench(CLI::App& program) {
  auto filter = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* command = program.add_subcommand("bench", "Measure what this machine can do: matrix products, memory");
  command->add_option("filter", *filter, "a part of a benchmark's name");
  command->add_flag("--json", *json);
  command->callback([filter, json] { run_bench(*filter, *json); });
}

}  // namespace descent::cli
