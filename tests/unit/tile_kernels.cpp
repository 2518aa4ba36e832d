// Whole kernels on the vector tile machine against a plain interpreter: reductions, phases, updates in place, random
// ones; and that threads and targets do not change a bit.
#include "tile_testing.h"

namespace descent::cpu {

namespace {

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

// As the compiler makes it of the op: every node has machine code where the processor has it.
TEST_F(TileMachine, LossAndGradientOfClassesByTheirColumns) {
  for (const auto& [rows, columns] : softmax_shapes) {
    Writer writer(rows, columns);
    const int32_t x = writer.load(writer.buffer(DType::f32, random_.reals(rows * columns, -5, 5)));
    View labels = writer.dense(writer.buffer(DType::i32, random_.wholes(rows, 0, columns - 1)));
    labels.sizes = {rows, columns}, labels.strides = {1, 0};
    const int32_t column = writer.iota(1, columns), label = writer.load(labels);
    const int32_t shifted = writer.sub(x, writer.spread(writer.reduce(LoopOp::max, x, Level::row)));
    const int32_t e = writer.scalar(ScalarOp::exp, shifted), total = writer.reduce(LoopOp::sum, e, Level::row);
    const int32_t hit = writer.scalar(ScalarOp::equal, column, label);
    writer.keep(total);
    writer.keep(
        writer.reduce(LoopOp::max, writer.scalar(ScalarOp::where, hit, shifted, writer.constant(-inf)), Level::row));
    const int32_t p = writer.scalar(ScalarOp::div, e, writer.spread(total));
    const int32_t gradient = writer.sub(p, writer.scalar(ScalarOp::where, hit, writer.constant(1), writer.constant(0)));
    writer.store(gradient, writer.output(DType::bf16, rows * columns));
    const int32_t before = writer.cast(writer.scalar(ScalarOp::less, column, label), DType::f32);
    writer.keep(writer.reduce(LoopOp::sum, before, Level::row));
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
