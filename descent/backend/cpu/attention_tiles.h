// Attention of one head on matrix tiles (AMX), in bf16 with f32 sums and weights. The weights of 32 queries at a time
// are computed, used and forgotten; the gradient computes them again.
#pragma once

#include <cstddef>
#include <cstdint>

namespace descent::cpu::attention_tiles {

// Rows of bf16, whose features lie side by side.
struct Rows {
  const uint16_t* data = nullptr;
  int64_t pitch = 0;  // elements
};

// A head's sizes. Of `keys` keys, query i sees the first `length`, if causal no more than i + 1 + keys - queries, and
// always the first.
struct Head {
  int64_t queries = 0, keys = 0, features = 0, outputs = 0;
  bool causal = false;
  int64_t length = 0;

  int64_t visible(int64_t query) const {
    const int64_t most = causal ? query + 1 + keys - queries : keys;
    return query >= queries ? 0 : length < 1 ? 1 : length < most ? length : most;
  }
};

bool available();

// A thread's, aligned to 64 bytes; of heads of these sizes.
size_t forward_bytes(const Head& head);
size_t gradient_bytes(const Head& head);

// Between begin() and end() a thread's tiles are set up.
void begin();
void end();

// Of one head, and of the next one, which is fetched meanwhile (null: there is none). The cotangent g and the result o
// are the gradient's.
struct Operands {
  Rows q, k, v, g, o;
};

// out[query * pitch + i]: outputs side by side; logs[query]: the logarithms of sums of exponentials of scores.
void forward(const Head& head, const Operands& in, const Operands* next, uint16_t* out, int64_t pitch, float* logs,
             std::byte* scratch);

// The gradients of q, k and v from that of the result, and what forward() gave; as many queries as keys, as many
// outputs as features.
struct Gradients {
  uint16_t *q, *k, *v;
  int64_t pitch;
};
void gradient(const Head& head, const Operands& in, const float* logs, const Operands* next, const Gradients& to,
              std::byte* scratch);

}  // namespace descent::cpu::attention_tiles
