#include "descent/cli/session.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "descent/io/checkpoint.h"

namespace descent::cli {

nn::Precision precision_from(const std::string& name) {
  return name == "f32" ? nn::Precision::f32 : name == "bf16" ? nn::Precision::bf16 : nn::Precision::automatic;
}

std::string precision_reason(nn::Precision precision) {
  const bool bf16 = nn::use_bf16(precision);
  if (precision != nn::Precision::automatic) return fmt::format("{}, as asked for", bf16 ? "bf16" : "f32");
  return bf16 ? "bf16, because the processor multiplies bf16 matrices faster than f32 ones" : "f32, because the processor has no fast bf16 products";
}

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string bar(double part) {
  std::string out(24, '.');
  std::fill(out.begin(), out.begin() + static_cast<int64_t>(part * 24), '=');
  return out;
}

}  // namespace

void ProgressPrinter::operator()(const train::Progress& p) {
  if (p.validation) {
    std::string line = fmt::format("epoch {:3}/{}  loss {:.4f}", p.epoch + 1, p.epochs, p.loss);
    if (!std::isnan(p.metric)) line += fmt::format("  {} {:.4f}", metric_, p.metric);
    for (const auto& [name, value] : *p.validation) line += fmt::format("  validation {} {:.4f}", name, value);
    fmt::print(stderr, "{}{}\n", terminal_ ? "\r\033[K" : "", line);
    return;
  }
  if (!terminal_ || now() - last_ < 0.1) return;
  last_ = now();
  fmt::print(stderr, "\r\033[Kepoch {:3}/{} [{}] loss {:.4f}  {:.0f} examples/s  {:.0f} s left", p.epoch + 1, p.epochs,
             bar(static_cast<double>(p.batch) / static_cast<double>(p.batches)), p.loss, p.samples_per_second, p.seconds_left);
}

Json scores_json(const train::Scores& scores) {
  Json out = Json::object();
  for (const auto& [name, value] : scores) out[name] = value;
  return out;
}

Json report_json(tasks::Prepared& prepared, const train::Report& report, const std::filesystem::path& directory) {
  train::Scores test;
  if (prepared.splits.test.size() > 0) test = prepared.trainer.evaluate(prepared.splits.test, prepared.options.precision);
  return {{"run", directory.string()},
          {"seed", prepared.options.seed},
          {"epochs", report.epochs},
          {"steps", report.steps},
          {"seconds", report.seconds},
          {"samples_per_second", report.samples_per_second},
          {"precision", report.precision},
          {"interrupted", report.interrupted},
          {"stopped_early", report.stopped_early},
          {"train", scores_json(report.train)},
          {"validation", scores_json(report.validation)},
          {"test", scores_json(test)},
          {"weights_sha256", io::weights_sha256(prepared.trainer.weights())}};
}

void print_report(const Json& out, const tasks::Prepared&, const train::Report& report) {
  for (const char* part : {"train", "validation", "test"}) {
    if (out[part].empty()) continue;
    fmt::print("{:<11}", part);
    for (const auto& [name, value] : out[part].items()) fmt::print(" {} {:.4f}", name, value.get<double>());
    fmt::print("\n");
  }
  fmt::print("{} epochs, {} steps in {:.1f} s, {:.0f} examples/s, {}\n", report.epochs, report.steps, report.seconds, report.samples_per_second, report.precision);
  fmt::print("run: {}{}\n", out["run"].get<std::string>(), report.interrupted ? " (interrupted; go on with descent train --resume)" : "");
}

}  // namespace descent::cli
