// Images as the data of recipes: sources, sizes, what a run keeps of them.
#include <algorithm>

#include "data_testing.h"
#include "descent/data/png.h"
#include "descent/tasks/examples.h"
#include "descent/tasks/task.h"

namespace descent::tasks {
namespace {

namespace fs = std::filesystem;
using data::error_of, data::Folder;

class ImageExamples : public testing::Test {
 protected:
  Recipe recipe(const std::string& data) const {
    return parse_recipe("layers = [ { kind = \"flatten\" }, { kind = \"linear\", features = 2 } ]\n[data]\n" + data,
                        folder.path("recipe.toml"));
  }
  // `count` plain images of each class; the classes' values are far apart.
  void make(const std::string& root, int count, Shape shape) const {
    for (const auto& [name, value] : {std::pair{"dark", 20}, {"light", 200}}) {
      fs::create_directories(folder.path(root + "/" + name));
      for (int i = 0; i < count; ++i) {
        Array image(DType::u8, shape);
        std::ranges::fill(image.as<uint8_t>(), static_cast<uint8_t>(value + i));
        data::write_png(folder.path(root + "/" + name + "/" + std::to_string(i) + ".png"), image);
      }
    }
  }
  void make_cifar(const std::string& name, int64_t records) const {
    std::vector<std::byte> bytes(static_cast<size_t>(3073 * records));
    for (int64_t i = 0; i < records; ++i) bytes[static_cast<size_t>(3073 * i)] = static_cast<std::byte>(i % 10);
    folder.write(name, bytes);
  }
  Folder folder;
};

TEST_F(ImageExamples, AFolderSuggestsItsSizeAndColours) {
  make("photos", 10, {20, 30});
  const Examples grey = load_examples(recipe("images = \"photos\"\nvalidation = 0.2\ntest = 0.1\n"));
  EXPECT_EQ(grey.preprocess.input, (Type{DType::u8, {20, 20}}));
  EXPECT_EQ(grey.preprocess.classes, (std::vector<std::string>{"dark", "light"}));
  EXPECT_EQ(grey.preprocess.fit, data::FitMode::crop);
  EXPECT_EQ(grey.splits.train.size(), 14);
  EXPECT_EQ(grey.splits.validation.size(), 4);
  EXPECT_EQ(grey.splits.test.size(), 2);
  ASSERT_TRUE(grey.preprocess.normalizer);
  EXPECT_NEAR(grey.preprocess.normalizer->mean(0), 114.5 / 255, 0.02);
  const Examples colour =
      load_examples(recipe("images = \"photos\"\nheight = 8\nwidth = 12\nchannels = 3\nfit = \"pad\"\nmemory = 0\n"));
  EXPECT_EQ(colour.preprocess.input, (Type{DType::u8, {8, 12, 3}}));
  EXPECT_TRUE(colour.splits.train.source) << "nothing fits into no memory";
  EXPECT_EQ(colour.preprocess.fit, data::FitMode::pad);
  const Preprocess again = Preprocess::from_json(colour.preprocess.to_json());
  EXPECT_EQ(again.fit, data::FitMode::pad);
  EXPECT_EQ(again.input, colour.preprocess.input);
  EXPECT_EQ(image_size(again).shape(), (Shape{8, 12, 3}));
}

TEST_F(ImageExamples, SettingsThatCannotBeAreNamed) {
  make("photos", 4, {6, 6});
  const auto error = [&](const std::string& data) { return error_of([&] { load_examples(recipe(data)); }); };
  EXPECT_NE(
      error("images = \"photos\"\nchannels = 2\n").find("recipe.toml:4: [data]: 'channels' must be 1 for grey or 3"),
      std::string::npos);
  EXPECT_NE(error("images = \"photos\"\nfit = \"crops\"\n").find(":4: there is no fit 'crops'; did you mean 'crop'?"),
            std::string::npos);
  EXPECT_NE(error("images = \"nowhere\"\n").find("there is no folder or table of images"), std::string::npos);
  EXPECT_NE(error("images = \"photos\"\ncifar = \"photos\"\n").find("it has cifar and images"), std::string::npos);
}

TEST_F(ImageExamples, OtherImagesAreReadAsTheRunsOwn) {
  make("photos", 10, {20, 30});
  make("more", 3, {50, 9, 3});
  const Preprocess preprocess = load_examples(recipe("images = \"photos\"\nheight = 6\nwidth = 6\n")).preprocess;
  const data::Dataset more = load_examples_like(preprocess, find_task("classify"), folder.path("more"));
  EXPECT_EQ(to_text(more.inputs.type()), "u8[6,6,6]");
  EXPECT_EQ(more.targets.to_doubles(), (std::vector<double>{0, 0, 0, 1, 1, 1}));
  fs::rename(folder.path("more/light"), folder.path("more/lights"));
  EXPECT_EQ(error_of([&] { load_examples_like(preprocess, find_task("classify"), folder.path("more")); }),
            folder.path("more") + ": the run knows no class 'lights'; did you mean 'light'?");
}

TEST_F(ImageExamples, Cifar10IsASourceAndCanBeEvaluatedOn) {
  make_cifar("data_batch_1.bin", 40);
  make_cifar("test_batch.bin", 20);
  const Examples examples = load_examples(recipe("cifar = \".\"\nvalidation = 0.25\n"));
  EXPECT_EQ(examples.preprocess.input, (Type{DType::u8, {32, 32, 3}}));
  EXPECT_EQ(examples.splits.train.size(), 30);
  EXPECT_EQ(examples.splits.validation.size(), 10);
  EXPECT_EQ(examples.splits.test.size(), 20);
  EXPECT_EQ(load_examples_like(examples.preprocess, find_task("classify"), folder.path(".")).size(), 20);
}

}  // namespace
}  // namespace descent::tasks
