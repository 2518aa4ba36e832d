// What the files that speak oneDNN's API (2.6) share.
#pragma once

#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>

#include "descent/base/text.h"
#include "descent/core/dtype.h"

namespace descent::cpu::onednn {

inline const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

inline dnnl::memory::data_type data_type(DType dtype, std::string_view what) {
  switch (dtype) {
    case DType::f32: return dnnl::memory::data_type::f32;
    case DType::bf16: return dnnl::memory::data_type::bf16;
    default: fail(text(what, " on the CPU take f32 or bf16, not ", dtype));
  }
}

// While one lives, this thread's primitives are made for, and run on, one thread: ours (base/team.h) share the work out.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace descent::cpu::onednn
