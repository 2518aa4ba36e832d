#include "descent/go/player.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "descent/base/hash.h"
#include "descent/go/score.h"

namespace descent::go {

namespace {

// Whether passing is the thing to do, as far as a count can tell.
bool should_pass(const Game& game, Color color, const Conditions& conditions) {
  const Board& board = game.board();
  const bool answered =
      !game.moves().empty() && game.moves().back().point == pass && game.moves().back().color == opponent(color);
  // Random games say little of an open board, and cost some.
  const bool late = static_cast<int>(game.moves().size()) > board.area() / 2;
  if (!answered && !late) return false;
  const Status status = status_of(board, color);
  if (conditions.cleanup)
    return status.settled && std::ranges::none_of(status.dead, [&](Point p) { return board.at(p) == opponent(color); });
  const double score = area_score(board, status.dead);
  const bool ahead = color == Color::black ? score > 0 : score < 0;
  return status.settled || (answered && late && ahead);
}

}  // namespace

EvaluatorPlayer::EvaluatorPlayer(std::shared_ptr<Evaluator> evaluator, PlayerOptions options)
    : evaluator_(std::move(evaluator)), options_(std::move(options)) {}

bool EvaluatorPlayer::can_play(int size) const {
  return options_.sizes.empty() || std::ranges::find(options_.sizes, size) != options_.sizes.end();
}

Decision EvaluatorPlayer::choose(const Game& game, Color color, const Conditions& conditions) {
  if (should_pass(game, color, conditions)) return {};
  Decision decision = options_.search.visits > 0 ? ask_search(game, color, conditions) : ask_policy(game, color);
  // Whoever has something to take off must not pass.
  if (conditions.cleanup && decision.moves.size() > 1 && decision.moves[0].point == pass)
    std::rotate(decision.moves.begin(), decision.moves.begin() + 1, decision.moves.end());
  decision.resigns = !conditions.cleanup && gives_up(decision, game);
  const bool warm = static_cast<int>(game.moves().size()) < options_.warm_moves;
  decision.point = warm ? drawn(decision, game) : decision.moves[0].point;
  return decision;
}

Decision EvaluatorPlayer::ask_policy(const Game& game, Color color) {
  const Position position(game, color, game.board().rules().komi);
  Evaluation answer;
  evaluator_->evaluate({&position, 1}, {&answer, 1});
  Decision out;
  out.value = answer.value;
  double sum = 0;
  for (const Point p : sensible_moves(game.board(), color)) {
    const double prior =
        answer.policy.at(p == pass ? static_cast<size_t>(game.board().area()) : static_cast<size_t>(p));
    out.moves.push_back({p, prior, 0, 0});
    sum += prior;
  }
  if (sum > 0)
    for (MoveStatistics& move : out.moves) move.prior /= sum;
  std::ranges::stable_sort(out.moves, std::ranges::greater(), &MoveStatistics::prior);
  return out;
}

Decision EvaluatorPlayer::ask_search(const Game& game, Color color, const Conditions& conditions) {
  SearchOptions options = options_.search;
  options.seconds = std::min(options.seconds, conditions.seconds);
  options.dead_stones_count |= conditions.cleanup;
  options.seed = hash_mix(options.seed, game.moves().size());
  SearchResult result = search(game, color, *evaluator_, options);
  Decision out;
  out.value = result.value;
  out.moves = std::move(result.moves);
  return out;
}

// By visits, or by policy where there was no search; passes are not for the beginning of a game.
Point EvaluatorPlayer::drawn(const Decision& decision, const Game& game) const {
  std::vector<double> weights;
  double sum = 0;
  for (const MoveStatistics& move : decision.moves) {
    const double base = options_.search.visits > 0 ? move.visits : move.prior;
    sum += weights.emplace_back(move.point == pass ? 0 : std::pow(base, 1 / std::max(options_.temperature, 1e-3)));
  }
  if (!(sum > 0) || !std::isfinite(sum)) return decision.moves[0].point;
  const uint64_t bits = hash_mix(hash_mix(options_.seed, game.moves().size()), game.board().hash());
  double at = sum * static_cast<double>(bits >> 11) * 0x1p-53;
  for (size_t i = 0; i < weights.size(); ++i)
    if ((at -= weights[i]) < 0) return decision.moves[i].point;
  return decision.moves[0].point;
}

bool EvaluatorPlayer::gives_up(const Decision& decision, const Game& game) {
  if (!evaluator_->has_value() || static_cast<int>(game.moves().size()) < game.board().area() / 4) return false;
  low_values_ = decision.value < options_.resign_below ? low_values_ + 1 : 0;
  return low_values_ >= 3;
}

}  // namespace descent::go
