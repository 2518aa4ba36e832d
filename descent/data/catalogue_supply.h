// How the catalogue's files come to be in the cache. Internal to data: the door is catalogue.h.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "descent/data/catalogue.h"

namespace descent::data::catalogue {

// A file in other clothes: which files it is made from, and how. What is made is checked against DataFile::sha256, so a
// form needs no sum of its own.
struct Form {
  std::vector<std::string> inputs;
  std::function<std::string(std::span<const std::string> contents, const DataFile& file)> make;
};

// An archive (as tar unpacks it) that can be downloaded and holds the inputs of all files.
struct RemoteArchive {
  std::string name;
  int64_t bytes = 0;
  std::string sha256;
  std::vector<std::string> addresses;
};

// An input that can be downloaded.
struct Remote {
  std::string input;
  std::string sha256;  // "" where only that of what is made from it is known
  std::vector<std::string> addresses;
};

struct FileSupply {
  std::vector<Form> forms;  // tried in order on any folder
  std::vector<Remote> remotes;
};

struct Package {
  enum class Manager { npm, debian } manager;
  std::string name;    // as the manager takes it
  std::string folder;  // the end of the path of the folder with the inputs; "": the packages' own files are inputs
};

// An entry and where to get it.
struct Supply {
  Entry entry;
  std::vector<FileSupply> files;  // one each of entry.files
  std::vector<Package> packages;
  std::vector<std::string> folders;  // of a local folder, where the inputs may lie
  std::string pack;                  // of a local folder, an archive that holds the inputs
  RemoteArchive archive = {};        // instead of the files' own remotes; no addresses: none
  // Makes the only file by programs of this machine, in a folder of its own; none: it comes from packages.
  std::function<std::string(const std::filesystem::path& folder)> generate = {};
};

const std::vector<Supply>& supplies();
std::vector<Supply> sound_supplies();  // some of them
Supply synthetic_speech();

// What Options::cache / entry.name holds, and get() on any supply: what the public functions stand on.
std::filesystem::path obtain(const Supply& supply, const Options& options);

// Fills `cache` with the files numbered in `wanted` from one source, in a directory of its own that `staging` names;
// fails saying why it cannot.
void supply_from(Source source, const Supply& supply, const std::vector<size_t>& wanted, const Options& options,
                 const std::filesystem::path& cache);

// Forms.
std::string as_is(std::span<const std::string> contents, const DataFile& file);
std::string gunzipped(std::span<const std::string> contents, const DataFile& file);
std::string unxzed(std::span<const std::string> contents, const DataFile& file);

// An archive's files whose names `wanted` makes new ones for ("" for what is left out), by name in a tar archive of
// their own: the same bytes whatever archive they were in.
Form repacked(std::string archive, std::function<std::string(std::string_view name)> wanted);

// The same lines under another first line; carriage returns are dropped.
std::string with_header(std::string_view text, std::string_view header);

// scikit-learn's tables: a first line of counts and class names, the class as a number at each line's end. `classes`
// replace the numbers, unless there are none.
Form scikit_table(std::string input, std::string header, std::vector<std::string> classes);
Form scikit_digits(std::string input, std::string header);
Form scikit_diabetes(std::string data, std::string target, std::string header);
Form other_header(std::string input, std::string header);

// CIFAR-10's binary file from a PNG sheet and a JSON list of labels, which this sheet's begin at `first_label` of.
Form cifar10_sheet(std::string sheet, std::string labels, int64_t first_label);

}  // namespace descent::data::catalogue
