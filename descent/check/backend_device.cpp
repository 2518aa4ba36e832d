#include "descent/check/backend_device.h"

#include <algorithm>
#include <cstring>

#include "descent/base/text.h"
#include "descent/compile/compile.h"

namespace descent::check {

namespace {

constexpr size_t guard_bytes = 256;
constexpr std::byte guard{0xa5};
constexpr std::byte poison{0xff};  // NaN in every floating type

// What backends state that they do not compute.
struct BackendHole {
  std::string_view backend, cells, reason;
};
constexpr BackendHole backend_holes[] = {
    {"cpu", "*matmul/*/f16/*", "matrix products on the CPU take f32 or bf16, not f16"},
    {"cpu", "resize_bilinear/*/f16/*", "matrix products on the CPU take f32 or bf16, not f16"},
    {"cpu", "adaptive_average_pool/uneven*/f16/*", "matrix products on the CPU take f32 or bf16, not f16"},
    {"cpu", "*attention*/*/f16/*", "matrix products on the CPU take f32 or bf16, not f16"},
    {"cpu", "conv/*/f16/*", "convolutions on the CPU take f32 or bf16, not f16"},
    {"cpu", "conv_*_gradient/*/f16/*", "convolutions on the CPU take f32 or bf16, not f16"},
};

std::vector<Hole> holes_of(const Backend& backend) {
  std::vector<Hole> out;
  for (const BackendHole& hole : backend_holes)
    if (hole.backend == backend.name()) out.push_back({std::string(hole.cells), std::string(hole.reason)});
  return out;
}

// The bytes of one buffer between two guards.
class GuardedBuffer {
 public:
  explicit GuardedBuffer(const Buffer& buffer)
      : name_(text(buffer.role == BufferRole::temporary ? "a temporary" : buffer.name, " ", buffer.type)),
        size_(static_cast<size_t>(buffer.type.bytes())),
        bytes_(allocate_bytes(size_ + 2 * guard_bytes)) {
    std::fill_n(bytes_.get(), size_ + 2 * guard_bytes, guard);
    std::fill_n(data(), size_, buffer.type.dtype == DType::boolean ? std::byte{1} : poison);
  }

  std::byte* data() const { return bytes_.get() + guard_bytes; }
  void load(const Array& array) const { std::ranges::copy(array.bytes(), data()); }
  Array store(const Type& type) const {
    Array out(type);
    std::copy_n(data(), size_, out.data());
    return out;
  }
  void check() const {
    const auto whole = [](const std::byte* at) {
      return std::all_of(at, at + guard_bytes, [](std::byte b) { return b == guard; });
    };
    if (!whole(bytes_.get())) fail(text("something wrote before the bytes of ", name_));
    if (!whole(data() + size_)) fail(text("something wrote behind the bytes of ", name_));
  }

 private:
  std::string name_;
  size_t size_;
  std::shared_ptr<std::byte[]> bytes_;
};

// The program with every temporary outside of the arena, where the caller gives it memory.
Program without_arena(Program program) {
  for (Buffer& buffer : program.buffers)
    if (buffer.role == BufferRole::temporary) buffer.role = BufferRole::output;
  return program;
}

std::vector<Array> run_program(Backend& backend, const Program& program, const std::map<std::string, Array>& inputs,
                               bool own_memory) {
  std::vector<GuardedBuffer> memory;
  std::vector<std::byte*> addresses;
  for (const Buffer& buffer : program.buffers) {
    memory.emplace_back(buffer);
    addresses.push_back(memory.back().data());
  }
  for (const BufferId input : program.inputs) memory[input].load(inputs.at(program.buffers[input].name));
  backend.compile(own_memory ? without_arena(program) : program, {})->run(addresses);
  for (const GuardedBuffer& buffer : memory) buffer.check();
  std::vector<Array> out;
  for (const BufferId output : program.outputs) out.push_back(memory[output].store(program.buffers[output].type));
  return out;
}

}  // namespace

Device backend_device(Backend& backend) {
  const auto run = [&backend](const Graph& graph, std::span<const Value> results,
                              const std::map<std::string, Array>& inputs, const RunOptions& options) {
    CompileOptions compile;
    compile.fuse = options.fuse;
    compile.donate = options.donate;
    compile.updates = options.updates;
    compile.runs_whole = [&](const OpDef& op, std::span<const Type> in) { return backend.runs_whole(op, in); };
    const CompiledProgram compiled = compile_graph(graph, results, compile);
    return run_program(backend, compiled.program, inputs, options.poison);
  };
  return {std::string(backend.name()), run, holes_of(backend)};
}

}  // namespace descent::check
