// What a machine can do at most, measured through the same door as training: compiled programs on a backend.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "descent/core/dtype.h"
#include "descent/runtime/backend.h"

namespace descent::check {

struct Measurement {
  double best = 0, median = 0;  // in `unit`
  std::string unit;
};

// Products [size,size] x [size,size] of matrices of `dtype` into f32, in GFLOP/s.
Measurement measure_product(DType dtype, int64_t size, Backend& backend = default_backend(), double seconds = 0.4);

// Reads `bytes` of f32 and writes them back in place, as an optimiser does; in GB/s, both ways counted.
Measurement measure_update(int64_t bytes, Backend& backend = default_backend(), double seconds = 0.4);

// Reads `bytes` (whole rows of 16 kB) of f32 and sums each row; in GB/s.
Measurement measure_read(int64_t bytes, Backend& backend = default_backend(), double seconds = 0.4);

// What the unit that multiplies matrices of `dtype` can do from registers alone, in GFLOP/s.
Measurement measure_peak(DType dtype, Backend& backend = default_backend(), double seconds = 0.4);

struct RooflineEntry {
  std::string name;  // "peak/bf16", "product/bf16/1024", "update/64MB", "read/64MB"
  std::function<Measurement()> measure;
};

// Peaks and products of small to large matrices in each type that the backend is fast at, and updates and reading from a size that
// stays in the first cache to one that no cache holds.
std::vector<RooflineEntry> roofline(Backend& backend = default_backend());

}  // namespace descent::check
