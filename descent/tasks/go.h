// The game of Go: games as examples, and a trained net as a player.
//
// A net for Go takes planes u8 [B,S,S,24] (go/position.h) and makes [B, S*S + 1] scores of moves, the pass last; with
// one more column, that is the logit of "the player to move wins".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "descent/go/drawing.h"
#include "descent/go/evaluator.h"
#include "descent/tasks/run.h"

namespace descent::tasks {

// What [data] go = "..." names: folders, archives, SGF files or packs (data/go_games.h), parted by commas.
std::vector<std::string> go_sources(const Recipe& recipe, const std::string& value);

// The recipe's games, divided by game.
Examples load_go_examples(const Recipe& recipe, const std::string& value);

// Games at a path as a run judges them: all their positions.
data::Dataset load_go_like(const Preprocess& preprocess, const std::string& path, bool with_value);

// Whether the recipe's net answers with a value: whether its loss is policy_and_value.
bool wants_value(const Recipe& recipe);

// Whether a run was trained on positions of Go, and on what board.
std::optional<int> go_board_size(const Preprocess& preprocess);

// The run's net, asked about `views` symmetries of each position (1 to 8). Keeps the net alive. Fails if the run is
// none on Go.
std::shared_ptr<go::Evaluator> go_evaluator(const Run& run, int views);

// Judges a run on positions of Go (of load_go_like, or its own), each seen in `views` of its symmetries (1 to 8), whose
// probabilities and chances are averaged.
train::Evaluation evaluate_go(const Run& run, const data::Dataset& positions, int views);

// What a net thinks of a position of a game.
struct GoPrediction {
  std::string source;
  go::Game game;                    // up to there
  int move = 0;                     // the number of the move that is predicted
  std::optional<go::Point> played;  // what was played there, if the game goes on
  std::vector<go::Candidate> best;  // legal moves, the most probable first
  std::optional<double> winning;    // the player to move's chance, if the net says it

  std::string drawn() const;  // the board with the best moves as numbers, and a line for each
};

// Of move number `move` of an SGF file's first game, counted from 1; 0: of the move after the last. Fails naming the
// file if it cannot be read, has fewer moves, or is on another board than the run knows.
GoPrediction predict_go(const Run& run, go::Evaluator& evaluator, const std::string& path, int move, size_t count);

}  // namespace descent::tasks
