// The program `descent`.
#include <cstdio>
#include <iostream>

#include "descent/base/error.h"
#include "descent/cli/command.h"

namespace descent::cli {

void print_json(const Json& object) { std::cout << object.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl; }

namespace {

int run(int argc, char** argv) {
  CLI::App program("Descent: turns examples into a function, and lets you take the function with you.", "descent");
  program.require_subcommand(1);
  program.set_version_flag("--version", "descent 0.1.0");
  for (auto* add : {add_train, add_evaluate, add_predict, add_fit, add_inspect, add_data, add_ops, add_check, add_bench, add_devices}) add(program);
  try {
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  } catch (const UsageError& error) {
    std::cerr << "descent: " << error.what() << std::endl;
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "descent: " << error.what() << std::endl;
    return 1;
  }
}

}  // namespace

}  // namespace descent::cli

int main(int argc, char** argv) { return descent::cli::run(argc, argv); }
