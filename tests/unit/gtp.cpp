#include "descent/go/gtp.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "descent/go/gtp_client.h"
#include "go_testing.h"

namespace descent::go {
namespace {

// Plays the first sensible point, and notes what it was told.
class First : public Player {
 public:
  Decision choose(const Game& game, Color color, const Conditions& told) override {
    conditions = told;
    if (resigns) return {.resigns = true};
    if (fails) fail("the net has gone");
    return {.point = sensible_moves(game.board(), color)[0]};
  }
  bool can_play(int size) const override { return size != 17; }
  void begin_game() override { ++games; }

  Conditions conditions;
  bool resigns = false, fails = false;
  int games = 0;
};

struct Session {
  First player;
  Gtp gtp{player, {.name = "Test", .version = "1.2", .size = 9}};

  // Answers to several commands, each without its empty line.
  std::string operator()(std::string_view line) {
    std::string out = gtp.answer(line);
    if (out.empty()) return "(nothing)";
    EXPECT_TRUE(out.ends_with("\n\n"));
    out.resize(out.size() - 2);
    EXPECT_EQ(out.find("\n\n"), std::string::npos) << "no empty line within";
    return out;
  }
};

TEST(Gtp, TellsWhoItIs) {
  Session ask;
  EXPECT_EQ(ask("protocol_version"), "= 2");
  EXPECT_EQ(ask("name"), "= Test");
  EXPECT_EQ(ask("version"), "= 1.2");
  EXPECT_EQ(ask("known_command genmove"), "= true");
  EXPECT_EQ(ask("known_command lz-analyze"), "= false");
  const std::string list = ask("list_commands");
  for (const char* name : {"protocol_version", "name", "version", "known_command", "list_commands", "quit", "boardsize",
                           "clear_board", "komi", "play", "genmove", "kgs-genmove_cleanup"})
    EXPECT_NE(list.find(name), std::string::npos) << name;
  std::istringstream lines(list.substr(2));
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(ask("known_command " + line), "= true") << line;
}

TEST(Gtp, IdsCommentsAndControlCharacters) {
  Session ask;
  EXPECT_EQ(ask("17 name"), "=17 Test");
  EXPECT_EQ(ask("0 name # 1 quit"), "=0 Test");
  EXPECT_EQ(ask("  5\tname\r"), "=5 Test");
  EXPECT_EQ(ask("na\x01me\x7f\r"), "= Test") << "control characters are not there";
  EXPECT_EQ(ask("42 nonsense"), "?42 unknown command");
  EXPECT_EQ(ask("Name"), "? unknown command") << "commands have small letters";
  EXPECT_EQ(ask(""), "(nothing)");
  EXPECT_EQ(ask("   \t\r"), "(nothing)");
  EXPECT_EQ(ask("# only a comment"), "(nothing)");
  EXPECT_EQ(ask("4294967296 name"), "? unknown command") << "no id: it has more than 31 bits";
  EXPECT_EQ(ask("7"), "?7 unknown command");
  EXPECT_EQ(ask("name more words"), "= Test");
}

TEST(Gtp, SetsUpABoard) {
  Session ask;
  EXPECT_EQ(ask("boardsize 13"), "= ");
  EXPECT_EQ(ask.gtp.game().size(), 13);
  for (const char* size : {"1", "26", "0", "-9", "17"})
    EXPECT_EQ(ask(std::string("boardsize ") + size), "? unacceptable size") << size;
  for (const char* size : {"", " x", " 9.5", " 99999999999"})
    EXPECT_EQ(ask(std::string("boardsize") + size), "? syntax error") << size;
  EXPECT_EQ(ask("komi 6.5"), "= ");
  EXPECT_EQ(ask("komi -3"), "= ");
  EXPECT_EQ(ask.gtp.game().board().rules().komi, -3);
  for (const char* komi : {"", " x", " nan", " inf", " 1e999", " 6,5"})
    EXPECT_EQ(ask(std::string("komi") + komi), "? syntax error") << komi;
  ask("play b C3");
  EXPECT_EQ(ask("clear_board"), "= ");
  EXPECT_EQ(ask.gtp.game().board().hash(), Board(13).hash());
  EXPECT_EQ(ask.gtp.game().board().rules().komi, -3) << "komi stays";
}

TEST(Gtp, PlaysAndTakesBack) {
  Session ask;
  EXPECT_EQ(ask("play black E5"), "= ");
  EXPECT_EQ(ask("play W e4"), "= ");
  EXPECT_EQ(ask("play w D4"), "= ") << "twice in a row is allowed";
  EXPECT_EQ(ask("play B E5"), "? illegal move");
  EXPECT_EQ(ask("play B PASS"), "= ");
  EXPECT_EQ(ask("play B T19"), "? illegal move") << "not on this board";
  for (const char* words : {"", " b", " red E5", " b I5", " b E0", " b 5E", " b E55", " E5 b", " b resign"})
    EXPECT_EQ(ask(std::string("play") + words), "? syntax error") << words;
  EXPECT_EQ(ask.gtp.game().moves().size(), 4u);
  EXPECT_EQ(ask("undo"), "= ");
  EXPECT_EQ(ask("undo"), "= ");
  EXPECT_EQ(ask.gtp.game().board().at(at("D4", 9)), Color::empty);
  ask("undo");
  ask("undo");
  EXPECT_EQ(ask("undo"), "? cannot undo");
}

TEST(Gtp, KnowsKoAndSuicide) {
  Session ask;
  ask("boardsize 5");
  for (const char* move : {"B B4", "W C4", "B A3", "W D3", "B B2", "W C2", "B C3", "W B3"})
    EXPECT_EQ(ask(std::string("play ") + move), "= ") << move;
  EXPECT_EQ(ask("play B C3"), "? illegal move");
  ask("clear_board");
  for (const char* move : {"W A4", "W B5"}) ask(std::string("play ") + move);
  EXPECT_EQ(ask("play B A5"), "? illegal move");
  EXPECT_EQ(ask("play W A5"), "= ");
}

TEST(Gtp, AsksThePlayer) {
  Session ask;
  EXPECT_EQ(ask("genmove b"), "= A9");
  EXPECT_EQ(ask("genmove white"), "= B9");
  EXPECT_EQ(ask("reg_genmove b"), "= C9");
  EXPECT_EQ(ask.gtp.game().moves().size(), 2u) << "reg_genmove plays nothing";
  EXPECT_EQ(ask("genmove"), "? syntax error");
  EXPECT_EQ(ask("genmove green"), "? syntax error");
  EXPECT_EQ(ask("kgs-genmove_cleanup b"), "= C9");
  EXPECT_TRUE(ask.player.conditions.cleanup);
  ask.player.resigns = true;
  EXPECT_EQ(ask("genmove w"), "= resign");
  ask.player.resigns = false;
  ask.player.fails = true;
  EXPECT_EQ(ask("genmove w"), "? the net has gone");
  EXPECT_EQ(ask.gtp.game().moves().size(), 3u);
  EXPECT_EQ(ask("name"), "= Test") << "the session goes on";
}

TEST(Gtp, HandicapStones) {
  Session ask;
  ask("boardsize 19");
  EXPECT_EQ(ask("fixed_handicap 3"), "= D4 Q16 D16");
  EXPECT_EQ(ask.gtp.game().to_move(), Color::white);
  EXPECT_EQ(ask("fixed_handicap 3"), "? board not empty");
  EXPECT_EQ(ask("place_free_handicap 3"), "? board not empty");
  EXPECT_EQ(ask("set_free_handicap D4 Q16"), "? board not empty");
  ask("clear_board");
  for (const char* stones : {"1", "0", "10", "-2"})
    EXPECT_EQ(ask(std::string("fixed_handicap ") + stones), "? invalid number of stones") << stones;
  EXPECT_EQ(ask("fixed_handicap"), "? syntax error");
  EXPECT_EQ(ask("place_free_handicap 1"), "? invalid number of stones");
  EXPECT_EQ(ask("place_free_handicap 20"), "= D4 Q16 D16 Q4 D10 Q10 K4 K16 K10") << "fewer are allowed";
  ask("clear_board");
  for (const char* list : {"D4", "D4 D4", "D4 pass", "D4 Z99", "D4 I5", ""})
    EXPECT_EQ(ask(std::string("set_free_handicap ") + list), "? bad vertex list") << list;
  EXPECT_EQ(ask("set_free_handicap C3 d17 K10"), "= ");
  EXPECT_EQ(ask.gtp.game().board().at(at("D17", 19)), Color::black);
  ask("boardsize 4");
  EXPECT_EQ(ask("place_free_handicap 2"), "? invalid number of stones") << "there are no good places";
}

TEST(Gtp, KeepsTime) {
  Session ask;
  const auto given = [&] {
    EXPECT_EQ(ask("reg_genmove b").substr(0, 2), "= ");
    return ask.player.conditions.seconds;
  };
  EXPECT_EQ(given(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(ask("time_settings 300 0 0"), "= ");
  EXPECT_GT(given(), 1);
  EXPECT_LT(given(), 30);
  EXPECT_EQ(ask("time_left b 10 0"), "= ");
  EXPECT_LT(given(), 1);
  EXPECT_EQ(ask("time_left b 20 5"), "= ");
  EXPECT_NEAR(given(), 3.2, 1e-9) << "four fifths of a fifth of 20 seconds";
  EXPECT_EQ(ask("time_left w 1 1"), "= ");
  EXPECT_NEAR(given(), 3.2, 1e-9) << "White's clock is another";
  EXPECT_EQ(ask("time_settings 0 10 1"), "= ");
  EXPECT_NEAR(given(), 8, 1e-9);
  EXPECT_EQ(ask("time_settings 0 10 0"), "= ");
  EXPECT_EQ(given(), std::numeric_limits<double>::infinity()) << "a period without stones means no limit";
  EXPECT_EQ(ask("time_settings 0 0 0"), "= ");
  EXPECT_EQ(given(), 0.01);
  EXPECT_EQ(ask("kgs-time_settings none"), "= ");
  EXPECT_EQ(given(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(ask("kgs-time_settings absolute 300"), "= ");
  EXPECT_LT(given(), 30);
  EXPECT_EQ(ask("kgs-time_settings byoyomi 0 30 5"), "= ");
  EXPECT_NEAR(given(), 24, 1e-9);
  EXPECT_EQ(ask("kgs-time_settings canadian 0 100 10"), "= ");
  EXPECT_NEAR(given(), 8, 1e-9);
  for (const char* words :
       {"time_settings 1 2", "time_settings a b c", "time_settings -1 0 0", "time_left b 1", "time_left x 1 1",
        "kgs-time_settings", "kgs-time_settings byoyomi 1 2", "kgs-time_settings never"})
    EXPECT_EQ(ask(words), "? syntax error") << words;
}

TEST(Gtp, CountsTheEnd) {
  Session ask;
  const std::string path = testing::TempDir() + "descent_gtp_end.sgf";
  std::ofstream(path)
      << "(;SZ[9]KM[0.5]AB[da][db][dc][dd][de][df][dg][dh][di][ba][bb][ab]AW[ea][eb][ec][ed][ee][ef][eg][eh][ei]"
         "[ga][gb][gc][hc][ic][bd])";
  EXPECT_EQ(ask("loadsgf " + path), "= ");
  EXPECT_EQ(ask("final_score"), "= W+9.5");
  EXPECT_EQ(ask("final_status_list dead"), "= B6");
  const std::string alive = ask("final_status_list alive");
  EXPECT_NE(alive.find("D9 D8 D7 D6 D5 D4 D3 D2 D1"), std::string::npos) << alive;
  EXPECT_EQ(ask("final_status_list seki"), "= ");
  EXPECT_NE(ask("final_status_list black_territory").find("B6"), std::string::npos);
  EXPECT_NE(ask("final_status_list white_territory").find("J9"), std::string::npos);
  EXPECT_EQ(ask("final_status_list"), "? syntax error");
  EXPECT_EQ(ask("final_status_list all"), "? syntax error");
  ask("clear_board");
  ask("komi 0");
  EXPECT_EQ(ask("kgs-game_over"), "= ");
  std::filesystem::remove(path);
}

TEST(Gtp, LoadsGames) {
  Session ask;
  const std::string path = testing::TempDir() + "descent_gtp_load.sgf";
  std::ofstream(path) << "(;SZ[13]KM[5.5];B[aa];W[bb];B[cc](;W[dd])(;W[ee]))";
  EXPECT_EQ(ask("loadsgf " + path), "= ");
  EXPECT_EQ(ask.gtp.game().size(), 13);
  EXPECT_EQ(ask.gtp.game().moves().size(), 4u);
  EXPECT_EQ(ask.gtp.game().board().rules().komi, 5.5);
  EXPECT_EQ(ask("loadsgf " + path + " 3"), "= ") << "up to before move 3";
  EXPECT_EQ(ask.gtp.game().moves().size(), 2u);
  EXPECT_EQ(ask("loadsgf " + path + " 99"), "= ");
  EXPECT_EQ(ask.gtp.game().moves().size(), 4u);
  EXPECT_EQ(ask("loadsgf " + path + " x"), "? syntax error");
  EXPECT_EQ(ask("loadsgf"), "? syntax error");
  EXPECT_EQ(ask("loadsgf /nonexistent"), "? cannot load file");
  EXPECT_EQ(ask("loadsgf /dev/zero"), "? cannot load file");
  std::ofstream(path) << "(;SZ[17];B[aa])";
  EXPECT_EQ(ask("loadsgf " + path), "? cannot load file") << "a size that the player does not know";
  std::ofstream(path) << "nothing";
  EXPECT_EQ(ask("loadsgf " + path), "? cannot load file");
  std::ofstream(path) << "(;SZ[9];B[aa];W[aa])";
  EXPECT_EQ(ask("loadsgf " + path), "? cannot load file");
  EXPECT_EQ(ask.gtp.game().size(), 13) << "nothing changed";
  std::filesystem::remove(path);
}

TEST(Gtp, ShowsTheBoard) {
  Session ask;
  ask("play b E5");
  const std::string board = ask("showboard");
  EXPECT_TRUE(board.starts_with("= \n    A B C")) << board;
  EXPECT_NE(board.find(" 5  . . . .(X). . . . 5"), std::string::npos);
  EXPECT_NE(board.find("komi 7.5"), std::string::npos);
}

TEST(Gtp, ServesUntilQuit) {
  First player;
  Gtp gtp(player, {.size = 9});
  std::istringstream in("1 name\r\n\n# hello\n2 genmove b\r\n3 quit\n4 name\n");
  std::ostringstream out;
  gtp.serve(in, out);
  EXPECT_EQ(out.str(), "=1 Descent\n\n=2 A9\n\n=3 \n\n");
  EXPECT_TRUE(gtp.has_quit());
}

TEST(Gtp, TalksToPrograms) {
  GtpProgram echo({"sh", "-c",
                   "while read line; do case $line in bad) echo '?7 no';; quit) exit;; *) printf '=3 %s\\nand "
                   "more\\r\\n' \"$line\";; esac; echo; done"});
  EXPECT_EQ(echo.must("hello"), "hello\nand more");
  echo.send("one");
  echo.send("bad");
  EXPECT_TRUE(echo.answer().ok);
  const GtpProgram::Answer bad = echo.answer();
  EXPECT_FALSE(bad.ok);
  EXPECT_EQ(bad.text, "no");
  EXPECT_EQ(error_of([&] { echo.must("bad"); }), "sh: fails at 'bad': no");
  echo.send("quit");
  EXPECT_EQ(error_of([&] { echo.answer(); }), "sh: has ended without an answer");
  GtpProgram none({"/nonexistent/program"});
  EXPECT_TRUE(error_of([&] { none.ask("name"); }).starts_with("/nonexistent/program: has ended"));
  GtpProgram rude({"sh", "-c", "read line; echo hello; echo"});
  EXPECT_EQ(error_of([&] { rude.ask("name"); }), "sh: 'hello' is no GTP answer");
}

// Commands at random: a thousand sessions of legal and illegal words, in which the protocol and the rules must be kept.
std::string random_command(std::mt19937& draw, const Game& game) {
  const auto pick = [&](std::initializer_list<const char*> words) {
    return std::string(words.begin()[draw() % words.size()]);
  };
  const auto vertex = [&] {
    if (draw() % 8 == 0) return pick({"pass", "PASS", "I3", "Z99", "A0", "", "T19", "resign", "5-5", "\x80"});
    return vertex_name(static_cast<Point>(draw() % static_cast<unsigned>(game.board().area())), game.size());
  };
  const auto player = [&] { return pick({"b", "w", "B", "white", "black", "W", "w", "b", "red", ""}); };
  switch (draw() % 24) {
    case 0: return "boardsize " + pick({"5", "9", "7", "13", "1", "26", "-1", "x", ""});
    case 1: return pick({"clear_board", "final_score", "final_status_list dead", "showboard", "list_commands"});
    case 2: return "komi " + pick({"0", "7.5", "-3.5", "1e400", "x", ""});
    case 3: return "undo";
    case 4: return "fixed_handicap " + pick({"2", "9", "4", "-1", "x"});
    case 5: return "set_free_handicap " + vertex() + " " + vertex() + " " + vertex();
    case 6: return "place_free_handicap " + pick({"2", "5", "30", "0"});
    case 7: return "time_left " + player() + " " + pick({"5", "-1", "0", "1e9"}) + " " + pick({"0", "3", "x"});
    case 8:
      return pick(
          {"known_command", "known_command play", "kgs-game_over", "time_settings 1 1 1", "gibberish", "#", "\x01\r"});
    case 9: return "reg_genmove " + player();
    case 10:
    case 11:
    case 12: return pick({"genmove ", "kgs-genmove_cleanup "}) + player();
    default: return "play " + player() + " " + vertex();
  }
}

void expect_an_answer(const std::string& answer, const std::string& command, int id) {
  const std::string number = std::to_string(id);
  ASSERT_TRUE(answer.starts_with("=" + number + " ") || answer.starts_with("?" + number + " "))
      << command << ": " << answer;
  ASSERT_TRUE(answer.ends_with("\n\n")) << command;
  ASSERT_EQ(answer.find("\n\n"), answer.size() - 2) << command;
  ASSERT_EQ(answer.find('\r'), std::string::npos);
}

TEST(Gtp, AThousandRandomSequences) {
  int legal = 0, illegal = 0, generated = 0;
  for (unsigned sequence = 0; sequence < 1000; ++sequence) {
    std::mt19937 draw(sequence);
    First player;
    Gtp gtp(player, {.size = sequence % 2 ? 9 : 5});
    for (int id = 0; id < 60; ++id) {
      const Game before = gtp.game();
      const std::string command = random_command(draw, before);
      const std::string answer = gtp.answer(std::to_string(id) + " " + command);
      expect_an_answer(answer, command, id);
      if (HasFatalFailure()) return;
      const Game& after = gtp.game();
      if (answer[0] == '?') {
        EXPECT_EQ(after.board().hash(), before.board().hash()) << "a failure changes nothing: " << command;
        EXPECT_EQ(after.moves().size(), before.moves().size());
      }
      if (command.starts_with("play ")) ++(answer[0] == '=' ? legal : illegal);
      if (answer[0] == '=' && after.moves().size() == before.moves().size() + 1) {
        EXPECT_TRUE(before.board().is_legal(after.moves().back().color, after.moves().back().point)) << command;
        generated += command.find("genmove") != std::string::npos;
      }
    }
  }
  EXPECT_GT(legal, 10000);
  EXPECT_GT(illegal, 3000);
  EXPECT_GT(generated, 3000);
}

}  // namespace
}  // namespace descent::go
