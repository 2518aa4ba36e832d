// The benchmarks of data: how many images a second one thread changes.
#pragma once

#include <string>
#include <vector>

#include "descent/check/roofline.h"
#include "descent/data/augment.h"

namespace descent::cli {

struct DataBench {
  std::string name;  // "data/flip/32x32x3"
  data::AugmentOptions options;
  int64_t height, width, channels;
};

const std::vector<DataBench>& data_benches();

// Of one core, in microseconds an image.
check::Measurement measure(const DataBench& bench, double seconds);

// What a CIFAR-sized net is fed with: flips, moves and holes.
data::AugmentOptions usual_augmentation();

}  // namespace descent::cli
