#include "descent/optim/schedules.h"

#include <cmath>

#include "tests/unit/step_reference.h"

namespace descent::optim {
namespace {

void expect_values(const Schedule& schedule, const std::vector<std::pair<int64_t, double>>& expected) {
  for (const auto& [step, value] : expected)
    EXPECT_NEAR(schedule(step), value, 1e-12) << schedule.describe() << " at " << step;
}

TEST(Schedules, KeyValues) {
  expect_values({}, {{0, 1}, {1000000, 1}});
  expect_values(schedule::constant(), {{0, 1}, {7, 1}});
  expect_values(schedule::steps(10, 0.5), {{0, 1}, {9, 1}, {10, 0.5}, {19, 0.5}, {20, 0.25}});
  expect_values(schedule::exponential(0.25, 10), {{0, 1}, {5, 0.5}, {10, 0.25}, {20, 0.0625}});
  expect_values(schedule::linear(100, 0.2), {{0, 1}, {50, 0.6}, {100, 0.2}, {500, 0.2}});
  expect_values(schedule::cosine(100), {{0, 1}, {50, 0.5}, {25, (1 + std::sqrt(0.5)) / 2}, {100, 0}, {101, 0}});
  expect_values(schedule::cosine(100, 0.1), {{0, 1}, {50, 0.55}, {100, 0.1}});
}

TEST(Schedules, WarmRestartsBeginAgain) {
  expect_values(schedule::warm_restarts(10), {{0, 1}, {5, 0.5}, {10, 1}, {15, 0.5}, {1000005, 0.5}});
  expect_values(schedule::warm_restarts(10, 2, 0.1),
                {{0, 1}, {5, 0.55}, {10, 1}, {20, 0.55}, {30, 1}, {50, 0.55}, {70, 1}});
}

TEST(Schedules, OneCycleRisesToThePeakAndFallsToNearlyNothing) {
  const Schedule cycle = schedule::one_cycle(100, {.rising = 0.3, .start_divisor = 20, .final_divisor = 100});
  expect_values(cycle, {{0, 0.05}, {15, 0.525}, {30, 1}, {65, (1 + 0.0005) / 2}, {100, 0.0005}, {200, 0.0005}});
  expect_values(schedule::one_cycle(10, {.rising = 1}), {{0, 1 / 25.0}, {10, 1}});
}

TEST(Schedules, TriangleRisesAndFallsInStraightLines) {
  const Schedule triangle = schedule::triangle(100, {.rising = 0.2, .start = 0.5, .last = 0.1});
  expect_values(triangle, {{0, 0.5}, {10, 0.75}, {20, 1}, {60, 0.55}, {100, 0.1}, {300, 0.1}});
  expect_values(schedule::triangle(10, {.rising = 1}), {{0, 0}, {5, 0.5}, {10, 1}});
  EXPECT_EQ(error_of([] { schedule::triangle(10, {.start = -1}); }),
            "schedule triangle's start must be at least 0, got -1");
}

TEST(Schedules, WarmUpLeadsToWhereTheNextBegins) {
  expect_values(schedule::warm_up(4, schedule::cosine(100)),
                {{0, 0.25}, {1, 0.5}, {3, 1}, {4, 1}, {54, 0.5}, {104, 0}});
  expect_values(schedule::warm_up(0, schedule::constant()), {{0, 1}});
}

TEST(Schedules, PlateauWaitsForProgress) {
  Schedule plateau = schedule::on_plateau({.factor = 0.5, .patience = 2, .threshold = 0.1, .minimum = 0.2});
  const auto after = [&](double loss) {
    plateau.observe(loss);
    return plateau(0);
  };
  EXPECT_EQ(after(1.0), 1);
  EXPECT_EQ(after(0.95), 1);  // better, but by less than a tenth
  EXPECT_EQ(after(0.8), 1);   // progress
  EXPECT_EQ(after(0.8), 1);
  EXPECT_EQ(after(NAN), 1);
  EXPECT_EQ(after(0.79), 0.5);  // the third in a row without
  const std::vector<double> memory = plateau.memory();
  for (int i = 0; i < 9; ++i) plateau.observe(1);
  EXPECT_EQ(plateau(0), 0.2);  // not below the minimum

  Schedule resumed =
      schedule::warm_up(5, schedule::on_plateau({.factor = 0.5, .patience = 2, .threshold = 0.1, .minimum = 0.2}));
  resumed.restore(memory);
  EXPECT_EQ(resumed(5), 0.5);
  resumed.observe(0.75);  // no progress on 0.8
  resumed.observe(0.75);
  EXPECT_EQ(resumed(5), 0.5);
  resumed.observe(0.75);
  EXPECT_EQ(resumed(5), 0.25);
  EXPECT_EQ(
      error_of([&] { resumed.restore(std::vector<double>{1}); }),
      "the schedule '5 steps of warm-up, then times 0.5 after 2 validations without progress' remembers 4 numbers, the "
      "checkpoint has 1");
}

TEST(Schedules, PlateauOfAnAccuracy) {
  Schedule plateau = schedule::on_plateau({.factor = 0.1, .patience = 0, .larger_is_better = true});
  plateau.observe(0.5);
  plateau.observe(0.6);
  EXPECT_EQ(plateau(0), 1);
  plateau.observe(0.6);
  EXPECT_EQ(plateau(0), 0.1);
}

TEST(Schedules, ByNameCountInEpochs) {
  const RunLength run{.total_steps = 100, .steps_per_epoch = 10};
  expect_values(make_schedule("cosine", {{"warm_up", 2}}, run), {{0, 0.05}, {19, 1}, {20, 1}, {60, 0.5}, {100, 0}});
  expect_values(make_schedule("steps", {{"every", 3}, {"factor", 0.5}}, run), {{29, 1}, {30, 0.5}});
  expect_values(make_schedule("exponential", {{"factor", 0.5}}, run), {{10, 0.5}, {30, 0.125}});
  expect_values(make_schedule("warm_restarts", {{"first", 0.5}}, run), {{5, 1}, {10, 1}});
  expect_values(make_schedule("one_cycle", {}, run), {{30, 1}});
  expect_values(make_schedule("triangle", {{"rising", 0.5}, {"last", 0.2}}, run), {{25, 0.5}, {50, 1}, {100, 0.2}});
  for (const nn::Kind<ScheduleMaker>& kind : schedule_kinds())
    EXPECT_LE(make_schedule(kind.name, {}, run)(0), 1) << kind.name;
  EXPECT_EQ(error_of([&] { make_schedule("cosin", {}, run); }), "there is no schedule 'cosin'; did you mean 'cosine'?");
  EXPECT_EQ(error_of([&] {
              make_schedule("steps", {{"evry", 3}}, run);
            }),
            "schedule 'steps' has no setting 'evry'; did you mean 'every'?");
  EXPECT_EQ(error_of([&] { schedule::cosine(0); }), "schedule cosine must be at least one step long, got 0");
}

}  // namespace
}  // namespace descent::optim
