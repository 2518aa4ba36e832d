#include "descent/data/text.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "descent/base/text.h"
#include "descent/data/file.h"
#include "descent/data/random.h"

namespace descent::data {

namespace {

// How many bytes a code point takes whose first byte this is; 0 if none begins so.
size_t length_of(unsigned char first) {
  return first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

// The code point that the text begins with, taken off it; nothing if that is no UTF-8 (too long a form, half of a
// surrogate pair, beyond Unicode).
std::optional<uint32_t> next_code(std::string_view& text) {
  static constexpr uint32_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07}, least[] = {0, 0, 0x80, 0x800, 0x10000};
  const size_t length = length_of(static_cast<unsigned char>(text[0]));
  if (length == 0 || length > text.size()) return std::nullopt;
  uint32_t code = static_cast<unsigned char>(text[0]) & first_bits[length];
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0) != 0x80) return std::nullopt;
    code = code << 6 | (byte & 0x3f);
  }
  if (code < least[length] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return std::nullopt;
  text.remove_prefix(length);
  return code;
}

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

TextWindows::TextWindows(std::vector<int32_t> tokens, int64_t context, int64_t windows)
    : tokens_(std::move(tokens)), context_(context), windows_(windows) {
  if (context < 1 || windows < 1 || places() < 1)
    fail(text(windows, " windows of ", context, " tokens do not fit ", tokens_.size(),
              ", the last of which has no next"));
}

int64_t TextWindows::begin(int64_t row) const { return windows_ == 1 ? 0 : row * (places() - 1) / (windows_ - 1); }

void TextWindows::copy(int64_t from, std::span<std::byte> out) const {
  std::memcpy(out.data(), tokens_.data() + from, static_cast<size_t>(context_) * sizeof(int32_t));
}

void TextWindows::read(int64_t row, std::span<std::byte> out) const { copy(begin(row), out); }

void TextWindows::vary(int64_t, uint64_t key, std::span<std::byte> out, std::span<std::byte> target) const {
  const auto from = static_cast<int64_t>(RandomStream(key).below(static_cast<uint64_t>(places())));
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

Dataset dataset_of(std::span<const int32_t> tokens, const Characters& characters, int64_t context, int64_t windows) {
  const auto source =
      std::make_shared<TextWindows>(std::vector<int32_t>(tokens.begin(), tokens.end()), context, windows);
  return {{}, source->targets(), characters.all(), {}, source};
}

// Whole windows, and the token behind the last, so that rows lie side by side.
Dataset side_by_side(std::span<const int32_t> tokens, const Characters& characters, int64_t context,
                     const std::string& part) {
  const int64_t windows = windows_side_by_side(std::ssize(tokens), context);
  if (windows < 1)
    fail(text(part, " has ", tokens.size(), " characters, too few for a window of ", context, " and the next one"));
  return dataset_of(tokens.first(static_cast<size_t>(windows * context + 1)), characters, context, windows);
}

}  // namespace

Splits text_splits(std::string_view content, const TextOptions& options, const std::string& source) {
  const Fractions& share = options.fractions;
  if (!(share.validation >= 0) || !(share.test >= 0) || !(share.validation + share.test < 1))
    fail(text("a split into ", share.validation, " validation and ", share.test,
              " test needs fractions of at least 0 that leave something to train on"));
  const Characters characters = Characters::of(content, source);
  const std::vector<int32_t> tokens = characters.encode(content, source);
  const auto part_end = [&](double fraction) {  // in whole characters, as nanoGPT divides
    return static_cast<size_t>(static_cast<double>(tokens.size()) * fraction + 1e-6);
  };
  const size_t training_end = part_end(1 - share.validation - share.test), validation_end = part_end(1 - share.test);
  const std::span all(tokens), training = all.first(training_end);
  Splits out;
  out.train = side_by_side(training, characters, options.context, text(source, ": the training part"));
  if (options.windows > 0) out.train = dataset_of(training, characters, options.context, options.windows);
  if (share.validation > 0)
    out.validation = side_by_side(all.subspan(training_end, validation_end - training_end), characters, options.context,
                                  text(source, ": the validation part"));
  if (share.test > 0)
    out.test = side_by_side(all.subspan(validation_end), characters, options.context, text(source, ": the test part"));
  return out;
}

Dataset text_dataset(std::string_view content, const Characters& characters, int64_t context,
                     const std::string& source) {
  return side_by_side(characters.encode(content, source), characters, context, source + ": it");
}

std::string read_text(const std::string& path) {
  const Array bytes = read_to_array(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.bytes().size()};
}

}  // namespace descent::data
