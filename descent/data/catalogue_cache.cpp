#include "descent/data/catalogue_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "descent/base/error.h"
#include "descent/base/sha256.h"

namespace descent::data::catalogue {

namespace fs = std::filesystem;

namespace {

constexpr const char* memory = ".verified";

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

}  // namespace

CacheDirectory::CacheDirectory(const fs::path& cache, const Entry& entry) : path_(cache / entry.name), entry_(entry) {}

std::string CacheDirectory::facts(size_t i) const {
  const DataFile& file = entry_.files[i];
  struct stat status {};
  if (::stat((path_ / file.name).c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size != file.bytes)
    return "";
  return fmt::format("{} {} {} {} {} {}\n", file.sha256, status.st_size, nanoseconds(status.st_mtim),
                     nanoseconds(status.st_ctim), status.st_ino, file.name);
}

bool CacheDirectory::is_known_good() const {
  std::ifstream in(path_ / memory, std::ios::binary);
  const std::string remembered = (std::ostringstream() << in.rdbuf()).str();
  std::string now;
  for (size_t i = 0; i < entry_.files.size(); ++i) now += facts(i);
  return in && !now.empty() && now == remembered;
}

std::vector<size_t> CacheDirectory::check(std::vector<std::string>& damaged) const {
  std::vector<size_t> wanted;
  std::string remember;
  for (size_t i = 0; i < entry_.files.size(); ++i) {
    const fs::path file = path_ / entry_.files[i].name;
    const std::string line = facts(i);
    if (!line.empty() && sha256_file(file) == entry_.files[i].sha256) {
      remember += line;
      continue;
    }
    if (fs::exists(file)) damaged.push_back(file.string());
    wanted.push_back(i);
  }
  if (wanted.empty()) io::write_file(path_ / memory, remember);
  return wanted;
}

io::Descriptor CacheDirectory::lock() const {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error)
    fail(fmt::format("cannot make the cache directory {}: {}; set DESCENT_CACHE to a place that can be written",
                     path_.string(), error.message()));
  io::Descriptor file(::open((path_ / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!file)
    fail(fmt::format("cannot write to the cache directory {}: {}; set DESCENT_CACHE to a place that can be written",
                     path_.string(), std::strerror(errno)));
  while (::flock(file.number(), LOCK_EX) != 0 && errno == EINTR) continue;
  return file;
}

}  // namespace descent::data::catalogue
