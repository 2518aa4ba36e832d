#include "descent/optim/schedules.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace descent::optim {

namespace {

class Pure : public Schedule::Rule {
 public:
  explicit Pure(std::function<double(int64_t)> factor) : factor_(std::move(factor)) {}
  double factor(int64_t step) const override { return factor_(step); }

 private:
  std::function<double(int64_t)> factor_;
};

int64_t positive(int64_t steps, std::string_view what) {
  if (steps < 1) throw UsageError(text("schedule ", what, " must be at least one step long, got ", steps));
  return steps;
}

double nonnegative(double value, std::string_view what) {
  if (!(value >= 0)) throw UsageError(text("schedule ", what, " must be at least 0, got ", value));
  return value;
}

// From `from` to `to` along half a cosine, as `part` goes from 0 to 1.
double along_cosine(double from, double to, double part) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * std::clamp(part, 0.0, 1.0))) / 2;
}

double part(int64_t step, int64_t total) { return static_cast<double>(step) / static_cast<double>(total); }

}  // namespace

Schedule::Schedule() : Schedule(schedule::constant()) {}
Schedule::Schedule(std::string describe, std::function<double(int64_t)> factor)
    : Schedule(std::move(describe), std::make_shared<Pure>(std::move(factor))) {}
Schedule::Schedule(std::string describe, std::shared_ptr<Rule> rule)
    : describe_(std::move(describe)), rule_(std::move(rule)) {}

void Schedule::restore(std::span<const double> memory) {
  if (memory.size() != rule_->memory().size())
    fail(text("the schedule '", describe_, "' remembers ", rule_->memory().size(), " numbers, the checkpoint has ",
              memory.size()));
  rule_->restore(memory);
}

namespace schedule {

Schedule constant() {
  return {"constant", [](int64_t) { return 1.0; }};
}

Schedule steps(int64_t every, double factor) {
  positive(every, "steps");
  nonnegative(factor, "steps' factor");
  return {text("times ", factor, " after each ", every, " steps"),
          [=](int64_t step) { return std::pow(factor, static_cast<double>(step / every)); }};
}

Schedule exponential(double factor, int64_t every) {
  positive(every, "exponential");
  nonnegative(factor, "exponential's factor");
  return {text("times ", factor, " over each ", every, " steps"),
          [=](int64_t step) { return std::pow(factor, part(step, every)); }};
}

Schedule linear(int64_t total, double last) {
  positive(total, "linear");
  return {text("linear to ", last, " over ", total, " steps"),
          [=](int64_t step) { return 1 + (last - 1) * std::min(1.0, part(step, total)); }};
}

Schedule cosine(int64_t total, double last) {
  positive(total, "cosine");
  return {text("cosine to ", last, " over ", total, " steps"),
          [=](int64_t step) { return along_cosine(1, last, part(step, total)); }};
}

Schedule warm_restarts(int64_t first, double multiplier, double last) {
  positive(first, "warm_restarts");
  if (!(multiplier >= 1))
    throw UsageError(text("schedule warm_restarts' multiplier must be at least 1, got ", multiplier));
  return {text("cosines to ", last, ", the first over ", first, " steps"), [=](int64_t step) {
            double length = static_cast<double>(first), place = static_cast<double>(step);
            if (multiplier == 1) place = std::fmod(place, length);
            for (; place >= length; length *= multiplier) place -= length;
            return along_cosine(1, last, place / length);
          }};
}

Schedule one_cycle(int64_t total, OneCycle options) {
  positive(total, "one_cycle");
  const double low = 1 / options.start_divisor, end = low / options.final_divisor;
  const auto peak = std::clamp(options.rising, 0.0, 1.0) * static_cast<double>(total);
  return {text("one cycle over ", total, " steps"), [=](int64_t step) {
            const auto place = static_cast<double>(step), falling = static_cast<double>(total) - peak;
            return place < peak ? along_cosine(low, 1, place / peak)
                                : along_cosine(1, end, falling > 0 ? (place - peak) / falling : 0.0);
          }};
}

Schedule triangle(int64_t total, Triangle options) {
  positive(total, "triangle");
  const double start = nonnegative(options.start, "triangle's start"),
               last = nonnegative(options.last, "triangle's last");
  const auto all = static_cast<double>(total), peak = std::clamp(options.rising, 0.0, 1.0) * all;
  return {text("from ", start, " up to 1 and down to ", last, " over ", total, " steps"), [=](int64_t step) {
            const double place = std::min(static_cast<double>(step), all);
            if (place < peak) return start + (1 - start) * place / peak;
            return all > peak ? 1 + (last - 1) * (place - peak) / (all - peak) : 1;
          }};
}

namespace {

class WarmUp : public Schedule::Rule {
 public:
  WarmUp(int64_t steps, Schedule then) : steps_(steps), then_(std::move(then)) {}
  double factor(int64_t step) const override {
    return step < steps_ ? part(step + 1, steps_) * then_(0) : then_(step - steps_);
  }
  void observe(double metric) override { then_.observe(metric); }
  std::vector<double> memory() const override { return then_.memory(); }
  void restore(std::span<const double> memory) override { then_.restore(memory); }

 private:
  int64_t steps_;
  Schedule then_;
};

class OnPlateau : public Schedule::Rule {
 public:
  explicit OnPlateau(Plateau options) : options_(options) {}
  double factor(int64_t) const override { return factor_; }

  void observe(double metric) override {
    const double cost = options_.larger_is_better ? -metric : metric;
    if ((seen_ == 0 && !std::isnan(cost)) || cost < best_ - options_.threshold * std::abs(best_)) {
      best_ = cost;
      seen_ = 1;
      waited_ = 0;
    } else if (++waited_ > static_cast<double>(options_.patience)) {
      factor_ = std::max(options_.minimum, factor_ * options_.factor);
      waited_ = 0;
    }
  }
  std::vector<double> memory() const override { return {seen_, best_, waited_, factor_}; }
  void restore(std::span<const double> memory) override {
    seen_ = memory[0];
    best_ = memory[1];
    waited_ = memory[2];
    factor_ = memory[3];
  }

 private:
  Plateau options_;
  double seen_ = 0, best_ = 0, waited_ = 0, factor_ = 1;  // seen_: 1 once there is a best
};

}  // namespace

Schedule warm_up(int64_t steps, Schedule then) {
  nonnegative(static_cast<double>(steps), "warm_up");
  const std::string describe = text(steps, " steps of warm-up, then ", then.describe());
  return {describe, std::make_shared<WarmUp>(steps, std::move(then))};
}

Schedule on_plateau(Plateau options) {
  nonnegative(options.factor, "on_plateau's factor");
  return {text("times ", options.factor, " after ", options.patience, " validations without progress"),
          std::make_shared<OnPlateau>(options)};
}

}  // namespace schedule

namespace {

using nn::Settings, nn::SettingRule;

// A setting in epochs, in whole steps; what is longer than every run takes as long as one can be.
int64_t steps_in(const Settings& settings, std::string_view name, const RunLength& run) {
  constexpr double longest = 1e15;
  const double epochs = nonnegative(settings.number(name), name);
  return std::llround(std::min(epochs * static_cast<double>(run.steps_per_epoch), longest));
}

int64_t at_least_one(int64_t steps) { return std::max<int64_t>(1, steps); }

// A row whose maker gets the settings and the run that is left after the warm-up.
nn::Kind<ScheduleMaker> row(std::string_view name, std::string_view about, std::vector<SettingRule> rules,
                            std::function<Schedule(const Settings&, const RunLength&)> make) {
  rules.push_back({"warm_up", 0.0, "epochs of linear warm-up"});
  const auto maker = [make](const Settings& settings) -> ScheduleMaker {
    return [make, settings](const RunLength& run) {
      const int64_t warm = steps_in(settings, "warm_up", run);
      const Schedule then = make(settings, {at_least_one(run.total_steps - warm), run.steps_per_epoch});
      return warm > 0 ? schedule::warm_up(warm, then) : then;
    };
  };
  return {name, about, std::move(rules), maker};
}

std::vector<nn::Kind<ScheduleMaker>> make_table() {
  const SettingRule last{"last", 0.0, "the factor at the end"}, factor{"factor", 0.1, "the factor each time"};
  return {
      row("constant", "the base rate", {}, [](const Settings&, const RunLength&) { return schedule::constant(); }),
      row("steps", "times a factor now and then", {{"every", 10.0, "epochs between"}, factor},
          [](const Settings& s, const RunLength& run) {
            return schedule::steps(at_least_one(steps_in(s, "every", run)), s.number("factor"));
          }),
      row("exponential", "times a factor over each epoch", {{"factor", 0.9, "the factor over an epoch"}},
          [](const Settings& s, const RunLength& run) {
            return schedule::exponential(s.number("factor"), run.steps_per_epoch);
          }),
      row("linear", "in a straight line", {last},
          [](const Settings& s, const RunLength& run) { return schedule::linear(run.total_steps, s.number("last")); }),
      row("cosine", "along half a cosine", {last},
          [](const Settings& s, const RunLength& run) { return schedule::cosine(run.total_steps, s.number("last")); }),
      row("warm_restarts", "cosines one after the other",
          {{"first", 10.0, "epochs of the first"}, {"multiplier", 1.0, "how many times longer each next is"}, last},
          [](const Settings& s, const RunLength& run) {
            return schedule::warm_restarts(at_least_one(steps_in(s, "first", run)), s.number("multiplier"),
                                           s.number("last"));
          }),
      row("one_cycle", "up to the base rate and down to nearly 0",
          {{"rising", 0.3, "the part of the steps that rises"},
           {"start_divisor", 25.0, "peak over start"},
           {"final_divisor", 1e4, "start over end"}},
          [](const Settings& s, const RunLength& run) {
            return schedule::one_cycle(run.total_steps,
                                       {s.number("rising"), s.number("start_divisor"), s.number("final_divisor")});
          }),
      row("triangle", "in straight lines up to the base rate and down",
          {{"rising", 0.3, "the part of the steps that rises"}, {"start", 0.0, "the factor at the start"}, last},
          [](const Settings& s, const RunLength& run) {
            return schedule::triangle(run.total_steps, {s.number("rising"), s.number("start"), s.number("last")});
          }),
      row("on_plateau", "times a factor when validations bring no progress",
          {factor,
           {"patience", int64_t{10}, "validations without progress that are borne"},
           {"threshold", 1e-4, "what counts as progress, relative to the best"},
           {"minimum", 0.0, "the smallest factor"},
           {"larger_is_better", false, "true for an accuracy"}},
          [](const Settings& s, const RunLength&) {
            return schedule::on_plateau({s.number("factor"), s.integer("patience"), s.number("threshold"),
                                         s.number("minimum"), s.flag("larger_is_better")});
          })};
}

}  // namespace

std::span<const nn::Kind<ScheduleMaker>> schedule_kinds() {
  static const std::vector<nn::Kind<ScheduleMaker>> kinds = make_table();
  return kinds;
}

Schedule make_schedule(std::string_view kind, const nn::Settings& settings, const RunLength& run) {
  return nn::make_kind(schedule_kinds(), "schedule", kind, settings)(run);
}

}  // namespace descent::optim
