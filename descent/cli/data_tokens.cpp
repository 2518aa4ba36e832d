// descent data tokens NAME|FILE...
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "descent/cli/command.h"
#include "descent/data/byte_pairs.h"
#include "descent/data/catalogue.h"
#include "descent/data/conversations.h"
#include "descent/io/atomic_file.h"

namespace descent::cli {

namespace {

struct TokenFlags {
  std::vector<std::string> sources;
  int64_t size = 4096;
  std::string out;
  bool json = false;
};

// The texts of a file: all of it, or the turns of a table of conversations.
void append_texts(const std::string& path, std::vector<std::string>& texts) {
  if (!path.ends_with(".tsv")) {
    texts.push_back(data::read_text(path));
    return;
  }
  for (data::Conversation& each : data::read_conversations(path)) std::ranges::move(each, std::back_inserter(texts));
}

void append_source(const std::string& source, std::vector<std::string>& texts) {
  if (std::filesystem::is_regular_file(source)) return append_texts(source, texts);
  for (const data::catalogue::DataFile& file : data::catalogue::find(source).files)
    append_texts((data::catalogue::get(source) / file.name).string(), texts);
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

struct Measured {
  int64_t bytes = 0, tokens = 0;
  double learning = 0, encoding = 0;  // seconds
};

// Encodes what the tokens were learnt from, and checks that it comes back.
void measure_encoding(const data::BytePairs& pairs, std::span<const std::string_view> texts, Measured& measured) {
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<std::vector<int32_t>> encoded = pairs.encode_all(texts);
  measured.encoding = seconds_since(begin);
  for (size_t i = 0; i < texts.size(); ++i) {
    measured.bytes += std::ssize(texts[i]);
    measured.tokens += std::ssize(encoded[i]);
    if (pairs.decode(encoded[i]) != texts[i]) fail(fmt::format("text {} did not come back from its tokens", i));
  }
}

// Some of the tokens that stand for most bytes.
std::vector<std::string> longest(const data::BytePairs& pairs, size_t count) {
  std::vector<int64_t> order;
  for (int64_t token = 0; token < pairs.size(); ++token) order.push_back(token);
  std::ranges::stable_sort(order, std::greater<>{}, [&](int64_t token) { return pairs.decode(token).size(); });
  const std::vector<std::string> names = pairs.names();
  std::vector<std::string> out;
  for (size_t i = 0; i < std::min(count, order.size()); ++i) out.push_back(names[static_cast<size_t>(order[i])]);
  return out;
}

void run_tokens(const TokenFlags& flags) {
  std::vector<std::string> owned;
  for (const std::string& source : flags.sources) append_source(source, owned);
  const std::vector<std::string_view> texts(owned.begin(), owned.end());
  Measured measured;
  const auto begin = std::chrono::steady_clock::now();
  const data::BytePairs pairs = data::BytePairs::train(texts, flags.size);
  measured.learning = seconds_since(begin);
  measure_encoding(pairs, texts, measured);
  if (!flags.out.empty()) io::write_file(flags.out, pairs.to_json() + "\n");
  const double each = static_cast<double>(measured.bytes) / static_cast<double>(std::max<int64_t>(1, measured.tokens));
  const std::vector<std::string> some = longest(pairs, 10);
  if (flags.json)
    return print_json({{"tokens", pairs.size()},
                       {"bytes", measured.bytes},
                       {"encoded", measured.tokens},
                       {"bytes_per_token", each},
                       {"learning_seconds", measured.learning},
                       {"encoding_seconds", measured.encoding},
                       {"longest", some}});
  fmt::print("{} tokens, learnt from {} bytes in {:.2f} s\n", pairs.size(), measured.bytes, measured.learning);
  fmt::print("encoded in {:.2f} s: {} tokens, {:.3f} bytes each; every byte comes back\n", measured.encoding,
             measured.tokens, each);
  fmt::print("longest:");
  for (const std::string& name : some) fmt::print(" [{}]", name);
  fmt::print("\n");
}

}  // namespace

void add_data_tokens(CLI::App& data) {
  auto flags = std::make_shared<TokenFlags>();
  CLI::App* command = add_command(data, "tokens", "learn word pieces (byte pairs) from texts, and what they are worth",
                                  flags, run_tokens);
  command->add_option("source", flags->sources, "text files, .tsv files of conversations, or names of such data sets")
      ->required();
  command->add_option("--size", flags->size, "how many tokens there are to be (default 4096)")
      ->check(CLI::Range(int64_t{256}, int64_t{1} << 20));
  command->add_option("--out", flags->out, "write the merges to this file, JSON");
}

}  // namespace descent::cli
