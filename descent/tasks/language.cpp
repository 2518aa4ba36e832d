#include "descent/tasks/language.h"

#include <filesystem>

#include "descent/base/text.h"
#include "descent/data/conversations.h"
#include "descent/data/replies.h"

namespace descent::tasks {

namespace {

int64_t token_count(const data::Dataset& data) { return std::ssize(data.classes); }

std::string token_count_text(const data::Dataset& data) { return text(data.classes.size(), " tokens"); }

bool never_single(const data::Dataset&, const nn::Loss&) { return false; }

Answer no_answer(std::span<const float>, const nn::Loss&, const std::vector<std::string>&, const data::TableEncoder*) {
  fail("a run on text answers with text: descent generate, descent chat");
}

// `least` tokens are those that no text can do without.
data::TextOptions text_options(const Recipe& recipe, int64_t least) {
  const int64_t tokens = recipe.data.integer("tokens");
  if (tokens > 0 && tokens < least)
    throw UsageError(recipe.data.at("tokens"),
                     text("[data]: 'tokens' must be 0, for characters, or at least ", least, ", got ", tokens));
  return {.tokens = tokens,
          .context = recipe.data.integer("context"),
          .windows = recipe.data.integer("windows"),
          .fractions = {recipe.data.number("validation"), recipe.data.number("test")}};
}

constexpr int64_t byte_tokens = 256;

// Rows of replies are the answers that there are.
void check_replies(const Recipe& recipe) {
  if (recipe.data.integer("windows") > 0)
    throw UsageError(recipe.data.at("windows"),
                     "[data]: 'windows' is for the task 'language'; answers are as many as there are, and "
                     "[train] epoch_size makes epochs shorter");
  if (recipe.data.integer("context") < 4)
    throw UsageError(recipe.data.at("context"), "[data]: 'context' must be at least 4 for the task 'reply'");
  if (recipe.loss.word("kind") != nn::SequenceCrossEntropy::name)
    throw UsageError(recipe.loss.at("kind"), text("answers end where they end: the task 'reply' needs the loss '",
                                                  nn::SequenceCrossEntropy::name, "'"));
}

}  // namespace

TaskKind language_task() {
  return {.name = "language",
          .about = "which token of a text comes next",
          .default_loss = nn::CrossEntropy::name,
          .classes = true,
          .table_target = data::TargetKind::classes,
          .outputs = token_count,
          .outputs_text = token_count_text,
          .single_output = never_single,
          .answer = no_answer,
          .sequences = true,
          .monitor = "loss"};
}

TaskKind reply_task() {
  TaskKind out = language_task();
  out.name = "reply";
  out.about = "what is said in answer to what was said";
  out.default_loss = nn::SequenceCrossEntropy::name;
  return out;
}

bool replies(const Recipe& recipe) { return recipe.task == "reply"; }

Examples load_text_examples(const Recipe& recipe, const std::string& path) {
  if (replies(recipe))
    throw UsageError(recipe.data.at(), text("the task 'reply' wants conversations, and ", path,
                                            " is read as a text; did you mean [data] dialogue = \"...\"?"));
  const data::TextOptions options = text_options(recipe, byte_tokens);
  const data::TokenText content = data::tokenize(data::read_text(path), options, path);
  return {data::window_splits(content, options, path), {.tokenizer = content.tokenizer}};
}

Examples load_conversation_examples(const Recipe& recipe, const std::vector<std::string>& paths) {
  const data::TextOptions options = text_options(recipe, byte_tokens + data::Marks::count);
  if (replies(recipe)) check_replies(recipe);
  std::vector<data::Conversation> all;
  for (const std::string& path : paths) {
    std::vector<data::Conversation> own = data::read_conversations(path);
    std::ranges::move(own, std::back_inserter(all));
  }
  const std::string source = paths.size() == 1 ? paths[0] : "the conversations";
  const data::TokenText content = data::tokenize(std::move(all), options, recipe.seed(), source);
  data::Splits splits =
      replies(recipe) ? data::reply_splits(content, options, source) : data::window_splits(content, options, source);
  return {std::move(splits), {.tokenizer = content.tokenizer, .conversations = true, .replies = replies(recipe)}};
}

std::vector<std::string> conversation_paths(const Recipe& recipe, const std::string& value) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin <= value.size();) {
    const size_t end = std::min(value.find(',', begin), value.size());
    std::string_view path = std::string_view(value).substr(begin, end - begin);
    while (path.starts_with(' ')) path.remove_prefix(1);
    while (path.ends_with(' ')) path.remove_suffix(1);
    if (path.empty())
      throw UsageError(recipe.data.at("dialogue"), "[data]: 'dialogue' names nothing between two commas");
    out.push_back((recipe.base / path).lexically_normal().string());
    begin = end + 1;
  }
  return out;
}

bool is_language(const Preprocess& preprocess) {
  return preprocess.tokenizer && preprocess.input.dtype == DType::i32 && preprocess.input.shape.rank() == 1;
}

data::Dataset load_text_like(const Preprocess& preprocess, const std::string& path) {
  const data::Tokenizer& tokenizer = *preprocess.tokenizer;
  const std::vector<int32_t> tokens = preprocess.conversations
                                          ? data::tokens_of(data::read_conversations(path), tokenizer, path)
                                          : tokenizer.encode(data::read_text(path), path);
  if (preprocess.replies)
    return data::replies_of(tokens, data::Marks(tokenizer), preprocess.classes, preprocess.input.shape[0] / 2, path);
  return data::side_by_side(tokens, preprocess.classes, preprocess.input.shape[0], path + ": it");
}

}  // namespace descent::tasks
