#include "descent/nn/embedding.h"

#include "descent/nn/decoding.h"
#include "descent/ops/add.h"
#include "descent/ops/cast.h"
#include "descent/ops/gather.h"
#include "descent/ops/matmul.h"
#include "descent/ops/sinusoids.h"
#include "descent/ops/slice.h"

namespace descent::nn {

namespace {

constexpr double deviation = 0.02;

// Rows of places, each with features.
void check_places(const Pass& pass, const Module& layer, const Type& x, Site at) {
  if (x.dtype != DType::f32 || x.shape.rank() < 2 || x.shape.back() == 0)
    fail(at, text(layer_label(pass, layer), "needs f32 inputs [.., places, features], got ", x,
                  x.dtype == DType::f32 ? "" : "; did you mean an Embedding before it?"));
}

}  // namespace

Embedding::Embedding(int64_t count, int64_t features, Site at) : count_(count), features_(features), at_(at) {
  if (count < 1 || features < 1)
    throw UsageError(at, text("Embedding: needs at least one token and one feature, got ", count, " and ", features));
}

std::vector<ParameterPtr> Embedding::parameters() const {
  return weight_ ? std::vector{weight_} : std::vector<ParameterPtr>{};
}

Tensor Embedding::forward(Pass& pass, Tensor x) {
  if (is_floating(x.dtype()) || x.dtype() == DType::boolean)
    fail(at_, text(layer_label(pass, *this), "input ", x.type(), " has no numbers of tokens, which are integers"));
  if (!weight_) weight_ = make_parameter(pass, "weight", {count_, features_}, init::normal(0, deviation), true);
  return gather(pass.parameter(weight_), cast(x, DType::i32, at_), at_);
}

TiedScores::TiedScores(std::shared_ptr<Embedding> embedding, Site at) : embedding_(std::move(embedding)), at_(at) {
  if (!embedding_) throw UsageError(at, "TiedScores: there is no embedding");
}

Tensor TiedScores::forward(Pass& pass, Tensor x) {
  const std::string who = layer_label(pass, *this);
  if (!embedding_->weight()) fail(at_, text(who, "comes before its embedding, whose weight it takes"));
  const Type& weight = embedding_->weight()->type();
  const int64_t count = weight.shape[0], features = weight.shape[1];
  if (x.dtype() != DType::f32 || x.rank() == 0 || x.shape().back() != features)
    fail(at_, text(who, "needs f32 inputs with ", features, " features, those of the embedding ", weight, ", got ",
                   x.type()));
  const Tensor rows = reshape(x, {-1, features}, at_);
  const Tensor scores = matmul(rows, transpose(pass.parameter(embedding_->weight()), at_), at_);
  return reshape(scores, x.shape().with(x.rank() - 1, count), at_);
}

LearntPositions::LearntPositions(int64_t most, Site at) : most_(most), at_(at) {
  if (most < 1) throw UsageError(at, text("LearntPositions: needs at least one place, got ", most));
}

std::vector<ParameterPtr> LearntPositions::parameters() const {
  return weight_ ? std::vector{weight_} : std::vector<ParameterPtr>{};
}

Tensor LearntPositions::forward(Pass& pass, Tensor x) {
  check_places(pass, *this, x.type(), at_);
  const int64_t places = x.shape()[x.rank() - 2], features = x.shape().back();
  const std::string who = layer_label(pass, *this);
  if (places > most_)
    fail(at_, text(who, "input ", x.type(), " has ", places, " places, but there are vectors for ", most_));
  if (!weight_) weight_ = make_parameter(pass, "weight", {most_, features}, init::normal(0, deviation), true);
  if (weight_->type().shape[1] != features)
    fail(at_, text(who, "input ", x.type(), " has ", features, " features, but the weight ", weight_->type(), " has ",
                   weight_->type().shape[1]));
  const Tensor weight = pass.parameter(weight_);
  if (Decoding* decoding = pass.decoding()) return add({x, at_}, {gather(weight, decoding->position(), at_), at_});
  return add({x, at_}, {slice_axis(weight, 0, 0, places, 1, at_), at_});
}

SinusoidalPositions::SinusoidalPositions(double base, Site at) : base_(base), at_(at) {
  if (!(base > 1)) throw UsageError(at, text("SinusoidalPositions: the base must be above 1, got ", base));
}

Tensor SinusoidalPositions::forward(Pass& pass, Tensor x) {
  check_places(pass, *this, x.type(), at_);
  if (x.shape().back() % 2 != 0)
    fail(at_, text(layer_label(pass, *this), "input ", x.type(), " has an odd number of features, but sines and ",
                   "cosines come in pairs"));
  const Tensor places = pass.decoding() ? pass.decoding()->position()
                                        : iota(pass.graph(), Shape{x.shape()[x.rank() - 2]}, 0, DType::i32, at_);
  return add({x, at_}, {sinusoids(places, x.shape().back(), base_, at_), at_});
}

}  // namespace descent::nn
