// Recordings with their transcripts as files hold them. Internal to data: the door is spoken.h.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace descent::data {

struct SpokenFile {
  std::string name;                      // with its folders, as errors call it
  std::string transcript;                // as it is written
  std::optional<std::string> part = {};  // "train", "validation" or "test", where a table says so
  std::vector<float> samples;            // at the wanted rate; of a longer one, a little more than the longest
};

// Calls `take` for each recording of a source (see read_spoken) that has a transcript, and counts the others. No more
// than `most` samples of each, and one, are read. Fails naming the source or the file.
void each_spoken_file(const std::string& source, int64_t rate, int64_t most,
                      const std::function<void(SpokenFile file)>& take, int64_t& without_transcript);

}  // namespace descent::data
