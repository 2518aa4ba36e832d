// The files that a run writes while it trains: metrics.jsonl and the checkpoints.
//
//   metrics.jsonl       a line every record_every steps, and one an epoch
//   last.safetensors    everything that the run needs to go on (previous.safetensors: the one before)
//   best.safetensors    the net's weights of the best validation
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "descent/io/checkpoint.h"

namespace descent::train {

class RunFiles {
 public:
  // Makes the directory; an empty path means that nothing is written.
  explicit RunFiles(std::filesystem::path directory);

  bool active() const { return !directory_.empty(); }
  const std::filesystem::path& directory() const { return directory_; }

  // Adds a line to metrics.jsonl. It reaches the file at the next flush.
  void record(const std::string& json);

  // Makes the lines so far last and returns how long the file is. Fails naming the file, the disk being full, say.
  uint64_t flush();

  void save_last(const io::Checkpoint& checkpoint);
  void save_best(const io::Checkpoint& checkpoint);

  // The newest good checkpoint, if the directory has one yet.
  std::optional<io::LoadedCheckpoint> load_last() const;
  io::Checkpoint load_best() const;

  // Drops the lines of metrics.jsonl beyond its first `bytes`: what was done after the checkpoint is done again.
  void truncate_records(uint64_t bytes);

 private:
  std::filesystem::path records_path() const { return directory_ / "metrics.jsonl"; }
  void open();

  std::filesystem::path directory_;
  std::ofstream records_;
};

}  // namespace descent::train
