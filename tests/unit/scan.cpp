// Cells of one's own: what they make of sequences, and that they learn as layers do.
#include "descent/nn/scan.h"

#include <cmath>

#include "descent/nn/linear.h"
#include "descent/nn/recurrent.h"
#include "tests/unit/gradient_testing.h"
#include "tests/unit/step_reference.h"

namespace descent::nn {
namespace {

Array varied(Shape shape, double phase) {
  Array out(DType::f32, shape);
  for (int64_t i = 0; i < out.elements(); ++i) out.set(i, std::sin(1.7 * static_cast<double>(i) + phase));
  return out;
}

Array lengths_of(std::vector<int32_t> lengths) {
  const auto count = static_cast<int64_t>(lengths.size());
  return Array::from(std::span<const int32_t>(lengths), {count});
}

// Sums up, and shows twice the sum; how many places there were is a state, too.
CellResult summing(Tensor x, const Tensors& states) {
  const Tensor sum = states[0] + x;
  return {2 * sum, {sum, states[1] + 1.0}};
}

// Outputs and both states after a scan of x [B, T, F] with the cell above.
std::vector<Array> sums_of(const Array& x, const ScanOptions& options, std::vector<int32_t> lengths = {}) {
  const Function function(
      [&](Pass&, std::span<const Tensor> in) -> Tensors {
        ScanOptions own = options;
        if (in.size() > 1) own.lengths = in[1];
        const Tensor zeros = broadcast(constant_like(in[0], 0), Shape{x.shape()[0], x.shape()[2]});
        const Scanned all = scan(summing, in[0], {zeros, zeros}, own);
        return {all.outputs, all.states[0], all.states[1]};
      },
      {});
  std::vector<Array> arguments{x};
  if (!lengths.empty()) arguments.push_back(lengths_of(std::move(lengths)));
  return reference_step(function, arguments);
}

TEST(Scan, GoesFromPlaceToPlace) {
  const Array x = matrix({1, 2, 3, 10, 20, 30}, {2, 3, 1});
  const std::vector<Array> there = sums_of(x, {}), back = sums_of(x, {.reverse = true});
  EXPECT_EQ(there[0].shape(), (Shape{2, 3, 1}));
  expect_near(there[0], {2, 6, 12, 20, 60, 120});
  expect_near(there[1], {6, 60});
  expect_near(there[2], {3, 3});
  expect_near(back[0], {12, 10, 6, 120, 100, 60});
  expect_near(back[1], {6, 60});
}

TEST(Scan, EndsWhereSequencesEnd) {
  const Array x = matrix({1, 2, 3, 10, 20, 30, 5, 5, 5}, {3, 3, 1});
  const std::vector<Array> there = sums_of(x, {}, {3, 1, 0}), back = sums_of(x, {.reverse = true}, {3, 1, 0});
  expect_near(there[0], {2, 6, 12, 20, 0, 0, 0, 0, 0});
  expect_near(there[1], {6, 10, 0});
  expect_near(there[2], {3, 1, 0});
  expect_near(back[0], {12, 10, 6, 20, 0, 0, 0, 0, 0});
  expect_near(back[1], {6, 10, 0});
  // What stands behind the ends makes no difference.
  const Array other = matrix({1, 2, 3, 10, 1e6, -1e6, 7, NAN, 7}, {3, 3, 1});
  for (const bool reverse : {false, true}) {
    const std::vector<Array> a = sums_of(x, {.reverse = reverse}, {3, 1, 0}),
                             b = sums_of(other, {.reverse = reverse}, {3, 1, 0});
    for (size_t i = 0; i < a.size(); ++i) expect_near(b[i], a[i].to_doubles());
  }
}

// GRU (nn/recurrent.h) as somebody would write it.
class OwnGru : public Module {
 public:
  explicit OwnGru(int64_t hidden) : hidden_(hidden), inputs_(std::make_shared<Linear>(3 * hidden)) {}

  Tensor forward(Pass& pass, Tensor x) override {
    const Tensor in = trace_layer(pass, "inputs", *inputs_, x);
    if (!weight_) {
      weight_ = make_parameter(pass, "weight", {hidden_, 3 * hidden_}, init::orthogonal(), true);
      bias_ = make_parameter(pass, "bias", {hidden_}, init::zeros(), false);
    }
    const auto cell = [&](Tensor place, const Tensors& states) -> CellResult {
      const Tensor h = states[0];
      const Tensors a = split(place, 1, 3), b = split(matmul(h, pass.parameter(weight_)), 1, 3);
      const Tensor r = sigmoid(a[0] + b[0]), z = sigmoid(a[1] + b[1]);
      const Tensor n = tanh(a[2] + r * (b[2] + pass.parameter(bias_)));
      const Tensor next = n + z * (h - n);
      return {next, {next}};
    };
    const Tensor zeros = broadcast(constant_like(x, 0), Shape{x.shape()[0], hidden_});
    return scan(cell, in, {zeros}, {.lengths = pass.lengths()}).outputs;
  }
  std::string describe() const override { return "OwnGru"; }
  std::string formula() const override { return "gru(x)"; }
  bool takes_lengths() const override { return true; }
  std::vector<std::pair<std::string, ModulePtr>> children() const override { return {{"inputs", inputs_}}; }
  std::vector<ParameterPtr> parameters() const override {
    return weight_ ? std::vector{weight_, bias_} : std::vector<ParameterPtr>{};
  }

 private:
  int64_t hidden_;
  ModulePtr inputs_;
  ParameterPtr weight_, bias_;
};

// The loss and all gradients of a net, as compiled.
std::vector<Array> loss_and_gradients(Module& net, const Array& x) {
  Function step(
      [&](Pass& pass, std::span<const Tensor> in) -> Tensors {
        const Tensor y = zeros_after_end(pass, net(in[0], pass), Site::here());
        Tensors out{sum(y * (y + 0.3))}, wrt;
        for (const ParameterPtr& parameter : pass.parameters()) wrt.push_back(pass.read(parameter));
        std::ranges::copy(gradients(out[0], wrt), std::back_inserter(out));
        return out;
      },
      {.precision = Precision::f32});
  std::vector<Array> out;
  for (const Array& each : step({x})) out.push_back(each.clone());
  return out;
}

TEST(Scan, OfAGruIsTheLayer) {
  Array whole = varied({3, 5, 4}, 0.3), uneven = whole.clone();
  for (int64_t i = 4 * 4; i < 2 * 5 * 4; ++i)
    if (i < 5 * 4 || i >= 7 * 4) uneven.set(i, NAN);  // lengths 4, 2 and 5
  for (const Array& x : {whole, uneven}) {
    Sequential own{EndAtNan{}, {"gru", OwnGru{6}}}, layer{EndAtNan{}, {"gru", GRU{6}}};
    make_parameters(own, x.type(), 9);
    make_parameters(layer, x.type(), 9);
    ASSERT_EQ(all_parameters(own).size(), all_parameters(layer).size());
    for (size_t i = 0; i < all_parameters(own).size(); ++i)
      EXPECT_EQ(all_parameters(own)[i]->name(), all_parameters(layer)[i]->name());
    const std::vector<Array> a = loss_and_gradients(own, x), b = loss_and_gradients(layer, x);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) expect_near(a[i], b[i].to_doubles(), 1e-4);
    expect_gradients_of_differences(own, x);
  }
}

TEST(Scan, SaysWhatDoesNotFit) {
  const auto sentence = [](const Array& x, const Cell& cell) {
    return error_of([&] {
      const Function function(
          [&](Pass&, std::span<const Tensor> in) -> Tensors {
            const Tensor zeros = broadcast(constant_like(in[0], 0), Shape{2, 2});
            return {scan(cell, in[0], {zeros}).outputs};
          },
          {});
      reference_step(function, {x});
    });
  };
  const Array x = varied({2, 3, 2}, 0);
  const auto keeps = [](Tensor, const Tensors& states) -> CellResult { return {states[0], states}; };
  EXPECT_TRUE(contains(sentence(varied({2}, 0), keeps), "needs sequences [sequences, places, ..]"));
  EXPECT_TRUE(contains(sentence(Array(DType::f32, {2, 0, 2}), keeps), "at least one place, got f32[2,0,2]"));
  EXPECT_TRUE(contains(sentence(x,
                                [](Tensor at, const Tensors&) -> CellResult {
                                  return {at, {sum(at, {1})}};
                                }),
                       "state 0 of the cell is f32[2,2] before a place and f32[2] after it"));
  EXPECT_TRUE(contains(sentence(x,
                                [](Tensor at, const Tensors&) -> CellResult {
                                  return {at, {}};
                                }),
                       "has 1 states before a place and 0 after it"));
  EXPECT_TRUE(contains(sentence(x,
                                [](Tensor, const Tensors& states) -> CellResult {
                                  return {{}, states};
                                }),
                       "the cell has no output"));
}

}  // namespace
}  // namespace descent::nn
