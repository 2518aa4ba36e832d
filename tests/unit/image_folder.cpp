#include "descent/data/image_folder.h"

#include <algorithm>
#include <set>

#include "data_testing.h"
#include "descent/data/batches.h"
#include "descent/data/png.h"
#include "jpeg_testing.h"

namespace descent::data {
namespace {

namespace fs = std::filesystem;

class ImageFolder : public testing::Test {
 protected:
  // A plain PNG whose pixel says which it is.
  std::string png(const std::string& name, int value, Shape shape = {6, 8}) const {
    fs::create_directories(fs::path(folder.path(name)).parent_path());
    Array image(DType::u8, shape);
    std::ranges::fill(image.as<uint8_t>(), static_cast<uint8_t>(value));
    write_png(folder.path(name), image);
    return folder.path(name);
  }
  std::string table(const std::string& text) const { return folder.write("list.csv", bytes_of(text)); }
  std::string root() const { return folder.path("photos"); }
  // `count` images a class, all different.
  void make_classes(int count, const std::vector<std::string>& classes = {"cat", "dog", "owl"}) const {
    int value = 0;
    for (const std::string& name : classes)
      for (int i = 0; i < count; ++i, ++value)
        png("photos/" + name + "/" + std::to_string(i) + ".png", value % 251, {6, 8 + value / 251});
  }
  Folder folder;
};

TEST_F(ImageFolder, ListsClassesAndTheirImages) {
  png("photos/dog/b.png", 2);
  png("photos/dog/a.PNG", 1);
  png("photos/cat/x.png", 3);
  folder.write("photos/cat/y.jpeg", jpeg(plain_jpeg(9, 9, {200, 10, 10})));
  folder.write("photos/cat/notes.txt", bytes_of("no image"));
  folder.write("photos/cat/.hidden.png", bytes_of("no image"));
  folder.write("photos/readme.md", bytes_of("no image"));
  EXPECT_TRUE(holds_images(root()));
  const ImageList list = list_images(root());
  EXPECT_EQ(list.classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(list.train.labels, (std::vector<int32_t>{0, 0, 1, 1}));
  EXPECT_TRUE(list.train.paths[1].ends_with("photos/cat/y.jpeg"));
  EXPECT_TRUE(list.train.paths[2].ends_with("photos/dog/a.PNG"));
  EXPECT_EQ(list.test.size() + list.validation.size(), 0);
}

TEST_F(ImageFolder, PartsMayBeFolders) {
  png("photos/train/cat/a.png", 1);
  png("photos/train/dog/a.png", 2);
  png("photos/val/dog/b.png", 3);
  png("photos/test/cat/c.png", 4);
  const ImageList list = list_images(root());
  EXPECT_EQ(list.train.size(), 2);
  EXPECT_EQ(list.validation.labels, (std::vector<int32_t>{1}));
  EXPECT_EQ(list.test.labels, (std::vector<int32_t>{0}));
  png("photos/test/zebra/c.png", 5);
  EXPECT_EQ(error_of([&] { list_images(root()); }),
            root() + "/test/zebra: the class 'zebra' is not in the training part");
}

TEST_F(ImageFolder, NamesFoldersThatCannotBe) {
  const auto error = [&] { return error_of([&] { list_images(root()); }); };
  EXPECT_EQ(error(), "there is no folder or table of images " + root());
  fs::create_directories(root());
  EXPECT_EQ(error(), root() + ": no class folders; images are expected as " + root() +
                         "/CLASS/NAME.png (*.png, *.jpg or *.jpeg)");
  EXPECT_FALSE(holds_images(root()));
  png("photos/a.png", 1);
  EXPECT_TRUE(error().starts_with(root() + ": images, but no class folders; "));
  png("photos/cat/a.png", 1);
  EXPECT_EQ(error(), root() + ": only one class (cat), and telling classes apart needs at least two");
  fs::create_directories(folder.path("photos/dog"));
  EXPECT_EQ(error(), root() + "/dog: a class folder without images (*.png, *.jpg or *.jpeg)");
}

TEST_F(ImageFolder, TablesNameFilesAndClasses) {
  png("a.png", 1);
  const ImageList plain = list_images(table("path,label\na.png,dog\nsub/b.jpg,cat\n"));
  EXPECT_EQ(plain.classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(plain.train.labels, (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(plain.train.paths[1], folder.path("sub/b.jpg"));
  const ImageList parts = list_images(table("class,file,split\n3,a.png,train\n12,b.png,train\n3,c.png,test\n"));
  EXPECT_EQ(parts.classes, (std::vector<std::string>{"12", "3"}));
  EXPECT_EQ(parts.test.labels, (std::vector<int32_t>{1}));
  const auto error = [&](const std::string& text) { return error_of([&] { list_images(table(text)); }); };
  const std::string name = folder.path("list.csv");
  EXPECT_EQ(error("path,kind\na.png,dog\n"), name + ": a table of images needs a column 'label' (it has path, kind)");
  EXPECT_EQ(error("path,label\na.png,dog\n,cat\n"), name + ":3: column 'path': the cell is empty");
  EXPECT_EQ(error("path,label,split\na.png,dog,train\nb.png,cat,tset\n"),
            name + ":3: column 'split': 'tset' is no part of a data set; the parts are train, validation and test");
  EXPECT_EQ(error("path,label,split\na.png,dog,train\nb.png,cat,test\n"),
            name + ": the class 'cat' is not in the training part");
  EXPECT_EQ(error("path,label\na.png,dog\nb.png,dog\n"),
            name + ": only one class (dog), and telling classes apart needs at least two");
}

std::set<std::string> names(const ImageFiles& files) {
  std::set<std::string> out;
  for (const std::string& path : files.paths)
    out.insert(fs::path(path).parent_path().filename() / fs::path(path).filename());
  return out;
}

TEST_F(ImageFolder, DividesEachClassByContent) {
  make_classes(20);
  ImageList list = list_images(root()), again = list, other = list;
  divide_images(list, {.validation = 0.2, .test = 0.1}, 7);
  divide_images(again, {.validation = 0.2, .test = 0.1}, 7);
  divide_images(other, {.validation = 0.2, .test = 0.1}, 8);
  EXPECT_EQ(list.train.size(), 42);
  EXPECT_EQ(list.validation.size(), 12);
  EXPECT_EQ(list.test.size(), 6);
  for (int32_t c = 0; c < 3; ++c) {
    EXPECT_EQ(std::ranges::count(list.test.labels, c), 2);
    EXPECT_EQ(std::ranges::count(list.validation.labels, c), 4);
  }
  EXPECT_EQ(names(list.test), names(again.test));
  EXPECT_NE(names(list.test), names(other.test));
}

TEST_F(ImageFolder, NamesDoNotMatterAndDoublesStayTogether) {
  make_classes(12, {"cat", "dog"});
  ImageList before = list_images(root());
  divide_images(before, {.validation = 0, .test = 0.25}, 1);
  for (const char* name : {"cat", "dog"})
    for (int i = 0; i < 12; ++i)
      fs::rename(folder.path("photos/" + std::string(name) + "/" + std::to_string(i) + ".png"),
                 folder.path("photos/" + std::string(name) + "/renamed" + std::to_string((5 * i + 3) % 12) + "-" +
                             std::to_string(i) + ".png"));
  ImageList after = list_images(root());
  divide_images(after, {.validation = 0, .test = 0.25}, 1);
  std::set<std::string> numbers;
  for (const std::string& name : names(after.test)) numbers.insert(name.substr(0, 4) + name.substr(name.find('-') + 1));
  EXPECT_EQ(numbers, names(before.test));

  for (int i = 0; i < 12; ++i)  // every image twice
    fs::copy_file(after.source + "/dog/renamed" + std::to_string((5 * i + 3) % 12) + "-" + std::to_string(i) + ".png",
                  after.source + "/dog/double-" + std::to_string(i) + ".png");
  ImageList doubled = list_images(root());
  divide_images(doubled, {.validation = 0, .test = 0.25}, 1);
  std::multiset<std::string> in_test;
  for (const std::string& name : names(doubled.test))
    if (name.starts_with("dog")) in_test.insert(name.substr(name.find('-') + 1));
  EXPECT_GE(in_test.size(), 6u);
  for (const std::string& number : in_test) EXPECT_EQ(in_test.count(number), 2u) << number;
}

TEST_F(ImageFolder, SmallClassesKeepOneToTrainOn) {
  make_classes(1);
  ImageList list = list_images(root());
  EXPECT_EQ(error_of([&] { divide_images(list, {.validation = 0, .test = 0.3}, 1); }),
            root() + ": too few images for a test part of 0.3");
  make_classes(2);
  list = list_images(root());
  divide_images(list, {.validation = 0, .test = 0.3}, 1);
  EXPECT_EQ(list.test.size(), 2);
  for (int32_t c = 0; c < 3; ++c) EXPECT_GE(std::ranges::count(list.train.labels, c), 1);
}

TEST_F(ImageFolder, LoadsAnySizesAndKinds) {
  png("photos/cat/grey.png", 90, {3, 50});
  png("photos/cat/colour.png", 120, {64, 20, 3});
  fs::create_directories(folder.path("photos/dog"));
  folder.write("photos/dog/photo.jpg", jpeg(plain_jpeg(300, 200, {10, 200, 60})));
  const ImageList list = list_images(root());
  const Dataset data = load_images(list, list.train, {8, 8, 3}, 1 << 20);
  EXPECT_FALSE(data.source);
  EXPECT_EQ(to_text(data.inputs.type()), "u8[3,8,8,3]");
  EXPECT_EQ(data.targets.to_doubles(), (std::vector<double>{0, 0, 1}));
  EXPECT_EQ(data.inputs.at(0), 120);
  EXPECT_EQ(data.inputs.at(192), 90);
  EXPECT_NEAR(data.inputs.at(385), 200, 3);
  const Dataset grey = load_images(list, list.train, {8, 6, 1}, 1 << 20);
  EXPECT_EQ(to_text(grey.inputs.type()), "u8[3,8,6]");
}

TEST_F(ImageFolder, DecodesLaterWhatWouldNotFit) {
  make_classes(10);
  const ImageList list = list_images(root());
  const Dataset now = load_images(list, list.train, {6, 6, 3}, 1 << 20);
  const Dataset later = load_images(list, list.train, {6, 6, 3}, 30 * 6 * 6 * 3 - 1);
  ASSERT_TRUE(later.source);
  EXPECT_EQ(later.size(), 30);
  EXPECT_EQ(to_text(later.row_type()), "u8[6,6,3]");
  EXPECT_EQ(bytes_of(later.read_inputs(0, 30)), bytes_of(now.inputs));
  EXPECT_EQ(bytes_of(later.rows(7, 12).read_inputs(1, 4)), bytes_of(now.inputs.rows(8, 11)));
  const std::vector<int64_t> some{4, 29, 0};
  EXPECT_EQ(bytes_of(later.select(some).read_inputs(0, 3)), bytes_of(now.select(some).inputs));
  EXPECT_EQ(later.select(some).targets.to_doubles(), (std::vector<double>{0, 2, 0}));
  for (const int threads : {0, 2})
    for (const bool augmented : {false, true}) {
      BatchOptions options{.batch_size = 7, .seed = 3, .threads = threads};
      if (augmented) options.augment = AugmentOptions{.flip = Flip::random, .translate = 1, .mixup = 1};
      Batches a(now, options), b(later, options);
      a.start(2);
      b.start(2);
      while (const Batch* batch = a.next()) {
        const Batch* same = b.next();
        ASSERT_NE(same, nullptr);
        EXPECT_EQ(bytes_of(batch->inputs), bytes_of(same->inputs));
        EXPECT_EQ(bytes_of(batch->targets), bytes_of(same->targets));
      }
    }
}

TEST_F(ImageFolder, NamesTheFileThatCannotBeRead) {
  make_classes(3);
  folder.write("photos/dog/1.png", bytes_of("this is no image"));
  const ImageList list = list_images(root());
  const std::string expected = root() + "/dog/1.png: neither a PNG nor a JPEG image, by its first bytes";
  EXPECT_EQ(error_of([&] { load_images(list, list.train, {6, 6, 3}, 1 << 20); }), expected);
  const Dataset later = load_images(list, list.train, {6, 6, 3}, 0);
  Batches batches(later, {.batch_size = 2, .threads = 1});
  batches.start(0);
  EXPECT_EQ(error_of([&] {
              while (batches.next() != nullptr) {
              }
            }),
            expected);
}

TEST_F(ImageFolder, FactsTellSizeAndColour) {
  png("photos/cat/a.png", 10, {40, 30});
  png("photos/cat/b.png", 10, {50, 70});
  png("photos/dog/c.png", 10, {32, 90, 3});
  ImageFacts facts = image_facts(list_images(root()));
  EXPECT_EQ(facts.seen, 3);
  EXPECT_EQ(facts.side, 32);
  EXPECT_TRUE(facts.grey) << "grey stored as colour";
  folder.write("photos/dog/d.jpg", jpeg(plain_jpeg(600, 600, {200, 60, 60})));
  facts = image_facts(list_images(root()));
  EXPECT_FALSE(facts.grey);
  EXPECT_EQ(facts.side, 50);
}

}  // namespace
}  // namespace descent::data
