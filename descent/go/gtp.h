// The Go Text Protocol, version 2 (Farnebäck 2002, lysator.liu.se/~gunnar/gtp), with what KGS added for scoring and
// time.
#pragma once

#include <istream>
#include <limits>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "descent/go/game.h"
#include "descent/go/player.h"

namespace descent::go {

struct GtpOptions {
  std::string name = "Descent";
  std::string version = "";
  int size = 19;  // at first
  Rules rules = {};
};

// Answers commands, one line each. What a command does wrong is answered with "?" and the specification's words.
class Gtp {
 public:
  // The player must outlive it.
  explicit Gtp(Player& player, GtpOptions options = {});
  ~Gtp();
  Gtp(const Gtp&) = delete;
  Gtp& operator=(const Gtp&) = delete;

  // The whole answer, with the empty line that ends it; "" to a line that holds no command.
  std::string answer(std::string_view line);

  // Answers lines until quit, or the end of the input.
  void serve(std::istream& in, std::ostream& out);

  bool has_quit() const;
  const Game& game() const;

 private:
  class Engine;
  std::unique_ptr<Engine> engine_;
};

// How long a player may think, as GTP tells it.
class GtpClock {
 public:
  // Canadian: after `main` seconds, `stones` have to be played in each `period` seconds. No limit if `period` is over 0
  // and `stones` is 0.
  void set(double main, double period, int stones);
  void set_byoyomi(double main, double period, int periods);  // a move a period; a period that runs out is lost
  void set_unlimited() { *this = {}; }

  // `stones` of 0: `seconds` of main time are left; else so many stones must be played in them.
  void set_left(double seconds, int stones);

  // What one move may take, with a little kept for the way to the controller and back.
  double seconds_for_move(int moves_played, int area) const;

 private:
  bool limited_ = false;
  double main_left_ = 0, period_ = 0;
  int stones_ = 0;           // of a period
  double period_left_ = -1;  // of the one that runs, below 0 if none does
  int stones_left_ = 0;
};

}  // namespace descent::go
