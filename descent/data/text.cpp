#include "descent/data/text.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "descent/base/text.h"
#include "descent/data/byte_pairs.h"
#include "descent/data/file.h"
#include "descent/data/random.h"
#include "descent/data/utf8.h"

namespace descent::data {

namespace {

// Calls each(code, bytes, where) for every character.
template <class Each>
void each_character(std::string_view text, const std::string& source, Each each) {
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view before = rest;
    const size_t where = text.size() - rest.size();
    const std::optional<uint32_t> code = next_code(rest);
    if (!code) fail(descent::text(source, ": byte ", where, " begins no character in UTF-8"));
    each(*code, before.substr(0, before.size() - rest.size()), where);
  }
}

}  // namespace

Characters::Characters(std::vector<std::string> all) : all_(std::move(all)) {
  for (size_t token = 0; token < all_.size(); ++token) {
    std::string_view rest = all_[token];
    const std::optional<uint32_t> code = rest.empty() ? std::nullopt : next_code(rest);
    if (!code || !rest.empty()) fail(text("'", all_[token], "' is not one character"));
    by_code_.emplace_back(*code, static_cast<int32_t>(token));
  }
  std::ranges::sort(by_code_);
  const auto twice = std::ranges::adjacent_find(by_code_, {}, &std::pair<uint32_t, int32_t>::first);
  if (twice != by_code_.end()) fail(text("the character '", all_[twice->second], "' is there twice"));
}

Characters Characters::of(std::string_view text, const std::string& source) {
  std::set<std::pair<uint32_t, std::string>> found;
  uint32_t last = 0xffffffff;
  each_character(text, source, [&](uint32_t code, std::string_view bytes, size_t) {
    if (code != last) found.emplace(code, bytes);
    last = code;
  });
  std::vector<std::string> all;
  for (const auto& [code, bytes] : found) all.push_back(bytes);
  return Characters(std::move(all));
}

std::vector<int32_t> Characters::encode(std::string_view text, const std::string& source) const {
  std::vector<int32_t> tokens;
  tokens.reserve(text.size());
  each_character(text, source, [&](uint32_t code, std::string_view bytes, size_t where) {
    const auto at = std::ranges::lower_bound(by_code_, code, {}, &std::pair<uint32_t, int32_t>::first);
    if (at == by_code_.end() || at->first != code)
      fail(descent::text(source, ": the character '", bytes, "' at byte ", where, " is not one of the ", size(),
                         " that are known"));
    tokens.push_back(at->second);
  });
  return tokens;
}

std::vector<int32_t> Characters::encode_known(std::string_view text, const std::string& source) const {
  std::vector<int32_t> tokens;
  each_character(text, source, [&](uint32_t code, std::string_view, size_t) {
    const auto at = std::ranges::lower_bound(by_code_, code, {}, &std::pair<uint32_t, int32_t>::first);
    if (at != by_code_.end() && at->first == code) tokens.push_back(at->second);
  });
  return tokens;
}

const std::string& Characters::decode(int64_t token) const {
  if (token < 0 || token >= size()) fail(text("there is no character ", token, " among ", size()));
  return all_[static_cast<size_t>(token)];
}

std::string Characters::to_json() const { return nlohmann::ordered_json{{"characters", all_}}.dump(); }

TextWindows::TextWindows(std::vector<int32_t> tokens, int64_t context, int64_t windows, std::vector<int64_t> starts)
    : tokens_(std::move(tokens)), context_(context), windows_(windows), starts_(std::move(starts)) {
  if (context < 1 || windows < 1 || places() < 1)
    fail(text(windows, " windows of ", context, " tokens do not fit ", tokens_.size(),
              ", the last of which has no next"));
  std::erase_if(starts_, [&](int64_t start) { return start < 0 || start >= places(); });
}

int64_t TextWindows::begin(int64_t row) const { return windows_ == 1 ? 0 : row * (places() - 1) / (windows_ - 1); }

void TextWindows::copy(int64_t from, std::span<std::byte> out) const {
  std::memcpy(out.data(), tokens_.data() + from, static_cast<size_t>(context_) * sizeof(int32_t));
}

void TextWindows::read(int64_t row, std::span<std::byte> out) const { copy(begin(row), out); }

void TextWindows::vary(int64_t, uint64_t key, std::span<std::byte> out, std::span<std::byte> target) const {
  RandomStream random(key);
  const bool at_start = !starts_.empty() && random.uniform() < 0.5;
  const auto from = at_start ? starts_[random.below(starts_.size())]
                             : static_cast<int64_t>(random.below(static_cast<uint64_t>(places())));
  copy(from, out);
  if (!target.empty()) copy(from + 1, target);
}

Array TextWindows::targets() const {
  Array out(DType::i32, {windows_, context_});
  for (int64_t row = 0; row < windows_; ++row) copy(begin(row) + 1, out.rows(row, row + 1).bytes());
  return out;
}

int64_t windows_side_by_side(int64_t tokens, int64_t context) { return (tokens - 1) / context; }

namespace {

Dataset dataset_of(std::span<const int32_t> tokens, const std::vector<std::string>& names, int64_t context,
                   int64_t windows, std::vector<int64_t> starts = {}) {
  const auto source = std::make_shared<TextWindows>(std::vector<int32_t>(tokens.begin(), tokens.end()), context,
                                                    windows, std::move(starts));
  return {{}, source->targets(), names, {}, source};
}

// In characters: as nanoGPT divides.
size_t part_end(size_t size, double fraction) {
  return static_cast<size_t>(static_cast<double>(size) * fraction + 1e-6);
}

// The same place or the next one before it where no character is cut through.
size_t character_begin(std::string_view text, size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
  return at;
}

void check(const Fractions& share) {
  if (!(share.validation >= 0) || !(share.test >= 0) || !(share.validation + share.test < 1))
    fail(descent::text("a split into ", share.validation, " validation and ", share.test,
                       " test needs fractions of at least 0 that leave something to train on"));
}

}  // namespace

// Whole windows, and the token behind the last, so that rows lie side by side.
Dataset side_by_side(std::span<const int32_t> tokens, const std::vector<std::string>& names, int64_t context,
                     const std::string& source) {
  const int64_t windows = windows_side_by_side(std::ssize(tokens), context);
  if (windows < 1)
    fail(text(source, " has ", tokens.size(), " tokens, too few for a window of ", context, " and the next one"));
  return dataset_of(tokens.first(static_cast<size_t>(windows * context + 1)), names, context, windows);
}

TokenText tokenize(std::string_view content, const TextOptions& options, const std::string& source) {
  const Fractions& share = options.fractions;
  check(share);
  const double training_end = 1 - share.validation - share.test, validation_end = 1 - share.test;
  if (options.tokens == 0) {
    auto characters = std::make_shared<Characters>(Characters::of(content, source));
    const std::vector<int32_t> all = characters->encode(content, source);
    const auto at = [&](double fraction) { return all.begin() + static_cast<int64_t>(part_end(all.size(), fraction)); };
    return {characters,
            characters->all(),
            {{all.begin(), at(training_end)}, {at(training_end), at(validation_end)}, {at(validation_end), all.end()}}};
  }
  const auto at = [&](double fraction) { return character_begin(content, part_end(content.size(), fraction)); };
  const size_t first = at(training_end), second = at(validation_end);
  const std::string_view parts[] = {content.substr(0, first), content.substr(first, second - first),
                                    content.substr(second)};
  auto pieces = std::make_shared<BytePairs>(BytePairs::train(std::span(parts).first(1), options.tokens));
  std::vector<std::vector<int32_t>> tokens = pieces->encode_all(parts);
  return {pieces, pieces->names(), {std::move(tokens[0]), std::move(tokens[1]), std::move(tokens[2])}};
}

Splits window_splits(const TokenText& content, const TextOptions& options, const std::string& source) {
  const auto& [train, validation, test] = content.parts;
  const auto windows = [&](const std::vector<int32_t>& tokens, const char* part) {
    return side_by_side(tokens, content.names, options.context, text(source, ": the ", part, " part"));
  };
  Splits out;
  out.train = windows(train, "training");
  if (options.windows > 0 || !content.starts.empty())
    out.train = dataset_of(train, content.names, options.context,
                           options.windows > 0 ? options.windows : out.train.size(), content.starts);
  if (options.fractions.validation > 0) out.validation = windows(validation, "validation");
  if (options.fractions.test > 0) out.test = windows(test, "test");
  return out;
}

Splits text_splits(std::string_view content, const TextOptions& options, const std::string& source) {
  return window_splits(tokenize(content, options, source), options, source);
}

std::string read_text(const std::string& path) {
  const Array bytes = read_to_array(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.bytes().size()};
}

}  // namespace descent::data
