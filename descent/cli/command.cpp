#include "descent/cli/command.h"

#include <fmt/format.h>

#include <cstdio>

#include "descent/runtime/backend.h"

namespace descent::cli {

void print_json(const Json& object) {
  const std::string line = object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

Json to_json(const train::Figures& figures) {
  Json out = Json::object();
  for (const auto& [name, value] : figures) out[name] = value;
  return out;
}

std::string to_text(const train::Figures& figures) {
  std::string out;
  for (const auto& [name, value] : figures) out += fmt::format("{}{} {:.4f}", out.empty() ? "" : "  ", name, value);
  return out;
}

std::string precision_text(const std::string& asked, bool bf16) {
  const std::string why = asked != "auto" ? "as asked for"
                          : bf16          ? "the processor multiplies bf16 matrices faster than f32 ones"
                                          : "the processor has no bf16 products in hardware";
  return fmt::format("precision {}: {} ({})", bf16 ? "bf16" : "f32", why, default_backend().describe());
}

}  // namespace descent::cli
