// The rows of layer_kinds() for sequences.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

std::vector<Kind<ModulePtr>> sequence_layer_kinds();

}  // namespace descent::nn
