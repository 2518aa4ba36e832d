// descent check [FILTER]
#include "descent/check/check.h"

#include <fmt/format.h>
#include <unistd.h>

#include "descent/check/backend_device.h"
#include "descent/cli/command.h"
#include "descent/runtime/backend.h"

namespace descent::cli {

namespace {

struct CheckFlags {
  std::string filter;
  bool verbose = false, list = false, json = false;
};

check::Options options_for(const CheckFlags& flags) {
  check::Options options;
  options.filter = flags.filter;
  for (Backend* backend : backends()) options.devices.push_back(check::backend_device(*backend));
  return options;
}

std::string line_of(const check::Result& result) {
  const char* verdict = !result.ok ? "FAILED" : result.hole ? "hole" : "ok";
  return fmt::format("{:<6} {}{}{}", verdict, result.name, result.message.empty() ? "" : ": ", result.message);
}

void list_cells(const check::Options& options) {
  for (const check::Cell& cell : check::cells(options)) fmt::print("{}\n", cell.name);
}

void run_check(const CheckFlags& flags) {
  check::Options options = options_for(flags);
  if (flags.list) return list_cells(options);
  const bool terminal = !flags.json && isatty(STDERR_FILENO) != 0;
  int64_t done = 0;
  options.report = [&](const check::Result& result) {
    if (terminal && ++done % 50 == 0) fmt::print(stderr, "\r\033[K{} {:.70}", done, result.name);
    if (!result.ok)
      fmt::print(stderr, "{}{}\n", terminal ? "\r\033[K" : "", line_of(result));
    else if (flags.verbose && !flags.json)
      fmt::print("{}\n", line_of(result));
  };
  const std::vector<check::Result> results = check::run(options);
  if (terminal) fmt::print(stderr, "\r\033[K");
  if (results.empty())
    throw UsageError(text("no check matches '", flags.filter, "' (descent check --list tells them)"));
  int64_t failed = 0, holes = 0;
  Json failures = Json::array();
  for (const check::Result& result : results) {
    failed += !result.ok;
    holes += result.hole;
    if (!result.ok) failures.push_back({{"name", result.name}, {"message", result.message}});
  }
  const auto count = static_cast<int64_t>(results.size());
  if (flags.json)
    print_json({{"passed", count - failed}, {"failed", failed}, {"holes", holes}, {"failures", failures}});
  else
    fmt::print("{}\n", check::totals(results));
  if (failed > 0) throw QuietFailure{};
}

}  // namespace

void add_check(CLI::App& program) {
  auto flags = std::make_shared<CheckFlags>();
  CLI::App* command =
      add_command(program, "check", "check every op against its meaning, on every device", flags, run_check);
  command->add_option("filter", flags->filter,
                      "part of OP/SAMPLE/DTYPE/LAYOUT/CHECK/DEVICE, or a pattern with * and ?");
  command->add_flag("--list", flags->list, "name the checks, run none");
  command->add_flag("--verbose", flags->verbose, "a line for each check");
}

}  // namespace descent::cli
