#include "descent/go/search.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <random>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/go/score.h"

namespace descent::go {

namespace {

struct Edge {
  Point move = pass;
  float prior = 0;
  int child = -1;
};

struct Node {
  int first_edge = 0, edges = 0;
  int visits = 0;        // with those under way
  double value_sum = 0;  // for the player who moved here; visits under way count as lost
  enum class State : uint8_t { fresh, asked, open, over } state = State::fresh;
  double result = 0;  // of a game that is over, for the player who moved here
};

// A place of the tree as it is walked: the board, and what a net is told.
struct Place {
  Board board;
  Position position;

  void follow(Point move) {
    board.play(position.to_move, move);
    std::shift_right(position.recent.begin(), position.recent.end(), 1);
    position.recent[0] = move;
    position.to_move = opponent(position.to_move);
    position.ko = board.ko();
    std::ranges::copy(board.stones(), position.stones.begin());
  }
  bool is_over() const { return position.recent[0] == pass && position.recent[1] == pass; }
};

class Tree {
 public:
  Tree(const Game& game, Color color, Evaluator& evaluator, const SearchOptions& options)
      : options_(options),
        evaluator_(evaluator),
        root_{game.board(), Position(game, color, game.board().rules().komi)},
        noise_(options.seed) {
    // That the game was over before does not keep it from being asked for a move.
    if (root_.is_over()) root_.position.recent[1] = no_point;
    nodes_.emplace_back();
  }

  SearchResult run() {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point begin = Clock::now();
    const auto in_time = [&] { return std::chrono::duration<double>(Clock::now() - begin).count() < options_.seconds; };
    do gather_and_evaluate();
    while (nodes_[0].visits < options_.visits && in_time());
    return result();
  }

 private:
  // A walk from the root to a leaf that waits for its evaluation.
  struct Walk {
    std::vector<int> path;
    Place place;
  };

  Node& node(int i) { return nodes_[static_cast<size_t>(i)]; }
  std::span<Edge> edges(const Node& of) {
    return std::span(edges_).subspan(static_cast<size_t>(of.first_edge), static_cast<size_t>(of.edges));
  }

  void gather_and_evaluate() {
    std::vector<Walk> walks;
    const int wanted = std::clamp(options_.visits - nodes_[0].visits, 1, std::max(1, options_.batch));
    for (int i = 0; i < wanted; ++i) {
      Walk walk{{0}, root_};
      descend(walk);
      const int leaf = walk.path.back();
      if (node(leaf).state == Node::State::asked) {  // by another walk of this batch: what is there is evaluated first
        undo_visits(walk.path);
        break;
      }
      if (node(leaf).state == Node::State::over) {
        back_up(walk.path, node(leaf).result);
        continue;
      }
      node(leaf).state = Node::State::asked;
      walks.push_back(std::move(walk));
    }
    evaluate(walks);
  }

  // To a leaf; each node on the way gets a visit that counts as lost until its value is known.
  void descend(Walk& walk) {
    int at = 0;
    start_visit(at);
    while (node(at).state == Node::State::open) {
      Edge& edge = best_edge(at);
      if (edge.child < 0) edge.child = add_node();
      walk.place.follow(edge.move);
      at = edge.child;
      walk.path.push_back(at);
      start_visit(at);
    }
    if (node(at).state == Node::State::fresh && at != 0 && walk.place.is_over()) {
      node(at).state = Node::State::over;
      node(at).result = result_of(walk.place);
    }
  }

  void start_visit(int at) {
    ++node(at).visits;
    node(at).value_sum -= 1;
  }

  void undo_visits(const std::vector<int>& path) {
    for (const int at : path) {
      --node(at).visits;
      node(at).value_sum += 1;
    }
  }

  // `value` is for who moved to the path's end.
  void back_up(const std::vector<int>& path, double value) {
    for (auto at = path.rbegin(); at != path.rend(); ++at, value = -value) node(*at).value_sum += 1 + value;
  }

  int add_node() {
    nodes_.emplace_back();
    return static_cast<int>(nodes_.size()) - 1;
  }

  Edge& best_edge(int at) {
    const Node& here = node(at);
    const double spread = options_.c_puct * std::sqrt(static_cast<double>(here.visits));
    const double untried = -here.value_sum / here.visits - options_.first_play;
    Edge* best = nullptr;
    double most = -std::numeric_limits<double>::infinity();
    for (Edge& edge : edges(here)) {
      const int visits = edge.child < 0 ? 0 : node(edge.child).visits;
      const double value = visits == 0 ? untried : node(edge.child).value_sum / visits;
      const double score = value + spread * edge.prior / (1 + visits);
      if (score <= most) continue;
      most = score;
      best = &edge;
    }
    return *best;  // there is one at least, the pass
  }

  void evaluate(std::vector<Walk>& walks) {
    if (walks.empty()) return;
    std::vector<Position> positions;
    for (const Walk& walk : walks) positions.push_back(walk.place.position);
    std::vector<Evaluation> answers(walks.size());
    evaluator_.evaluate(positions, answers);
    for (size_t i = 0; i < walks.size(); ++i) {
      expand(walks[i], answers[i].policy);
      back_up(walks[i].path, -answers[i].value);
    }
  }

  void expand(const Walk& walk, const std::vector<float>& policy) {
    const Place& place = walk.place;
    const auto area = static_cast<size_t>(place.board.area());
    if (policy.size() != area + 1)
      fail(text("a policy for a ", place.board.size(), "x", place.board.size(), " board has ", area + 1,
                " probabilities, not ", policy.size()));
    const int first = static_cast<int>(edges_.size());
    double sum = 0;
    for (const Point p : sensible_moves(place.board, place.position.to_move)) {
      // A floor, so that what the policy rules out is still found if nothing else is left.
      const float prior = std::max(policy[p == pass ? area : static_cast<size_t>(p)], 1e-6f);
      edges_.push_back({p, prior, -1});
      sum += prior;
    }
    Node& leaf = node(walk.path.back());
    leaf.first_edge = first;
    leaf.edges = static_cast<int>(edges_.size()) - first;
    leaf.state = Node::State::open;
    for (Edge& edge : edges(leaf)) edge.prior = static_cast<float>(edge.prior / sum);
    if (walk.path.size() == 1 && options_.noise > 0) add_noise(edges(leaf), place.board.area());
  }

  // Dirichlet noise (Silver et al. 2017), as gamma numbers over their sum.
  void add_noise(std::span<Edge> moves, int area) {
    std::gamma_distribution<double> gamma(10.83 / area, 1);
    std::vector<double> draws;
    double sum = 0;
    for (size_t i = 0; i < moves.size(); ++i) sum += draws.emplace_back(gamma(noise_));
    for (size_t i = 0; i < moves.size() && sum > 0; ++i)
      moves[i].prior = static_cast<float>((1 - options_.noise) * moves[i].prior + options_.noise * draws[i] / sum);
  }

  // For who passed last.
  double result_of(const Place& place) {
    std::vector<Point> dead;
    if (!options_.dead_stones_count)
      for (const Point p : dead_at_root())
        if (place.board.at(p) == root_.board.at(p)) dead.push_back(p);
    const double score = area_score(place.board, dead);
    const double black = score > 0 ? 1 : score < 0 ? -1 : 0;
    return place.position.to_move == Color::white ? black : -black;
  }

  const std::vector<Point>& dead_at_root() {
    if (!dead_) dead_ = status_of(root_.board, root_.position.to_move).dead;
    return *dead_;
  }

  SearchResult result() {
    SearchResult out;
    const Node& root = nodes_[0];
    out.visits = root.visits;
    out.value = -root.value_sum / root.visits;
    for (const Edge& edge : edges(root)) {
      const int visits = edge.child < 0 ? 0 : node(edge.child).visits;
      out.moves.push_back({edge.move, edge.prior, visits, visits ? node(edge.child).value_sum / visits : 0});
    }
    std::ranges::stable_sort(out.moves, [](const MoveStatistics& a, const MoveStatistics& b) {
      return a.visits != b.visits ? a.visits > b.visits : a.prior > b.prior;
    });
    return out;
  }

  const SearchOptions& options_;
  Evaluator& evaluator_;
  Place root_;
  std::vector<Node> nodes_;  // the root first
  std::vector<Edge> edges_;
  std::optional<std::vector<Point>> dead_;
  std::mt19937_64 noise_;
};

}  // namespace

std::vector<Point> sensible_moves(const Board& board, Color color) {
  std::vector<Point> out;
  board.legal_points(color, out);
  std::erase_if(out, [&](Point p) { return board.is_eye(color, p); });
  out.push_back(pass);
  return out;
}

SearchResult search(const Game& game, Color color, Evaluator& evaluator, const SearchOptions& options) {
  return Tree(game, color, evaluator, options).run();
}

}  // namespace descent::go
