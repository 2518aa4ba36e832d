// One data set's directory in the cache. Internal to the catalogue.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "descent/data/catalogue.h"
#include "descent/io/atomic_file.h"

namespace descent::data::catalogue {

// Files that were hashed and found right are remembered in .verified by size, times and inode, so that a start costs a
// look at each file and not its reading.
class CacheDirectory {
 public:
  CacheDirectory(const std::filesystem::path& cache, const Entry& entry);

  const std::filesystem::path& path() const { return path_; }

  // All files are there as .verified remembers them. Reads no data.
  bool is_known_good() const;

  // The numbers of the files that are not there or not right, which is told in `damaged`; the others are now
  // remembered.
  std::vector<size_t> check(std::vector<std::string>& damaged) const;

  // Other processes that want this data set wait until the descriptor closes. Makes the directory.
  io::Descriptor lock() const;

 private:
  std::string facts(size_t i) const;  // the line of .verified, "" if the file is missing

  std::filesystem::path path_;
  const Entry& entry_;
};

}  // namespace descent::data::catalogue
