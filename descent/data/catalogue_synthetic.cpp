// Speech that espeak-ng makes: short everyday sentences in many voices, always the same bytes for one version of it.
#include <array>
#include <sstream>

#include "descent/base/text.h"
#include "descent/data/archive.h"
#include "descent/data/catalogue_supply.h"
#include "descent/data/spoken_lines.h"
#include "descent/io/atomic_file.h"

namespace descent::data::catalogue {

namespace {

// A line each.
constexpr std::string_view sentences = R"(hello
hi there
good morning
good evening
goodnight
how are you
how are you today
i am fine thank you
what is your name
my name is fenrir
nice to meet you
see you tomorrow
thank you very much
you are welcome
please sit down
excuse me
i am sorry
yes please
no thank you
hey archie
hey fenrir
archie
fenrir
hadouken
dracarys
joke
tell me a joke
trick or treat
what time is it
it is half past seven
turn on the light
turn off the radio
open the window
close the door
where are you going
i am going home
how much does it cost
it is raining outside
the sun is shining
do you like music
play it again
i would like some coffee
the dog is asleep
a cat sat on the mat
one two three four five
six seven eight nine ten
monday tuesday wednesday
thursday and friday
saturday or sunday
january and february
call me on thursday
leave a message after the tone
press the red button
the quick brown fox jumps over the lazy dog
she sells sea shells by the shore
we have enough time
that was a good question
can you hear me
say that once more
where did you put my keys
)";

const std::array<EspeakVoice, 15> voices{{{"en-us", 160, 50},
                                          {"en-us+f2", 150, 55},
                                          {"en-us+m3", 170, 40},
                                          {"en-us+f4", 180, 60},
                                          {"en-gb", 160, 45},
                                          {"en-gb+f3", 145, 60},
                                          {"en-gb+m5", 175, 35},
                                          {"en-gb-scotland", 155, 50},
                                          {"en-gb-scotland+f5", 165, 65},
                                          {"en-gb-x-rp", 150, 50},
                                          {"en-gb-x-rp+f1", 170, 70},
                                          {"en-us+m7", 140, 30},
                                          {"en-us+f5", 190, 75},
                                          {"en-gb-x-gbclan+m1", 160, 55},
                                          {"en-gb-x-gbclan+f2", 150, 45}}};
constexpr size_t voices_each = 8;  // a sentence is said in

std::string bytes_of(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = io::read_file(path, uint64_t{1} << 26);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string speak(const std::filesystem::path& folder) {
  std::vector<PackedFile> files;
  std::string transcripts;
  std::istringstream lines{std::string(sentences)};
  size_t number = 0;
  for (std::string line; std::getline(lines, line); ++number)
    for (size_t i = 0; i < voices_each; ++i) {
      const EspeakVoice& voice = voices[(number + 2 * i) % voices.size()];
      const std::string name = text(number / 10, number % 10, "-", i);
      say_to_file(line, voice, folder / "said.wav");
      files.push_back({name + ".wav", bytes_of(folder / "said.wav")});
      transcripts += text(name, "\t", line, "\n");
    }
  files.push_back({"transcripts.tsv", transcripts});
  return packed_tar(files);
}

}  // namespace

Supply synthetic_speech() {
  return {.entry = {.name = "synthetic-speech",
                    .summary = "short everyday sentences, each in eight voices of a computer, 22 kHz",
                    .licence = "made by espeak-ng, whose licence (GPL-3) is not that of what it says",
                    .citation = "espeak-ng 1.51",
                    .kind = Kind::speech,
                    .training_examples = 480,
                    .files = {{"synthetic-speech.tar", 29941760,
                               "e2dd1a7dbc6ae1307bc4a0e5e1d0b3ca0fd2e2df13c02d1d803566deab182492"}}},
          .files = {{{{{"synthetic-speech.tar"}, as_is}}, {}}},
          .packages = {},
          .folders = {"synthetic-speech", "speech"},
          .pack = "",
          .generate = speak};
}

}  // namespace descent::data::catalogue
