// The bytes of arrays.
#include "descent/core/array.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace {

using namespace descent;

Array counting(int64_t elements, float from) {
  Array out(DType::f32, {elements});
  std::iota(out.as<float>().begin(), out.as<float>().end(), from);
  return out;
}

TEST(LastingArrays, AreCopiesOfTheirOwn) {
  std::vector<Array> kept;
  std::vector<int64_t> sizes{1, 1000, 1025, 5000, 300000, 3000000};
  for (const int64_t size : sizes) kept.push_back(Array::lasting(counting(size, static_cast<float>(size))));
  for (size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(kept[i].bytes().size(), static_cast<size_t>(sizes[i]) * 4);
    const Array wanted = counting(sizes[i], static_cast<float>(sizes[i]));
    EXPECT_TRUE(std::ranges::equal(kept[i].bytes(), wanted.bytes())) << sizes[i];
    EXPECT_EQ(reinterpret_cast<uintptr_t>(kept[i].data()) % 64, 0u) << sizes[i];
  }
}

TEST(LastingArrays, OutliveTheirNeighbours) {
  Array last;
  for (int i = 0; i < 40; ++i) {  // more than a block of them holds
    Array next = Array::lasting(counting(200000, static_cast<float>(i)));
    if (i > 0) {
      EXPECT_EQ(last.at(199999), 199998.0 + i);
    }
    last = next;
  }
  EXPECT_EQ(last.at(0), 39.0);
}

}  // namespace
