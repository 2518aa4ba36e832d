#include "descent/data/byte_pairs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::data {

namespace {

constexpr int64_t byte_count = 256, most_tokens = int64_t{1} << 20;
constexpr size_t long_word = 48, longest_word = 64;

enum class Sign { letter, digit, space, other };

Sign sign_of(char byte) {
  const auto c = static_cast<unsigned char>(byte);
  if (c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return Sign::letter;
  if (c >= '0' && c <= '9') return Sign::digit;
  return c == ' ' || (c >= '\t' && c <= '\r') ? Sign::space : Sign::other;
}

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

bool joins_letters(std::string_view text, size_t at) {
  return text[at] == '\'' && at > 0 && at + 1 < text.size() && sign_of(text[at - 1]) == Sign::letter &&
         sign_of(text[at + 1]) == Sign::letter;
}

uint64_t key_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

}  // namespace

std::string_view first_word(std::string_view text) {
  if (text.empty()) return text;
  // One space goes with what is behind it, unless that is space, too.
  size_t at = text[0] == ' ' && text.size() > 1 && sign_of(text[1]) != Sign::space ? 1 : 0;
  const Sign sign = sign_of(text[at]);
  for (++at; at < text.size() && at < longest_word; ++at) {
    if (at >= long_word && begins_character(text[at])) break;
    if (sign == Sign::letter && joins_letters(text, at)) continue;
    if (sign_of(text[at]) != sign) break;
    // The last space before a word is the word's.
    if (sign == Sign::space && text[at] == ' ' && at + 1 < text.size() && sign_of(text[at + 1]) != Sign::space) break;
  }
  return text.substr(0, at);
}

BytePairs::BytePairs(std::vector<Pair> merges) : merges_(std::move(merges)) {
  for (int64_t byte = 0; byte < byte_count; ++byte) bytes_.emplace_back(1, static_cast<char>(byte));
  if (std::ssize(merges_) > most_tokens - byte_count) fail(text(merges_.size(), " merged pairs of bytes are too many"));
  for (const auto& [left, right] : merges_) {
    const int64_t own = size();
    if (left < 0 || left >= own || right < 0 || right >= own)
      fail(text("token ", own, " of byte pairs cannot be made of ", left, " and ", right,
                ", which must come before it"));
    bytes_.push_back(bytes_[left] + bytes_[right]);
    if (bytes_.back().size() > longest_word)
      fail(text("token ", own, " of byte pairs has more than ", longest_word, " bytes"));
    if (!merged_.emplace(key_of(left, right), static_cast<int32_t>(own)).second)
      fail(text("token ", own, " of byte pairs is made of ", left, " and ", right, ", as one before it"));
  }
}

const std::string& BytePairs::decode(int64_t token) const {
  if (token < 0 || token >= size()) fail(text("there is no token ", token, " among ", size()));
  return bytes_[token];
}

// The pair that was merged first is merged first. Words are short.
void BytePairs::encode_word(std::string_view word, std::vector<int32_t>& out) const {
  const auto first = std::ssize(out);
  for (const char byte : word) out.push_back(static_cast<unsigned char>(byte));
  while (true) {
    int32_t best = INT32_MAX;
    for (auto i = first; i + 1 < std::ssize(out); ++i) {
      const auto at = merged_.find(key_of(out[i], out[i + 1]));
      if (at != merged_.end()) best = std::min(best, at->second);
    }
    if (best == INT32_MAX) return;
    const auto [left, right] = merges_[best - byte_count];
    auto to = first;
    for (auto i = first; i < std::ssize(out); ++i, ++to) {
      const bool pair = out[i] == left && i + 1 < std::ssize(out) && out[i + 1] == right;
      out[to] = pair ? best : out[i];
      i += pair;
    }
    out.resize(to);
  }
}

// Words come again and again: each is worked out once.
std::vector<std::vector<int32_t>> BytePairs::encode_all(std::span<const std::string_view> texts,
                                                        const std::string&) const {
  std::vector<int32_t> pieces;
  std::unordered_map<std::string_view, std::pair<uint32_t, uint32_t>> known;  // where in `pieces`, and how many
  std::vector<std::vector<int32_t>> all(texts.size());
  for (size_t i = 0; i < texts.size(); ++i)
    for (std::string_view rest = texts[i]; !rest.empty();) {
      const std::string_view word = first_word(rest);
      rest.remove_prefix(word.size());
      const auto [at, fresh] = known.try_emplace(word);
      if (fresh) {
        const auto begin = static_cast<uint32_t>(pieces.size());
        encode_word(word, pieces);
        at->second = {begin, static_cast<uint32_t>(pieces.size()) - begin};
      }
      const auto begin = pieces.begin() + at->second.first;
      all[i].insert(all[i].end(), begin, begin + at->second.second);
    }
  return all;
}

std::vector<int32_t> BytePairs::encode(std::string_view text, const std::string& source) const {
  return std::move(encode_all(std::span(&text, 1), source).front());
}

std::string BytePairs::to_json() const { return nlohmann::ordered_json{{"byte_pairs", merges_}}.dump(); }

}  // namespace descent::data
