#include "descent/data/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/data/catalogue_cache.h"
#include "descent/data/catalogue_supply.h"

namespace descent::data::catalogue {

namespace fs = std::filesystem;

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path default_cache() {
  if (const std::string cache = variable("DESCENT_CACHE"); !cache.empty()) return cache;
  if (const std::string caches = variable("XDG_CACHE_HOME"); !caches.empty()) return fs::path(caches) / "descent";
  if (const std::string home = variable("HOME"); !home.empty()) return fs::path(home) / ".cache" / "descent";
  return {};
}

std::string_view source_name(Source source) {
  switch (source) {
    case Source::official: return "official address";
    case Source::package: return "package";
    case Source::local: return "local folder";
  }
  return "";
}

const Supply& find_supply(std::string_view name) {
  const auto at =
      std::ranges::find(supplies(), name, [](const Supply& supply) -> std::string_view { return supply.entry.name; });
  if (at != supplies().end()) return *at;
  std::vector<std::string> names;
  for (const Entry& entry : list()) names.push_back(entry.name);
  throw UsageError(
      fmt::format("there is no data set '{}' (there are {}){}", name, join(names, ", "), did_you_mean(name, names)));
}

// What would help, beyond what was tried.
std::string advice(const Supply& supply) {
  const bool published =
      std::ranges::any_of(supply.files, [](const FileSupply& file) { return !file.remotes.empty(); });
  std::string out = published || !supply.archive.addresses.empty() ? "connect to a network once, or " : "";
  for (const Package& package : supply.packages)
    if (!package.folder.empty())
      out += package.manager == Package::Manager::npm ? "install npm, or "
                                                      : fmt::format("install the Debian package {}, or ", package.name);
  return out +
         fmt::format("put {} in a folder and set DESCENT_DATA to it",
                     supply.files[0].forms.front().inputs[0] + (supply.files.size() > 1 ? " and the other files" : ""));
}

void tell(const Options& options, const std::string& line) {
  if (options.say) options.say(line);
}

// Source after source, until no file is wanted. What one gave of a set stays, the next gives the rest.
void fill(const Supply& supply, const CacheDirectory& directory, const Options& options, std::vector<size_t> wanted) {
  std::vector<std::string> reasons, ignored;
  for (const Source source : options.order) {
    std::string why = "what it gave did not last in the cache";
    try {
      supply_from(source, supply, wanted, options, directory.path());
    } catch (const std::exception& error) {
      why = error.what();
    }
    wanted = directory.check(ignored);
    if (wanted.empty())
      return tell(options, fmt::format("{}: now in {}", supply.entry.name, directory.path().string()));
    reasons.push_back(fmt::format("{}: {}", source_name(source), why));
    if (source != options.order.back()) tell(options, fmt::format("{}: {}", supply.entry.name, reasons.back()));
  }
  fail(fmt::format("cannot get the data set '{}': {}; what helps: {}", supply.entry.name, join(reasons, "; "),
                   advice(supply)));
}

std::string class_text(const Entry& entry) {
  if (entry.kind == Kind::speech) return "what is said";
  if (entry.kind == Kind::images || entry.kind == Kind::sounds)
    return fmt::format("{} classes: {}", entry.classes.size(), join(entry.classes, ", "));
  if (entry.kind == Kind::text) return "the next character";
  if (entry.kind == Kind::conversations) return "the next turn";
  return fmt::format("{} in column {}", entry.target_kind == TargetKind::number ? "a number" : "a class", entry.target);
}

}  // namespace

Options Options::from_environment() {
  Options options;
  options.cache = default_cache();
  options.local = variable("DESCENT_DATA");
  options.say = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
  options.show_progress = true;
  return options;
}

const std::vector<Entry>& list() {
  static const std::vector<Entry> entries = [] {
    std::vector<Entry> all;
    for (const Supply& supply : supplies()) all.push_back(supply.entry);
    return all;
  }();
  return entries;
}

const Entry& find(std::string_view name) { return find_supply(name).entry; }

bool is_cached(const Entry& entry, const Options& options) {
  return CacheDirectory(options.cache, entry).is_known_good();
}

std::string show(const Entry& entry, const Options& options) {
  std::string out = fmt::format("{}: {}\n", entry.name, entry.summary);
  out += fmt::format("  examples  {} to train on{}\n", entry.training_examples,
                     entry.test_examples > 0 ? fmt::format(", {} to test with", entry.test_examples) : "");
  out +=
      fmt::format("  target    {}\n  licence   {}\n  cite      {}\n", class_text(entry), entry.licence, entry.citation);
  for (const DataFile& file : entry.files)
    out += fmt::format("  file      {}, {} bytes, sha256 {}\n", file.name, file.bytes, file.sha256);
  const fs::path directory = options.cache / entry.name;
  return out +
         fmt::format("  cache     {}{}\n", directory.string(), is_cached(entry, options) ? "" : " (not yet there)");
}

fs::path obtain(const Supply& supply, const Options& options) {
  if (options.cache.empty())
    fail("there is no place for data: neither DESCENT_CACHE nor XDG_CACHE_HOME nor HOME is set");
  const CacheDirectory directory(options.cache, supply.entry);
  if (directory.is_known_good()) return directory.path();
  const io::Descriptor lock = directory.lock();
  if (directory.is_known_good()) return directory.path();  // another process was at it
  std::vector<std::string> damaged;
  const std::vector<size_t> wanted = directory.check(damaged);
  for (const std::string& file : damaged)
    tell(options, fmt::format("{}: {} is damaged and is replaced", supply.entry.name, file));
  if (!wanted.empty()) fill(supply, directory, options, wanted);
  for (const char* left : {".download", ".staging"}) fs::remove_all(directory.path() / left);
  return directory.path();
}

fs::path get(std::string_view name, const Options& options) { return obtain(find_supply(name), options); }

}  // namespace descent::data::catalogue
