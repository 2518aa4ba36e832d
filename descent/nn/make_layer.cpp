#include "descent/nn/make_layer.h"

#include <algorithm>

#include "descent/nn/activations.h"
#include "descent/nn/image_layers.h"
#include "descent/nn/layers.h"
#include "descent/nn/linear.h"
#include "descent/nn/sequence_layers.h"
#include "descent/nn/sound_layers.h"

namespace descent::nn {

namespace {

template <class T>
ModulePtr shared(T layer) {
  return std::make_shared<T>(std::move(layer));
}

ModulePtr make_linear(const Settings& s) {
  LinearOptions options{.bias = s.flag("bias")};
  if (const std::string& initial = s.word("init"); initial != "auto")
    options.init = make_initializer(initial, Settings(s.at("init")));
  return shared(Linear(s.integer("features"), std::move(options), s.at("features")));
}

Kind<ModulePtr> activation_kind(const Activation::Row& row) {
  std::vector<SettingRule> rules;
  if (!row.setting.empty()) rules.push_back({row.setting, row.fallback, row.about});
  const auto make = [&row](const Settings& s) {
    return shared(row.setting.empty() ? Activation(row.kind) : Activation(row.kind, s.number(row.setting)));
  };
  return {row.kind, row.about, std::move(rules), make};
}

std::vector<Kind<ModulePtr>> make_table() {
  const SettingRule inside{"layers", std::vector<Settings>{}, "the layers inside, a list of tables", true};
  std::vector<Kind<ModulePtr>> kinds = {
      {"linear",
       "W x + b along the last axis",
       {{"features", int64_t{0}, "the number of outputs", true},
        {"bias", true, "whether b is added"},
        {"init", "auto", "the initialiser of W; auto suits the layer that follows"}},
       make_linear},
      {"flatten", "each example as a vector", {}, [](const Settings&) { return shared(Flatten{}); }},
      {"dropout",
       "0 with a probability, while training",
       {{"rate", 0.5, "the probability"}},
       [](const Settings& s) { return shared(Dropout(s.number("rate"), s.at("rate"))); }},
      {"layer_norm",
       "each row to mean 0 and deviation 1, then a learnt gain and bias",
       {{"epsilon", 1e-5, "added to the variance"}},
       [](const Settings& s) { return shared(LayerNorm(s.number("epsilon"), s.at("epsilon"))); }},
      {"scale",
       "x times a number, plus another",
       {{"factor", 1.0, "the number", true}, {"shift", 0.0, "the other"}},
       [](const Settings& s) { return shared(Scale(s.number("factor"), s.number("shift"))); }},
      {"rms_norm",
       "each row over the root of its mean square, times a learnt gain",
       {{"epsilon", 1e-5, "added to the mean square"}},
       [](const Settings& s) { return shared(RmsNorm(s.number("epsilon"), s.at("epsilon"))); }},
      {"one_hot",
       "class indices as rows of 0 and 1",
       {{"classes", int64_t{0}, "how many there are", true}},
       [](const Settings& s) { return shared(OneHot(s.integer("classes"), s.at("classes"))); }},
      {"residual",
       "x + f(x), f being the layers inside; or h(x) + f(x), h being those of the shortcut",
       {inside, {"shortcut", std::vector<Settings>{}, "the layers that bring x to f's shape; none: x itself"}},
       [](const Settings& s) {
         return shared(Residual(make_layers(s.list("layers")), make_layers(s.list("shortcut")), s.at()));
       }},
      {"branches",
       "what each of the layers inside makes of x, side by side along the last axis",
       {inside},
       [](const Settings& s) { return shared(Branches(make_layers(s.list("layers")), s.at())); }},
      {"sequential", "the layers inside, one after the other", {inside}, [](const Settings& s) {
         return shared(Sequential(make_layers(s.list("layers")), s.at()));
       }}};
  for (Kind<ModulePtr>& kind : image_layer_kinds()) kinds.push_back(std::move(kind));
  for (Kind<ModulePtr>& kind : sequence_layer_kinds()) kinds.push_back(std::move(kind));
  for (Kind<ModulePtr>& kind : sound_layer_kinds()) kinds.push_back(std::move(kind));
  for (const Activation::Row& row : activation_rows()) kinds.push_back(activation_kind(row));
  return kinds;
}

}  // namespace

std::span<const Kind<ModulePtr>> layer_kinds() {
  static const std::vector<Kind<ModulePtr>> kinds = make_table();
  return kinds;
}

ModulePtr make_layer(std::string_view kind, const Settings& settings) {
  return make_kind(layer_kinds(), "layer", kind, settings);
}

std::vector<Layer> make_layers(std::span<const Settings> tables) {
  static constexpr std::string_view own[] = {"kind", "name"};
  std::vector<Layer> layers;
  for (const Settings& table : tables) {
    if (!table.has("kind"))
      throw UsageError(table.at(), text("layer ", layers.size(), " needs 'kind' (linear, relu, dropout ...)"));
    Layer layer = make_layer(table.word("kind"), table.without(own));
    if (table.has("name")) layer.name = table.word("name");
    layers.push_back(std::move(layer));
  }
  return layers;
}

Sequential make_net(std::span<const Settings> tables) {
  return Sequential(make_layers(tables), tables.empty() ? Site{} : tables.front().at());
}

}  // namespace descent::nn
