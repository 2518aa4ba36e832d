// Files that are either wholly there or not at all, whatever stops the writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace descent::io {

// A file descriptor, closed at the end of its scope.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;

  explicit operator bool() const { return number_ >= 0; }
  int number() const { return number_; }
  int release();  // the caller closes it

 private:
  int number_ = -1;
};

// Writes to a temporary file in the target's directory; commit() syncs it, renames it over the target and syncs the
// directory. Until then the target is untouched, and an AtomicFile that ends without commit() removes its temporary.
// Every failure (disk full, no permission, not a regular file) is one Error naming the target. A target that is a
// symbolic link is followed; an existing target's permissions are kept.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view bytes) { write(std::as_bytes(std::span(bytes))); }

  void sync();    // the bytes are on the disk, the target is still untouched
  void commit();  // sync() and the rename
  // As commit(), and the file that was at the target is kept as `previous` (a name in the same directory). At every
  // moment one of the two names holds a whole file, and the target is never missing once it was there.
  void commit_keeping(const std::filesystem::path& previous);

 private:
  [[noreturn]] void fail_write(int error) const;
  void rename_to_target();

  std::filesystem::path target_, temporary_;
  Descriptor file_;
};

void write_file(const std::filesystem::path& target, std::span<const std::byte> bytes);
void write_file(const std::filesystem::path& target, std::string_view bytes);

// Opens a regular file to read and says how long it is; fails on anything else (a directory, a pipe, a device).
Descriptor open_regular(const std::filesystem::path& path, uint64_t& size);

// Fills `into` with the file's bytes from `offset` on; fails naming `path` if it cannot be read or ends before.
void read_at(const Descriptor& file, const std::filesystem::path& path, uint64_t offset, std::span<std::byte> into);

// Reads a whole regular file; fails, before it allocates, on one larger than `limit` bytes.
std::vector<std::byte> read_file(const std::filesystem::path& path, uint64_t limit = uint64_t{1} << 40);

// Makes renames and new names in `directory` survive a power cut.
void sync_directory(const std::filesystem::path& directory);

// Removes the temporaries that killed writers left in `directory` and returns how many there were. Those of writers
// still at work stay: each writer holds a lock on its temporary, and the kernel drops a dead one's.
int remove_stale_temporaries(const std::filesystem::path& directory);

// A name for a temporary in `directory` that nobody uses; remove_stale_temporaries() knows such names.
std::filesystem::path temporary_name(const std::filesystem::path& directory);

}  // namespace descent::io
