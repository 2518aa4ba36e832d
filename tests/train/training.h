// What tests of training share: small data, nets, and a folder for runs.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "descent/data/normalizer.h"
#include "descent/data/random.h"
#include "descent/io/checkpoint.h"
#include "descent/nn/activations.h"
#include "descent/nn/layers.h"
#include "descent/nn/linear.h"
#include "descent/nn/sequential.h"
#include "descent/train/interrupt.h"
#include "descent/train/trainer.h"

namespace descent::train {

// Points in the plane; class 1 inside a circle.
inline data::Dataset circle(int64_t rows, uint64_t seed = 1) {
  data::RandomStream draw(seed);
  data::Dataset out{Array(DType::f32, {rows, 2}), Array(DType::i32, {rows}), {"out", "in"}, {"x", "y"}};
  for (int64_t row = 0; row < rows; ++row) {
    const double x = draw.symmetric(1), y = draw.symmetric(1);
    out.inputs.set(2 * row, x);
    out.inputs.set(2 * row + 1, y);
    out.targets.set(row, x * x + y * y < 0.5 ? 1 : 0);
  }
  return out;
}

// y = 3 a - 2 b + 0.5, exactly.
inline data::Dataset plane(int64_t rows, uint64_t seed = 1) {
  data::RandomStream draw(seed);
  data::Dataset out{Array(DType::f32, {rows, 2}), Array(DType::f32, {rows, 1}), {}, {"a", "b"}};
  for (int64_t row = 0; row < rows; ++row) {
    const double a = draw.symmetric(1), b = draw.symmetric(1);
    out.inputs.set(2 * row, a);
    out.inputs.set(2 * row + 1, b);
    out.targets.set(row, 3 * a - 2 * b + 0.5);
  }
  return out;
}

// Images of 8x8 bytes, bright on the side that the label says.
inline data::Dataset sides(int64_t rows, uint64_t seed = 1) {
  data::RandomStream draw(seed);
  data::Dataset out{Array(DType::u8, {rows, 8, 8}), Array(DType::i32, {rows}), {"left", "right"}, {}};
  const auto pixels = out.inputs.as<uint8_t>();
  for (int64_t row = 0; row < rows; ++row) {
    const auto label = static_cast<int64_t>(draw.below(2));
    out.targets.set(row, static_cast<double>(label));
    for (int64_t i = 0; i < 64; ++i)
      pixels[row * 64 + i] = static_cast<uint8_t>(draw.below(60) + ((i % 8 < 4) == (label == 0) ? 100 : 0));
  }
  return out;
}

inline nn::Sequential small_net(int64_t outputs = 2, double dropout = 0) {
  return {nn::Linear{16}, nn::ReLU{}, nn::Dropout{dropout}, nn::Linear{outputs}};
}

// A folder that lives as long as the test.
class RunFolder : public testing::Test {
 protected:
  RunFolder()
      : folder_(std::filesystem::path(testing::TempDir()) /
                ("descent_" + std::to_string(::getpid()) + "_" +
                 testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(folder_);
  }
  ~RunFolder() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

// A schedule that calls `hook` before each step, with how many are done.
inline std::function<optim::Schedule(const optim::RunLength&)> hooked(
    std::function<void(int64_t)> hook, std::function<double(int64_t)> factor = [](int64_t) { return 1.0; }) {
  return [hook, factor](const optim::RunLength&) {
    return optim::Schedule("hooked", [hook, factor](int64_t step) {
      hook(step);
      return factor(step);
    });
  };
}

inline std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::vector<std::string> out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) out.push_back(line);
  return out;
}

template <class F>
std::string error_of(F body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace descent::train
