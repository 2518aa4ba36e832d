// LibTorch peer: one whole training step of a convolutional net, timed. The nets are those of training_step --net NAME.
//
// A step gathers a random batch from an in-memory uint8 array, scales it, runs forward, cross entropy, backward and the
// update (Adam for lenet, Nesterov's momentum for the others). As in libtorch_mlp.cpp, --tuned 1 keeps memory in malloc
// and flushes denormals; --layout last gives images and weights as channels-last, which LibTorch then keeps throughout.
//
//   libtorch_conv --net fast-cifar --batch 512 --precision bf16 --bf16 master --layout last --steps 10 --threads 2
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

constexpr int64_t kRows = 20000;

struct Options {
  std::string net = "lenet";      // lenet | fast-cifar | resnet-18
  std::string precision = "f32";  // f32 | bf16
  std::string bf16 = "master";    // master | autocast
  std::string layout = "last";    // last | first: where the channels are
  int64_t batch = 128, steps = 20, warmup = 3;
  int threads = 2;
  bool tuned = true;
};

[[noreturn]] void usage(const std::string& problem) {
  std::fprintf(stderr,
               "libtorch_conv: %s\n"
               "usage: libtorch_conv [--net lenet|fast-cifar|resnet-18] [--batch 128] [--precision f32|bf16] [--bf16 "
               "master|autocast]\n"
               "                     [--layout last|first] [--steps 20] [--warmup 3] [--threads 2] [--tuned 0|1]\n",
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
      options.net = one_of(flag, value, {"lenet", "fast-cifar", "resnet-18"});
    else if (flag == "--precision")
      options.precision = one_of(flag, value, {"f32", "bf16"});
    else if (flag == "--bf16")
      options.bf16 = one_of(flag, value, {"master", "autocast"});
    else if (flag == "--layout")
      options.layout = one_of(flag, value, {"last", "first"});
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

nn::Conv2d conv(int64_t in, int64_t out, int64_t kernel, int64_t padding, bool bias, int64_t stride = 1) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, kernel).padding(padding).bias(bias).stride(stride));
}

nn::Sequential lenet() {
  return nn::Sequential(conv(1, 32, 3, 1, true), nn::ReLU(), nn::MaxPool2d(2), conv(32, 64, 3, 1, true), nn::ReLU(),
                        nn::MaxPool2d(2), nn::Flatten(), nn::Linear(64 * 7 * 7, 128), nn::ReLU(), nn::Linear(128, 10));
}

nn::Sequential fast_cifar() {
  nn::Sequential net(conv(3, 24, 2, 0, true), nn::GELU());
  int64_t in = 24;
  for (const int64_t width : {64, 256, 256}) {
    net->extend(*nn::Sequential(conv(in, width, 3, 1, false), nn::MaxPool2d(2), nn::BatchNorm2d(width), nn::GELU(),
                                conv(width, width, 3, 1, false), nn::BatchNorm2d(width), nn::GELU()));
    in = width;
  }
  net->extend(*nn::Sequential(nn::MaxPool2d(3), nn::Flatten(), nn::Linear(nn::LinearOptions(256, 10).bias(false))));
  return net;
}

struct BlockImpl : nn::Module {
  BlockImpl(int64_t in, int64_t out, int64_t stride)
      : body(register_module("body", nn::Sequential(conv(in, out, 3, 1, false, stride), nn::BatchNorm2d(out),
                                                    nn::ReLU(), conv(out, out, 3, 1, false), nn::BatchNorm2d(out)))) {
    if (in != out)
      shortcut = register_module("shortcut", nn::Sequential(conv(in, out, 1, 0, false, stride), nn::BatchNorm2d(out)));
  }
  Tensor forward(const Tensor& x) {
    return torch::relu(body->forward(x) + (shortcut.is_empty() ? x : shortcut->forward(x)));
  }

  nn::Sequential body, shortcut{nullptr};
};
TORCH_MODULE(Block);

nn::Sequential resnet18() {
  nn::Sequential net(conv(3, 64, 3, 1, false), nn::BatchNorm2d(64), nn::ReLU());
  int64_t in = 64;
  for (int stage = 0; stage < 4; ++stage)
    for (int block = 0; block < 2; ++block) {
      const int64_t out = int64_t{64} << stage;
      net->push_back(Block(in, out, in == out ? 1 : 2));
      in = out;
    }
  net->extend(*nn::Sequential(nn::AdaptiveAvgPool2d(1), nn::Flatten(), nn::Linear(512, 10)));
  return net;
}

nn::Sequential make_net(const std::string& name) {
  return name == "lenet" ? lenet() : name == "fast-cifar" ? fast_cifar() : resnet18();
}

class Step {
 public:
  explicit Step(const Options& options)
      : options_(options),
        net_(make_net(options.net)),
        bf16_(options.precision == "bf16"),
        autocast_(bf16_ && options.bf16 == "autocast"),
        format_(options.layout == "last" ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous) {
    torch::manual_seed(1);
    const int64_t side = options.net == "lenet" ? 28 : 32, channels = options.net == "lenet" ? 1 : 3;
    images_ = torch::randint(256, {kRows, channels, side, side}, torch::kUInt8).contiguous(format_);
    labels_ = torch::randint(10, {kRows}, torch::kLong);
    for (const Tensor& parameter : net_->parameters())
      if (parameter.dim() == 4) parameter.set_data(parameter.detach().contiguous(format_));
    if (bf16_ && !autocast_) {
      for (const Tensor& parameter : net_->parameters())
        masters_.push_back(parameter.detach().clone().set_requires_grad(true));
      net_->to(torch::kBFloat16);
    }
    const std::vector<Tensor> trained = masters_.empty() ? net_->parameters() : masters_;
    if (options.net == "lenet")
      optimizer_ = std::make_unique<torch::optim::Adam>(trained, torch::optim::AdamOptions(1e-3));
    else
      optimizer_ =
          std::make_unique<torch::optim::SGD>(trained, torch::optim::SGDOptions(0.01).momentum(0.9).nesterov(true));
  }

  double operator()() {
    const Tensor rows = torch::randint(kRows, {options_.batch}, torch::kLong);
    const Tensor images = images_.index_select(0, rows)
                              .to(bf16_ && !autocast_ ? torch::kBFloat16 : torch::kFloat)
                              .div_(255)
                              .contiguous(format_);
    const Tensor loss = loss_of(images, labels_.index_select(0, rows));
    net_->zero_grad(/*set_to_none=*/true);
    loss.backward();
    if (!masters_.empty()) give_gradients_to_masters();
    optimizer_->step();
    if (!masters_.empty()) copy_masters_back();
    return loss.item<double>();
  }

 private:
  Tensor loss_of(const Tensor& images, const Tensor& labels) {
    if (!autocast_) return torch::cross_entropy_loss(net_->forward(images).to(torch::kFloat), labels);
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    at::autocast::set_cpu_enabled(true);
    const Tensor loss = torch::cross_entropy_loss(net_->forward(images).to(torch::kFloat), labels);
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
  nn::Sequential net_;
  bool bf16_, autocast_;
  torch::MemoryFormat format_;
  Tensor images_, labels_;
  std::vector<Tensor> masters_;
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
      "\"layout\":\"%s\","
      "\"threads\":%d,\"us_per_step\":%.1f,\"best_us\":%.1f,\"samples_per_second\":%.0f,\"loss\":%.4f}\n",
      TORCH_VERSION, options.net.c_str(), static_cast<long long>(options.batch), options.precision.c_str(),
      options.bf16.c_str(), options.layout.c_str(), options.threads, median, microseconds.front(),
      static_cast<double>(options.batch) * 1e6 / median, loss);
  return std::isfinite(loss) ? 0 : 1;
}
