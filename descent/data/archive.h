// The files of a folder or of an archive, one after the other.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace descent::data {

struct FileLimits {
  int64_t file_bytes = int64_t{1} << 26;   // a file that is larger fails
  int64_t total_bytes = int64_t{1} << 33;  // of all files that were wanted
};

using WantFile = std::function<bool(std::string_view name)>;
using TakeFile = std::function<void(const std::string& name, std::string bytes)>;

// Whether a name says that a file is an archive that each_file() can open: .tar, .tar.gz, .tgz, .tar.xz, .txz,
// .tar.bz2, .tbz2, .tar.zst, .zip, .7z.
bool is_archive(std::string_view name);

// Gives `take` the files at `path` whose names `want` agrees to: of a folder all below it, in the order of their names,
// with the archives among them opened; of an archive all in it, in its order, called "pack.tar.xz:folder/name"; or the
// one file that it is, whatever its name. Links are not followed. Fails naming the archive if it cannot be read, the
// file if it is too large, the folder if it does not exist.
void each_file(const std::string& path, const WantFile& want, const TakeFile& take, const FileLimits& limits = {});

// The files of an archive in memory, likewise; `name` is what errors call it.
void each_file_in(std::string_view archive, const std::string& name, const WantFile& want, const TakeFile& take,
                  const FileLimits& limits = {});

struct PackedFile {
  std::string name, bytes;
};

// A tar archive of some files, in their order, not compressed: the same bytes for the same files, wherever it is made.
std::string packed_tar(std::span<const PackedFile> files);

// What a file holds that was packed alone, by gzip, xz, bzip2 or zstd. Fails naming it if that is damaged or more than
// `limit` bytes.
std::string unpacked(std::string_view packed, int64_t limit, const std::string& name);

}  // namespace descent::data
