#include "descent/nn/image_layers.h"

#include "descent/nn/conv.h"
#include "descent/nn/norms.h"
#include "descent/nn/pooling.h"
#include "descent/nn/whitening.h"

namespace descent::nn {

namespace {

template <class T>
ModulePtr shared(T layer) {
  return std::make_shared<T>(std::move(layer));
}

// 3, or [3, 5].
PerAxis sizes_of(const Settings& s, std::string_view name) {
  const Settings::Item& item = *s.find(name);
  if (const auto* all = std::get_if<int64_t>(&item.value)) return *all;
  std::vector<int64_t> each;
  for (const Settings& entry : s.list(name)) {
    const Settings::Item* value = entry.find("value");
    if (value == nullptr || !std::holds_alternative<int64_t>(value->value))
      throw UsageError(s.at(name), text("'", name, "' must be a whole number, or a list of them, one an axis"));
    each.push_back(std::get<int64_t>(value->value));
  }
  if (each.empty()) throw UsageError(s.at(name), text("'", name, "' has no numbers"));
  return PerAxis(std::move(each));
}

SettingRule sizes_rule(std::string_view name, int64_t fallback, std::string_view about) {
  return {name, fallback, about, false, {std::vector<Settings>{}}};
}

std::optional<PerAxis> padding_of(const Settings& s) {
  const auto* word = std::get_if<std::string>(&s.find("padding")->value);
  if (word == nullptr) return sizes_of(s, "padding");
  if (*word == "same") return std::nullopt;
  if (*word == "valid") return PerAxis(0);
  throw UsageError(s.at("padding"), text("'padding' is \"same\", \"valid\" or a number, got \"", *word, "\""));
}

std::vector<SettingRule> conv_rules(int64_t kernel, int64_t stride) {
  return {{"features", int64_t{0}, "the number of results", true},
          sizes_rule("kernel", kernel, "the window, one size or one an axis"),
          sizes_rule("stride", stride, "how far the window moves"),
          {"padding",
           "same",
           "\"same\", \"valid\" (none), or elements of zeros on either side",
           false,
           {int64_t{0}, std::vector<Settings>{}}},
          sizes_rule("dilation", 1, "how far apart the window's elements are"),
          {"groups", int64_t{1}, "each result sees the channels of its group; as many as channels: depthwise"},
          {"bias", true, "whether b is added"},
          {"init", "auto", "the initialiser of W; auto suits the layer that follows"}};
}

template <class T>
ModulePtr make_conv(const Settings& s) {
  ConvOptions options{.stride = sizes_of(s, "stride"),
                      .padding = padding_of(s),
                      .dilation = sizes_of(s, "dilation"),
                      .groups = s.integer("groups"),
                      .bias = s.flag("bias")};
  if (const std::string& initial = s.word("init"); initial != "auto")
    options.init = make_initializer(initial, Settings(s.at("init")));
  return shared(T(s.integer("features"), sizes_of(s, "kernel"), std::move(options), s.at("features")));
}

// A stride of 0 stands for the window's size.
std::vector<SettingRule> pool_rules() {
  return {sizes_rule("kernel", 2, "the window, one size or one an axis"),
          sizes_rule("stride", 0, "how far the window moves; 0: by its own size"),
          sizes_rule("padding", 0, "elements on either side that do not count")};
}

PoolOptions pool_options(const Settings& s) {
  PoolOptions options{.padding = sizes_of(s, "padding")};
  if (const PerAxis stride = sizes_of(s, "stride"); stride.values != std::vector<int64_t>{0}) options.stride = stride;
  return options;
}

ModulePtr make_average_pool(const Settings& s) {
  PoolOptions options = pool_options(s);
  options.count_padding = s.flag("count_padding");
  return shared(AveragePool(sizes_of(s, "kernel"), options, s.at("kernel")));
}

}  // namespace

std::vector<Kind<ModulePtr>> image_layer_kinds() {
  const SettingRule epsilon{"epsilon", 1e-5, "added to the variance"};
  std::vector<SettingRule> average_rules = pool_rules();
  average_rules.push_back({"count_padding", false, "whether padding counts as zeros"});
  return {
      {"conv", "W * x + b, a convolution of images [n, height, width, channels]", conv_rules(3, 1), make_conv<Conv>},
      {"conv1d", "W * x + b, a convolution of sounds [n, length, channels]", conv_rules(3, 1), make_conv<Conv1d>},
      {"conv_transpose", "the transpose of a convolution, which enlarges images", conv_rules(2, 2),
       make_conv<ConvTranspose>},
      {"max_pool", "the largest element of each window", pool_rules(),
       [](const Settings& s) { return shared(MaxPool(sizes_of(s, "kernel"), pool_options(s), s.at("kernel"))); }},
      {"average_pool", "the mean of each window", average_rules, make_average_pool},
      {"global_average_pool", "each channel's mean", {}, [](const Settings&) { return shared(GlobalAveragePool()); }},
      {"global_max_pool",
       "each channel's largest element",
       {},
       [](const Settings&) { return shared(GlobalMaxPool()); }},
      {"adaptive_average_pool",
       "means over windows as even as can be",
       {sizes_rule("size", 1, "of the result, one for all axes or one each")},
       [](const Settings& s) { return shared(AdaptiveAveragePool(sizes_of(s, "size"), s.at("size"))); }},
      {"upsample",
       "images several times as large",
       {{"factor", int64_t{2}, "how many times"},
        {"bilinear", false, "straight lines between elements, instead of repeating"}},
       [](const Settings& s) { return shared(Upsample(s.integer("factor"), s.flag("bilinear"), s.at("factor"))); }},
      {"batch_norm",
       "each channel to mean 0 and variance 1 over the batch, then a learnt gain and bias",
       {epsilon,
        {"momentum", 0.1, "how much of a batch goes into the running mean and variance"},
        {"gain", true, "whether there is one to learn"},
        {"bias_rate", 1.0, "times the learning rate, for the bias"}},
       [](const Settings& s) {
         return shared(BatchNorm({.epsilon = s.number("epsilon"),
                                  .momentum = s.number("momentum"),
                                  .gain = s.flag("gain"),
                                  .bias_rate = s.number("bias_rate")},
                                 s.at()));
       }},
      {"whiten_patches",
       "patches of images as numbers of variance 1 without correlations, learnt from the data before training",
       {{"kernel", int64_t{2}, "the side of a patch"},
        {"epsilon", 5e-4, "added to the variances"},
        {"bias_epochs", int64_t{0}, "in how many epochs the bias is trained, from the first; 0: in all"}},
       [](const Settings& s) {
         return shared(WhitenPatches(
             {.kernel = s.integer("kernel"), .epsilon = s.number("epsilon"), .bias_epochs = s.integer("bias_epochs")},
             s.at()));
       }},
      {"group_norm",
       "each group of channels of each example to mean 0 and variance 1, then a learnt gain and bias",
       {{"groups", int64_t{32}, "how many there are"}, epsilon},
       [](const Settings& s) { return shared(GroupNorm(s.integer("groups"), s.number("epsilon"), s.at("groups"))); }},
      {"instance_norm",
       "each channel of each example to mean 0 and variance 1, then a learnt gain and bias",
       {epsilon},
       [](const Settings& s) { return shared(InstanceNorm(s.number("epsilon"), s.at("epsilon"))); }},
      {"squeeze_excite",
       "each channel times a number that a small net finds from the channels' means",
       {{"reduction", int64_t{16}, "channels for one hidden number"}},
       [](const Settings& s) { return shared(SqueezeExcite(s.integer("reduction"), s.at("reduction"))); }}};
}

}  // namespace descent::nn
