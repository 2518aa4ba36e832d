// Recurrent layers: a state that each place of a sequence changes. Each takes x f32 [B, T, features] and gives the
// states after each place, f32 [B, T, hidden], beginning with zeros. Cells of one's own: nn/scan.h.
//
// What the places add to the gates is one product for all of them, "inputs" (an affine map); each step adds the state's
// own product with PATH.weight f32 [hidden, gates * hidden], which starts orthogonal. The steps are unrolled, so a
// program is for one T.
#pragma once

#include "descent/nn/linear.h"
#include "descent/nn/sequential.h"

namespace descent::nn {

struct RecurrentOptions {
  bool reverse = false;  // from each sequence's end to its beginning: a state has seen its place and those behind it
  // Begins with tanh(W s + b), "begin", of the first place s of Pass::source(), which what goes backwards has made of
  // the whole sequence (Bahdanau, Cho and Bengio 2015), instead of with zeros.
  bool from_source = false;
};

class Recurrent : public Module {
 public:
  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override;
  bool goes_place_by_place() const override { return !options_.reverse; }
  bool takes_lengths() const override { return true; }
  std::vector<std::pair<std::string, ModulePtr>> children() const override;
  std::vector<ParameterPtr> parameters() const override { return parameters_; }

 protected:
  Recurrent(std::string_view name, int64_t gates, int64_t hidden, RecurrentOptions options, Site at);

  // What a step is made from: sums of the gates from the place, f32 [B, gates * hidden], and the states before it.
  // Returns the states after it, the one that shows first.
  virtual Tensors step(Pass& pass, Tensor from_input, const Tensors& states) = 0;
  virtual size_t states_kept() const { return 1; }
  virtual void make(Pass& pass);

  Tensor recurrent_product(Pass& pass, Tensor state) const;

  std::string_view name_;
  int64_t gates_, hidden_;
  RecurrentOptions options_;
  Site at_;
  std::vector<ParameterPtr> parameters_;  // the weight first

 private:
  void check(const Pass& pass, const Type& x) const;
  Tensors begin(Pass& pass, int64_t sequences);
  Tensor go_on(Pass& pass, Tensor from_input);

  ModulePtr inputs_, begin_;
};

// Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, with the reset gate behind the
// product: r = sigmoid(W_r x + U_r h), z likewise, n = tanh(W_n x + r (U_n h + b)), h' = n + z (h - n). The gates lie
// in the order r, z, n; b is PATH.bias f32 [hidden].
class GRU : public Recurrent {
 public:
  explicit GRU(int64_t hidden, RecurrentOptions options = {}, Site at = Site::here())
      : Recurrent("GRU", 3, hidden, options, at) {}
  std::string formula() const override { return "gru(x)"; }

 protected:
  Tensors step(Pass& pass, Tensor from_input, const Tensors& states) override;
  void make(Pass& pass) override;
};

// Hochreiter and Schmidhuber, "Long short-term memory", 1997, with the forget gate of Gers et al. (2000):
// c' = sigmoid(f + 1) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c'), each of i, f, g, o being W x + U h, in this
// order. The 1 lets it remember from the start (Jozefowicz et al., "An empirical exploration of recurrent network
// architectures", 2015).
class LSTM : public Recurrent {
 public:
  explicit LSTM(int64_t hidden, RecurrentOptions options = {}, Site at = Site::here())
      : Recurrent("LSTM", 4, hidden, options, at) {}
  std::string formula() const override { return "lstm(x)"; }

 protected:
  Tensors step(Pass& pass, Tensor from_input, const Tensors& states) override;
  size_t states_kept() const override { return 2; }
};

// Both ways (Schuster and Paliwal, "Bidirectional recurrent neural networks", 1997): a layer beside one in reverse,
// f32 [B, T, features] to f32 [B, T, 2 * hidden]. T is GRU or LSTM.
template <class T>
Branches bidirectional(int64_t hidden, Site at = Site::here()) {
  return Branches({{"forward", T(hidden, {}, at)}, {"backward", T(hidden, {.reverse = true}, at)}}, at);
}

struct StackOptions {
  int64_t layers = 1;
  bool bidirectional = false;
  double dropout = 0;        // between two layers
  bool from_source = false;  // see RecurrentOptions
};

// Layers one on the other, each reading the states of the one below, called layer1, layer2 and so on.
template <class T>
Sequential recurrent_stack(int64_t hidden, const StackOptions& options, Site at = Site::here());
extern template Sequential recurrent_stack<GRU>(int64_t hidden, const StackOptions& options, Site at);
extern template Sequential recurrent_stack<LSTM>(int64_t hidden, const StackOptions& options, Site at);

}  // namespace descent::nn
