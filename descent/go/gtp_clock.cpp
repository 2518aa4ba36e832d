#include <algorithm>

#include "descent/go/gtp.h"

namespace descent::go {

void GtpClock::set(double main, double period, int stones) {
  *this = {};
  limited_ = !(period > 0 && stones == 0);
  main_left_ = main;
  period_ = period;
  stones_ = stones;
}

void GtpClock::set_byoyomi(double main, double period, int periods) { set(main, periods > 0 ? period : 0, 1); }

void GtpClock::set_left(double seconds, int stones) {
  limited_ = true;
  period_left_ = stones > 0 ? seconds : -1;
  stones_left_ = stones;
  main_left_ = stones > 0 ? 0 : seconds;
}

double GtpClock::seconds_for_move(int moves_played, int area) const {
  if (!limited_) return std::numeric_limits<double>::infinity();
  constexpr double share = 0.8, least = 0.01;  // of the time, of a move
  if (period_left_ >= 0) return std::max(least, share * period_left_ / std::max(1, stones_left_));
  const double in_period = stones_ > 0 ? period_ / stones_ : 0;
  // As many moves are expected as fill the board by three quarters, and never fewer than some.
  const double to_come = std::max(area * 0.75 - moves_played, area * 0.15 + 10) / 2;
  return std::max(least, share * std::max(main_left_ / to_come, std::min(in_period, main_left_ / to_come + in_period)));
}

}  // namespace descent::go
