// Nets by name, as recipes write them.
#pragma once

#include "descent/nn/sequential.h"

namespace descent::nn {

// The table of layers; the activations are among them.
std::span<const Kind<ModulePtr>> layer_kinds();

// make_layer("linear", {{"features", 512}}). Fails with UsageError at the setting's line, naming the nearest known
// name.
ModulePtr make_layer(std::string_view kind, const Settings& settings = {});

// One layer a table, in order: {kind = "linear", features = 512}, with an optional `name`.
std::vector<Layer> make_layers(std::span<const Settings> tables);
Sequential make_net(std::span<const Settings> tables);

}  // namespace descent::nn
