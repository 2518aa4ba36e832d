#include "descent/backend/cpu/calls.h"

#include <algorithm>

namespace descent::cpu {

namespace {

struct Maker {
  std::string_view what;
  std::unique_ptr<Call> (*make)(const CallStep&, const Program&);
};
constexpr Maker makers[] = {{"matmul", make_matmul},
                            {"fused_matmul", make_matmul},
                            {"conv", make_conv},
                            {"conv_input_gradient", make_conv},
                            {"conv_weight_gradient", make_conv},
                            {"max_pool", make_pool},
                            {"max_pool_gradient", make_pool},
                            {"take_taps", make_pool},
                            {"sum_pool", make_pool},
                            {"sum_pool_gradient", make_pool},
                            {"fused_attention", make_attention},
                            {"fused_attention_gradient", make_attention},
                            {"gather", make_gather},
                            {"scatter_add", make_scatter_add},
                            {"ctc_loss", make_ctc},
                            {"ctc_gradient", make_ctc}};

}  // namespace

std::unique_ptr<Call> make_call(const CallStep& step, const Program& program) {
  for (const Maker& maker : makers)
    if (maker.what == step.what) return maker.make(step, program);
  fail(text("the CPU backend has no kernel for '", step.what, "'"));
}

}  // namespace descent::cpu
