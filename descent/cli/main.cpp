// The program `descent`. Exit codes: 0, 1 (failed), 2 (bad usage).
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>

#include "descent/base/error.h"
#include "descent/cli/command.h"

namespace descent::cli {

namespace {

constexpr int failed = 1, bad_usage = 2;

void add_commands(CLI::App& program) {
  const auto commands = {add_train, add_evaluate, add_predict, add_listen,  add_generate, add_chat,
                         add_play,  add_fit,      add_study,   add_inspect, add_data,     add_ops,
                         add_check, add_bench,    add_devices, add_version};
  for (const auto add : commands) add(program);
}

bool wants_json(int argc, char** argv) {
  return std::any_of(argv + 1, argv + argc, [](std::string_view argument) { return argument == "--json"; });
}

// CLI11 only says that a subcommand is missing.
void check_command(const CLI::App& program, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> known;
  for (const CLI::App* command : program.get_subcommands({})) known.push_back(command->get_name());
  const std::string name = argv[1];
  if (std::ranges::find(known, name) != known.end()) return;
  const std::string near = did_you_mean(name, known);
  throw UsageError(
      text("there is no command '", name, "'", near.empty() ? text("; there are ", join(known, ", ")) : near));
}

int complain(const std::string& sentence, int code, bool json) {
  fmt::print(stderr, "descent: {}\n", sentence);
  if (json) print_json({{"error", sentence}, {"exit_code", code}});
  return code;
}

// CLI11 prints help and the version itself; its complaints get our form.
int usage(const CLI::App& program, const CLI::ParseError& error, bool json) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return program.exit(error);
  return complain(fmt::format("{} (descent --help tells more)", error.what()), bad_usage, json);
}

int run(int argc, char** argv) {
  CLI::App program("Descent: turns examples into a function, and lets you take the function with you.", "descent");
  program.require_subcommand(1);
  program.set_version_flag("--version", "descent " DESCENT_VERSION);
  program.get_formatter()->column_width(34);
  add_commands(program);
  const bool json = wants_json(argc, argv);
  try {
    check_command(program, argc, argv);
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return usage(program, error, json);
  } catch (const QuietFailure&) {
    return failed;
  } catch (const UsageError& error) {
    return complain(error.what(), bad_usage, json);
  } catch (const std::bad_alloc&) {
    return complain("there is not enough memory", failed, json);
  } catch (const std::exception& error) {
    return complain(error.what(), failed, json);
  }
}

}  // namespace

}  // namespace descent::cli

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error like a full disk
  return descent::cli::run(argc, argv);
}
