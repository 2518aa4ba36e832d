#include "descent/nn/from_examples.h"

#include <algorithm>

#include "descent/nn/function.h"
#include "descent/ops/cast.h"

namespace descent::nn {

bool wants_examples(const Module& net) {
  return net.wants_examples() ||
         std::ranges::any_of(net.children(), [](const auto& child) { return wants_examples(*child.second); });
}

void initialise_from_examples(Module& net, const Array& inputs, uint64_t seed) {
  make_parameters(net, inputs.type(), seed);
  while (wants_examples(net)) {
    Module* next = nullptr;
    Function before = compile(
        [&](Pass& pass, Tensor x) {
          net(x, pass);
          const auto layer = std::ranges::find_if(
              pass.layers(), [](const Pass::TracedLayer& traced) { return traced.module->wants_examples(); });
          if (layer == pass.layers().end()) fail("a layer wants examples, but the net does not use it");
          next = layer->module;
          return cast(layer->input, DType::f32);
        },
        {.training = false, .precision = Precision::f32, .seed = seed});
    const Array seen = before({inputs})[0];
    next->see_examples(seen);
    if (next->wants_examples()) fail(text(next->describe(), ": it has seen examples and wants others"));
  }
}

}  // namespace descent::nn
