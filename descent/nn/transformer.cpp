#include "descent/nn/transformer.h"

#include <algorithm>
#include <cmath>

#include "descent/nn/activations.h"
#include "descent/nn/attention.h"
#include "descent/nn/cross_attention.h"
#include "descent/nn/embedding.h"
#include "descent/nn/encoder_decoder.h"
#include "descent/nn/layers.h"
#include "descent/nn/linear.h"

namespace descent::nn {

namespace {

constexpr double deviation = 0.02;

LinearOptions linear_options(const TransformerOptions& options, double scale = 1) {
  return {.bias = options.bias, .init = init::normal(0, scale * deviation)};
}

Layer norm(const TransformerOptions& options) { return options.rms_norm ? Layer(RmsNorm{}) : Layer(LayerNorm{}); }

// x + dropout(what the layers make of norm(x)).
Residual part(const TransformerOptions& options, std::vector<Layer> layers, Site at) {
  layers.insert(layers.begin(), {"norm", norm(options)});
  if (options.dropout > 0) layers.emplace_back("dropout", Dropout(options.dropout, at));
  return Residual(std::move(layers), {}, at);
}

void check(const TransformerOptions& options, Site at) {
  const auto positive = [&](int64_t value, std::string_view what) {
    if (value < 1) throw UsageError(at, text("a transformer's ", what, " must be at least 1, got ", value));
  };
  positive(options.width, "width");
  positive(options.heads, "number of heads");
  positive(options.depth, "depth");
  if (options.hidden < 0) throw UsageError(at, text("a transformer's hidden units cannot be ", options.hidden));
  if (options.width % options.heads != 0)
    throw UsageError(
        at, text("a transformer's width of ", options.width, " cannot be parted into ", options.heads, " heads"));
}

}  // namespace

Sequential transformer_block(const TransformerOptions& options, Site at) {
  check(options, at);
  const double smaller = 1 / std::sqrt((options.cross ? 3 : 2) * static_cast<double>(options.depth));
  const LinearOptions enters = linear_options(options), adds = linear_options(options, smaller);
  const int64_t hidden = options.hidden > 0 ? options.hidden : 4 * options.width;
  const SelfAttention attention(
      options.heads, {.causal = options.causal, .rotary = options.rotary, .input = enters, .output = adds}, at);
  std::vector<Layer> parts{{"attention", part(options, {{"heads", attention}}, at)}};
  if (options.cross) {
    const CrossAttention cross(options.heads, {.queries = enters, .source = enters, .output = adds}, at);
    parts.emplace_back("cross_attention", part(options, {{"heads", cross}}, at));
  }
  parts.emplace_back(
      "feed_forward",
      part(options,
           {{"hidden", Linear(hidden, enters, at)}, {"gelu", GELU{}}, {"output", Linear(options.width, adds, at)}},
           at));
  return Sequential(std::move(parts), at);
}

namespace {

std::vector<Layer> blocks_and_norm(int64_t layers, TransformerOptions block, Site at) {
  if (layers < 1) throw UsageError(at, text("a transformer needs at least one layer, got ", layers));
  block.depth = layers;
  std::vector<Layer> out;
  for (int64_t i = 1; i <= layers; ++i) out.emplace_back(text("block", i), transformer_block(block, at));
  out.emplace_back("norm", norm(block));
  return out;
}

TransformerOptions as(TransformerOptions block, bool decoder) {
  block.causal = block.cross = decoder;
  return block;
}

}  // namespace

TransformerEncoder::TransformerEncoder(int64_t layers, TransformerOptions block, Site at)
    : Sequential(blocks_and_norm(layers, as(block, false), at), at) {}
TransformerDecoder::TransformerDecoder(int64_t layers, TransformerOptions block, Site at)
    : Sequential(blocks_and_norm(layers, as(block, true), at), at) {}

std::optional<Layer> positions_layer(const std::string& positions, int64_t context, Site at) {
  static const std::vector<std::string> known{"learnt", "sinusoidal", "rotary", "none"};
  if (positions == "learnt") return LearntPositions(context, at);
  if (positions == "sinusoidal") return SinusoidalPositions(1e4, at);
  if (std::ranges::find(known, positions) == known.end()) fail_unknown_kind(at, "positions", positions, known);
  return std::nullopt;
}

Sequential decoder(const DecoderOptions& options, Site at) {
  std::optional<Layer> positions = positions_layer(options.positions, options.context, at);
  if (options.layers < 1) throw UsageError(at, text("a decoder needs at least one layer, got ", options.layers));
  TransformerOptions block = options.block;
  block.causal = true;
  block.cross = false;
  block.rotary = options.positions == "rotary";
  const auto tokens = std::make_shared<Embedding>(options.outputs, block.width, at);
  std::vector<Layer> layers{{"tokens", Layer(ModulePtr(tokens))}};
  if (positions) layers.emplace_back("positions", std::move(*positions));
  if (block.dropout > 0) layers.emplace_back("dropout", Dropout(block.dropout, at));
  std::ranges::move(blocks_and_norm(options.layers, block, at), std::back_inserter(layers));
  LinearOptions untied{.bias = false, .init = init::normal(0, deviation)};
  layers.emplace_back(
      "scores", options.tied ? Layer(TiedScores(tokens, at)) : Layer(Linear(options.outputs, std::move(untied), at)));
  return Sequential(std::move(layers), at);
}

std::vector<SettingRule> transformer_rules() {
  const TransformerOptions usual;
  return {{"width", usual.width, "features of each place"},
          {"heads", usual.heads, "of the attention"},
          {"hidden", usual.hidden, "units of the feed-forward part; 0: four times the width"},
          {"bias", usual.bias, "whether linear layers have one"},
          {"rms_norm", usual.rms_norm, "instead of layer norm"},
          {"dropout", usual.dropout, "of what each part adds"}};
}

TransformerOptions transformer_options(const Settings& settings) {
  return {.width = settings.integer("width"),
          .heads = settings.integer("heads"),
          .hidden = settings.integer("hidden"),
          .bias = settings.flag("bias"),
          .rms_norm = settings.flag("rms_norm"),
          .dropout = settings.number("dropout")};
}

std::vector<Kind<Sequential>> sequence_net_kinds() {
  const DecoderOptions usual;
  std::vector<SettingRule> rules{{"outputs", usual.outputs, "the number of tokens", true},
                                 {"layers", usual.layers, "blocks one after the other"},
                                 {"context", usual.context, "the most places"},
                                 {"positions", usual.positions, "learnt, sinusoidal, rotary or none"},
                                 {"tied", usual.tied, "whether tokens are scored by their own vectors"}};
  for (SettingRule& rule : transformer_rules()) rules.push_back(std::move(rule));
  return {{"decoder", "a transformer that tells which token comes next", std::move(rules),
           [](const Settings& s) {
             return decoder({.outputs = s.integer("outputs"),
                             .layers = s.integer("layers"),
                             .context = s.integer("context"),
                             .positions = s.word("positions"),
                             .tied = s.flag("tied"),
                             .block = transformer_options(s)},
                            s.at());
           }},
          encoder_decoder_kind()};
}

}  // namespace descent::nn
