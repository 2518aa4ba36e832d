// Who chooses moves.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "descent/go/search.h"

namespace descent::go {

// Under what a move is asked for.
struct Conditions {
  double seconds = std::numeric_limits<double>::infinity();  // it may take
  bool cleanup = false;  // the players disagreed about dead stones: they must be taken before anyone passes
};

struct Decision {
  Point point = pass;
  bool resigns = false;
  double value = 0;                        // 1: is sure to win, -1: to lose
  std::vector<MoveStatistics> moves = {};  // what was weighed, best first
};

class Player {
 public:
  virtual ~Player() = default;

  // A legal move, or resignation. The game is not changed.
  virtual Decision choose(const Game& game, Color color, const Conditions& conditions) = 0;

  virtual bool can_play(int size) const = 0;
  virtual void begin_game() {}  // what it remembers of the last one is void
};

struct PlayerOptions {
  SearchOptions search = {.visits = 0};  // with visits of 0, by policy alone
  int warm_moves = 0;                    // so many first moves of a game are drawn at random,
  double temperature = 1;                // by probability to the power of 1 / temperature
  uint64_t seed = 1;
  double resign_below = -0.9;   // resigns if three moves in a row had a value below it; -1: never
  std::vector<int> sizes = {};  // of boards that the evaluator knows; empty: all
};

// Plays what an evaluator thinks best. It passes when random games find every point settled, or when the opponent has
// passed and the count says that it has won; it never fills its eyes.
class EvaluatorPlayer : public Player {
 public:
  EvaluatorPlayer(std::shared_ptr<Evaluator> evaluator, PlayerOptions options);

  Decision choose(const Game& game, Color color, const Conditions& conditions) override;
  bool can_play(int size) const override;
  void begin_game() override { low_values_ = 0; }

 private:
  Decision ask_policy(const Game& game, Color color);
  Decision ask_search(const Game& game, Color color, const Conditions& conditions);
  Point drawn(const Decision& decision, const Game& game) const;
  bool gives_up(const Decision& decision, const Game& game);

  std::shared_ptr<Evaluator> evaluator_;
  PlayerOptions options_;
  int low_values_ = 0;  // moves in a row with a value that low
};

}  // namespace descent::go
