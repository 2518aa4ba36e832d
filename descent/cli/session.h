// What train and fit tell the user while a run goes on and at its end.
#pragma once

#include <filesystem>

#include "descent/cli/command.h"
#include "descent/nn/function.h"
#include "descent/tasks/run.h"

namespace descent::cli {

nn::Precision precision_from(const std::string& name);
std::string precision_reason(nn::Precision precision);  // "bf16: this processor has ...", and why

// A bar in a terminal, a line an epoch elsewhere.
class ProgressPrinter {
 public:
  ProgressPrinter(bool terminal, std::string metric) : terminal_(terminal), metric_(std::move(metric)) {}
  void operator()(const train::Progress& progress);

 private:
  bool terminal_;
  std::string metric_;
  double last_ = 0;
};

Json scores_json(const train::Scores& scores);
Json report_json(tasks::Prepared& prepared, const train::Report& report, const std::filesystem::path& directory);
void print_report(const Json& out, const tasks::Prepared& prepared, const train::Report& report);

}  // namespace descent::cli
