// A recurrent cell of one's own: the minimal gated unit (Zhou et al. 2016), unrolled by nn::scan, learns to add the two
// numbers of a sequence that are marked.
#include <cstdio>
#include <random>

#include "descent/descent.h"

using namespace descent;

namespace {

// f = sigmoid(W x + U h), n = tanh(V x + f (R h)), h' = h + f (n - h).
class MinimalGatedUnit : public nn::Module {
 public:
  explicit MinimalGatedUnit(int64_t hidden) : hidden_(hidden) {}

  Tensor forward(nn::Pass& pass, Tensor x) override {
    if (!from_place_) {
      from_place_ = nn::make_parameter(pass, "place", {x.shape()[2], 2 * hidden_}, nn::init::glorot_uniform(), true);
      from_state_ = nn::make_parameter(pass, "state", {hidden_, 2 * hidden_}, nn::init::orthogonal(), true);
    }
    const auto cell = [&](Tensor place, const Tensors& states) -> nn::CellResult {
      const Tensor h = states[0];
      const Tensors in = split(matmul(place, pass.parameter(from_place_)), 1, 2),
                    own = split(matmul(h, pass.parameter(from_state_)), 1, 2);
      const Tensor forget = sigmoid(in[0] + own[0]);
      const Tensor next = h + forget * (tanh(in[1] + forget * own[1]) - h);
      return {next, {next}};
    };
    const Tensor zeros = broadcast(constant_like(x, 0), Shape{x.shape()[0], hidden_});
    return nn::scan(cell, x, {zeros}, {.lengths = pass.lengths()}).states[0];  // after the last place
  }
  std::string describe() const override { return text("MinimalGatedUnit ", hidden_); }
  std::string formula() const override { return "mgu(x)"; }
  std::vector<nn::ParameterPtr> parameters() const override { return {from_place_, from_state_}; }

 private:
  int64_t hidden_;
  nn::ParameterPtr from_place_, from_state_;
};

}  // namespace

int main() {
  constexpr int64_t batch = 64, places = 12;
  nn::Sequential net{MinimalGatedUnit{32}, nn::Linear{1}};
  optim::Optimizer adam = optim::Adam{.learning_rate = 0.01};
  nn::Function step = nn::compile(
      [&](nn::Pass& pass, Tensor x, Tensor sum) {
        const Tensor loss = nn::mean_squared_error(net(x, pass), sum);
        optim::minimize(pass, loss, adam);
        return loss;
      },
      {.training = true, .seed = 1});
  std::mt19937 random(1);
  std::uniform_real_distribution<float> number(0, 1);
  Array x(DType::f32, {batch, places, 2}), sum(DType::f32, {batch, 1});  // a place has a number and a mark
  for (int i = 1; i <= 1500; ++i) {
    for (int64_t row = 0; row < batch; ++row) {
      const auto first = static_cast<int64_t>(random() % (places / 2));
      const auto second = places / 2 + static_cast<int64_t>(random() % (places / 2));
      double total = 0;
      for (int64_t place = 0; place < places; ++place) {
        const float value = number(random);
        const bool marked = place == first || place == second;
        x.set((row * places + place) * 2, value);
        x.set((row * places + place) * 2 + 1, marked ? 1 : 0);
        if (marked) total += value;
      }
      sum.set(row, total);
    }
    const double loss = step({x, sum})[0].item();
    if (i == 1 || i % 500 == 0) std::printf("step %4d: squared error %.4f\n", i, loss);
  }
}
