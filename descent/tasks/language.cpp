#include "descent/tasks/language.h"

#include <algorithm>
#include <filesystem>

#include "descent/base/text.h"
#include "descent/data/text.h"
#include "descent/nn/function.h"

namespace descent::tasks {

namespace {

int64_t character_count(const data::Dataset& data) { return std::ssize(data.classes); }

std::string character_count_text(const data::Dataset& data) { return text(data.classes.size(), " characters"); }

bool never_single(const data::Dataset&, const nn::Loss&) { return false; }

Answer no_answer(std::span<const float>, const nn::Loss&, const std::vector<std::string>&, const data::TableEncoder*) {
  fail("a run on text answers with text: descent generate");
}

// A trained net as a function from the tokens so far to the scores of the next.
class NextScores {
 public:
  explicit NextScores(const Run& run)
      : context_(run.preprocess.input.shape[0]),
        window_(DType::i32, {1, context_}),
        forward_(
            [net = run.net](nn::Pass& pass, std::span<const Tensor> in) -> Tensors { return {(*net)(in[0], pass)}; },
            {.training = false, .precision = run.evaluate_options().precision}) {}

  // What stands behind the last token makes no difference to it, so one program does for any number of tokens.
  std::span<const float> operator()(std::span<const int32_t> tokens) {
    const auto seen = std::min(tokens.size(), static_cast<size_t>(context_));
    std::ranges::fill(std::ranges::copy(tokens.last(seen), window_.as<int32_t>().begin()).out,
                      window_.as<int32_t>().end(), 0);
    const Array& scores = forward_({window_})[0];
    const auto columns = static_cast<size_t>(scores.shape().back());
    return scores.as<float>().subspan((seen - 1) * columns, columns);
  }

 private:
  int64_t context_;
  Array window_;
  nn::Function forward_;
};

}  // namespace

TaskKind language_task() {
  return {.name = "language",
          .about = "which character of a text comes next",
          .default_loss = nn::CrossEntropy::name,
          .classes = true,
          .table_target = data::TargetKind::classes,
          .outputs = character_count,
          .outputs_text = character_count_text,
          .single_output = never_single,
          .answer = no_answer,
          .sequences = true,
          .monitor = "loss"};
}

Examples load_text_examples(const Recipe& recipe, const std::string& path) {
  const data::TextOptions options{.context = recipe.data.integer("context"),
                                  .windows = recipe.data.integer("windows"),
                                  .fractions = {recipe.data.number("validation"), recipe.data.number("test")}};
  return {data::text_splits(data::read_text(path), options, path), {}};
}

bool is_language(const Preprocess& preprocess) {
  return preprocess.input.dtype == DType::i32 && preprocess.input.shape.rank() == 1 && !preprocess.classes.empty();
}

data::Dataset load_text_like(const Preprocess& preprocess, const std::string& path) {
  return data::text_dataset(data::read_text(path), data::Characters(preprocess.classes), preprocess.input.shape[0],
                            path);
}

void generate(const Run& run, const GenerateOptions& options, const std::function<void(const std::string&)>& say) {
  if (!is_language(run.preprocess)) throw UsageError(text(run.directory.string(), " was not trained on text"));
  if (options.prompt.empty()) throw UsageError("the prompt is empty; a line break (the default) begins a text anew");
  const data::Characters characters(run.preprocess.classes);
  std::vector<int32_t> tokens = characters.encode(options.prompt, "the prompt");
  NextScores next(run);
  data::RandomStream random(data::random_key(options.seed, 0x746578));  // "tex": a use of the seed of its own
  for (int64_t i = 0; i < options.length; ++i) {
    tokens.push_back(static_cast<int32_t>(choose(next(tokens), options.sampling, random)));
    say(characters.decode(tokens.back()));
  }
}

}  // namespace descent::tasks
