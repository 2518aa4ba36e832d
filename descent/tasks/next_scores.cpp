#include "descent/tasks/next_scores.h"

#include <algorithm>
#include <optional>

#include "descent/base/text.h"
#include "descent/nn/decoding.h"
#include "descent/nn/function.h"
#include "descent/tasks/language.h"

namespace descent::tasks {

class NextScores::Implementation {
 public:
  Implementation(const Run& run, int64_t count, bool remembering)
      : net_(run.net),
        replies_(run.preprocess.replies),
        window_(run.preprocess.input.shape[0] / (replies_ ? 2 : 1)),
        tokens_(std::ssize(run.preprocess.classes)) {
    sequences_.resize(static_cast<size_t>(count));
    const nn::Precision precision = run.evaluate_options().precision;
    if (remembering && net_->goes_place_by_place()) {
      decoding_.emplace(count, window_, nn::use_bf16(precision) ? DType::bf16 : DType::f32);
      place_ = Array(DType::i32, {count, 1});
      position_ = Array(DType::i32, {1});
    } else {
      place_ = Array(DType::i32, {count, run.preprocess.input.shape[0]});
    }
    if (replies_) first_ = Array(DType::i32, {count, window_ + 1});
    forward_.emplace([this](nn::Pass& pass, std::span<const Tensor> in) { return trace(pass, in); },
                     nn::FunctionOptions{.training = false, .precision = precision});
  }

  int64_t window() const { return window_; }
  int64_t tokens() const { return tokens_; }
  int64_t sequences() const { return std::ssize(sequences_); }
  int64_t seen() const { return std::ssize(sequences_[0]); }
  bool remembers() const { return decoding_.has_value(); }
  bool replies() const { return replies_; }

  void hear(std::span<const int32_t> prompt) {
    if (!replies_) fail("this net answers nothing; it goes on with a text");
    if (prompt.empty()) fail("a net cannot answer no tokens");
    prompt_.assign(prompt.end() - std::min(std::ssize(prompt), window_), prompt.end());
    clear();
  }

  std::span<const float> feed(std::span<const int32_t> tokens) {
    if (tokens.empty()) fail("a net cannot go on with no tokens");
    if (replies_ && prompt_.empty()) fail("nothing was said yet that the net could answer");
    // Of what is longer than the window, what would be cut off need not be seen.
    if (std::ssize(tokens) > window_ && !replies_) {
      clear();
      tokens = tokens.last(static_cast<size_t>(kept()));
    }
    std::vector<int32_t> each(sequences_.size());
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::ranges::fill(each, tokens[i]);
      append(each, i + 1 == tokens.size());
    }
    return scores_;
  }

  std::span<const float> step(std::span<const int32_t> tokens) {
    if (tokens.size() != sequences_.size())
      fail(text(sequences_.size(), " sequences cannot go on with ", tokens.size(), " tokens"));
    append(tokens, true);
    return scores_;
  }

  void reorder(std::span<const int64_t> from) {
    const std::vector<std::vector<int32_t>> before = sequences_;
    for (size_t i = 0; i < sequences_.size(); ++i) sequences_[i] = before[static_cast<size_t>(from[i])];
    if (decoding_) decoding_->reorder(from);
  }

  void clear() {
    for (std::vector<int32_t>& sequence : sequences_) sequence.clear();
    if (decoding_) decoding_->clear();
  }

 private:
  // Scores of the place, or of all places; then what is to be remembered.
  Tensors trace(nn::Pass& pass, std::span<const Tensor> in) {
    if (!decoding_) return {(*net_)(in[0], pass)};
    pass.decode(&*decoding_);
    decoding_->begin(in[1]);
    Tensors results{(*net_)(in[0], pass)};
    std::ranges::copy(decoding_->rows(), std::back_inserter(results));
    return results;
  }

  int64_t kept() const { return std::max<int64_t>(1, window_ / 2); }

  void append(std::span<const int32_t> tokens, bool wanted) {
    if (seen() == window_ && replies_) fail(text("an answer of this net cannot be longer than ", window_, " tokens"));
    if (seen() == window_) make_room();
    for (size_t i = 0; i < sequences_.size(); ++i) sequences_[i].push_back(tokens[i]);
    if (decoding_)
      look_at(seen() - 1);
    else if (wanted)
      look_at_all();
  }

  void make_room() {
    for (std::vector<int32_t>& sequence : sequences_) sequence.erase(sequence.begin(), sequence.end() - kept() + 1);
    if (!decoding_) return;
    decoding_->clear();
    for (int64_t place = 0; place < seen(); ++place) look_at(place);
  }

  // One place of each sequence, those before it being remembered.
  void look_at(int64_t place) {
    // What is answered comes with the first place.
    const bool first = replies_ && place == 0;
    const Array& in = first ? first_ : place_;
    const int64_t each = in.shape()[1];
    for (int64_t i = 0; i < sequences(); ++i) {
      const std::span<int32_t> row = in.rows(i, i + 1).as<int32_t>();
      if (first) put_prompt(row.first(static_cast<size_t>(window_)));
      row[static_cast<size_t>(each - 1)] = sequences_[static_cast<size_t>(i)][static_cast<size_t>(place)];
    }
    position_.as<int32_t>()[0] = static_cast<int32_t>(place);
    const std::span<const Array> results = (*forward_)({in, position_});
    decoding_->keep(results.subspan(1), place);
    scores_ = results[0].as<float>();
  }

  void put_prompt(std::span<int32_t> out) const {
    std::ranges::fill(std::ranges::copy(prompt_, out.begin()).out, out.end(), -1);
  }

  // What stands behind the last token makes no difference to it, so one program does for any number of tokens.
  void look_at_all() {
    for (int64_t i = 0; i < sequences(); ++i) {
      std::span<int32_t> row = place_.rows(i, i + 1).as<int32_t>();
      if (replies_) put_prompt(row.first(static_cast<size_t>(window_)));
      row = row.last(static_cast<size_t>(window_));
      std::ranges::fill(std::ranges::copy(sequences_[static_cast<size_t>(i)], row.begin()).out, row.end(),
                        replies_ ? -1 : 0);
    }
    const std::span<const float> all = (*forward_)({place_})[0].as<float>();
    last_.resize(sequences_.size() * static_cast<size_t>(tokens_));
    for (size_t i = 0; i < sequences_.size(); ++i) {
      const auto place = static_cast<int64_t>(i) * window_ + seen() - 1;
      std::copy_n(all.begin() + place * tokens_, tokens_, last_.begin() + static_cast<int64_t>(i) * tokens_);
    }
    scores_ = last_;
  }

  std::shared_ptr<nn::Module> net_;
  bool replies_;
  int64_t window_, tokens_;
  std::vector<int32_t> prompt_;
  std::vector<std::vector<int32_t>> sequences_;
  std::optional<nn::Decoding> decoding_;
  std::optional<nn::Function> forward_;
  Array place_, position_, first_;
  std::vector<float> last_;
  std::span<const float> scores_;
};

NextScores::NextScores(const Run& run, int64_t sequences, bool remembering) {
  if (!is_language(run.preprocess)) throw UsageError(text(run.directory.string(), " was not trained on text"));
  implementation_ = std::make_unique<Implementation>(run, sequences, remembering);
}
NextScores::~NextScores() = default;
NextScores::NextScores(NextScores&&) noexcept = default;

int64_t NextScores::sequences() const { return implementation_->sequences(); }
int64_t NextScores::window() const { return implementation_->window(); }
int64_t NextScores::tokens() const { return implementation_->tokens(); }
bool NextScores::remembers() const { return implementation_->remembers(); }
bool NextScores::replies() const { return implementation_->replies(); }
void NextScores::hear(std::span<const int32_t> prompt) { implementation_->hear(prompt); }
int64_t NextScores::seen() const { return implementation_->seen(); }
std::span<const float> NextScores::feed(std::span<const int32_t> tokens) { return implementation_->feed(tokens); }
std::span<const float> NextScores::step(std::span<const int32_t> tokens) { return implementation_->step(tokens); }
void NextScores::reorder(std::span<const int64_t> from) { implementation_->reorder(from); }
void NextScores::clear() { implementation_->clear(); }

}  // namespace descent::tasks
