// Any bytes as a text in word pieces, which must come back; as conversations; as a stored tokenizer. The first byte
// chooses.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "descent/base/error.h"
#include "descent/data/byte_pairs.h"
#include "descent/data/conversations.h"
#include "descent/data/utf8.h"

namespace {

using namespace descent;
using namespace descent::data;

// Word pieces of the text itself, and of a part of it.
void write_and_read(std::string_view text, int64_t size) {
  const std::string_view texts[] = {text, text.substr(0, text.size() / 2)};
  for (size_t count : {1, 2}) {
    const BytePairs pairs = BytePairs::train(std::span(texts).last(count), 256 + size);
    if (pairs.decode(pairs.encode(text)) != text) std::abort();
    if (Tokenizer::from_json(pairs.to_json())->to_json() != pairs.to_json()) std::abort();
  }
  if (unfinished_bytes(text) > 3 || valid_utf8(valid_utf8(text, "?"), "!") != valid_utf8(text, "?")) std::abort();
}

void talk(std::string_view text, bool table) {
  const BytePairs bytes({});
  const std::vector<Conversation> all = parse_conversations(text, table, "input");
  size_t turns = 0, said = 0;
  for (const Conversation& each : all) {
    if (each.empty()) std::abort();
    for (const std::string& turn : each) said += turn.size();
    turns += each.size();
  }
  if (tokens_of(all, bytes, "input").size() != turns + said) std::abort();
}

void load(const std::string& json) {
  const TokenizerPtr tokenizer = Tokenizer::from_json(json);
  if (Tokenizer::from_json(tokenizer->to_json())->to_json() != tokenizer->to_json()) std::abort();
  if (std::ssize(tokenizer->names()) != tokenizer->size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0] & 3) {
      case 0: write_and_read(text, data[0]); break;
      case 1: talk(text, true); break;
      case 2: talk(text, false); break;
      case 3: load(std::string(text)); break;
    }
  } catch (const Error&) {
  }
  return 0;
}
