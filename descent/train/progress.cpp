#include "descent/train/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>

namespace descent::train {

namespace {

using Clock = std::chrono::steady_clock;

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

std::string speed_text(double samples_per_second) {
  return samples_per_second >= 1e5 ? fmt::format("{:.0f}k samples/s", samples_per_second / 1e3)
                                   : fmt::format("{:.0f} samples/s", samples_per_second);
}

std::string bar(double part, int width) {
  static constexpr std::string_view eighths[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
  const auto filled = static_cast<int>(part * width * 8 + 0.5);
  std::string out;
  for (int cell = 0; cell < width; ++cell) out += eighths[std::clamp(filled - 8 * cell, 0, 8)];
  return out;
}

std::string step_text(const Moment& moment) {
  std::string out = fmt::format("loss {:.4f}", moment.loss);
  if (moment.accuracy >= 0) out += fmt::format("  accuracy {:.4f}", moment.accuracy);
  return out + fmt::format("  {}  {} left", speed_text(moment.samples_per_second), duration_text(moment.seconds_left));
}

std::string figures_text(const Figures& figures) {
  // The loss and the first metric tell enough; report.json has them all.
  std::string out;
  for (size_t i = 0; i < figures.size() && i < 2; ++i)
    out += fmt::format("{}{} {:.4f}", i ? "  " : "", figures[i].first, figures[i].second);
  return out;
}

std::string epoch_text(const Moment& moment, const EpochFigures& epoch) {
  std::string out = fmt::format("epoch {:>{}}/{}  {}", epoch.epoch, std::to_string(moment.epochs).size(), moment.epochs,
                                figures_text(epoch.train));
  if (!epoch.validation.empty())
    out += fmt::format("  validation {}{}", figures_text(epoch.validation), epoch.best ? " *" : "");
  return out + fmt::format("  {}  {} left", speed_text(moment.samples_per_second), duration_text(moment.seconds_left));
}

void write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

class TerminalProgress : public Progress {
 public:
  void step(const Moment& moment) override {
    const double part =
        moment.batches > 0 ? static_cast<double>(moment.batch) / static_cast<double>(moment.batches) : 0;
    write(fmt::format("{}epoch {}/{} {} {}", clear, moment.epoch + 1, moment.epochs, bar(part, 20), step_text(moment)));
  }

  // Runs of thousands of tiny epochs show the latest line only.
  void epoch(const Moment& moment, const EpochFigures& epoch) override {
    const bool quick = Clock::now() - last_ < std::chrono::milliseconds(100);
    if (quick && epoch.epoch != moment.epochs) return;
    last_ = Clock::now();
    write(fmt::format("{}{}{}", clear, epoch_text(moment, epoch),
                      moment.epochs > 200 && epoch.epoch != moment.epochs ? "" : "\n"));
  }

  void note(const std::string& text) override { write(fmt::format("{}{}\n", clear, text)); }

 private:
  static constexpr std::string_view clear = "\r\033[K";
  Clock::time_point last_{};
};

class PlainProgress : public Progress {
 public:
  void step(const Moment& moment) override {
    if (Clock::now() - last_ < std::chrono::seconds(10)) return;
    last_ = Clock::now();
    write(fmt::format("epoch {}/{}  step {}/{}  {}\n", moment.epoch + 1, moment.epochs, moment.batch, moment.batches,
                      step_text(moment)));
  }

  void epoch(const Moment& moment, const EpochFigures& epoch) override {
    const bool last = epoch.epoch == moment.epochs;
    if (Clock::now() - told_ < std::chrono::milliseconds(200) && epoch.epoch != 1 && !last) return;
    last_ = told_ = Clock::now();
    write(epoch_text(moment, epoch) + "\n");
  }

  void note(const std::string& text) override { write(text + "\n"); }

 private:
  Clock::time_point last_ = Clock::now(), told_{};
};

}  // namespace

std::shared_ptr<Progress> progress_on_stderr() {
  if (::isatty(STDERR_FILENO) != 0) return std::make_shared<TerminalProgress>();
  return std::make_shared<PlainProgress>();
}

}  // namespace descent::train
