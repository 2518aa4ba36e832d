// What the table of checks cannot know of the core ops: the functions that users call, conventions at ties and edges,
// published values, and the user's line in errors.
#include <gtest/gtest.h>

#include <cmath>

#include "descent/grad/gradient.h"
#include "descent/ops/ops.h"
#include "descent/reference/interpreter.h"

namespace descent {
namespace {

using Values = std::vector<double>;

// A graph with its inputs' values, computed by the reference.
class Sheet {
 public:
  Tensor given(const Shape& shape, Values values, DType dtype = DType::f32) {
    const std::string name = "x" + std::to_string(values_.size());
    values_[name] = dense({dtype, shape}, std::move(values));
    return input(graph, name, values_[name].type);
  }
  Tensor given(Values values, DType dtype = DType::f32) {
    const auto size = static_cast<int64_t>(values.size());
    return given({size}, std::move(values), dtype);
  }
  Values operator()(Tensor x) const {
    const Value value = x.value();
    return interpret(graph, values_, std::span(&value, 1), {.exact = true})[0].values;
  }
  Values gradient(Tensor of, Tensor wrt) const { return (*this)(gradients(sum(of), std::span(&wrt, 1))[0]); }

  Graph graph;

 private:
  std::map<std::string, Dense> values_;
};

template <class Function>
std::string refusal(Function run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

std::string here(unsigned line) { return text(__FILE__, ":", line, ": "); }

TEST(operators, take_numbers_and_broadcast) {
  Sheet s;
  const Tensor x = s.given({2, 1}, {1, 2}), y = s.given({10, 20, 30});
  EXPECT_EQ(s(x + y), (Values{11, 21, 31, 12, 22, 32}));
  EXPECT_EQ(s(2 * x - 1), (Values{1, 3}));
  EXPECT_EQ(s(-(1 / x)), (Values{-1, -0.5}));
  EXPECT_EQ(s(3 - x), (Values{2, 1}));
}

// The sentence of the refusal, without the file and line that it must begin with.
template <class Function>
std::string sentence(Function run) {
  const std::string says = refusal(run), file = text(__FILE__, ":");
  EXPECT_TRUE(says.starts_with(file)) << says;
  return says.substr(std::min(says.size(), says.find(": ", file.size()) + 2));
}

TEST(operators, name_the_line_they_stand_on) {
  Sheet s;
  const Tensor x = s.given({1, 2}), y = s.given({1, 2, 3});
  EXPECT_TRUE(refusal([&] { x + y; }).starts_with(here(__LINE__) + "add: "));
  EXPECT_TRUE(refusal([&] { x - y; }).starts_with(here(__LINE__) + "sub: "));
  EXPECT_TRUE(refusal([&] { flip(x, {3}); }).starts_with(here(__LINE__) + "flip: "));
  EXPECT_TRUE(refusal([&] { where(x, 1, x); }).starts_with(here(__LINE__) + "where: "));
}

TEST(operators, refuse) {
  Sheet s;
  const Tensor x = s.given({1, 2}), y = s.given({1, 2, 3}), n = s.given({1, 2}, DType::i32);
  const Tensor bytes = cast(n, DType::u8);
  EXPECT_EQ(sentence([&] { x - y; }),
            "sub: shapes [2] and [3] do not broadcast: on axis -1 the sizes are 2 and 3 (equal sizes or 1 would do)");
  EXPECT_EQ(sentence([&] { 1 / n; }), "div: needs floating-point inputs, got i32[2]; cast it first");
  EXPECT_EQ(sentence([&] { x / n; }), "div: operands f32[2] and i32[2] have different element types; cast one of them");
  EXPECT_EQ(sentence([&] { -bytes; }), "neg: u8 has no negative numbers, got u8[2]; cast it first");
}

TEST(functions, refuse) {
  Sheet s;
  const Tensor x = s.given({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(sentence([&] { slice_axis(x, 2, 0, 1); }), "slice: axis 2 does not exist; the input has 2 axes");
  EXPECT_EQ(sentence([&] { slice_axis(x, 1, 2, 4); }),
            "slice: 2 to 4 is not a part of axis 1 of f32[2,3], whose size is 3");
  EXPECT_EQ(sentence([&] {
              pad(x, {0, 0}, {0, -1});
            }),
            "pad: padding axis 1 of f32[2,3] by 0 and -1; neither may be negative");
  EXPECT_EQ(sentence([&] { flip(x, {-3}); }), "flip: axis -3 does not exist; the input has 2 axes");
  EXPECT_EQ(sentence([&] { argmax(x, 5); }), "argmax: axis 5 does not exist; the input has 2 axes");
  EXPECT_EQ(sentence([&] {
              concat({x, sum(x, {0})}, 0);
            }),
            "concat: input 1 is f32[3] but input 0 is f32[2,3]; only axis 0 may differ");
  EXPECT_EQ(sentence([&] { concat({}, 0); }), "concat: needs at least one tensor");
  EXPECT_EQ(sentence([&] { gather(x, x); }), "gather: the indices must be i32, got f32[2,3]");
  EXPECT_EQ(sentence([&] { clamp(x, 1, 0); }), "clamp: the lower bound 1 is not below the upper bound 0");
  EXPECT_EQ(sentence([&] { where(x, x, 0); }), "where: the condition must be booleans, got f32[2,3]");
  EXPECT_EQ(sentence([&] { iota(s.graph, {3}, 1); }), "iota: axis 1 does not exist; the input has 1 axis");
  EXPECT_EQ(sentence([&] { max(x, {4}); }), "max: axis 4 does not exist; the input has 2 axes");
}

TEST(views, slices) {
  Sheet s;
  const Tensor x = s.given({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(s(slice(x, {0, 1}, {2, 3})), (Values{2, 3, 5, 6}));
  EXPECT_EQ(s(slice_axis(x, -1, 0, 3, 2)), (Values{1, 3, 4, 6}));
  EXPECT_EQ(s.gradient(slice_axis(x, -1, 0, 3, 2), x), (Values{1, 0, 1, 1, 0, 1}));
  EXPECT_EQ(s.gradient(slice_axis(x, 1, 0, 2, 2), x), (Values{1, 0, 0, 1, 0, 0}));
}

TEST(views, slices_of_the_highest_rank_have_gradients) {
  Sheet s;
  const Tensor x = s.given({1, 1, 1, 1, 1, 1, 1, 3}, {1, 2, 3});
  EXPECT_EQ(s.gradient(slice_axis(x, -1, 0, 3, 2), x), (Values{1, 0, 1}));
}

TEST(views, that_do_nothing_add_no_node) {
  Sheet s;
  const Tensor x = s.given({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(pad(x, {0, 0}, {0, 0}), x);
  EXPECT_EQ(flip(x, {}), x);
  EXPECT_EQ(concat({x}, 0), x);
  EXPECT_EQ(max(x, {}), x);
}

TEST(views, pad_flip_concat) {
  Sheet s;
  const Tensor x = s.given({1, 2});
  EXPECT_EQ(s(pad(x, {1}, {2}, 9)), (Values{9, 1, 2, 9, 9}));
  EXPECT_EQ(s(flip(x, {-1})), (Values{2, 1}));
  EXPECT_EQ(s(concat({x, x * 10, x}, -1)), (Values{1, 2, 10, 20, 1, 2}));
  EXPECT_EQ(s.gradient(concat({x, x * 10, x}, 0), x), (Values{12, 12}));
}

TEST(comparisons, with_ties_and_nan) {
  Sheet s;
  const Tensor a = s.given({1, 2, 3, NAN}), b = s.given({2, 2, 2, 2});
  EXPECT_EQ(s(less(a, b)), (Values{1, 0, 0, 0}));
  EXPECT_EQ(s(less_equal(a, b)), (Values{1, 1, 0, 0}));
  EXPECT_EQ(s(greater(a, b)), (Values{0, 0, 1, 0}));
  EXPECT_EQ(s(greater_equal(a, 2)), (Values{0, 1, 1, 0}));
  EXPECT_EQ(s(equal(a, b)), (Values{0, 1, 0, 0}));
  EXPECT_EQ(s(not_equal(a, b)), (Values{1, 0, 1, 1}));
  EXPECT_EQ(s(logical_and(less(a, b), greater(a, 0))), (Values{1, 0, 0, 0}));
  EXPECT_EQ(s(logical_or(less(a, b), greater(a, b))), (Values{1, 0, 1, 0}));
  EXPECT_EQ(s(logical_not(less(a, b))), (Values{0, 1, 1, 1}));
  EXPECT_EQ(less(a, b).dtype(), DType::boolean);
}

TEST(choices, where_broadcasts_all_three) {
  Sheet s;
  const Tensor condition = s.given({2, 1}, {1, 0}, DType::boolean), x = s.given({1, 2, 3});
  EXPECT_EQ(s(where(condition, x, 0)), (Values{1, 2, 3, 0, 0, 0}));
  EXPECT_EQ(s(where(condition, 7, x)), (Values{7, 7, 7, 1, 2, 3}));
}

TEST(choices, nan_is_never_lost) {
  Sheet s;
  const Tensor a = s.given({NAN, 1, NAN}), b = s.given({1, NAN, NAN});
  for (const Tensor& y : {maximum(a, b), minimum(a, b), clamp(a + b, 0, 1)})
    for (const double value : s(y)) EXPECT_TRUE(std::isnan(value));
  const Tensor rows = s.given({2, 3}, {1, NAN, 2, 3, 2, 1});
  EXPECT_TRUE(std::isnan(s(max(rows, {1}))[0]));
  EXPECT_EQ(s(argmax(rows)), (Values{1, 0}));
}

TEST(choices, ties_share_the_gradient) {
  Sheet s;
  const Tensor a = s.given({1, 2, 3}), b = s.given({2, 2, 2});
  EXPECT_EQ(s.gradient(maximum(a, b), a), (Values{0, 0.5, 1}));
  EXPECT_EQ(s.gradient(maximum(a, b), b), (Values{1, 0.5, 0}));
  EXPECT_EQ(s.gradient(minimum(a, b), a), (Values{1, 0.5, 0}));
  const Tensor x = s.given({4}, {3, 1, 3, 3});
  for (const double value : s.gradient(max(x), x)) EXPECT_TRUE(value == 0 || std::abs(value - 1.0 / 3) < 1e-15);
  EXPECT_EQ(s.gradient(max(x), x)[1], 0);
  EXPECT_EQ(s(argmax(x, 0)), (Values{0}));
}

TEST(choices, argmax_keeps_an_axis_if_asked) {
  Sheet s;
  const Tensor x = s.given({2, 3}, {1, 5, 2, 7, 0, 7});
  EXPECT_EQ(argmax(x, -1, true).shape(), (Shape{2, 1}));
  EXPECT_EQ(argmax(x, 0).shape(), Shape{3});
  EXPECT_EQ(s(argmax(x, 0)), (Values{1, 0, 1}));
}

TEST(elementwise, gradients_at_special_points) {
  Sheet s;
  const Tensor x = s.given({0, -2, 3});
  EXPECT_EQ(s.gradient(abs(x), x), (Values{0, -1, 1}));
  EXPECT_EQ(s.gradient(square(x), x), (Values{0, -4, 6}));
  EXPECT_EQ(s.gradient(pow(x, 2), x), (Values{0, -4, 6}));
  EXPECT_EQ(s.gradient(pow(x, 0), x), (Values{0, 0, 0}));
  EXPECT_EQ(s.gradient(pow(x, 1), x), (Values{1, 1, 1}));
  EXPECT_EQ(s.gradient(stop_gradient(x) * x, x), (Values{0, -2, 3}));
  EXPECT_EQ(s.gradient(floor(x), x), (Values{0, 0, 0}));
}

TEST(elementwise, second_gradients_at_special_points) {
  Sheet s;
  const Tensor x = s.given({0, 1, -1});
  const Tensor slope = gradients(sum(pow(x, 2)), std::span(&x, 1))[0];
  EXPECT_EQ(s.gradient(slope, x), (Values{2, 2, 2}));
  const Tensor flat = gradients(sum(pow(x, 1)), std::span(&x, 1))[0];
  EXPECT_EQ(s.gradient(flat, x), (Values{0, 0, 0}));
}

TEST(reductions, mean) {
  Sheet s;
  const Tensor x = s.given({2, 3}, {1, 2, 3, 4, 5, 9});
  EXPECT_EQ(s(mean(x)), Values{4});
  EXPECT_EQ(s(mean(x, {-1})), (Values{2, 6}));
  EXPECT_EQ(mean(x, {0}, true).shape(), (Shape{1, 3}));
  EXPECT_TRUE(std::isnan(s(mean(s.given(Shape{0}, Values{})))[0]));
}

TEST(indexing, outside_is_the_nearest_row_both_ways) {
  Sheet s;
  const Tensor table = s.given({3, 2}, {1, 2, 3, 4, 5, 6}), indices = s.given({-5, 1, 99}, DType::i32);
  EXPECT_EQ(s(gather(table, indices)), (Values{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(s(scatter_add(indices, gather(table, indices), 3)), (Values{1, 2, 3, 4, 5, 6}));
}

TEST(indexing, repeated_rows_add_up) {
  Sheet s;
  const Tensor table = s.given({3, 1}, {1, 2, 3}), indices = s.given({2, 2, 0}, DType::i32);
  EXPECT_EQ(s.gradient(gather(table, indices), table), (Values{1, 0, 2}));
}

TEST(random, bits_are_the_published_generator_s) {
  Sheet s;
  const Tensor zero = s.given({0, 0}, DType::u32);
  // Random123's known answer for counter 0 and key 0.
  EXPECT_EQ(s(random_bits(zero, zero, {4}, 0)), (Values{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const Tensor key = s.given({0xa4093822, 0x299f31d0}, DType::u32),
               counter = s.given({0x13198a2e, 0x03707344}, DType::u32);
  const auto expected = philox4x32_10({2, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0});
  const Values bits = s(random_bits(key, counter, {3, 4}, 0x85a308d3));
  for (size_t word = 0; word < 4; ++word) EXPECT_EQ(bits[8 + word], expected[word]);
}

TEST(random, equal_nodes_merge_and_streams_differ) {
  Sheet s;
  const Tensor key = s.given({1, 2}, DType::u32), counter = s.given({3, 4}, DType::u32);
  EXPECT_EQ(random_bits(key, counter, {5}, 1), random_bits(key, counter, {5}, 1));
  EXPECT_NE(s(random_bits(key, counter, {5}, 1)), s(random_bits(key, counter, {5}, 2)));
}

}  // namespace
}  // namespace descent
