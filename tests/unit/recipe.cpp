// Recipes: what they mean, and what is said of wrong ones.
#include "descent/tasks/recipe.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "descent/nn/module.h"
#include "descent/tasks/run.h"
#include "descent/tasks/task.h"

namespace descent::tasks {
namespace {

constexpr const char* good = R"(task = "classify"
layers = [
  { kind = "linear", features = 4 },
  { kind = "relu" },
  { kind = "linear", features = 2 },
]
[data]
table = "a,b\n1,x\n2,y"
target = "b"
validation = 0
test = 0
[loss]
kind = "cross_entropy"
[optimizer]
kind = "sgd"
learning_rate = 0.5
[train]
epochs = 3
)";

// `good` with one line replaced.
std::string with(int line, const std::string& replacement) {
  std::string out;
  int at = 1;
  std::string_view rest = good;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    out += (at++ == line ? replacement : std::string(rest.substr(0, end))) + "\n";
    rest.remove_prefix(end + 1);
  }
  return out;
}

std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse_recipe(text, "r.toml", overrides);
    return "no error";
  } catch (const UsageError& error) {
    return error.what();
  } catch (const Error& error) {
    return std::string("not a usage error: ") + error.what();
  }
}

TEST(Recipe, SaysWhatToDo) {
  const Recipe recipe = parse_recipe(good, "r.toml");
  EXPECT_EQ(recipe.task, "classify");
  EXPECT_EQ(recipe.layers.size(), 3u);
  EXPECT_EQ(recipe.make_loss().name(), "cross_entropy");
  EXPECT_EQ(recipe.make_optimizer().name(), "SGD");
  EXPECT_DOUBLE_EQ(recipe.make_optimizer().base_learning_rate(), 0.5);
  const train::FitOptions options = recipe.fit_options();
  EXPECT_EQ(options.epochs, 3);
  EXPECT_EQ(options.batch_size, 128);  // the default
  EXPECT_FALSE(options.augment);
  EXPECT_EQ(recipe.net().children().size(), 3u);
}

TEST(Recipe, AReadyNetStandsForLayers) {
  const auto recipe_of = [](const std::string& net) { return "net = " + net + "\n[data]\nname = \"mnist\"\n"; };
  const Recipe by_name = parse_recipe(recipe_of("\"resnet-20\""), "r.toml");
  EXPECT_EQ(by_name.net().children().size(), 6u);  // stem, three stages, pool, scores
  const Recipe narrow = parse_recipe(recipe_of("{ kind = \"resnet-20\", outputs = 7, width = 4 }"), "r.toml");
  nn::Sequential net = narrow.net();
  nn::make_parameters(net, {DType::f32, {1, 16, 16, 3}}, 0);
  EXPECT_EQ(nn::all_parameters(net).back()->type().shape, (Shape{7}));
  EXPECT_EQ(first_difference(by_name, narrow), "net.outputs is not set in the run and 7 now");
  EXPECT_EQ(error_of(recipe_of("\"resnet-21\"")), "r.toml:1: there is no net 'resnet-21'; did you mean 'resnet-20'?");
  EXPECT_EQ(error_of(recipe_of("{ kind = \"lenet-5\", width = 4 }")),
            "r.toml:1: net 'lenet-5' has no setting 'width'; it has outputs");
  EXPECT_EQ(error_of(recipe_of("{ outputs = 4 }")), "r.toml:1: 'net' needs 'kind' (resnet-20, lenet-5 ...)");
  EXPECT_EQ(error_of(recipe_of("3")), "r.toml:1: 'net' must be a table, [net]");
  EXPECT_EQ(error_of("net = \"resnet-20\"\n" + std::string(good)),
            "r.toml:1: a recipe has 'layers' or a ready 'net', not both");
}

TEST(Recipe, AugmentsByItsSection) {
  const Recipe recipe = parse_recipe(std::string(good) + R"([augment]
flip = "alternating"
translate = 2
padding = "reflect"
zoom = 0.3
hue = 0.5
cutout = 8
mixup = 0.2
background = 17
)",
                                     "r.toml");
  const auto augment = recipe.fit_options().augment;
  ASSERT_TRUE(augment);
  EXPECT_EQ(augment->flip, data::Flip::alternating);
  EXPECT_EQ(augment->padding, data::Padding::reflect);
  EXPECT_EQ(augment->translate, 2);
  EXPECT_EQ(augment->zoom, 0.3);
  EXPECT_EQ(augment->hue, 0.5);
  EXPECT_EQ(augment->cutout, 8);
  EXPECT_EQ(augment->mixup, 0.2);
  EXPECT_EQ(augment->background, 17);
  EXPECT_EQ(augment->mix_part, 1);
}

TEST(Recipe, JudgesAndLooksAheadAsItSays) {
  const Recipe plain = parse_recipe(good, "r.toml");
  EXPECT_EQ(plain.views().count(), 1);
  EXPECT_FALSE(plain.fit_options().lookahead);
  const Recipe recipe = parse_recipe(good, "r.toml",
                                     {"evaluate.flip=true", "evaluate.shift=2", "train.lookahead=5",
                                      "train.lookahead_keep=0.7", "train.lookahead_power=3"});
  EXPECT_TRUE(recipe.views().flip);
  EXPECT_EQ(recipe.views().shift, 2);
  ASSERT_TRUE(recipe.fit_options().lookahead);
  EXPECT_EQ(recipe.fit_options().lookahead->every, 5);
  EXPECT_EQ(recipe.fit_options().lookahead->keep, 0.7);
  EXPECT_EQ(recipe.fit_options().lookahead->power, 3);
  EXPECT_EQ(error_of(std::string(good) + "[evaluate]\nshift = -1\n"),
            "r.toml:20: [evaluate]: 'shift' must be at least 0 and at most 1000, got -1");
}

TEST(Recipe, AugmentationThatCannotBeIsNamed) {
  const auto error = [](const std::string& line) { return error_of(std::string(good) + "[augment]\n" + line + "\n"); };
  const std::pair<std::string, std::string> cases[] = {
      {"flip = \"alternate\"", "r.toml:20: there is no flip 'alternate'; did you mean 'alternating'?"},
      {"padding = \"mirror\"", "r.toml:20: there is no padding 'mirror'; there are zero, reflect, edge"},
      {"cutuot = 4", "r.toml:20: [augment] has no setting 'cutuot'; did you mean 'cutout'?"},
      {"hue = 0.6", "r.toml:20: [augment]: 'hue' must be at least 0 and at most 0.5, got 0.6"},
      {"zoom = 1", "r.toml:20: [augment]: 'zoom' must be at least 0 and below 1, got 1"},
      {"background = 256", "r.toml:20: [augment]: 'background' must be at least 0 and at most 255, got 256"},
      {"translate = 1.5", "r.toml:20: [augment]: 'translate' must be a whole number, got 1.5"}};
  for (const auto& [line, expected] : cases) EXPECT_EQ(error(line), expected);
  EXPECT_EQ(
      error_of(with(13, "kind = \"hinge\"") + "[augment]\ncutmix = 1\n"),
      "r.toml:20: [augment]: 'cutmix' makes parts of classes, and the loss 'hinge' takes whole ones; did you mean "
      "'cross_entropy'?");
}

TEST(Recipe, DefaultsFollowTheTask) {
  const std::string regress =
      "task = \"regress\"\nlayers = [ { kind = \"linear\", features = 1 } ]\n[data]\nname = \"x\"\n";
  const Recipe recipe = parse_recipe(regress, "r.toml");
  EXPECT_EQ(recipe.make_loss().name(), "mean_squared_error");
  EXPECT_EQ(recipe.make_optimizer().name(), "AdamW");
}

// A string's first line may be empty; what an override makes of the recipe still says so.
TEST(Recipe, TheTextOfAnOverriddenRecipeMeansTheSame) {
  const std::string before = "table = \"a,b", after = R"(table = "\na,b\t''')";
  std::string source(good);
  source.replace(source.find(before), before.size(), after);
  const Recipe changed = parse_recipe(source, "r.toml", {"train.epochs=4"});
  EXPECT_TRUE(changed.data.word("table").starts_with("\na,b\t'''")) << changed.data.word("table");
  EXPECT_EQ(first_difference(changed, parse_recipe(changed.text, "again.toml")), "");
}

TEST(Recipe, LettersBeyondAsciiAreNoWhiteSpace) {
  for (const std::string letter : {"\u0114", "\u00e9", "\u3001"}) {  // where toml++ looks for white space
    const std::string error = error_of("ta" + letter + " = 1\n");
    EXPECT_TRUE(error.starts_with("r.toml:1: this is no TOML: ")) << error;
  }
  EXPECT_EQ(parse_recipe("# \u0114\n" + std::string(good), "r.toml").task, "classify");
}

TEST(Recipe, ErrorsNameLineAndKey) {
  const std::pair<std::string, std::string> cases[] = {
      {with(1, "task = \"clasify\""), "r.toml:1: there is no task 'clasify'; did you mean 'classify'?"},
      {with(18, "epochs = 9223372036854775807"),
       "r.toml:18: [train]: 'epochs' must be at least 1 and at most 999999, got 9223372036854775808"},
      {with(1, "tasks = \"classify\""), "r.toml:1: a recipe has no 'tasks'; did you mean 'task'?"},
      {with(3, "{ kind = \"liner\", features = 4 },"), "r.toml:3: there is no layer 'liner'; did you mean 'linear'?"},
      {with(3, "{ kind = \"linear\", feature = 4 },"),
       "r.toml:3: layer 'linear' has no setting 'feature'; did you mean 'features'?"},
      {with(3, "{ kind = \"linear\", features = \"four\" },"),
       "r.toml:3: layer 'linear': 'features' must be a whole number, got \"four\""},
      {with(3, "{ kind = \"linear\" },"), "r.toml:3: layer 'linear' needs 'features' (the number of outputs)"},
      {with(3, "{ features = 4 },"), "r.toml:3: layer 0 needs 'kind' (linear, relu, dropout ...)"},
      {with(4, "{ kind = \"dropout\", rate = 1.5 },"),
       "r.toml:4: Dropout: the rate must be at least 0 and below 1, got 1.5"},
      {with(10, "validation = 2"), "r.toml:10: [data]: 'validation' must be at least 0 and below 1, got 2"},
      {with(10, "validatoin = 0"), "r.toml:10: [data] has no setting 'validatoin'; did you mean 'validation'?"},
      {with(8, "# no source"),
       "r.toml:7: [data] needs one of name, csv, npz, idx, cifar, images, sounds, speech, go, text, dialogue, table; "
       "it has "
       "none"},
      {with(10, "name = \"iris\""),
       "r.toml:7: [data] needs one of name, csv, npz, idx, cifar, images, sounds, speech, go, text, dialogue, table; "
       "it has name "
       "and table"},
      {with(9, "ignore = [1]\ntarget = \"b\""),
       "r.toml:9: [data]: 'ignore' must be a list of words, the columns' names"},
      {with(9, "# no target"), "r.toml:7: [data] with 'table' needs 'target', the column to predict"},
      {with(13, "kind = \"cross_entrpy\""),
       "r.toml:13: there is no loss 'cross_entrpy'; did you mean 'cross_entropy'?"},
      {with(15, "kind = \"adamww\""), "r.toml:15: there is no optimiser 'adamww'; did you mean 'adamw'?"},
      {with(16, "learning_rte = 1"),
       "r.toml:16: optimiser 'sgd' has no setting 'learning_rte'; did you mean 'learning_rate'?"},
      {with(18, "epochs = 0"), "r.toml:18: [train]: 'epochs' must be at least 1 and at most 999999, got 0"},
      {with(18, "epochs = 2.5"), "r.toml:18: [train]: 'epochs' must be a whole number, got 2.5"},
      {with(18, "precision = \"f64\""), "r.toml:18: there is no precision 'f64'; did you mean 'f32'?"},
      {with(18, "seed = -1"), "r.toml:18: [train]: 'seed' must be at least 0, got -1"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(error_of(text), expected) << text;
  }
}

TEST(Recipe, ScheduleAndSectionErrors) {
  EXPECT_EQ(error_of(std::string(good) + "[schedule]\nkind = \"cosin\"\n"),
            "r.toml:20: there is no schedule 'cosin'; did you mean 'cosine'?");
  EXPECT_EQ(error_of(std::string(good) + "[schedule]\nkind = \"cosine\"\nwarmup = 1\n"),
            "r.toml:21: schedule 'cosine' has no setting 'warmup'; did you mean 'warm_up'?");
  EXPECT_EQ(error_of("loss = 3\n" + std::string(good).substr(0, std::string(good).find("[loss]"))),
            "r.toml:1: 'loss' must be a table, [loss]");
  EXPECT_EQ(error_of("[data]\nname = \"iris\"\n"),
            "r.toml:1: the recipe needs 'layers', such as layers = [ { kind = \"linear\", features = 10 } ], or a "
            "ready 'net'");
}

TEST(Recipe, ALossOfClassesIsNotForNumbers) {
  EXPECT_EQ(
      error_of(with(1, "task = \"regress\"")),
      "r.toml:13: the task 'regress' predicts numbers, but the loss 'cross_entropy' compares with classes; did you "
      "mean 'mean_squared_error'?");
}

TEST(Recipe, NoTomlNamesTheLine) {
  const std::string error = error_of("task = \"classify\"\nlayers = [\n  { kind = }\n]\n");
  EXPECT_TRUE(error.starts_with("r.toml:3: this is no TOML: ")) << error;
}

TEST(Recipe, OverridesChangeAnyKey) {
  const Recipe recipe = parse_recipe(
      good, "r.toml",
      {"train.epochs=7", "layers.0.features=16", "optimizer.kind=adam", "schedule.kind=cosine", "train.monitor=loss"});
  EXPECT_EQ(recipe.train.integer("epochs"), 7);
  EXPECT_EQ(recipe.layers[0].integer("features"), 16);
  EXPECT_EQ(recipe.make_optimizer().name(), "Adam");
  EXPECT_EQ(recipe.schedule.word("kind"), "cosine");
  EXPECT_EQ(recipe.train.word("monitor"), "loss");
}

TEST(Recipe, OverridesAreJudgedTogether) {
  const Recipe recipe = parse_recipe(good, "r.toml", {"data.table=", "data.csv=other.csv"});
  EXPECT_EQ(recipe.data.word("csv"), "other.csv");
}

TEST(Recipe, TheTextWithOverridesMeansTheSame) {
  const Recipe recipe = parse_recipe(good, "r.toml", {"train.epochs=7", "layers.0.features=16", "data.ignore=[\"a\"]"});
  const Recipe again = parse_recipe(recipe.text, "again.toml");
  EXPECT_EQ(first_difference(recipe, again), "");
  EXPECT_EQ(again.train.integer("epochs"), 7);
  EXPECT_EQ(again.ignored_columns(), std::vector<std::string>{"a"});
  EXPECT_EQ(parse_recipe(good, "r.toml").text, good);  // comments and all, without overrides
}

TEST(Recipe, WrongOverridesAreNamed) {
  EXPECT_EQ(error_of(good, {"train.epochs=3", "train.epochz=3"}),
            "--set train.epochz=3: r.toml:17: [train] has no setting 'epochz'; did you mean 'epochs'?");
  EXPECT_EQ(error_of(good, {"nothing"}),
            "--set nothing: write it as KEY=VALUE, such as train.epochs=3 or layers.1.features=64");
  EXPECT_EQ(error_of(good, {"layers.9.features=3"}),
            "--set layers.9.features=3: there are 3 items, counted from 0, and no '9'");
  EXPECT_EQ(error_of(good, {"train.epochs.more=3"}),
            "--set train.epochs.more=3: 'more' would be in something that is no table");
  EXPECT_EQ(error_of(good, {"train.epochs=0"}),
            "--set train.epochs=0: r.toml:18: [train]: 'epochs' must be at least 1 and at most 999999, got 0");
}

TEST(Recipe, DifferencesAreOfMeaning) {
  const Recipe base = parse_recipe(good, "r.toml");
  const auto difference = [&](const std::string& assignment) {
    return first_difference(base, parse_recipe(good, "r.toml", {assignment}));
  };
  EXPECT_EQ(difference("train.batch_size=64"), "train.batch_size is 128 in the run and 64 now");
  EXPECT_EQ(difference("layers.0.features=5"), "layers.0.features is 4 in the run and 5 now");
  EXPECT_EQ(difference("optimizer.momentum=0.5"), "optimizer.momentum is not set in the run and 0.5 now");
  EXPECT_EQ(difference("train.batch_size=128"), "");  // the default, written out
  EXPECT_EQ(difference("train.threads=1"), "");       // changes no result
}

TEST(Recipe, ThoseThatComeWithDescentAreGood) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(DESCENT_SOURCE_DIR) + "/recipes")) {
    if (entry.path().extension() != ".toml") continue;  // what a recipe reads
    const Recipe recipe = read_recipe(entry.path());
    EXPECT_EQ(recipe.text.front(), '#') << entry.path() << " does not open with what it shows";
    ++count;
  }
  EXPECT_GE(count, 9);
}

// --- a recipe and its data ---

std::string prepare_error(const std::string& text) {
  try {
    prepare(parse_recipe(text, "r.toml"));
    return "no error";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Experiment, ANetWithTheWrongNumberOfOutputsIsRefused) {
  EXPECT_EQ(
      prepare_error(with(5, "{ kind = \"linear\", features = 5 },")),
      "r.toml:5: layers.2 (Linear 5): the net makes f32[2,5] of f32[2,1], but the data have 2 classes (x, y); did "
      "you mean features = 2?");
}

TEST(Experiment, OneOutputTellsTwoClassesApart) {
  const std::string one = with(5, "{ kind = \"linear\", features = 1 },");
  EXPECT_NE(prepare_error(one), "no error");  // but not by softmax
  const Recipe recipe = parse_recipe(one, "r.toml", {"loss.kind=hinge"});
  EXPECT_EQ(prepare(recipe).splits.train.size(), 2);
}

TEST(Experiment, TheTaskMustFitTheTarget) {
  const std::string numbers = with(8, "table = \"a,b\\n1,1.5\\n2,2.5\"");
  EXPECT_EQ(prepare(parse_recipe(numbers, "r.toml")).preprocess.classes.size(), 2u);  // two numbers as two classes
  EXPECT_NE(prepare_error(with(9, "target = \"c\"")).find("'c'"), std::string::npos);
}

TEST(Experiment, BadCellsNameRecipeAndLine) {
  const std::string error =
      prepare_error(with(8,
                         "table = "
                         "\"a,b\\n1,x\\n2,y\\n3,x\\n4,y\\noops,x\\n5,x\\n6,x\\n7,y\\n8,x\\n9,x\\n10,y\\n11,x\\n12,"
                         "y\\n13,x\\n14,y\\n15,x\\n16,y\\n17,x\\n18,y\\n19,x\\n20,y\\n21,x\\n22,y\""));
  EXPECT_NE(error.find("r.toml [data] table:6: column 'a'"), std::string::npos) << error;
}

// --- answers ---

TEST(Task, AnswersAreSortedAndProbabilitiesSumToOne) {
  const TaskKind& task = find_task("classify");
  const std::vector<float> outputs{1, 3, 2};
  const std::vector<std::string> names{"a", "b", "c"};
  const Answer answer = task.answer(outputs, nn::cross_entropy, names, nullptr);
  EXPECT_EQ(answer.classes[0].label, "b");
  EXPECT_EQ(answer.classes[2].label, "a");
  EXPECT_NEAR(answer.classes[0].probability, 0.66524, 1e-5);
  double sum = 0;
  for (const Answer::Class& each : answer.classes) sum += each.probability;
  EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(Task, OneOutputSpeaksForTwoClasses) {
  const TaskKind& task = find_task("classify");
  const std::vector<float> outputs{-2};
  const std::vector<std::string> names{"no", "yes"};
  const Answer certain = task.answer(outputs, nn::binary_cross_entropy, names, nullptr);
  EXPECT_EQ(certain.classes[0].label, "no");
  EXPECT_NEAR(certain.classes[0].probability, 0.880797, 1e-6);
  const Answer scored = task.answer(outputs, nn::perceptron, names, nullptr);
  EXPECT_EQ(scored.classes[0].label, "no");
  EXPECT_LT(scored.classes[0].probability, 0);  // a perceptron's score is no probability
}

}  // namespace
}  // namespace descent::tasks
