// max_pool, sum_pool, their gradients and take_taps: every row of the result is one list of rows of the operand, so
// that all five are the same walk, forward by places and backward by elements.
#include <algorithm>

#include "descent/backend/cpu/calls.h"
#include "descent/backend/cpu/pool.h"
#include "descent/base/team.h"
#include "descent/base/threads.h"
#include "descent/ops/sum_pool.h"

namespace descent::cpu {

namespace {

Type type_of(const View& view) { return {view.dtype, Shape(view.sizes)}; }

// Lists of sources by result row.
struct Plan {
  std::vector<int32_t> first;
  std::vector<pool::Source> sources;
};

// By place, the elements of its window; or by element, the places whose windows hold it.
Plan plan_of(const Windows& windows, const PoolDivisor* divisor, bool by_element) {
  std::vector<std::vector<pool::Source>> lists(
      static_cast<size_t>(product_of(by_element ? windows.image : windows.out)));
  for_each_tap(windows, [&](int64_t place, int64_t element, int64_t tap) {
    const auto factor = static_cast<float>(divisor == nullptr ? 1.0 : 1 / divisor->at(place));
    lists[static_cast<size_t>(by_element ? element : place)].push_back(
        {static_cast<int32_t>(by_element ? place : element), static_cast<int32_t>(tap), factor});
  });
  Plan out{{0}, {}};
  for (const std::vector<pool::Source>& list : lists) {
    out.sources.insert(out.sources.end(), list.begin(), list.end());
    out.first.push_back(static_cast<int32_t>(out.sources.size()));
  }
  return out;
}

class Pool : public Call {
 public:
  using Kernel = void (*)(const pool::Rows&);

  // `image` and `windows` are those of the pooling that the call is, or is the gradient of.
  Pool(const CallStep& step, Kernel rows_kernel, bool by_element)
      : step_(step), kernel_(rows_kernel), x_(step.reads[0]), out_(step.writes[0]) {
    const View& image = by_element ? out_ : x_;
    const Windows windows = pool_windows(step.attrs, type_of(image), step.what);
    std::optional<PoolDivisor> divisor;
    if (step.attrs.has("mean")) divisor.emplace(step.attrs, windows, step.what);
    plan_ = plan_of(windows, divisor ? &*divisor : nullptr, by_element);
    channels_ = image.sizes.back();
    examples_ = image.sizes[0];
    places_ = product_of(by_element ? windows.image : windows.out);
    source_rows_ = product_of(by_element ? windows.out : windows.image);
    const int64_t bytes = (x_.elements() + out_.elements()) * static_cast<int64_t>(size_of(out_.dtype));
    threads_ = bytes > (1 << 16) ? thread_count() : 1;
  }

  void run(std::byte* const* addresses) override {
    pool::Rows rows{0,
                    0,
                    channels_,
                    places_,
                    source_rows_,
                    plan_.first,
                    plan_.sources,
                    address_of(x_, addresses),
                    nullptr,
                    address_of(out_, addresses),
                    nullptr};
    if (step_.reads.size() > 1) rows.taps = reinterpret_cast<const uint8_t*>(address_of(step_.reads[1], addresses));
    if (step_.writes.size() > 1) rows.taps_out = reinterpret_cast<uint8_t*>(address_of(step_.writes[1], addresses));
    const int64_t count = examples_ * places_;
    run_together(threads_, [&](Share share) {
      pool::Rows mine = rows;
      mine.begin = count * share.part / share.parts;
      mine.end = count * (share.part + 1) / share.parts;
      kernel_(mine);
    });
  }
  std::string kernel() const override { return "rows"; }

 private:
  CallStep step_;
  Kernel kernel_;
  View x_, out_;
  Plan plan_;
  int64_t channels_ = 0, examples_ = 0, places_ = 0, source_rows_ = 0;
  int threads_ = 1;
};

struct PoolKind {
  std::string_view what;
  Pool::Kernel pool::Kernels::*kernel;
  bool by_element;
};
constexpr PoolKind kinds[] = {{"max_pool", &pool::Kernels::max, false},
                              {"sum_pool", &pool::Kernels::sum, false},
                              {"take_taps", &pool::Kernels::take, false},
                              {"max_pool_gradient", &pool::Kernels::give, true},
                              {"sum_pool_gradient", &pool::Kernels::sum, true}};

}  // namespace

std::unique_ptr<Call> make_pool(const CallStep& step, const Program&) {
  const auto kind = std::ranges::find(kinds, step.what, &PoolKind::what);
  const DType dtype = step.reads[0].dtype;
  if (dtype != DType::f32 && dtype != DType::bf16 && dtype != DType::f16)
    fail(text(step.what, " on the CPU takes f32, bf16 or f16, not ", dtype));
  return std::make_unique<Pool>(step, pool::kernels(dtype).*kind->kernel, kind->by_element);
}

}  // namespace descent::cpu
