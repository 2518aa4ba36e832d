#include "descent/go/sgf.h"

#include "descent/go/record.h"
#include "go_testing.h"

namespace descent::go {
namespace {

SgfTree tree_of(std::string_view bytes) {
  std::vector<SgfTree> games = parse_sgf(bytes, "x.sgf");
  EXPECT_EQ(games.size(), 1u);
  return std::move(games.at(0));
}

Record record(std::string_view bytes) {
  const SgfTree tree = tree_of(bytes);
  return record_of(tree, main_line(tree));
}

std::string problem(std::string_view bytes) {
  return error_of([&] {
    for (const SgfTree& tree : parse_sgf(bytes, "x.sgf")) replay(record_of(tree, main_line(tree)));
  });
}

std::string moves_of(const Record& record) {
  std::string out;
  for (const Step& step : record.steps)
    out += std::string(out.empty() ? "" : " ") + (step.set_up ? "+" : "") +
           (step.move.color == Color::black   ? "B"
            : step.move.color == Color::white ? "W"
                                              : "E") +
           vertex_name(step.move.point, record.size);
  return out;
}

TEST(Sgf, ReadsAGame) {
  const Record game = record(
      "(;GM[1]FF[4]SZ[19]KM[6.5]PB[Honinbo Shusaku]PW[Gennan Inseki]RE[B+2]DT[1846-09-11]RU[Japanese]\n"
      "CA[UTF-8];B[qd];W[dc];B[pq];W[oc]C[a joseki])");
  EXPECT_EQ(moves_of(game), "BR16 WD17 BQ3 WP17");
  EXPECT_EQ(game.size, 19);
  EXPECT_EQ(game.komi, 6.5);
  EXPECT_EQ(game.winner, Color::black);
  EXPECT_EQ(game.black, "Honinbo Shusaku");
  EXPECT_EQ(game.white, "Gennan Inseki");
  EXPECT_EQ(game.date, "1846-09-11");
  EXPECT_EQ(game.rules, "Japanese");
  EXPECT_EQ(game.encoding, "UTF-8");
  EXPECT_EQ(game.source, "x.sgf");
  EXPECT_TRUE(game.is_even());
  EXPECT_EQ(replay(game).board().at(at("P17", 19)), Color::white);
}

TEST(Sgf, FollowsTheMainLineOrAll) {
  const SgfTree tree = tree_of("(;SZ[9];B[aa](;W[bb];B[cc](;W[dd])(;W[ee];B[ff]))(;W[gg](;B[hh])(;B[ii])))");
  EXPECT_EQ(moves_of(record_of(tree, main_line(tree))), "BA9 WB8 BC7 WD6");
  std::vector<std::string> lines;
  for (const std::vector<int>& line : all_lines(tree)) lines.push_back(moves_of(record_of(tree, line)));
  EXPECT_EQ(lines, (std::vector<std::string>{"BA9 WB8 BC7 WD6", "BA9 WB8 BC7 WE5 BF4", "BA9 WG3 BH2", "BA9 WG3 BJ1"}));
}

TEST(Sgf, HandicapAndSetUp) {
  const Record game = record("(;SZ[9]HA[2]AB[cc][gg]AW[ee]PL[W];W[dd];B[ff];AE[cc]AB[aa:bb];B[hh])");
  EXPECT_EQ(moves_of(game), "+BC7 +BG3 +WE5 WD6 BF4 +EC7 +BA9 +BB9 +BA8 +BB8 BH2");
  EXPECT_EQ(game.handicap, 2);
  EXPECT_EQ(game.first, Color::white);
  EXPECT_FALSE(game.is_even());
  const Game end = replay(game);
  EXPECT_EQ(picture_of(end.board()),
            "XX.......\nXX.......\n.........\n...O.....\n....O....\n.....X...\n......X..\n.......X.\n.........\n");
  EXPECT_FALSE(record("(;SZ[9];W[dd];B[ee])").is_even()) << "White begins";
  EXPECT_FALSE(record("(;SZ[9]HA[3];B[dd];W[ee])").is_even());
  EXPECT_EQ(moves_of(record("(;SZ[9]AB[];B[dd])")), "BD6") << "an empty list";
}

TEST(Sgf, PassesInAllTheirForms) {
  EXPECT_EQ(moves_of(record("(;SZ[19];B[];W[tt];B[ ])")), "Bpass Wpass Bpass");
  EXPECT_EQ(moves_of(record("(;SZ[9];B[tt])")), "Bpass");
  EXPECT_EQ(moves_of(record("(;SZ[25];B[tt])")), "BU6") << "a point of a large board";
}

TEST(Sgf, OldFormsOfNames) {
  EXPECT_EQ(moves_of(record("(;GaMe[1]SiZe[9]AddBlack[aa];Black[bb];White[cc])")), "+BA9 BB8 WC7");
  EXPECT_EQ(moves_of(record("(;sz[9];b[bb];w[cc])")), "BB8 WC7");
}

TEST(Sgf, EscapesAndLineEnds) {
  const SgfTree tree = tree_of("(;C[a \\] b \\\\ c\\\nd \\: e\r\nf]N[x]\r\n\r\n;B[aa]\r;W[bb])");
  EXPECT_EQ(tree.nodes[0].find("C")->values[0], "a ] b \\ cd : e\r\nf");
  EXPECT_EQ(tree.nodes[0].find("N")->values[0], "x");
  EXPECT_EQ(tree.nodes[0].find("X"), nullptr);
  EXPECT_EQ(tree.nodes[1].line, 5);
  EXPECT_EQ(tree.nodes[2].line, 6);
}

TEST(Sgf, BytesPassThrough) {
  EXPECT_EQ(record("(;PB[Andr\xe9];B[aa])").black, "Andr\xe9") << "Latin-1";
  EXPECT_EQ(record("\xef\xbb\xbf(;PB[\xe6\x9d\x8e];B[aa])").black, "\xe6\x9d\x8e") << "UTF-8 with its mark";
  // The second bytes are ] and \.
  EXPECT_EQ(record("(;CA[gb2312]PB[\x8f\x5d\x90\x5c];B[aa])").black, "\x8f\x5d\x90\x5c");
  EXPECT_EQ(record("(;CA[Shift_JIS]PB[\x83\x5c];B[aa])").black, "\x83\x5c");
  EXPECT_EQ(record("(;CA[ISO-8859-1]PB[\xe9];B[aa])").black, "\xe9");
}

TEST(Sgf, SeveralGamesAndWhatStandsAround) {
  const auto games = parse_sgf("From: a friend (me)\n\n(;SZ[9];B[aa])\nand\n(;SZ[13];B[bb])\nbye (", "x.sgf");
  ASSERT_EQ(games.size(), 2u);
  EXPECT_EQ(record_of(games[1], main_line(games[1])).size, 13);
  EXPECT_EQ(games[1].nodes[0].line, 5);
  EXPECT_TRUE(parse_sgf("", "x.sgf").empty());
  EXPECT_TRUE(parse_sgf("no game (at all)", "x.sgf").empty());
}

TEST(Sgf, NamesTheLineOfWhatIsWrong) {
  EXPECT_EQ(problem("(;SZ[9]\n;B[aa\n;W[bb])\n"), "x.sgf:2: the bracket that opens here is never closed");
  EXPECT_EQ(problem("(;SZ[9]\n;B[aa]\n;C[hello\n;W[bb\n)"), "x.sgf:3: the bracket that opens here is never closed");
  EXPECT_EQ(problem("(;SZ[9]\n;AB[aa\n;W[bb])\n"), "x.sgf:2: the bracket that opens here is never closed");
  EXPECT_EQ(problem("(;SZ[9]\n(;B[aa]\n(;W[bb])\n"), "x.sgf:2: the parenthesis that opens here is never closed");
  EXPECT_EQ(problem("(;SZ[9]\n;B[aa]\n;W[bb]"), "x.sgf:1: the parenthesis that opens here is never closed");
  EXPECT_EQ(problem("\n;GM[1]SZ[9];B[aa](;W[bb])(;W[cc])"),
            "x.sgf:2: a node stands outside of any game: a parenthesis is missing");
  EXPECT_EQ(problem("(;SZ[9];B[aa](;W[bb]))\n(;W[cc])\n; W[dd])"),
            "x.sgf:3: a node stands outside of any game: a parenthesis is missing");
  EXPECT_EQ(problem("(;SZ[9]\n;B)"), "x.sgf:2: the property B has no value");
  EXPECT_EQ(problem("(;SZ[9]\n;B[aa]&)"), "x.sgf:2: '&' does not belong here");
  EXPECT_EQ(problem("(;SZ[9]\n;B[aa]\x80)"), "x.sgf:2: byte 128 does not belong here");
  EXPECT_EQ(problem("((;SZ[9])\n(;B[aa]))"), "x.sgf:2: a game has a second root");
  EXPECT_EQ(problem("(;SZ[9]\n;B[jj])"), "x.sgf:2: 'jj' is no point of a 9x9 board");
  EXPECT_EQ(problem("(;SZ[9]\n;AB[a])"), "x.sgf:2: 'a' is no point of a 9x9 board");
  EXPECT_EQ(problem("(;SZ[9]\n;AB[tt])"), "x.sgf:2: 'tt' is no point of a 9x9 board");
  EXPECT_EQ(problem("(;\nSZ[19:13])"), "x.sgf:2: a board of '19:13' is not square with 2 to 25 lines a side");
  EXPECT_EQ(problem("(;SZ[0])"), "x.sgf:1: a board of '0' is not square with 2 to 25 lines a side");
  EXPECT_EQ(problem("(;GM[2])"), "x.sgf:1: a game of kind 2 is not Go, which is 1");
  EXPECT_EQ(problem("(;SZ[9]\n;B[aa]\n;W[aa])"), "x.sgf:3: move 2, white A9, is not legal: the point is occupied");
  EXPECT_EQ(problem("(;SZ[9]\nAB[aa]AW[ab][ba])"), "x.sgf:2: the position has a group without liberties at A9");
}

TEST(Sgf, WeighsKomi) {
  EXPECT_EQ(believable_komi("6.5"), 6.5);
  EXPECT_EQ(believable_komi(" -3 "), -3);
  EXPECT_EQ(believable_komi("0"), 0);
  EXPECT_EQ(believable_komi("375"), 7.5) << "3.75 stones";
  EXPECT_EQ(believable_komi("275"), 5.5);
  EXPECT_EQ(believable_komi("650"), 6.5);
  EXPECT_EQ(believable_komi("750"), 7.5);
  for (const char* text : {"", "many", "6.5 points", "nan", "inf", "1e9", "99999"})
    EXPECT_EQ(believable_komi(text), std::nullopt) << text;
}

TEST(Sgf, AKomiOfZeroIsKnownWithHandicapOnly) {
  EXPECT_EQ(record("(;SZ[9]KM[0];B[aa])").known_komi(), std::nullopt);
  EXPECT_EQ(record("(;SZ[9]KM[0]HA[2]AB[aa][cc];W[dd])").known_komi(), 0);
  EXPECT_EQ(record("(;SZ[9]KM[5.5];B[aa])").known_komi(), 5.5);
}

TEST(Sgf, KnowsWhoWon) {
  for (const char* text : {"B+3.5", "B+R", "B+Time", "B+", "Black wins"})
    EXPECT_EQ(winner_of(text), Color::black) << text;
  for (const char* text : {"W+0.5", "W+Resign", "w+F"}) EXPECT_EQ(winner_of(text), Color::white) << text;
  for (const char* text : {"", "0", "Draw", "Jigo", "Void", "?", "unknown"})
    EXPECT_EQ(winner_of(text), Color::empty) << text;
}

TEST(Sgf, DoublesHaveOneFingerprint) {
  const Record game = record("(;SZ[9]PB[a];B[cd];W[gg];B[ee])");
  EXPECT_EQ(fingerprint(game), fingerprint(record("(;SZ[9]PB[b]RE[B+R];B[dc];W[gg];B[ee])"))) << "mirrored";
  EXPECT_NE(fingerprint(game), fingerprint(record("(;SZ[9];B[cd];W[gg];B[ef])")));
  EXPECT_NE(fingerprint(game), fingerprint(record("(;SZ[9];B[cd];W[gg])")));
  EXPECT_NE(fingerprint(game), fingerprint(record("(;SZ[9];W[cd];B[gg];W[ee])")));
  EXPECT_EQ(fingerprint(record("(;SZ[9]AB[aa][cc])")), fingerprint(record("(;SZ[9]AB[cc][aa])")));
  EXPECT_NE(fingerprint(record("(;SZ[9]AB[aa][cc])")), fingerprint(record("(;SZ[9]AB[aa][cd])")));
  std::string longer = "(;SZ[19]", other;
  for (char row = 'a'; row <= 's'; ++row)
    for (char column = 'a'; column <= 'd'; ++column)
      longer += std::string(";") + ((column - 'a') % 2 ? "W[" : "B[") + column + row + "]";
  other = longer + ";B[ss])";
  EXPECT_EQ(fingerprint(record(longer + ")")), fingerprint(record(other))) << "60 moves tell";
}

TEST(Sgf, DeepNestingNeedsNoStack) {
  std::string deep = "(;SZ[9]";
  constexpr int depth = 200000;
  for (int i = 0; i < depth; ++i) deep += "(;";
  deep.append(depth + 1, ')');
  EXPECT_EQ(main_line(tree_of(deep)).size(), depth + 1u);
  std::string comb = "(;SZ[9]";  // each node has two children: all lines together would be a thousand million nodes
  for (int i = 0; i < 40000; ++i) comb += "(;)(;";
  comb.append(40001, ')');
  const SgfTree tree = tree_of(comb);
  EXPECT_EQ(error_of([&] { all_lines(tree); }),
            "x.sgf: its variations have more than 10000000 nodes, written out one by one");
}

}  // namespace
}  // namespace descent::go
