#include "descent/data/spoken_files.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "descent/base/text.h"
#include "descent/data/archive.h"
#include "descent/data/audio.h"
#include "descent/data/csv_records.h"
#include "descent/data/text.h"

namespace descent::data {

namespace fs = std::filesystem;

namespace {

bool is_recording(std::string_view name) { return name.ends_with(".wav") || name.ends_with(".flac"); }
bool is_table(std::string_view name) { return name.ends_with(".csv") || name.ends_with(".tsv"); }

std::string_view base_name(std::string_view name) { return name.substr(name.find_last_of("/:") + 1); }

// Also the name that Asterisk's prompts have theirs under.
bool holds_transcripts(std::string_view name) {
  const std::string_view base = base_name(name);
  return base == "transcripts.tsv" || base == "transcripts.csv" || base == "transcripts.txt" ||
         (base.starts_with("core-sounds-") && (base.ends_with(".txt") || base.ends_with(".txt.gz")));
}

std::string without_ending(std::string_view name) { return std::string(name.substr(0, name.rfind('.'))); }

std::vector<float> samples_of(AudioStream stream, int64_t most) {
  std::vector<float> out(static_cast<size_t>(most) + 1);
  out.resize(stream.read(out));
  return out;
}

struct Row {
  int64_t line = 0;
  std::vector<std::string> cells;
};

// All rows of a table of words.
std::vector<Row> rows_of(std::string content, const std::string& name) {
  const char delimiter = name.ends_with(".tsv") ? '\t' : detect_delimiter(content, name, '\0');
  CsvRecords records(content, name, delimiter, '\0');
  std::vector<Row> out;
  for (CsvRecord record; records.next(record);)
    out.push_back({record.line, {record.cells.begin(), record.cells.end()}});
  return out;
}

// --- transcripts beside the recordings ---

// By name; "" where none is known.
class Transcripts {
 public:
  void add(const std::string& name, const std::string& content) {
    any_ = true;
    if (is_table(name)) {
      for (const Row& row : rows_of(content, name)) {
        if (row.cells.size() != 2)
          fail(text(name, ":", row.line, ": ", row.cells.size(), " cells, but a transcript has a name and a text"));
        texts_[row.cells[0]] = row.cells[1];
      }
      return;
    }
    for (size_t begin = 0; begin < content.size();) {
      const size_t end = std::min(content.find('\n', begin), content.size());
      add_line(content.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  // The recording's own, by the longest end of its path that is known; or its folder's, likewise.
  std::string of(const std::string& recording) const {
    const std::string path = without_ending(recording);
    if (!any_) return folder_as_text(path);
    if (const std::string* own = by_end_of(path)) return *own;
    const size_t slash = path.find_last_of("/:");
    const std::string* folders = slash == std::string::npos ? nullptr : by_end_of(path.substr(0, slash));
    return folders == nullptr ? "" : *folders;
  }

 private:
  void add_line(std::string line) {
    if (line.ends_with('\r')) line.pop_back();
    const size_t colon = line.find(':');
    if (line.starts_with(';') || colon == std::string::npos) return;
    texts_[line.substr(0, colon)] = line.substr(colon + 1);
  }

  const std::string* by_end_of(std::string_view path) const {
    for (;;) {
      if (const auto at = texts_.find(std::string(path)); at != texts_.end()) return &at->second;
      const size_t slash = path.find_first_of("/:");
      if (slash == std::string_view::npos) return nullptr;
      path.remove_prefix(slash + 1);
    }
  }

  static std::string folder_as_text(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return "";
    std::string folder(base_name(std::string_view(path).substr(0, slash)));
    std::ranges::replace(folder, '_', ' ');
    return folder;
  }

  bool any_ = false;
  std::map<std::string, std::string> texts_;
};

struct Heard {
  std::string name;
  std::vector<float> samples;
};

// Transcripts may come behind the recordings, so these wait.
void each_in_folder(const std::string& source, int64_t rate, int64_t most,
                    const std::function<void(SpokenFile file)>& take, int64_t& without_transcript) {
  Transcripts transcripts;
  std::vector<Heard> heard;
  const auto wanted = [](std::string_view name) { return is_recording(name) || holds_transcripts(name); };
  each_file(source, wanted, [&](const std::string& name, const std::string& bytes) {
    constexpr int64_t most_text = int64_t{1} << 26;
    if (name.ends_with(".gz")) return transcripts.add(name, unpacked(bytes, most_text, name));
    if (holds_transcripts(name)) return transcripts.add(name, bytes);
    heard.push_back({name, samples_of(AudioStream::parse(std::as_bytes(std::span(bytes)), name, rate), most)});
  });
  for (Heard& one : heard) {
    std::string transcript = transcripts.of(one.name);
    if (transcript.empty())
      ++without_transcript;
    else
      take({std::move(one.name), std::move(transcript), {}, std::move(one.samples)});
  }
}

// --- tables of recordings ---

// The column called by one of some names; -1 if there is none.
int64_t column_of(const std::vector<std::string>& header, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names)
    if (const auto at = std::ranges::find(header, name); at != header.end()) return at - header.begin();
  return -1;
}

void each_in_table(const std::string& source, int64_t rate, int64_t most,
                   const std::function<void(SpokenFile file)>& take) {
  const std::vector<Row> rows = rows_of(read_text(source), source);
  if (rows.empty()) fail(text(source, ": the table is empty"));
  const std::vector<std::string>& header = rows[0].cells;
  const int64_t path = column_of(header, {"path", "file", "filename"}),
                words = column_of(header, {"text", "transcript", "sentence"}), part = column_of(header, {"split"});
  if (path < 0 || words < 0)
    fail(text(source, ": a table of recordings needs columns 'path' and 'text', it has ", join(header, ", ")));
  for (size_t i = 1; i < rows.size(); ++i) {
    const auto& [line, cells] = rows[i];
    const std::string place = text(source, ":", line);
    if (cells.size() != header.size()) fail(text(place, ": ", cells.size(), " cells, the header has ", header.size()));
    const std::string file = (fs::path(source).parent_path() / cells[static_cast<size_t>(path)]).string();
    if (!fs::exists(file)) fail(text(place, ": there is no file ", file));
    SpokenFile out{file, cells[static_cast<size_t>(words)], {}, samples_of(AudioStream::open(file, rate), most)};
    if (part >= 0) out.part = cells[static_cast<size_t>(part)];
    if (out.part && *out.part != "train" && *out.part != "validation" && *out.part != "test")
      fail(text(place, ": 'split' must be train, validation or test, got '", *out.part, "'"));
    take(std::move(out));
  }
}

}  // namespace

void each_spoken_file(const std::string& source, int64_t rate, int64_t most,
                      const std::function<void(SpokenFile file)>& take, int64_t& without_transcript) {
  if (is_table(source) && !fs::is_directory(source)) return each_in_table(source, rate, most, take);
  each_in_folder(source, rate, most, take, without_transcript);
}

}  // namespace descent::data
