#include "descent/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data_testing.h"
#include "descent/data/normalizer.h"

namespace descent::data {
namespace {

// Row i holds (i, 10 i); classes in turn.
Dataset numbered(int64_t rows, int64_t classes) {
  Dataset out{Array(DType::f32, {rows, 2}), Array(DType::i32, {rows}), numbered_classes(classes), {"a", "b"}};
  for (int64_t i = 0; i < rows; ++i) {
    out.inputs.set(2 * i, static_cast<double>(i));
    out.inputs.set(2 * i + 1, static_cast<double>(10 * i));
    out.targets.set(i, static_cast<double>(i % classes));
  }
  return out;
}

TEST(Dataset, TakesRows) {
  const Dataset data = numbered(6, 3);
  const Dataset part = data.rows(2, 4);
  EXPECT_EQ(part.size(), 2);
  EXPECT_EQ(part.inputs.to_doubles(), (std::vector<double>{2, 20, 3, 30}));
  EXPECT_EQ(part.features, data.features);
  EXPECT_EQ(part.inputs.data(), data.inputs.data() + 16) << "the bytes are shared";
  const std::vector<int64_t> rows{5, 0, 5};
  const Dataset chosen = data.select(rows);
  EXPECT_EQ(chosen.inputs.to_doubles(), (std::vector<double>{5, 50, 0, 0, 5, 50}));
  EXPECT_EQ(chosen.targets.to_doubles(), (std::vector<double>{2, 0, 2}));
  const std::vector<int64_t> beyond{6};
  EXPECT_EQ(error_of([&] { data.select(beyond); }), "row 6 does not exist in an array of f32[6,2]");
}

TEST(Dataset, SpreadsRowsEvenly) {
  const Dataset data = numbered(10, 3);
  EXPECT_EQ(data.spread(4).targets.to_doubles(), (std::vector<double>{0, 2, 2, 1}));  // rows 0, 2, 5, 7
  EXPECT_EQ(data.spread(10).inputs.data(), data.inputs.data());
}

TEST(Split, DividesEveryRowOnce) {
  const SplitIndices parts = split_indices(101, {}, {.validation = 0.2, .test = 0.1}, 7);
  EXPECT_EQ(parts.validation.size(), 20u);
  EXPECT_EQ(parts.test.size(), 10u);
  std::vector<int64_t> all;
  for (const auto* part : {&parts.train, &parts.validation, &parts.test}) {
    EXPECT_TRUE(std::ranges::is_sorted(*part));
    all.insert(all.end(), part->begin(), part->end());
  }
  std::ranges::sort(all);
  for (int64_t i = 0; i < 101; ++i) EXPECT_EQ(all[i], i);
}

TEST(Split, DependsOnTheSeedOnly) {
  const Fractions fractions{.validation = 0.2, .test = 0.2};
  EXPECT_EQ(split_indices(100, {}, fractions, 1).test, split_indices(100, {}, fractions, 1).test);
  EXPECT_NE(split_indices(100, {}, fractions, 1).test, split_indices(100, {}, fractions, 2).test);
}

TEST(Split, GivesEachClassItsShare) {
  std::vector<int32_t> classes;  // 100 of class 0, 40 of 1, 10 of 2
  for (const auto& [label, count] : {std::pair{0, 100}, {1, 40}, {2, 10}}) classes.insert(classes.end(), count, label);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const SplitIndices parts = split_indices(150, classes, {.validation = 0.25, .test = 0.1}, seed);
    const auto count = [&](const std::vector<int64_t>& rows, int label) {
      return std::ranges::count_if(rows, [&](int64_t row) { return classes[row] == label; });
    };
    EXPECT_EQ(count(parts.test, 0), 10);
    EXPECT_EQ(count(parts.test, 1), 4);
    EXPECT_EQ(count(parts.test, 2), 1);
    EXPECT_EQ(count(parts.validation, 0), 25);
    EXPECT_EQ(count(parts.validation, 1), 10);
    EXPECT_NEAR(static_cast<double>(count(parts.validation, 2)), 2.5, 0.5);
  }
}

TEST(Split, NamesPartsThatCannotBe) {
  EXPECT_EQ(error_of([] { split_indices(10, {}, {.validation = 0.5, .test = 0.5}, 0); }),
            "a split into 0.5 validation and 0.5 test needs fractions of at least 0 that leave something to train on");
  EXPECT_EQ(error_of([] { split_indices(4, {}, {.validation = 0, .test = 0.1}, 0); }),
            "a test part of 0.1 of 4 rows would be empty");
  EXPECT_NE(error_of([] { split_indices(10, {}, {.validation = NAN, .test = 0}, 0); }).find("a split into nan"),
            std::string::npos);
}

TEST(Split, DividesDataSets) {
  const Splits splits = split(numbered(100, 4), {.validation = 0.1, .test = 0.2}, 3);
  EXPECT_EQ(splits.train.size(), 70);
  EXPECT_EQ(splits.test.classes.size(), 4u);
  for (int64_t i = 0; i < splits.test.size(); ++i)
    EXPECT_EQ(std::fmod(splits.test.inputs.at(2 * i), 4), splits.test.targets.at(i)) << "rows keep their targets";
}

TEST(HoldOut, TakesFromTheTrainingPart) {
  Splits splits{numbered(50, 5), {}, numbered(10, 5)};
  hold_out_validation(splits, 0.2, 1);
  EXPECT_EQ(splits.train.size(), 40);
  EXPECT_EQ(splits.validation.size(), 10);
  EXPECT_EQ(splits.test.size(), 10);
  EXPECT_EQ(error_of([&] { hold_out_validation(splits, 0.1, 1); }),
            "a validation part of 0.1 was asked for, but the data already has one of 10 rows");
}

TEST(Labelled, ChecksLabels) {
  const Array inputs(DType::u8, {3, 2, 2});
  const Array labels = Array::from(std::vector<int32_t>{0, 2, 1}, {3});
  const Dataset data = labelled(inputs, labels, numbered_classes(3), "x.idx");
  EXPECT_EQ(data.targets.to_doubles(), (std::vector<double>{0, 2, 1}));
  EXPECT_TRUE(data.is_classification());
  EXPECT_EQ(error_of([&] { labelled(inputs, labels, numbered_classes(2), "x.idx"); }),
            "x.idx: label 2 in row 1 is out of range: there are 2 classes (0 to 1)");
  EXPECT_EQ(error_of([&] { labelled(inputs, Array(DType::u8, {4}), numbered_classes(2), "x.idx"); }),
            "x.idx: 4 labels for inputs of u8[3,2,2], which has 3 rows");
  EXPECT_EQ(error_of([&] { labelled(inputs, Array(DType::f32, {3}), numbered_classes(2), "x.idx"); }),
            "x.idx: labels are integers, one a row, but this array is f32[3]");
  EXPECT_EQ(error_of([&] {
              labelled(inputs, Array(DType::u8, {3, 2}), numbered_classes(2), "x.idx");
            }),
            "x.idx: labels are integers, one a row, but this array is u8[3,2]");
}

TEST(Normalizer, GivesMeanZeroAndDeviationOneOfEachChannel) {
  Array images(DType::u8, {50, 9, 7, 3});
  for (int64_t i = 0; i < images.elements(); ++i)
    images.as<uint8_t>()[i] = static_cast<uint8_t>(i * i % 251 / (1 + i % 3));
  const Normalizer fitted = Normalizer::fit(images);
  ASSERT_EQ(fitted.scale.size(), 3u);
  for (int64_t c = 0; c < 3; ++c) {
    double sum = 0, squares = 0, raw = 0;
    for (int64_t i = c; i < images.elements(); i += 3) {
      const double value = images.at(i) * fitted.scale[c] + fitted.shift[c];
      sum += value;
      squares += value * value;
      raw += images.at(i) / 255;
    }
    const double count = static_cast<double>(images.elements()) / 3;
    EXPECT_NEAR(sum / count, 0, 1e-5);
    EXPECT_NEAR(squares / count, 1, 1e-5);
    EXPECT_NEAR(fitted.mean(c), raw / count, 1e-6);
  }
  EXPECT_EQ(Normalizer::fit(images, false).scale.size(), 1u);
}

TEST(Normalizer, SumsManyPixelsExactly) {
  Array images(DType::u8, {300, 28, 28});  // more than one block of sums
  std::ranges::fill(images.as<uint8_t>(), uint8_t{255});
  std::ranges::fill(images.rows(0, 150).as<uint8_t>(), uint8_t{253});
  const Normalizer fitted = Normalizer::fit(images);
  EXPECT_NEAR(fitted.mean(0, 1), 254, 1e-4);
  EXPECT_NEAR(fitted.deviation(0, 1), 1, 1e-6);
}

TEST(Normalizer, KeepsConstantImagesFinite) {
  Array images = Array::full({DType::u8, {4, 2, 2}}, 100);
  const Normalizer fitted = Normalizer::fit(images);
  EXPECT_NEAR(100 * fitted.scale[0] + fitted.shift[0], 0, 1e-6);
}

TEST(Normalizer, TakesFloatingImagesAsTheyAre) {
  const Array images = Array::from(std::vector<float>{0, 0.5f, 0.5f, 1}, {1, 2, 2});
  EXPECT_NEAR(Normalizer::fit(images).mean(0, 1), 0.5, 1e-6);
  EXPECT_EQ(error_of([] {
              Normalizer::fit(Array(DType::i32, {1, 2, 2}));
            }),
            "a normalizer is fitted on u8 or f32 images, not i32[1,2,2]");
  EXPECT_EQ(error_of([] {
              Normalizer::fit(Array(DType::u8, {3, 2}));
            }),
            "a normalizer is fitted on images [N,H,W] or [N,H,W,C], not u8[3,2]");
}

TEST(Normalizer, ComesBackFromJson) {
  const Normalizer one{{0.1f, 3.25f}, {-0.7f, 1e-8f}};
  const Normalizer back = Normalizer::from_json(one.to_json());
  EXPECT_EQ(back.scale, one.scale);
  EXPECT_EQ(back.shift, one.shift);
  EXPECT_EQ(error_of([] { Normalizer::from_json("{}"); }).find("the stored normalizer cannot be read: "), 0u);
  EXPECT_EQ(error_of([] { Normalizer::from_json(R"({"scale": [1], "shift": []})"); }),
            "the stored normalizer has 1 scales and 0 shifts; as many of each are needed, and scales above 0");
  EXPECT_NE(error_of([] { Normalizer::from_json(R"({"scale": [-1], "shift": [0]})"); }).find("scales above 0"),
            std::string::npos);
}

}  // namespace
}  // namespace descent::data
