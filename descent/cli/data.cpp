// descent data list | get NAME | show NAME
#include <fmt/format.h>

#include "descent/cli/command.h"
#include "descent/data/catalogue.h"

namespace descent::cli {

namespace {

namespace catalogue = data::catalogue;

struct DataFlags {
  std::string name;
  bool json = false;
};

void run_list(const DataFlags& flags) {
  Json all = Json::array();
  for (const catalogue::Entry& entry : catalogue::list()) {
    const bool cached = catalogue::is_cached(entry);
    all.push_back({{"name", entry.name}, {"summary", entry.summary}, {"cached", cached}});
    if (!flags.json) fmt::print("{:<20} {:<7} {}\n", entry.name, cached ? "cached" : "", entry.summary);
  }
  if (flags.json) print_json({{"data", all}});
}

// The folder alone is on standard output, for use in scripts; what happens is told on standard error.
void run_get(const DataFlags& flags) {
  const std::string path = catalogue::get(flags.name).string();
  if (flags.json)
    print_json({{"name", flags.name}, {"path", path}});
  else
    fmt::print("{}\n", path);
}

void run_show(const DataFlags& flags) {
  const catalogue::Entry& entry = catalogue::find(flags.name);
  if (!flags.json) {
    fmt::print("{}", catalogue::show(entry));
    return;
  }
  Json files = Json::array();
  for (const catalogue::DataFile& file : entry.files)
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  print_json({{"name", entry.name},
              {"summary", entry.summary},
              {"licence", entry.licence},
              {"citation", entry.citation},
              {"training_examples", entry.training_examples},
              {"test_examples", entry.test_examples},
              {"classes", entry.classes},
              {"target", entry.target},
              {"files", files},
              {"cached", catalogue::is_cached(entry)}});
}

}  // namespace

void add_data(CLI::App& program) {
  CLI::App* command = program.add_subcommand("data", "known data sets: list, get, show");
  command->require_subcommand(1);
  auto flags = std::make_shared<DataFlags>();
  add_command(*command, "list", "all of them", flags, run_list);
  add_command(*command, "get", "fetch one; prints where it lies", flags, run_get)
      ->add_option("name", flags->name, "its name")
      ->required();
  add_command(*command, "show", "what is known of one", flags, run_show)
      ->add_option("name", flags->name, "its name")
      ->required();
}

}  // namespace descent::cli
