#include "descent/nn/encoder_decoder.h"

#include <algorithm>
#include <cmath>

#include "descent/nn/cross_attention.h"
#include "descent/nn/decoding.h"
#include "descent/nn/embedding.h"
#include "descent/nn/layers.h"
#include "descent/nn/norms.h"
#include "descent/nn/recurrent.h"
#include "descent/ops/cast.h"
#include "descent/ops/compare.h"
#include "descent/ops/slice.h"
#include "descent/ops/sum.h"

namespace descent::nn {

EncoderDecoder::EncoderDecoder(Layer encoder, Layer decoder, Site at)
    : encoder_(std::move(encoder.module)), decoder_(std::move(decoder.module)), at_(at) {}

std::vector<std::pair<std::string, ModulePtr>> EncoderDecoder::children() const {
  return {{"encoder", encoder_}, {"decoder", decoder_}};
}

// The encoder reads whole sequences, also where the decoder goes place by place.
void EncoderDecoder::encode(Pass& pass, Tensor tokens) {
  const Tensor there = less_equal({0.0, at_}, {tokens, at_});
  const Tensor lengths = cast(sum(cast(there, DType::f32, at_), {1}, false, at_), DType::i32, at_);
  Decoding* const decoding = pass.decoding();
  pass.decode(nullptr);
  pass.set_lengths(lengths);
  const Tensor source = trace_layer(pass, "encoder", *encoder_, tokens);
  pass.set_lengths({});
  pass.decode(decoding);
  pass.set_source(source, lengths);
}

Tensor EncoderDecoder::forward(Pass& pass, Tensor x) {
  const bool whole = pass.decoding() == nullptr;
  if (x.dtype() != DType::i32 || x.rank() != 2 || x.shape()[1] == 0 || (whole && x.shape()[1] % 2 != 0))
    fail(at_, text(layer_label(pass, *this), "needs tokens i32 [sequences, places], half of them to be answered and ",
                   "half the answer, got ", x.type()));
  const int64_t places = x.shape()[1], own = whole ? places / 2 : 1;
  if (places > own) encode(pass, slice_axis(x, 1, 0, places - own, 1, at_));
  const Tensor scores = trace_layer(pass, "decoder", *decoder_, slice_axis(x, 1, places - own, places, 1, at_));
  pass.set_source({}, {});
  return scores;
}

namespace {

constexpr std::string_view transformer = "transformer", gru = "gru", lstm = "lstm";

void check(const EncoderDecoderOptions& options, Site at) {
  const std::vector<std::string> cells{std::string(transformer), std::string(gru), std::string(lstm)};
  if (std::ranges::find(cells, options.cell) == cells.end()) fail_unknown_kind(at, "cell", options.cell, cells);
  if (options.layers < 1)
    throw UsageError(at, text("an encoder-decoder needs at least one layer on each side, got ", options.layers));
  if (options.cell != transformer && (options.block.width < 2 || options.block.width % 2 != 0))
    throw UsageError(at, text("the width of an encoder-decoder of ", options.cell, " cells must be even, for both ",
                              "directions of the encoder, got ", options.block.width));
}

// Tokens as vectors, at their places. They start small, as their scores should, and recurrent layers want larger ones
// (Vaswani et al. 2017, section 3.4).
std::vector<Layer> token_layers(const EncoderDecoderOptions& options, const ModulePtr& tokens, Site at) {
  std::vector<Layer> layers{{"tokens", Layer(tokens)}};
  std::optional<Layer> positions;
  if (options.cell == transformer) positions = positions_layer(options.positions, options.context, at);
  if (positions) layers.emplace_back("positions", std::move(*positions));
  if (options.cell != transformer)
    layers.emplace_back("scale", Scale(std::sqrt(static_cast<double>(options.block.width))));
  if (options.block.dropout > 0) layers.emplace_back("dropout", Dropout(options.block.dropout, at));
  return layers;
}

template <class T>
Sequential read_both_ways(const EncoderDecoderOptions& options, Site at) {
  return recurrent_stack<T>(options.block.width / 2,
                            {.layers = options.layers, .bidirectional = true, .dropout = options.block.dropout}, at);
}

// States, and beside each what it looks at.
template <class T>
Sequential answer_states(const EncoderDecoderOptions& options, Site at) {
  const int64_t width = options.block.width;
  const Residual seen({{"attention", CrossAttention(1, {}, at)}}, {Linear(width, {.bias = false}, at)}, at);
  return Sequential(
      {{"states", recurrent_stack<T>(
                      width, {.layers = options.layers, .dropout = options.block.dropout, .from_source = true}, at)},
       {"seen", seen},
       {"norm", LayerNorm{}}},
      at);
}

struct Sides {
  Layer encoder, decoder;
};

Sides sides_of(const EncoderDecoderOptions& options, Site at) {
  if (options.cell == gru) return {read_both_ways<GRU>(options, at), answer_states<GRU>(options, at)};
  if (options.cell == lstm) return {read_both_ways<LSTM>(options, at), answer_states<LSTM>(options, at)};
  TransformerOptions block = options.block;
  block.rotary = options.positions == "rotary";
  return {TransformerEncoder(options.layers, block, at), TransformerDecoder(options.layers, block, at)};
}

}  // namespace

Sequential encoder_decoder(const EncoderDecoderOptions& options, Site at) {
  check(options, at);
  const auto tokens = std::make_shared<Embedding>(options.outputs, options.block.width, at);
  Sides sides = sides_of(options, at);
  std::vector<Layer> reads = token_layers(options, tokens, at), answers = reads;
  reads.emplace_back("layers", std::move(sides.encoder));
  answers.emplace_back("layers", std::move(sides.decoder));
  if (options.cell != transformer && options.block.dropout > 0)
    answers.emplace_back("last_dropout", Dropout(options.block.dropout, at));
  answers.emplace_back("scores", TiedScores(tokens, at));
  return Sequential({{"net", EncoderDecoder(Sequential(std::move(reads), at), Sequential(std::move(answers), at), at)}},
                    at);
}

Kind<Sequential> encoder_decoder_kind() {
  const EncoderDecoderOptions usual;
  std::vector<SettingRule> rules{{"outputs", usual.outputs, "the number of tokens", true},
                                 {"cell", usual.cell, "transformer, gru or lstm"},
                                 {"layers", usual.layers, "of each side, one on the other"},
                                 {"context", usual.context, "the most places of each side, for learnt positions"},
                                 {"positions", usual.positions, "learnt, sinusoidal, rotary or none"}};
  for (SettingRule& rule : transformer_rules()) rules.push_back(std::move(rule));
  return {"encoder_decoder", "answers a sequence with another, for task = \"reply\"", std::move(rules),
          [](const Settings& s) {
            return encoder_decoder({.cell = s.word("cell"),
                                    .outputs = s.integer("outputs"),
                                    .layers = s.integer("layers"),
                                    .context = s.integer("context"),
                                    .positions = s.word("positions"),
                                    .block = transformer_options(s)},
                                   s.at());
          }};
}

}  // namespace descent::nn
