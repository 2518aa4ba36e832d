#include "descent/data/go_games.h"

#include <archive.h>
#include <archive_entry.h>

#include <set>

#include "data_testing.h"
#include "descent/base/text.h"
#include "descent/data/archive.h"
#include "descent/data/batches.h"
#include "descent/go/position.h"

namespace descent::data {
namespace {

// A game of up to 74 moves on 9x9 that no other number has: Black fills the upper half and White the lower one.
std::string game(int number, int moves = 12, const std::string& more = "") {
  std::string out = "(;SZ[9]KM[6.5]RE[" + std::string(number % 2 ? "B+R" : "W+3.5") + "]" + more;
  for (int i = 0; i < moves; ++i) {
    const int j = i / 2,
              p = i % 2 ? 40 + (2 * number + j * (1 + number / 2 % 36)) % 37 : (number + j * (1 + number % 36)) % 37;
    out += text(";", i % 2 ? "W[" : "B[", static_cast<char>('a' + p % 9), static_cast<char>('a' + p / 9), "]");
  }
  return out + ")";
}

void write_archive(const std::string& path, const std::vector<std::pair<std::string, std::string>>& files, bool zip) {
  archive* out = archive_write_new();
  if (zip) {
    archive_write_set_format_zip(out);
  } else {
    archive_write_set_format_pax_restricted(out);
    archive_write_add_filter_xz(out);
  }
  ASSERT_EQ(archive_write_open_filename(out, path.c_str()), ARCHIVE_OK);
  for (const auto& [name, bytes] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(out, entry);
    archive_write_data(out, bytes.data(), bytes.size());
    archive_entry_free(entry);
  }
  archive_write_close(out);
  archive_write_free(out);
}

std::vector<std::pair<std::string, std::string>> files_of(const std::string& path, const FileLimits& limits = {}) {
  std::vector<std::pair<std::string, std::string>> out;
  each_file(
      path, [](std::string_view name) { return !name.ends_with(".skip"); },
      [&](const std::string& name, const std::string& bytes) { out.emplace_back(name, bytes); }, limits);
  return out;
}

using Files = std::vector<std::pair<std::string, std::string>>;

TEST(EachFile, OfFoldersArchivesAndFiles) {
  const Folder folder;
  std::filesystem::create_directories(folder.path("deep/er"));
  folder.write("deep/er/b.txt", bytes_of("two"));
  folder.write("a.txt", bytes_of("one"));
  folder.write("c.skip", bytes_of("no"));
  write_archive(folder.path("pack.tar.xz"), {{"x/1", "first"}, {"x/2.skip", "no"}, {"x/3", "third"}}, false);
  write_archive(folder.path("pack.zip"), {{"y", std::string(100000, 'y')}}, true);
  const Files packed{{folder.path("pack.tar.xz") + ":x/1", "first"}, {folder.path("pack.tar.xz") + ":x/3", "third"}};
  EXPECT_EQ(files_of(folder.path("pack.tar.xz")), packed);
  EXPECT_EQ(files_of(folder.path("a.txt")), (Files{{folder.path("a.txt"), "one"}}));
  EXPECT_EQ(files_of(folder.path("")), (Files{{folder.path("a.txt"), "one"},
                                              {folder.path("deep/er/b.txt"), "two"},
                                              packed[0],
                                              packed[1],
                                              {folder.path("pack.zip") + ":y", std::string(100000, 'y')}}));
}

TEST(EachFile, NamesWhatIsWrong) {
  const Folder folder;
  write_archive(folder.path("big.tar.xz"), {{"zeros", std::string(1 << 20, '\0')}}, false);
  const std::string path = folder.path("big.tar.xz");
  EXPECT_EQ(error_of([&] { files_of(path, {.file_bytes = 1 << 18}); }),
            path + ":zeros: larger than the 262144 bytes that a file may have");
  EXPECT_EQ(error_of([&] { files_of(path, {.total_bytes = 1 << 18}); }),
            path + ":zeros: with it, more than 262144 bytes would have been read");
  folder.write("half.tar.xz", [&] {
    std::vector<std::byte> bytes(200);
    std::ifstream(path, std::ios::binary).read(reinterpret_cast<char*>(bytes.data()), 200);
    return bytes;
  }());
  EXPECT_TRUE(error_of([&] {
                files_of(folder.path("half.tar.xz"));
              }).starts_with(folder.path("half.tar.xz") + ": cannot be unpacked: "));
  folder.write("none.zip", bytes_of("no archive"));
  EXPECT_TRUE(error_of([&] {
                files_of(folder.path("none.zip"));
              }).starts_with(folder.path("none.zip") + ": cannot be unpacked: "));
  EXPECT_EQ(error_of([&] { files_of(folder.path("missing")); }),
            folder.path("missing") + ": cannot be opened: No such file or directory");
}

go::Position position_of(const Dataset& data, int64_t row) {
  return dynamic_cast<const GoRows&>(*data.source).position(row);
}

GoOptions nine(Fractions fractions = {.validation = 0.2, .test = 0.3}) { return {.size = 9, .fractions = fractions}; }

Folder& with_games(Folder& folder, int count) {
  for (int i = 0; i < count; ++i) folder.write(text("game", i, ".sgf"), bytes_of(game(i)));
  return folder;
}

TEST(GoGames, APositionAMove) {
  Folder folder;
  const GoData data = load_go({with_games(folder, 40).path("")}, nine());
  EXPECT_EQ(data.counts.files, 40);
  EXPECT_EQ(data.counts.games_kept, 40);
  const Splits& splits = data.splits;
  EXPECT_EQ(splits.train.size() + splits.validation.size() + splits.test.size(), data.counts.positions);
  EXPECT_EQ(data.counts.positions, 12 * data.counts.games_kept);
  EXPECT_EQ(splits.train.classes.size(), 82u);
  EXPECT_EQ(splits.train.classes[0], "A9");
  EXPECT_EQ(splits.train.classes[81], "pass");
  EXPECT_FALSE(splits.train.inputs);
  EXPECT_EQ(splits.train.row_type(), (Type{DType::u8, {9, 9, go::planes}}));
  for (const Dataset* part : {&splits.train, &splits.validation, &splits.test})
    EXPECT_EQ(part->size() % 12, 0) << "whole games";
}

TEST(GoGames, TheSplitIsByGameAndStays) {
  Folder folder;
  with_games(folder, 40);
  const GoData before = load_go({folder.path("")}, nine());
  // Doubles: another header, and mirrored along the diagonal (which these games survive as they are by fingerprint).
  for (int i = 0; i < 40; ++i) folder.write(text("double", i, ".sgf"), bytes_of(game(i, 12, "PB[somebody]")));
  const GoData doubled = load_go({folder.path("")}, nine());
  EXPECT_EQ(doubled.splits.train.size(), 2 * before.splits.train.size());
  EXPECT_EQ(doubled.splits.test.size(), 2 * before.splits.test.size());
  EXPECT_GT(before.splits.test.size(), 0);
  EXPECT_GT(before.splits.validation.size(), 0);
  GoOptions other = nine();
  other.seed = 1;
  EXPECT_NE(load_go({folder.path("")}, other).splits.test.targets.to_doubles(),
            doubled.splits.test.targets.to_doubles());
}

TEST(GoGames, LeavesOutAndCounts) {
  const Folder folder;
  folder.write("good.sgf", bytes_of(game(1) + game(2)));
  folder.write("GOOD.SGF", bytes_of(game(3)));
  folder.write("notes.txt", bytes_of(game(4)));
  folder.write("large.sgf", bytes_of("(;SZ[19];B[aa])"));
  folder.write("handicap.sgf", bytes_of("(;SZ[9]HA[2]AB[aa][bb];W[cc])"));
  folder.write("short.sgf", bytes_of(game(5, 5)));
  folder.write("broken.sgf", bytes_of("(;SZ[9];B[aa"));
  folder.write("illegal.sgf", bytes_of(game(6).replace(game(6).size() - 1, 1, ";B[aa];W[aa])")));
  folder.write("empty.sgf", {});
  const GoData data = load_go({folder.path("")}, nine({0, 0}));
  EXPECT_EQ(data.counts.files, 8);
  EXPECT_EQ(data.counts.games, 7);
  EXPECT_EQ(data.counts.games_kept, 3);
  EXPECT_EQ(data.counts.left_out, (std::map<std::string, int64_t>{{"another size", 1},
                                                                  {"cannot be read", 1},
                                                                  {"cannot be replayed", 1},
                                                                  {"handicap", 1},
                                                                  {"no game in the file", 1},
                                                                  {"too few moves", 1}}));
  EXPECT_EQ(data.counts.problems.size(), 3u);
  EXPECT_EQ(data.splits.train.size(), 36);
}

TEST(GoGames, VariationsOnRequest) {
  const Folder folder;
  std::string forked = game(1, 14);
  forked.insert(forked.size() - 1, "(;B[ia])(;B[ib])");
  folder.write("a.sgf", bytes_of(forked));
  GoOptions options = nine({0, 0});
  EXPECT_EQ(load_go({folder.path("")}, options).splits.train.size(), 15);
  options.variations = true;
  EXPECT_EQ(load_go({folder.path("")}, options).splits.train.size(), 30);
}

TEST(GoGames, OutcomesAreForThePlayerToMove) {
  const Folder folder;
  folder.write("a.sgf", bytes_of(game(1, 12)));  // Black wins
  GoOptions options = nine({0, 0});
  options.outcomes = true;
  const Dataset data = load_go({folder.path("a.sgf")}, options).splits.train;
  ASSERT_EQ(to_text(data.targets.type()), "i32[12,2]");
  for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(data.targets.at(2 * i + 1), i % 2 == 0 ? 1 : 0);
}

TEST(GoGames, BatchesShowPlanesInAllSymmetries) {
  const Folder folder;
  folder.write("a.sgf", bytes_of(game(1, 12)));
  const GoData data = load_go({folder.path("")}, nine({0, 0}));
  Batches batches(data.splits.train, {.batch_size = 5, .shuffle = false, .seed = 3, .threads = 2});
  std::set<std::vector<double>> seen;
  std::vector<uint8_t> expected(81 * go::planes);
  for (uint64_t epoch = 0; epoch < 40; ++epoch) {
    batches.start(epoch);
    int64_t row = 0;
    while (const Batch* batch = batches.next()) {
      ASSERT_EQ(batch->inputs.shape()[3], go::planes);
      for (int64_t i = 0; i < batch->inputs.shape()[0]; ++i, ++row) {
        const go::Position position = position_of(data.splits.train, row);
        const auto move = static_cast<go::Point>(data.splits.train.targets.at(row));
        bool found = false;  // one symmetry explains both the planes and the move
        for (int s = 0; s < go::symmetries && !found; ++s) {
          go::write_planes(position, s, expected);
          const auto shown = batch->inputs.rows(i, i + 1).as<uint8_t>();
          found = std::ranges::equal(expected, shown) && batch->targets.at(i) == go::transformed(move, s, 9);
        }
        ASSERT_TRUE(found) << "epoch " << epoch << ", row " << row;
      }
      if (batch->index == 0) seen.insert(batch->targets.to_doubles());
    }
  }
  EXPECT_GT(seen.size(), 30u) << "drawn anew each epoch";
}

TEST(GoGames, BatchesAreTheSameWhateverTheThreads) {
  Folder folder;
  const GoData data = load_go({with_games(folder, 10).path("")}, nine({0, 0}));
  std::vector<std::vector<std::byte>> runs;
  for (const int threads : {0, 1, 3}) {
    Batches batches(data.splits.train, {.batch_size = 7, .seed = 3, .threads = threads});
    batches.start(1, 2);
    runs.emplace_back();
    while (const Batch* batch = batches.next()) {
      runs.back().insert(runs.back().end(), batch->inputs.bytes().begin(), batch->inputs.bytes().end());
      runs.back().insert(runs.back().end(), batch->targets.bytes().begin(), batch->targets.bytes().end());
    }
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_EQ(runs[0], runs[2]);
}

TEST(GoGames, RowsThatAreReadAreNotTurned) {
  Folder folder;
  const Dataset data = load_go({with_games(folder, 40).path("")}, nine()).splits.test;
  const Array inputs = data.read_inputs(3, 10);
  std::vector<uint8_t> expected(81 * go::planes);
  for (int64_t i = 0; i < 7; ++i) {
    go::write_planes(position_of(data, 3 + i), 0, expected);
    EXPECT_TRUE(std::ranges::equal(expected, inputs.rows(i, i + 1).as<uint8_t>()));
  }
  GoOptions options = nine();
  options.symmetries = false;
  const Dataset upright = load_go({folder.path("")}, options).splits.test;
  Batches batches(upright, {.batch_size = 1000, .shuffle = false, .threads = 0});
  batches.start(5);
  const Batch* batch = batches.next();
  EXPECT_EQ(batch->targets.to_doubles(), upright.targets.to_doubles());
  EXPECT_EQ(bytes_of(batch->inputs), bytes_of(upright.read_inputs(0, upright.size())));
}

TEST(GoGames, PartsOfPartsVaryToo) {
  Folder folder;
  const Dataset data = load_go({with_games(folder, 5).path("")}, nine({0, 0})).splits.train;
  const std::vector<int64_t> rows{40, 3, 17};
  const Dataset some = data.select(rows), few = data.rows(3, 5);
  EXPECT_EQ(some.size(), 3);
  EXPECT_EQ(some.targets.at(0), data.targets.at(40));
  EXPECT_EQ(bytes_of(some.read_inputs(1, 2)), bytes_of(data.read_inputs(3, 4)));
  EXPECT_EQ(bytes_of(few.read_inputs(0, 1)), bytes_of(data.read_inputs(3, 4)));
  const auto bytes = static_cast<size_t>(data.row_type().bytes());
  std::vector<std::byte> a(bytes), b(bytes);
  std::set<int32_t> moves;
  for (uint64_t key = 0; key < 30; ++key) {
    int32_t move = 10, same = 10;
    some.source->vary(1, key, a, std::as_writable_bytes(std::span(&move, 1)));
    data.source->vary(3, key, b, std::as_writable_bytes(std::span(&same, 1)));
    EXPECT_EQ(a, b);
    EXPECT_EQ(move, same);
    moves.insert(move);
  }
  EXPECT_EQ(moves, (std::set<int32_t>{10, 16, 64, 70})) << "B8 is on a diagonal";
}

TEST(GoGames, APassIsTheLastClass) {
  const Folder folder;
  std::string passing = game(1, 12);
  passing.insert(passing.size() - 1, ";B[];W[tt]");
  folder.write("a.sgf", bytes_of(passing));
  const Dataset data = load_go({folder.path("")}, nine({0, 0})).splits.train;
  EXPECT_EQ(data.targets.at(12), 81);
  EXPECT_EQ(data.targets.at(13), 81);
  Batches batches(data, {.batch_size = 14, .shuffle = false});
  batches.start(0);
  EXPECT_EQ(batches.next()->targets.at(13), 81);
}

TEST(GoGames, KomiOfZeroIsNotBelieved) {
  const Folder folder;
  std::string unknown = game(1, 12);
  folder.write("known.sgf", bytes_of(unknown));
  unknown.replace(unknown.find("6.5"), 3, "0");
  folder.write("unknown.sgf", bytes_of(unknown));
  const Dataset data = load_go({folder.path("")}, nine({0, 0})).splits.train;
  EXPECT_EQ(position_of(data, 0).komi, 6.5);
  EXPECT_EQ(position_of(data, 12).komi, std::nullopt);
}

TEST(GoGames, NamesWhatIsMissing) {
  const Folder folder;
  EXPECT_EQ(error_of([&] { load_go({folder.path("")}, nine()); }), folder.path("") + ": there are no SGF files in it");
  folder.write("a.sgf", bytes_of("(;SZ[9]"));
  EXPECT_EQ(error_of([&] { load_go({folder.path("")}, nine()); }),
            folder.path("a.sgf") + ":1: the parenthesis that opens here is never closed");
  folder.write("a.sgf", bytes_of(game(1)));
  EXPECT_TRUE(error_of([&] { load_go({folder.path("")}, nine({0.5, 0.4})); }).ends_with("part would have no game"));
  EXPECT_TRUE(error_of([&] {
                load_go({folder.path("")}, nine({0.5, 0.5}));
              }).starts_with("a split into 0.5 validation"));
  ::unsetenv("DESCENT_DATA");
  EXPECT_EQ(error_of([] { load_go({"go-fox-pro"}); }),
            "the games go-fox-pro are in the file go-fox-pro.tar.xz; set DESCENT_DATA to the folder that has it");
  EXPECT_EQ(error_of([] { load_go({"go-fox-prof"}); }),
            "go-fox-prof: there is no such file or folder, nor a pack of games of that name (there are go-fox-pro, "
            "go-kgs-6d-2006, go-9x9-pro); did you mean 'go-fox-pro'?");
  ::setenv("DESCENT_DATA", folder.path("").c_str(), 1);
  EXPECT_EQ(error_of([] { load_go({"go-fox-pro"}); }),
            "there is no go-fox-pro.tar.xz in " + folder.path("") + " or its folder go");
  folder.write("go-fox-pro.tar.xz", bytes_of("forged"));
  EXPECT_EQ(error_of([] { load_go({"go-fox-pro"}); }),
            folder.path("go-fox-pro.tar.xz") + ": does not have the expected SHA-256");
  ::unsetenv("DESCENT_DATA");
}

TEST(GoGames, AugmentationOfImagesDoesNotFit) {
  Folder folder;
  const GoData data = load_go({with_games(folder, 3).path("")}, nine({0, 0}));
  EXPECT_EQ(error_of([&] { Batches(data.splits.train, {.augment = AugmentOptions{.shift = 1}}); }),
            "batches: augmentation is for images u8[N,H,W] or u8[N,H,W,C], but the inputs are u8[36,9,9,24]");
}

// The packs, where they are (REAL_GO_DATA names the folder). Of the Fox games, 19 lack their first parenthesis and 4
// end in the middle.
TEST(GoGames, RealPacks) {
  const char* const folder = std::getenv("REAL_GO_DATA");
  if (!folder) GTEST_SKIP() << "REAL_GO_DATA does not name a folder with packs of games";
  ::setenv("DESCENT_DATA", folder, 1);
  struct Expected {
    std::string name;
    int size;
    int64_t files, games;
  };
  for (const auto& [name, size, files, games] :
       {Expected{"go-fox-pro", 19, 10324, 10301}, {"go-kgs-6d-2006", 19, 10380, 10380}, {"go-9x9-pro", 9, 417, 417}}) {
    const GoData data = load_go({name}, {.size = size, .even_only = false, .least_moves = 0});
    EXPECT_EQ(data.counts.files, files) << name;
    EXPECT_EQ(data.counts.games_kept, games) << name;
    for (const std::string& problem : data.counts.problems) std::printf("%s\n", problem.c_str());
    const GoData even = load_go({name}, {.size = size, .least_moves = 0});
    std::printf(
        "%s: %lld games, %lld positions; even %lld games, %lld positions (train %lld, validation %lld, test %lld)\n",
        name.c_str(), static_cast<long long>(data.counts.games_kept), static_cast<long long>(data.counts.positions),
        static_cast<long long>(even.counts.games_kept), static_cast<long long>(even.counts.positions),
        static_cast<long long>(even.splits.train.size()), static_cast<long long>(even.splits.validation.size()),
        static_cast<long long>(even.splits.test.size()));
  }
  ::unsetenv("DESCENT_DATA");
}

}  // namespace
}  // namespace descent::data
