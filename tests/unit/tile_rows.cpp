// Kernels of rows: some rows at a time, beside kernels that sum the columns of what they read.
#include "descent/backend/cpu/tile_layout.h"
#include "tile_testing.h"

namespace descent::cpu {

namespace {

int32_t mean_of_row(Writer& writer, int32_t x) {
  const int32_t count = writer.constant(static_cast<double>(writer.now().columns), DType::f32, Level::row);
  return writer.scalar(ScalarOp::div, writer.reduce(LoopOp::sum, x, Level::row), count);
}

// The gradient of a layer norm, with something added to it.
void write_norm_gradient(Writer& writer, BufferId back, BufferId normal, BufferId gain, BufferId scale, BufferId added,
                         BufferId out) {
  const int64_t rows = writer.now().rows, columns = writer.now().columns;
  const int32_t g = writer.cast(writer.load(back), DType::f32), n = writer.cast(writer.load(normal), DType::f32);
  const int32_t h = writer.mul(g, writer.load({gain, DType::f32, 0, {rows, columns}, {0, 1}}));
  const int32_t centre = mean_of_row(writer, h), slope = mean_of_row(writer, writer.mul(h, n));
  const int32_t moved = writer.sub(writer.sub(h, writer.spread(centre)), writer.mul(n, writer.spread(slope)));
  const int32_t own = writer.mul(writer.load({scale, DType::f32, 0, {rows, columns}, {1, 0}}), moved);
  writer.store(writer.cast(writer.add(writer.load(added), own), DType::bf16), out);
}

void write_column_sums(Writer& writer, BufferId back, BufferId normal) {
  const int32_t g = writer.cast(writer.load(back), DType::f32), n = writer.cast(writer.load(normal), DType::f32);
  writer.keep(writer.reduce(LoopOp::sum, writer.mul(g, n), Level::column));
  writer.keep(writer.reduce(LoopOp::sum, g, Level::column));
}

TEST_F(TileMachine, SumsColumnsOfWhatANormsGradientReads) {
  for (const auto& [rows, columns] :
       std::vector<std::pair<int64_t, int64_t>>{{2048, 128}, {1000, 100}, {333, 384}, {130, 33}, {100, 1000}})
    for (const bool sums_first : {false, true}) {
      Writer writer(rows, columns);
      const auto numbers = [&](DType dtype, int64_t count) { return writer.buffer(dtype, random_.reals(count)); };
      const BufferId back = numbers(DType::bf16, rows * columns), normal = numbers(DType::bf16, rows * columns);
      const BufferId gain = numbers(DType::f32, columns), scale = numbers(DType::f32, rows);
      const BufferId added = numbers(DType::f32, rows * columns);
      const BufferId out = writer.output(DType::bf16, rows * columns);
      if (sums_first) {
        write_column_sums(writer, back, normal);
        writer.kernel(rows, columns);
      }
      write_norm_gradient(writer, back, normal, gain, scale, added, out);
      if (!sums_first) {
        writer.kernel(rows, columns);
        write_column_sums(writer, back, normal);
      }
      expect_right_everywhere(writer, {.ulps = 2, .absolute = 5e-4});
    }
}

// Rows of a table of 50 rows, again and again, are added in place: as the places of a text have vectors of their own.
TEST_F(TileMachine, AddsATableThatComesAgainAndNormalises) {
  for (const int64_t rows : {50, 200, 203})
    for (const int64_t columns : {64, 100, 384}) {
      Writer writer(rows, columns);
      const BufferId x = writer.buffer(DType::f32, random_.reals(rows * columns));
      const BufferId table = writer.buffer(DType::f32, random_.reals(50 * columns));
      const int32_t again = rows % 50 == 0 ? writer.load({table, DType::f32, 0, {rows / 50, 50 * columns}, {0, 1}})
                                           : writer.load({table, DType::f32, 0, {rows, columns}, {0, 1}});
      const int32_t sum = writer.add(writer.load(x), again);
      writer.store(sum, x);
      const int32_t centred = writer.sub(sum, writer.spread(mean_of_row(writer, sum)));
      const int32_t variance = mean_of_row(writer, writer.mul(centred, centred));
      const int32_t deviation =
          writer.scalar(ScalarOp::sqrt, writer.add(variance, writer.constant(1e-5, DType::f32, Level::row)));
      writer.keep(deviation);
      writer.keep(writer.cast(writer.scalar(ScalarOp::div, centred, writer.spread(deviation)), DType::bf16));
      expect_right_everywhere(writer, {.ulps = 2, .absolute = 1e-5});
    }
}

// A program in which `soon` is read right after the writer's kernel, and `late` after much else.
void read_late(Writer& writer, BufferId late, BufferId soon) {
  const View large{soon, DType::f32, 0, {int64_t{1} << 22}, {0}};
  const auto reads = [&](BufferId id) {
    LoopKernel kernel{1, writer.dense(id).elements(), {{.op = LoopOp::load, .view = 0}}, {writer.dense(id)}};
    return Step{LoopStep{{kernel}}, ""};
  };
  const LoopKernel writes_much{1, int64_t{1} << 22, {{.op = LoopOp::store, .args = {0, -1, -1}, .view = 0}}, {large}};
  writer.program.steps = {Step{writer.step, ""}, reads(soon), Step{LoopStep{{writes_much}}, ""}, reads(late)};
  for (const BufferId id : {late, soon}) writer.program.buffers[id].role = BufferRole::temporary;
  writer.program.buffers[soon].offset = writer.program.buffers[late].type.bytes();
  EXPECT_TRUE(BufferPlaces(writer.program).is_read_late(late));
}

// What is read late goes past the caches.
TEST_F(TileMachine, StoresRowsThatAreReadLate) {
  Writer writer(1100, 128);
  const int32_t x = writer.load(writer.buffer(DType::f32, random_.reals(1100 * 128)));
  const int32_t centred = writer.sub(x, writer.spread(mean_of_row(writer, x)));
  const BufferId late = writer.keep(writer.cast(centred, DType::bf16)),
                 soon = writer.keep(writer.cast(writer.mul(centred, centred), DType::bf16));
  read_late(writer, late, soon);
  EXPECT_FALSE(BufferPlaces(writer.program).is_read_late(soon));
  expect_right_everywhere(writer, {.ulps = 2, .absolute = 1e-5});
}

TEST_F(TileMachine, StoresElementsThatAreReadLate) {
  constexpr int64_t count = (int64_t{1} << 22) + 48;
  Writer writer(1, count);
  const int32_t x = writer.scalar(ScalarOp::exp, writer.load(writer.buffer(DType::f32, random_.reals(count))));
  const BufferId late = writer.keep(writer.cast(x, DType::bf16));
  read_late(writer, late, writer.output(DType::f32, 1));
  expect_right_everywhere(writer, {.ulps = 2, .absolute = 1e-5});
}

// Each row has its own lane in what is computed of rows: sums that lie far apart must not mix.
TEST_F(TileMachine, KeepsRowsApart) {
  for (const int64_t rows : {1, 3, 4, 8, 15, 16, 17, 40, 101})
    for (const int64_t columns : {40, 64, 500, 1100}) {
      Writer writer(rows, columns);
      Values wholes;
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < columns; ++column)
          wholes.push_back(static_cast<double>(row * 64 + random_.whole(0, 9)));
      const int32_t x = writer.load(writer.buffer(DType::f32, wholes));
      const int32_t largest = writer.reduce(LoopOp::max, x, Level::row);
      const int32_t sum = writer.reduce(LoopOp::sum, writer.sub(x, writer.spread(largest)), Level::row);
      writer.keep(largest);
      writer.keep(writer.add(writer.spread(sum), x));
      expect_right_everywhere(writer);
    }
}

}  // namespace

}  // namespace descent::cpu
