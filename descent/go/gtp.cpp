#include "descent/go/gtp.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/go/drawing.h"
#include "descent/go/handicap.h"
#include "descent/go/record.h"
#include "descent/go/score.h"

namespace descent::go {

namespace {

using Words = std::span<const std::string>;

// A command's failure, in the words of the specification.
struct GtpFailure {
  std::string message;
};
[[noreturn]] void refuse(std::string message) { throw GtpFailure{std::move(message)}; }
[[noreturn]] void refuse_syntax() { refuse("syntax error"); }

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

template <class T>
std::optional<T> number(std::string_view word) {
  if (word.starts_with('+')) word.remove_prefix(1);
  T value{};
  const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (problem != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

int integer(const std::string& word) {
  const std::optional<int> value = number<int>(word);
  return value ? *value : (refuse_syntax(), 0);
}

double real(const std::string& word) {
  const std::optional<double> value = number<double>(word);
  return value && std::isfinite(*value) ? *value : (refuse_syntax(), 0);
}

double seconds(const std::string& word) {
  const double value = real(word);
  return value >= 0 ? value : (refuse_syntax(), 0);
}

int count(const std::string& word) {
  const int value = integer(word);
  return value >= 0 ? value : (refuse_syntax(), 0);
}

Color color(const std::string& word) {
  const std::string name = lower(word);
  if (name == "b" || name == "black") return Color::black;
  if (name == "w" || name == "white") return Color::white;
  refuse_syntax();
}

// A line without comment and control characters, in words.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> out;
  bool in_word = false;
  for (const char c : line.substr(0, line.find('#'))) {
    if (c == ' ' || c == '\t') {
      in_word = false;
      continue;
    }
    if ((c >= 0 && c < ' ') || c == 127) continue;
    if (!in_word) out.emplace_back();
    in_word = true;
    out.back() += c;
  }
  return out;
}

// An id is an unsigned number of 31 bits.
bool is_id(const std::string& word) {
  return std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; }) && number<int32_t>(word);
}

std::string score_text(double black) {
  if (black == 0) return "0";
  return text(black > 0 ? "B+" : "W+", std::abs(black));
}

std::string vertices(std::span<const Point> points, int size) {
  std::string out;
  for (const Point p : points) out += text(out.empty() ? "" : " ", vertex_name(p, size));
  return out;
}

std::string read_text_file(const std::string& path) {
  constexpr std::uintmax_t most = std::uintmax_t{1} << 24;
  std::error_code problem;
  if (!std::filesystem::is_regular_file(path, problem) || std::filesystem::file_size(path, problem) > most)
    fail(path + " is no file, or too large");
  std::ifstream file(path, std::ios::binary);
  std::string out{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) fail(path + " cannot be read");
  return out;
}

// The steps before move number `move`; all if it is 0.
void cut_before(Record& record, int move) {
  int moves = 0;
  const auto end =
      std::ranges::find_if(record.steps, [&](const Step& step) { return !step.set_up && ++moves == move; });
  if (move > 0) record.steps.erase(end, record.steps.end());
}

}  // namespace

class Gtp::Engine {
 public:
  Engine(Player& player, GtpOptions options)
      : player_(player), options_(std::move(options)), game_(options_.size, options_.rules) {}

  std::string answer(std::string_view line) {
    std::vector<std::string> words = words_of(line);
    std::string id;
    if (!words.empty() && is_id(words[0])) {
      id = words[0];
      words.erase(words.begin());
    }
    if (words.empty()) return id.empty() ? "" : text("?", id, " unknown command\n\n");
    try {
      return text("=", id, " ", run(words[0], Words(words).subspan(1)), "\n\n");
    } catch (const GtpFailure& failure) {
      return text("?", id, " ", failure.message, "\n\n");
    } catch (const Error& error) {  // of the player, which must not end the session
      return text("?", id, " ", error.what(), "\n\n");
    }
  }

  bool has_quit() const { return has_quit_; }
  const Game& game() const { return game_; }

 private:
  struct Command {
    std::string_view name;
    size_t least;  // arguments
    std::string (Engine::*run)(Words);
  };
  static std::span<const Command> commands();

  static const Command* find(std::string_view name) {
    const auto at = std::ranges::find(commands(), name, &Command::name);
    return at == commands().end() ? nullptr : &*at;
  }

  std::string run(const std::string& name, Words arguments) {
    const Command* const command = find(name);
    if (!command) refuse("unknown command");
    if (arguments.size() < command->least) refuse_syntax();
    return (this->*command->run)(arguments);
  }

  // Administrative.

  std::string protocol_version(Words) { return "2"; }
  std::string name(Words) { return options_.name; }
  std::string version(Words) { return options_.version; }
  std::string known_command(Words words) { return find(words[0]) ? "true" : "false"; }
  std::string list_commands(Words) {
    std::string out;
    for (const Command& command : commands()) out += text(out.empty() ? "" : "\n", command.name);
    return out;
  }
  std::string quit(Words) {
    has_quit_ = true;
    return "";
  }

  // Set-up.

  void restart(Game game) {
    game_ = std::move(game);
    player_.begin_game();
  }

  std::string boardsize(Words words) {
    const int size = integer(words[0]);
    if (size < min_size || size > max_size || !player_.can_play(size)) refuse("unacceptable size");
    restart(Game(size, game_.board().rules()));
    return "";
  }
  std::string clear_board(Words) {
    restart(Game(game_.size(), game_.board().rules()));
    return "";
  }
  std::string komi(Words words) {
    game_.set_komi(real(words[0]));
    return "";
  }

  bool is_empty() const {
    return std::ranges::all_of(game_.board().stones(), [](Color c) { return c == Color::empty; });
  }

  std::string place(const std::vector<Point>& points) {
    Game game(game_.size(), game_.board().rules());
    game.place_handicap(points);
    restart(std::move(game));
    return vertices(points, game_.size());
  }

  std::string fixed_handicap(Words words) {
    const int stones = integer(words[0]);
    if (stones < 2 || stones > max_fixed_handicap(game_.size())) refuse("invalid number of stones");
    if (!is_empty()) refuse("board not empty");
    return place(go::fixed_handicap(game_.size(), stones));
  }

  // Of more stones than have good places, as many are placed as have one, which the specification allows.
  std::string place_free_handicap(Words words) {
    const int stones = integer(words[0]), most = max_fixed_handicap(game_.size());
    if (stones < 2 || most < 2) refuse("invalid number of stones");
    if (!is_empty()) refuse("board not empty");
    return place(go::fixed_handicap(game_.size(), std::min(stones, most)));
  }

  std::string set_free_handicap(Words words) {
    std::vector<Point> points;
    for (const std::string& word : words) {
      const std::optional<Point> point = point_from_vertex(word, game_.size());
      if (!point || *point == pass || std::ranges::find(points, *point) != points.end()) refuse("bad vertex list");
      points.push_back(*point);
    }
    if (points.size() < 2 || static_cast<int>(points.size()) >= game_.board().area()) refuse("bad vertex list");
    if (!is_empty()) refuse("board not empty");
    try {
      place(points);
    } catch (const Error&) {  // they leave a group no liberty
      refuse("bad vertex list");
    }
    return "";
  }

  std::string loadsgf(Words words) {
    const int before = words.size() > 1 ? count(words[1]) : 0;
    try {
      const std::vector<SgfTree> games = parse_sgf(read_text_file(words[0]), words[0]);
      if (games.empty()) refuse("cannot load file");
      Record record = record_of(games[0], main_line(games[0]));
      if (!player_.can_play(record.size)) refuse("cannot load file");
      cut_before(record, before);
      if (!record.komi) record.komi = game_.board().rules().komi;
      restart(replay(record, {}, game_.board().rules()));
    } catch (const Error&) {
      refuse("cannot load file");
    }
    return "";
  }

  // Play.

  // A vertex that is one on some board, but not on this, is an illegal move and no syntax error.
  std::string play(Words words) {
    const Color mover = color(words[0]);
    if (!point_from_vertex(words[1], max_size)) refuse_syntax();
    const std::optional<Point> point = point_from_vertex(words[1], game_.size());
    if (!point || !game_.board().is_legal(mover, *point)) refuse("illegal move");
    game_.play({mover, *point});
    return "";
  }

  std::string choose(const std::string& word, bool cleanup, bool keep) {
    const Color mover = color(word);
    const GtpClock& clock = clocks_[mover == Color::white];
    const double time = clock.seconds_for_move(static_cast<int>(game_.moves().size()), game_.board().area());
    const Decision decision = player_.choose(game_, mover, {.seconds = time, .cleanup = cleanup});
    if (decision.resigns) return "resign";
    if (keep) game_.play({mover, decision.point});
    return vertex_name(decision.point, game_.size());
  }
  std::string genmove(Words words) { return choose(words[0], false, true); }
  std::string reg_genmove(Words words) { return choose(words[0], false, false); }
  std::string genmove_cleanup(Words words) { return choose(words[0], true, true); }

  std::string undo(Words) {
    if (!game_.undo()) refuse("cannot undo");
    return "";
  }

  // Time.

  std::string time_settings(Words words) {
    const double main = seconds(words[0]), period = seconds(words[1]);
    const int stones = count(words[2]);
    for (GtpClock& clock : clocks_) clock.set(main, period, stones);
    return "";
  }

  std::string kgs_time_settings(Words words) {
    const std::string system = lower(words[0]);
    GtpClock clock;
    if (system == "absolute" && words.size() >= 2)
      clock.set(seconds(words[1]), 0, 0);
    else if (system == "canadian" && words.size() >= 4)
      clock.set(seconds(words[1]), seconds(words[2]), count(words[3]));
    else if (system == "byoyomi" && words.size() >= 4)
      clock.set_byoyomi(seconds(words[1]), seconds(words[2]), count(words[3]));
    else if (system != "none")
      refuse_syntax();
    clocks_[0] = clocks_[1] = clock;
    return "";
  }

  std::string time_left(Words words) {
    const Color whose = color(words[0]);
    clocks_[whose == Color::white].set_left(seconds(words[1]), count(words[2]));
    return "";
  }

  // The end.

  std::string final_score(Words) {
    const Status status = status_of(game_.board(), game_.to_move());
    return score_text(area_score(game_.board(), status.dead));
  }

  // Groups, one a line, or all points of a territory.
  std::string final_status_list(Words words) {
    const std::string wanted = lower(words[0]);
    const std::vector<Point> dead = status_of(game_.board(), game_.to_move()).dead;
    if (wanted == "dead" || wanted == "alive") return groups(dead, wanted == "dead");
    if (wanted == "seki") return "";
    if (wanted == "black_territory") return territory(dead, Color::black);
    if (wanted == "white_territory") return territory(dead, Color::white);
    refuse_syntax();
  }

  std::string groups(const std::vector<Point>& dead, bool wanted) const {
    const Board& board = game_.board();
    std::string out;
    std::vector<bool> done(static_cast<size_t>(board.area()));
    for (Point p = 0; p < board.area(); ++p) {
      if (board.at(p) == Color::empty || done[static_cast<size_t>(p)]) continue;
      std::vector<Point> group = board.group(p);
      for (const Point q : group) done[static_cast<size_t>(q)] = true;
      std::ranges::sort(group);
      if (std::ranges::binary_search(dead, p) == wanted)
        out += text(out.empty() ? "" : "\n", vertices(group, board.size()));
    }
    return out;
  }

  std::string territory(const std::vector<Point>& dead, Color owner) const {
    const Area area = area_of(game_.board(), dead);
    std::vector<Point> points;
    for (Point p = 0; p < game_.board().area(); ++p)
      if (area.owner[static_cast<size_t>(p)] == owner && game_.board().at(p) != owner) points.push_back(p);
    return vertices(points, game_.size());
  }

  std::string game_over(Words) { return ""; }

  std::string showboard(Words) {
    std::string board = drawn(game_.board(), game_.recent(0));
    board += text("Black has taken ", game_.board().captured(Color::white), ", White ",
                  game_.board().captured(Color::black), "; komi ", game_.board().rules().komi);
    return "\n" + board;
  }

  Player& player_;
  GtpOptions options_;
  Game game_;
  std::array<GtpClock, 2> clocks_;  // Black's and White's
  bool has_quit_ = false;
};

std::span<const Gtp::Engine::Command> Gtp::Engine::commands() {
  static constexpr Command all[] = {
      {"protocol_version", 0, &Engine::protocol_version},
      {"name", 0, &Engine::name},
      {"version", 0, &Engine::version},
      {"known_command", 1, &Engine::known_command},
      {"list_commands", 0, &Engine::list_commands},
      {"quit", 0, &Engine::quit},
      {"boardsize", 1, &Engine::boardsize},
      {"clear_board", 0, &Engine::clear_board},
      {"komi", 1, &Engine::komi},
      {"fixed_handicap", 1, &Engine::fixed_handicap},
      {"place_free_handicap", 1, &Engine::place_free_handicap},
      {"set_free_handicap", 0, &Engine::set_free_handicap},
      {"play", 2, &Engine::play},
      {"genmove", 1, &Engine::genmove},
      {"reg_genmove", 1, &Engine::reg_genmove},
      {"undo", 0, &Engine::undo},
      {"time_settings", 3, &Engine::time_settings},
      {"time_left", 3, &Engine::time_left},
      {"final_score", 0, &Engine::final_score},
      {"final_status_list", 1, &Engine::final_status_list},
      {"loadsgf", 1, &Engine::loadsgf},
      {"showboard", 0, &Engine::showboard},
      {"kgs-genmove_cleanup", 1, &Engine::genmove_cleanup},
      {"kgs-time_settings", 1, &Engine::kgs_time_settings},
      {"kgs-game_over", 0, &Engine::game_over},
  };
  return all;
}

Gtp::Gtp(Player& player, GtpOptions options) : engine_(std::make_unique<Engine>(player, std::move(options))) {}
Gtp::~Gtp() = default;

std::string Gtp::answer(std::string_view line) { return engine_->answer(line); }
bool Gtp::has_quit() const { return engine_->has_quit(); }
const Game& Gtp::game() const { return engine_->game(); }

void Gtp::serve(std::istream& in, std::ostream& out) {
  for (std::string line; !has_quit() && std::getline(in, line);) out << answer(line) << std::flush;
}

}  // namespace descent::go
