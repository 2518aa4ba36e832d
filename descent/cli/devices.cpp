// descent devices, descent version
#include <fmt/format.h>

#include "descent/cli/command.h"
#include "descent/runtime/backend.h"

namespace descent::cli {

namespace {

struct NoFlags {
  bool json = false;
};

void run_devices(const NoFlags& flags) {
  Json all = Json::array();
  for (const Backend* backend : backends()) {
    all.push_back({{"name", backend->name()},
                   {"description", backend->describe()},
                   {"fast_bf16", backend->fast_bf16()},
                   {"default", backend == &default_backend()}});
    if (!flags.json) fmt::print("{}: {}\n", backend->name(), backend->describe());
  }
  if (flags.json) print_json({{"devices", all}});
}

void run_version(const NoFlags& flags) {
  if (flags.json)
    print_json({{"version", DESCENT_VERSION}, {"compiler", __VERSION__}});
  else
    fmt::print("descent {} ({})\n", DESCENT_VERSION, __VERSION__);
}

}  // namespace

void add_devices(CLI::App& program) {
  add_command(program, "devices", "what this machine computes with", std::make_shared<NoFlags>(), run_devices);
}

void add_version(CLI::App& program) {
  add_command(program, "version", "which Descent this is", std::make_shared<NoFlags>(), run_version);
}

}  // namespace descent::cli
