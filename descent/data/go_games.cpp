#include "descent/data/go_games.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>

#include "descent/base/sha256.h"
#include "descent/base/text.h"
#include "descent/data/archive.h"
#include "descent/data/random.h"

namespace descent::data {

namespace fs = std::filesystem;

namespace {

constexpr size_t most_problems = 20;

void leave_out(GoCounts& counts, const std::string& reason, const std::string& problem = "") {
  ++counts.left_out[reason];
  if (!problem.empty() && counts.problems.size() < most_problems) counts.problems.push_back(problem);
}

bool is_sgf(std::string_view name) {
  if (name.size() < 4) return false;
  std::string end(name.substr(name.size() - 4));
  for (char& c : end)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return end == ".sgf";
}

void take_tree(const go::SgfTree& tree, bool variations, GoCounts& counts,
               const std::function<void(const go::Record&)>& take) {
  std::vector<std::vector<int>> lines;
  if (variations)
    lines = go::all_lines(tree);
  else
    lines.push_back(go::main_line(tree));
  for (const std::vector<int>& line : lines) {
    ++counts.games;
    try {
      take(go::record_of(tree, line));
    } catch (const Error& error) {
      leave_out(counts, "cannot be replayed", error.what());
    }
  }
}

void take_file(const std::string& name, const std::string& bytes, bool variations, GoCounts& counts,
               const std::function<void(const go::Record&)>& take) {
  ++counts.files;
  std::vector<go::SgfTree> trees;
  try {
    trees = go::parse_sgf(bytes, name);
  } catch (const Error& error) {
    return leave_out(counts, "cannot be read", error.what());
  }
  if (trees.empty()) leave_out(counts, "no game in the file", name + ": there is no game in it");
  for (const go::SgfTree& tree : trees) take_tree(tree, variations, counts, take);
}

// Why a game is not wanted; "" if it is.
std::string unwanted(const go::Record& record, const GoOptions& options) {
  if (record.size != options.size) return "another size";
  if (options.even_only && !record.is_even()) return "handicap";
  if (record.moves() < options.least_moves) return "too few moves";
  return "";
}

enum Part : size_t { training, validation, test, parts };

Part part_of(const go::Record& record, const GoOptions& options) {
  RandomStream draw(random_key(options.seed, go::fingerprint(record), 0x676f));
  const double at = draw.uniform();
  if (at < options.fractions.test) return test;
  return at < options.fractions.test + options.fractions.validation ? validation : training;
}

// One game's rows.
struct Rows {
  std::vector<std::byte> inputs;
  std::vector<int32_t> targets;
};

int32_t outcome(const go::Record& record, go::Color player) {
  return record.winner == go::Color::empty ? -1 : record.winner == player ? 1 : 0;
}

void add_rows(const go::Record& record, const GoOptions& options, Rows& rows) {
  const size_t bytes = go::packed_bytes(record.size);
  const std::optional<double> komi = record.known_komi();
  rows.inputs.reserve(bytes * static_cast<size_t>(record.moves()));
  go::replay(record, [&](const go::Game& game, go::Move move) {
    rows.inputs.resize(rows.inputs.size() + bytes);
    go::pack(go::Position(game, move.color, komi), std::span(rows.inputs).last(bytes));
    rows.targets.push_back(move.point == go::pass ? record.size * record.size : move.point);
    if (options.outcomes) rows.targets.push_back(outcome(record, move.color));
  });
}

std::vector<std::string> move_names(int size) {
  std::vector<std::string> out;
  for (go::Point p = 0; p < size * size; ++p) out.push_back(go::vertex_name(p, size));
  out.push_back("pass");
  return out;
}

// Each game is freed when it has been copied, so that little more than one copy of a part is in memory.
Dataset dataset_of(std::vector<Rows> games, const GoOptions& options) {
  const size_t columns = options.outcomes ? 2 : 1;
  size_t values = 0;
  for (const Rows& game : games) values += game.targets.size();
  if (values == 0) return {};
  const auto count = static_cast<int64_t>(values / columns);
  Array packed(DType::u8, {count, static_cast<int64_t>(go::packed_bytes(options.size))});
  Array targets(DType::i32, options.outcomes ? Shape{count, 2} : Shape{count});
  auto to = packed.bytes().begin();
  auto target = targets.as<int32_t>().begin();
  for (Rows& game : games) {
    to = std::ranges::copy(game.inputs, to).out;
    target = std::ranges::copy(game.targets, target).out;
    game = {};
  }
  return {
      {}, targets, move_names(options.size), {}, std::make_shared<GoRows>(options.size, packed, options.symmetries)};
}

void check_part(const std::vector<std::string>& sources, const Dataset& part, double fraction, std::string_view name) {
  if (fraction > 0 && part.size() == 0) fail(text(join(sources, ", "), ": the ", name, " part would have no game"));
}

}  // namespace

void each_game(const std::vector<std::string>& sources, bool variations, GoCounts& counts,
               const std::function<void(const go::Record& record)>& take) {
  for (const std::string& source : sources) {
    const int64_t before = counts.games;
    each_file(go_source_path(source), is_sgf, [&](const std::string& name, const std::string& bytes) {
      take_file(name, bytes, variations, counts, take);
    });
    if (counts.games == before)
      fail(counts.problems.empty() ? text(source, ": there are no SGF files in it") : counts.problems.back());
  }
}

GoData load_go(const std::vector<std::string>& sources, const GoOptions& options) {
  const Fractions& share = options.fractions;
  if (!(share.test >= 0) || !(share.validation >= 0) || !(share.test + share.validation < 1))
    fail(text("a split into ", share.validation, " validation and ", share.test,
              " test needs fractions of at least 0 that leave something to train on"));
  GoData out;
  std::array<std::vector<Rows>, parts> rows;
  each_game(sources, options.variations, out.counts, [&](const go::Record& record) {
    if (const std::string reason = unwanted(record, options); !reason.empty()) return leave_out(out.counts, reason);
    Rows game;
    add_rows(record, options, game);  // fails before anything is kept of a game that cannot be replayed
    rows[part_of(record, options)].push_back(std::move(game));
    ++out.counts.games_kept;
    out.counts.positions += record.moves();
  });
  out.splits.train = dataset_of(std::move(rows[training]), options);
  out.splits.validation = dataset_of(std::move(rows[validation]), options);
  out.splits.test = dataset_of(std::move(rows[test]), options);
  check_part(sources, out.splits.train, 1 - share.test - share.validation, "training");
  check_part(sources, out.splits.validation, share.validation, "validation");
  check_part(sources, out.splits.test, share.test, "test");
  return out;
}

const std::vector<GoPack>& go_packs() {
  static const std::vector<GoPack> packs = {
      {"go-fox-pro", "10,324 games by professionals on the Fox server, 19x19", "GPL-3.0 (featurecat/go-dataset)",
       "go-fox-pro.tar.xz", "fae6ad372488a7b5fe2509e711b14c55c63466833565d05e477a4cb5fd384c6d"},
      {"go-kgs-6d-2006", "10,380 games of KGS by strong amateurs, 19x19", "none stated (u-go.net)",
       "go-kgs-6d-2006.tar.xz", "d54edfb9557c98a596187dd5d4358670eaabf0fa6bab3da05e17b83a79bba2a3"},
      {"go-9x9-pro", "417 games, nearly all by professionals, 9x9", "none stated (A. Brouwer's collection)",
       "go-9x9-pro.tar.xz", "02662721da75962f17992476ef79b7d303bff50e704d5718a6acb103942b8d21"},
  };
  return packs;
}

std::string go_source_path(const std::string& source) {
  if (fs::exists(source)) return source;
  std::vector<std::string> names;
  for (const GoPack& pack : go_packs()) names.push_back(pack.name);
  const auto pack = std::ranges::find(go_packs(), source, &GoPack::name);
  if (pack == go_packs().end())
    fail(text(source, ": there is no such file or folder, nor a pack of games of that name (there are ",
              join(names, ", "), ")", did_you_mean(source, names)));
  const char* const folder = std::getenv("DESCENT_DATA");
  if (!folder || !*folder)
    fail(text("the games ", source, " are in the file ", pack->file, "; set DESCENT_DATA to the folder that has it"));
  for (const fs::path& path : {fs::path(folder) / pack->file, fs::path(folder) / "go" / pack->file}) {
    if (!fs::is_regular_file(path)) continue;
    if (sha256_file(path) != pack->sha256) fail(text(path.string(), ": does not have the expected SHA-256"));
    return path.string();
  }
  fail(text("there is no ", pack->file, " in ", folder, " or its folder go"));
}

GoRows::GoRows(int size, Array packed, bool symmetries)
    : size_(size), packed_(std::move(packed)), symmetries_(symmetries) {
  const Type wanted{DType::u8, {packed_.shape()[0], static_cast<int64_t>(go::packed_bytes(size))}};
  if (packed_.type() != wanted)
    fail(text("positions of size ", size, " are packed as ", wanted, ", not ", packed_.type()));
}

Type GoRows::row_type() const { return {DType::u8, {size_, size_, go::planes}}; }

go::Position GoRows::position(int64_t row) const {
  const size_t bytes = go::packed_bytes(size_);
  return go::unpack(packed_.bytes().subspan(static_cast<size_t>(row) * bytes, bytes));
}

void GoRows::read(int64_t row, std::span<std::byte> out) const {
  go::write_planes(position(row), 0, {reinterpret_cast<uint8_t*>(out.data()), out.size()});
}

void GoRows::vary(int64_t row, uint64_t key, std::span<std::byte> out, std::span<std::byte> target) const {
  const int symmetry = symmetries_ ? static_cast<int>(RandomStream(key).below(go::symmetries)) : 0;
  go::write_planes(position(row), symmetry, {reinterpret_cast<uint8_t*>(out.data()), out.size()});
  if (target.empty()) return;
  int32_t move = 0;
  std::memcpy(&move, target.data(), sizeof move);
  if (move >= size_ * size_) return;  // a pass
  move = go::transformed(static_cast<go::Point>(move), symmetry, size_);
  std::memcpy(target.data(), &move, sizeof move);
}

}  // namespace descent::data
