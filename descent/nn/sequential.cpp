#include "descent/nn/sequential.h"

#include <set>

#include "descent/ops/add.h"
#include "descent/ops/concat.h"

namespace descent::nn {

namespace {

// With a name for each.
std::vector<Layer> named(std::vector<Layer> layers, Site at) {
  std::set<std::string> names;
  for (size_t i = 0; i < layers.size(); ++i) {
    Layer& layer = layers[i];
    if (layer.name.empty()) layer.name = std::to_string(i);
    if (layer.name.find('.') != std::string::npos)
      throw UsageError(at,
                       text("a layer's name has no dot, since paths are made of names; '", layer.name, "' has one"));
    if (!names.insert(layer.name).second)
      throw UsageError(at, text("two layers side by side are called '", layer.name, "'"));
  }
  return layers;
}

std::vector<std::pair<std::string, ModulePtr>> named_modules(const std::vector<Layer>& layers) {
  std::vector<std::pair<std::string, ModulePtr>> out;
  for (const Layer& layer : layers) out.emplace_back(layer.name, layer.module);
  return out;
}

}  // namespace

Sequential::Sequential(std::vector<Layer> layers, Site at) : layers_(named(std::move(layers), at)) {
  for (size_t i = 1; i < layers_.size(); ++i) layers_[i - 1].module->followed_by(*layers_[i].module);
}

Tensor Sequential::forward(Pass& pass, Tensor x) {
  for (const Layer& layer : layers_) x = trace_layer(pass, layer.name, *layer.module, x);
  return x;
}

std::vector<std::pair<std::string, ModulePtr>> Sequential::children() const { return named_modules(layers_); }

std::string_view Sequential::suited_initializer() const {
  return layers_.empty() ? "" : layers_.front().module->suited_initializer();
}

void Sequential::followed_by(const Module& next) {
  if (!layers_.empty()) layers_.back().module->followed_by(next);
}

namespace {

constexpr std::string_view shortcut_name = "shortcut";

}  // namespace

Residual::Residual(std::vector<Layer> layers, std::vector<Layer> shortcut, Site at)
    : inner_(std::move(layers), at), at_(at) {
  if (!shortcut.empty()) shortcut_ = std::make_shared<Sequential>(std::move(shortcut), at);
}

std::vector<std::pair<std::string, ModulePtr>> Residual::children() const {
  std::vector<std::pair<std::string, ModulePtr>> out = inner_.children();
  if (shortcut_) out.emplace_back(shortcut_name, shortcut_);
  return out;
}

Tensor Residual::forward(Pass& pass, Tensor x) {
  const Tensor lengths = pass.lengths();
  const Tensor y = inner_.forward(pass, x);
  if (shortcut_) pass.set_lengths(lengths);
  const Tensor beside = shortcut_ ? trace_layer(pass, shortcut_name, *shortcut_, x) : x;
  if (y.type() == beside.type()) return add({beside, at_}, {y, at_});
  const std::string who = layer_label(pass, *this);
  if (shortcut_)
    fail(at_, text(who, "the layers inside make ", y.type(), " of ", x.type(), ", the shortcut ", beside.type(),
                   ", but their sum needs one type"));
  fail(at_, text(who, "the layers inside make ", y.type(), " of ", x.type(), ", but the sum x + f(x) needs one type; ",
                 x.rank() > 2 ? "did you mean to give it a shortcut, or " : "did you mean ", "a last layer with ",
                 x.rank() ? x.shape().back() : 1, " features?"));
}

Branches::Branches(std::vector<Layer> layers, Site at) : layers_(named(std::move(layers), at)), at_(at) {
  if (layers_.empty()) throw UsageError(at, "Branches: there must be a layer inside");
}

std::vector<std::pair<std::string, ModulePtr>> Branches::children() const { return named_modules(layers_); }

Tensor Branches::forward(Pass& pass, Tensor x) {
  Tensors results;
  const Tensor lengths = pass.lengths();
  for (const Layer& layer : layers_) {
    pass.set_lengths(lengths);
    const Tensor y = trace_layer(pass, layer.name, *layer.module, x);
    const Type &first = results.empty() ? y.type() : results[0].type(), &own = y.type();
    const int last = own.shape.rank() - 1;
    if (last < 0 || first.shape.rank() != own.shape.rank() || first.dtype != own.dtype ||
        first.shape.with(last, 0) != own.shape.with(last, 0))
      fail(at_, text(layer_label(pass, *this), "the layers inside make ", first, " and ", own, " of ", x.type(),
                     ", but may differ in the last axis only"));
    results.push_back(y);
  }
  return concat(results, -1, at_);
}

void Branches::followed_by(const Module& next) {
  for (const Layer& layer : layers_) layer.module->followed_by(next);
}

}  // namespace descent::nn
