// Data-dependent initialisation (Krähenbühl, Doersch, Donahue and Darrell, "Data-dependent initializations of
// convolutional neural networks", 2016): layers whose weights are computed from what they are given of some examples.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

// Whether a layer of the net wants examples and has seen none.
bool wants_examples(const Module& net);

// Shows each such layer what the layers before it make of `inputs`, rows of the training data as the net takes them, in
// their order. Makes the net's parameters if they are not there. Fails as the layers do.
void initialise_from_examples(Module& net, const Array& inputs, uint64_t seed);

}  // namespace descent::nn
