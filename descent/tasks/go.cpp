#include "descent/tasks/go.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <map>

#include "descent/base/text.h"
#include "descent/data/file.h"
#include "descent/data/go_games.h"
#include "descent/nn/function.h"

namespace descent::tasks {

namespace fs = std::filesystem;

namespace {

std::string trimmed(std::string_view word) {
  while (word.starts_with(' ')) word.remove_prefix(1);
  while (word.ends_with(' ')) word.remove_suffix(1);
  return std::string(word);
}

// A path counts from the recipe's folder, as others do; a pack's name stays.
std::string resolved(const Recipe& recipe, const std::string& source) {
  const fs::path path = recipe.base / source;
  return fs::exists(path) ? path.string() : source;
}

// Runs a net on as many rows as there are, padded to a power of two, so that few programs are compiled.
class PaddedNet {
 public:
  explicit PaddedNet(const Run& run)
      : net_(run.net),
        forward_(
            [net = run.net](nn::Pass& pass, std::span<const Tensor> in) -> Tensors { return {(*net)(in[0], pass)}; },
            {.training = false, .precision = run.evaluate_options().precision}) {}

  // [N,K], in a buffer that the next call overwrites.
  Array operator()(const Array& planes) {
    const int64_t rows = planes.shape()[0];
    const auto padded = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
    Array& input = inputs_[padded];
    if (!input) input = Array(planes.dtype(), planes.shape().with(0, padded));
    std::ranges::copy(planes.bytes(), input.bytes().begin());
    return forward_({input})[0].rows(0, rows);
  }

 private:
  std::shared_ptr<nn::Module> net_;
  nn::Function forward_;
  std::map<int64_t, Array> inputs_;
};

// The columns of a net's outputs as policy and value.
go::NetAnswer answer_of(const Array& outputs, int64_t moves, bool has_value) {
  const int64_t rows = outputs.shape()[0], columns = outputs.shape()[1];
  const std::span<const float> from = outputs.as<float>();
  go::NetAnswer out{Array(DType::f32, {rows, moves}), has_value ? Array(DType::f32, {rows}) : Array()};
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(from.begin() + row * columns, moves, out.policy.as<float>().begin() + row * moves);
    if (has_value) out.value.as<float>()[static_cast<size_t>(row)] = from[static_cast<size_t>(row * columns + moves)];
  }
  return out;
}

go::Record first_game(const std::string& path) {
  const Array bytes = data::read_to_array(path);
  const auto games = go::parse_sgf({reinterpret_cast<const char*>(bytes.data()), bytes.bytes().size()}, path);
  if (games.empty()) fail(text(path, ": there is no game in it"));
  return go::record_of(games[0], go::main_line(games[0]));
}

// Takes the steps from move `move` on off a record, and returns what was played there.
std::optional<go::Point> cut(go::Record& record, int move) {
  const int moves = record.moves();
  if (move < 0 || move > moves + 1) fail(text(record.source, ": there is no move ", move, "; the game has ", moves));
  if (move == 0 || move == moves + 1) return std::nullopt;
  int number = 0;
  const auto at =
      std::ranges::find_if(record.steps, [&](const go::Step& step) { return !step.set_up && ++number == move; });
  const go::Move played = at->move;
  record.steps.erase(at, record.steps.end());
  record.first = played.color;  // where nothing was played before it
  return played.point;
}

}  // namespace

std::vector<std::string> go_sources(const Recipe& recipe, const std::string& value) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin <= value.size();) {
    const size_t end = std::min(value.find(',', begin), value.size());
    const std::string source = trimmed(std::string_view(value).substr(begin, end - begin));
    if (source.empty()) throw UsageError(recipe.data.at("go"), text("[data]: 'go' names nothing between two commas"));
    out.push_back(resolved(recipe, source));
    begin = end + 1;
  }
  return out;
}

bool wants_value(const Recipe& recipe) { return recipe.loss.word("kind") == nn::PolicyAndValue::name; }

Examples load_go_examples(const Recipe& recipe, const std::string& value) {
  const data::GoOptions options{.size = static_cast<int>(recipe.data.integer("board")),
                                .even_only = !recipe.data.flag("handicap"),
                                .outcomes = wants_value(recipe),
                                .fractions = {recipe.data.number("validation"), recipe.data.number("test")},
                                .seed = recipe.seed()};
  // The net's first layer makes 0 to 1 of the planes' 0 to 255.
  return {data::load_go(go_sources(recipe, value), options).splits,
          {.normalizer = data::Normalizer{.scale = {1.0f / 255}, .shift = {0.0f}}}};
}

data::Dataset load_go_like(const Preprocess& preprocess, const std::string& path, bool with_value) {
  data::GoOptions options{.size = go_board_size(preprocess).value_or(0), .even_only = false, .least_moves = 1};
  options.outcomes = with_value;
  options.fractions = {0, 0};
  return data::load_go({path}, options).splits.train;
}

std::optional<int> go_board_size(const Preprocess& preprocess) {
  const Shape& shape = preprocess.input.shape;
  if (preprocess.input.dtype != DType::u8 || shape.rank() != 3 || shape[0] != shape[1] || shape[2] != go::planes)
    return std::nullopt;
  const int64_t area = shape[0] * shape[1];
  if (static_cast<int64_t>(preprocess.classes.size()) != area + 1 || preprocess.classes.back() != "pass")
    return std::nullopt;
  return static_cast<int>(shape[0]);
}

std::shared_ptr<go::Evaluator> go_evaluator(const Run& run, int views) {
  const std::optional<int> size = go_board_size(run.preprocess);
  if (!size) fail(text(run.directory.string(), ": this run was not trained on games of Go"));
  const int64_t moves = int64_t{*size} * *size + 1;
  const auto net = std::make_shared<PaddedNet>(run);
  const int64_t columns = (*net)(Array(DType::u8, run.preprocess.batch(1).shape)).shape().back();
  const bool has_value = columns == moves + 1;
  return std::make_shared<go::NetEvaluator>(
      [net, moves, has_value](const Array& planes) { return answer_of((*net)(planes), moves, has_value); }, has_value,
      views);
}

namespace {

// Probabilities and a chance back as what a net's outputs are: scores and a logit.
void write_scores(const go::Evaluation& answer, bool has_value, std::span<float> out) {
  constexpr float least = 1e-30f;
  size_t column = 0;
  for (const float probability : answer.policy) out[column++] = std::log(std::max(probability, least));
  const float wins = (1 + answer.value) / 2, loses = (1 - answer.value) / 2;
  if (has_value) out[column] = std::log(std::max(wins, least)) - std::log(std::max(loses, least));
}

Array averaged_scores(const Run& run, const data::GoRows& rows, int views) {
  const std::shared_ptr<go::Evaluator> evaluator = go_evaluator(run, views);
  const int size = go_board_size(run.preprocess).value_or(0);
  const int64_t columns = int64_t{size} * size + (evaluator->has_value() ? 2 : 1);
  Array out(DType::f32, {rows.size(), columns});
  const int64_t at_once = std::max(1, 256 / views);
  for (int64_t begin = 0; begin < rows.size(); begin += at_once) {
    std::vector<go::Position> positions;
    for (int64_t row = begin; row < std::min(begin + at_once, rows.size()); ++row)
      positions.push_back(rows.position(row));
    std::vector<go::Evaluation> answers(positions.size());
    evaluator->evaluate(positions, answers);
    for (size_t i = 0; i < answers.size(); ++i)
      write_scores(answers[i], evaluator->has_value(),
                   out.as<float>().subspan((static_cast<size_t>(begin) + i) * columns, columns));
  }
  return out;
}

}  // namespace

train::Evaluation evaluate_go(const Run& run, const data::Dataset& positions, int views) {
  const auto* rows = dynamic_cast<const data::GoRows*>(positions.source.get());
  if (!rows) fail(text(run.directory.string(), ": views of a board are of positions of Go, and the data have none"));
  nn::Sequential nothing{std::vector<nn::Layer>{}};
  return train::evaluate(nothing, run.loss,
                         {averaged_scores(run, *rows, views), positions.targets, positions.classes, {}},
                         run.evaluate_options());
}

std::string GoPrediction::drawn() const {
  return go::drawn(game.board(), game.recent(0), best) + go::listed(best, game.size());
}

GoPrediction predict_go(const Run& run, go::Evaluator& evaluator, const std::string& path, int move, size_t count) {
  go::Record record = first_game(path);
  const int known = go_board_size(run.preprocess).value_or(0);
  if (record.size != known)
    fail(text(path, ": a game on ", record.size, "x", record.size, ", but the run knows ", known, "x", known));
  const std::optional<double> komi = record.known_komi();  // of the whole game: its beginning may look like another
  GoPrediction out{path, go::Game(record.size), move > 0 ? move : record.moves() + 1, cut(record, move), {}, {}};
  out.game = go::replay(record);
  const go::Position position(out.game, out.game.to_move(), komi);
  go::Evaluation answer;
  evaluator.evaluate({&position, 1}, {&answer, 1});
  out.best = go::best_moves(out.game.board(), out.game.to_move(), answer.policy, count);
  if (evaluator.has_value()) out.winning = (answer.value + 1) / 2;
  return out;
}

}  // namespace descent::tasks
