// Transcripts as they are learnt.
#include <array>
#include <cctype>

#include "descent/base/text.h"
#include "descent/data/spoken.h"

namespace descent::data {

namespace {

constexpr std::array<std::string_view, 20> below_twenty{
    "zero", "one",    "two",    "three",    "four",     "five",    "six",     "seven",     "eight",    "nine",
    "ten",  "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
constexpr std::array<std::string_view, 10> tens{"",      "",      "twenty",  "thirty", "forty",
                                                "fifty", "sixty", "seventy", "eighty", "ninety"};

std::string below_thousand(int64_t number) {
  if (number >= 100) {
    const std::string hundreds = text(below_twenty[static_cast<size_t>(number / 100)], " hundred");
    return number % 100 == 0 ? hundreds : text(hundreds, " ", below_thousand(number % 100));
  }
  if (number < 20) return std::string(below_twenty[static_cast<size_t>(number)]);
  const std::string ten(tens[static_cast<size_t>(number / 10)]);
  return number % 10 == 0 ? ten : text(ten, " ", below_twenty[static_cast<size_t>(number % 10)]);
}

// What stands in brackets is a remark.
std::string without_remarks(std::string_view transcript) {
  std::string out;
  int depth = 0;
  for (const char c : transcript) {
    if (c == '[' || c == '(') ++depth;
    if (depth == 0) out += c;
    if ((c == ']' || c == ')') && depth > 0) --depth;
  }
  return out;
}

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Digits up to the next that is none: as one number, or one by one where that would be no number that people say.
std::string digits_in_english(std::string_view digits) {
  if (digits.size() <= 4 && (digits.size() == 1 || digits[0] != '0'))
    return number_in_english(std::stoll(std::string(digits)));
  std::vector<std::string> words;
  for (const char digit : digits) words.emplace_back(below_twenty[static_cast<size_t>(digit - '0')]);
  return join(words, " ");
}

std::string with_words_for_digits(std::string_view transcript) {
  std::string out;
  for (size_t i = 0; i < transcript.size();) {
    if (!is_digit(transcript[i])) {
      out += transcript[i++];
      continue;
    }
    size_t end = i;
    while (end < transcript.size() && is_digit(transcript[end])) ++end;
    out += text(" ", digits_in_english(transcript.substr(i, end - i)), " ");
    i = end;
  }
  return out;
}

// The apostrophe that typesetters use, as the typewriter's.
std::string with_plain_apostrophes(std::string line) {
  static constexpr std::string_view curled = "\xe2\x80\x99";
  for (size_t at = line.find(curled); at != std::string::npos; at = line.find(curled, at))
    line.replace(at, curled.size(), "'");
  return line;
}

}  // namespace

std::string number_in_english(int64_t number) {
  if (number < 0 || number >= 1'000'000'000'000) fail(text(number, " is not said in English here"));
  static constexpr std::array<std::pair<int64_t, std::string_view>, 3> groups{
      {{1'000'000'000, "billion"}, {1'000'000, "million"}, {1000, "thousand"}}};
  std::vector<std::string> words;
  for (const auto& [size, name] : groups) {
    if (number < size) continue;
    words.push_back(text(below_thousand(number / size), " ", name));
    number %= size;
  }
  if (number > 0 || words.empty()) words.push_back(below_thousand(number));
  return join(words, " ");
}

std::string spoken_text(std::string_view transcript, bool numbers, const std::string& source) {
  Characters::of(transcript, source);
  std::string line = with_plain_apostrophes(without_remarks(transcript));
  if (numbers) line = with_words_for_digits(line);
  std::string out;
  for (const char c : line) {
    const auto code = static_cast<unsigned char>(c);
    const bool kept = !is_ascii(c) || std::isalnum(code) != 0 || c == '\'';
    if (kept)
      out += is_ascii(c) ? static_cast<char>(std::tolower(code)) : c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace descent::data
