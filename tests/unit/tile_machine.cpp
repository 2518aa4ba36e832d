// The vector tile machine against a plain interpreter: every op, level, type and odd size; views; walks; reductions;
// and that threads and targets do not change a bit.
#include "tile_testing.h"

namespace descent::cpu {

namespace {

constexpr double inf = HUGE_VAL;
const std::vector<int64_t> odd_sizes{0, 1, 3, 15, 16, 17, 511, 513, 5000};

class TileMachine : public ::testing::Test {
 protected:
  void SetUp() override { set_tile_parallel_cost(0); }
  void TearDown() override { set_tile_parallel_cost(default_parallel_cost); }
  Random random_;
};

// A kernel whose `level` has `size` elements.
Writer writer_for(Level level, int64_t size) {
  if (level == Level::element) return Writer(1, size);
  return level == Level::row ? Writer(size, 3) : Writer(3, size);
}

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
    {ScalarOp::tanh, 1, -12, 12, 2, {0, -0.0, inf, -inf, NAN, 1e-6, 0.624, 0.626, -0.62, 19, -30, 3e38, -3e38}},
    {ScalarOp::erf, 1, -4.5, 4.5, 2, {0, -0.0, inf, -inf, NAN, 1e-6, 0.94, 0.96, -0.9501, 3.9, 4.1, 3e38, -3e38}},
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
TEST_F(TileMachine, ElementaryFunctionsAreTheSameBitsOnVectorTargets) {
  Writer writer(1, 3000);
  const int32_t x = writer.load(writer.buffer(DType::f32, random_.reals(3000, -20, 20)));
  for (const ScalarOp op : {ScalarOp::exp, ScalarOp::log, ScalarOp::sin, ScalarOp::cos, ScalarOp::tanh, ScalarOp::erf})
    writer.keep(writer.scalar(op, x));
  writer.keep(writer.scalar(ScalarOp::pow, x, writer.constant(1.7)));
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
  for (const auto& [rows, columns] : std::vector<std::pair<int64_t, int64_t>>{{30, 7}, {5, 1500}, {700, 513}}) {
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

// --- Reductions ---

TEST_F(TileMachine, ReducesWholeNumbersExactly) {
  const std::vector<std::pair<int64_t, int64_t>> shapes{
      {1, 1},     {1, 10},  {128, 10}, {3, 16},   {5, 17},    {7, 63},    {9, 64},    {2, 65},
      {300, 3},   {4, 511}, {4, 513},  {3, 1024}, {3, 1025},  {2, 5000},  {5000, 2},  {1, 70000},
      {70000, 1}, {0, 5},   {600, 31}, {40, 100}, {1000, 33}, {130, 700}, {3000, 16}, {2, 40000}};
  for (const auto& [rows, columns] : shapes)
    for (const DType dtype : {DType::f32, DType::bf16, DType::i32, DType::u32})
      for (const Level level : {Level::row, Level::column}) {
        if (rows * columns == 0 && level == Level::column) continue;
        Writer writer(rows, columns);
        // Sums of a few thousands of these are exact in f32, and few enough ones differ for ties.
        const int32_t x = writer.load(writer.buffer(dtype, random_.wholes(rows * columns, 0, 7)));
        const DType wide = dtype == DType::bf16 ? DType::f32 : dtype;
        writer.keep(writer.reduce(LoopOp::sum, writer.cast(x, wide), level));
        writer.keep(writer.reduce(LoopOp::max, x, level));
        writer.keep(writer.reduce(LoopOp::argmax, x, level));
        expect_right_everywhere(writer);
        if (HasFailure()) return;
      }
}

TEST_F(TileMachine, ReducesNothing) {
  for (const Level level : {Level::row, Level::column}) {
    Writer writer(level == Level::row ? 5 : 0, level == Level::row ? 0 : 5);
    const int32_t x = writer.load(writer.buffer(DType::f32, {}));
    writer.keep(writer.reduce(LoopOp::sum, x, level));
    writer.keep(writer.reduce(LoopOp::max, x, level));
    expect_right_everywhere(writer);
  }
}

TEST_F(TileMachine, LongSumsStayAccurate) {
  for (const auto& [rows, columns] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1000000}, {3, 100000}, {100000, 10}, {1000000, 1}, {5000, 40}}) {
    for (const Level level : {Level::row, Level::column}) {
      Writer writer(rows, columns);
      writer.keep(writer.reduce(LoopOp::sum,
                                writer.load(writer.buffer(DType::f32, random_.reals(rows * columns, 0, 1))), level));
      set_tile_target(tile_targets()[0]);
      expect_right(writer, {.ulps = 8});
      EXPECT_EQ(machine_bytes(writer, 1), machine_bytes(writer, 4));
    }
  }
}

TEST_F(TileMachine, ArgmaxTakesTheFirstAndNaNs) {
  const Values rows{3,  3,  1,  3,  -inf, -inf, -inf, -inf, 1, NAN,  2, NAN,
                    -5, -5, -7, -5, inf,  1,    inf,  NAN,  0, -0.0, 0, -1};
  for (const int64_t copies : {1, 9, 500}) {
    Values values;
    for (int64_t i = 0; i < copies; ++i) values.insert(values.end(), rows.begin(), rows.end());
    Writer along(copies * 6, 4), down(4, copies * 6), wide(1, copies * 24), tall(copies * 24, 1);
    for (Writer* writer : {&along, &down, &wide, &tall}) {
      const Level level = writer == &along || writer == &wide ? Level::row : Level::column;
      const int32_t x = writer->load(writer->buffer(DType::f32, values));
      writer->keep(writer->reduce(LoopOp::argmax, x, level));
      writer->keep(writer->reduce(LoopOp::max, x, level));
      expect_right_everywhere(*writer, {.absolute = 1e-300});  // of the zeros 0 and -0 either may be the largest
    }
  }
}

TEST_F(TileMachine, MaxOfARowKeepsNaN) {
  for (const int64_t place : {0, 5, 100, 1600, 4999}) {
    Values values = random_.reals(5000);
    values[static_cast<size_t>(place)] = NAN;
    Writer along(1, 5000), down(5000, 1);
    along.keep(along.reduce(LoopOp::max, along.load(along.buffer(DType::f32, values)), Level::row));
    down.keep(down.reduce(LoopOp::max, down.load(down.buffer(DType::f32, values)), Level::column));
    expect_right_everywhere(along);
    expect_right_everywhere(down);
  }
}

// --- Kernels with phases ---

int32_t softmax(Writer& writer, int32_t x) {
  const int32_t shifted = writer.sub(x, writer.spread(writer.reduce(LoopOp::max, x, Level::row)));
  const int32_t e = writer.scalar(ScalarOp::exp, shifted);
  return writer.scalar(ScalarOp::div, e, writer.spread(writer.reduce(LoopOp::sum, e, Level::row)));
}

const std::vector<std::pair<int64_t, int64_t>> softmax_shapes{{128, 10},  {3, 1000},  {5, 1025}, {3, 5000},
                                                              {2, 70000}, {1, 70001}, {40, 33}};

TEST_F(TileMachine, RunsSoftmaxAlongRowsOfAnyLength) {
  for (const auto& [rows, columns] : softmax_shapes) {
    Writer writer(rows, columns);
    writer.keep(softmax(writer, writer.load(writer.buffer(DType::f32, random_.reals(rows * columns, -5, 5)))));
    expect_right_everywhere(writer, {.ulps = 16}, false);
  }
}

TEST_F(TileMachine, RunsSoftmaxInPlace) {
  for (const auto& [rows, columns] : softmax_shapes) {
    Writer writer(rows, columns);
    const BufferId x = writer.buffer(DType::f32, random_.reals(rows * columns, -5, 5));
    writer.store(softmax(writer, writer.load(x)), x);
    expect_right_everywhere(writer, {.ulps = 16}, false);
  }
}

TEST_F(TileMachine, RunsLayerNormWithItsColumnsAndRows) {
  for (const auto& [rows, columns] : softmax_shapes) {
    Writer writer(rows, columns);
    const auto times = [&](int32_t a, double b) {
      return writer.mul(a, writer.constant(b, DType::f32, writer.level_of(a)));
    };
    const int32_t x = writer.load(writer.buffer(DType::bf16, random_.reals(rows * columns)));
    const int32_t wide = writer.cast(x, DType::f32);
    const int32_t mean = times(writer.reduce(LoopOp::sum, wide, Level::row), 1.0 / static_cast<double>(columns));
    const int32_t centred = writer.sub(wide, writer.spread(mean));
    const int32_t variance =
        times(writer.reduce(LoopOp::sum, writer.mul(centred, centred), Level::row), 1.0 / static_cast<double>(columns));
    const int32_t deviation =
        writer.scalar(ScalarOp::sqrt, writer.add(variance, writer.constant(1e-5, DType::f32, Level::row)));
    const int32_t gain = writer.load(writer.buffer(DType::f32, random_.reals(columns)), Level::column);
    const int32_t scale = writer.load(writer.buffer(DType::f32, random_.reals(rows)), Level::row);
    const int32_t normal = writer.scalar(ScalarOp::div, centred, writer.spread(deviation));
    writer.keep(writer.mul(writer.mul(normal, writer.spread(gain)), writer.spread(scale)));
    writer.keep(mean);
    writer.keep(deviation);
    expect_right_everywhere(writer, {.ulps = 100, .absolute = 2e-5}, false);
  }
}

TEST_F(TileMachine, NormalisesColumns) {
  for (const auto& [rows, columns] :
       std::vector<std::pair<int64_t, int64_t>>{{128, 10}, {1000, 3}, {70, 700}, {5000, 20}, {3, 5000}, {9000, 64}}) {
    for (const bool in_place : {false, true}) {
      Writer writer(rows, columns);
      const auto times = [&](int32_t a, double b) {
        return writer.mul(a, writer.constant(b, DType::f32, writer.level_of(a)));
      };
      const BufferId buffer = writer.buffer(DType::f32, random_.reals(rows * columns)),
                     bias = writer.buffer(DType::f32, random_.reals(columns));
      const int32_t x = writer.load(buffer);
      const int32_t mean = times(writer.reduce(LoopOp::sum, x, Level::column), 1.0 / static_cast<double>(rows));
      const int32_t centred = writer.sub(x, writer.spread(mean));
      const int32_t variance = times(writer.reduce(LoopOp::sum, writer.mul(centred, centred), Level::column),
                                     1.0 / static_cast<double>(rows));
      const int32_t b = writer.load(bias, Level::column);
      const int32_t y = writer.add(writer.mul(centred, writer.spread(variance)), writer.spread(b));
      if (in_place) {
        writer.store(y, buffer);
        writer.store(writer.add(b, mean), bias, Level::column);
      } else {
        writer.keep(y);
        writer.keep(writer.add(b, mean));
        writer.keep(writer.reduce(LoopOp::argmax, y, Level::column));
      }
      if (in_place || rows < 200)
        expect_right_everywhere(writer, {.ulps = 4, .absolute = 3e-5}, true);
      else
        expect_right_everywhere(writer, {.ulps = 4, .absolute = 1e9},
                                true);  // an argmax may meet a near tie: bits only
    }
  }
}

TEST_F(TileMachine, LossAndGradientOfClasses) {
  for (const auto& [rows, columns] : softmax_shapes) {
    Writer writer(rows, columns);
    const int32_t x = writer.load(writer.buffer(DType::f32, random_.reals(rows * columns, -5, 5)));
    const int32_t label = writer.load(writer.buffer(DType::i32, random_.wholes(rows, 0, columns - 1)), Level::row);
    const int32_t shifted = writer.sub(x, writer.spread(writer.reduce(LoopOp::max, x, Level::row)));
    const int32_t e = writer.scalar(ScalarOp::exp, shifted), total = writer.reduce(LoopOp::sum, e, Level::row);
    const int32_t hit = writer.scalar(ScalarOp::equal, writer.iota(1, columns), writer.spread(label));
    const int32_t picked =
        writer.reduce(LoopOp::max, writer.scalar(ScalarOp::where, hit, shifted, writer.constant(-inf)), Level::row);
    writer.keep(writer.sub(writer.scalar(ScalarOp::log, total), picked));
    const int32_t p = writer.scalar(ScalarOp::div, e, writer.spread(total));
    const int32_t gradient = writer.sub(p, writer.scalar(ScalarOp::where, hit, writer.constant(1), writer.constant(0)));
    writer.store(gradient, writer.output(DType::bf16, rows * columns));
    writer.keep(writer.scalar(ScalarOp::equal, writer.reduce(LoopOp::argmax, x, Level::row), label));
    expect_right_everywhere(writer, {.ulps = 16, .absolute = 1e-6}, false);
  }
}

// --- State ---

TEST_F(TileMachine, UpdatesStateInPlace) {
  Writer writer(1, 1);
  const BufferId rate = writer.buffer(DType::f32, {0.01});
  for (const int64_t size : {1, 100, 5000, 70001}) {
    writer.kernel(1, size);
    const BufferId w = writer.buffer(DType::f32, random_.reals(size)),
                   m = writer.buffer(DType::f32, random_.reals(size)),
                   g = writer.buffer(DType::bf16, random_.reals(size));
    const int32_t old_w = writer.load(w), old_m = writer.load(m);
    const int32_t new_m = writer.add(writer.mul(writer.constant(0.9), old_m),
                                     writer.mul(writer.constant(0.1), writer.cast(writer.load(g), DType::f32)));
    const int32_t step = writer.mul(writer.load({rate, DType::f32, 0, {size}, {0}}), new_m),
                  new_w = writer.sub(old_w, step);
    writer.store(new_m, m);
    writer.store(new_w, w);
    writer.store(new_w, writer.output(DType::bf16, size));
    writer.keep(writer.sub(new_w, old_w));  // the old value is still that from before
  }
  writer.step.kernels.erase(writer.step.kernels.begin());
  expect_right_everywhere(writer);
}

TEST_F(TileMachine, KeepsOldValuesWhileAStoreComesFirst) {
  for (const auto& [rows, columns] : std::vector<std::pair<int64_t, int64_t>>{{20, 64}, {3, 6400}}) {
    Writer writer(rows, columns);
    const BufferId x = writer.buffer(DType::f32, random_.wholes(rows * columns, -9, 9));
    const int32_t old = writer.load(x), more = writer.add(old, writer.constant(1));
    writer.store(more, x);
    const int32_t sum = writer.reduce(LoopOp::sum, old, Level::row);
    writer.keep(writer.add(writer.spread(sum), writer.mul(old, more)));
    expect_right_everywhere(writer);
  }
}

TEST_F(TileMachine, TakesTheBytesOfADyingOperand) {
  // Two temporaries at one place of the arena, as the memory plan arranges it.
  Writer writer(1, 4096);
  const BufferId x = writer.buffer(DType::f32, random_.reals(4096)), y = writer.buffer(DType::f32, random_.reals(4096));
  const int32_t a = writer.load(x), b = writer.load(y);
  const int32_t sum = writer.add(a, b);
  writer.store(sum, x);
  writer.keep(writer.mul(sum, a));
  for (const BufferId id : {x, y}) writer.program.buffers[id].role = BufferRole::temporary;
  writer.program.buffers[y].offset = 4096 * 4;
  expect_right_everywhere(writer);
}

TEST_F(TileMachine, StoresRowsAndColumnsOfAnyKernel) {
  for (const auto& [rows, columns] : std::vector<std::pair<int64_t, int64_t>>{{6, 40}, {40, 3000}, {3, 30000}}) {
    Writer writer(rows, columns);
    const BufferId row_state = writer.buffer(DType::f32, random_.reals(rows)),
                   column_state = writer.buffer(DType::f32, random_.reals(columns));
    const int32_t row = writer.load(row_state, Level::row), column = writer.load(column_state, Level::column);
    const int32_t x = writer.load(writer.buffer(DType::f32, random_.reals(rows * columns)));
    writer.keep(writer.mul(writer.add(x, writer.spread(row)), writer.spread(column)));
    writer.store(writer.mul(row, row), row_state, Level::row);
    writer.store(writer.add(column, column), column_state, Level::column);
    expect_right_everywhere(writer);
  }
}

TEST_F(TileMachine, RunsKernelsOfAllKindsAsOneLaunch) {
  Writer writer(100, 30);
  writer.keep(
      writer.reduce(LoopOp::sum, writer.load(writer.buffer(DType::f32, random_.wholes(3000, 0, 9))), Level::column));
  writer.kernel(7, 2000);
  writer.keep(
      writer.reduce(LoopOp::sum, writer.load(writer.buffer(DType::f32, random_.wholes(14000, 0, 9))), Level::row));
  writer.kernel(1, 60000);
  writer.keep(
      writer.reduce(LoopOp::max, writer.load(writer.buffer(DType::f32, random_.wholes(60000, 0, 9))), Level::row));
  writer.kernel(64, 64);
  const BufferId square = writer.buffer(DType::f32, random_.reals(4096));
  writer.keep(writer.load({square, DType::f32, 0, {64, 64}, {1, 64}}));
  writer.kernel(0, 3);
  writer.keep(writer.load(writer.buffer(DType::f32, {})));
  writer.kernel(20000, 40);
  const int32_t x = writer.load(writer.buffer(DType::f32, random_.wholes(800000, 0, 9)));
  writer.keep(writer.reduce(LoopOp::sum, x, Level::column));
  expect_right_everywhere(writer);
}

// --- Random kernels ---

// Whole numbers only, and operations that keep them exact, so that every bit is known.
class RandomKernel {
 public:
  explicit RandomKernel(uint32_t seed) : random_(seed) {}

  Writer write() {
    const int64_t rows = random_.one_of<int64_t>({1, 2, 7, 16, 33, 130, 700}),
                  columns = random_.one_of<int64_t>({1, 3, 10, 16, 31, 48, 100, 512, 1100, 4200});
    Writer writer(rows, columns);
    writer_ = &writer;
    by_level_ = {};
    reduced_ = random_.one_of<Level>({Level::element, Level::row, Level::column});
    load(Level::element);
    const int64_t length = random_.whole(3, 25);
    for (int64_t i = 0; i < length; ++i) grow();
    for (const Level level : {Level::element, Level::row, Level::column})
      for (const int32_t value : by_level_[static_cast<size_t>(level)])
        if (random_.whole(0, 2) == 0) writer.keep(value);
    writer.keep(by_level_[0].back());
    return writer;
  }

 private:
  std::vector<int32_t>& values(Level level) { return by_level_[static_cast<size_t>(level)]; }
  int64_t count(Level level) const {
    const LoopKernel& kernel = writer_->now();
    return level == Level::element ? kernel.rows * kernel.columns : level == Level::row ? kernel.rows : kernel.columns;
  }
  // One operation makes numbers at most this much larger: they stay exact.
  int32_t small(int32_t value) {
    const Level level = writer_->level_of(value);
    const int32_t low = writer_->scalar(ScalarOp::max, value, writer_->constant(-50, DType::f32, level));
    return writer_->scalar(ScalarOp::min, low, writer_->constant(50, DType::f32, level));
  }

  void load(Level level) {
    const int64_t rows = writer_->now().rows, columns = writer_->now().columns, all = count(level);
    const DType dtype = random_.one_of<DType>({DType::f32, DType::f32, DType::bf16, DType::f16, DType::i32, DType::u8});
    const BufferId id = writer_->buffer(dtype, random_.wholes(2 * all + 8, dtype == DType::u8 ? 0 : -50, 50));
    View view{id, dtype, random_.whole(0, 3), {all}, {1}};
    const int64_t kind = random_.whole(0, 7);
    if (kind == 1) view.strides = {0};
    if (kind == 2) view.strides = {2};
    if (kind == 3) view.offset = all - 1, view.strides = {-1};
    if (level == Level::element && kind == 4) view.sizes = {rows, columns}, view.strides = {1, rows};
    if (level == Level::element && kind == 5) view.sizes = {rows, columns}, view.strides = {0, 1};
    if (level == Level::element && kind == 6) view.sizes = {rows, columns}, view.strides = {1, 0};
    values(level).push_back(small(writer_->cast(writer_->load(view, level), DType::f32)));
  }

  void grow() {
    const Level level =
        random_.one_of<Level>({Level::element, Level::element, Level::element, Level::row, Level::column});
    const int64_t what = random_.whole(0, 9);
    if (values(level).empty() || what == 0) return load(level);
    const int32_t a = random_.one_of(values(level)), b = random_.one_of(values(level));
    if (what == 1 && level != Level::element) return values(Level::element).push_back(writer_->spread(a));
    if (what <= 3 && level == Level::element && reduced_ != Level::element) return reduce(a);
    if (what == 4)
      return values(level).push_back(
          writer_->cast(writer_->iota(random_.whole(1, 9), random_.whole(1, 40), DType::i32, level), DType::f32));
    if (what == 5)
      return values(level).push_back(writer_->scalar(ScalarOp::where, writer_->scalar(ScalarOp::less, a, b), b, a));
    if (what == 6) return values(level).push_back(writer_->sub(a, b));
    if (what == 7)
      return values(level).push_back(small(writer_->add(writer_->mul(a, b), random_.one_of(values(level)))));
    values(level).push_back(
        writer_->scalar(random_.one_of<ScalarOp>({ScalarOp::add, ScalarOp::max, ScalarOp::min}), a, b));
  }

  void reduce(int32_t a) {
    const LoopOp op = random_.one_of<LoopOp>({LoopOp::sum, LoopOp::max, LoopOp::argmax});
    const int32_t value = writer_->reduce(op, op == LoopOp::sum ? small(a) : a, reduced_);
    values(reduced_).push_back(small(op == LoopOp::argmax ? writer_->cast(value, DType::f32) : value));
  }

  Random random_;
  Writer* writer_ = nullptr;
  std::array<std::vector<int32_t>, 3> by_level_;
  Level reduced_ = Level::element;
};

TEST_F(TileMachine, RunsRandomKernels) {
  for (uint32_t seed = 0; seed < 150; ++seed) {
    // Signs of zeros may differ in maxima, where equal numbers are equal.
    expect_right_everywhere(RandomKernel(seed).write(), {.absolute = 1e-300});
    if (HasFailure()) {
      ADD_FAILURE() << "seed " << seed;
      return;
    }
  }
}

// --- Refusals ---

std::string error_of(const Writer& writer) {
  try {
    TileLaunch(writer.step, writer.program, 1);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(TileMachine, RefusesWhatItCannotCompute) {
  Writer doubles(1, 4);
  doubles.load(doubles.output(DType::f64, 4));
  doubles.keep(0);
  EXPECT_EQ(error_of(doubles), "loop kernel 0: instruction 0: f64 is not computed by the tile machine; use f32");
  Writer whole(1, 4);
  whole.keep(whole.scalar(ScalarOp::sqrt, whole.load(whole.output(DType::i32, 4))));
  EXPECT_EQ(error_of(whole), "loop kernel 0: instruction 1: there is no sqrt for i32");
  EXPECT_THROW(set_tile_target("AVX9"), Error);
}

}  // namespace

}  // namespace descent::cpu
