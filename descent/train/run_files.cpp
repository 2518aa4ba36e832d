#include "descent/train/run_files.h"

#include <cerrno>
#include <cstring>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::train {

namespace fs = std::filesystem;

RunFiles::RunFiles(fs::path directory) : directory_(std::move(directory)) {
  if (!active()) return;
  std::error_code problem;
  fs::create_directories(directory_, problem);
  if (problem) fail(text("cannot make the run's directory ", directory_.string(), ": ", problem.message()));
  open();
}

void RunFiles::open() {
  records_ = std::ofstream(records_path(), std::ios::app);
  if (!records_) fail(text("cannot write ", records_path().string(), ": ", std::strerror(errno)));
}

void RunFiles::record(const std::string& json) {
  if (active()) records_ << json << '\n';
}

uint64_t RunFiles::flush() {
  if (!active()) return 0;
  errno = 0;
  records_.flush();
  if (!records_)
    fail(text("cannot write ", records_path().string(), ": ", errno != 0 ? std::strerror(errno) : "the disk refuses"));
  return static_cast<uint64_t>(fs::file_size(records_path()));
}

void RunFiles::save_last(const io::Checkpoint& checkpoint) {
  if (active()) io::save_last_checkpoint(directory_, checkpoint);
}

void RunFiles::save_best(const io::Checkpoint& checkpoint) {
  if (active()) io::save_checkpoint(directory_ / "best.safetensors", checkpoint);
}

std::optional<io::LoadedCheckpoint> RunFiles::load_last() const {
  const bool any = fs::exists(directory_ / "last.safetensors") || fs::exists(directory_ / "previous.safetensors");
  if (!active() || !any) return std::nullopt;
  return io::load_newest_good(directory_);
}

io::Checkpoint RunFiles::load_best() const { return io::load_checkpoint(directory_ / "best.safetensors"); }

void RunFiles::truncate_records(uint64_t bytes) {
  records_.close();
  if (fs::file_size(records_path()) > bytes) fs::resize_file(records_path(), bytes);
  open();
}

}  // namespace descent::train
