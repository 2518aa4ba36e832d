#include "descent/tasks/chat.h"

#include <algorithm>
#include <cmath>

#include "descent/base/text.h"
#include "descent/data/conversations.h"
#include "descent/data/utf8.h"
#include "descent/tasks/language.h"

namespace descent::tasks {

namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";  // the sign that Unicode has for what cannot be shown

const Run& checked(const Run& run) {
  if (!is_language(run.preprocess) || !run.preprocess.conversations)
    throw UsageError(text(run.directory.string(), " was not trained on conversations: [data] dialogue = ..."));
  return run;
}

constexpr std::string_view spaces = " \t\r\n\v\f";

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(spaces);
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

bool is_utf8(std::string_view text) {
  while (!text.empty())
    if (!data::next_code(text)) return false;
  return true;
}

// The pieces of a reply as they come, whole characters at a time.
class Speaker {
 public:
  explicit Speaker(const std::function<bool(const std::string&)>& say) : say_(say) {}

  bool add(const std::string& bytes) {
    waiting_ += bytes;
    const size_t whole = waiting_.size() - data::unfinished_bytes(waiting_);
    return tell(whole);
  }
  void end() { tell(waiting_.size()); }

 private:
  bool tell(size_t bytes) {
    std::string piece = data::valid_utf8(std::string_view(waiting_).substr(0, bytes), replacement);
    waiting_.erase(0, bytes);
    if (!begun_) piece.erase(0, std::min(piece.find_first_not_of(spaces), piece.size()));
    begun_ = begun_ || !piece.empty();
    return !say_ || piece.empty() || say_(piece);
  }

  const std::function<bool(const std::string&)>& say_;
  std::string waiting_;
  bool begun_ = false;
};

}  // namespace

Chat::Chat(const Run& run, const ChatOptions& options)
    : tokenizer_(checked(run).preprocess.tokenizer),
      marks_(*tokenizer_),
      options_(options),
      next_(run, std::max<int64_t>(1, options.beam)),
      random_(data::random_key(options.seed, 0x63686174)) {}  // "chat": a use of the seed of its own

Reply Chat::answer(const std::string& turn, const std::function<bool(const std::string&)>& say) {
  if (!is_utf8(turn)) throw UsageError("what was said is no text in UTF-8");
  const std::string said = trimmed(turn);
  if (said.empty()) throw UsageError("nothing was said that could be answered");
  turns_.push_back(said);
  Reply reply;
  std::vector<int32_t> prompt;
  try {
    prompt = history(reply);
  } catch (const Error&) {
    turns_.pop_back();
    throw;
  }
  turns_.erase(turns_.begin(), turns_.begin() + reply.turns_forgotten);
  first_ += static_cast<size_t>(reply.turns_forgotten);
  begin(prompt);
  const std::vector<int32_t> tokens = options_.beam > 0 ? search(prompt) : draw(prompt, say);
  reply.tokens = std::ssize(tokens);
  reply.text = trimmed(data::valid_utf8(tokenizer_->decode(tokens), replacement));
  if (options_.beam > 0 && say) say(reply.text);
  turns_.push_back(reply.text);
  return reply;
}

// What the reply goes on from: its mark, behind the turns that it answers unless the net has heard these.
void Chat::begin(std::vector<int32_t>& prompt) {
  next_.clear();
  if (next_.replies()) {
    next_.hear(prompt);
    prompt.clear();
  }
  prompt.push_back(marks_.of_turn(first_ + turns_.size()));
}

// The last turns, each behind its mark. In a window that the reply shares, a quarter at least is the reply's.
std::vector<int32_t> Chat::history(Reply& reply) const {
  const int64_t own = next_.replies() ? 0 : std::min(options_.length, next_.window() / 4) + 2;
  const int64_t room = next_.window() - own;
  std::vector<int32_t> prompt;
  for (size_t i = turns_.size(); i-- > 0;) {
    std::vector<int32_t> tokens = tokenizer_->encode(turns_[i], "what was said");
    const bool last = i + 1 == turns_.size();
    const int64_t left = std::max<int64_t>(1, room - std::ssize(prompt));
    if (std::ssize(tokens) + 1 > left) {
      if (!last) {
        reply.turns_forgotten = static_cast<int64_t>(i) + 1;
        break;
      }
      const int64_t cut = std::ssize(tokens) + 1 - std::max<int64_t>(2, left);
      reply.tokens_cut = std::max<int64_t>(0, cut);
      tokens.erase(tokens.begin(), tokens.begin() + reply.tokens_cut);
    }
    tokens.insert(tokens.begin(), marks_.of_turn(first_ + i));
    prompt.insert(prompt.begin(), tokens.begin(), tokens.end());
  }
  return prompt;
}

// A reply has something in it.
void Chat::forbid_marks(std::span<const float> scores) {
  scores_.assign(scores.begin(), scores.end());
  for (size_t token = 0; token < scores_.size(); ++token)
    if (marks_.is_mark(static_cast<int64_t>(token) % next_.tokens())) scores_[token] = -HUGE_VALF;
}

std::vector<int32_t> Chat::draw(std::span<const int32_t> prompt, const std::function<bool(const std::string&)>& say) {
  std::vector<int32_t> tokens;
  Speaker speaker(say);
  forbid_marks(next_.feed(prompt));
  std::span<const float> scores = scores_;
  while (std::ssize(tokens) < options_.length) {
    const auto token = static_cast<int32_t>(choose(scores, options_.sampling, random_));
    if (marks_.is_mark(token)) break;
    tokens.push_back(token);
    if (!speaker.add(tokenizer_->decode(token)) || next_.seen() == next_.window()) break;
    if (std::ssize(tokens) < options_.length) scores = next_.step(std::span(&token, 1));
  }
  speaker.end();
  return tokens;
}

std::vector<int32_t> Chat::search(std::span<const int32_t> prompt) {
  const BeamOptions options{.width = options_.beam,
                            .length = std::min(options_.length, next_.window() - std::ssize(prompt)),
                            .length_power = options_.length_power};
  std::vector<Beam> best = search_texts(
      next_, prompt, [this](int32_t token) { return marks_.is_mark(token); }, options);
  for (Beam& beam : best) {
    if (beam.ended) beam.tokens.pop_back();
    if (!beam.tokens.empty()) return beam.tokens;
  }
  return {};
}

}  // namespace descent::tasks
