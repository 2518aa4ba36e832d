// descent bench [FILTER]: what this machine can do, how fast whole training steps are beside it, and how fast images
// are made ready for them.
#include <fmt/format.h>

#include <functional>

#include "descent/base/threads.h"
#include "descent/check/check.h"
#include "descent/check/roofline.h"
#include "descent/cli/bench_data.h"
#include "descent/cli/bench_generation.h"
#include "descent/cli/command.h"
#include "descent/data/dataset.h"
#include "descent/data/random.h"
#include "descent/nn/activations.h"
#include "descent/nn/layers.h"
#include "descent/nn/linear.h"
#include "descent/tasks/run.h"
#include "descent/train/timing.h"

namespace descent::cli {

namespace {

struct BenchFlags {
  std::string filter, recipe;
  std::vector<std::string> sets;
  double seconds = 2;
  int threads = 0;
  bool kernels = false, list = false, json = false;
};

// --- whole steps of dense classifiers on random images: bytes in, weights out ---

struct StepEntry {
  std::string name;
  std::vector<int64_t> sizes;
  int64_t batch;
  nn::Precision precision;
};

std::vector<StepEntry> step_entries() {
  std::vector<StepEntry> out;
  for (const auto& [sizes, batch] : {std::pair{std::vector<int64_t>{784, 512, 10}, int64_t{128}},
                                     std::pair{std::vector<int64_t>{784, 1024, 1024, 10}, int64_t{512}}})
    for (const nn::Precision precision : {nn::Precision::f32, nn::Precision::bf16}) {
      if (precision == nn::Precision::bf16 && !default_backend().fast_bf16()) continue;
      out.push_back({fmt::format("train/{}/b{}/{}", fmt::join(sizes, "-"), batch,
                                 precision == nn::Precision::bf16 ? "bf16" : "f32"),
                     sizes, batch, precision});
    }
  return out;
}

data::Dataset random_images(int64_t pixels, int64_t classes, int64_t count = 60000) {
  data::RandomStream draw(1);
  data::Dataset out{Array(DType::u8, {count, pixels}), Array(DType::i32, {count}), data::numbered_classes(classes), {}};
  for (uint8_t& byte : out.inputs.as<uint8_t>()) byte = static_cast<uint8_t>(draw.bits());
  for (int32_t& label : out.targets.as<int32_t>()) label = static_cast<int32_t>(draw.below(classes));
  return out;
}

nn::Sequential dense_net(const std::vector<int64_t>& sizes) {
  const float scale = 1 / 77.0F, shift = -0.4F;
  std::vector<nn::Layer> layers{nn::Normalize(std::span(&scale, 1), std::span(&shift, 1))};
  for (size_t i = 1; i < sizes.size(); ++i) {
    layers.emplace_back(nn::Linear{sizes[i]});
    if (i + 1 < sizes.size()) layers.emplace_back(nn::ReLU{});
  }
  return nn::Sequential(std::move(layers));
}

train::StepTiming time_entry(const StepEntry& entry, const BenchFlags& flags) {
  nn::Sequential net = dense_net(entry.sizes);
  return train::time_steps(
      net, nn::cross_entropy, optim::Adam{}, random_images(entry.sizes.front(), entry.sizes.back()),
      {.batch_size = entry.batch, .precision = entry.precision}, {.seconds = flags.seconds, .kernels = flags.kernels});
}

// A step on colour images that are changed anew each time: does it wait for them?
train::StepTiming time_augmented(const BenchFlags& flags) {
  constexpr int64_t count = 20000, side = 32, channels = 3, classes = 10;
  nn::Sequential net = dense_net({side * side * channels, 1024, classes});
  data::Dataset images = random_images(side * side * channels, classes, count);
  images.inputs = images.inputs.reshaped({count, side, side, channels});
  nn::Sequential whole{nn::Flatten{}, std::move(net)};
  return train::time_steps(whole, nn::cross_entropy, optim::Adam{}, images,
                           {.batch_size = 512, .augment = usual_augmentation()},
                           {.seconds = flags.seconds, .kernels = flags.kernels});
}

train::StepTiming time_recipe(const BenchFlags& flags) {
  const tasks::Recipe recipe = tasks::read_recipe(flags.recipe, flags.sets);
  const tasks::Experiment experiment = tasks::prepare(recipe);
  return train::time_steps(*experiment.net, experiment.loss, experiment.optimizer, experiment.splits.train,
                           experiment.fit_options(), {.seconds = flags.seconds, .kernels = flags.kernels});
}

// --- output ---

Json report(const std::string& name, const check::Measurement& result, bool json) {
  if (!json) fmt::print("{:<36} best {:>9.1f}  median {:>9.1f} {}\n", name, result.best, result.median, result.unit);
  return {{"name", name}, {"best", result.best}, {"median", result.median}, {"unit", result.unit}};
}

void print_kernels(const train::StepTiming& timing) {
  for (const Executable::StepTime& time : timing.kernels)
    fmt::print("{:>12.1f} us  {:<28} {}\n", time.runs > 0 ? time.seconds / static_cast<double>(time.runs) * 1e6 : 0,
               time.kernel, time.label);
}

Json report(const std::string& name, const train::StepTiming& timing, bool json) {
  if (!json) {
    fmt::print(
        "{:<36} best {:>9.1f}  median {:>9.1f} us/step  {:>9.0f} samples/s  {:.0f} GFLOP/s  {:.1f}% waiting for data\n",
        name, timing.best_seconds * 1e6, timing.median_seconds * 1e6, timing.samples_per_second, timing.gflops,
        100 * timing.data_share);
    print_kernels(timing);
  }
  return {{"name", name},
          {"best", timing.best_seconds * 1e6},
          {"median", timing.median_seconds * 1e6},
          {"unit", "us/step"},
          {"batch_size", timing.batch_size},
          {"samples_per_second", timing.samples_per_second},
          {"gflops", timing.gflops},
          {"data_share", timing.data_share},
          {"steps", timing.steps}};
}

Json report_images(const DataBench& bench, const BenchFlags& flags) {
  const check::Measurement result = measure(bench, flags.seconds / 4);
  Json out = report(bench.name, result, flags.json);
  out["images_per_second"] = 1e6 / result.median;
  if (!flags.json) fmt::print("{:<36} {:>14.0f} images/s\n", "", 1e6 / result.median);
  return out;
}

Json report_generation(const GenerationBench& bench, const BenchFlags& flags) {
  const GenerationResult result = measure(bench, flags.seconds);
  const double each = result.speed.bytes_per_token / 1e6;
  if (!flags.json)
    fmt::print("{:<36} {:>14.0f} tokens/s, {:.1f} MB of weights each: {:.0f}% of the {:.0f} GB/s of memory\n",
               bench.name, result.speed.tokens_per_second, each, 100 * result.share(), result.memory.best);
  return {{"name", bench.name},
          {"tokens_per_second", result.speed.tokens_per_second},
          {"bytes_per_token", result.speed.bytes_per_token},
          {"memory_gb_per_second", result.memory.best},
          {"share_of_memory", result.share()}};
}

struct Bench {
  std::string name;
  std::function<Json(const BenchFlags&)> run;  // prints its line unless flags.json
};

std::vector<Bench> benches(const BenchFlags& flags) {
  if (!flags.recipe.empty())
    return {{flags.recipe, [](const BenchFlags& f) { return report(f.recipe, time_recipe(f), f.json); }}};
  std::vector<Bench> out;
  for (const check::RooflineEntry& entry : check::roofline())
    out.push_back({"roofline/" + entry.name,
                   [entry](const BenchFlags& f) { return report("roofline/" + entry.name, entry.measure(), f.json); }});
  for (const StepEntry& entry : step_entries())
    out.push_back(
        {entry.name, [entry](const BenchFlags& f) { return report(entry.name, time_entry(entry, f), f.json); }});
  for (const DataBench& entry : data_benches())
    out.push_back({entry.name, [entry](const BenchFlags& f) { return report_images(entry, f); }});
  for (const GenerationBench& entry : generation_benches())
    out.push_back({entry.name, [entry](const BenchFlags& f) { return report_generation(entry, f); }});
  const std::string fed = "data/step/32x32x3/b512";
  out.push_back({fed, [fed](const BenchFlags& f) { return report(fed, time_augmented(f), f.json); }});
  std::erase_if(out, [&](const Bench& bench) { return !check::matches(bench.name, flags.filter); });
  if (out.empty())
    throw UsageError(text("no benchmark matches '", flags.filter, "' (descent bench --list tells them)"));
  return out;
}

void run_bench(const BenchFlags& flags) {
  if (flags.threads > 0) set_thread_count(flags.threads);
  const std::vector<Bench> wanted = benches(flags);
  if (flags.list) {
    for (const Bench& bench : wanted) fmt::print("{}\n", bench.name);
    return;
  }
  if (!flags.json) fmt::print("{}\n", default_backend().describe());
  Json all = Json::array();
  for (const Bench& bench : wanted) all.push_back(bench.run(flags));
  if (flags.json) print_json({{"device", default_backend().describe()}, {"results", all}});
}

}  // namespace

void add_bench(CLI::App& program) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* command = add_command(
      program, "bench",
      "measure this machine (roofline), whole training steps (train), generation (generate) and augmentation (data)",
      flags, run_bench);
  command->add_option("filter", flags->filter, "part of a benchmark's name, or a pattern with * and ?");
  command->add_option("--recipe", flags->recipe, "time the steps of this recipe instead");
  command->add_option("--set", flags->sets, "KEY=VALUE: a key of that recipe");
  command->add_option("--seconds", flags->seconds, "how long to time steps (default 2)")->check(CLI::PositiveNumber);
  command->add_option("--threads", flags->threads, "of a step")->check(CLI::Range(1, 1024));
  command->add_flag("--kernels", flags->kernels, "also where a step's time goes");
  command->add_flag("--list", flags->list, "name the benchmarks, run none");
}

}  // namespace descent::cli
