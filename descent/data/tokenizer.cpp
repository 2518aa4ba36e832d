#include "descent/data/tokenizer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "descent/base/error.h"
#include "descent/data/byte_pairs.h"
#include "descent/data/text.h"
#include "descent/data/utf8.h"

namespace descent::data {

TokenizerPtr Tokenizer::from_json(const std::string& json) {
  try {
    const auto in = nlohmann::json::parse(json);
    if (in.contains("byte_pairs"))
      return std::make_shared<BytePairs>(in.at("byte_pairs").get<std::vector<BytePairs::Pair>>());
    return std::make_shared<Characters>(in.at("characters").get<std::vector<std::string>>());
  } catch (const nlohmann::json::exception& problem) {
    fail(fmt::format("the stored tokens cannot be read: {}", problem.what()));
  }
}

std::vector<std::vector<int32_t>> Tokenizer::encode_all(std::span<const std::string_view> texts,
                                                        const std::string& source) const {
  std::vector<std::vector<int32_t>> out;
  for (const std::string_view text : texts) out.push_back(encode(text, source));
  return out;
}

std::string Tokenizer::decode(const std::vector<int32_t>& tokens) const {
  std::string out;
  for (const int32_t token : tokens) out += decode(token);
  return out;
}

std::vector<std::string> Tokenizer::names() const {
  std::vector<std::string> out;
  for (int64_t token = 0; token < size(); ++token) {
    std::string name;
    for (std::string_view rest = decode(token); !rest.empty();) {
      const std::string_view before = rest;
      if (next_code(rest)) {
        name += before.substr(0, before.size() - rest.size());
      } else {
        name += fmt::format("\\x{:02x}", static_cast<unsigned char>(rest[0]));
        rest.remove_prefix(1);
      }
    }
    out.push_back(std::move(name));
  }
  return out;
}

}  // namespace descent::data
