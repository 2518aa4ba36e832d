// Every op, on every backend that this machine has: see descent/check/check.h for what is checked.
#include <gtest/gtest.h>

#include <cstdio>

#include "descent/check/backend_device.h"

namespace descent {
namespace {

TEST(Table, Backends) {
  for (Backend* backend : backends()) {
    check::Options options;
    options.filter = text("*/", backend->name());
    options.devices = {check::backend_device(*backend)};
    options.report = [](const check::Result& result) {
      EXPECT_TRUE(result.ok) << result.name << ": " << result.message;
    };
    const std::vector<check::Result> results = check::run(options);
    EXPECT_FALSE(results.empty());
    std::printf("%s: %s\n", backend->describe().c_str(), check::totals(results).c_str());
  }
  EXPECT_FALSE(backends().empty());
}

}  // namespace
}  // namespace descent
