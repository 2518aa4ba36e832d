// A net's weights in one file, and back.
#pragma once

#include <filesystem>

#include "descent/nn/module.h"

namespace descent::io {

// Every state of the net (parameters, normalisation) as safetensors, by name. Fails if the net has none yet: its
// parameters are made when it is first traced, by training it, say, or by nn::make_parameters().
void save(const nn::Module& net, const std::filesystem::path& path);

// Fills the states of a net that has them from a file that save() wrote for a net of the same layers. Fails naming the
// first state that the file lacks or has in another type, and changes nothing then.
void load(nn::Module& net, const std::filesystem::path& path);

}  // namespace descent::io
