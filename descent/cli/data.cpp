// descent data list | get NAME | show NAME
#include <fmt/format.h>

#include <memory>

#include "descent/cli/command.h"
#include "descent/data/catalogue.h"

namespace descent::cli {

namespace {

namespace catalogue = data::catalogue;

void list(bool json) {
  Json out = Json::array();
  for (const catalogue::Entry& entry : catalogue::list()) {
    const bool here = catalogue::is_cached(entry);
    if (json) out.push_back({{"name", entry.name}, {"summary", entry.summary}, {"cached", here}});
    else fmt::print("{:<20} {:<8} {}\n", entry.name, here ? "here" : "", entry.summary);
  }
  if (json) print_json({{"data", out}});
}

void get(const std::string& name, bool json) {
  catalogue::Options options = catalogue::Options::from_environment();
  const std::string path = catalogue::get(name, options).string();
  if (json) print_json({{"name", name}, {"path", path}});
  else fmt::print("{}\n", path);
}

}  // namespace

void add_data(CLI::App& program) {
  CLI::App* command = program.add_subcommand("data", "Known data sets: list, get, show");
  command->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* list_command = command->add_subcommand("list", "all of them");
  list_command->add_flag("--json", *json);
  list_command->callback([json] { list(*json); });
  CLI::App* get_command = command->add_subcommand("get", "fetch one; prints where it lies");
  get_command->add_option("name", *name)->required();
  get_command->add_flag("--json", *json);
  get_command->callback([name, json] { get(*name, *json); });
  CLI::App* show_command = command->add_subcommand("show", "what is known of one");
  show_command->add_option("name", *name)->required();
  show_command->callback([name] { fmt::print("{}\n", catalogue::show(catalogue::find(*name))); });
}

}  // namespace descent::cli
