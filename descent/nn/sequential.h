// Layers that hold layers.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

// One layer after the other: Sequential{Flatten{}, Linear{512}, ReLU{}, {"scores", Linear{10}}}. A layer without a name
// is called by its number, from 0. Names are unique and without dots. Copies share the layers.
class Sequential : public Module {
 public:
  Sequential(std::initializer_list<Layer> layers, Site at = Site::here())
      : Sequential(std::vector<Layer>(layers), at) {}
  explicit Sequential(std::vector<Layer> layers, Site at = Site::here());

  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "Sequential"; }
  std::string formula() const override { return "f(x)"; }
  bool goes_place_by_place() const override { return children_go_place_by_place(*this); }
  bool takes_lengths() const override { return true; }
  std::vector<std::pair<std::string, ModulePtr>> children() const override;
  std::string_view suited_initializer() const override;
  void followed_by(const Module& next) override;

 private:
  std::vector<Layer> layers_;
};

// He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2016: x + f(x), f being the layers inside,
// which must keep the shape; or h(x) + f(x), where layers of a shortcut h bring x to f's shape.
class Residual : public Module {
 public:
  Residual(std::initializer_list<Layer> layers, Site at = Site::here()) : inner_(layers, at), at_(at) {}
  explicit Residual(std::vector<Layer> layers, std::vector<Layer> shortcut = {}, Site at = Site::here());

  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "Residual"; }
  std::string formula() const override { return shortcut_ ? "h(x) + f(x)" : "x + f(x)"; }
  bool goes_place_by_place() const override { return children_go_place_by_place(*this); }
  bool takes_lengths() const override { return true; }
  // The layers of f; then h as one, called "shortcut".
  std::vector<std::pair<std::string, ModulePtr>> children() const override;
  void followed_by(const Module& next) override { inner_.followed_by(next); }

 private:
  Sequential inner_;
  std::shared_ptr<Sequential> shortcut_;
  Site at_;
};

// Several ways from one x: [f(x), g(x), ..], what each of the layers inside makes of it, side by side along the last
// axis (as in Szegedy et al., "Going deeper with convolutions", 2015). Their results differ in that axis only.
class Branches : public Module {
 public:
  Branches(std::initializer_list<Layer> layers, Site at = Site::here()) : Branches(std::vector<Layer>(layers), at) {}
  explicit Branches(std::vector<Layer> layers, Site at = Site::here());

  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "Branches"; }
  std::string formula() const override { return "[f(x)]"; }
  bool goes_place_by_place() const override { return children_go_place_by_place(*this); }
  bool takes_lengths() const override { return true; }
  std::vector<std::pair<std::string, ModulePtr>> children() const override;
  std::string_view suited_initializer() const override { return layers_.front().module->suited_initializer(); }
  void followed_by(const Module& next) override;

 private:
  std::vector<Layer> layers_;
  Site at_;
};

}  // namespace descent::nn
