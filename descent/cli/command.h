// What the commands share: each has a file of its own and adds itself to the program.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "descent/base/text.h"
#include "descent/train/metrics.h"

namespace descent::cli {

using Json = nlohmann::ordered_json;

// What every command takes, and the way it ends. A command's work throws UsageError (exit code 2), any other exception
// (1), or calls fail_quietly() after it has said itself what was wrong.
struct Common {
  bool json = false;
};

// A subcommand with --json that runs `work` with its flags.
template <class Flags>
CLI::App* add_command(CLI::App& program, const std::string& name, const std::string& about,
                      const std::shared_ptr<Flags>& flags, void (*work)(const Flags&)) {
  CLI::App* command = program.add_subcommand(name, about);
  command->add_flag("--json", flags->json, "print one JSON object as the last line of standard output");
  command->callback([flags, work] { work(*flags); });
  return command;
}

// Thrown when the result is printed already and the exit code is 1.
struct QuietFailure {};

// In the order in which the help lists them.
void add_train(CLI::App& program);
void add_evaluate(CLI::App& program);
void add_predict(CLI::App& program);
void add_listen(CLI::App& program);
void add_generate(CLI::App& program);
void add_chat(CLI::App& program);
void add_play(CLI::App& program);
void add_fit(CLI::App& program);
void add_study(CLI::App& program);
void add_inspect(CLI::App& program);
void add_data(CLI::App& program);
void add_data_tokens(CLI::App& data);  // a command of `data`
void add_ops(CLI::App& program);
void add_check(CLI::App& program);
void add_bench(CLI::App& program);
void add_devices(CLI::App& program);
void add_version(CLI::App& program);

// One line of standard output, and flushed: what --json ends with.
void print_json(const Json& object);

Json to_json(const train::Figures& figures);
std::string to_text(const train::Figures& figures);  // "loss 0.0712  accuracy 0.9814"

// What standard error is told at the start of a run: "precision bf16: ..." with the reason and the machine.
std::string precision_text(const std::string& asked, bool bf16);

}  // namespace descent::cli
