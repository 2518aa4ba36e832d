#include "descent/data/replies.h"

#include <algorithm>

#include "descent/base/text.h"

namespace descent::data {

namespace {

constexpr int64_t rooms = 4;  // different sizes of rows

std::span<int32_t> numbers_of(std::span<std::byte> bytes) {
  return {reinterpret_cast<int32_t*>(bytes.data()), bytes.size() / sizeof(int32_t)};
}

// Copies as much as fits, and pads.
void put(std::span<const int32_t> tokens, std::span<int32_t> out) {
  const size_t count = std::min(tokens.size(), out.size());
  std::ranges::fill(std::ranges::copy(tokens.first(count), out.begin()).out, out.end(), -1);
}

}  // namespace

Replies::Replies(std::vector<int32_t> tokens, const Marks& marks, int64_t context)
    : tokens_(std::move(tokens)), marks_(marks), context_(context) {
  if (context < rooms) fail(text("answers need a context of at least ", rooms, " tokens, got ", context));
  tokens_.push_back(marks_.begins);
  std::vector<int64_t> turns;  // of the conversation so far
  for (int64_t at = 0; at < std::ssize(tokens_); ++at) {
    if (!marks_.is_mark(tokens_[at])) continue;
    if (turns.size() > 1) places_.back().last = std::min(at, turns.back() + context_);
    if (tokens_[at] == marks_.begins) turns.clear();
    turns.push_back(at);
    if (turns.size() < 2) continue;
    const auto fits = [&](int64_t turn) { return at - turn <= context_; };
    const auto first = std::ranges::find_if(turns.begin(), turns.end() - 1, fits);
    places_.push_back({first == turns.end() - 1 ? at - context_ : *first, at, at});
  }
  if (places_.empty()) fail("there is no turn that answers another");
}

void Replies::read(int64_t row, std::span<std::byte> out) const {
  const Place& place = places_[static_cast<size_t>(row)];
  const std::span<int32_t> all = numbers_of(out);
  const std::span<int32_t> asked = all.first(all.size() / 2), answer = all.subspan(all.size() / 2);
  const std::span<const int32_t> stream(tokens_);
  put(stream.subspan(static_cast<size_t>(place.begin), static_cast<size_t>(place.turn - place.begin)), asked);
  put(stream.subspan(static_cast<size_t>(place.turn), static_cast<size_t>(place.last - place.turn)), answer);
  if (marks_.is_mark(asked[0])) return;
  const auto mark =
      std::find_if(tokens_.rend() - place.begin, tokens_.rend(), [&](int32_t token) { return marks_.is_mark(token); });
  asked[0] = *mark;
}

int64_t Replies::room(int64_t row) const {
  const Place& place = places_[static_cast<size_t>(row)];
  const int64_t longer = std::max(place.turn - place.begin, place.last - place.turn);
  const int64_t step = (context_ + rooms - 1) / rooms;
  return 2 * std::min(context_, (longer + step - 1) / step * step);
}

Array Replies::targets() const {
  Array out(DType::i32, {size(), context_});
  for (int64_t row = 0; row < size(); ++row) {
    const Place& place = places_[static_cast<size_t>(row)];
    const std::span<const int32_t> stream(tokens_);
    put(stream.subspan(static_cast<size_t>(place.turn + 1), static_cast<size_t>(place.last - place.turn)),
        numbers_of(out.rows(row, row + 1).bytes()));
  }
  return out;
}

Dataset replies_of(std::vector<int32_t> tokens, const Marks& marks, const std::vector<std::string>& names,
                   int64_t context, const std::string& source) {
  try {
    const auto rows = std::make_shared<Replies>(std::move(tokens), marks, context);
    return {{}, rows->targets(), names, {}, rows};
  } catch (const Error& problem) {
    fail(text(source, ": ", problem.what()));
  }
}

Splits reply_splits(const TokenText& content, const TextOptions& options, const std::string& source) {
  const Marks marks(*content.tokenizer);
  const auto rows = [&](const std::vector<int32_t>& tokens, const char* part) {
    return replies_of(tokens, marks, content.names, options.context, text(source, ": the ", part, " part"));
  };
  Splits out{rows(content.parts.train, "training"), {}, {}};
  if (options.fractions.validation > 0) out.validation = rows(content.parts.validation, "validation");
  if (options.fractions.test > 0) out.test = rows(content.parts.test, "test");
  return out;
}

}  // namespace descent::data
