#include "descent/data/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/data/file.h"

namespace descent::data {

namespace fs = std::filesystem;

namespace {

struct CloseArchive {
  void operator()(archive* file) const { archive_read_free(file); }
};
using Archive = std::unique_ptr<archive, CloseArchive>;

[[noreturn]] void fail_archive(const std::string& path, archive* file) {
  const char* const reason = archive_error_string(file);
  fail(text(path, ": cannot be unpacked: ", reason ? reason : "it is damaged"));
}

// Only what libarchive reads by itself: some of its filters start programs.
void support_filters(archive* file) {
  archive_read_support_filter_gzip(file);
  archive_read_support_filter_xz(file);
  archive_read_support_filter_bzip2(file);
  archive_read_support_filter_zstd(file);
}

// Of the entry that the archive stands at. The size that it claims is not believed: the string grows as bytes come.
std::string content(archive* file, const std::string& path, const std::string& called, int64_t limit) {
  std::array<char, 1 << 16> buffer;
  std::string out;
  for (;;) {
    const la_ssize_t bytes = archive_read_data(file, buffer.data(), buffer.size());
    if (bytes < 0) fail_archive(path, file);
    if (bytes == 0) return out;
    out.append(buffer.data(), static_cast<size_t>(bytes));
    if (static_cast<int64_t>(out.size()) > limit)
      fail(text(called, ": larger than the ", limit, " bytes that a file may have"));
  }
}

// A walk over files that counts what it read.
class Walk {
 public:
  Walk(const WantFile& want, const TakeFile& take, const FileLimits& limits)
      : want_(want), take_(take), limits_(limits) {}

  void folder(const fs::path& path) {
    std::vector<fs::path> files;
    std::error_code problem;
    const auto options = fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator at(path, options, problem), end; !problem && at != end;
         at.increment(problem)) {
      std::error_code ignored;
      if (!at->is_symlink(ignored) && at->is_regular_file(ignored)) files.push_back(at->path());
    }
    if (problem) fail(text(path.string(), ": cannot be listed: ", problem.message()));
    std::ranges::sort(files);
    for (const fs::path& file : files) {
      if (is_archive(file.string()))
        packed(file.string());
      else if (want_(file.string()))
        plain(file.string());
    }
  }

  void plain(const std::string& path) {
    std::error_code problem;
    if (const auto size = fs::file_size(path, problem); !problem) count(path, static_cast<int64_t>(size));
    const Array bytes = read_to_array(path);
    take_(path, {reinterpret_cast<const char*>(bytes.data()), bytes.bytes().size()});
  }

  void packed(const std::string& path) {
    const Archive file = unopened();
    if (archive_read_open_filename(file.get(), path.c_str(), 1 << 16) != ARCHIVE_OK) fail_archive(path, file.get());
    entries(file, path);
  }

  void packed(std::string_view bytes, const std::string& name) {
    const Archive file = unopened();
    if (archive_read_open_memory(file.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) fail_archive(name, file.get());
    entries(file, name);
  }

 private:
  void entries(const Archive& file, const std::string& path) {
    for (archive_entry* entry = nullptr;;) {
      const int status = archive_read_next_header(file.get(), &entry);
      if (status == ARCHIVE_EOF) return;
      if (status < ARCHIVE_WARN) fail_archive(path, file.get());
      const char* const name = archive_entry_pathname(entry);
      if (archive_entry_filetype(entry) != AE_IFREG || !name || !want_(name)) continue;
      const std::string called = path + ":" + name;
      std::string bytes = content(file.get(), path, called, limits_.file_bytes);
      count(called, static_cast<int64_t>(bytes.size()));
      take_(called, std::move(bytes));
    }
  }

  static Archive unopened() {
    Archive file(archive_read_new());
    if (!file) fail("there is no memory to open an archive");
    support_filters(file.get());
    archive_read_support_format_ar(file.get());
    archive_read_support_format_tar(file.get());
    archive_read_support_format_zip(file.get());
    archive_read_support_format_7zip(file.get());
    return file;
  }

  void count(const std::string& name, int64_t bytes) {
    if (bytes > limits_.file_bytes)
      fail(text(name, ": larger than the ", limits_.file_bytes, " bytes that a file may have"));
    total_ += bytes;
    if (total_ > limits_.total_bytes)
      fail(text(name, ": with it, more than ", limits_.total_bytes, " bytes would have been read"));
  }

  const WantFile& want_;
  const TakeFile& take_;
  const FileLimits& limits_;
  int64_t total_ = 0;
};

}  // namespace

bool is_archive(std::string_view name) {
  constexpr std::array<std::string_view, 10> ends = {".tar",     ".tar.gz", ".tgz",     ".tar.xz", ".txz",
                                                     ".tar.bz2", ".tbz2",   ".tar.zst", ".zip",    ".7z"};
  return std::ranges::any_of(ends, [&](std::string_view end) { return name.ends_with(end); });
}

void each_file(const std::string& path, const WantFile& want, const TakeFile& take, const FileLimits& limits) {
  Walk walk(want, take, limits);
  if (fs::is_directory(path)) return walk.folder(path);
  if (is_archive(path)) return walk.packed(path);
  walk.plain(path);
}

void each_file_in(std::string_view archive, const std::string& name, const WantFile& want, const TakeFile& take,
                  const FileLimits& limits) {
  Walk(want, take, limits).packed(archive, name);
}

std::string packed_tar(std::span<const PackedFile> files) {
  struct Free {
    void operator()(archive* file) const { archive_write_free(file); }
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
  };
  const std::unique_ptr<archive, Free> file(archive_write_new());
  const std::unique_ptr<archive_entry, Free> entry(archive_entry_new());
  if (!file || !entry) fail("there is no memory to write an archive");
  std::string out;
  const auto append = [](archive*, void* to, const void* bytes, size_t count) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), count);
    return static_cast<la_ssize_t>(count);
  };
  archive_write_set_format_ustar(file.get());
  if (archive_write_open(file.get(), &out, nullptr, append, nullptr) != ARCHIVE_OK) fail_archive("tar", file.get());
  for (const PackedFile& one : files) {
    archive_entry_clear(entry.get());
    archive_entry_set_pathname(entry.get(), one.name.c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(one.bytes.size()));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_mtime(entry.get(), 0, 0);
    if (archive_write_header(file.get(), entry.get()) != ARCHIVE_OK ||
        archive_write_data(file.get(), one.bytes.data(), one.bytes.size()) < 0)
      fail_archive(one.name, file.get());
  }
  if (archive_write_close(file.get()) != ARCHIVE_OK) fail_archive("tar", file.get());
  return out;
}

std::string unpacked(std::string_view packed, int64_t limit, const std::string& name) {
  const Archive file(archive_read_new());
  if (!file) fail("there is no memory to unpack a file");
  support_filters(file.get());
  archive_read_support_format_raw(file.get());
  archive_entry* entry = nullptr;
  if (archive_read_open_memory(file.get(), packed.data(), packed.size()) != ARCHIVE_OK ||
      archive_read_next_header(file.get(), &entry) != ARCHIVE_OK)
    fail_archive(name, file.get());
  return content(file.get(), name, name, limit);
}

}  // namespace descent::data
