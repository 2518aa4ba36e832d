// The rows of layer_kinds() for images and sounds.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

std::vector<Kind<ModulePtr>> image_layer_kinds();

}  // namespace descent::nn
