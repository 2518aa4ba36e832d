// Linear separability, decided exactly.
#include "descent/tasks/separable.h"

#include <gtest/gtest.h>

#include "descent/data/random.h"

namespace descent::tasks {
namespace {

Separable decide(const std::vector<std::vector<float>>& rows, const std::vector<int32_t>& labels) {
  std::vector<float> values;
  for (const auto& row : rows) values.insert(values.end(), row.begin(), row.end());
  const auto count = static_cast<int64_t>(rows.size()), features = static_cast<int64_t>(rows[0].size());
  return linearly_separable(Array::from(std::span<const float>(values), {count, features}),
                            Array::from(std::span<const int32_t>(labels), {count}));
}

const std::vector<std::vector<float>> corners{{-1, -1}, {-1, 1}, {1, -1}, {1, 1}};

TEST(Separable, TheSixteenFunctionsOfTwoBits) {
  for (int function = 1; function < 15; ++function) {  // 0 and 15 are one class
    std::vector<int32_t> labels;
    for (int bit = 0; bit < 4; ++bit) labels.push_back(function >> bit & 1);
    const bool xor_like = function == 6 || function == 9;
    EXPECT_EQ(decide(corners, labels), xor_like ? Separable::no : Separable::yes) << function;
  }
}

TEST(Separable, ATouchIsNoSeparation) {
  EXPECT_EQ(decide({{0}, {1}, {1}, {2}}, {0, 0, 1, 1}), Separable::no);  // the same point in both classes
  EXPECT_EQ(decide({{0}, {1}, {1.001F}, {2}}, {0, 0, 1, 1}), Separable::yes);
  EXPECT_EQ(decide({{0, 0}, {2, 2}, {1, 1}}, {0, 0, 1}), Separable::no);  // a point between two of the other class
}

// Points on two sides of a known plane, with a gap, in many dimensions; then one of them on the wrong side.
TEST(Separable, RandomClouds) {
  data::RandomStream draw(3);
  for (int trial = 0; trial < 20; ++trial) {
    const size_t features = 1 + draw.below(8);
    std::vector<float> normal;
    for (size_t f = 0; f < features; ++f) normal.push_back(static_cast<float>(draw.symmetric(1)));
    normal[0] = 1;
    std::vector<std::vector<float>> rows;
    std::vector<int32_t> labels;
    while (rows.size() < 60) {
      std::vector<float> row;
      float side = 0;
      for (size_t f = 0; f < features; ++f) {
        row.push_back(static_cast<float>(draw.symmetric(1)));
        side += row[f] * normal[f];
      }
      if (std::abs(side) < 0.05F) continue;
      rows.push_back(row);
      labels.push_back(side > 0);
    }
    EXPECT_EQ(decide(rows, labels), Separable::yes) << trial;
    // The mean of the points of one class lies inside its hull.
    std::vector<float> middle(features);
    float count = 0;
    for (size_t i = 0; i < rows.size(); ++i)
      if (labels[i] == 1 && ++count > 0)
        for (size_t f = 0; f < features; ++f) middle[f] += rows[i][f];
    for (float& value : middle) value /= count;
    rows.push_back(middle);
    labels.push_back(0);
    EXPECT_EQ(decide(rows, labels), Separable::no) << trial;
  }
}

}  // namespace
}  // namespace descent::tasks
