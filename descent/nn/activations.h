// Activations as layers. Each applies one function to every element, softmax and log-softmax to every row (the last
// axis); none has parameters.
#pragma once

#include "descent/nn/module.h"

namespace descent::nn {

class Activation : public Module {
 public:
  struct Row {
    std::string_view kind, title, formula;  // "leaky_relu", "LeakyReLU", "leaky_relu(x)"
    std::string_view about;
    std::string_view suited;  // the initialiser for weights before it
    Tensor (*apply)(Tensor x, double setting);
    std::string_view setting = "";  // the name of its one setting, if it has one
    double fallback = 0;
  };

  // The row called `kind`, with its setting.
  explicit Activation(std::string_view kind);
  Activation(std::string_view kind, double setting);

  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  std::string formula() const override { return std::string(row_->formula); }
  bool goes_place_by_place() const override { return true; }
  bool takes_lengths() const override { return true; }
  std::string_view suited_initializer() const override { return row_->suited; }

 private:
  const Row* row_;
  double setting_;
};

// The table of activations. A new one is a row here, and a struct below for writing it in C++.
std::span<const Activation::Row> activation_rows();

// clang-format off
struct Identity : Activation { Identity() : Activation("identity") {} };
struct Step : Activation { Step() : Activation("step") {} };  // 1 where x > 0; nothing is learnt through it
struct Sigmoid : Activation { Sigmoid() : Activation("sigmoid") {} };
struct Tanh : Activation { Tanh() : Activation("tanh") {} };
struct ReLU : Activation { ReLU() : Activation("relu") {} };
struct LeakyReLU : Activation { explicit LeakyReLU(double slope = 0.01) : Activation("leaky_relu", slope) {} };
struct ELU : Activation { explicit ELU(double alpha = 1) : Activation("elu", alpha) {} };
struct SELU : Activation { SELU() : Activation("selu") {} };
struct GELU : Activation { GELU() : Activation("gelu") {} };
struct GELUTanh : Activation { GELUTanh() : Activation("gelu_tanh") {} };
struct SiLU : Activation { SiLU() : Activation("silu") {} };
struct Mish : Activation { Mish() : Activation("mish") {} };
struct Softplus : Activation { Softplus() : Activation("softplus") {} };
struct Softmax : Activation { Softmax() : Activation("softmax") {} };
struct LogSoftmax : Activation { LogSoftmax() : Activation("log_softmax") {} };
// clang-format on

}  // namespace descent::nn
