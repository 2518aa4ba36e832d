// Recipes chosen for folders of images: what they say, for few images and for many.
#include "descent/tasks/fit_images.h"

#include "data_testing.h"
#include "descent/data/png.h"
#include "descent/tasks/recipe.h"

namespace descent::tasks {
namespace {

namespace fs = std::filesystem;

int64_t count_of(const std::string& text, const std::string& part) {
  int64_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// A comment of several lines as one.
std::string unwrapped(std::string text) {
  for (size_t at; (at = text.find("\n# ")) != std::string::npos;) text.replace(at, 3, " ");
  return text;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

const ImageSet few{"/data/my photos", 100, 3, 256, false, false};
const ImageSet many{"/data/photos", 100000, 20, 256, false, true};
const ImageSet digits{"/data/digits", 60000, 10, 28, true, false};

TEST(FitImages, AHundredPhotosGetASmallNet) {
  const std::string text = recipe_for_images(few, true);
  EXPECT_TRUE(has(text, "height = 96\nwidth = 96\nchannels = 3\n")) << text;
  EXPECT_EQ(count_of(text, "kind = \"conv\""), 4) << text;
  EXPECT_TRUE(has(text,
                  "{ kind = \"conv\", features = 16, kernel = 3, bias = false },\n"
                  "  { kind = \"batch_norm\" },\n  { kind = \"relu\" },\n"
                  "  { kind = \"max_pool\" },\n"));
  EXPECT_TRUE(has(text,
                  "  { kind = \"global_average_pool\" },\n  { kind = \"dropout\", rate = 0.4 },\n"
                  "  { kind = \"linear\", features = 3 },\n]"));
  EXPECT_TRUE(has(text, "images = \"/data/my photos\"\n"));
  EXPECT_TRUE(has(text, "epochs = 120\nbatch_size = 8\n")) << text;
  EXPECT_TRUE(has(text, "keep_best = false\n")) << "fifteen validation images tell little";
  EXPECT_TRUE(parse_recipe(text, "run/recipe.toml").views().flip);
  EXPECT_TRUE(has(text, "flip = \"random\"")) << "photos have no right and left";
  EXPECT_TRUE(has(text, "from my photos: 100 colour images of 3 classes, about 256 or more pixels high"));
  EXPECT_TRUE(has(unwrapped(text), "told by a hash of their content"));
}

TEST(FitImages, AHundredThousandGetAWiderAndDeeperOne) {
  const std::string text = recipe_for_images(many, true);
  EXPECT_TRUE(has(text, "height = 64\n")) << text;
  EXPECT_EQ(count_of(text, "kind = \"conv\""), 6) << "three stages of two";
  EXPECT_TRUE(has(text, "features = 256"));
  EXPECT_TRUE(has(text, "epochs = 12\nbatch_size = 256\n"));
  EXPECT_TRUE(has(text, "keep_best = true\n"));
  EXPECT_TRUE(has(text, "the folder's own"));
}

TEST(FitImages, SignsAreNotMirrored) {
  const std::string text = recipe_for_images(digits, true);
  EXPECT_FALSE(has(text, "flip"));
  EXPECT_EQ(parse_recipe(text, "run/recipe.toml").views().count(), 1);
  EXPECT_TRUE(has(text, "height = 28\nwidth = 28\nchannels = 1\n")) << text;
  EXPECT_TRUE(has(text, "rotate = 10\n"));
  EXPECT_EQ(count_of(text, "max_pool"), 2);
}

TEST(FitImages, WithoutConvolutionsTheNetIsDenseAndLooksAtLess) {
  const std::string text = recipe_for_images(few, false);
  EXPECT_FALSE(has(text, "conv"));
  EXPECT_TRUE(has(text, "height = 32\n"));
  const Recipe recipe = parse_recipe(text, "run/recipe.toml");
  EXPECT_EQ(recipe.layers.size(), 8u);
  EXPECT_EQ(recipe.task, "classify");
  ASSERT_TRUE(recipe.fit_options().augment);
  EXPECT_EQ(recipe.fit_options().augment->flip, data::Flip::random);
  EXPECT_EQ(recipe.fit_options().augment->translate, 4);
  for (const ImageSet& set : {many, digits}) parse_recipe(recipe_for_images(set, false), "run/recipe.toml");
}

TEST(FitImages, RecipesOfConvolutionsAreRecipes) {
  if (!has_convolutions()) GTEST_SKIP() << "the layers are not there yet";
  for (const ImageSet& set : {few, many, digits}) parse_recipe(recipe_for_images(set, true), "run/recipe.toml");
}

TEST(FitImages, LinesFitAndSayWhatWasChosen) {
  for (const ImageSet& set : {few, many, digits})
    for (const bool convolutions : {false, true}) {
      const std::string text = recipe_for_images(set, convolutions);
      EXPECT_EQ(text.substr(0, 29), "# Made by `descent fit` from ");
      for (size_t begin = 0; begin < text.size();) {
        const size_t end = text.find('\n', begin);
        EXPECT_LE(end - begin, 120u);
        begin = end + 1;
      }
    }
}

TEST(FitImages, ReadsASet) {
  const data::Folder folder;
  for (const char* name : {"cat", "dog"}) {
    fs::create_directories(folder.path(std::string("train/") + name));
    for (int i = 0; i < 3; ++i) {
      Array image(DType::u8, {20, 30 + i});
      data::write_png(folder.path(std::string("train/") + name + "/" + std::to_string(i) + ".png"), image);
    }
  }
  const ImageSet set = image_set(folder.path(""));
  EXPECT_EQ(set.images, 6);
  EXPECT_EQ(set.classes, 2);
  EXPECT_EQ(set.side, 20);
  EXPECT_TRUE(set.grey);
  EXPECT_FALSE(set.divided);
  EXPECT_FALSE(set.path.ends_with('/'));
}

}  // namespace
}  // namespace descent::tasks
