#include "descent/go/record.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "descent/base/error.h"
#include "descent/base/hash.h"
#include "descent/base/text.h"

namespace descent::go {

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || (text.front() >= '\t' && text.front() <= '\r')))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || (text.back() >= '\t' && text.back() <= '\r'))) text.remove_suffix(1);
  return text;
}

template <class T>
std::optional<T> number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Makes one game out of nodes.
class Recorder {
 public:
  Recorder(const SgfTree& tree, std::span<const int> line) : tree_(tree), line_(line) {}

  Record run() {
    out_.source = tree_.source;
    if (line_.empty()) return std::move(out_);
    const SgfNode& root = tree_.nodes[static_cast<size_t>(line_[0])];
    out_.line = root.line;
    read_root(root);
    for (const int number : line_)
      for (const SgfProperty& property : tree_.nodes[static_cast<size_t>(number)].properties) read_step(property);
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(int line, const std::string& what) const { fail(text(tree_.source, ":", line, ": ", what)); }

  // A value that goes on into the next property lacks its end.
  [[noreturn]] void refuse_point(int line, std::string_view name) const {
    if (name.find('[') != name.npos) refuse(line, "the bracket that opens here is never closed");
    refuse(line, text("'", name, "' is no point of a ", out_.size, "x", out_.size, " board"));
  }

  static std::string value(const SgfNode& node, std::string_view name) {
    const SgfProperty* property = node.find(name);
    return property ? std::string(trimmed(property->values[0])) : "";
  }

  void read_root(const SgfNode& root) {
    if (const std::string kind = value(root, "GM"); !kind.empty() && number<int>(kind) != 1)
      refuse(root.line, text("a game of kind ", kind, " is not Go, which is 1"));
    if (const SgfProperty* size = root.find("SZ")) read_size(*size);
    out_.komi = believable_komi(value(root, "KM"));
    out_.handicap = std::clamp(number<int>(value(root, "HA")).value_or(0), 0, max_area);
    out_.result = value(root, "RE");
    out_.winner = winner_of(out_.result);
    out_.black = value(root, "PB");
    out_.white = value(root, "PW");
    out_.date = value(root, "DT");
    out_.rules = value(root, "RU");
    out_.encoding = value(root, "CA");
    if (const std::string player = value(root, "PL"); !player.empty())
      out_.first = player[0] == 'W' || player[0] == 'w' || player[0] == '2' ? Color::white : Color::black;
  }

  // "19", or "19:19" as columns and rows.
  void read_size(const SgfProperty& property) {
    const std::string_view size = property.values[0];
    const size_t colon = size.find(':');
    const auto columns = number<int>(size.substr(0, colon));
    const auto rows = colon == size.npos ? columns : number<int>(size.substr(colon + 1));
    if (!columns || rows != columns || *columns < min_size || *columns > max_size)
      refuse(property.line,
             text("a board of '", size, "' is not square with ", min_size, " to ", max_size, " lines a side"));
    out_.size = *columns;
  }

  void read_step(const SgfProperty& property) {
    if (property.name == "B" || property.name == "W") {
      add_move(property, property.name == "B" ? Color::black : Color::white);
    } else if (property.name == "AB") {
      set_up(property, Color::black);
    } else if (property.name == "AW") {
      set_up(property, Color::white);
    } else if (property.name == "AE") {
      set_up(property, Color::empty);
    }
  }

  void add_move(const SgfProperty& property, Color color) {
    const std::string_view name = trimmed(property.values[0]);
    const std::optional<Point> point = point_from_sgf(name, out_.size);
    if (!point) refuse_point(property.line, name);
    out_.steps.push_back({{color, *point}, false, property.line});
  }

  // Points, and rectangles "aa:cc" from corner to corner (FF[4]).
  void set_up(const SgfProperty& property, Color color) {
    for (const std::string& value : property.values) {
      const std::string_view name = trimmed(value);
      if (name.empty()) continue;
      const size_t colon = name.find(':');
      const auto first = board_point_from_sgf(trimmed(name.substr(0, colon)), out_.size);
      const auto last = colon == name.npos ? first : board_point_from_sgf(trimmed(name.substr(colon + 1)), out_.size);
      if (!first || !last) refuse_point(property.line, name);
      set_up_rectangle(*first, *last, color, property.line);
    }
  }

  void set_up_rectangle(Point first, Point last, Color color, int line) {
    const int size = out_.size;
    const auto [left, right] = std::minmax({first % size, last % size});
    const auto [top, bottom] = std::minmax({first / size, last / size});
    if (out_.steps.size() > most_steps) refuse(line, text("more than ", most_steps, " stones and moves"));
    for (int row = top; row <= bottom; ++row)
      for (int column = left; column <= right; ++column)
        out_.steps.push_back({{color, static_cast<Point>(row * size + column)}, true, line});
  }

  static constexpr size_t most_steps = 1'000'000;  // short texts name many stones

  const SgfTree& tree_;
  std::span<const int> line_;
  Record out_;
};

// Puts the stones of `steps` all at once, as an editor does, and returns how many steps that were.
size_t put_stones(Game& game, const Record& record, std::span<const Step> steps) {
  std::vector<Color> stones(game.board().stones().begin(), game.board().stones().end());
  size_t count = 0;
  for (; count < steps.size() && steps[count].set_up; ++count)
    stones[static_cast<size_t>(steps[count].move.point)] = steps[count].move.color;
  try {
    game.set_up(stones);
  } catch (const Error& error) {
    fail(text(record.source, ":", steps[0].line, ": ", error.what()));
  }
  return count;
}

uint64_t fingerprint_of(const Record& record, int symmetry) {
  constexpr int most = 60;
  uint64_t hash = hash_mix(0, static_cast<uint64_t>(record.size)), set_up = 0;
  int moves = 0;
  for (const Step& step : record.steps) {
    const auto point = static_cast<uint64_t>(transformed(step.move.point, symmetry, record.size) + 1);
    const uint64_t word = hash_mix(static_cast<uint64_t>(step.move.color), point);
    if (step.set_up)
      set_up += word;  // in whatever order they are written
    else
      hash = hash_mix(hash, word);
    moves += !step.set_up;
    if (moves == most) break;
  }
  return hash_mix(hash, set_up);
}

}  // namespace

int Record::moves() const {
  return static_cast<int>(std::ranges::count_if(steps, [](const Step& step) { return !step.set_up; }));
}

bool Record::is_even() const {
  return handicap < 2 && !steps.empty() && !steps[0].set_up && steps[0].move.color == Color::black &&
         std::ranges::none_of(steps, &Step::set_up);
}

std::optional<double> Record::known_komi() const { return komi && *komi == 0 && is_even() ? std::nullopt : komi; }

std::optional<double> believable_komi(const std::string& text) {
  const std::optional<double> value = number<double>(text);
  if (!value || !std::isfinite(*value)) return std::nullopt;
  if (std::abs(*value) < 100) return value;
  if (std::abs(*value) > 10'000) return std::nullopt;
  const double scaled = *value / 100;
  const bool quarters = std::abs(scaled * 2 - std::round(scaled * 2)) > 0.1;  // of stones, each worth two points
  return quarters ? 2 * scaled : scaled;
}

Color winner_of(const std::string& result) {
  const std::string_view text = trimmed(result);
  const auto starts = [&](std::string_view word) { return text.substr(0, word.size()) == word; };
  if (starts("B+") || starts("b+") || starts("Black")) return Color::black;
  if (starts("W+") || starts("w+") || starts("White")) return Color::white;
  return Color::empty;
}

Record record_of(const SgfTree& tree, std::span<const int> line) { return Recorder(tree, line).run(); }

Game replay(const Record& record, const std::function<void(const Game& game, Move move)>& before, Rules rules) {
  if (record.komi) rules.komi = *record.komi;
  Game game(record.size, rules);
  if (record.first) game.set_to_move(*record.first);
  for (size_t i = 0; i < record.steps.size();) {
    const Step& step = record.steps[i];
    if (step.set_up) {
      i += put_stones(game, record, std::span(record.steps).subspan(i));
      continue;
    }
    if (const Legality verdict = game.board().legality(step.move.color, step.move.point); verdict != Legality::legal)
      fail(text(record.source, ":", step.line, ": move ", game.moves().size() + 1, ", ", to_text(step.move.color), " ",
                vertex_name(step.move.point, record.size), ", is not legal: ", to_text(verdict)));
    if (before) before(game, step.move);
    game.play(step.move);
    ++i;
  }
  return game;
}

uint64_t fingerprint(const Record& record) {
  uint64_t least = fingerprint_of(record, 0);
  for (int s = 1; s < symmetries; ++s) least = std::min(least, fingerprint_of(record, s));
  return least;
}

}  // namespace descent::go
