// Files in folders, a class each, or listed in a table: which there are, and their division into parts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "descent/data/dataset.h"

namespace descent::data {

struct LabelledFiles {
  std::vector<std::string> paths;
  std::vector<int32_t> labels;  // into the list's classes

  int64_t size() const { return static_cast<int64_t>(paths.size()); }
};

// Which files there are; nothing of them is read yet.
struct FileList {
  std::string source;                // the folder or table, as errors call it
  std::vector<std::string> classes;  // sorted
  LabelledFiles train, validation, test;
};

// What is looked for.
struct FileKind {
  std::string_view many, one;             // "images", "image": in errors; a table's column of paths may be called so
  std::vector<std::string_view> endings;  // of names, in any case: ".png"
};

// A folder: ROOT/CLASS/NAME.png (what is hidden or ends otherwise is passed over), or, where there is a folder
// ROOT/train, its parts ROOT/train/CLASS/.., ROOT/validation (or val, valid) and ROOT/test, those that are there. A
// table: a CSV file with a header, whose columns `path` (or file, filename, the kind's own name; relative to the table)
// and `label` (or class) name each file and its class, and `split`, if there is one, its part: train, validation or
// test; without it all are in the training part. Fails, naming the folder or the table's line, if there are no classes,
// only one, a class without files, or a part with a class that training has not.
FileList list_files(const std::filesystem::path& path, const FileKind& kind);

// True for a folder that list_files() could take: it has folders with such files in them.
bool holds_files(const std::filesystem::path& path, const FileKind& kind);

// Moves files from the training part to the other two, where these are empty: of each class its share, at least one
// staying. Who moves is told by a hash of the seed, the file's size and its first 64 KiB: whatever the files are called
// and in whatever order they come, and a double of a file stays beside it. Fails if a file cannot be read, or too few
// are there for a part.
void divide_files(FileList& list, Fractions fractions, uint64_t seed, const FileKind& kind);

// Which of some examples, known by a key of their content and their class (0 to classes - 1), are the share of a part:
// of each class those of the smallest keys, the rounding carried on to the next class, doubles together, and not all.
std::vector<bool> choose_share(std::span<const uint64_t> keys, std::span<const int32_t> labels, size_t classes,
                               double fraction);

}  // namespace descent::data
