#include "descent/tasks/generate.h"

#include <algorithm>
#include <chrono>

#include "descent/base/text.h"
#include "descent/data/byte_pairs.h"
#include "descent/tasks/language.h"
#include "descent/tasks/run_net.h"

namespace descent::tasks {

namespace {

// The run's own tokens; marks of conversations are no text.
std::string bytes_of(const Preprocess& preprocess, int64_t token) {
  return token < preprocess.tokenizer->size() ? preprocess.tokenizer->decode(token) : "\n";
}

void search(const Run& run, const GenerateOptions& options, std::span<const int32_t> prompt,
            const std::function<void(const std::string&)>& say) {
  NextScores next(run, options.beam);
  const std::vector<Beam> best =
      search_texts(next, prompt, [](int32_t) { return false; },
                   {.width = options.beam, .length = options.length, .length_power = options.length_power});
  std::string all;
  for (const int32_t token : best.at(0).tokens) all += bytes_of(run.preprocess, token);
  say(all);
}

}  // namespace

void generate(const Run& run, const GenerateOptions& options, const std::function<void(const std::string&)>& say) {
  if (!is_language(run.preprocess)) throw UsageError(text(run.directory.string(), " was not trained on text"));
  if (run.preprocess.replies)
    throw UsageError(text(run.directory.string(), " answers what is said, it goes on with nothing: descent chat"));
  if (options.prompt.empty()) throw UsageError("the prompt is empty; a line break (the default) begins a text anew");
  const std::vector<int32_t> prompt = run.preprocess.tokenizer->encode(options.prompt, "the prompt");
  if (options.beam > 0) return search(run, options, prompt, say);
  NextScores next(run);
  data::RandomStream random(data::random_key(options.seed, 0x746578));  // "tex": a use of the seed of its own
  std::span<const float> scores = next.feed(prompt);
  for (int64_t i = 0; i < options.length; ++i) {
    const auto token = static_cast<int32_t>(choose(scores, options.sampling, random));
    say(bytes_of(run.preprocess, token));
    if (i + 1 < options.length) scores = next.step(std::span(&token, 1));
  }
}

std::vector<Beam> search_texts(NextScores& next, std::span<const int32_t> prompt,
                               const std::function<bool(int32_t)>& ends, const BeamOptions& options) {
  if (options.width != next.sequences())
    fail(text("a beam search of width ", options.width, " needs as many sequences, not ", next.sequences()));
  std::vector<int64_t> all_from(static_cast<size_t>(options.width));
  std::vector<int32_t> all_tokens(static_cast<size_t>(options.width));
  const auto go_on = [&](std::span<const int64_t> from, std::span<const int32_t> tokens) -> std::span<const float> {
    // Sequences that no text needs follow the first one.
    for (size_t i = 0; i < all_from.size(); ++i) {
      all_from[i] = i < from.size() ? from[i] : from[0];
      all_tokens[i] = i < tokens.size() ? tokens[i] : tokens[0];
    }
    next.reorder(all_from);
    return next.step(all_tokens).first(from.size() * static_cast<size_t>(next.tokens()));
  };
  const std::span<const float> first = next.feed(prompt).first(static_cast<size_t>(next.tokens()));
  return beam_search(first, go_on, ends, options);
}

namespace {

// What a step reads of the weights: matrices once, of an embedding that does not score tokens, too, a row.
double bytes_read(const Run& run) {
  const bool bf16 = nn::use_bf16(run.evaluate_options().precision);
  double bytes = 0;
  for (const nn::ParameterPtr& parameter : nn::all_parameters(*run.net)) {
    const Type& type = parameter->type();
    bytes += static_cast<double>(type.shape.elements()) * (bf16 && type.shape.rank() > 1 ? 2 : 4);
  }
  return bytes;
}

}  // namespace

GenerationSpeed measure_generation(const Run& run, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  NextScores next(run);
  const int32_t token = 0;
  next.step(std::span(&token, 1));  // compiles
  GenerationSpeed out{0, bytes_read(run)};
  for (const Clock::time_point begin = Clock::now(); out.tokens_per_second == 0 || since(begin) < seconds;) {
    next.clear();
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < next.window(); ++i) next.step(std::span(&token, 1));
    out.tokens_per_second = std::max(out.tokens_per_second, static_cast<double>(next.window()) / since(start));
  }
  return out;
}

Run untrained_text_run(const std::string& net, int64_t window, const std::string& precision) {
  Recipe recipe = parse_recipe(
      text("task = \"language\"\n", net, "\n[data]\ntext = \"none\"\n[train]\nprecision = \"", precision, "\"\n"),
      "untrained.toml");
  auto bytes = std::make_shared<data::BytePairs>(std::vector<data::BytePairs::Pair>{});
  Preprocess preprocess{.classes = bytes->names(), .input = {DType::i32, {window}}, .tokenizer = bytes};
  std::shared_ptr<nn::Module> made = make_run_net(recipe, preprocess);
  nn::make_parameters(*made, preprocess.batch(1), 5);
  nn::Loss loss = recipe.make_loss();
  return {"untrained", std::move(recipe), std::move(preprocess), std::move(made), std::move(loss), "none"};
}

}  // namespace descent::tasks
