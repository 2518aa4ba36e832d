// descent listen RUN [FILE]
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "descent/cli/command.h"
#include "descent/tasks/transcribe.h"

namespace descent::cli {

namespace {

struct ListenFlags {
  std::string run, source = "-";
  data::RawAudio raw = {};
  double window = 3;
  tasks::DecodingWishes decoding = {};
  bool json = false;
};

data::AudioStream open_source(const ListenFlags& flags, int64_t rate) {
  if (flags.source == "-") return data::AudioStream::raw(STDIN_FILENO, flags.raw, "standard input", rate);
  return data::AudioStream::open(flags.source, rate);
}

// Words are shown as they come, a line for each sentence.
void run_listen(const ListenFlags& flags) {
  const tasks::Run run = tasks::load_run(flags.run);
  if (!tasks::transcribes(run.recipe)) throw UsageError(text(flags.run, " was not trained to transcribe"));
  tasks::Listener listener(run, tasks::decoding(run, flags.decoding), flags.window);
  data::AudioStream stream = open_source(flags, listener.rate());
  std::string all;
  const int64_t samples = tasks::listen(listener, stream, [&](const tasks::Heard& heard) {
    const std::string piece = heard.text + (heard.pause ? "\n" : "");
    if (flags.json) {
      all += piece;
      return;
    }
    fmt::print("{}", piece);
    std::fflush(stdout);
  });
  if (samples == 0) fail(text(flags.source == "-" ? "standard input" : flags.source, ": there are no samples in it"));
  if (flags.json)
    print_json({{"run", flags.run},
                {"input", flags.source},
                {"seconds", static_cast<double>(samples) / static_cast<double>(listener.rate())},
                {"text", all}});
}

}  // namespace

void add_listen(CLI::App& program) {
  auto flags = std::make_shared<ListenFlags>();
  CLI::App* command = add_command(program, "listen", "tell what is said in a stream of sound", flags, run_listen);
  command->add_option("run", flags->run, "the run's directory")->required();
  command->add_option("source", flags->source, "a WAV or FLAC file; - (default): standard input, WAV or raw samples");
  command->add_option("--rate", flags->raw.rate, "of raw samples: how many a second (default 16000)")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}));
  command->add_option("--bits", flags->raw.bits, "of a raw sample: 8 (unsigned), 16 (default), 24 or 32 (signed)")
      ->check(CLI::IsMember({8, 16, 24, 32}));
  command->add_option("--channels", flags->raw.channels, "of raw samples (default 1)")
      ->check(CLI::Range(int64_t{1}, int64_t{64}));
  command->add_option("--window", flags->window, "seconds that are heard at once, and so until words come (default 3)")
      ->check(CLI::Range(1.0, 60.0));
  command
      ->add_option("--beam", flags->decoding.beam,
                   "transcripts that are followed at once (default: as the recipe says)")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}));
  command
      ->add_option("--language", flags->decoding.language,
                   "weight of the model of characters (default: as the recipe says)")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--words", flags->decoding.words, "weight of the model of words (default: as the recipe says)")
      ->check(CLI::NonNegativeNumber);
}

}  // namespace descent::cli
