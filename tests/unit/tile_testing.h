// Building loop kernels, running them on every vector target and number of threads, and a plain interpreter in double
// to compare with.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <random>

#include "descent/backend/cpu/tile_machine.h"
#include "descent/core/dtype.h"
#include "descent/core/philox.h"
#include "descent/ops/rounded_gelu_slope.h"

namespace descent::cpu {

using Values = std::vector<double>;

// --- The interpreter ---

// As stored; integers have no negative zero.
inline double as_stored(double value, DType dtype) {
  return is_floating(dtype) ? rounded(value, dtype) : rounded(value, dtype) + 0.0;
}

inline int64_t address_of(const View& view, int64_t flat) {
  int64_t address = view.offset;
  for (size_t i = view.sizes.size(); i-- > 0; flat /= view.sizes[i]) address += flat % view.sizes[i] * view.strides[i];
  return address;
}

inline double plain_scalar(ScalarOp op, double a, double b, double c) {
  switch (op) {
    case ScalarOp::neg: return -a;
    case ScalarOp::exp: return std::exp(a);
    case ScalarOp::log: return std::log(a);
    case ScalarOp::sqrt: return std::sqrt(a);
    case ScalarOp::sin: return std::sin(a);
    case ScalarOp::cos: return std::cos(a);
    case ScalarOp::tanh: return std::tanh(a);
    case ScalarOp::erf: return std::erf(a);
    case ScalarOp::x_erf_slope: return std::erf(a) + a * 2 * std::numbers::inv_sqrtpi * std::exp(-a * a);
    case ScalarOp::rounded_gelu: return Gelu::exact(a);
    case ScalarOp::rounded_gelu_slope: return GeluSlope::exact(a);
    case ScalarOp::floor: return std::floor(a);
    case ScalarOp::cast: return a;
    case ScalarOp::add: return a + b;
    case ScalarOp::mul: return a * b;
    case ScalarOp::div: return a / b;
    case ScalarOp::max: return a > b || std::isnan(a) ? a : b;
    case ScalarOp::min: return a < b || std::isnan(a) ? a : b;
    case ScalarOp::pow: return std::pow(a, b);
    case ScalarOp::less: return a < b;
    case ScalarOp::equal: return a == b;
    case ScalarOp::where: return a != 0 ? b : c;
  }
  return 0;
}

// Runs kernels one instruction after the other over arrays of doubles, by buffer.
class PlainMachine {
 public:
  explicit PlainMachine(std::vector<Values>& buffers) : buffers_(buffers) {}

  void run(const LoopStep& step) {
    for (const LoopKernel& kernel : step.kernels) run(kernel);
  }

 private:
  void run(const LoopKernel& kernel) {
    kernel_ = &kernel;
    registers_.assign(kernel.body.size(), {});
    for (size_t i = 0; i < kernel.body.size(); ++i) {
      const Instr& instr = kernel.body[i];
      registers_[i].resize(static_cast<size_t>(count(instr.level)));
      for (int64_t at = 0; at < count(instr.level); ++at) {
        if (instr.op == LoopOp::store)
          store(instr, at);
        else
          registers_[i][static_cast<size_t>(at)] = as_stored(value(instr, at), instr.dtype);
      }
    }
  }

  int64_t count(Level level) const {
    if (level == Level::element) return kernel_->rows * kernel_->columns;
    return level == Level::row ? kernel_->rows : kernel_->columns;
  }
  const View& view(int32_t index) const { return kernel_->views[static_cast<size_t>(index)]; }
  double& element(const View& of, int64_t flat) {
    return buffers_[of.buffer][static_cast<size_t>(address_of(of, flat))];
  }
  double argument(const Instr& instr, size_t i, int64_t at) const {
    return instr.args[i] < 0 ? 0 : registers_[static_cast<size_t>(instr.args[i])][static_cast<size_t>(at)];
  }

  void store(const Instr& instr, int64_t at) {
    element(view(instr.view), at) = as_stored(argument(instr, 0, at), view(instr.view).dtype);
  }

  double value(const Instr& instr, int64_t at) {
    switch (instr.op) {
      case LoopOp::load: return element(view(instr.view), at);
      case LoopOp::constant: return instr.number;
      case LoopOp::iota: return static_cast<double>(at / instr.inner % instr.size);
      case LoopOp::random_bits: {
        const auto word = [&](int32_t from, int64_t i) { return static_cast<uint32_t>(element(view(from), i)); };
        const RandomSource source{
            {word(instr.view, 0), word(instr.view, 1)}, {word(instr.view2, 0), word(instr.view2, 1)}, instr.stream};
        return source.word(static_cast<uint64_t>(at));
      }
      case LoopOp::scalar:
        return plain_scalar(instr.scalar, argument(instr, 0, at), argument(instr, 1, at), argument(instr, 2, at));
      case LoopOp::spread: {
        const bool by_row = kernel_->body[static_cast<size_t>(instr.args[0])].level == Level::row;
        return argument(instr, 0, by_row ? at / kernel_->columns : at % kernel_->columns);
      }
      default: return reduced(instr, at);
    }
  }

  double reduced(const Instr& instr, int64_t at) {
    const bool to_row = instr.level == Level::row;
    double result = instr.op == LoopOp::sum ? 0 : lowest(kernel_->body[static_cast<size_t>(instr.args[0])].dtype);
    double index = 0;
    for (int64_t i = 0; i < (to_row ? kernel_->columns : kernel_->rows); ++i) {
      const double x = argument(instr, 0, to_row ? at * kernel_->columns + i : i * kernel_->columns + at);
      if (instr.op == LoopOp::sum)
        result += x;
      else if (x > result || (std::isnan(x) && !std::isnan(result)))
        result = x, index = static_cast<double>(i);
    }
    return instr.op == LoopOp::argmax ? index : result;
  }

  static double lowest(DType dtype) { return is_floating(dtype) ? -HUGE_VAL : rounded(-HUGE_VAL, dtype); }

  std::vector<Values>& buffers_;
  const LoopKernel* kernel_ = nullptr;
  std::vector<Values> registers_;
};

// --- Bytes ---

inline double read_element(const std::byte* from, DType dtype) {
  const auto as = [from]<class T>(T) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
  };
  switch (dtype) {
    case DType::f64: return as(double{});
    case DType::f32: return as(float{});
    case DType::bf16: return float_from_bf16(as(uint16_t{}));
    case DType::f16: return float_from_f16(as(uint16_t{}));
    case DType::i32: return as(int32_t{});
    case DType::u32: return as(uint32_t{});
    case DType::u8:
    case DType::boolean: return as(uint8_t{});
  }
  return 0;
}

inline void write_element(double value, std::byte* to, DType dtype) {
  const auto put = [to](auto stored) { std::memcpy(to, &stored, sizeof(stored)); };
  switch (dtype) {
    case DType::f64: return put(value);
    case DType::f32: return put(static_cast<float>(value));
    case DType::bf16: return put(bf16_from_float(static_cast<float>(value)));
    case DType::f16: return put(f16_from_float(static_cast<float>(value)));
    case DType::i32: return put(static_cast<int32_t>(value));
    case DType::u32: return put(static_cast<uint32_t>(value));
    case DType::u8:
    case DType::boolean: return put(static_cast<uint8_t>(value));
  }
}

// --- Kernels under construction ---

// A program of one loop step, the values in its buffers, and the kernel that is being written.
class Writer {
 public:
  Program program;
  LoopStep step;
  std::vector<Values> values;

  explicit Writer(int64_t rows = 1, int64_t columns = 1) { kernel(rows, columns); }

  void kernel(int64_t rows, int64_t columns) {
    step.kernels.emplace_back();
    step.kernels.back().rows = rows;
    step.kernels.back().columns = columns;
  }
  LoopKernel& now() { return step.kernels.back(); }

  BufferId buffer(DType dtype, Values initial) {
    for (double& value : initial) value = as_stored(value, dtype);
    program.buffers.push_back({.role = BufferRole::input,
                               .type = {dtype, {static_cast<int64_t>(initial.size())}},
                               .name = "",
                               .offset = 0,
                               .in_place_of = -1});
    values.push_back(std::move(initial));
    return static_cast<BufferId>(values.size() - 1);
  }
  BufferId output(DType dtype, int64_t elements) { return buffer(dtype, Values(static_cast<size_t>(elements), 77)); }

  int32_t emit(Instr instr) {
    now().body.push_back(instr);
    return static_cast<int32_t>(now().body.size()) - 1;
  }
  int32_t add_view(View view) {
    now().views.push_back(std::move(view));
    return static_cast<int32_t>(now().views.size()) - 1;
  }
  View dense(BufferId id) const {
    return {id, program.buffers[id].type.dtype, 0, {program.buffers[id].type.shape.elements()}, {1}};
  }

  int32_t load(const View& view, Level level = Level::element) {
    return emit({.op = LoopOp::load, .level = level, .dtype = view.dtype, .view = add_view(view)});
  }
  int32_t load(BufferId id, Level level = Level::element) { return load(dense(id), level); }
  void store(int32_t value, const View& view, Level level = Level::element) {
    emit({.op = LoopOp::store, .level = level, .dtype = view.dtype, .args = {value, -1, -1}, .view = add_view(view)});
  }
  void store(int32_t value, BufferId id, Level level = Level::element) { store(value, dense(id), level); }
  // Stores it in a new buffer of its own size.
  BufferId keep(int32_t value) {
    const Instr& from = now().body[static_cast<size_t>(value)];
    const int64_t count = from.level == Level::element ? now().rows * now().columns
                          : from.level == Level::row   ? now().rows
                                                       : now().columns;
    const BufferId id = output(from.dtype, count);
    store(value, id, now().body[static_cast<size_t>(value)].level);
    return id;
  }

  DType dtype_of(int32_t value) { return now().body[static_cast<size_t>(value)].dtype; }
  Level level_of(int32_t value) { return now().body[static_cast<size_t>(value)].level; }

  int32_t constant(double number, DType dtype = DType::f32, Level level = Level::element) {
    return emit({.op = LoopOp::constant, .level = level, .dtype = dtype, .number = number});
  }
  int32_t scalar(ScalarOp op, int32_t a, int32_t b = -1, int32_t c = -1) {
    const bool test = op == ScalarOp::less || op == ScalarOp::equal;
    const bool rounds = op == ScalarOp::rounded_gelu || op == ScalarOp::rounded_gelu_slope;
    const DType dtype = test ? DType::boolean : rounds ? DType::bf16 : dtype_of(op == ScalarOp::where ? b : a);
    return emit({.op = LoopOp::scalar, .level = level_of(a), .dtype = dtype, .scalar = op, .args = {a, b, c}});
  }
  int32_t cast(int32_t a, DType to) {
    return emit(
        {.op = LoopOp::scalar, .level = level_of(a), .dtype = to, .scalar = ScalarOp::cast, .args = {a, -1, -1}});
  }
  int32_t add(int32_t a, int32_t b) { return scalar(ScalarOp::add, a, b); }
  int32_t mul(int32_t a, int32_t b) { return scalar(ScalarOp::mul, a, b); }
  int32_t sub(int32_t a, int32_t b) { return add(a, scalar(ScalarOp::neg, b)); }
  int32_t spread(int32_t a) {
    return emit({.op = LoopOp::spread, .level = Level::element, .dtype = dtype_of(a), .args = {a, -1, -1}});
  }
  int32_t reduce(LoopOp op, int32_t a, Level level) {
    const DType dtype = op == LoopOp::argmax ? DType::i32 : dtype_of(a);
    return emit({.op = op, .level = level, .dtype = dtype, .args = {a, -1, -1}});
  }
  int32_t iota(int64_t inner, int64_t size, DType dtype = DType::i32, Level level = Level::element) {
    return emit({.op = LoopOp::iota, .level = level, .dtype = dtype, .inner = inner, .size = size});
  }
  int32_t random_bits(BufferId key, BufferId counter, uint32_t stream, Level level = Level::element) {
    const int32_t first = add_view(dense(key)), second = add_view(dense(counter));
    return emit({.op = LoopOp::random_bits,
                 .level = level,
                 .dtype = DType::u32,
                 .view = first,
                 .view2 = second,
                 .stream = stream});
  }
};

// --- Running ---

using Bytes = std::vector<std::vector<std::byte>>;  // by buffer

// The buffers' bytes after a run. They lie on lines of their own, between canaries, which must survive.
inline Bytes machine_bytes(const Writer& writer, int threads) {
  constexpr size_t margin = 256, line = 64;
  constexpr auto canary = std::byte{0xA5};
  Bytes memory;
  std::vector<std::byte*> addresses;
  for (size_t id = 0; id < writer.values.size(); ++id) {
    const DType dtype = writer.program.buffers[id].type.dtype;
    const size_t width = size_of(dtype), bytes = writer.values[id].size() * width;
    memory.emplace_back(bytes + 2 * margin + line, canary);
    std::byte* begin = memory[id].data() + margin;
    begin += line - reinterpret_cast<uintptr_t>(begin) % line;
    for (size_t i = 0; i < writer.values[id].size(); ++i) write_element(writer.values[id][i], begin + i * width, dtype);
    addresses.push_back(begin);
  }
  const TileLaunch launch(writer.step, writer.program, threads);
  launch.run(addresses.data());
  Bytes out;
  for (size_t id = 0; id < memory.size(); ++id) {
    const auto is_canary = [](std::byte byte) { return byte == canary; };
    const std::byte *begin = addresses[id],
                    *end = begin + writer.values[id].size() * size_of(writer.program.buffers[id].type.dtype);
    EXPECT_TRUE(std::all_of(std::as_const(memory[id]).data(), begin, is_canary)) << "wrote before a buffer";
    EXPECT_TRUE(std::all_of(end, std::as_const(memory[id]).data() + memory[id].size(), is_canary))
        << "wrote behind a buffer";
    out.emplace_back(begin, end);
  }
  return out;
}

inline std::vector<Values> values_of(const Bytes& bytes, const Program& program) {
  std::vector<Values> out;
  for (size_t id = 0; id < bytes.size(); ++id) {
    const DType dtype = program.buffers[id].type.dtype;
    out.emplace_back();
    for (size_t at = 0; at < bytes[id].size(); at += size_of(dtype))
      out.back().push_back(read_element(&bytes[id][at], dtype));
  }
  return out;
}

// The distance between neighbouring numbers of a type near `value`.
inline double spacing(double value, DType dtype) {
  if (!is_floating(dtype)) return 1;
  const int digits = dtype == DType::f32 ? 24 : dtype == DType::bf16 ? 8 : 11;
  const int least = dtype == DType::f16 ? -14 : -126;
  if (!std::isfinite(value)) return 0;
  int exponent = 0;
  std::frexp(value, &exponent);
  return std::ldexp(1.0, std::max(exponent - 1, least) - digits + 1);
}

struct Tolerance {
  double ulps = 0;      // of the stored type
  double absolute = 0;  // or this
};

inline bool is_near(double got, double wanted, DType dtype, const Tolerance& tolerance) {
  if (std::isnan(wanted) || std::isnan(got)) return std::isnan(wanted) && std::isnan(got);
  if (got == wanted)
    return !is_floating(dtype) || std::signbit(got) == std::signbit(wanted) || tolerance.ulps > 0 ||
           tolerance.absolute > 0;
  if (!std::isfinite(got) || !std::isfinite(wanted)) {  // a last-bit difference may overflow
    const double finite = std::isfinite(got) ? got : wanted;
    return tolerance.ulps > 0 && std::isfinite(finite) &&
           std::abs(finite) > 0.999 * (dtype == DType::f16 ? 65504.0 : 3.4e38);
  }
  return std::abs(got - wanted) <= std::max(tolerance.ulps * spacing(wanted, dtype), tolerance.absolute);
}

inline std::vector<Values> plain_values(const Writer& writer) {
  std::vector<Values> values = writer.values;
  PlainMachine(values).run(writer.step);
  return values;
}

inline void expect_near(const Writer& writer, const Bytes& bytes, const std::vector<Values>& wanted,
                        const Tolerance& tolerance) {
  const std::vector<Values> got = values_of(bytes, writer.program);
  for (size_t id = 0; id < got.size(); ++id) {
    const DType dtype = writer.program.buffers[id].type.dtype;
    for (size_t i = 0; i < got[id].size(); ++i)
      if (!is_near(got[id][i], wanted[id][i], dtype, tolerance)) {
        FAIL() << tile_target() << ", buffer " << id << "[" << i << "] of " << got[id].size() << " is " << got[id][i]
               << ", not " << wanted[id][i] << " in\n"
               << to_text(writer.step.kernels[0]);
      }
  }
}

// Runs on the target in use and compares every buffer with the interpreter's.
inline void expect_right(const Writer& writer, const Tolerance& tolerance = {}, int threads = 1) {
  expect_near(writer, machine_bytes(writer, threads), plain_values(writer), tolerance);
}

// On every target; then that threads, and if `exact` targets, make no difference to any bit.
inline void expect_right_everywhere(const Writer& writer, const Tolerance& tolerance = {}, bool exact = true) {
  const std::vector<Values> wanted = plain_values(writer);
  Bytes first;
  for (const std::string& target : tile_targets()) {
    set_tile_target(target);
    const Bytes alone = machine_bytes(writer, 1);
    expect_near(writer, alone, wanted, tolerance);
    if (first.empty()) first = alone;
    if (exact) {
      EXPECT_EQ(alone, first) << target << " differs from " << tile_targets()[0] << " in\n"
                              << to_text(writer.step.kernels[0]);
    }
    const std::vector<int> threads = target == tile_targets()[0] ? std::vector{2, 3, 4} : std::vector{3};
    for (const int count : threads)
      EXPECT_EQ(machine_bytes(writer, count), alone) << target << " with " << count << " threads, in\n"
                                                     << to_text(writer.step.kernels[0]);
    if (::testing::Test::HasFailure()) break;
  }
  set_tile_target(tile_targets()[0]);
}

// --- Values ---

class Random {
 public:
  explicit Random(uint32_t seed = 1) : engine_(seed) {}
  double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }
  int64_t whole(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine_); }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[static_cast<size_t>(whole(0, std::ssize(all) - 1))];
  }

  Values reals(int64_t count, double low = -2, double high = 2) {
    Values out;
    for (int64_t i = 0; i < count; ++i) out.push_back(uniform(low, high));
    return out;
  }
  Values wholes(int64_t count, int64_t low, int64_t high) {
    Values out;
    for (int64_t i = 0; i < count; ++i) out.push_back(static_cast<double>(whole(low, high)));
    return out;
  }

 private:
  std::mt19937 engine_;
};

// --- What the tests share ---

inline constexpr double inf = HUGE_VAL;
inline const std::vector<int64_t> odd_sizes{0, 1, 3, 15, 16, 17, 511, 513, 5000};

class TileMachine : public ::testing::Test {
 protected:
  void SetUp() override { set_tile_parallel_cost(0); }
  void TearDown() override { set_tile_parallel_cost(default_parallel_cost); }
  Random random_;
};

// A kernel whose `level` has `size` elements.
inline Writer writer_for(Level level, int64_t size) {
  if (level == Level::element) return Writer(1, size);
  return level == Level::row ? Writer(size, 3) : Writer(3, size);
}

}  // namespace descent::cpu
