#include "descent/backend/cpu/attention.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "descent/backend/cpu/attention_tiles.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"
#include "descent/ops/fused_attention_gradient.h"

namespace descent::cpu {

namespace {

namespace tiles = attention_tiles;
using tiles::Head, tiles::Rows;

constexpr std::string_view forward_name = "fused_attention", gradient_name = "fused_attention_gradient";

// What a thread keeps per key (some 300 bytes) should not leave the second cache by far; the rest is expanded.
constexpr int64_t most_keys = 8192, most_features = 256;

int64_t offset_of(const View& view, int64_t index, size_t axes) {
  int64_t offset = 0;
  for (size_t axis = axes; axis-- > 0;) {
    offset += index % view.sizes[axis] * view.strides[axis];
    index /= view.sizes[axis];
  }
  return offset;
}

// Queries, keys, values or cotangents [sequences, heads, places, features], as they lie.
class Operand {
 public:
  explicit Operand(const View& view) : view_(view), beside_(view.strides[3] == 1 || view.sizes[3] == 1) {}

  int64_t places() const { return view_.sizes[2]; }
  int64_t features() const { return view_.sizes[3]; }
  int64_t heads() const { return view_.sizes[0] * view_.sizes[1]; }

  // Features that do not lie side by side are copied first.
  size_t copy_bytes() const { return beside_ ? 0 : (static_cast<size_t>(places() * features()) * 2 + 63) / 64 * 64; }

  Rows rows(std::byte* const* addresses, int64_t head, std::byte* copy) const {
    const auto* data = reinterpret_cast<const uint16_t*>(address_of(view_, addresses)) + offset_of(view_, head, 2);
    if (beside_) return {data, view_.strides[2]};
    auto* to = reinterpret_cast<uint16_t*>(copy);
    for (int64_t i = 0; i < places(); ++i)
      for (int64_t j = 0; j < features(); ++j)
        to[i * features() + j] = data[i * view_.strides[2] + j * view_.strides[3]];
    return {to, features()};
  }

 private:
  View view_;
  bool beside_;
};

class AttentionCall : public Call {
 public:
  explicit AttentionCall(const CallStep& step)
      : gradient_(step.what == gradient_name),
        out_(step.writes[0]),
        logs_(gradient_ ? step.reads[FusedAttentionGradient::logs] : step.writes[1]) {
    const size_t operands = gradient_ ? 5 : 3, lengths = gradient_ ? FusedAttentionGradient::lengths : 3;
    for (size_t i = 0; i < operands; ++i) operands_.emplace_back(step.reads[i]);
    if (step.reads.size() > lengths) lengths_ = step.reads[lengths];
    const Operand &q = operands_[0], &k = operands_[1], &v = operands_[2];
    head_ = {q.places(), k.places(), q.features(), v.features(), step.attrs.integer("causal") != 0, k.places()};
    count_ = head_.queries == 0 ? 0 : q.heads();
    heads_ = step.reads[0].sizes[1];
    for (const Operand& operand : operands_) copy_bytes_ += operand.copy_bytes();
    logs_lie_ = !gradient_ || (logs_.dtype == DType::f32 && logs_.strides[2] == 1);
    if (!logs_lie_) logs_bytes_ = (static_cast<size_t>(head_.queries) * sizeof(float) + 63) / 64 * 64;
    thread_bytes_ = ((gradient_ ? tiles::gradient_bytes(head_) : tiles::forward_bytes(head_)) + 63) / 64 * 64 +
                    copy_bytes_ + logs_bytes_;
    threads_ = static_cast<int>(std::clamp<int64_t>(count_, 1, thread_count()));
  }

  void run(std::byte* const* addresses) override {
    if (count_ == 0) return;
    run_together(threads_, [&](Share share) {
      tiles::begin();
      const int64_t begin = count_ * share.part / share.parts, end = count_ * (share.part + 1) / share.parts;
      if (begin < end) run_heads(addresses, begin, end, memory_ + static_cast<size_t>(share.part) * stride_);
      tiles::end();
    });
  }
  std::string kernel() const override { return gradient_ ? "attention gradient amx bf16" : "attention amx bf16"; }

  Scratch scratch() const override { return {thread_bytes_, threads_}; }
  void use_scratch(std::byte* memory, size_t bytes) override {
    memory_ = memory;
    stride_ = bytes;
  }

 private:
  void run_heads(std::byte* const* addresses, int64_t begin, int64_t end, std::byte* memory) const {
    const bool lie = copy_bytes_ == 0;  // else the copy of the next head would take this one's place
    tiles::Operands in = operands_of(addresses, begin, memory);
    for (int64_t i = begin; i < end; ++i) {
      const bool last = i + 1 == end;
      const tiles::Operands next = lie && !last ? operands_of(addresses, i + 1, memory) : tiles::Operands{};
      run_head(addresses, i, in, lie && !last ? &next : nullptr, memory + copy_bytes_);
      if (!last) in = lie ? next : operands_of(addresses, i + 1, memory);
    }
  }

  tiles::Operands operands_of(std::byte* const* addresses, int64_t index, std::byte* copy) const {
    Rows rows[5];
    for (size_t i = 0; i < operands_.size(); ++i) {
      rows[i] = operands_[i].rows(addresses, index, copy);
      copy += operands_[i].copy_bytes();
    }
    return {rows[0], rows[1], rows[2], rows[3], rows[4]};
  }

  void run_head(std::byte* const* addresses, int64_t index, const tiles::Operands& in, const tiles::Operands* next,
                std::byte* scratch) const {
    Head head = head_;
    if (lengths_) head.length = length_of(addresses, index);
    auto* out = reinterpret_cast<uint16_t*>(address_of(out_, addresses));
    const int64_t width = heads_ * head.outputs, sequence = index / heads_, own = index % heads_ * head.outputs;
    if (!gradient_) {
      float* logs = reinterpret_cast<float*>(address_of(logs_, addresses)) + index * head.queries;
      return tiles::forward(head, in, next, out + sequence * head.queries * width + own, width, logs, scratch);
    }
    const float* logs = logs_of(addresses, index, reinterpret_cast<float*>(scratch));
    out += sequence * head.queries * 3 * width + own;
    tiles::gradient(head, in, logs, next, {out, out + width, out + 2 * width, 3 * width}, scratch + logs_bytes_);
  }

  // Of one head: where they lie, or a copy.
  const float* logs_of(std::byte* const* addresses, int64_t index, float* copy) const {
    const int64_t at = offset_of(logs_, index, 2), step = logs_.strides[2];
    const std::byte* data = address_of(logs_, addresses);
    const auto* wide = reinterpret_cast<const float*>(data) + at;
    const auto* narrow = reinterpret_cast<const uint16_t*>(data) + at;
    if (logs_lie_) return wide;
    for (int64_t i = 0; i < head_.queries; ++i)
      copy[i] = logs_.dtype == DType::f32 ? wide[i * step] : std::bit_cast<float>(uint32_t{narrow[i * step]} << 16);
    return copy;
  }

  int64_t length_of(std::byte* const* addresses, int64_t index) const {
    const auto* lengths = reinterpret_cast<const int32_t*>(address_of(*lengths_, addresses));
    return lengths[offset_of(*lengths_, index / (count_ / lengths_->elements()), lengths_->sizes.size())];
  }

  bool gradient_, logs_lie_ = true;  // in f32, side by side
  View out_, logs_;
  std::optional<View> lengths_;
  std::vector<Operand> operands_;
  Head head_;
  int64_t count_ = 0, heads_ = 1;  // of all sequences together; of one
  size_t copy_bytes_ = 0, logs_bytes_ = 0, thread_bytes_ = 0;
  int threads_ = 1;
  std::byte* memory_ = nullptr;
  size_t stride_ = 0;  // bytes between threads
};

}  // namespace

bool runs_attention(const OpDef& op, std::span<const Type> inputs) {
  if (op.name != forward_name && op.name != gradient_name) return false;
  const Shape &k = inputs[1].shape, &v = inputs[2].shape;
  return tiles::available() && inputs[0].dtype == DType::bf16 && k.rank() == 4 && k[2] <= most_keys &&
         k[3] <= most_features && v[3] <= most_features;
}

std::unique_ptr<Call> make_attention(const CallStep& step, const Program&) {
  return std::make_unique<AttentionCall>(step);
}

}  // namespace descent::cpu
