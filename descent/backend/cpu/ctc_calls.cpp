// ctc_loss and ctc_gradient: each sequence is one thread's, in logarithms of double, whose sums over hundreds of frames
// stay exact to the last bit of a float. (Plain probabilities, scaled frame by frame, are quicker and fail where a
// label is far less likely than blanks: at the start of a training.)
#include <algorithm>
#include <cmath>
#include <limits>

#include "descent/backend/cpu/calls.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"

namespace descent::cpu {

namespace {

constexpr double none = -std::numeric_limits<double>::infinity();

// The logarithm of the sum of three exponentials.
double log_sum(double a, double b, double c) {
  if (a < b) std::swap(a, b);
  if (a < c) std::swap(a, c);
  if (b == none && c == none) return a;  // also where all three are
  double rest = 0;
  if (b != none) rest += std::exp(b - a);
  if (c != none) rest += std::exp(c - a);
  return a + std::log1p(rest);
}

// One sequence's place in the operands.
struct Item {
  const float* scores;    // [frames, classes]
  const int32_t* labels;  // [labels]
  int64_t frames, labels_used;
};

// A thread's own memory, and the walk along one sequence: states are a blank, the first label, a blank and so on, which
// the tables hold between two states that nothing reaches.
class Walk {
 public:
  Walk(int64_t frames, int64_t classes, int64_t labels, int64_t blank)
      : classes_(classes), blank_(blank), width_(2 * labels + 1 + 2) {
    const auto row = static_cast<size_t>(width_);
    states_.resize(row);
    skips_.resize(row + 2);
    log_total_.resize(static_cast<size_t>(frames));
    before_.resize(static_cast<size_t>(std::max<int64_t>(1, frames)) * row);
    onwards_.resize(row + 2);
    occupancy_.resize(static_cast<size_t>(classes));
  }

  // log of the labels' probability; minus infinity if they cannot be had.
  double probability(const Item& item) {
    count_ = 2 * item.labels_used + 1;
    if (!spell(item)) return none;
    if (item.frames == 0) return count_ == 1 ? 0 : none;
    for (int64_t t = 0; t < item.frames; ++t) {
      log_total_[static_cast<size_t>(t)] = log_total(item.scores + t * classes_);
      forwards(item, t);
    }
    const double* last = row(item.frames - 1);
    return log_sum(last[count_ - 1], count_ > 1 ? last[count_ - 2] : none, none);
  }

  // After probability(), which gave `all`: the gradient times g, to out[frames, classes].
  void gradient(const Item& item, double all, float g, float* out) {
    std::fill(onwards_.begin(), onwards_.end(), none);
    for (int64_t t = item.frames - 1; t >= 0; --t) {
      const float* scores = item.scores + t * classes_;
      const double total = log_total_[static_cast<size_t>(t)];
      std::ranges::fill(occupancy_, 0.0);
      backwards(t == item.frames - 1);
      const double* before = row(t);
      for (int64_t s = 0; s < count_; ++s) {
        double& way = onwards_[static_cast<size_t>(s)];
        const double share = before[s] + way - all;
        if (share != none) occupancy_[static_cast<size_t>(states_[static_cast<size_t>(s)])] += std::exp(share);
        way += scores[states_[static_cast<size_t>(s)]] - total;
      }
      for (int64_t c = 0; c < classes_; ++c)
        out[t * classes_ + c] =
            static_cast<float>(g * (std::exp(scores[c] - total) - occupancy_[static_cast<size_t>(c)]));
    }
  }

 private:
  double* row(int64_t t) { return before_.data() + t * width_ + 2; }  // states -2 and -1 are never reached

  // Lays out the states; false if a label is none.
  bool spell(const Item& item) {
    bool known = true;
    for (int64_t s = 0; s < count_; ++s) {
      const int32_t state = s % 2 == 0 ? static_cast<int32_t>(blank_) : item.labels[s / 2];
      known = known && state >= 0 && state < classes_ && (s % 2 == 0 || state != blank_);
      states_[static_cast<size_t>(s)] = state;
      skips_[static_cast<size_t>(s)] = s % 2 == 1 && s >= 2 && state != item.labels[s / 2 - 1];
    }
    return known;
  }

  double log_total(const float* scores) const {
    const double largest = *std::max_element(scores, scores + classes_);
    double total = 0;
    for (int64_t c = 0; c < classes_; ++c) total += std::exp(scores[c] - largest);
    return largest + std::log(total);
  }

  void forwards(const Item& item, int64_t t) {
    double* now = row(t);
    now[-2] = now[-1] = none;
    const float* scores = item.scores + t * classes_;
    const double total = log_total_[static_cast<size_t>(t)];
    const double* then = t == 0 ? nullptr : row(t - 1);
    for (int64_t s = 0; s < count_; ++s) {
      const double way = then == nullptr
                             ? (s < 2 ? 0.0 : none)
                             : log_sum(then[s], then[s - 1], skips_[static_cast<size_t>(s)] ? then[s - 2] : none);
      now[s] = way + (scores[states_[static_cast<size_t>(s)]] - total);
    }
  }

  // onwards_ from "frame t + 1 and what follows, from state s there" to "what follows frame t, from state s in it".
  void backwards(bool last) {
    for (int64_t s = 0; s < count_; ++s) {
      double& way = onwards_[static_cast<size_t>(s)];
      const bool skips = s + 2 < count_ && skips_[static_cast<size_t>(s + 2)];
      way = last ? (s >= count_ - 2 ? 0.0 : none)
                 : log_sum(way, s + 1 < count_ ? onwards_[static_cast<size_t>(s + 1)] : none,
                           skips ? onwards_[static_cast<size_t>(s + 2)] : none);
    }
  }

  int64_t classes_, blank_, width_, count_ = 1;
  std::vector<int32_t> states_;
  std::vector<char> skips_;  // whether a path may come from two states before
  std::vector<double> log_total_, before_, onwards_, occupancy_;
};

class Ctc : public Call {
 public:
  explicit Ctc(const CallStep& step)
      : gradient_(step.what == "ctc_gradient"),
        zero_infinity_(!gradient_ && step.attrs.integer("zero_infinity") != 0),
        reads_(step.reads),
        out_(step.writes[0]) {
    const View &scores = reads_[gradient_ ? 1 : 0], &labels = reads_[gradient_ ? 2 : 1];
    sequences_ = scores.sizes[0];
    frames_ = scores.sizes[1];
    classes_ = scores.sizes[2];
    labels_ = labels.sizes[1];
    const int64_t work = sequences_ * frames_ * (labels_ + classes_);
    threads_ = work > (1 << 10) ? static_cast<int>(std::min<int64_t>(thread_count(), sequences_)) : 1;
    for (int i = 0; i < threads_; ++i) walks_.emplace_back(frames_, classes_, labels_, step.attrs.integer("blank"));
  }

  // Sequences are of different lengths: threads take turns.
  void run(std::byte* const* addresses) override {
    run_together(threads_, [&](Share share) {
      for (int64_t i = share.part; i < sequences_; i += share.parts)
        one(walks_[static_cast<size_t>(share.part)], i, addresses);
    });
  }
  std::string kernel() const override { return "paths"; }

 private:
  void one(Walk& walk, int64_t i, std::byte* const* addresses) const {
    const size_t first = gradient_ ? 1 : 0;
    const auto number = [&](size_t operand) {
      return reinterpret_cast<const int32_t*>(address_of(reads_[operand], addresses))[i];
    };
    const Item item{reinterpret_cast<const float*>(address_of(reads_[first], addresses)) + i * frames_ * classes_,
                    reinterpret_cast<const int32_t*>(address_of(reads_[first + 1], addresses)) + i * labels_,
                    std::clamp<int64_t>(number(first + 2), 0, frames_),
                    std::clamp<int64_t>(number(first + 3), 0, labels_)};
    auto* out = reinterpret_cast<float*>(address_of(out_, addresses));
    const double all = walk.probability(item);
    if (!gradient_) {
      out[i] = std::isinf(all) && zero_infinity_ ? 0 : static_cast<float>(-all);
      return;
    }
    float* mine = out + i * frames_ * classes_;
    const int64_t used = std::isinf(all) ? 0 : item.frames;
    if (used > 0) walk.gradient(item, all, reinterpret_cast<const float*>(address_of(reads_[0], addresses))[i], mine);
    std::fill(mine + used * classes_, mine + frames_ * classes_, 0.0f);
  }

  bool gradient_, zero_infinity_;
  std::vector<View> reads_;
  View out_;
  int64_t sequences_ = 0, frames_ = 0, classes_ = 0, labels_ = 0;
  int threads_ = 1;
  std::vector<Walk> walks_;
};

}  // namespace

std::unique_ptr<Call> make_ctc(const CallStep& step, const Program&) { return std::make_unique<Ctc>(step); }

}  // namespace descent::cpu
