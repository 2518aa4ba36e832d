// LibTorch peer: one whole training step of a multilayer perceptron, timed.
//
// A step is what a user's loop does: gather a random batch of rows from an in-memory uint8 array shaped like MNIST, scale it to [0, 1],
// forward through Linear + ReLU layers, cross entropy, backward, Adam. Everything is LibTorch's own; the only liberties taken are the
// settings that make it faster on a CPU (--tuned 1, the default), because a comparison is only worth making against the best peer:
//   * malloc keeps freed buffers instead of returning them to the kernel each step (saves page faults on every activation);
//   * denormals are flushed to zero before the first parallel region, so that worker threads inherit it;
//   * in bf16, "master" keeps bf16 parameters beside f32 master copies and casts once per step; "autocast" is LibTorch's own mixed precision.
// What this program cannot choose is the BLAS behind f32 products. Use one that shares LibTorch's OpenMP threads (an OpenMP build of
// OpenBLAS, not a pthread build); --json prints which one was loaded and the kernel set that it picked. OPENBLAS_CORETYPE overrides that.
//
//   libtorch_mlp --net 784,512,10 --batch 128 --precision f32 --steps 1000 --threads 2 --json
//
// The data are synthetic: ten random patterns with noise, every tenth label wrong, so that the loss neither vanishes nor stalls.

#include <dlfcn.h>
#include <malloc.h>
#include <torch/torch.h>

#include <ATen/autocast_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr int64_t kRows = 60000;

struct Options {
  std::vector<int64_t> net{784, 512, 10};
  int64_t batch = 128;
  std::string precision = "f32";   // f32 | bf16
  std::string bf16 = "master";     // master | autocast
  int64_t steps = 1000;
  int64_t warmup = 50;
  int threads = 2;
  bool tuned = true;
  bool json = false;
};

[[noreturn]] void usage(const std::string& problem) {
  std::fprintf(stderr,
               "libtorch_mlp: %s\n"
               "usage: libtorch_mlp [--net 784,512,10] [--batch 128] [--precision f32|bf16] [--bf16 master|autocast]\n"
               "                    [--steps 1000] [--warmup 50] [--threads 2] [--tuned 0|1] [--json]\n",
               problem.c_str());
  std::exit(2);
}

int64_t positive(const std::string& flag, const std::string& text) {
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value <= 0) usage(flag + " wants a positive number, got '" + text + "'");
  return value;
}

std::string one_of(const std::string& flag, const std::string& text, const std::vector<std::string>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) usage(flag + " does not know '" + text + "'");
  return text;
}

std::vector<int64_t> sizes(const std::string& flag, const std::string& text) {
  std::vector<int64_t> result;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) result.push_back(positive(flag, part));
  if (result.size() < 2) usage(flag + " wants at least an input and an output size");
  return result;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--json") {
      options.json = true;
      continue;
    }
    if (i + 1 == argc) usage("'" + flag + "' is unknown or lacks its value");
    const std::string value = argv[++i];
    if (flag == "--net") options.net = sizes(flag, value);
    else if (flag == "--batch") options.batch = positive(flag, value);
    else if (flag == "--precision") options.precision = one_of(flag, value, {"f32", "bf16"});
    else if (flag == "--bf16") options.bf16 = one_of(flag, value, {"master", "autocast"});
    else if (flag == "--steps") options.steps = positive(flag, value);
    else if (flag == "--warmup") options.warmup = positive(flag, value);
    else if (flag == "--threads") options.threads = static_cast<int>(positive(flag, value));
    else if (flag == "--tuned") options.tuned = one_of(flag, value, {"0", "1"}) == "1";
    else usage("unknown flag '" + flag + "'");
  }
  return options;
}

// Before anything allocates or starts a thread.
void tune_process() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 2047 << 20);
  mallopt(M_TOP_PAD, 64 << 20);
  at::globalContext().setFlushDenormal(true);
}

struct Data {
  torch::Tensor images;  // uint8 [rows, features]
  torch::Tensor labels;  // int64 [rows]
};

Data make_data(int64_t features, int64_t classes) {
  torch::manual_seed(1);
  const torch::Tensor pattern = torch::rand({classes, features}) * 128;
  const torch::Tensor truth = torch::randint(classes, {kRows}, torch::kLong);
  const torch::Tensor noise = torch::randint(128, {kRows, features}, torch::kUInt8);
  const torch::Tensor wrong = torch::rand({kRows}) < 0.1;
  return {pattern.index_select(0, truth).to(torch::kUInt8) + noise,
          torch::where(wrong, torch::randint(classes, {kRows}, torch::kLong), truth)};
}

// Row numbers in random order, reshuffled each epoch; a short last batch is dropped.
class Batches {
 public:
  Batches(const Data& data, int64_t batch) : data_(data), batch_(batch), next_(kRows) {}

  std::pair<torch::Tensor, torch::Tensor> next(torch::ScalarType type) {
    if (next_ + batch_ > kRows) {
      order_ = torch::randperm(kRows, torch::kLong);
      next_ = 0;
    }
    const torch::Tensor rows = order_.narrow(0, next_, batch_);
    next_ += batch_;
    return {data_.images.index_select(0, rows).to(type).div_(255), data_.labels.index_select(0, rows)};
  }

 private:
  const Data& data_;
  int64_t batch_;
  int64_t next_;
  torch::Tensor order_;
};

torch::nn::Sequential make_net(const std::vector<int64_t>& widths) {
  torch::nn::Sequential net;
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    net->push_back(torch::nn::Linear(widths[i], widths[i + 1]));
    if (i + 2 < widths.size()) net->push_back(torch::nn::ReLU());
  }
  return net;
}

// One training step in each of the three ways; the constructor sets up what the way needs.
class Step {
 public:
  Step(const Options& options, const Data& data)
      : batches_(data, options.batch), net_(make_net(options.net)), bf16_(options.precision == "bf16"),
        autocast_(bf16_ && options.bf16 == "autocast") {
    if (bf16_ && !autocast_) {
      for (const torch::Tensor& parameter : net_->parameters()) masters_.push_back(parameter.detach().clone());
      for (torch::Tensor& master : masters_) master.set_requires_grad(true);
      net_->to(torch::kBFloat16);
    }
    optimizer_ = std::make_unique<torch::optim::Adam>(masters_.empty() ? net_->parameters() : masters_, torch::optim::AdamOptions(1e-3));
  }

  torch::Tensor operator()() {
    auto [images, labels] = batches_.next(bf16_ ? torch::kBFloat16 : torch::kFloat);
    const torch::Tensor loss = autocast_ ? autocast_loss(images, labels) : plain_loss(images, labels);
    net_->zero_grad(/*set_to_none=*/true);
    loss.backward();
    if (!masters_.empty()) give_gradients_to_masters();
    optimizer_->step();
    if (!masters_.empty()) copy_masters_back();
    return loss;
  }

 private:
  torch::Tensor plain_loss(const torch::Tensor& images, const torch::Tensor& labels) {
    return torch::cross_entropy_loss(net_->forward(images).to(torch::kFloat), labels);
  }

  torch::Tensor autocast_loss(const torch::Tensor& images, const torch::Tensor& labels) {
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    at::autocast::set_cpu_enabled(true);
    const torch::Tensor loss = torch::cross_entropy_loss(net_->forward(images), labels);
    at::autocast::clear_cache();
    at::autocast::set_cpu_enabled(false);
    return loss;
  }

  void give_gradients_to_masters() {
    const std::vector<torch::Tensor> parameters = net_->parameters();
    for (size_t i = 0; i < masters_.size(); ++i) masters_[i].mutable_grad() = parameters[i].grad().to(torch::kFloat);
  }

  void copy_masters_back() {
    torch::NoGradGuard guard;
    std::vector<torch::Tensor> parameters = net_->parameters();
    for (size_t i = 0; i < masters_.size(); ++i) parameters[i].copy_(masters_[i]);
  }

  Batches batches_;
  torch::nn::Sequential net_;
  bool bf16_;
  bool autocast_;
  std::vector<torch::Tensor> masters_;
  std::unique_ptr<torch::optim::Adam> optimizer_;
};

struct Report {
  double best, median, mean, first_loss, last_loss;
};

Report measure(Step& step, int64_t warmup, int64_t steps) {
  Report report{};
  report.first_loss = step().item<double>();
  for (int64_t i = 1; i < warmup; ++i) step();
  std::vector<double> microseconds;
  torch::Tensor loss;
  for (int64_t i = 0; i < steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    loss = step();
    microseconds.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  report.last_loss = loss.item<double>();
  for (double value : microseconds) report.mean += value / static_cast<double>(steps);
  std::sort(microseconds.begin(), microseconds.end());
  report.best = microseconds.front();
  report.median = microseconds[microseconds.size() / 2];
  return report;
}

// The BLAS that the process loaded, asked rather than guessed: OpenBLAS says its build and the kernel set for this processor.
std::string loaded_blas() {
  using Ask = char* (*)();
  const auto config = reinterpret_cast<Ask>(dlsym(RTLD_DEFAULT, "openblas_get_config"));
  const auto core = reinterpret_cast<Ask>(dlsym(RTLD_DEFAULT, "openblas_get_corename"));
  if (config == nullptr) return at::globalContext().hasMKL() ? "MKL" : "other";
  const std::string text = config();
  const char* threads = text.find("USE_OPENMP") != std::string::npos ? "openmp" : "pthread or serial";
  return text.substr(0, text.find(' ', 9)) + " (" + threads + "), kernels " + (core != nullptr ? core() : "?");
}

void print(const Options& options, const Report& report) {
  const std::string mode = options.precision == "f32" ? "f32" : "bf16-" + options.bf16;
  std::string net;
  for (int64_t width : options.net) net += (net.empty() ? "" : "-") + std::to_string(width);
  if (options.json) {
    std::printf("{\"peer\":\"libtorch\",\"version\":\"%s\",\"net\":\"%s\",\"batch\":%lld,\"precision\":\"%s\",\"mode\":\"%s\",\"threads\":%d,"
                "\"tuned\":%s,\"blas\":\"%s\",\"steps\":%lld,\"us_per_step\":%.1f,\"us_best\":%.1f,\"us_mean\":%.1f,"
                "\"images_per_second\":%.0f,\"first_loss\":%.4f,\"last_loss\":%.4f}\n",
                TORCH_VERSION, net.c_str(), static_cast<long long>(options.batch), options.precision.c_str(), mode.c_str(),
                options.threads, options.tuned ? "true" : "false", loaded_blas().c_str(), static_cast<long long>(options.steps),
                report.median, report.best, report.mean, static_cast<double>(options.batch) * 1e6 / report.median, report.first_loss,
                report.last_loss);
    return;
  }
  std::printf("libtorch %s, %s, batch %lld, %s, %d threads, %s, %s\n", TORCH_VERSION, net.c_str(), static_cast<long long>(options.batch),
              mode.c_str(), options.threads, options.tuned ? "tuned" : "as installed", loaded_blas().c_str());
  std::printf("step: median %.1f us, best %.1f, mean %.1f over %lld; loss %.4f -> %.4f\n", report.median, report.best, report.mean,
              static_cast<long long>(options.steps), report.first_loss, report.last_loss);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.tuned) tune_process();
  torch::set_num_threads(options.threads);
  const Data data = make_data(options.net.front(), options.net.back());
  Step step(options, data);
  const Report report = measure(step, options.warmup, options.steps);
  print(options, report);
  return std::isfinite(report.last_loss) ? 0 : 1;
}
