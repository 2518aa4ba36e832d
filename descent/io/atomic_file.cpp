#include "descent/io/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::io {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view temporary_prefix = ".descent-", temporary_suffix = ".tmp";

fs::path directory_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

std::string reason(int error) {
  const std::string words = std::strerror(error);
  return error == EFBIG ? words + " (a limit on file sizes)" : words;
}

// Where the bytes go in the end: behind a symbolic link, and only a regular file or a new one.
fs::path checked_target(fs::path target) {
  std::error_code ignored;
  if (fs::is_symlink(target, ignored)) target = fs::weakly_canonical(target, ignored);
  const fs::file_status status = fs::status(target, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status))
    fail(text("cannot write ", target.string(), ": it is not a regular file"));
  return target;
}

bool is_temporary(std::string_view name) {
  return name.starts_with(temporary_prefix) && name.ends_with(temporary_suffix);
}

// Creates and locks the temporary. A sweeper may lock or even remove it between creation and lock: errno is then
// EEXIST, and another name is tried. On a file system without locks nothing is ever swept.
Descriptor create_locked(const fs::path& path) {
  Descriptor file(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666));
  if (!file) return file;
  const bool swept = ::flock(file.number(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  struct stat facts {};
  if (!swept && ::fstat(file.number(), &facts) == 0 && facts.st_nlink > 0) return file;
  ::unlink(path.c_str());
  errno = EEXIST;
  return {};
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}
Descriptor::Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}
int Descriptor::release() { return std::exchange(number_, -1); }

fs::path temporary_name(const fs::path& directory) {
  thread_local std::mt19937_64 random{std::random_device{}()};  // a forked child goes on alike: hence the process too
  return directory / text(temporary_prefix, ::getpid(), "-", random(), temporary_suffix);
}

AtomicFile::AtomicFile(fs::path target) : target_(checked_target(std::move(target))) {
  do {
    temporary_ = temporary_name(directory_of(target_));
    file_ = create_locked(temporary_);
  } while (!file_ && errno == EEXIST);
  if (!file_) {
    const int error = std::exchange(errno, 0);
    temporary_.clear();
    fail_write(error);
  }
  struct stat facts {};
  if (::stat(target_.c_str(), &facts) == 0) ::fchmod(file_.number(), facts.st_mode & 07777);
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail_write(int error) const {
  fail(text("cannot write ", target_.string(), ": ", reason(error),
            fs::exists(target_) ? "; the file that was there is untouched" : ""));
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(file_.number(), bytes.data(), std::min(bytes.size(), size_t{1} << 30));
    if (wrote < 0 && errno != EINTR) fail_write(errno);
    if (wrote > 0) bytes = bytes.subspan(static_cast<size_t>(wrote));
  }
}

void AtomicFile::sync() {
  while (::fsync(file_.number()) != 0)
    if (errno != EINTR) fail_write(errno);
}

void AtomicFile::rename_to_target() {
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail_write(errno);
  temporary_.clear();
}

void AtomicFile::commit() {
  sync();
  rename_to_target();
  file_ = {};
  sync_directory(directory_of(target_));
}

// The old file gets a second name first, so that the new one can take the old name in one step, and only then does the
// second name become `previous`: a bad file at the target never pushes out a good `previous` before a good one is
// there.
void AtomicFile::commit_keeping(const fs::path& previous) {
  sync();
  const fs::path old_target = temporary_name(directory_of(target_));
  const bool linked = ::link(target_.c_str(), old_target.c_str()) == 0;
  if (!linked && errno != ENOENT) ::rename(target_.c_str(), previous.c_str());  // a file system without hard links
  rename_to_target();
  if (linked && ::rename(old_target.c_str(), previous.c_str()) != 0) ::unlink(old_target.c_str());
  file_ = {};
  sync_directory(directory_of(target_));
}

void write_file(const fs::path& target, std::span<const std::byte> bytes) {
  AtomicFile file(target);
  file.write(bytes);
  file.commit();
}

void write_file(const fs::path& target, std::string_view bytes) { write_file(target, std::as_bytes(std::span(bytes))); }

Descriptor open_regular(const fs::path& path, uint64_t& size) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe must not block the open
  struct stat facts {};
  if (!file || ::fstat(file.number(), &facts) != 0) fail(text("cannot open ", path.string(), ": ", reason(errno)));
  if (!S_ISREG(facts.st_mode)) fail(text("cannot read ", path.string(), ": it is not a regular file"));
  size = static_cast<uint64_t>(facts.st_size);
  return file;
}

void read_at(const Descriptor& file, const fs::path& path, uint64_t offset, std::span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t got = ::pread(file.number(), into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0 && errno != EINTR) fail(text("cannot read ", path.string(), ": ", reason(errno)));
    if (got == 0) fail(text(path.string(), " became shorter while it was read"));
    if (got < 0) continue;
    offset += static_cast<uint64_t>(got);
    into = into.subspan(static_cast<size_t>(got));
  }
}

std::vector<std::byte> read_file(const fs::path& path, uint64_t limit) {
  uint64_t size = 0;
  const Descriptor file = open_regular(path, size);
  if (size > limit) fail(text(path.string(), " has ", size, " bytes; at most ", limit, " are taken here"));
  std::vector<std::byte> bytes(size);
  read_at(file, path, 0, bytes);
  return bytes;
}

void sync_directory(const fs::path& directory) {
  const Descriptor handle(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle && ::fsync(handle.number()) == 0) return;
  if (errno == EINVAL || errno == ENOTSUP) return;  // a file system whose directories need no sync
  fail(text("cannot sync the directory ", directory.string(), ": ", reason(errno)));
}

int remove_stale_temporaries(const fs::path& directory) {
  std::error_code ignored;
  int removed = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored)) {
    if (!is_temporary(entry.path().filename().string()) || !entry.is_regular_file(ignored)) continue;
    const Descriptor file(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file || ::flock(file.number(), LOCK_EX | LOCK_NB) != 0) continue;
    removed += ::unlink(entry.path().c_str()) == 0;
  }
  return removed;
}

}  // namespace descent::io
