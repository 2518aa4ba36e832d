// Every op, on the reference: see descent/check/check.h for what is checked.
#include <gtest/gtest.h>

#include <cstdio>

#include "descent/check/check.h"

namespace descent {
namespace {

TEST(Table, Reference) {
  const std::vector<check::Result> results = check::run(
      {.report = [](const check::Result& result) { EXPECT_TRUE(result.ok) << result.name << ": " << result.message; }});
  std::printf("%zu ops, %s\n", registry().size(), check::totals(results).c_str());
  EXPECT_FALSE(results.empty());
}

}  // namespace
}  // namespace descent
