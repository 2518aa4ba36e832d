// Texts said by a computer: espeak-ng, a program of this machine, makes recordings of any list of sentences.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "descent/data/catalogue.h"

namespace descent::data {

// How espeak-ng says something.
struct EspeakVoice {
  std::string name;  // as its option -v takes it: "en-us+f2"
  int speed = 160;   // words a minute
  int pitch = 50;    // 0 to 99
};

// Writes a WAV file of 22,050 samples a second. Fails in a sentence if the program or the voice is not there.
void say_to_file(const std::string& line, const EspeakVoice& voice, const std::filesystem::path& wav);

struct SpokenLinesOptions {
  int64_t voices = 8;                                                                  // that say each line, at least 1
  std::vector<std::string> accents{"en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp"};  // languages of espeak-ng
  static constexpr int64_t most_recordings = 100'000;
};

// The voice that is the `number`-th of a line to say it: accents in turn, the voices of men and women, each at a speed
// and pitch of its own; a function of the line, the number and the accents.
EspeakVoice voice_of(const std::string& line, int64_t number, const SpokenLinesOptions& options);

// A folder with recordings of the lines of a text file in UTF-8 and with their transcripts, as read_spoken() takes it.
// Lines that hold no letter and no digit are left out. It is made once and stays in the cache, under a name that tells
// the lines, the voices and the version of espeak-ng. Fails naming the file that cannot be read, has no lines or too
// many, or what is not installed.
std::filesystem::path spoken_lines(const std::string& path, const SpokenLinesOptions& options = {},
                                   const catalogue::Options& where = catalogue::Options::from_environment());

}  // namespace descent::data
