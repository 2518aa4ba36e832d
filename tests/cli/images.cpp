// Folders of images as a user has them: fit, evaluate, predict.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "../unit/jpeg_testing.h"
#include "descent/data/png.h"
#include "descent/data/random.h"

namespace {

namespace fs = std::filesystem;
using namespace descent;
using Json = nlohmann::json;

bool has(const std::string& whole, const std::string& part) { return whole.find(part) != std::string::npos; }

class Images : public testing::Test {
 protected:
  Images()
      : folder_(fs::path(testing::TempDir()) / ("descent_images_" + std::to_string(::getpid()) + "_" +
                                                testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::create_directories(folder_);
  }
  ~Images() override { fs::remove_all(folder_); }

  struct Ended {
    int code = 0;
    std::string out, err;
    Json json() const { return Json::parse(out.substr(out.find_last_of('\n', out.size() - 2) + 1)); }
  };

  Ended run(const std::string& arguments) const {
    const std::string command =
        "cd '" + folder_.string() + "' && '" DESCENT_BINARY "' " + arguments + " >out.txt 2>err.txt";
    const int status = std::system(command.c_str());
    const auto content = [&](const char* name) {
      std::ifstream in(folder_ / name, std::ios::binary);
      return (std::ostringstream() << in.rdbuf()).str();
    };
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content("out.txt"), content("err.txt")};
  }

  void write(const std::string& name, const std::vector<std::byte>& bytes) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  // A JPEG of mostly one colour.
  std::vector<std::byte> photo(int kind, uint64_t seed, int64_t height = 24, int64_t width = 30) const {
    data::RandomStream draw(data::random_key(seed, kind));
    data::JpegPlan plan{height, width, {}};
    for (int64_t i = 0; i < height * width; ++i)
      for (int c = 0; c < 3; ++c) plan.pixels.push_back(static_cast<uint8_t>((c == kind ? 150 : 40) + draw.below(60)));
    return data::jpeg(plan);
  }

  // photos/red, photos/green, photos/blue.
  void make_photos(int count) const {
    static constexpr const char* names[] = {"red", "green", "blue"};
    for (int kind = 0; kind < 3; ++kind)
      for (int i = 0; i < count; ++i)
        write("photos/" + std::string(names[kind]) + "/" + std::to_string(i) + ".jpg",
              photo(kind, static_cast<uint64_t>(i), 20 + i % 9, 40 - i % 7));
  }

  fs::path folder_;
};

TEST_F(Images, FitEvaluatePredict) {
  make_photos(20);
  const Ended fitted = run("fit photos/ --out run --seed 3");
  EXPECT_EQ(fitted.code, 0) << fitted.err;
  EXPECT_TRUE(has(fitted.err, "60 colour images of 3 classes")) << fitted.err;
  EXPECT_TRUE(has(fitted.out, "rows: what it is; columns: what it was taken for")) << fitted.out;
  EXPECT_TRUE(has(fitted.out, "test ")) << fitted.out;

  const Ended judged = run("evaluate run --json");
  EXPECT_EQ(judged.code, 0) << judged.err;
  EXPECT_EQ(judged.json().at("examples"), 9);
  EXPECT_EQ(judged.json().at("accuracy"), 1.0);
  EXPECT_EQ(judged.json().at("views"), 2) << "the recipe that fit makes for photos asks mirror images, too";
  EXPECT_FALSE(run("evaluate run --no-flip --json").json().contains("views"));

  const Ended views = run("evaluate run --flip --shift 2 --json");
  EXPECT_EQ(views.json().at("views"), 10);
  EXPECT_EQ(views.json().at("accuracy"), 1.0);
  EXPECT_NE(views.json().at("loss"), judged.json().at("loss"));

  write("new/green/x.jpeg", photo(1, 1000, 200, 90));
  write("new/blue/y.jpg", photo(2, 1001));
  const Ended folder = run("evaluate run --data new --json");
  EXPECT_EQ(folder.json().at("examples"), 2) << folder.err;
  EXPECT_EQ(folder.json().at("accuracy"), 1.0);

  const Ended asked = run("predict run new/green/x.jpeg new/blue/y.jpg --top 2 --json");
  ASSERT_EQ(asked.code, 0) << asked.err;
  EXPECT_EQ(asked.json().at("predictions")[0].at("label"), "green");
  EXPECT_EQ(asked.json().at("predictions")[1].at("label"), "blue");
  EXPECT_EQ(asked.json().at("predictions")[0].at("classes").size(), 2u);
}

TEST_F(Images, ImagesThatDoNotFitInMemoryTrainToTheSameWeights) {
  make_photos(8);
  std::ofstream(folder_ / "recipe.toml") << R"(layers = [
  { kind = "flatten" },
  { kind = "linear", features = 8 },
  { kind = "relu" },
  { kind = "linear", features = 3 },
]
[data]
images = "photos"
height = 8
width = 8
validation = 0.2
test = 0.2
[augment]
flip = "alternating"
translate = 1
mixup = 0.2
[train]
epochs = 3
batch_size = 4
precision = "f32"
monitor = "accuracy"
)";
  const Json now = run("train recipe.toml --out now --json").json();
  const Json later = run("train recipe.toml --out later --set data.memory=0 --set train.data_threads=2 --json").json();
  EXPECT_EQ(now.at("weights_sha256"), later.at("weights_sha256"));
}

TEST_F(Images, WrongFoldersAreNamedInOneSentence) {
  make_photos(3);
  write("photos/red/broken.jpg", {std::byte{0xff}, std::byte{0xd8}, std::byte{0xff}});
  Ended ended = run("fit photos --out run");
  EXPECT_EQ(ended.code, 1);
  EXPECT_TRUE(has(ended.err, "broken.jpg: truncated")) << ended.err;
  fs::remove(folder_ / "photos/red/broken.jpg");
  fs::create_directories(folder_ / "photos/yellow");
  ended = run("fit photos --out run");
  EXPECT_EQ(ended.code, 1);
  EXPECT_TRUE(has(ended.err, "photos/yellow: a class folder without images")) << ended.err;
  ended = run("fit photos --target red --out run");
  EXPECT_EQ(ended.code, 2);
  EXPECT_TRUE(has(ended.err, "--target is for tables")) << ended.err;
  ended = run("fit nowhere --out run");
  EXPECT_EQ(ended.code, 2);
  EXPECT_TRUE(has(ended.err, "there is no table or folder of images or sounds nowhere")) << ended.err;
}

}  // namespace
