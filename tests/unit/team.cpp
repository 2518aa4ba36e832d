// The threads that share a kernel's work.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "descent/base/team.h"

namespace {

using namespace descent;

int parts_met(int threads) {
  std::atomic<int> met{0};
  run_together(threads, [&](Share share) {
    met += 1 << (4 * share.part);
    team::barrier(share);
  });
  return met;
}

TEST(Team, EveryPartIsDoneOnce) {
  for (int again = 0; again < 100; ++again) EXPECT_EQ(parts_met(3), 0x111);
  EXPECT_EQ(parts_met(1), 0x1);
}

TEST(Team, AForkedChildHasATeamOfItsOwn) {
  ASSERT_EQ(parts_met(2), 0x11);  // the parent's threads exist
  const pid_t child = fork();
  if (child == 0) {
    alarm(10);  // a child that waits for threads it does not have ends by this signal
    _exit(parts_met(2) == 0x11 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  EXPECT_EQ(parts_met(2), 0x11);
}

}  // namespace
