#include "descent/nn/nets.h"

#include <cmath>

#include "descent/nn/activations.h"
#include "descent/nn/conv.h"
#include "descent/nn/layers.h"
#include "descent/nn/linear.h"
#include "descent/nn/norms.h"
#include "descent/nn/pooling.h"
#include "descent/nn/transformer.h"
#include "descent/nn/whitening.h"

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

// Half the size, `width` channels: two convolutions that start as copies of their channels.
Sequential fast_block(int64_t width) {
  const BatchNormOptions norm{.momentum = 0.4, .gain = false, .bias_rate = 64};
  const ConvOptions copies{.bias = false, .init = init::dirac()};
  return Sequential{Conv(width, 3, copies), MaxPool{2},      BatchNorm{norm},   Activation("gelu"),
                    Conv(width, 3, copies), BatchNorm{norm}, Activation("gelu")};
}

}  // namespace

Sequential lenet5(int64_t outputs) {
  return Sequential{Conv{6, 5}, ReLU{},     MaxPool{2}, Conv{16, 5, {.padding = 0}},
                    ReLU{},     MaxPool{2}, Flatten{},  Linear{120},
                    ReLU{},     Linear{84}, ReLU{},     {"scores", Linear{outputs}}};
}

Sequential vgg_small(int64_t outputs, int64_t width) {
  std::vector<Layer> layers;
  for (int block = 0; block < 3; ++block)
    layers.emplace_back(text("block", block + 1),
                        Sequential{bare_conv(width << block, 3), BatchNorm{}, ReLU{}, bare_conv(width << block, 3),
                                   BatchNorm{}, ReLU{}, MaxPool{2}});
  layers.emplace_back("flatten", Flatten{});
  layers.emplace_back("dropout", Dropout{0.5});
  layers.emplace_back("scores", Linear{outputs});
  return Sequential(std::move(layers));
}

Sequential resnet20(int64_t outputs, int64_t width) { return resnet(outputs, width, 3, 3); }
Sequential resnet18(int64_t outputs, int64_t width) { return resnet(outputs, width, 4, 2); }

namespace {

// A 1 x 1 convolution that reads off the trunk what a head needs.
std::vector<Layer> head(int64_t width) { return {bare_conv(width, 1), BatchNorm{}, ReLU{}}; }

Layer point_scores(int64_t width) {
  std::vector<Layer> layers = head(width);
  layers.emplace_back(Conv{1, 1});
  layers.emplace_back(Flatten{});
  return Sequential(std::move(layers));
}

// Of the board as a whole.
Layer board_scores(int64_t width, int64_t hidden, int64_t outputs) {
  std::vector<Layer> layers = head(width);
  for (const Layer& layer : {Layer(GlobalAveragePool{}), Layer(Linear{hidden}), Layer(ReLU{}), Layer(Linear{outputs})})
    layers.push_back(layer);
  return Sequential(std::move(layers));
}

}  // namespace

Sequential go_resnet(int64_t width, int64_t blocks, bool value) {
  std::vector<Layer> layers{{"stem", Sequential{bare_conv(width, 5), BatchNorm{}, ReLU{}}}};
  for (int64_t block = 1; block <= blocks; ++block)
    layers.emplace_back(text("block", block), residual_block(width, 1, true));
  constexpr int64_t read = 32, hidden = 64;  // channels that a head reads, and numbers of its hidden layer
  layers.emplace_back(
      "heads", Branches{{"points", point_scores(read)}, {"pass_and_value", board_scores(read, hidden, value ? 2 : 1)}});
  return Sequential(std::move(layers));
}

Sequential airbench(int64_t outputs, int64_t width) {
  const int64_t features = 4 * width;
  const double limit = 1 / std::sqrt(static_cast<double>(features));
  return Sequential{{"whiten", WhitenPatches{{.bias_epochs = 3}}},
                    {"gelu", Activation("gelu")},
                    {"block1", fast_block(width)},
                    {"block2", fast_block(features)},
                    {"block3", fast_block(features)},
                    {"pool", GlobalMaxPool{}},
                    {"scores", Linear{outputs, {.bias = false, .init = init::uniform(-limit, limit)}}},
                    {"scale", Scale{1 / 9.0}}};
}

namespace {

std::vector<Kind<Sequential>> make_table() {
  const SettingRule outputs{"outputs", int64_t{10}, "the number of classes"};
  const auto width = [](int64_t fallback) { return SettingRule{"width", fallback, "channels of the first layers"}; };
  std::vector<Kind<Sequential>> kinds = {
      {"go-resnet",
       "residual, for boards of any size: scores of all points and of a pass, and a value",
       {width(64),
        {"blocks", int64_t{5}, "of two convolutions"},
        {"with_value", true, "whether it says who wins, too"}},
       [](const Settings& s) {
         if (s.integer("blocks") < 0)
           throw UsageError(s.at("blocks"),
                            text("net 'go-resnet': 'blocks' must be at least 0, got ", s.integer("blocks")));
         return go_resnet(s.integer("width"), s.integer("blocks"), s.flag("with_value"));
       }},
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
      {"airbench",
       "the fast one for CIFAR-10: whitened patches, six convolutions, for about 32 x 32; see recipes/cifar10.toml",
       {outputs, width(64)},
       [](const Settings& s) { return airbench(s.integer("outputs"), s.integer("width")); }},
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
