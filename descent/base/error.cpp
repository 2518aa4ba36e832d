#include "descent/base/error.h"

#include "descent/base/text.h"

namespace descent {

namespace {

std::string with_site(Site at, const std::string& sentence) {
  return at.line == 0 ? sentence : text(at.file, ":", at.line, ": ", sentence);
}

}  // namespace

Error::Error(Site at, const std::string& sentence) : std::runtime_error(with_site(at, sentence)) {}

void fail(const std::string& sentence) { throw Error(sentence); }
void fail(Site at, const std::string& sentence) { throw Error(at, sentence); }

}  // namespace descent
