// Stopped and resumed at any step, a run ends with the same bits as if it had never stopped.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <map>
#include <nlohmann/json.hpp>

#include "descent/io/checkpoint.h"
#include "descent/nn/conv.h"
#include "descent/nn/norms.h"
#include "descent/nn/pooling.h"
#include "descent/nn/whitening.h"
#include "training.h"

namespace descent::train {
namespace {

namespace fs = std::filesystem;

// Everything that has a memory: dropout, moments, averages, a plateau schedule, early stopping, augmentation, the order
// of the examples.
struct Scene {
  virtual ~Scene() = default;
  data::Dataset data = sides(70), validation = sides(40, 2);

  virtual FitOptions options(const fs::path& folder) const {
    FitOptions out{.epochs = 6,
                   .batch_size = 16,  // 5 steps an epoch, the last of 6 rows
                   .validation = validation,
                   .seed = 11,
                   .average = 0.8,
                   .monitor = "loss",
                   .augment = data::AugmentOptions{.shift = 1, .rotate = 10},
                   .record_every = 3,
                   .directory = folder,
                   .progress = nullptr};
    return out;
  }

  virtual Report fit(const FitOptions& options) const {
    const data::Normalizer normalizer = data::Normalizer::fit(data.inputs);
    nn::Sequential net{nn::Normalize{normalizer.scale, normalizer.shift},
                       nn::Flatten{},
                       nn::Linear{12},
                       nn::ReLU{},
                       nn::Dropout{0.3},
                       nn::Linear{2}};
    Trainer trainer(net, nn::cross_entropy, optim::AdamW{.learning_rate = 0.02});
    return trainer.fit(data, options);
  }
};

// What convolutional nets bring: running means, weights from the data, a bias that is trained in the first epochs only,
// slow weights, flips that alternate.
struct ConvScene : Scene {
  FitOptions options(const fs::path& folder) const override {
    FitOptions out = Scene::options(folder);
    out.lookahead = {.every = 4, .keep = 0.6, .power = 1};
    out.augment = data::AugmentOptions{
        .flip = data::Flip::alternating, .translate = 1, .padding = data::Padding::reflect, .cutout = 2};
    return out;
  }

  Report fit(const FitOptions& options) const override {
    const data::Normalizer normalizer = data::Normalizer::fit(data.inputs);
    nn::Sequential net{nn::Normalize{normalizer.scale, normalizer.shift},
                       nn::WhitenPatches{{.bias_epochs = 2}},
                       nn::Activation("gelu"),
                       nn::Conv{8, 3, {.bias = false, .init = nn::init::dirac()}},
                       nn::MaxPool{2},
                       nn::BatchNorm{{.momentum = 0.4, .gain = false, .bias_rate = 8}},
                       nn::ReLU{},
                       nn::GlobalAveragePool{},
                       nn::Dropout{0.3},
                       nn::Linear{2}};
    Trainer trainer(net, nn::cross_entropy,
                    optim::SGD{.learning_rate = 0.2,
                               .momentum = 0.8,
                               .nesterov = true,
                               .weight_decay = 0.01,
                               .decoupled = true,
                               .decay_all = true});
    return trainer.fit(data, options);
  }
};

// The plateau's memory, and a stop after `stop` steps (-1: none).
std::function<optim::Schedule(const optim::RunLength&)> plateau_until(int64_t stop) {
  return [stop](const optim::RunLength&) {
    struct Stopping : optim::Schedule::Rule {
      optim::Schedule inner = optim::schedule::on_plateau({.factor = 0.5, .patience = 0, .threshold = 0.2});
      int64_t stop = -1;
      double factor(int64_t step) const override {
        if (step + 1 == stop) request_stop();
        return inner(step);
      }
      void observe(double metric) override { inner.observe(metric); }
      std::vector<double> memory() const override { return inner.memory(); }
      void restore(std::span<const double> memory) override { inner.restore(memory); }
    };
    auto rule = std::make_shared<Stopping>();
    rule->stop = stop;
    return optim::Schedule("plateau", rule);
  };
}

FitOptions stopping_after(FitOptions options, int64_t steps) {
  options.schedule = plateau_until(steps);
  return options;
}

nlohmann::json without_seconds(const std::string& line) {
  nlohmann::json out = nlohmann::json::parse(line);
  out.erase("seconds");
  return out;
}

std::vector<nlohmann::json> records_of(const fs::path& folder) {
  std::vector<nlohmann::json> out;
  for (const std::string& line : lines_of(folder / "metrics.jsonl")) out.push_back(without_seconds(line));
  return out;
}

void stop_anywhere(const Scene& scene, const fs::path& folder_) {
  const Report whole = scene.fit(stopping_after(scene.options(folder_ / "whole"), -1));
  EXPECT_EQ(whole.steps, 30);
  EXPECT_EQ(whole.outcome, Outcome::finished);
  for (const int64_t stop : {1, 4, 5, 6, 13, 15, 29, 30}) {
    const fs::path run = folder_ / std::to_string(stop);
    const Report first = scene.fit(stopping_after(scene.options(run), stop));
    EXPECT_EQ(first.outcome, Outcome::interrupted) << stop;
    EXPECT_EQ(first.steps, stop);
    FitOptions again = stopping_after(scene.options(run), -1);
    again.resume = true;
    const Report rest = scene.fit(again);
    EXPECT_EQ(rest.weights_sha256, whole.weights_sha256) << "stopped after " << stop;
    EXPECT_EQ(rest.steps, whole.steps);
    EXPECT_EQ(rest.best_epoch, whole.best_epoch);
    EXPECT_EQ(rest.validation, whole.validation);
    EXPECT_EQ(rest.train, whole.train);
    EXPECT_EQ(records_of(run), records_of(folder_ / "whole")) << "stopped after " << stop;
  }
}

TEST_F(RunFolder, StoppedAnywhereItEndsTheSame) { stop_anywhere(Scene(), folder_); }
TEST_F(RunFolder, StoppedAnywhereAConvolutionalNetEndsTheSame) { stop_anywhere(ConvScene(), folder_); }

TEST_F(RunFolder, StoppedAgainAndAgain) {
  const Scene scene;
  const Report whole = scene.fit(stopping_after(scene.options(folder_ / "whole"), -1));
  Report last;
  for (int64_t stop = 3; stop <= 33; stop += 3) {
    FitOptions options = stopping_after(scene.options(folder_ / "run"), stop);
    options.resume = true;  // the first time there is nothing yet, and it begins
    last = scene.fit(options);
  }
  EXPECT_EQ(last.outcome, Outcome::finished);
  EXPECT_EQ(last.weights_sha256, whole.weights_sha256);
}

TEST_F(RunFolder, AFinishedRunStaysAsItIs) {
  const Scene scene;
  FitOptions options = stopping_after(scene.options(folder_), -1);
  const Report whole = scene.fit(options);
  options.resume = true;
  const Report again = scene.fit(options);
  EXPECT_EQ(again.weights_sha256, whole.weights_sha256);
  EXPECT_EQ(again.outcome, Outcome::finished);
  EXPECT_EQ(again.steps, whole.steps);
}

void seeds_and_threads(const Scene& scene) {
  const auto weights = [&](uint64_t seed, int data_threads) {
    FitOptions options = stopping_after(scene.options({}), -1);
    options.seed = seed;
    options.data_threads = data_threads;
    return scene.fit(options).weights_sha256;
  };
  EXPECT_EQ(weights(1, 1), weights(1, 1));
  EXPECT_EQ(weights(1, 1), weights(1, 3));
  EXPECT_NE(weights(1, 1), weights(2, 1));
}

TEST(Runs, SeedsAndThreads) { seeds_and_threads(Scene()); }
TEST(Runs, SeedsAndThreadsOfAConvolutionalNet) { seeds_and_threads(ConvScene()); }

TEST_F(RunFolder, ADamagedLastCheckpointIsPassedOver) {
  const Scene scene;
  const Report whole = scene.fit(stopping_after(scene.options(folder_ / "whole"), -1));
  for (const int64_t stop : {7, 12}) {
    FitOptions options = stopping_after(scene.options(folder_ / "run"), stop);
    options.resume = true;
    scene.fit(options);
  }
  {
    std::fstream file(folder_ / "run" / "last.safetensors", std::ios::in | std::ios::out);
    file.seekp(-3, std::ios::end);
    file.put('x');
  }
  FitOptions options = stopping_after(scene.options(folder_ / "run"), -1);
  options.resume = true;
  EXPECT_EQ(scene.fit(options).weights_sha256, whole.weights_sha256);
}

TEST_F(RunFolder, OtherSettingsAreRefused) {
  const Scene scene;
  scene.fit(stopping_after(scene.options(folder_), 4));
  FitOptions options = stopping_after(scene.options(folder_), -1);
  options.resume = true;
  options.batch_size = 8;
  const std::string error = error_of([&] { scene.fit(options); });
  EXPECT_NE(error.find("last.safetensors: the run was trained with batch_size 16, so it cannot go on with 8"),
            std::string::npos)
      << error;
}

TEST_F(RunFolder, ACheckpointOfAnotherNetIsRefused) {
  const Scene scene;
  scene.fit(stopping_after(scene.options(folder_), 4));
  nn::Sequential net{nn::Flatten{}, nn::Linear{2}};
  Trainer trainer(net, nn::cross_entropy, optim::SGD{});
  data::Dataset floats = scene.data;
  floats.inputs = floats.inputs.cast(DType::f32);
  FitOptions options{.directory = folder_, .resume = true, .progress = nullptr};
  const std::string error = error_of([&] { trainer.fit(floats, options); });
  EXPECT_NE(error.find("it is of another net"), std::string::npos) << error;
}

// --- a signal, and a full disk, in a process of their own ---

// This program begins anew for them, since a process that is only forked has lost its threads.
using Body = void (*)(const fs::path& run);

std::function<optim::Schedule(const optim::RunLength&)> raising(int signal, int times) {
  return hooked([=](int64_t step) {
    for (int i = 0; step == 7 && i < times; ++i) ::raise(signal);
  });
}

template <int signal>
void stopped_by(const fs::path& run) {
  const Scene scene;
  FitOptions options = scene.options(run);
  options.schedule = raising(signal, 1);
  const Report report = scene.fit(options);
  if (report.outcome != Outcome::interrupted || report.steps != 8) fail("it did not stop after the step");
}

void stopped_twice(const fs::path& run) {
  const Scene scene;
  FitOptions options = scene.options(run);
  options.schedule = raising(SIGINT, 2);
  scene.fit(options);
}

void out_of_space(const fs::path& run) {
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{2000, 2000};  // bytes a file may have
  ::setrlimit(RLIMIT_FSIZE, &small);
  const Scene scene;
  FitOptions options = stopping_after(scene.options(run), -1);
  options.resume = true;
  scene.fit(options);
}

const std::map<std::string, Body> bodies{
    {"int", stopped_by<SIGINT>}, {"term", stopped_by<SIGTERM>}, {"twice", stopped_twice}, {"full", out_of_space}};

int run_body(const std::string& name, const fs::path& run) {
  try {
    bodies.at(name)(run);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

// The child's exit status; -1 if a signal ended it. `said` is its standard error.
int in_child(const std::string& name, const fs::path& run, std::string& said) {
  int pipes[2];
  if (::pipe(pipes) != 0) return -2;
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(pipes[1], STDERR_FILENO);
    ::execl("/proc/self/exe", "train_resume", "--body", name.c_str(), run.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(pipes[1]);
  char buffer[4096];
  for (ssize_t count; (count = ::read(pipes[0], buffer, sizeof(buffer))) > 0;) said.append(buffer, count);
  ::close(pipes[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(RunFolder, ASignalFinishesTheStepAndSaves) {
  for (const char* name : {"int", "term"}) {
    std::string said;
    EXPECT_EQ(in_child(name, folder_ / name, said), 0) << said;
    EXPECT_EQ(nlohmann::json::parse(io::load_newest_good(folder_ / name).checkpoint.manifest).at("step"), 8);
  }
}

TEST_F(RunFolder, ASecondSignalEndsAtOnce) {
  std::string said;
  EXPECT_EQ(in_child("twice", folder_ / "run", said), -1) << said;
}

TEST_F(RunFolder, AfterARunSignalsDoWhatTheyDidBefore) {
  const Scene scene;
  scene.fit(stopping_after(scene.options({}), 3));
  struct sigaction now {};
  ::sigaction(SIGINT, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
}

TEST_F(RunFolder, AFullDiskIsSaidAndLeavesTheLastCheckpoint) {
  const Scene scene;
  scene.fit(stopping_after(scene.options(folder_), 6));
  std::string said;
  EXPECT_EQ(in_child("full", folder_, said), 1);
  EXPECT_NE(said.find("cannot write "), std::string::npos) << said;
  EXPECT_EQ(nlohmann::json::parse(io::load_newest_good(folder_).checkpoint.manifest).at("step"), 6);
}

}  // namespace
}  // namespace descent::train

int main(int argc, char** argv) {
  if (argc == 4 && std::string(argv[1]) == "--body") return descent::train::run_body(argv[2], argv[3]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
