// The rows of layer_kinds() for the spectra of sounds.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

std::vector<Kind<ModulePtr>> sound_layer_kinds();

}  // namespace descent::nn
