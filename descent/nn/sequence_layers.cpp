#include "descent/nn/sequence_layers.h"

#include "descent/nn/attention.h"
#include "descent/nn/embedding.h"
#include "descent/nn/recurrent.h"
#include "descent/nn/transformer.h"

namespace descent::nn {

namespace {

template <class T>
ModulePtr shared(T layer) {
  return std::make_shared<T>(std::move(layer));
}

const SettingRule causal{"causal", false, "a place sees itself and those before it only"};
const SettingRule rotary{"rotary", false, "queries and keys are turned by their places"};

Kind<ModulePtr> block_kind() {
  std::vector<SettingRule> rules = transformer_rules();
  rules.front().needed = true;  // the width
  rules.insert(rules.end(), {causal, rotary, {"depth", int64_t{1}, "how many blocks there are, for initial values"}});
  return {"transformer_block", "x + attention of x, then x + a feed-forward net of x", std::move(rules),
          [](const Settings& s) {
            TransformerOptions options = transformer_options(s);
            options.causal = s.flag("causal");
            options.rotary = s.flag("rotary");
            options.depth = s.integer("depth");
            return shared(transformer_block(options, s.at()));
          }};
}

Kind<ModulePtr> encoder_kind() {
  std::vector<SettingRule> rules = transformer_rules();
  rules.front().needed = true;  // the width
  rules.insert(rules.end(), {{"layers", int64_t{1}, "how many blocks there are"}, rotary});
  return {"transformer_encoder", "transformer blocks, each place seeing its whole sequence, and a norm",
          std::move(rules), [](const Settings& s) {
            TransformerOptions options = transformer_options(s);
            options.rotary = s.flag("rotary");
            return shared(TransformerEncoder(s.integer("layers"), options, s.at()));
          }};
}

// One layer by itself has no stack around it, whose name its parameters would carry.
template <class T>
Kind<ModulePtr> recurrent_kind(std::string_view name, std::string_view about) {
  return {name,
          about,
          {{"hidden", int64_t{0}, "the number of hidden units, of each direction", true},
           {"layers", int64_t{1}, "how many there are, one on the other"},
           {"bidirectional", false, "each goes both ways, and its states stand side by side"},
           {"reverse", false, "from the end of a sequence to its beginning"},
           {"dropout", 0.0, "between the layers"}},
          [](const Settings& s) -> ModulePtr {
            const StackOptions options{s.integer("layers"), s.flag("bidirectional"), s.number("dropout")};
            const bool plain = options.layers == 1 && !options.bidirectional, reverse = s.flag("reverse");
            if (reverse && !plain)
              throw UsageError(s.at("reverse"), "'reverse' is for one layer that does not go both ways");
            if (plain) return shared(T(s.integer("hidden"), {.reverse = reverse}, s.at("hidden")));
            return shared(recurrent_stack<T>(s.integer("hidden"), options, s.at()));
          }};
}

}  // namespace

std::vector<Kind<ModulePtr>> sequence_layer_kinds() {
  return {{"embedding",
           "a learnt vector for each token",
           {{"count", int64_t{0}, "the number of tokens", true}, {"features", int64_t{0}, "of each vector", true}},
           [](const Settings& s) { return shared(Embedding(s.integer("count"), s.integer("features"), s.at())); }},
          {"learnt_positions",
           "a learnt vector for each place, added",
           {{"most", int64_t{0}, "the most places", true}},
           [](const Settings& s) { return shared(LearntPositions(s.integer("most"), s.at("most"))); }},
          {"sinusoidal_positions",
           "sines and cosines of each place, added",
           {{"base", 1e4, "of the wavelengths"}},
           [](const Settings& s) { return shared(SinusoidalPositions(s.number("base"), s.at("base"))); }},
          {"self_attention",
           "each place asks all places of its sequence",
           {{"heads", int64_t{1}, "groups of features that ask for themselves"}, causal, rotary},
           [](const Settings& s) {
             return shared(
                 SelfAttention(s.integer("heads"), {.causal = s.flag("causal"), .rotary = s.flag("rotary")}, s.at()));
           }},
          block_kind(),
          encoder_kind(),
          recurrent_kind<GRU>("gru", "gated recurrent units"),
          recurrent_kind<LSTM>("lstm", "long short-term memory")};
}

}  // namespace descent::nn
