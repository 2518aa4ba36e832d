// What the commands share: each has a file of its own and adds itself to the program.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>

namespace descent::cli {

using Json = nlohmann::ordered_json;

// Registered in the order in which the help lists them.
void add_train(CLI::App& program);
void add_evaluate(CLI::App& program);
void add_predict(CLI::App& program);
void add_fit(CLI::App& program);
void add_inspect(CLI::App& program);
void add_data(CLI::App& program);
void add_ops(CLI::App& program);
void add_check(CLI::App& program);
void add_bench(CLI::App& program);
void add_devices(CLI::App& program);

// With --json: one object as the last line of standard output.
void print_json(const Json& object);

}  // namespace descent::cli
