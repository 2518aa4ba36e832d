// Transformers as layers of other layers.
#pragma once

#include <optional>

#include "descent/nn/sequential.h"

namespace descent::nn {

struct TransformerOptions {
  int64_t width = 128;  // features of each place
  int64_t heads = 4;
  int64_t hidden = 0;  // units of the feed-forward part; 0: four times the width
  bool causal = false;
  bool cross = false;     // between the two parts each place looks at another sequence (nn/cross_attention.h)
  bool rotary = false;    // positions in the attention; else they are added before the first block
  bool bias = true;       // of linear layers
  bool rms_norm = false;  // instead of layer norm
  double dropout = 0;     // of what each part adds
  int64_t depth = 1;      // how many blocks follow each other: what each adds starts smaller by 1 / sqrt(parts of all)
};

// f32 [B, T, width] to the same: x + attention(norm(x)), then x + linear(gelu(linear(norm(x)))), two parts or, with
// `cross` attention between them, three. The norms come first
// (Xiong et al., "On layer normalization in the transformer architecture", 2020), so that sums are left alone; weights
// start normal with deviation 0.02, as in GPT-2 (Radford et al. 2019).
Sequential transformer_block(const TransformerOptions& options, Site at = Site::here());

// Blocks one after the other, called block1, block2 and so on, and a norm, f32 [B, T, width] to the same (Vaswani et
// al., "Attention is all you need", 2017). Of an encoder each place sees its whole sequence; of a decoder itself and
// those before it, and all of Pass::source(), what the encoder made of another sequence. Each takes `causal`, `cross`
// and `depth` from what it is, whatever the options say.
class TransformerEncoder : public Sequential {
 public:
  explicit TransformerEncoder(int64_t layers, TransformerOptions block = {}, Site at = Site::here());
  std::string describe() const override { return "TransformerEncoder"; }
};
class TransformerDecoder : public Sequential {
 public:
  explicit TransformerDecoder(int64_t layers, TransformerOptions block = {}, Site at = Site::here());
  std::string describe() const override { return "TransformerDecoder"; }
};

// What adds positions before the first block: none for rotary ones, which are in the attention, and for "none". Fails
// if there are no positions of this name.
std::optional<Layer> positions_layer(const std::string& positions, int64_t context, Site at = Site::here());

struct DecoderOptions {
  int64_t outputs = 256;  // tokens
  int64_t layers = 4;
  int64_t context = 256;             // the most places; only learnt positions are bound to it
  std::string positions = "learnt";  // or sinusoidal, rotary, none
  bool tied = true;                  // scores by the embedding's own vectors
  TransformerOptions block = {};     // causal, and of `layers` depth, whatever it says
};

// A language model: tokens i32 [B, T] to scores f32 [B, T, outputs] of the token that comes next, from those so far
// alone (Radford et al., "Improving language understanding by generative pre-training", 2018).
Sequential decoder(const DecoderOptions& options, Site at = Site::here());

// The rows of net_kinds() for sequences, and the settings that a block has in recipes.
std::vector<Kind<Sequential>> sequence_net_kinds();
std::vector<SettingRule> transformer_rules();
TransformerOptions transformer_options(const Settings& settings);

}  // namespace descent::nn
