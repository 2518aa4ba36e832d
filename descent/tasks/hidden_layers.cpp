#include "descent/tasks/hidden_layers.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "descent/base/text.h"
#include "descent/nn/activations.h"
#include "descent/nn/summary.h"
#include "descent/tasks/run_net.h"
#include "descent/tasks/toml_text.h"

namespace descent::tasks {

using nn::Settings;

namespace {

bool is_linear(const Settings& layer) { return layer.word("kind") == "linear"; }

// What a dense net has between its products.
bool keeps_features(const Settings& layer) {
  static constexpr std::array<std::string_view, 5> others{"dropout", "batch_norm", "layer_norm", "rms_norm", "scale"};
  const std::string& kind = layer.word("kind");
  return std::ranges::find(others, kind) != others.end() ||
         std::ranges::find(nn::activation_rows(), kind, &nn::Activation::Row::kind) != nn::activation_rows().end();
}

[[noreturn]] void fail_no_hidden(const Recipe& recipe) {
  const Site at = recipe.layers.empty() ? recipe.ready.at() : recipe.layers.front().at();
  const std::string what = recipe.layers.empty() ? text("the ready net '", recipe.ready.word("kind"), "'") : "the net";
  throw UsageError(at, text(what,
                            " has no dense hidden layers that could be varied: layers must end with two of kind "
                            "'linear' at least, with activations, dropout and norms alone between them"));
}

Settings with_features(const Settings& layer, int64_t features) {
  static constexpr std::string_view own[] = {"features", "name"};  // names are unique
  Settings out = layer.without(own);
  if (is_linear(layer)) out.set("features", features, layer.at());
  return out;
}

}  // namespace

HiddenLayers::HiddenLayers(const Recipe& recipe) : recipe_(recipe) {
  const std::vector<Settings>& all = recipe.layers;
  const auto last = std::find_if(all.rbegin(), all.rend(), is_linear);
  if (last == all.rend()) fail_no_hidden(recipe);
  const auto outputs = std::prev(last.base());
  auto first = outputs;
  for (auto at = outputs; at != all.begin() && (is_linear(*std::prev(at)) || keeps_features(*std::prev(at))); --at)
    if (is_linear(*std::prev(at))) first = std::prev(at);
  if (first == outputs) fail_no_hidden(recipe);
  before_ = {all.begin(), first};
  layer_ = {first, std::find_if(std::next(first), outputs, is_linear)};
  after_ = {outputs, all.end()};
}

std::vector<Settings> HiddenLayers::layers(int64_t depth, int64_t width) const {
  std::vector<Settings> out = before_;
  for (int64_t i = 0; i < depth; ++i)
    for (const Settings& part : layer_) out.push_back(with_features(part, width));
  out.insert(out.end(), after_.begin(), after_.end());
  return out;
}

Recipe HiddenLayers::recipe(int64_t depth, int64_t width) const {
  Recipe out = parse_recipe(recipe_.text, recipe_.path, {text("layers=", toml_list(layers(depth, width)))});
  out.base = recipe_.base;
  return out;
}

int64_t HiddenLayers::parameters(const Preprocess& preprocess, int64_t depth, int64_t width) const {
  return nn::summarise(*make_run_net(recipe(depth, width), preprocess), preprocess.batch(1)).parameters;
}

int64_t HiddenLayers::width_for(const Preprocess& preprocess, int64_t depth, int64_t budget) const {
  // A weight has a row or a column a unit, or both; so the number of parameters is a polynomial of the second degree,
  // and three of its values tell all, without making nets of any size.
  const int64_t one = parameters(preprocess, depth, 1), two = parameters(preprocess, depth, 2),
                three = parameters(preprocess, depth, 3);
  if (one > budget)
    throw UsageError(text("a budget of ", budget, " parameters is too small: with ", depth,
                          depth == 1 ? " hidden layer" : " hidden layers", " of one unit the net has ", one));
  const int64_t square = (three - 2 * two + one) / 2, linear = two - one - 3 * square, fixed = one - square - linear;
  const auto count = [&](int64_t width) { return (square * width + linear) * width + fixed; };
  int64_t low = 1, high = 2;
  for (; count(high) <= budget; high *= 2) low = high;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (count(middle) <= budget ? low : high) = middle;
  }
  return count(high) - budget < budget - count(low) ? high : low;
}

}  // namespace descent::tasks
