// descent data list | get NAME | show NAME (and tokens: see data_tokens.cpp)
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "descent/cli/command.h"
#include "descent/data/catalogue.h"
#include "descent/data/go_games.h"

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
  for (const data::GoPack& pack : data::go_packs()) {
    all.push_back({{"name", pack.name}, {"summary", pack.summary}, {"cached", false}});
    if (!flags.json) fmt::print("{:<20} {:<7} {}\n", pack.name, "", pack.summary);
  }
  if (flags.json) print_json({{"data", all}});
}

// Not what the catalogue has, even where a folder is called the same.
bool is_go(const std::string& name) {
  if (std::ranges::find(catalogue::list(), name, &catalogue::Entry::name) != catalogue::list().end()) return false;
  return std::filesystem::exists(name) ||
         std::ranges::find(data::go_packs(), name, &data::GoPack::name) != data::go_packs().end();
}

// The folder alone is on standard output, for use in scripts; what happens is told on standard error.
void run_get(const DataFlags& flags) {
  const std::string path = is_go(flags.name) ? data::go_source_path(flags.name) : catalogue::get(flags.name).string();
  if (flags.json)
    print_json({{"name", flags.name}, {"path", path}});
  else
    fmt::print("{}\n", path);
}

// Games are read and replayed, so that what is said of them is true.
void show_go(const DataFlags& flags) {
  data::GoCounts counts;
  std::map<std::string, int64_t> kinds;
  data::each_game({flags.name}, false, counts, [&](const go::Record& record) {
    go::replay(record);
    ++counts.games_kept;
    counts.positions += record.moves();
    ++kinds[text(record.size, "x", record.size, record.is_even() ? ", even" : ", with handicap or set up")];
  });
  if (flags.json) {
    Json found = Json::object(), left_out = Json::object();
    for (const auto& [kind, count] : kinds) found[kind] = count;
    for (const auto& [reason, count] : counts.left_out) left_out[reason] = count;
    return print_json({{"name", flags.name},
                       {"files", counts.files},
                       {"games", counts.games_kept},
                       {"positions", counts.positions},
                       {"kinds", found},
                       {"left_out", left_out}});
  }
  fmt::print("{}: {} games with {} moves in {} files\n", flags.name, counts.games_kept, counts.positions, counts.files);
  for (const auto& [kind, count] : kinds) fmt::print("  {:<9} {}\n", count, kind);
  for (const auto& [reason, count] : counts.left_out) fmt::print("  {:<9} left out: {}\n", count, reason);
  for (const std::string& problem : counts.problems) fmt::print("  {}\n", problem);
}

void run_show(const DataFlags& flags) {
  if (is_go(flags.name)) return show_go(flags);
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
  CLI::App* command = program.add_subcommand("data", "known data sets: list, get, show; and tokens of texts");
  command->require_subcommand(1);
  auto flags = std::make_shared<DataFlags>();
  add_command(*command, "list", "all of them", flags, run_list);
  add_command(*command, "get", "fetch one; prints where it lies", flags, run_get)
      ->add_option("name", flags->name, "its name")
      ->required();
  add_command(*command, "show", "what is known of one, or of games of Go", flags, run_show)
      ->add_option("name", flags->name, "its name; or a folder, an archive or a file of SGF games")
      ->required();
  add_data_tokens(*command);
}

}  // namespace descent::cli
