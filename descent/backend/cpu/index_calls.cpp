// gather and scatter_add: rows of a table picked by number, and added back.
#include <algorithm>
#include <cstring>

#include "descent/backend/cpu/calls.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"

namespace descent::cpu {

namespace {

int64_t clamped(int32_t index, int64_t rows) { return std::clamp<int64_t>(index, 0, rows - 1); }

class Gather : public Call {
 public:
  explicit Gather(const CallStep& step) : table_(step.reads[0]), indices_(step.reads[1]), out_(step.writes[0]) {
    table_rows_ = table_.sizes.empty() ? 0 : table_.sizes[0];
    row_bytes_ = table_rows_ == 0 ? 0 : table_.elements() / table_rows_ * static_cast<int64_t>(size_of(table_.dtype));
  }

  void run(std::byte* const* addresses) override {
    const std::byte* table = address_of(table_, addresses);
    const auto* indices = reinterpret_cast<const int32_t*>(address_of(indices_, addresses));
    std::byte* out = address_of(out_, addresses);
    const int64_t count = indices_.elements();
    if (table_rows_ == 0 || row_bytes_ == 0) return;
    run_together(count * row_bytes_ > (1 << 16) ? thread_count() : 1, [&](Share share) {
      for (int64_t i = count * share.part / share.parts; i < count * (share.part + 1) / share.parts; ++i)
        std::memcpy(out + i * row_bytes_, table + clamped(indices[i], table_rows_) * row_bytes_, static_cast<size_t>(row_bytes_));
    });
  }
  std::string kernel() const override { return "gather rows"; }

 private:
  View table_, indices_, out_;
  int64_t table_rows_, row_bytes_;
};

// Every thread looks at all indices and adds the rows that fall into its share of the table: no two threads meet, and
// each sum is taken in the order of the updates whatever the number of threads.
template <class T>
class ScatterAdd : public Call {
 public:
  explicit ScatterAdd(const CallStep& step) : indices_(step.reads[0]), updates_(step.reads[1]), out_(step.writes[0]) {
    rows_ = out_.sizes[0];
    width_ = rows_ == 0 ? 0 : out_.elements() / rows_;
  }

  void run(std::byte* const* addresses) override {
    const auto* indices = reinterpret_cast<const int32_t*>(address_of(indices_, addresses));
    const auto* updates = reinterpret_cast<const T*>(address_of(updates_, addresses));
    auto* out = reinterpret_cast<T*>(address_of(out_, addresses));
    const int64_t count = indices_.elements();
    run_together(count * width_ > (1 << 14) ? thread_count() : 1, [&](Share share) {
      const int64_t begin = rows_ * share.part / share.parts, end = rows_ * (share.part + 1) / share.parts;
      std::fill(out + begin * width_, out + end * width_, T{0});
      for (int64_t i = 0; i < count; ++i) {
        const int64_t row = clamped(indices[i], rows_);
        if (row < begin || row >= end) continue;
        for (int64_t k = 0; k < width_; ++k) out[row * width_ + k] += updates[i * width_ + k];
      }
    });
  }
  std::string kernel() const override { return "scatter rows"; }

 private:
  View indices_, updates_, out_;
  int64_t rows_, width_;
};

}  // namespace

std::unique_ptr<Call> make_gather(const CallStep& step, const Program&) { return std::make_unique<Gather>(step); }

std::unique_ptr<Call> make_scatter_add(const CallStep& step, const Program&) {
  const DType dtype = step.writes[0].dtype;
  if (dtype == DType::f32) return std::make_unique<ScatterAdd<float>>(step);
  if (dtype == DType::i32 || dtype == DType::u32) return std::make_unique<ScatterAdd<uint32_t>>(step);  // both wrap alike
  fail(text("scatter_add on the CPU adds f32, i32 or u32 rows, not ", dtype));
}

}  // namespace descent::cpu
