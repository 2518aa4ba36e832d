#include "descent/cli/bench_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "descent/data/batches.h"
#include "descent/data/random.h"

namespace descent::cli {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

data::Dataset noise(const DataBench& bench, int64_t count) {
  data::Dataset out{Array(DType::u8, {count, bench.height, bench.width, bench.channels}),
                    Array(DType::i32, {count}),
                    data::numbered_classes(10),
                    {}};
  data::RandomStream draw(1);
  for (uint8_t& byte : out.inputs.as<uint8_t>()) byte = static_cast<uint8_t>(draw.bits());
  return out;
}

}  // namespace

data::AugmentOptions usual_augmentation() {
  return {.flip = data::Flip::alternating, .translate = 4, .padding = data::Padding::reflect, .cutout = 8};
}

const std::vector<DataBench>& data_benches() {
  using data::AugmentOptions, data::Flip, data::Padding;
  struct Row {
    const char* name;
    AugmentOptions options;
    bool colour_only = false;
  };
  static const std::vector<DataBench> all = [] {
    const std::vector<Row> rows{{"flip", {.flip = Flip::random}},
                                {"translate", {.translate = 4, .padding = Padding::reflect}},
                                {"cutout", {.cutout = 8}},
                                {"flip+translate+cutout", usual_augmentation()},
                                {"rotate+scale", {.rotate = 10, .scale = 0.1}},
                                {"zoom", {.zoom = 0.5}},
                                {"elastic", {.elastic_alpha = 30, .elastic_sigma = 4}},
                                {"brightness+contrast", {.brightness = 0.2, .contrast = 0.2}},
                                {"colours", {.brightness = 0.2, .contrast = 0.2, .saturation = 0.2, .hue = 0.05}, true},
                                {"mixup", {.mixup = 0.2}},
                                {"cutmix", {.cutmix = 1}}};
    std::vector<DataBench> out;
    for (const auto& [side, channels] : {std::pair{28, 1}, {32, 3}})
      for (const Row& row : rows)
        if (channels == 3 || !row.colour_only)
          out.push_back(
              {fmt::format("data/{}/{}x{}x{}", row.name, side, side, channels), row.options, side, side, channels});
    return out;
  }();
  return all;
}

check::Measurement measure(const DataBench& bench, double seconds) {
  constexpr int64_t count = 512;
  data::Batches batches(noise(bench, count), {.batch_size = count, .augment = bench.options, .threads = 0});
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  for (uint64_t epoch = 0; times.empty() || seconds_since(begin) < seconds; ++epoch) {
    batches.start(epoch);
    const Clock::time_point start = Clock::now();
    batches.next();
    times.push_back(seconds_since(start) * 1e6 / static_cast<double>(count));
  }
  std::ranges::sort(times);
  return {times.front(), times[times.size() / 2], "us/image"};
}

}  // namespace descent::cli
