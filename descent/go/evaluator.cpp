#include "descent/go/evaluator.h"

#include <algorithm>
#include <cmath>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::go {

namespace {

void check_answer(const NetAnswer& answer, int64_t rows, int64_t moves, bool has_value) {
  const Type policy{DType::f32, {rows, moves}}, value{DType::f32, {rows}};
  if (!answer.policy || answer.policy.type() != policy)
    fail(text("a net for Go must answer with a policy of ", policy, ", but gave ",
              answer.policy ? to_text(answer.policy.type()) : "none"));
  if (has_value && (!answer.value || answer.value.type() != value))
    fail(text("a net for Go must answer with values of ", value, ", but gave ",
              answer.value ? to_text(answer.value.type()) : "none"));
}

// Adds the softmax of one row of scores, turned back, to a policy.
void add_policy(std::span<const float> scores, int symmetry, const Geometry& board, float share,
                std::span<float> policy) {
  const float most = *std::ranges::max_element(scores);
  double sum = 0;
  for (const float score : scores) sum += std::exp(static_cast<double>(score) - most);
  if (!std::isfinite(sum)) fail("a net for Go answered with a score that is no number");
  const auto& image = board.image[static_cast<size_t>(symmetry)];
  const auto area = static_cast<size_t>(board.area);
  for (size_t p = 0; p <= area; ++p) {
    const size_t from = p < area ? static_cast<size_t>(image[p]) : area;
    policy[p] += share * static_cast<float>(std::exp(static_cast<double>(scores[from]) - most) / sum);
  }
}

}  // namespace

NetEvaluator::NetEvaluator(NetFunction net, bool has_value, int views)
    : net_(std::move(net)), has_value_(has_value), views_(views) {
  if (views < 1 || views > symmetries) fail(text("a position has 1 to ", symmetries, " views, not ", views));
}

void NetEvaluator::evaluate(std::span<const Position> positions, std::span<Evaluation> out) {
  if (positions.empty()) return;
  const Geometry& board = geometry(positions[0].size);
  const auto area = static_cast<size_t>(board.area), sample = area * planes, views = static_cast<size_t>(views_);
  const auto rows = static_cast<int64_t>(positions.size() * views);
  Array input(DType::u8, {rows, board.size, board.size, planes});
  const std::span<uint8_t> bytes = input.as<uint8_t>();
  for (size_t i = 0; i < positions.size() * views; ++i) {
    if (positions[i / views].size != board.size) fail("positions of different sizes cannot be evaluated at once");
    write_planes(positions[i / views], static_cast<int>(i % views), bytes.subspan(i * sample, sample));
  }
  const NetAnswer answer = net_(input);
  check_answer(answer, rows, board.area + 1, has_value_);
  const std::span<const float> scores = answer.policy.as<float>();
  const float share = 1 / static_cast<float>(views);
  for (size_t i = 0; i < positions.size(); ++i) {
    out[i].policy.assign(area + 1, 0);
    out[i].value = 0;
    for (size_t view = 0; view < views; ++view) {
      const size_t row = i * views + view;
      add_policy(scores.subspan(row * (area + 1), area + 1), static_cast<int>(view), board, share, out[i].policy);
      if (has_value_) out[i].value += share * std::tanh(answer.value.as<float>()[row] / 2);
    }
    if (!std::isfinite(out[i].value)) fail("a net for Go answered with a value that is no number");
  }
}

}  // namespace descent::go
