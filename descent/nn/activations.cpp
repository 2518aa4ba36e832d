#include "descent/nn/activations.h"

#include <algorithm>

#include "descent/ops/elu.h"
#include "descent/ops/gelu.h"
#include "descent/ops/heaviside.h"
#include "descent/ops/leaky_relu.h"
#include "descent/ops/log_softmax.h"
#include "descent/ops/mish.h"
#include "descent/ops/relu.h"
#include "descent/ops/selu.h"
#include "descent/ops/sigmoid.h"
#include "descent/ops/silu.h"
#include "descent/ops/softmax.h"
#include "descent/ops/softplus.h"
#include "descent/ops/tanh.h"

namespace descent::nn {

std::span<const Activation::Row> activation_rows() {
  static const Activation::Row rows[] = {
      {"identity", "Identity", "x", "x itself", "", [](Tensor x, double) { return x; }},
      {"step", "Step", "step(x)", "1 where x > 0, else 0; it has no gradient", "",
       [](Tensor x, double) { return heaviside(x); }},
      {"sigmoid", "Sigmoid", "sigmoid(x)", "1 / (1 + exp(-x))", "glorot_uniform",
       [](Tensor x, double) { return sigmoid(x); }},
      {"tanh", "Tanh", "tanh(x)", "the hyperbolic tangent", "glorot_uniform",
       [](Tensor x, double) { return descent::tanh(x); }},
      {"relu", "ReLU", "relu(x)", "max(x, 0)", "he_uniform", [](Tensor x, double) { return relu(x); }},
      {"leaky_relu", "LeakyReLU", "leaky_relu(x)", "x, or slope x where x < 0", "he_uniform",
       [](Tensor x, double slope) { return leaky_relu(x, slope); }, "slope", 0.01},
      {"elu", "ELU", "elu(x)", "x, or alpha (exp(x) - 1) where x < 0", "he_uniform",
       [](Tensor x, double alpha) { return elu(x, alpha); }, "alpha", 1},
      {"selu", "SELU", "selu(x)", "the ELU that keeps mean 0 and variance 1", "lecun_uniform",
       [](Tensor x, double) { return selu(x); }},
      {"gelu", "GELU", "gelu(x)", "x times the normal distribution function of x", "he_uniform",
       [](Tensor x, double) { return gelu(x); }},
      {"gelu_tanh", "GELU by tanh", "gelu(x)", "GELU by its approximation with tanh", "he_uniform",
       [](Tensor x, double) { return gelu(x, true); }},
      {"silu", "SiLU", "silu(x)", "x sigmoid(x)", "he_uniform", [](Tensor x, double) { return silu(x); }},
      {"mish", "Mish", "mish(x)", "x tanh(softplus(x))", "he_uniform", [](Tensor x, double) { return mish(x); }},
      {"softplus", "Softplus", "softplus(x)", "log(1 + exp(x))", "he_uniform",
       [](Tensor x, double) { return softplus(x); }},
      {"softmax", "Softmax", "softmax(x)", "exp(x) / sum(exp(x)) along the last axis", "glorot_uniform",
       [](Tensor x, double) { return softmax(x); }},
      {"log_softmax", "LogSoftmax", "log_softmax(x)", "the logarithm of softmax", "glorot_uniform",
       [](Tensor x, double) { return log_softmax(x); }}};
  return rows;
}

namespace {

const Activation::Row& row_of(std::string_view kind) {
  for (const Activation::Row& row : activation_rows())
    if (row.kind == kind) return row;
  std::vector<std::string> known;
  for (const Activation::Row& row : activation_rows()) known.emplace_back(row.kind);
  fail_unknown_kind({}, "activation", kind, known);
}

}  // namespace

Activation::Activation(std::string_view kind) : row_(&row_of(kind)), setting_(row_->fallback) {}
Activation::Activation(std::string_view kind, double setting) : row_(&row_of(kind)), setting_(setting) {}

Tensor Activation::forward(Pass&, Tensor x) { return row_->apply(x, setting_); }

std::string Activation::describe() const {
  return row_->setting.empty() ? std::string(row_->title) : text(row_->title, " ", setting_);
}

}  // namespace descent::nn
