#include "descent/nn/nets.h"

#include "descent/nn/activations.h"
#include "descent/nn/conv.h"
#include "descent/nn/layers.h"
#include "descent/nn/linear.h"
#include "descent/nn/norms.h"
#include "descent/nn/pooling.h"
#include "descent/nn/transformer.h"

namespace descent::nn {

namespace {

// A convolution before a norm, which takes the place of its bias.
Conv bare_conv(int64_t features, int64_t kernel, int64_t stride = 1) {
  return Conv(features, kernel, {.stride = stride, .bias = false});
}

Layer residual_block(int64_t width, int64_t stride, bool same_shape) {
  std::vector<Layer> shortcut;
  if (!same_shape) shortcut = {bare_conv(width, 1, stride), BatchNorm{}};
  return Sequential{
      Residual({bare_conv(width, 3, stride), BatchNorm{}, ReLU{}, bare_conv(width, 3), BatchNorm{}}, shortcut), ReLU{}};
}

Sequential resnet(int64_t outputs, int64_t width, int stages, int blocks) {
  std::vector<Layer> layers{{"stem", Sequential{bare_conv(width, 3), BatchNorm{}, ReLU{}}}};
  for (int stage = 0; stage < stages; ++stage) {
    std::vector<Layer> inside;
    for (int block = 0; block < blocks; ++block) {
      const bool enters = stage > 0 && block == 0;
      inside.push_back(residual_block(width << stage, enters ? 2 : 1, !enters));
    }
    layers.emplace_back(text("stage", stage + 1), Sequential(std::move(inside)));
  }
  layers.emplace_back("pool", GlobalAveragePool{});
  layers.emplace_back("scores", Linear{outputs});
  return Sequential(std::move(layers));
}

}  // namespace

Sequential lenet5(int64_t outputs) {
  return Sequential{Conv{6, 5}, ReLU{},     MaxPool{2}, Conv{16, 5, {.padding = 0}},
                    ReLU{},     MaxPool{2}, Flatten{},  Linear{120},
                    ReLU{},     Linear{84}, ReLU{},     {"scores", Linear{outputs}}};
}

Sequential vgg_small(int64_t outputs, int64_t width) {
  std::vector<Layer> layers;
  for (const int64_t features : {width, 2 * width, 4 * width})
    layers.emplace_back(text("block", layers.size() + 1),
                        Sequential{bare_conv(features, 3), BatchNorm{}, ReLU{}, bare_conv(features, 3), BatchNorm{},
                                   ReLU{}, MaxPool{2}});
  layers.emplace_back("flatten", Flatten{});
  layers.emplace_back("dropout", Dropout{0.5});
  layers.emplace_back("scores", Linear{outputs});
  return Sequential(std::move(layers));
}

Sequential resnet20(int64_t outputs, int64_t width) { return resnet(outputs, width, 3, 3); }
Sequential resnet18(int64_t outputs, int64_t width) { return resnet(outputs, width, 4, 2); }

namespace {

std::vector<Kind<Sequential>> make_table() {
  const SettingRule outputs{"outputs", int64_t{10}, "the number of classes"};
  const auto width = [](int64_t fallback) { return SettingRule{"width", fallback, "channels of the first layers"}; };
  std::vector<Kind<Sequential>> kinds = {
      {"lenet-5",
       "two convolutions and three linear layers, for 28 x 28",
       {outputs},
       [](const Settings& s) { return lenet5(s.integer("outputs")); }},
      {"vgg-small",
       "six convolutions with batch norm, for about 32 x 32",
       {outputs, width(64)},
       [](const Settings& s) { return vgg_small(s.integer("outputs"), s.integer("width")); }},
      {"resnet-18",
       "residual, eight blocks, for about 32 x 32",
       {outputs, width(64)},
       [](const Settings& s) { return resnet18(s.integer("outputs"), s.integer("width")); }},
      {"resnet-20", "residual, nine narrow blocks, for about 32 x 32", {outputs, width(16)}, [](const Settings& s) {
         return resnet20(s.integer("outputs"), s.integer("width"));
       }}};
  for (Kind<Sequential>& kind : sequence_net_kinds()) kinds.push_back(std::move(kind));
  return kinds;
}

}  // namespace

std::span<const Kind<Sequential>> net_kinds() {
  static const std::vector<Kind<Sequential>> kinds = make_table();
  return kinds;
}

Sequential make_ready_net(std::string_view kind, const Settings& settings) {
  return make_kind(net_kinds(), "net", kind, settings);
}

}  // namespace descent::nn
