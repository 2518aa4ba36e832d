// Runs that are stopped: by Ctrl-C, by kill -9, by a full disk. A good checkpoint is left, and the run goes on from it
// as if nothing had happened.
#include <sys/mount.h>
#include <sys/resource.h>

#include "cli_testing.h"
#include "descent/io/checkpoint.h"

namespace descent::cli {
namespace {

std::vector<std::string> operator+(std::vector<std::string> list, const std::vector<std::string>& more) {
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

std::string weights(const Ended& ended) { return ended.json().at("weights_sha256"); }

// --- Ctrl-C ---

TEST_F(TableRun, AnInterruptSavesAndTheRunGoesOn) {
  const std::vector<std::string> train{"train", "recipe.toml", "--set", "train.epochs=3000", "--json", "--out"};
  const std::string whole = weights(run(train + std::vector<std::string>{"whole"}));
  const pid_t child = start(train + std::vector<std::string>{"run"});
  while (!fs::exists(folder_ / "run" / "metrics.jsonl") || fs::file_size(folder_ / "run" / "metrics.jsonl") == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ::kill(child, SIGINT);
  const Ended stopped = wait(child);
  EXPECT_EQ(stopped.code, 1);
  EXPECT_EQ(stopped.json().at("outcome"), "interrupted");
  EXPECT_TRUE(has(stopped.err, "interrupted after step " + stopped.json().at("steps").dump() +
                                   "; go on with: descent train --resume run\n"))
      << stopped.err;
  // The step that it says it finished is the one in the checkpoint.
  const io::Checkpoint saved = io::load_checkpoint(folder_ / "run" / "last.safetensors");
  EXPECT_EQ(Json::parse(saved.manifest).at("step"), stopped.json().at("steps"));
  const Ended end = run({"train", "--resume", "run", "--json"});
  EXPECT_EQ(end.code, 0) << end.err;
  EXPECT_EQ(end.json().at("outcome"), "finished");
  EXPECT_EQ(weights(end), whole);
}

// --- kill -9 ---

TEST_F(TableRun, KilledTwentyTimesItEndsTheSame) {
  const std::vector<std::string> often{"--set", "train.epochs=1500", "--set", "train.checkpoint_seconds=0.01"};
  const Json whole = run(std::vector<std::string>{"train", "recipe.toml", "--json", "--out", "whole"} + often).json();
  std::mt19937 draw(std::random_device{}());
  int kills = 0, with_checkpoint = 0;
  for (int round = 0; round < 200 && kills < 20; ++round) {
    const bool begun = fs::exists(folder_ / "run" / "run.json");
    if (!begun) fs::remove_all(folder_ / "run");
    const std::vector<std::string> anew{"train", "recipe.toml", "--out", "run"};
    const pid_t child = start(begun ? std::vector<std::string>{"train", "--resume", "run"} : anew + often);
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + draw() % 60));
    ::kill(child, SIGKILL);
    if (wait(child).code != -1) break;  // it had ended
    ++kills;
    with_checkpoint += fs::exists(folder_ / "run" / "last.safetensors");
  }
  const Json end = run({"train", "--resume", "run", "--json"}).json();
  for (const char* same : {"weights_sha256", "steps", "validation"}) EXPECT_EQ(end.at(same), whole.at(same)) << same;
  EXPECT_GE(with_checkpoint, 5) << kills << " kills";
}

// --- a full disk ---

// A net whose checkpoint has some 800 kB, saved after each of its steps.
constexpr const char* large_recipe = R"(layers = [
  { kind = "linear", features = 256 },
  { kind = "relu" },
  { kind = "linear", features = 256 },
  { kind = "relu" },
  { kind = "linear", features = 2 },
]
[data]
csv = "table.csv"
target = "large"
validation = 0
test = 0
[train]
epochs = 50
batch_size = 100
checkpoint_seconds = 0
)";

class FullDisk : public TableRun {
 protected:
  FullDisk() { file("large.toml", large_recipe); }

  // What is left is whole, and the run ends with the weights of one that nothing stopped.
  void expect_to_go_on(const fs::path& name) {
    const io::LoadedCheckpoint left = io::load_newest_good(folder_ / name);
    EXPECT_TRUE(left.passed_over.empty());
    EXPECT_GE(Json::parse(left.checkpoint.manifest).at("step"), 1);
    const std::string whole = weights(run({"train", "large.toml", "--out", "whole", "--json"}));
    const Ended end = run({"train", "--resume", name, "--json"});
    EXPECT_EQ(end.code, 0) << end.err;
    EXPECT_EQ(weights(end), whole);
  }
};

TEST_F(FullDisk, ALimitOnFileSizesIsAnErrorNotASignal) {
  const pid_t child = start({"train", "large.toml", "--out", "run"});
  while (!fs::exists(folder_ / "run" / "last.safetensors")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ::kill(child, SIGKILL);
  wait(child);
  const Ended stopped = run({"train", "--resume", "run"}, [] {
    const rlimit small{100'000, 100'000};  // bytes a file may have
    ::setrlimit(RLIMIT_FSIZE, &small);
  });
  EXPECT_EQ(stopped.code, 1);
  EXPECT_EQ(stopped.complaint(),
            "cannot write run/last.safetensors: File too large (a limit on file sizes); the file that was there is "
            "untouched");
  expect_to_go_on("run");
}

// A disk of its own, seen by this process and its children alone; needs the right to mount, or user namespaces.
bool mount_small_disk(const fs::path& at, const char* size) {
  const std::string uid_map = "0 " + std::to_string(::getuid()) + " 1";
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    std::ofstream("/proc/self/uid_map") << uid_map;
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return ::mount("descent_test", at.c_str(), "tmpfs", 0, size) == 0;
}

TEST_F(FullDisk, IsSaidAndTheLastCheckpointStays) {
  fs::create_directories(folder_ / "disk");
  if (!mount_small_disk(folder_ / "disk", "size=2m")) GTEST_SKIP() << "this user may not mount";
  // Room for one checkpoint and the next one, not for a third beside them.
  const Ended stopped = run({"train", "large.toml", "--out", "disk/run"});
  EXPECT_EQ(stopped.code, 1);
  EXPECT_EQ(stopped.complaint(),
            "cannot write disk/run/last.safetensors: No space left on device; the file that was there is untouched");
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / "disk" / "run"))
    EXPECT_FALSE(has(entry.path().string(), ".tmp")) << entry.path();
  ASSERT_EQ(::mount("descent_test", (folder_ / "disk").c_str(), "tmpfs", MS_REMOUNT, "size=64m"), 0);
  expect_to_go_on("disk/run");
  ::umount((folder_ / "disk").c_str());
}

}  // namespace
}  // namespace descent::cli
