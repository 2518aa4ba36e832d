// Any lines as GTP commands to a player of first moves. Each answer must have the protocol's form, a failure must
// change nothing, and every move that comes onto the board must have been legal.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "descent/base/error.h"
#include "descent/go/gtp.h"

namespace {

using namespace descent::go;

class First : public Player {
 public:
  Decision choose(const Game& game, Color color, const Conditions&) override {
    return {.point = sensible_moves(game.board(), color)[0]};
  }
  bool can_play(int size) const override { return size <= 13; }  // larger ones are slow to count
};

void check_answer(std::string_view answer) {
  if (answer.empty()) return;
  if ((answer[0] != '=' && answer[0] != '?') || answer.size() < 3 || answer.find("\n\n") != answer.size() - 2)
    std::abort();
}

// Counting the end plays a hundred games, and a file is not for a fuzzer to name; control characters do not hide them.
bool is_slow_or_foreign(std::string_view line) {
  std::string plain;
  for (const char c : line)
    if (c < 0 || (c >= ' ' && c != 127)) plain += c;
  return plain.find("final") != plain.npos || plain.find("loadsgf") != plain.npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  First player;
  Gtp gtp(player, {.size = 5});
  std::string_view input(reinterpret_cast<const char*>(data), size);
  while (!input.empty() && !gtp.has_quit()) {
    const std::string_view line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(input.size(), line.size() + 1));
    if (is_slow_or_foreign(line)) continue;
    const Game before = gtp.game();
    const std::string answer = gtp.answer(line);
    check_answer(answer);
    const Game& after = gtp.game();
    if (answer.starts_with('?') && (after.board().hash() != before.board().hash() || after.moves() != before.moves()))
      std::abort();
    if (after.moves().size() == before.moves().size() + 1 &&
        !before.board().is_legal(after.moves().back().color, after.moves().back().point))
      std::abort();
  }
  return 0;
}
