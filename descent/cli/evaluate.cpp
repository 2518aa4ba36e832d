// descent evaluate RUN
#include <fmt/format.h>

#include <algorithm>

#include "descent/cli/command.h"
#include "descent/cli/confusion.h"
#include "descent/tasks/go.h"
#include "descent/tasks/language.h"
#include "descent/tasks/transcribe.h"
#include "descent/train/test_time.h"

namespace descent::cli {

namespace {

struct EvaluateFlags {
  std::string run, data = "test";
  std::optional<bool> flip = {};
  std::optional<int64_t> shift = {};
  int views = 1;
  tasks::DecodingWishes decoding = {};
  bool json = false;
};

// What the flags say, else the run's recipe.
train::TestTimeViews views_for(const EvaluateFlags& flags, const tasks::Recipe& recipe) {
  const train::TestTimeViews own = recipe.views();
  return {.flip = flags.flip.value_or(own.flip), .shift = flags.shift.value_or(own.shift)};
}

train::Evaluation judge(const tasks::Run& run, const data::Dataset& data, const EvaluateFlags& flags,
                        const train::TestTimeViews& moved) {
  if (flags.views > 1) return tasks::evaluate_go(run, data, flags.views);
  if (moved.count() > 1) return train::evaluate(*run.net, run.loss, data, moved, run.evaluate_options());
  return train::evaluate(*run.net, run.loss, data, run.evaluate_options());
}

void check(const tasks::Run& run, const EvaluateFlags& flags) {
  const bool board = tasks::go_board_size(run.preprocess).has_value();
  if (flags.views != 1 && !board)
    throw UsageError(text("--views is for games of Go, and ", flags.run, " was not trained on them"));
  if (board && (flags.flip || flags.shift))
    throw UsageError(text("--flip and --shift are for images; ", flags.run, " was trained on games of Go: --views 8"));
}

// What counting makes of the run's own training part; a run that is judged on another text need not have that any more.
std::optional<tasks::NGramBaseline> counted(const tasks::Run& run, const data::Dataset& data) {
  if (!tasks::is_language(run.preprocess)) return std::nullopt;
  try {
    return tasks::ngram_baseline(run.examples("train"), data);
  } catch (const Error& error) {
    fmt::print(stderr, "there is no n-gram to compare with, since the training data cannot be read: {}\n",
               error.what());
    return std::nullopt;
  }
}

// How often each text is right, where the same ones are said again and again.
void print_texts(const tasks::SearchJudgement& searched, int64_t recordings) {
  if (2 * std::ssize(searched.texts) > recordings) return;
  for (const auto& [said, count] : searched.texts) fmt::print("  {:<24} {} of {}\n", said, count.right, count.said);
}

void run_evaluate(const EvaluateFlags& flags) {
  const tasks::Run run = tasks::load_run(flags.run);
  check(run, flags);
  const data::Dataset data = run.examples(flags.data);
  const train::TestTimeViews moved = views_for(flags, run.recipe);
  const int64_t views = std::max<int64_t>(flags.views, moved.count());
  train::Evaluation evaluation = judge(run, data, flags, moved);
  const tasks::SearchJudgement searched = tasks::transcribes(run.recipe)
                                              ? tasks::judge_search(run, data, tasks::decoding(run, flags.decoding))
                                              : tasks::SearchJudgement{};
  std::ranges::copy(searched.figures, std::back_inserter(evaluation.figures));
  // What a move is taken for is told by its place alone, and says nothing.
  if (tasks::go_board_size(run.preprocess)) evaluation.confusion.reset();
  const auto& confusion = evaluation.confusion;
  const std::optional<tasks::NGramBaseline> baseline = counted(run, data);
  if (!flags.json) {
    fmt::print("{}, {} examples{}: {}\n", flags.data, data.size(),
               views > 1 ? fmt::format(", the mean of {} views of each", views) : "", to_text(evaluation.figures));
    if (confusion) print_confusion(*confusion, data.classes);
    if (baseline) fmt::print("{}\n", baseline->to_text(evaluation.figures));
    print_texts(searched, data.size());
    return;
  }
  Json out{{"run", flags.run}, {"data", flags.data}, {"examples", data.size()}, {"weights", run.weights}};
  if (views > 1) out["views"] = views;
  for (const auto& [name, value] : evaluation.figures) out[name] = value;
  if (confusion) out["confusion"] = confusion_json(*confusion, data.classes);
  if (baseline) out["baseline"] = to_json(baseline->figures());
  for (const auto& [said, count] : searched.texts) out["texts"][said] = {{"said", count.said}, {"right", count.right}};
  print_json(out);
}

}  // namespace

void add_evaluate(CLI::App& program) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* command = add_command(program, "evaluate", "judge a run on data", flags, run_evaluate);
  command->add_option("run", flags->run, "the run's directory")->required();
  command->add_option(
      "--data", flags->data,
      "test (default), validation, train, or a file (CSV, NPZ, text) or folder (idx, CIFAR-10, class folders "
      "of images or sounds, games)");
  // As functions: a flag that is bound to an optional gives it a value even where it does not stand.
  command->add_flag_callback(
      "--flip", [flags] { flags->flip = true; },
      "average what the net says of each image and of its mirror image (default: as the recipe says)");
  command->add_flag_callback(
      "--no-flip", [flags] { flags->flip = false; }, "do not, whatever the recipe says");
  command
      ->add_option("--shift", flags->shift, "also average over each image moved by so many pixels, four ways; 0: not")
      ->check(CLI::Range(0, 1000));
  command
      ->add_option("--beam", flags->decoding.beam,
                   "of speech: transcripts that are followed at once (default: the recipe's)")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}));
  command
      ->add_option("--language", flags->decoding.language,
                   "of speech: weight of the model of characters (default: the recipe's)")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--words", flags->decoding.words, "of speech: weight of the model of words (default: the recipe's)")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--views", flags->views, "of positions of Go: symmetries that are averaged (default 1)")
      ->check(CLI::Range(1, 8));
}

}  // namespace descent::cli
