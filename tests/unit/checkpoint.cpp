#include "descent/io/checkpoint.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>

#include "descent/io/atomic_file.h"

namespace descent::io {
namespace {

namespace fs = std::filesystem;

class Checkpoints : public testing::Test {
 protected:
  void SetUp() override {
    folder = fs::path(testing::TempDir()) /
             (std::string("descent_checkpoint_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override { fs::remove_all(folder); }

  int files() const {
    return static_cast<int>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }

  fs::path folder;
};

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return (std::ostringstream() << in.rdbuf()).str();
}

// A checkpoint that tells its step and whose tensors follow from it.
Checkpoint at_step(int step, int64_t elements = 64) {
  return {{{"weight", Array::full({DType::f32, {elements}}, step)}, {"step", Array::full({DType::i32, {}}, step)}},
          "{\"step\":" + std::to_string(step) + "}"};
}

void expect_whole(const Checkpoint& checkpoint) {
  const int step = static_cast<int>(checkpoint.tensors.at(1).second.item());
  const Checkpoint expected = at_step(step, checkpoint.tensors.at(0).second.elements());
  EXPECT_EQ(checkpoint.manifest, expected.manifest);
  EXPECT_EQ(weights_sha256(checkpoint.tensors), weights_sha256(expected.tensors));
}

int step_of(const Checkpoint& checkpoint) { return static_cast<int>(checkpoint.tensors.at(1).second.item()); }

std::string sentence(const std::function<void()>& action) {
  try {
    action();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// Runs `action` in a child; true if it returned.
bool child_succeeds(const std::function<void()>& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      action();
      ::_exit(0);
    } catch (const Error& error) {
      std::fputs(error.what(), stderr);
      ::_exit(1);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(Checkpoints, what_is_saved_is_loaded) {
  save_checkpoint(folder / "best.safetensors", at_step(7));
  expect_whole(load_checkpoint(folder / "best.safetensors"));
  EXPECT_EQ(step_of(load_checkpoint(folder / "best.safetensors")), 7);
  EXPECT_EQ(files(), 1);
}

TEST_F(Checkpoints, the_manifest_is_json) {
  Checkpoint bad = at_step(1);
  bad.manifest = "step 1";
  EXPECT_EQ(sentence([&] { save_checkpoint(folder / "a", bad); }), "the manifest of a checkpoint is not JSON");
  EXPECT_EQ(files(), 0);
}

TEST_F(Checkpoints, other_safetensors_files_are_told_apart) {
  save_safetensors(folder / "a", {{{"w", Array::scalar(1)}}, {}});
  EXPECT_EQ(sentence([&] { load_checkpoint(folder / "a"); }),
            (folder / "a").string() + " is a safetensors file, but not a checkpoint: it lacks descent_checkpoint");
}

TEST_F(Checkpoints, truncated_at_every_length) {
  save_checkpoint(folder / "a", at_step(3));
  const std::string whole = content(folder / "a");
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_THROW(parse_checkpoint(std::as_bytes(std::span(whole).first(length)), "a"), Error) << length;
}

// Every flipped bit is noticed. The padding behind the header's last brace is no content, but must still be spaces.
TEST_F(Checkpoints, flipped_at_every_bit) {
  save_checkpoint(folder / "a", at_step(3, 16));
  std::string bytes = content(folder / "a");
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THROW(parse_checkpoint(std::as_bytes(std::span(bytes)), "a"), Error) << "byte " << bit / 8;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  }
  expect_whole(parse_checkpoint(std::as_bytes(std::span(bytes)), "a"));
}

TEST_F(Checkpoints, last_and_previous_rotate) {
  for (int step = 1; step <= 3; ++step) save_last_checkpoint(folder, at_step(step));
  EXPECT_EQ(step_of(load_checkpoint(folder / "last.safetensors")), 3);
  EXPECT_EQ(step_of(load_checkpoint(folder / "previous.safetensors")), 2);
  EXPECT_EQ(files(), 2);
}

TEST_F(Checkpoints, a_damaged_last_falls_back_and_says_so) {
  for (int step = 1; step <= 2; ++step) save_last_checkpoint(folder, at_step(step));
  fs::resize_file(folder / "last.safetensors", 100);
  const LoadedCheckpoint loaded = load_newest_good(folder);
  EXPECT_EQ(step_of(loaded.checkpoint), 1);
  EXPECT_EQ(loaded.path.filename(), "previous.safetensors");
  ASSERT_EQ(loaded.passed_over.size(), 1u);
  EXPECT_NE(loaded.passed_over[0].find("last.safetensors"), std::string::npos);
}

// A save after a fall-back must not leave a moment with two bad files; here: the good one is last at once.
TEST_F(Checkpoints, saving_over_a_damaged_last) {
  for (int step = 1; step <= 2; ++step) save_last_checkpoint(folder, at_step(step));
  fs::resize_file(folder / "last.safetensors", 100);
  save_last_checkpoint(folder, at_step(3));
  EXPECT_EQ(step_of(load_newest_good(folder).checkpoint), 3);
}

TEST_F(Checkpoints, nothing_good_names_every_file) {
  std::ofstream(folder / "last.safetensors") << "junk";
  const std::string why = sentence([&] { load_newest_good(folder, {"last", "best"}); });
  EXPECT_NE(why.find("no good checkpoint in " + folder.string()), std::string::npos) << why;
  EXPECT_NE(why.find("last.safetensors: 4 bytes are too few"), std::string::npos) << why;
  EXPECT_NE(why.find("best.safetensors: No such file"), std::string::npos) << why;
}

// A child saves as fast as it can and is killed at a random moment, many times over; each time something good loads,
// and never an older step than the last save that returned.
TEST_F(Checkpoints, killed_in_the_middle_of_saving) {
  constexpr int kills = 60;
  constexpr int64_t elements = 1 << 16;  // 256 KiB: long enough for the kill to fall into a write
  std::mt19937 random(1);
  save_last_checkpoint(folder, at_step(0, elements));
  int reached = 0;
  for (int kill = 0; kill < kills; ++kill) {
    int returned[2];
    ASSERT_EQ(::pipe(returned), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      for (int step = reached + 1;; ++step) {
        save_last_checkpoint(folder, at_step(step, elements));
        if (::write(returned[1], &step, sizeof step) < 0) ::_exit(1);
      }
    }
    ::close(returned[1]);
    ::usleep(std::uniform_int_distribution<useconds_t>(0, 20000)(random));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (int step = 0; ::read(returned[0], &step, sizeof step) == sizeof step;) reached = step;
    ::close(returned[0]);
    const LoadedCheckpoint loaded = load_newest_good(folder);
    expect_whole(loaded.checkpoint);
    EXPECT_GE(step_of(loaded.checkpoint), reached);
    reached = std::max(reached, step_of(loaded.checkpoint));
  }
  EXPECT_GT(reached, 0);
  save_last_checkpoint(folder, at_step(reached + 1, elements));
  EXPECT_EQ(files(), 2) << "temporaries of killed writers are swept";
}

// The child may write files of so many bytes and no more, which ends a save at each part of its header and data.
TEST_F(Checkpoints, a_full_disk_leaves_the_last_good_one) {
  save_last_checkpoint(folder, at_step(1));
  save_last_checkpoint(folder, at_step(2));
  const auto whole = static_cast<rlim_t>(fs::file_size(folder / "last.safetensors"));
  for (rlim_t limit = 0; limit < whole; limit += 61) {
    EXPECT_TRUE(child_succeeds([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit small{limit, limit};
      ::setrlimit(RLIMIT_FSIZE, &small);
      const std::string why = sentence([&] { save_last_checkpoint(folder, at_step(3)); });
      const std::string expected = "cannot write " + (folder / "last.safetensors").string() +
                                   ": File too large (a limit on file sizes); the file that was there is untouched";
      if (why != expected) fail(why);
    })) << limit;
    EXPECT_EQ(files(), 2) << "no temporary is left";
    EXPECT_EQ(step_of(load_checkpoint(folder / "last.safetensors")), 2);
    EXPECT_EQ(step_of(load_checkpoint(folder / "previous.safetensors")), 1);
  }
}

// Puts an empty file system of 64 KiB at `folder`, seen by this process alone; fails where that is not allowed.
void mount_small(const fs::path& folder) {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) fail("no name space");
    std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=64k") != 0)
    fail("no mount");
  write_file(folder / "probe", "x");
  fs::remove(folder / "probe");
}

// The same on a really full file system, where this process may make one.
TEST_F(Checkpoints, a_full_file_system) {
  if (!child_succeeds([&] { mount_small(folder); })) GTEST_SKIP() << "this process may not mount a file system";
  EXPECT_TRUE(child_succeeds([&] {
    mount_small(folder);
    save_last_checkpoint(folder, at_step(1, 1024));
    const std::string why = sentence([&] { save_last_checkpoint(folder, at_step(2, 1 << 16)); });
    if (!why.ends_with("last.safetensors: No space left on device; the file that was there is untouched")) fail(why);
    if (step_of(load_newest_good(folder).checkpoint) != 1 || files() != 1) fail("the good one is gone");
  }));
}

TEST_F(Checkpoints, weights_have_a_name_that_order_does_not_change) {
  const Array a = Array::full({DType::f32, {2}}, 1), b = Array::full({DType::f32, {2}}, 2);
  const std::string name = weights_sha256({{"a", a}, {"b", b}});
  EXPECT_EQ(name, weights_sha256({{"b", b}, {"a", a}}));
  EXPECT_EQ(name.size(), 64u);
  EXPECT_NE(name, weights_sha256({{"a", b}, {"b", a}}));
  EXPECT_NE(name, weights_sha256({{"a", a}}));
  EXPECT_NE(name, weights_sha256({{"a", a.reshaped({2, 1})}, {"b", b}}));
}

using AtomicFiles = Checkpoints;

TEST_F(AtomicFiles, without_commit_nothing_changes) {
  write_file(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new");
  }
  EXPECT_EQ(content(folder / "a"), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFiles, permissions_and_links_stay) {
  write_file(folder / "real", "old");
  ::chmod((folder / "real").c_str(), 0600);
  fs::create_symlink("real", folder / "link");
  write_file(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(content(folder / "real"), "new");
  EXPECT_EQ(fs::status(folder / "real").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(AtomicFiles, only_regular_files_are_replaced) {
  EXPECT_EQ(sentence([] { write_file("/dev/full", "x"); }), "cannot write /dev/full: it is not a regular file");
  EXPECT_THROW(write_file(folder, "x"), Error);
  EXPECT_EQ(sentence([&] { write_file(folder / "no" / "such", "x"); }),
            "cannot write " + (folder / "no" / "such").string() + ": No such file or directory");
}

TEST_F(AtomicFiles, sweeping_spares_writers_at_work) {
  AtomicFile at_work(folder / "a");
  at_work.write("x");
  std::ofstream(temporary_name(folder)) << "left by a dead writer";
  std::ofstream(folder / "other.tmp") << "not ours";
  EXPECT_EQ(remove_stale_temporaries(folder), 1);
  at_work.commit();
  EXPECT_EQ(content(folder / "a"), "x");
  EXPECT_TRUE(fs::exists(folder / "other.tmp"));
  EXPECT_EQ(remove_stale_temporaries(folder / "missing"), 0);
}

TEST_F(AtomicFiles, reading_has_a_limit) {
  write_file(folder / "a", "12345");
  EXPECT_EQ(read_file(folder / "a", 5).size(), 5u);
  EXPECT_EQ(sentence([&] { read_file(folder / "a", 4); }),
            (folder / "a").string() + " has 5 bytes; at most 4 are taken here");
}

}  // namespace
}  // namespace descent::io
