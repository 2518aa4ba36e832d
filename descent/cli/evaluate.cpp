// descent evaluate RUN
#include <fmt/format.h>

#include "descent/cli/command.h"
#include "descent/cli/confusion.h"
#include "descent/tasks/run.h"
#include "descent/train/test_time.h"

namespace descent::cli {

namespace {

struct EvaluateFlags {
  std::string run, data = "test";
  bool flip = false, json = false;
  int64_t shift = 0;
};

void run_evaluate(const EvaluateFlags& flags) {
  const tasks::Run run = tasks::load_run(flags.run);
  const data::Dataset data = run.examples(flags.data);
  const train::TestTimeViews views{.flip = flags.flip, .shift = flags.shift};
  const train::Evaluation evaluation = views.count() > 1
                                           ? train::evaluate(*run.net, run.loss, data, views, run.evaluate_options())
                                           : train::evaluate(*run.net, run.loss, data, run.evaluate_options());
  const auto& confusion = evaluation.confusion;
  if (!flags.json) {
    fmt::print("{}, {} examples{}: {}\n", flags.data, data.size(),
               views.count() > 1 ? fmt::format(", the mean of {} views of each", views.count()) : "",
               to_text(evaluation.figures));
    if (confusion) print_confusion(*confusion, data.classes);
    return;
  }
  Json out{{"run", flags.run}, {"data", flags.data}, {"examples", data.size()}, {"weights", run.weights}};
  if (views.count() > 1) out["views"] = views.count();
  for (const auto& [name, value] : evaluation.figures) out[name] = value;
  if (confusion) out["confusion"] = confusion_json(*confusion, data.classes);
  print_json(out);
}

}  // namespace

void add_evaluate(CLI::App& program) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* command = add_command(program, "evaluate", "judge a run on data", flags, run_evaluate);
  command->add_option("run", flags->run, "the run's directory")->required();
  command->add_option(
      "--data", flags->data,
      "test (default), validation, train, or a file (CSV, NPZ, text) or folder (idx, CIFAR-10, class folders of images)");
  command->add_flag("--flip", flags->flip, "average what the net says of each image and of its mirror image");
  command->add_option("--shift", flags->shift, "also average over each image moved by so many pixels, four ways")
      ->check(CLI::Range(0, 1000));
}

}  // namespace descent::cli
