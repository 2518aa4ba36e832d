// The catalogue's sounds: a tar archive of WAV files each, in the order of their names, made from whatever archive the
// files come in.
#include <algorithm>

#include "descent/base/text.h"
#include "descent/data/archive.h"
#include "descent/data/catalogue_supply.h"

namespace descent::data::catalogue {

namespace {

// "recordings/7_george_12.wav", of five speakers; a sixth came later.
std::string digit_name(std::string_view name) {
  const size_t folder = name.rfind("recordings/");
  if (folder == name.npos || !name.ends_with(".wav") || name.find("_theo_") != name.npos) return "";
  return std::string(name.substr(folder));
}

// Without the archive's own folder.
std::string inner_name(std::string_view name) {
  return name.ends_with(".wav") ? std::string(name.substr(name.find('/') + 1)) : "";
}

Supply spoken_digits() {
  const std::string commit = "26eb9aaf76e81b692f806f9140c2d2777410d7a1";
  const std::string archive = "free-spoken-digit-dataset.tar.gz";
  const DataFile file{"spoken-digits.tar", 19906560,
                      "c96f4126e2f58ffd17e7591abb1ab078de2083c2929fdecfeb133b66c3f2cece"};
  return {
      {.name = "spoken-digits",
       .summary = "the digits zero to nine, said 50 times each by five people, 8 kHz",
       .licence = "CC BY-SA 4.0",
       .citation = "Z. Jackson, C. Souza, J. Flaks, Y. Pan, H. Nicolas, A. Thite, "
                   "\"Jakobovski/free-spoken-digit-dataset\", Zenodo, 2018",
       .kind = Kind::sounds,
       .training_examples = 2250,
       .test_examples = 250,
       .classes = numbered_classes(10),
       .names = {.label = "/([0-9])_", .test = "_[0-4][.]wav$"},
       .files = {file}},
      {{{repacked("fsdd.tar.xz", digit_name), repacked(archive, digit_name)},
        {{archive, "", {"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/" + commit + ".tar.gz"}}}}},
      {},
      {"spoken-digits", "speech"},
      ""};
}

// A set that is not published in this form: another set's clips, cut and at another rate.
Supply cut_set(Entry entry, const std::string& archive) {
  const std::string name = entry.name;
  return {std::move(entry), {{{repacked(archive, inner_name)}, {}}}, {}, {name, "speech"}, ""};
}

Supply speech_commands() {
  return cut_set(
      {.name = "speech-commands",
       .summary = "ten command words, other words and silence, 192 people, 8 kHz; judged by people not heard before",
       .licence = "CC BY 4.0",
       .citation = "P. Warden, \"Speech commands: a dataset for limited-vocabulary speech recognition\", "
                   "arXiv:1804.03209, 2018 (of whose test part these are, with silence cut off)",
       .kind = Kind::sounds,
       .training_examples = 3853,
       .classes = {"down", "go", "left", "no", "off", "on", "right", "silence", "stop", "unknown", "up", "yes"},
       .names = {.speaker = "([0-9a-f]{8})_[0-9]+[.]wav$"},
       .files = {{"speech-commands.tar", 41605120,
                  "aa4cabedd3e2345cfb8b5dfadb7a038d9ce71a4f840e5a92c842d666e316ab4b"}}},
      "speech-commands-8k.tar.xz");
}

Supply phrases() {
  return cut_set(
      {.name = "phrases",
       .summary = "ten short phrases such as \"how are you\", several people, 8 kHz",
       .licence = "CC BY 4.0",
       .citation = "S. Hymel, \"Custom speech commands dataset\" (with silence cut off)",
       .kind = Kind::sounds,
       .training_examples = 426,
       .classes = {"archie", "dracarys", "fenrir", "goodnight", "hadouken", "hey_archie", "hey_fenrir", "how_are_you",
                   "joke", "trick_or_treat"},
       .files = {{"phrases.tar", 5806080, "5043f7ffeb896abf446ee2f8877191d6c87dc61d14aa9e5dc3695294d88753b5"}}},
      "phrases-8k.tar.xz");
}

// "digits/10.wav", "core-sounds-en.txt": the voice's folder and the package's are left out.
std::string prompt_name(std::string_view name) {
  static constexpr std::string_view voice = "/en_US_f_Allison/", list = "core-sounds-en.txt";
  if (name.ends_with(text(list, ".gz"))) return std::string(list);
  const size_t folder = name.find(voice);
  return name.ends_with(".wav") && folder != name.npos ? std::string(name.substr(folder + voice.size())) : "";
}

// The files of two Debian packages, sounds and what is said in them.
std::string prompts_of_packages(std::span<const std::string> packages, const DataFile& file) {
  std::vector<PackedFile> files;
  const FileLimits limits{.file_bytes = 2 * file.bytes, .total_bytes = 4 * file.bytes};
  const auto take = [&](const std::string& name, std::string bytes) {
    const std::string called = prompt_name(name);
    files.push_back({called, name.ends_with(".gz") ? unpacked(bytes, file.bytes, name) : std::move(bytes)});
  };
  for (const std::string& package : packages)
    each_file_in(
        package, "package", [](std::string_view name) { return name.starts_with("data.tar"); },
        [&](const std::string& name, const std::string& bytes) {
          each_file_in(
              bytes, name, [](std::string_view inner) { return !prompt_name(inner).empty(); }, take, limits);
        },
        limits);
  std::ranges::sort(files, {}, &PackedFile::name);
  return packed_tar(files);
}

Supply asterisk_prompts() {
  const std::string version = "_1.6.1-1_all.deb";
  return {{.name = "asterisk-prompts",
           .summary = "what a telephone exchange says, one voice, with transcripts, 8 kHz",
           .licence = "CC BY-SA 3.0",
           .citation = "Digium, \"Asterisk core sounds\", 1.6.1, English, the voice of Allison Smith",
           .kind = Kind::speech,
           .training_examples = 568,
           .files = {{"asterisk-prompts.tar", 24954880,
                      "afa3087f42d6ea79b2c41b1ed26c6cdc922e25f6ae8f787f11f74097110ed327"}}},
          {{{{{"asterisk-prompts.tar"}, as_is},
             {{"asterisk-core-sounds-en-wav" + version, "asterisk-core-sounds-en" + version}, prompts_of_packages}},
            {}}},
          {{Package::Manager::debian, "asterisk-core-sounds-en-wav asterisk-core-sounds-en", ""}},
          {"asterisk-prompts", "speech"},
          ""};
}

}  // namespace

std::vector<Supply> sound_supplies() {
  return {spoken_digits(), speech_commands(), phrases(), asterisk_prompts(), synthetic_speech()};
}

}  // namespace descent::data::catalogue
