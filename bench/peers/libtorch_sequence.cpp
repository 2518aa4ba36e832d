// LibTorch peer: one whole training step of a net for sequences, timed. The nets are those of training_step --net NAME:
// lstm and gru (embedding of 256, 256 units, 64 characters; Adam), transformer-tiny, -small and -large (a decoder with
// learnt positions, scores tied to the embedding; AdamW, gradients clipped to norm 1).
//
// A step gathers a random batch of windows, runs forward, cross entropy of each place, backward and the update. As in
// libtorch_mlp.cpp, --tuned 1 keeps memory in malloc and flushes denormals.
//
//   libtorch_sequence --net gru --batch 64 --precision bf16 --bf16 master --steps 10 --threads 2
#include <malloc.h>
#include <torch/torch.h>

#include <ATen/autocast_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

namespace nn = torch::nn;
using torch::Tensor;

constexpr int64_t kRows = 5000, kCharacters = 65;

struct Size {
  const char* name;
  int64_t layers, width, heads, places;
};
constexpr Size kTransformers[] = {
    {"transformer-tiny", 4, 128, 4, 64}, {"transformer-small", 4, 128, 4, 128}, {"transformer-large", 6, 384, 6, 256}};

struct Options {
  std::string net = "gru";
  std::string precision = "f32";  // f32 | bf16
  std::string bf16 = "master";    // master | autocast
  int64_t batch = 64, steps = 10, warmup = 2;
  int threads = 2;
  bool tuned = true;
};

[[noreturn]] void usage(const std::string& problem) {
  std::fprintf(
      stderr,
      "libtorch_sequence: %s\n"
      "usage: libtorch_sequence [--net lstm|gru|transformer-tiny|transformer-small|transformer-large] [--batch 64]\n"
      "                         [--precision f32|bf16] [--bf16 master|autocast] [--steps 10] [--warmup 2]\n"
      "                         [--threads 2] [--tuned 0|1]\n",
      problem.c_str());
  std::exit(2);
}

std::string one_of(const std::string& flag, const std::string& text, const std::vector<std::string>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) usage(flag + " does not know '" + text + "'");
  return text;
}

int64_t positive(const std::string& flag, const std::string& text) {
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value <= 0) usage(flag + " wants a positive number, got '" + text + "'");
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i], value = argv[i + 1];
    if (flag == "--net")
      options.net =
          one_of(flag, value, {"lstm", "gru", kTransformers[0].name, kTransformers[1].name, kTransformers[2].name});
    else if (flag == "--precision")
      options.precision = one_of(flag, value, {"f32", "bf16"});
    else if (flag == "--bf16")
      options.bf16 = one_of(flag, value, {"master", "autocast"});
    else if (flag == "--batch")
      options.batch = positive(flag, value);
    else if (flag == "--steps")
      options.steps = positive(flag, value);
    else if (flag == "--warmup")
      options.warmup = positive(flag, value);
    else if (flag == "--threads")
      options.threads = static_cast<int>(positive(flag, value));
    else if (flag == "--tuned")
      options.tuned = one_of(flag, value, {"0", "1"}) == "1";
    else
      usage("unknown flag '" + flag + "'");
  }
  if (argc % 2 == 0) usage(std::string("'") + argv[argc - 1] + "' lacks its value");
  return options;
}

// Before anything allocates or starts a thread.
void tune_process() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 2047 << 20);
  mallopt(M_TOP_PAD, 64 << 20);
  at::globalContext().setFlushDenormal(true);
}

// Tokens to scores of the next one at each place.
struct NetImpl : nn::Module {
  virtual Tensor forward(const Tensor& tokens) = 0;
  virtual int64_t places() const = 0;
};

template <class Cells, class Options>
struct RecurrentNet : NetImpl {
  RecurrentNet()
      : tokens(register_module("tokens", nn::Embedding(kCharacters, 256))),
        cells(register_module("cells", Cells(Options(256, 256).batch_first(true)))),
        scores(register_module("scores", nn::Linear(256, kCharacters))) {}
  Tensor forward(const Tensor& x) override { return scores(std::get<0>(cells->forward(tokens(x)))); }
  int64_t places() const override { return 64; }

  nn::Embedding tokens;
  Cells cells;
  nn::Linear scores;
};

nn::Linear linear(int64_t in, int64_t out) { return nn::Linear(nn::LinearOptions(in, out).bias(false)); }

nn::LayerNorm norm(int64_t width) { return nn::LayerNorm(nn::LayerNormOptions({width})); }

struct BlockImpl : nn::Module {
  BlockImpl(int64_t width, int64_t heads)
      : heads(heads),
        norm1(register_module("norm1", norm(width))),
        norm2(register_module("norm2", norm(width))),
        inputs(register_module("inputs", linear(width, 3 * width))),
        output(register_module("output", linear(width, width))),
        hidden(register_module("hidden", linear(width, 4 * width))),
        back(register_module("back", linear(4 * width, width))) {}

  Tensor forward(Tensor x, const Tensor& hides) {
    x = x + attend(norm1(x), hides);
    return x + back(torch::gelu(hidden(norm2(x))));
  }
  Tensor attend(const Tensor& x, const Tensor& hides) {
    const int64_t batch = x.size(0), places = x.size(1), width = x.size(2), each = width / heads;
    const std::vector<Tensor> qkv = inputs(x).view({batch, places, 3, heads, each}).permute({2, 0, 3, 1, 4}).unbind(0);
    const Tensor weights =
        (torch::matmul(qkv[0], qkv[1].transpose(-2, -1)) * (1 / std::sqrt(static_cast<double>(each))))
            .masked_fill(hides, -std::numeric_limits<float>::infinity())
            .softmax(-1);
    return output(torch::matmul(weights, qkv[2]).transpose(1, 2).reshape({batch, places, width}));
  }

  int64_t heads;
  nn::LayerNorm norm1, norm2;
  nn::Linear inputs, output, hidden, back;
};
TORCH_MODULE(Block);

struct Decoder : NetImpl {
  explicit Decoder(const Size& size)
      : length(size.places),
        tokens(register_module("tokens", nn::Embedding(kCharacters, size.width))),
        positions(register_module("positions", nn::Embedding(size.places, size.width))),
        last(register_module("last", norm(size.width))),
        hides(torch::ones({size.places, size.places}, torch::kBool).triu(1)) {
    for (int64_t i = 0; i < size.layers; ++i)
      blocks.push_back(register_module("block" + std::to_string(i), Block(size.width, size.heads)));
    torch::NoGradGuard guard;
    for (const Tensor& parameter : parameters())
      if (parameter.dim() == 2) parameter.normal_(0, 0.02);
  }
  Tensor forward(const Tensor& x) override {
    Tensor y = tokens(x) + positions->weight;
    for (Block& block : blocks) y = block->forward(y, hides);
    return torch::linear(last(y), tokens->weight);
  }
  int64_t places() const override { return length; }

  int64_t length;
  nn::Embedding tokens, positions;
  nn::LayerNorm last;
  std::vector<Block> blocks;
  Tensor hides;
};

std::shared_ptr<NetImpl> make_net(const std::string& name) {
  if (name == "lstm") return std::make_shared<RecurrentNet<nn::LSTM, nn::LSTMOptions>>();
  if (name == "gru") return std::make_shared<RecurrentNet<nn::GRU, nn::GRUOptions>>();
  return std::make_shared<Decoder>(*std::find_if(std::begin(kTransformers), std::end(kTransformers),
                                                 [&](const Size& size) { return name == size.name; }));
}

class Step {
 public:
  explicit Step(const Options& options)
      : options_(options), bf16_(options.precision == "bf16"), autocast_(bf16_ && options.bf16 == "autocast") {
    torch::manual_seed(1);
    net_ = make_net(options.net);
    tokens_ = torch::randint(kCharacters, {kRows, net_->places()}, torch::kLong);
    targets_ = torch::randint(kCharacters, {kRows, net_->places()}, torch::kLong);
    if (bf16_ && !autocast_) {
      for (const Tensor& parameter : net_->parameters())
        masters_.push_back(parameter.detach().clone().set_requires_grad(true));
      net_->to(torch::kBFloat16);
    }
    trained_ = masters_.empty() ? net_->parameters() : masters_;
    clips_ = options.net.rfind("transformer", 0) == 0;
    if (clips_)
      optimizer_ = std::make_unique<torch::optim::AdamW>(
          trained_, torch::optim::AdamWOptions(1e-3).betas({0.9, 0.99}).weight_decay(0.1));
    else
      optimizer_ = std::make_unique<torch::optim::Adam>(trained_, torch::optim::AdamOptions(1e-3));
  }

  double operator()() {
    const Tensor rows = torch::randint(kRows, {options_.batch}, torch::kLong);
    const Tensor loss = loss_of(tokens_.index_select(0, rows), targets_.index_select(0, rows).flatten());
    net_->zero_grad(/*set_to_none=*/true);
    loss.backward();
    if (!masters_.empty()) give_gradients_to_masters();
    if (clips_) nn::utils::clip_grad_norm_(trained_, 1.0);
    optimizer_->step();
    if (!masters_.empty()) copy_masters_back();
    return loss.item<double>();
  }

 private:
  Tensor cost(const Tensor& tokens, const Tensor& targets) {
    return torch::cross_entropy_loss(net_->forward(tokens).flatten(0, 1).to(torch::kFloat), targets);
  }
  Tensor loss_of(const Tensor& tokens, const Tensor& targets) {
    if (!autocast_) return cost(tokens, targets);
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    at::autocast::set_cpu_enabled(true);
    const Tensor loss = cost(tokens, targets);
    at::autocast::clear_cache();
    at::autocast::set_cpu_enabled(false);
    return loss;
  }

  void give_gradients_to_masters() {
    const std::vector<Tensor> parameters = net_->parameters();
    for (size_t i = 0; i < masters_.size(); ++i) masters_[i].mutable_grad() = parameters[i].grad().to(torch::kFloat);
  }

  void copy_masters_back() {
    torch::NoGradGuard guard;
    std::vector<Tensor> parameters = net_->parameters();
    for (size_t i = 0; i < masters_.size(); ++i) parameters[i].copy_(masters_[i]);
  }

  Options options_;
  std::shared_ptr<NetImpl> net_;
  bool bf16_, autocast_, clips_ = false;
  Tensor tokens_, targets_;
  std::vector<Tensor> masters_, trained_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.tuned) tune_process();
  torch::set_num_threads(options.threads);
  Step step(options);
  double loss = 0;
  for (int64_t i = 0; i < options.warmup; ++i) loss = step();
  std::vector<double> microseconds;
  for (int64_t i = 0; i < options.steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    loss = step();
    microseconds.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(microseconds.begin(), microseconds.end());
  const double median = microseconds[microseconds.size() / 2];
  std::printf(
      "{\"peer\":\"libtorch\",\"version\":\"%s\",\"net\":\"%s\",\"batch\":%lld,\"precision\":\"%s\",\"bf16\":\"%s\","
      "\"threads\":%d,\"us_per_step\":%.1f,\"best_us\":%.1f,\"samples_per_second\":%.0f,\"loss\":%.4f}\n",
      TORCH_VERSION, options.net.c_str(), static_cast<long long>(options.batch), options.precision.c_str(),
      options.bf16.c_str(), options.threads, median, microseconds.front(),
      static_cast<double>(options.batch) * 1e6 / median, loss);
  return std::isfinite(loss) ? 0 : 1;
}
