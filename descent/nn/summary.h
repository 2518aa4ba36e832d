// What a net is, for people: its layers, its formula, its size.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

struct LayerSummary {
  std::string path;      // "hidden.0"
  std::string describe;  // "Linear 512"
  std::string formula;   // "W x + b"
  Type input, output;
  int64_t parameters = 0;
  int64_t flops = 0;  // of one forward pass on that input: 2 a multiply-add of a product, 1 an element elsewhere
};

struct NetSummary {
  std::vector<LayerSummary> layers;    // those without layers inside, in the order in which they run
  std::vector<std::string> equations;  // "a¹ = relu(W¹x + b¹)", ..., "y = W²a¹ + b²": the set of functions
  Type input, output;
  int64_t parameters = 0;
  int64_t flops = 0;
};

// Traces the net on this input; makes its parameters (from `seed`) if it has none yet. Fails as forward() would.
NetSummary summarise(Module& net, const Type& input, uint64_t seed = 0);

// The equations alone. Layers with parameters are numbered in the order in which they run; a layer that has no
// parameters yet counts as one that never has.
std::vector<std::string> equations(const Module& net);

}  // namespace descent::nn
