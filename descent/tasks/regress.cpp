#include "descent/tasks/regress.h"

#include "descent/base/text.h"

namespace descent::tasks {

namespace {

int64_t columns(const data::Dataset& data) { return data.targets.shape().rank() > 1 ? data.targets.shape().back() : 1; }

std::string columns_text(const data::Dataset& data) {
  return columns(data) == 1 ? "one number to predict" : text(columns(data), " numbers to predict");
}

Answer answer(std::span<const float> outputs, const nn::Loss&, const std::vector<std::string>&,
              const data::TableEncoder* encoder) {
  Answer out;
  out.number = encoder != nullptr ? encoder->target_number(outputs[0]) : double{outputs[0]};
  return out;
}

}  // namespace

TaskKind regress_task() {
  return {.name = "regress",
          .about = "a number for each example",
          .default_loss = nn::MeanSquaredError::name,
          .classes = false,
          .table_target = data::TargetKind::number,
          .outputs = columns,
          .outputs_text = columns_text,
          .single_output = [](const data::Dataset&, const nn::Loss&) { return false; },
          .answer = answer};
}

}  // namespace descent::tasks
