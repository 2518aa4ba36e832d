// The vector tile machine against a plain interpreter: every op, level, type and odd size; views; walks; and that
// threads and targets do not change a bit.
#include "tile_testing.h"

namespace descent::cpu {

namespace {

// --- Scalar instructions ---

struct ScalarCase {
  ScalarOp op;
  int arguments;
  double low, high;  // of random arguments
  double ulps;       // 0: exact
  Values special;    // further arguments
};

const Values usual{0, -0.0, 1, -1, inf, -inf, NAN, 0.5, -0.5, 1e30, -1e30, 65504, 3e38};

const std::vector<ScalarCase> real_cases{
    {ScalarOp::neg, 1, -9, 9, 0, usual},
    {ScalarOp::exp,
     1,
     -88,
     88,
     2,
     {0, -0.0, inf, -inf, NAN, 1e-6, 88.7, 88.73, 89, 1000, -87, -87.3, -1000, 3e38, -3e38}},
    {ScalarOp::log, 1, 0, 100, 2, {0, -0.0, inf, -inf, NAN, 1, 0.99999, 1.00001, -1, 2e-38, 3e38, 1e-30}},
    {ScalarOp::sqrt, 1, 0, 100, 0, usual},
    {ScalarOp::tanh,
     1,
     -12,
     12,
     2,
     {0, -0.0, inf, -inf, NAN, 1e-6, 0.148, 0.149, -0.62, 9.05, 9.06, -9.35, 19, -30, 3e38, -3e38}},
    {ScalarOp::erf,
     1,
     -4.5,
     4.5,
     2,
     {0, -0.0, inf, -inf, NAN, 1e-6, -1e-30, 0.0703, -0.0704, 0.21, 0.9844, 3.92, -4.28, 4.29, 4.43, 4.5, 3e38, -3e38}},
    {ScalarOp::x_erf_slope,
     1,
     -4.5,
     4.5,
     2,
     {0, -0.0, inf, -inf, NAN, 1e-6, -1e-30, 0.0703, -0.0704, 0.21, 0.9844, 3.92, -4.28, 4.29, 4.43, 4.5, 3e38, -3e38}},
    {ScalarOp::rounded_gelu,
     1,
     -3.9,
     7,
     1,
     {0, -0.0, NAN, 1e-6, -1e-30, 0.17, -0.52, 4.98, 4.99, 5.2, -20, 6e4, -6e4}},
    {ScalarOp::rounded_gelu_slope,
     1,
     -0.6,
     7,
     1,
     {0, -0.0, NAN, 1e-6, -3, 0.17, -0.52, 4.98, 4.99, 5.2, -20, 6e4, -6e4}},
    {ScalarOp::floor, 1, -9, 9, 0, usual},
    {ScalarOp::add, 2, -9, 9, 0, usual},
    {ScalarOp::mul, 2, -9, 9, 0, usual},
    {ScalarOp::div, 2, -9, 9, 0, usual},
    {ScalarOp::max, 2, -2, 2, 0, usual},
    {ScalarOp::min, 2, -2, 2, 0, usual},
    {ScalarOp::pow, 2, 0.1, 6, 2, {0, -0.0, 1, -1, 2, 3, -2, inf, -inf, NAN, 0.5, 1e20, 1e-20}},
    {ScalarOp::less, 2, -2, 2, 0, usual},
    {ScalarOp::equal, 2, -2, 2, 0, usual},
};

// Arguments of an operation: each special value with each other, then random ones.
std::vector<Values> arguments_of(const ScalarCase& test, int64_t size, Random& random) {
  std::vector<Values> out(static_cast<size_t>(test.arguments));
  const auto special = std::ssize(test.special);
  for (int64_t i = 0; i < size; ++i) {
    const bool use = i < special * (test.arguments == 2 ? special : 1);
    for (size_t arg = 0; arg < out.size(); ++arg)
      out[arg].push_back(use ? test.special[static_cast<size_t>(arg == 0 ? i % special : i / special)]
                             : random.uniform(test.low, test.high));
  }
  return out;
}

Writer scalar_kernel(const ScalarCase& test, DType dtype, Level level, const std::vector<Values>& arguments) {
  Writer writer = writer_for(level, std::ssize(arguments[0]));
  std::array<int32_t, 3> in{-1, -1, -1};
  for (size_t i = 0; i < arguments.size(); ++i) in[i] = writer.load(writer.buffer(dtype, arguments[i]), level);
  writer.keep(writer.scalar(test.op, in[0], in[1], in[2]));
  return writer;
}

TEST_F(TileMachine, ComputesScalarsOfEveryFloatAtEveryLevel) {
  for (const ScalarCase& test : real_cases)
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
      for (const Level level : {Level::element, Level::row, Level::column})
        for (const int64_t size : odd_sizes) {
          const Writer writer = scalar_kernel(test, dtype, level, arguments_of(test, size, random_));
          const double ulps = test.ulps == 0 ? 0 : dtype == DType::f32 ? test.ulps : 1;
          // Plain C++ has no fused multiply-add, so that elementary functions may differ in their last bit.
          // Results below the normal range may be taken for zero.
          const double least = dtype == DType::f16                     ? (test.ulps == 0 ? 0 : 0x1p-24)
                               : test.ulps > 0 || dtype == DType::bf16 ? 0x1p-126
                                                                       : 0;
          expect_right_everywhere(writer, {.ulps = ulps, .absolute = least}, test.ulps == 0);
          if (HasFailure()) return;
        }
}

// Code has instructions of their own for these.
TEST_F(TileMachine, ComputesReciprocalsNearTheEndsOfTheRange) {
  Values divisors = random_.reals(3000, -4, 4);
  for (int exponent = -149; exponent < 128; ++exponent)
    for (const double mantissa : {1.0, 1.00000012, 1.5, 1.99999976}) divisors.push_back(std::ldexp(mantissa, exponent));
  Writer ordinary(1, 3000);
  ordinary.keep(ordinary.scalar(ScalarOp::div, ordinary.constant(1),
                                ordinary.load(ordinary.buffer(DType::f32, random_.reals(3000, 0.5, 900)))));
  expect_right_everywhere(ordinary);
  divisors.insert(divisors.end(), usual.begin(), usual.end());
  Writer writer(1, std::ssize(divisors));
  writer.keep(writer.scalar(ScalarOp::div, writer.constant(1), writer.load(writer.buffer(DType::f32, divisors))));
  expect_right_everywhere(writer);
}

TEST_F(TileMachine, ComputesSinesNearAndFar) {
  for (const ScalarOp op : {ScalarOp::sin, ScalarOp::cos}) {
    Values angles = random_.reals(3000, -10, 10), far = random_.reals(500, -8000, 8000),
           farther = random_.reals(500, -1e30, 1e30);
    angles.insert(angles.end(), far.begin(), far.end());
    angles.insert(angles.end(), farther.begin(), farther.end());
    angles.insert(angles.end(), {0, -0.0, inf, -inf, NAN, 3.14159274, 1.57079637, 8191.9, 8192, -8192.5, 3e38});
    Writer writer(1, std::ssize(angles));
    writer.keep(writer.scalar(op, writer.load(writer.buffer(DType::f32, angles))));
    expect_right_everywhere(writer, {.ulps = 2, .absolute = 0x1p-25}, false);
  }
}

// Where vectors of the same length agree: AVX2 and AVX-512 both have fused multiply-add.
void expect_same_on_vector_targets(const Writer& writer) {
  Bytes first;
  for (const std::string& target : tile_targets()) {
    if (!target.starts_with("AVX")) continue;
    set_tile_target(target);
    const Bytes bytes = machine_bytes(writer, 1);
    if (first.empty()) first = bytes;
    EXPECT_EQ(bytes, first) << target;
  }
  set_tile_target(tile_targets()[0]);
}

TEST_F(TileMachine, ElementaryFunctionsAreTheSameBitsOnVectorTargets) {
  Writer writer(1, 3000);
  const int32_t x = writer.load(writer.buffer(DType::f32, random_.reals(3000, -20, 20)));
  for (const ScalarOp op : {ScalarOp::exp, ScalarOp::log, ScalarOp::sin, ScalarOp::cos, ScalarOp::tanh, ScalarOp::erf,
                            ScalarOp::x_erf_slope})
    writer.keep(writer.scalar(op, x));
  writer.keep(writer.scalar(ScalarOp::pow, x, writer.constant(1.7)));
  expect_same_on_vector_targets(writer);
}

// Code makes both at once, whichever comes first, and each alone.
TEST_F(TileMachine, FunctionsAndTheirSlopesAreTheSameBitsTogetherAsAlone) {
  for (const auto& [function, slope] : {std::pair(ScalarOp::erf, ScalarOp::x_erf_slope),
                                        std::pair(ScalarOp::rounded_gelu, ScalarOp::rounded_gelu_slope)})
    for (const bool slope_first : {false, true})
      for (const DType dtype : {DType::f32, DType::bf16}) {
        Writer writer(1, 3000);
        const int32_t x = writer.load(writer.buffer(dtype, random_.reals(3000, -5, 5)));
        const int32_t y = writer.load(writer.buffer(dtype, random_.reals(3000, -5, 5)));
        const int32_t first = writer.scalar(slope_first ? slope : function, x);
        writer.keep(writer.mul(first, y));
        writer.keep(writer.scalar(slope_first ? function : slope, x));
        writer.keep(writer.add(writer.scalar(slope, y), first));
        expect_same_on_vector_targets(writer);
      }
}

// What is only stored is rounded there.
TEST_F(TileMachine, RoundsWhatIsStoredAndReadOn) {
  for (const bool read_on : {false, true}) {
    Writer writer(1, 3000);
    const int32_t x = writer.load(writer.buffer(DType::f32, random_.reals(3000, -0.6, 7)));
    const int32_t gelu = writer.scalar(ScalarOp::rounded_gelu, x);
    writer.keep(gelu);
    writer.keep(writer.scalar(ScalarOp::rounded_gelu_slope, x));
    if (read_on) writer.keep(writer.mul(writer.cast(gelu, DType::f32), x));
    expect_right_everywhere(writer, {.ulps = 1, .absolute = 0x1p-126}, false);
  }
}

TEST_F(TileMachine, ComputesIntegersAndSaturates) {
  const Values i32s{0, 1, -1, 2, -2, 65536, -65536, 2147483647, -2147483648.0, 1000000},
      u32s{0, 1, 2, 65536, 4294967295.0, 2147483648.0, 70000};
  const std::vector<ScalarOp> ops{ScalarOp::add,  ScalarOp::mul,   ScalarOp::max, ScalarOp::min,
                                  ScalarOp::less, ScalarOp::equal, ScalarOp::neg};
  for (const DType dtype : {DType::i32, DType::u32, DType::u8, DType::boolean})
    for (const ScalarOp op : ops)
      for (const Level level : {Level::element, Level::row, Level::column})
        for (const int64_t size : odd_sizes) {
          ScalarCase test{op, op == ScalarOp::neg ? 1 : 2, 0, 200, 0, dtype == DType::u32 ? u32s : i32s};
          if (dtype == DType::i32) test.low = -200;
          if (dtype == DType::u8) test.special = {0, 1, 255, 128, 16};
          if (dtype == DType::boolean) test.special = {0, 1};
          expect_right_everywhere(scalar_kernel(test, dtype, level, arguments_of(test, size, random_)));
          if (HasFailure()) return;
        }
}

TEST_F(TileMachine, ChoosesWithWhere) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16, DType::i32, DType::u32, DType::u8, DType::boolean})
    for (const Level level : {Level::element, Level::row, Level::column})
      for (const int64_t size : odd_sizes) {
        Writer writer = writer_for(level, size);
        const int32_t condition = writer.load(writer.buffer(DType::boolean, random_.wholes(size, 0, 1)), level);
        const int32_t a = writer.load(writer.buffer(dtype, random_.wholes(size, 0, 1)), level);
        const int32_t b = writer.load(writer.buffer(dtype, random_.wholes(size, 0, 9)), level);
        writer.keep(writer.scalar(ScalarOp::where, condition, a, b));
        expect_right_everywhere(writer);
      }
}

TEST_F(TileMachine, CastsBetweenAllTypes) {
  const std::vector<DType> types{DType::f32, DType::bf16, DType::f16,    DType::i32,
                                 DType::u32, DType::u8,   DType::boolean};
  const Values values{0,
                      -0.0,
                      0.4,
                      0.5,
                      -0.5,
                      0.999,
                      1,
                      1.5,
                      2.5,
                      -1.5,
                      127.5,
                      255,
                      256,
                      300,
                      -300,
                      65519,
                      65520,
                      2147483520.0,
                      2147483648.0,
                      -2147483648.0,
                      4294967040.0,
                      4294967296.0,
                      inf,
                      -inf,
                      NAN,
                      1e-30,
                      1.00390625,
                      1.01171875,
                      3.3895313892515355e38,
                      3.4e38,
                      6e-8,
                      5.9604644775390625e-8,
                      16777217,
                      33,
                      77,
                      4e9,
                      -4e9,
                      16777219,
                      2147483647,
                      4294967295.0,
                      3,
                      200,
                      6.1e-5,
                      -65536};
  for (const DType from : types)
    for (const DType to : types)
      for (const Level level : {Level::element, Level::row, Level::column}) {
        Writer writer = writer_for(level, std::ssize(values));
        writer.keep(writer.cast(writer.load(writer.buffer(from, values), level), to));
        expect_right_everywhere(writer);
      }
}

TEST_F(TileMachine, RoundsEachResultToItsType) {
  Writer writer(1, 1000);
  const int32_t x = writer.load(writer.buffer(DType::bf16, random_.reals(1000))),
                y = writer.load(writer.buffer(DType::bf16, random_.reals(1000)));
  writer.keep(writer.mul(writer.add(writer.mul(x, y), x), writer.sub(x, y)));  // each step in bf16
  const int32_t a = writer.cast(x, DType::f32), b = writer.cast(y, DType::f32);
  writer.store(writer.mul(writer.add(writer.mul(a, b), a), writer.sub(a, b)),
               writer.output(DType::bf16, 1000));    // once, at the store
  writer.store(a, writer.output(DType::i32, 1000));  // a store converts
  expect_right_everywhere(writer);
}

// Joined instructions against their parts, in every combination; with uniform and varying arguments.
TEST_F(TileMachine, JoinedInstructionsRoundAsTheirPartsDo) {
  const std::vector<ScalarOp> ops{ScalarOp::add, ScalarOp::mul,  ScalarOp::div,
                                  ScalarOp::neg, ScalarOp::sqrt, ScalarOp::max};
  for (const ScalarOp inner : ops)
    for (const ScalarOp outer : ops)
      for (int shape = 0; shape < 6; ++shape) {
        Writer writer(1, 333);
        std::array<int32_t, 4> in{};
        for (int32_t& x : in) x = writer.load(writer.buffer(DType::f32, random_.reals(333, 0.1, 9)));
        if (shape >= 4) in[1] = writer.constant(1.7), in[2] = writer.load(writer.buffer(DType::f32, {0.3}));
        const int32_t a = writer.scalar(inner, in[0], in[1]), b = writer.scalar(outer, in[2], in[3]);
        const int32_t c = shape % 2 == 0 ? writer.scalar(outer, a, in[2]) : writer.scalar(outer, in[2], a);
        const int32_t d = shape < 2 ? c : shape < 4 ? writer.scalar(inner, c, b) : writer.sub(b, c);
        writer.keep(d);
        if (shape % 3 == 0) writer.keep(writer.scalar(ScalarOp::where, writer.scalar(ScalarOp::less, a, c), a, in[3]));
        if (shape % 3 == 1)
          writer.keep(writer.scalar(ScalarOp::where, writer.scalar(ScalarOp::equal, a, in[0]), in[3], c));
        expect_right_everywhere(writer);
        if (HasFailure()) return;
      }
}

// --- Views ---

// Views of `rows` x `columns` elements of a buffer that is large enough for all of them.
std::vector<View> views_of(BufferId id, DType dtype, int64_t rows, int64_t columns) {
  return {
      {id, dtype, 0, {rows * columns}, {1}},
      {id, dtype, 5, {rows, columns}, {columns, 1}},
      {id, dtype, 0, {rows, columns}, {0, 0}},
      {id, dtype, 3, {}, {}},                                             // replaced below unless there is one element
      {id, dtype, 2, {rows, columns}, {0, 1}},                            // bias
      {id, dtype, 1, {rows, columns}, {1, 0}},                            // repeated row value
      {id, dtype, 0, {rows, columns}, {1, rows}},                         // transposed
      {id, dtype, 7, {rows, columns}, {columns + 3, 1}},                  // slice
      {id, dtype, 0, {rows, columns}, {2 * columns, 2}},                  // every second
      {id, dtype, rows * columns - 1, {rows * columns}, {-1}},            // flipped
      {id, dtype, (rows - 1) * columns, {rows, columns}, {-columns, 1}},  // rows flipped
      {id, dtype, columns - 1, {rows, columns}, {columns, -1}},           // columns flipped
      {id, dtype, rows - 1 + (columns - 1) * rows, {rows, columns}, {-1, -rows}},  // transposed and flipped
  };
}

TEST_F(TileMachine, LoadsThroughAnyView) {
  const std::vector<std::pair<int64_t, int64_t>> shapes{{1, 1},   {1, 17},   {17, 1},   {3, 5}, {33, 10},
                                                        {64, 32}, {20, 513}, {100, 70}, {0, 4}, {4, 0}};
  for (const auto& [rows, columns] : shapes)
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16, DType::i32, DType::u32, DType::u8, DType::boolean}) {
      Writer writer(rows, columns);
      const BufferId from = writer.buffer(
          dtype, random_.wholes(2 * rows * columns + 4 * rows + 100, 0, dtype == DType::boolean ? 1 : 100));
      for (View view : views_of(from, dtype, rows, columns)) {
        if (view.sizes.empty() && rows * columns != 1) continue;
        if (rows * columns == 0) view.offset = 0;
        const int32_t x = writer.load(view);
        writer.keep(dtype == DType::boolean ? x : writer.add(x, writer.constant(1, dtype)));
      }
      expect_right_everywhere(writer);
    }
}

TEST_F(TileMachine, StoresThroughAnyView) {
  for (const auto& [rows, columns] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {1, 17}, {3, 5}, {33, 10}, {64, 32}, {20, 513}, {100, 70}})
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16, DType::i32, DType::u8, DType::boolean}) {
      Writer writer(rows, columns);
      const int32_t x =
          writer.load(writer.buffer(dtype, random_.wholes(rows * columns, 0, dtype == DType::boolean ? 1 : 100)));
      for (const View& view : views_of(0, dtype, rows, columns)) {
        const bool repeats = (view.sizes.empty() || std::ranges::count(view.strides, 0) > 0) && rows * columns != 1;
        if (repeats) continue;  // several elements at one address
        View to = view;
        to.buffer = writer.output(dtype, 2 * rows * columns + 4 * rows + 100);
        writer.store(x, to);
      }
      expect_right_everywhere(writer);
    }
}

TEST_F(TileMachine, PermutesAxes) {
  // n, c, y, x read as n, y, x, c and the other way, and with an axis of neither kind.
  const std::vector<View> views{{0, DType::f32, 0, {3, 35, 20}, {700, 1, 35}},
                                {0, DType::bf16, 0, {3, 20, 35}, {700, 1, 20}},
                                {0, DType::f32, 0, {2, 5, 7, 30}, {5, 1, 10, 70}},
                                {0, DType::f32, 0, {5, 2, 7, 30}, {1, 5, 10, 70}}};
  for (const View& view : views)
    for (const bool storing : {false, true}) {
      Writer writer(1, 2100);
      View seen = view;
      seen.buffer = writer.buffer(view.dtype, random_.reals(2100));
      const BufferId other = writer.buffer(view.dtype, random_.reals(2100));
      if (storing)
        writer.store(writer.load(other), seen);
      else
        writer.store(writer.load(seen), other);
      expect_right_everywhere(writer);
    }
}

// --- Values from nowhere ---

TEST_F(TileMachine, CountsWithIota) {
  for (const Level level : {Level::element, Level::row, Level::column})
    for (const auto& [inner, size] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 7}, {1, 5000}, {7, 3}, {13, 400}, {1, 1}, {600, 9}}) {
      Writer writer = writer_for(level, 5000);
      for (const DType dtype : {DType::i32, DType::f32, DType::u8}) writer.keep(writer.iota(inner, size, dtype, level));
      expect_right_everywhere(writer);
    }
}

TEST_F(TileMachine, DrawsTheBitsOfPhilox) {
  for (const Level level : {Level::element, Level::row, Level::column})
    for (const int64_t size : {1, 3, 5, 17, 64, 1001, 5000}) {
      Writer writer = writer_for(level, size);
      const BufferId key = writer.buffer(DType::u32, {4000000000.0, 77}),
                     counter = writer.buffer(DType::u32, {3, 4294967295.0});
      writer.keep(writer.random_bits(key, counter, 9, level));
      writer.keep(writer.random_bits(key, counter, 10, level));
      expect_right_everywhere(writer);
    }
}

TEST_F(TileMachine, DrawsDropoutInAnyWalk) {
  for (const auto& [rows, columns] :
       std::vector<std::pair<int64_t, int64_t>>{{30, 7}, {5, 1500}, {700, 513}, {41, 100}, {9, 516}}) {
    for (const Level level : {Level::row, Level::column}) {
      Writer writer(rows, columns);
      const BufferId key = writer.buffer(DType::u32, {1, 2}), counter = writer.buffer(DType::u32, {3, 4});
      const int32_t bits = writer.random_bits(key, counter, 0);
      const int32_t dropped = writer.scalar(ScalarOp::less, bits, writer.constant(0x1p31, DType::u32));
      const int32_t x = writer.load(writer.buffer(DType::f32, random_.wholes(rows * columns, -9, 9)));
      const int32_t y = writer.scalar(ScalarOp::where, dropped, writer.constant(0), writer.mul(x, writer.constant(2)));
      writer.keep(y);
      writer.keep(writer.reduce(LoopOp::sum, y, level));
      expect_right_everywhere(writer);
    }
  }
}

}  // namespace

}  // namespace descent::cpu
