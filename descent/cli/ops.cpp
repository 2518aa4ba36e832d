// descent ops [NAME], descent check [FILTER], descent devices
#include <fmt/format.h>

#include <memory>

#include "descent/check/backend_device.h"
#include "descent/check/check.h"
#include "descent/cli/command.h"
#include "descent/ops/registry.h"
#include "descent/runtime/backend.h"

namespace descent::cli {

namespace {

constexpr std::string_view class_names[] = {"leaf", "elementwise", "view", "reduce", "index", "contraction", "composite"};

void show_ops(const std::string& name) {
  if (!name.empty() && find_op(name) == nullptr) {
    std::vector<std::string> known;
    for (const OpDef* op : registry()) known.emplace_back(op->name);
    throw UsageError(text("there is no op '", name, "'", did_you_mean(name, known)));
  }
  for (const OpDef* op : registry())
    if (name.empty() || op->name == name) fmt::print("{:<24} {:<12} {}\n", op->name, class_names[static_cast<size_t>(op->op_class)], op->summary);
}

void run_check(const std::string& filter, bool json) {
  check::Options options;
  options.filter = filter;
  for (Backend* backend : backends()) options.devices.push_back(check::backend_device(*backend));
  int64_t passed = 0, failed = 0;
  options.report = [&](const check::Result& result) {
    ++(result.ok ? passed : failed);
    if (!result.ok) fmt::print(stderr, "FAILED {}: {}\n", result.name, result.message);
  };
  check::run(options);
  if (json) print_json({{"passed", passed}, {"failed", failed}});
  else fmt::print("{} passed, {} failed\n", passed, failed);
  if (passed + failed == 0) throw UsageError(text("no check matches '", filter, "'"));
  if (failed > 0) fail(text(failed, " checks failed"));
}

}  // namespace

void add_ops(CLI::App& program) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = program.add_subcommand("ops", "The ops: what each means");
  command->add_option("name", *name, "one of them");
  command->callback([name] { show_ops(*name); });
}

void add_check(CLI::App& program) {
  auto filter = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* command = program.add_subcommand("check", "Check every op against its meaning, on every device");
  command->add_option("filter", *filter, "a part of OP/SAMPLE/DTYPE/LAYOUT/CHECK/DEVICE, or a pattern with * and ?");
  command->add_flag("--json", *json);
  command->callback([filter, json] { run_check(*filter, *json); });
}

void add_devices(CLI::App& program) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = program.add_subcommand("devices", "What this machine computes with");
  command->add_flag("--json", *json);
  command->callback([json] {
    Json out = Json::array();
    for (const Backend* backend : backends()) {
      if (*json) out.push_back({{"name", backend->name()}, {"description", backend->describe()}, {"fast_bf16", backend->fast_bf16()}});
      else fmt::print("{}: {}\n", backend->name(), backend->describe());
    }
    if (*json) print_json({{"devices", out}});
  });
}

}  // namespace descent::cli
