// Every command as a user types it: standard output and standard error apart, exit codes, files.
#include "cli_testing.h"
#include "descent/data/image.h"
#include "descent/data/png.h"

namespace descent::cli {
namespace {

// --- streams and codes ---

TEST_F(TableRun, JsonIsTheLastLineOfStandardOutput) {
  const Ended ended = run({"train", "recipe.toml", "--seed", "7", "--json", "--out", "run"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(std::ranges::count(ended.out, '\n'), 1) << ended.out;
  const Json report = ended.json();
  EXPECT_EQ(report.at("run"), "run");
  EXPECT_EQ(report.at("seed"), 7);
  EXPECT_EQ(report.at("epochs"), 40);
  EXPECT_EQ(report.at("steps"), 40 * 240 / 16);
  EXPECT_GT(report.at("seconds"), 0);
  EXPECT_EQ(report.at("outcome"), "finished");
  EXPECT_EQ(report.at("weights_sha256").get<std::string>().size(), 64u);
  EXPECT_GT(report.at("samples_per_second"), 0);
  for (const char* part : {"train", "validation", "test"}) {
    EXPECT_GT(report.at(part).at("accuracy"), 0.8) << part;
    EXPECT_TRUE(report.at(part).contains("loss")) << part;
  }
  EXPECT_TRUE(report.at("precision") == "f32" || report.at("precision") == "bf16");
  EXPECT_TRUE(has(ended.err, "precision ")) << ended.err;  // which was chosen and why
  EXPECT_TRUE(has(ended.err, "epoch 40/40")) << ended.err;
  EXPECT_EQ(Json::parse(content(folder_ / "run" / "report.json")), report);
  for (const char* name : {"recipe.toml", "run.json", "preprocess.json", "metrics.jsonl", "last.safetensors",
                           "best.safetensors", "weights.safetensors"})
    EXPECT_TRUE(fs::exists(folder_ / "run" / name)) << name;
  EXPECT_EQ(content(folder_ / "run" / "recipe.toml").find("# recipe.toml with --set train.seed=7"), 0u);
}

TEST_F(TableRun, WithoutJsonPeopleReadStandardOutput) {
  const Ended ended = run({"train", "recipe.toml"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_TRUE(has(ended.out, "validation  loss ")) << ended.out;
  EXPECT_TRUE(has(ended.out, "run: runs/recipe\n")) << ended.out;
  EXPECT_TRUE(has(run({"train", "recipe.toml", "--set", "train.epochs=1"}).out, "run: runs/recipe-2\n"));
}

TEST_F(TableRun, FailuresAreOneSentenceAndACode) {
  const struct {
    std::vector<std::string> arguments;
    int code;
    std::string says;
  } cases[] = {
      {{}, 2, "A subcommand is required"},
      {{"trian"}, 2, "there is no command 'trian'; did you mean 'train'?"},
      {{"train"}, 2, "train needs a recipe"},
      {{"train", "none.toml"}, 2, "the recipe none.toml cannot be read"},
      {{"train", "recipe.toml", "--precision", "f64"}, 2, "f64"},
      {{"train", "recipe.toml", "--seed", "minus"}, 2, "seed"},
      {{"train", "recipe.toml", "--threads", "0"}, 2, "threads"},
      {{"train", "recipe.toml", "--set", "train.epochs"}, 2, "write it as KEY=VALUE"},
      {{"train", "recipe.toml", "--set", "data.csv=gone.csv"}, 1, "gone.csv"},
      {{"train", "recipe.toml", "--set", "data.target=larg"}, 1, "large"},
      {{"train", "recipe.toml", "--set", "layers.3.features=3"}, 1, "did you mean features = 2?"},
      {{"train", "--resume", "nowhere"}, 2, "nowhere holds no run"},
      {{"train", "--resume", "x", "--out", "y"}, 2, "leave out --out"},
      {{"evaluate", "nowhere"}, 2, "nowhere holds no run"},
      {{"predict", "nowhere", "x.csv"}, 2, "nowhere holds no run"},
      {{"inspect", "recipe.toml", "--after", "shedule"}, 2, "did you mean 'schedule'?"},
      {{"data", "get", "mnits"}, 2, "mnist"},
      {{"data", "show", "iriss"}, 2, "iris"},
      {{"ops", "sofmax"}, 2, "did you mean 'softmax'?"},
      {{"check", "no-such-check"}, 2, "no check matches 'no-such-check'"},
      {{"bench", "no-such-bench"}, 2, "no benchmark matches 'no-such-bench'"},
      {{"fit", "table.csv", "--target", "nothing"}, 1, "nothing"},
      {{"fit", "table.csv"}, 2, "--target"},
  };
  for (const auto& each : cases) {
    const Ended ended = run(each.arguments);
    std::string typed = "descent";
    for (const std::string& argument : each.arguments) typed += " " + argument;
    EXPECT_EQ(ended.code, each.code) << typed << ": " << ended.err;
    EXPECT_TRUE(has(ended.err, each.says)) << typed << ": " << ended.err;
    EXPECT_TRUE(has(ended.err, "descent: ")) << typed << ": " << ended.err;
    EXPECT_EQ(ended.out, "") << typed;
  }
}

TEST_F(TableRun, FailuresAreJsonToo) {
  const Ended ended = run({"train", "none.toml", "--json"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_EQ(ended.json().at("error"), "the recipe none.toml cannot be read");
  EXPECT_EQ(ended.json().at("exit_code"), 2);
}

TEST_F(Program, HelpAndVersion) {
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_TRUE(has(run({"train", "--help"}).out, "--resume"));
  EXPECT_TRUE(has(run({"--version"}).out, "descent 0."));
  EXPECT_TRUE(has(run({"version"}).out, "descent 0."));
  EXPECT_TRUE(run({"version", "--json"}).json().contains("version"));
}

// --- a run and its uses ---

TEST_F(TableRun, ARunIsNotOverwritten) {
  EXPECT_EQ(run({"train", "recipe.toml", "--out", "run", "--set", "train.epochs=1"}).code, 0);
  const Ended again = run({"train", "recipe.toml", "--out", "run"});
  EXPECT_EQ(again.code, 2);
  EXPECT_TRUE(has(again.err, "run holds a run already; go on with it by --resume run, or choose another folder"));
}

TEST_F(TableRun, ResumingNamesTheKeyThatChanged) {
  run({"train", "recipe.toml", "--out", "run", "--set", "train.epochs=2"});
  EXPECT_EQ(run({"train", "--resume", "run"}).code, 0);
  const Ended changed = run({"train", "recipe.toml", "--resume", "run"});
  EXPECT_EQ(changed.code, 2);
  EXPECT_TRUE(has(changed.err, "run cannot go on with a changed recipe: train.epochs is 2 in the run and 40 now"))
      << changed.err;
  EXPECT_EQ(run({"train", "--resume", "run", "--seed", "3"}).code, 2);
  EXPECT_EQ(run({"train", "--resume", "run", "--seed", "0"}).code, 0);  // the same as before, written out
}

TEST_F(TableRun, EvaluateAgreesWithTheReport) {
  const Json report = run({"train", "recipe.toml", "--out", "run", "--json"}).json();
  for (const char* part : {"train", "validation", "test"}) {
    const Json judged = run({"evaluate", "run", "--data", part, "--json"}).json();
    EXPECT_EQ(judged.at("loss"), report.at(part).at("loss")) << part;
    EXPECT_EQ(judged.at("accuracy"), report.at(part).at("accuracy")) << part;
  }
  EXPECT_EQ(run({"evaluate", "run", "--json"}).json().at("examples"), 80);
  const Ended shown = run({"evaluate", "run"});
  EXPECT_TRUE(has(shown.out, "rows: what it is; columns: what it was taken for")) << shown.out;
  file("more.csv", "large,b,a\nyes,99,98\nno,2,3\n");
  const Json more = run({"evaluate", "run", "--data", "more.csv", "--json"}).json();
  EXPECT_EQ(more.at("accuracy"), 1.0);
  EXPECT_EQ(more.at("confusion").at("counts"), Json::parse("[[1,0],[0,1]]"));
  file("wrong.csv", "a,b,large\n1,2,maybe\n");
  const Ended wrong = run({"evaluate", "run", "--data", "wrong.csv"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_TRUE(has(wrong.err, "wrong.csv:2: column 'large'")) << wrong.err;
}

TEST_F(TableRun, PredictTakesFilesAndRows) {
  run({"train", "recipe.toml", "--out", "run"});
  file("new.csv", "a,b\n95,95\n2,3\n");
  const Json out = run({"predict", "run", "new.csv", "a=97,b=96", "--top", "1", "--json"}).json();
  ASSERT_EQ(out.at("predictions").size(), 3u);
  const std::string labels[] = {"yes", "no", "yes"};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(out["predictions"][i].at("label"), labels[i]);
    EXPECT_EQ(out["predictions"][i].at("classes").size(), 1u);
    EXPECT_GT(out["predictions"][i]["classes"][0].at("probability"), 0.5);
  }
  EXPECT_EQ(out["predictions"][1].at("input"), "new.csv:3");
  EXPECT_TRUE(has(run({"predict", "run", "new.csv"}).out, "new.csv:2:  yes "));
  const Ended gone = run({"predict", "run", "gone.csv"});
  EXPECT_EQ(gone.code, 1);
  EXPECT_TRUE(has(gone.err, "there is no file gone.csv")) << gone.err;
  file("bad.csv", "a,b\n1,two\n");
  EXPECT_TRUE(has(run({"predict", "run", "bad.csv"}).err, "bad.csv:2: column 'b'"));
}

TEST_F(TableRun, InspectShowsTheFunctions) {
  const Ended shown = run({"inspect", "recipe.toml"});
  EXPECT_TRUE(has(shown.out, "a¹ = dropout(relu(W¹x + b¹))")) << shown.out;
  EXPECT_TRUE(has(shown.out, "y = W²a¹ + b²")) << shown.out;
  const Json json = run({"inspect", "recipe.toml", "--json"}).json();
  EXPECT_EQ(json.at("parameters"), 2 * 32 + 32 + 32 * 2 + 2);
  EXPECT_EQ(json.at("layers").size(), 4u);
  for (const char* stage : {"trace", "plan"}) {
    const Ended after = run({"inspect", "recipe.toml", "--after", stage});
    EXPECT_EQ(after.code, 0) << after.err;
    EXPECT_GT(after.out.size(), 500u) << stage;
  }
}

TEST_F(Program, NumbersComeInTheirUnit) {
  std::string rows = "x,price\n";
  for (int i = 0; i < 100; ++i) rows += std::to_string(i) + "," + std::to_string(1000 + 10 * i) + ".5\n";
  file("prices.csv", rows);
  const Json fitted = run({"fit", "prices.csv", "--target", "price", "--out", "run", "--json"}).json();
  EXPECT_GT(fitted.at("test").at("r2"), 0.98);
  EXPECT_LT(fitted.at("test").at("mae"), 60);
  const Json out = run({"predict", "run", "x=50", "--json"}).json();
  EXPECT_NEAR(out["predictions"][0].at("value").get<double>(), 1500.5, 60);
  EXPECT_EQ(run({"train", "run/recipe.toml", "--out", "again", "--set", "train.epochs=1"}).code, 0);
}

TEST_F(Program, TheOtherCommands) {
  EXPECT_TRUE(has(run({"data", "list"}).out, "mnist"));
  EXPECT_TRUE(run({"data", "list", "--json"}).json().at("data").size() >= 6);
  EXPECT_TRUE(has(run({"data", "show", "iris"}).out, "licence"));
  EXPECT_EQ(run({"data", "show", "mnist", "--json"}).json().at("training_examples"), 60000);
  EXPECT_TRUE(has(run({"ops"}).out, "softmax"));
  EXPECT_TRUE(has(run({"ops", "softmax"}).out, "samples"));
  EXPECT_TRUE(run({"devices", "--json"}).json().at("devices").size() >= 1);
  const Json checked = run({"check", "relu/", "--json"}).json();
  EXPECT_GT(checked.at("passed"), 10);
  EXPECT_EQ(checked.at("failed"), 0);
  EXPECT_TRUE(has(run({"bench", "--list"}).out, "roofline/product/f32/512"));
  const Json measured = run({"bench", "roofline/product/f32/64", "--json"}).json();
  EXPECT_EQ(measured.at("results").size(), 1u);
  EXPECT_GT(measured["results"][0].at("best"), 0);
}

// --- recipes that are the lecture ---

TEST_F(Program, APerceptronLearnsAndButNotXor) {
  const Json yes = run({"train", recipe("perceptron-and.toml"), "--json", "--out", "and"}).json();
  EXPECT_EQ(yes.at("train").at("accuracy"), 1.0);
  const Ended no = run({"train", recipe("perceptron-xor.toml"), "--json", "--out", "xor"});
  EXPECT_LE(no.json().at("train").at("accuracy"), 0.75);
  EXPECT_TRUE(has(no.out, "no line separates the classes")) << no.out;
  const Json cured = run({"train", recipe("xor.toml"), "--json", "--out", "cured"}).json();
  EXPECT_EQ(cured.at("train").at("accuracy"), 1.0);
}

TEST_F(Program, TheSameSeedGivesTheSameWeights) {
  const auto weights = [&](const std::string& name, std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--set", "train.epochs=20", "--json", "--out", name});
    flags.insert(flags.begin(), {"train", recipe("xor.toml")});
    return run(flags).json().at("weights_sha256");
  };
  const Json first = weights("a", {"--seed", "1"});
  EXPECT_EQ(first, weights("b", {"--seed", "1"}));
  EXPECT_NE(first, weights("c", {"--seed", "2"}));
  EXPECT_EQ(first, weights("d", {"--seed", "1", "--threads", "1"}));
}

// --- images ---

TEST_F(BarsRun, ImagesFromIdxAndPng) {
  const Ended trained = run({"train", "bars.toml", "--out", "run", "--json"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.json().at("test").at("accuracy"), 1.0);
  EXPECT_EQ(run({"evaluate", "run", "--data", "bars", "--json"}).json().at("examples"), 50);
  const Json item = run({"predict", "run", "bars/t10k-images-idx3-ubyte:3", "--json"}).json();
  const int label = content(folder_ / "bars" / "t10k-labels-idx1-ubyte")[8 + 3];
  EXPECT_EQ(item["predictions"][0].at("label"), std::to_string(label));
  EXPECT_TRUE(has(run({"predict", "run", "bars/t10k-images-idx3-ubyte:3"}).out, "█"));  // and drawn
  const Ended beyond = run({"predict", "run", "bars/t10k-images-idx3-ubyte:50"});
  EXPECT_EQ(beyond.code, 1);
  EXPECT_TRUE(has(beyond.err, "50")) << beyond.err;

  // Dark ink on white paper, larger: it is made into a digit.
  Array drawing = Array::full({DType::u8, {90, 60}}, 255);
  for (int64_t y = 20; y < 70; ++y)
    for (int64_t x = 28; x < 33; ++x) drawing.set(y * 60 + x, 10);
  data::write_png((folder_ / "one.png").string(), drawing);
  const Json png = run({"predict", "run", "one.png", "--json"}).json();
  EXPECT_EQ(png["predictions"][0].at("classes").size(), 3u);
  const int place = std::stoi(png["predictions"][0].at("label").get<std::string>());
  EXPECT_TRUE(place == 4 || place == 5) << place;  // the bar is in the middle
  file("no.png", "this is no image");
  EXPECT_TRUE(has(run({"predict", "run", "no.png"}).err, "no.png"));
}

}  // namespace
}  // namespace descent::cli
