#include "descent/data/spoken_lines.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>

#include "descent/base/sha256.h"
#include "descent/base/text.h"
#include "descent/data/catalogue_process.h"
#include "descent/data/random.h"
#include "descent/data/text.h"
#include "descent/io/atomic_file.h"

namespace descent::data {

namespace fs = std::filesystem;

namespace {

constexpr double patience = 60;  // seconds that a line may take to be said

bool says_something(const std::string& line) {
  return std::ranges::any_of(line, [](char c) {
    const auto code = static_cast<unsigned char>(c);
    return code >= 0x80 || std::isalnum(code) != 0;
  });
}

std::vector<std::string> lines_of(const std::string& path) {
  const std::string content = read_text(path);
  Characters::of(content, path);
  std::vector<std::string> out;
  std::istringstream lines(content);
  for (std::string line; std::getline(lines, line);) {
    std::ranges::replace(line, '\t', ' ');
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (says_something(line)) out.push_back(std::move(line));
  }
  return out;
}

std::string version() {
  try {
    return catalogue::run({"espeak-ng", "--version"}, fs::temp_directory_path(), patience);
  } catch (const Error& error) {
    fail(text(error.what(), ", and lines of text are said by it (the Debian package espeak-ng)"));
  }
}

// What the recordings are a function of.
std::string key_of(const std::vector<std::string>& lines, const SpokenLinesOptions& options) {
  Sha256 sum;
  sum.add(text(version(), "\n", join(options.accents, ","), "\n", options.voices, "\n"));
  for (const std::string& line : lines) sum.add(line + "\n");
  return sum.hex().substr(0, 16);
}

// With a variant behind it, espeak-ng takes any name and says the text in another accent.
void check_accents(const SpokenLinesOptions& options) {
  for (const std::string& accent : options.accents) try {
      catalogue::run({"espeak-ng", "-q", "-v", accent, "--", "a"}, fs::temp_directory_path(), patience);
    } catch (const Error& error) {
      fail(text("the accent '", accent, "': ", error.what()));
    }
}

void say_all(const std::vector<std::string>& lines, const SpokenLinesOptions& options, const fs::path& folder) {
  std::string transcripts;
  for (size_t i = 0; i < lines.size(); ++i)
    for (int64_t voice = 0; voice < options.voices; ++voice) {
      const std::string name = text(i + 1, "-", voice + 1);
      say_to_file(lines[i], voice_of(lines[i], voice, options), folder / (name + ".wav"));
      transcripts += text(name, ": ", lines[i], "\n");
    }
  io::write_file(folder / "transcripts.txt", transcripts);
}

}  // namespace

void say_to_file(const std::string& line, const EspeakVoice& voice, const fs::path& wav) {
  catalogue::run({"espeak-ng", "-v", voice.name, "-s", text(voice.speed), "-p", text(voice.pitch), "-w",
                  wav.filename().string(), "--", line},
                 wav.parent_path(), patience);
}

EspeakVoice voice_of(const std::string& line, int64_t number, const SpokenLinesOptions& options) {
  static constexpr std::array<std::string_view, 13> voices{"",    "+f2", "+m3", "+f4", "+m5", "+f1", "+m7",
                                                           "+f3", "+m1", "+f5", "+m2", "+m4", "+m6"};
  const uint64_t own = hash_text(0, line);
  RandomStream random(random_key(own, static_cast<uint64_t>(number)));
  const std::string_view voice = voices[(own + static_cast<uint64_t>(number)) % voices.size()];
  const size_t accent = (own / voices.size() + static_cast<uint64_t>(number)) % options.accents.size();
  const int middle = voice.starts_with("+f") ? 65 : 40;
  return {text(options.accents[accent], voice), 130 + static_cast<int>(random.below(71)),
          middle - 15 + static_cast<int>(random.below(31))};
}

fs::path spoken_lines(const std::string& path, const SpokenLinesOptions& options, const catalogue::Options& where) {
  if (options.voices < 1 || options.accents.empty()) fail(text(path, ": there is no voice to say its lines"));
  if (where.cache.empty())
    fail("there is no place for recordings: neither DESCENT_CACHE nor XDG_CACHE_HOME nor HOME is set");
  const std::vector<std::string> lines = lines_of(path);
  if (lines.empty()) fail(text(path, ": there is no line to say in it"));
  const int64_t recordings = std::ssize(lines) * options.voices;
  if (recordings > SpokenLinesOptions::most_recordings)
    fail(text(path, ": ", lines.size(), " lines in ", options.voices, " voices are more than ",
              SpokenLinesOptions::most_recordings, " recordings"));
  const fs::path folder = where.cache / "spoken" / key_of(lines, options);
  if (fs::exists(folder)) return folder;
  check_accents(options);
  if (where.say) where.say(text(path, ": espeak-ng makes ", recordings, " recordings, once"));
  const fs::path staging = text(folder.string(), ".", ::getpid());
  fs::remove_all(staging);
  fs::create_directories(staging);
  try {
    say_all(lines, options, staging);
  } catch (...) {
    fs::remove_all(staging);
    throw;
  }
  std::error_code problem;
  fs::rename(staging, folder, problem);  // fails where another process has made the same meanwhile
  if (problem) fs::remove_all(staging);
  if (!fs::exists(folder)) fail(text("cannot make ", folder.string(), ": ", problem.message()));
  return folder;
}

}  // namespace descent::data
