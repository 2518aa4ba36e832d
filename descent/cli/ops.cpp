// descent ops [NAME]
#include <fmt/format.h>

#include "descent/cli/command.h"
#include "descent/graph/attrs.h"
#include "descent/ops/registry.h"

namespace descent::cli {

namespace {

struct OpsFlags {
  std::string name;
  bool json = false;
};

std::string class_text(OpClass op_class) {
  static constexpr std::string_view names[] = {"leaf",  "elementwise", "view",     "reduction",
                                               "index", "contraction", "composite"};
  return std::string(names[static_cast<size_t>(op_class)]);
}

std::string gradient_text(const OpDef& op) {
  if (!op.no_gradient.empty()) return text("none: ", op.no_gradient);
  if (!op.no_second_gradient.empty()) return text("its own rule, once: ", op.no_second_gradient);
  return op.vjp != nullptr ? "its own rule" : "that of its expansion";
}

std::string arity_text(const OpDef& op) { return op.arity < 0 ? "any number" : std::to_string(op.arity); }

void print_op(const OpDef& op) {
  fmt::print("{}: {}\n  class     {}\n  inputs    {}\n  gradient  {}\n  samples\n", op.name, op.summary,
             class_text(op.op_class), arity_text(op), gradient_text(op));
  for (const Sample& sample : op.samples()) {
    std::vector<std::string> types;
    for (const SampleInput& input : sample.inputs) types.push_back(to_text(input.type));
    fmt::print("    {:<20} {}\n", sample.name, join(types, ", "));
  }
  fmt::print("test it: descent check {}/\n", op.name);
}

Json op_json(const OpDef& op) {
  return {{"name", op.name},
          {"summary", op.summary},
          {"class", class_text(op.op_class)},
          {"inputs", op.arity},
          {"gradient", gradient_text(op)}};
}

const OpDef& known_op(const std::string& name) {
  if (const OpDef* op = find_op(name)) return *op;
  std::vector<std::string> known;
  for (const OpDef* op : registry()) known.emplace_back(op->name);
  throw UsageError(text("there is no op '", name, "'", did_you_mean(name, known)));
}

void run_ops(const OpsFlags& flags) {
  if (!flags.name.empty()) {
    const OpDef& op = known_op(flags.name);
    return flags.json ? print_json(op_json(op)) : print_op(op);
  }
  Json all = Json::array();
  for (const OpDef* op : registry()) {
    all.push_back(op_json(*op));
    if (!flags.json) fmt::print("{:<22} {:<12} {}\n", op->name, class_text(op->op_class), op->summary);
  }
  if (flags.json) print_json({{"ops", all}});
}

}  // namespace

void add_ops(CLI::App& program) {
  auto flags = std::make_shared<OpsFlags>();
  add_command(program, "ops", "the ops: what each means", flags, run_ops)
      ->add_option("name", flags->name, "one of them");
}

}  // namespace descent::cli
