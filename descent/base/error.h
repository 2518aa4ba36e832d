// Errors: one exception type, one sentence, the user's line first.
#pragma once

#include <stdexcept>
#include <string>

namespace descent {

// A line of the user's program (or of a recipe). Public functions take `Site at = Site::here()`, so that the default
// argument is evaluated at the call. std::source_location is missing from Clang 14, the builtins are not.
struct Site {
  const char* file = "";
  unsigned line = 0;

  static constexpr Site here(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    return {file, line};
  }
};

// The one exception of Descent. what() is "file:line: sentence", or the sentence alone where no line is known.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& sentence) : std::runtime_error(sentence) {}
  Error(Site at, const std::string& sentence);
};

// The caller asked for something that has no meaning (a flag, a recipe key); the command line exits with 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

[[noreturn]] void fail(const std::string& sentence);
[[noreturn]] void fail(Site at, const std::string& sentence);

}  // namespace descent
