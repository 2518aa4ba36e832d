// gtp_match "PROGRAM A" "PROGRAM B" [--games N] [--size N] [--komi X] [--referee "PROGRAM"] [--moves N]
//
// Games of Go between two GTP programs that take Black in turns. The referee (GNU Go) has every move played on its
// board, so that an illegal one is seen, and counts the end. Each game is a line; the result and its standard error
// follow. A game in which a program crashes (GNU Go 3.8 does, seldom) is a line too, and is played anew.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <sstream>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/go/gtp_client.h"
#include "descent/go/point.h"

namespace {

using namespace descent;
using namespace descent::go;

struct Match {
  std::vector<std::string> programs;
  int games = 50, size = 9, moves = 0;  // at most so many moves a game; 0: three times the area
  std::string komi = "7.5";
  std::string referee = "/usr/games/gnugo --mode gtp --chinese-rules --positional-superko";
};

std::vector<std::string> words(const std::string& command) {
  std::istringstream in(command);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

struct Result {
  char winner = '?';  // B, W, or 0 for a draw
  std::string how;
  int moves = 0;
  bool illegal = false;
};

void begin(GtpProgram& program, const Match& match) {
  program.must(text("boardsize ", match.size));
  program.must("clear_board");
  program.must("komi " + match.komi);
}

bool is(const std::string& answer, std::string_view word) {
  if (answer.size() != word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i)
    if ((answer[i] | 0x20) != word[i]) return false;
  return true;
}

// players[0] is Black.
Result play(GtpProgram* const players[2], GtpProgram& referee, const Match& match) {
  for (GtpProgram* program : {players[0], players[1], &referee}) begin(*program, match);
  Result out;
  const int most = match.moves > 0 ? match.moves : 3 * match.size * match.size;
  for (int passes = 0; passes < 2 && out.moves < most; ++out.moves) {
    const int side = out.moves % 2;
    const std::string color = side == 0 ? "black" : "white";
    const std::string move = players[side]->must("genmove " + color);
    if (is(move, "resign")) return {side == 0 ? 'W' : 'B', "resignation", out.moves, false};
    passes = is(move, "pass") ? passes + 1 : 0;
    const std::string tell = text("play ", color, " ", move);
    if (!referee.ask(tell).ok) return {side == 0 ? 'W' : 'B', text("illegal move ", color, " ", move), out.moves, true};
    players[1 - side]->must(tell);
  }
  const std::string score = referee.must("final_score");
  out.winner = score[0];
  out.how = score;
  return out;
}

Match match_of(int argc, char** argv) {
  Match out;
  const std::map<std::string, int*> numbers{{"--games", &out.games}, {"--size", &out.size}, {"--moves", &out.moves}};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.starts_with("--")) {
      out.programs.push_back(word);
      continue;
    }
    if (++i == argc) throw UsageError(word + " needs a value");
    if (const auto number = numbers.find(word); number != numbers.end())
      *number->second = std::atoi(argv[i]);
    else if (word == "--komi")
      out.komi = argv[i];
    else if (word == "--referee")
      out.referee = argv[i];
    else
      throw UsageError("there is no option " + word);
  }
  if (out.programs.size() != 2) throw UsageError("two programs play a match, each one argument");
  return out;
}

// A game by programs begun for it.
Result play_anew(const Match& match, bool a_is_black) {
  GtpProgram a(words(match.programs[0])), b(words(match.programs[1])), referee(words(match.referee));
  GtpProgram* const players[2] = {a_is_black ? &a : &b, a_is_black ? &b : &a};
  return play(players, referee, match);
}

void run(const Match& match) {
  int wins = 0, draws = 0, illegal = 0, wins_as_black = 0, crashes = 0;
  for (int game = 0; game < match.games;) {
    const bool a_is_black = game % 2 == 0;
    Result result;
    try {
      result = play_anew(match, a_is_black);
    } catch (const Error& error) {
      if (++crashes > match.games) throw;
      std::printf("game %d: %s; it is played anew\n", game + 1, error.what());
      continue;
    }
    ++game;
    const bool a_wins = result.winner == (a_is_black ? 'B' : 'W');
    wins += a_wins;
    wins_as_black += a_wins && a_is_black;
    draws += result.winner != 'B' && result.winner != 'W';
    illegal += result.illegal;
    std::printf("game %d: A is %s, %s, %d moves, %s\n", game, a_is_black ? "Black" : "White",
                a_wins ? "A wins" : "A does not win", result.moves, result.how.c_str());
    std::fflush(stdout);
  }
  const double share = (wins + 0.5 * draws) / match.games;
  std::printf("A wins %d of %d (%d as Black), %d draws: %.1f%% +- %.1f%%; %d illegal moves, %d crashes\n", wins,
              match.games, wins_as_black, draws, 100 * share,
              100 * std::sqrt(share * (1 - share) / match.games), illegal, crashes);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(match_of(argc, argv));
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "gtp_match: %s\n", error.what());
    return 1;
  }
}
