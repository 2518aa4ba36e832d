// Times whole training steps of a classifier: batch from bytes, forward, cross entropy, backward, update.
//
// training_step --net 784,512,10 --batch 128 --precision auto|f32|bf16 --steps 2000 --threads 2 [--profile]
// prints one JSON object; bench/compare runs it and the LibTorch programs (peers/) in turns. A net is the sizes of a
// dense one (with Adam), or the name of a convolutional one: lenet (Adam), fast-cifar or resnet-18 (Nesterov's
// momentum), or of one that says which of 65 characters comes next: lstm or gru (256 units, 64 characters, Adam),
// transformer-tiny, -small or -large (layers x width, characters: 4 x 128, 64; 4 x 128, 128; 6 x 384, 256; AdamW,
// gradients clipped).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <random>
#include <sstream>

#include "descent/base/threads.h"
#include "descent/descent.h"
#include "descent/nn/embedding.h"
#include "descent/nn/recurrent.h"
#include "descent/nn/transformer.h"

namespace {

using namespace descent;

struct Options {
  std::string net = "784,512,10";
  int64_t batch = 128;
  std::string precision = "auto";
  int steps = 2000, warmup = 100, threads = 2;
  bool profile = false;
};

nn::Precision precision_of(const std::string& name) {
  return name == "f32" ? nn::Precision::f32 : name == "bf16" ? nn::Precision::bf16 : nn::Precision::automatic;
}

// Random images and labels: the bytes do not matter to the clock, only that they are read like a real set.
data::Dataset random_images(int64_t count, const Shape& image, int64_t classes) {
  std::mt19937 draw(1);
  data::Dataset out;
  Shape shape{count};
  for (const int64_t size : image) shape.push_back(size);
  out.inputs = Array(DType::u8, shape);
  for (uint8_t& byte : out.inputs.as<uint8_t>()) byte = static_cast<uint8_t>(draw());
  out.targets = Array(DType::i32, {count});
  for (int32_t& label : out.targets.as<int32_t>()) label = static_cast<int32_t>(draw() % static_cast<uint32_t>(classes));
  out.classes = data::numbered_classes(classes);
  return out;
}

data::Dataset random_text(int64_t count, int64_t places, int64_t characters) {
  std::mt19937 draw(1);
  data::Dataset out;
  for (Array* tokens : {&out.inputs, &out.targets}) {
    *tokens = Array(DType::i32, {count, places});
    for (int32_t& token : tokens->as<int32_t>())
      token = static_cast<int32_t>(draw() % static_cast<uint32_t>(characters));
  }
  out.classes = data::numbered_classes(characters);
  return out;
}

// What is timed: a net, what it takes (an image, or places of a text) and gives, and what trains it.
struct Subject {
  nn::Sequential net;
  Shape input;
  int64_t classes;
  optim::Optimizer optimizer;
  bool reads_text = false;
  double clip_norm = 0;  // 0: not clipped

  data::Dataset examples() const {
    if (reads_text) return random_text(5000, input[0], classes);
    return random_images(input.rank() == 3 ? 20000 : 60000, input, classes);
  }
  Tensor numbers(Tensor batch) const {
    return reads_text ? batch : (cast(batch, DType::f32) * (1 / 255.0) - 0.1307) * (1 / 0.3081);
  }
};

Subject dense_net(const std::string& sizes) {
  std::vector<int64_t> each;
  std::stringstream stream(sizes);
  for (std::string size; std::getline(stream, size, ',');) each.push_back(std::stoll(size));
  if (each.size() < 2)
    fail(text("--net takes sizes as in 784,512,10, or the name of a net that --help lists, not '", sizes, "'"));
  std::vector<nn::Layer> layers;
  for (size_t i = 1; i < each.size(); ++i) {
    layers.emplace_back(nn::Linear{each[i]});
    if (i + 1 < each.size()) layers.emplace_back(nn::ReLU{});
  }
  return {nn::Sequential(std::move(layers)), {each.front()}, each.back(), optim::Adam{.learning_rate = 1e-3}};
}

nn::Sequential lenet() {
  return nn::Sequential{nn::Conv{32, 3}, nn::ReLU{}, nn::MaxPool{2},   nn::Conv{64, 3}, nn::ReLU{},
                        nn::MaxPool{2},  nn::Flatten{}, nn::Linear{128}, nn::ReLU{},      nn::Linear{10}};
}

// The shape of airbench94 (Jordan, arXiv 2404.00498), with its first layer trained as well.
nn::Sequential fast_cifar() {
  std::vector<nn::Layer> layers{nn::Conv{24, 2, {.padding = 0}}, nn::GELU{}};
  const auto conv = [](int64_t width) { return nn::Conv{width, 3, {.bias = false}}; };
  for (const int64_t width : {64, 256, 256})
    layers.emplace_back(nn::Sequential{conv(width), nn::MaxPool{2}, nn::BatchNorm{}, nn::GELU{}, conv(width), nn::BatchNorm{}, nn::GELU{}});
  layers.emplace_back(nn::MaxPool{3});
  layers.emplace_back(nn::Flatten{});
  layers.emplace_back(nn::Linear{10, {.bias = false}});
  return nn::Sequential(std::move(layers));
}

template <class Layer>
Subject recurrent() {
  return {.net = {nn::Embedding{65, 256}, Layer{256}, nn::Linear{65}},
          .input = {64},
          .classes = 65,
          .optimizer = optim::Adam{.learning_rate = 1e-3},
          .reads_text = true};
}

Subject transformer(int64_t layers, int64_t width, int64_t heads, int64_t places) {
  return {.net = nn::decoder({.outputs = 65,
                              .layers = layers,
                              .context = places,
                              .block = {.width = width, .heads = heads, .bias = false}}),
          .input = {places},
          .classes = 65,
          .optimizer = optim::AdamW{.learning_rate = 1e-3, .beta2 = 0.99, .weight_decay = 0.1},
          .reads_text = true,
          .clip_norm = 1};
}

Subject subject(const std::string& net) {
  const optim::SGD nesterov{.learning_rate = 0.01, .momentum = 0.9, .nesterov = true};
  if (net == "lenet") return {lenet(), {28, 28}, 10, optim::Adam{.learning_rate = 1e-3}};
  if (net == "fast-cifar") return {fast_cifar(), {32, 32, 3}, 10, nesterov};
  if (net == "resnet-18") return {nn::resnet18(), {32, 32, 3}, 10, nesterov};
  if (net == "lstm") return recurrent<nn::LSTM>();
  if (net == "gru") return recurrent<nn::GRU>();
  if (net == "transformer-tiny") return transformer(4, 128, 4, 64);
  if (net == "transformer-small") return transformer(4, 128, 4, 128);
  if (net == "transformer-large") return transformer(6, 384, 6, 256);
  return dense_net(net);
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size()) / 2, values.end());
  return values[values.size() / 2];
}

void print_profile(const nn::Function& step) {
  for (const Executable::StepTime& time : step.step_times())
    fmt::print(stderr, "{:9.1f} us  {:<28} {}\n", time.runs ? time.seconds / static_cast<double>(time.runs) * 1e6 : 0, time.kernel, time.label);
}

int run(const Options& options) {
  set_thread_count(options.threads);
  Subject timed = subject(options.net);
  nn::Function step = nn::compile(
      [&](nn::Pass& pass, Tensor batch, Tensor labels) {
        const Tensor loss = nn::cross_entropy(timed.net.forward(pass, timed.numbers(batch)), labels);
        optim::minimize(pass, loss, timed.optimizer, {.clip = {.norm = timed.clip_norm}});
        return loss;
      },
      {.training = true, .precision = precision_of(options.precision), .profile = options.profile});
  data::Batches batches(timed.examples(), {.batch_size = options.batch, .drop_last = true});

  std::vector<double> seconds;
  uint64_t epoch = 0;
  double loss = 0;
  for (int i = 0; i < options.warmup + options.steps; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const data::Batch* batch = batches.next();
    if (batch == nullptr) {
      batches.start(epoch++);
      batch = batches.next();
    }
    loss = step({batch->inputs, batch->targets})[0].item();
    if (i >= options.warmup) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  if (options.profile) print_profile(step);
  const double us = median(seconds) * 1e6;
  fmt::print("{{\"peer\":\"descent\",\"net\":\"{}\",\"batch\":{},\"precision\":\"{}\",\"threads\":{},\"us_per_step\":{:.1f},\"best_us\":{:.1f},"
             "\"samples_per_second\":{:.0f},\"loss\":{:.4f}}}\n",
             options.net, options.batch, nn::use_bf16(precision_of(options.precision)) ? "bf16" : "f32", options.threads, us,
             *std::min_element(seconds.begin(), seconds.end()) * 1e6, static_cast<double>(options.batch) / us * 1e6, loss);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Times whole training steps of a classifier.");
  app.add_option("--net", options.net,
                 "sizes, inputs first; or lenet, fast-cifar, resnet-18, lstm, gru, transformer-tiny, -small, -large");
  app.add_option("--batch", options.batch);
  app.add_option("--precision", options.precision)->check(CLI::IsMember({"auto", "f32", "bf16"}));
  app.add_option("--steps", options.steps);
  app.add_option("--warmup", options.warmup);
  app.add_option("--threads", options.threads);
  app.add_flag("--profile", options.profile, "time each kernel");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
