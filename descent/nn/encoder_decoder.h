// Nets that answer one sequence with another: an encoder reads the first, and a decoder makes the second, looking at
// what the encoder made (Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks", 2014).
#pragma once

#include "descent/nn/transformer.h"

namespace descent::nn {

// Tokens i32 [B, 2 N] to scores f32 [B, N, tokens]: the first N places of a row are what is answered, the others the
// answer so far, whose next tokens are scored. Both are padded with -1, which no place before it sees. The encoder
// makes f32 [B, N, features] of tokens [B, N] and knows their lengths; the decoder makes scores of tokens [B, N],
// those of a place from it and those before it, and its layers find what the encoder made in Pass::source().
//
// Going place by place (nn/decoding.h): with the first place of the answer comes what is answered, [B, N + 1], then
// one place [B, 1] after the other.
class EncoderDecoder : public Module {
 public:
  EncoderDecoder(Layer encoder, Layer decoder, Site at = Site::here());

  Tensor forward(Pass& pass, Tensor x) override;
  std::string describe() const override { return "EncoderDecoder"; }
  std::string formula() const override { return "decoder(x, encoder(x))"; }
  bool goes_place_by_place() const override { return decoder_->goes_place_by_place(); }
  std::vector<std::pair<std::string, ModulePtr>> children() const override;

 private:
  void encode(Pass& pass, Tensor tokens);

  ModulePtr encoder_, decoder_;
  Site at_;
};

struct EncoderDecoderOptions {
  std::string cell = "transformer";  // or gru, lstm
  int64_t outputs = 256;             // tokens
  int64_t layers = 2;                // of each side
  int64_t context = 64;              // the most places of each side; only learnt positions are bound to it
  std::string positions = "rotary";  // of transformers: learnt, sinusoidal, rotary or none
  TransformerOptions block = {};     // of recurrent cells `width`, even, and `dropout` count
};

// Transformers: blocks whose places see all of the other's turn, then causal blocks that look at it. Recurrent cells:
// a stack that goes both ways, half the width each; then one that goes forward, each layer of which begins from what
// the encoder made of the first place, and attention: norm(W [state; what was seen]) (Bahdanau, Cho and Bengio, "Neural
// machine translation by jointly learning to align and translate", 2015; Luong et al. 2015, who have a tanh there,
// which small vectors of tokens drive to its ends). Both sides share the tokens' vectors, which also score (Press and
// Wolf 2017).
Sequential encoder_decoder(const EncoderDecoderOptions& options, Site at = Site::here());

// The row of net_kinds().
Kind<Sequential> encoder_decoder_kind();

}  // namespace descent::nn
