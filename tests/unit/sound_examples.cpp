// Sounds as the data of recipes: what their names tell, what a run keeps of them, and how it reads others.
#include <algorithm>

#include "data_testing.h"
#include "descent/tasks/sounds.h"
#include "descent/tasks/task.h"
#include "sound_testing.h"

namespace descent::tasks {
namespace {

namespace fs = std::filesystem;
using data::error_of, data::Folder, data::tone, data::write_sound;

class SoundExamples : public testing::Test {
 protected:
  Recipe recipe(const std::string& sections) const {
    return parse_recipe("layers = [ { kind = \"linear\", features = 2 } ]\n" + sections, folder.path("recipe.toml"));
  }
  // said/WORD_SPEAKER_N.wav, and the same in folders of words.
  void make() const {
    int i = 0;
    for (const char* name : {"no", "yes"})
      for (const char* speaker : {"ann", "bob", "cid", "dan"})
        for (const char* number : {"0", "1", "2"}) {
          const std::vector<float> sound = tone(200 + 50 * ++i, 8000, 1600);
          const std::string file = std::string(speaker) + "_" + number + ".wav";
          write_sound(folder.path("said/" + std::string(name) + "_" + file), sound, 8000);
          write_sound(folder.path("words/" + std::string(name) + "/" + file), sound, 8000);
        }
  }
  Folder folder;
};

TEST_F(SoundExamples, NamesTellWordsAndParts) {
  make();
  const Examples examples = load_examples(
      recipe("[data]\nsounds = \"said\"\nlabel_match = \"^([a-z]+)_\"\ntest_match = \"_2[.]wav$\"\nvalidation = 0\n"));
  EXPECT_EQ(examples.preprocess.classes, (std::vector<std::string>{"no", "yes"}));
  EXPECT_EQ(examples.splits.train.size(), 16);
  EXPECT_EQ(examples.splits.test.size(), 8);
  EXPECT_EQ(examples.preprocess.sound_rate, 8000);
  EXPECT_EQ(to_text(examples.preprocess.input), "f32[1600]");
  EXPECT_FALSE(examples.preprocess.normalizer) << "the net's first layer knows what to do";
}

TEST_F(SoundExamples, SpeakersArePartedWhateverTheSeed) {
  make();
  const std::string sections =
      "[data]\nsounds = \"words\"\nspeaker_match = \"/([a-z]+)_\"\nvalidation = 0.25\ntest = 0.25\n";
  const Examples one = load_examples(recipe(sections)), other = load_examples(recipe(sections + "[train]\nseed = 5\n"));
  for (const Examples* examples : {&one, &other}) {
    EXPECT_EQ(examples->splits.train.size(), 12);
    EXPECT_EQ(examples->splits.validation.size(), 6);
    EXPECT_EQ(examples->splits.test.size(), 6);
  }
  EXPECT_EQ(data::bytes_of(one.splits.test.read_inputs(0, 6)), data::bytes_of(other.splits.test.read_inputs(0, 6)));
}

TEST_F(SoundExamples, RateAndSecondsAreTheRecipes) {
  make();
  const Examples examples = load_examples(recipe("[data]\nsounds = \"words\"\nrate = 16000\nseconds = 0.05\n"));
  EXPECT_EQ(to_text(examples.preprocess.input), "f32[800]");
  EXPECT_EQ(examples.preprocess.sound_rate, 16000);
  const Preprocess again = Preprocess::from_json(examples.preprocess.to_json());
  EXPECT_EQ(again.sound_rate, 16000);
  EXPECT_EQ(again.input, examples.preprocess.input);
  EXPECT_NE(error_of([] {
              Preprocess::from_json(R"({"classes":[],"input":{"dtype":"u8","shape":[3]},"sound":{"rate":8000}})");
            }).find("an impossible sound"),
            std::string::npos);
}

TEST_F(SoundExamples, OthersAreReadAsTheRunsOwn) {
  make();
  const Preprocess preprocess = load_examples(recipe("[data]\nsounds = \"words\"\n")).preprocess;
  for (const char* name : {"yes", "no"})
    write_sound(folder.path("more/" + std::string(name) + "/a.wav"), tone(400, 44100, 9000), 44100);
  const data::Dataset more = load_examples_like(preprocess, find_task("classify"), folder.path("more"));
  EXPECT_EQ(more.size(), 2);
  EXPECT_EQ(more.row_type(), preprocess.input);
  EXPECT_EQ(data::bytes_of(read_sound(preprocess, folder.path("more/no/a.wav"))),
            data::bytes_of(Array(more.read_inputs(0, 1)).reshaped(preprocess.input.shape).clone()))
      << "one alone as one of many";
  fs::rename(folder.path("more/yes"), folder.path("more/yeah"));
  EXPECT_NE(error_of([&] {
              load_examples_like(preprocess, find_task("classify"), folder.path("more"));
            }).find("the run knows no class 'yeah'"),
            std::string::npos);
}

TEST_F(SoundExamples, AugmentationForOtherDataIsRefused) {
  make();
  EXPECT_NE(error_of([&] {
              load_examples(recipe("[data]\nsounds = \"words\"\n[augment]\nshift = 2\n"));
            }).find("recipe.toml:4: [augment]: the data are sounds"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              load_examples(
                  recipe("[data]\ntable = \"a,b\\n1,x\\n2,y\\n3,x\\n4,y\"\ntarget = \"b\"\nvalidation = 0\ntest = "
                         "0\n[augment]\ngain = 2\n"));
            }).find("are for sounds, and the data are none"),
            std::string::npos);
}

}  // namespace
}  // namespace descent::tasks
