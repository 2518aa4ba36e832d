#include "descent/compile/compile.h"

#include <algorithm>
#include <array>

#include "descent/compile/lower.h"
#include "descent/compile/passes.h"
#include "descent/ops/cast.h"
#include "descent/ops/input.h"

namespace descent {

namespace {

constexpr std::array<std::string_view, 7> stages{"trace", "precision", "claim", "expand", "schedule", "layout", "plan"};

// Copies the graph, so that passes may assume that they own it.
Staged staged_copy(const Graph& graph, std::span<const Value> results) {
  // The source graph outlives the copying, so a non-owning pointer will do.
  const Staged from{std::shared_ptr<Graph>(const_cast<Graph*>(&graph), [](Graph*) {}),
                    {results.begin(), results.end()}};
  Rewriter rewriter(from);
  return rewriter.run([&](uint32_t, const Node& node) { return rewriter.copy(node); });
}

struct Named {
  size_t result;
  std::string input;
};

// For each kept or updated input that the step reads rounded: reads the kept copy instead, and rounds the new value, if
// there is one, for the next run. The rounding then rides in the kernel that updates the parameter.
Staged carry_casts(const Staged& from, const std::vector<std::string>& kept, std::vector<Named>& updates,
                   std::vector<CarriedInput>& carried) {
  Rewriter rewriter(from);
  Staged out = rewriter.run([&](uint32_t, const Node& node) -> Tensors {
    if (node.op != &op_def<Cast>()) return rewriter.copy(node);
    const Node& source = rewriter.from().node(node.inputs[0]);
    const DType to = node.outputs[0].dtype;
    if (source.op != &op_def<Input>()) return rewriter.copy(node);
    const std::string& own = source.attrs.string("name");
    if (std::ranges::find(updates, own, &Named::input) == updates.end() &&
        (std::ranges::find(kept, own) == kept.end() || to != DType::bf16))
      return rewriter.copy(node);
    const std::string name = text(own, ":", to);
    carried.push_back({name, own, to});
    return {input(rewriter.to(), name, node.outputs[0], node.site)};
  });
  for (const CarriedInput& carry : carried) {
    const auto update = std::ranges::find(updates, carry.source, &Named::input);
    if (update == updates.end()) continue;
    const Tensor value(*out.graph, out.results[update->result]);
    updates.push_back({out.results.size(), carry.name});
    out.results.push_back(cast(value, carry.dtype, value.node().site).value());
  }
  return out;
}

std::vector<Update> bind_updates(const Staged& staged, const std::vector<Named>& updates) {
  std::vector<Update> out;
  for (const Named& update : updates)
    for (const uint32_t id : live_nodes(*staged.graph, staged.results)) {
      const Node& node = staged.graph->node(id);
      if (node.op == &op_def<Input>() && node.attrs.string("name") == update.input)
        out.push_back({update.result, {id, 0}});
    }
  return out;
}

}  // namespace

std::span<const std::string_view> compile_stages() { return stages; }

CompiledProgram compile_graph(const Graph& graph, std::span<const Value> results, const CompileOptions& options) {
  CompiledProgram out;
  const auto show = [&](size_t stage, const std::string& shown) {
    if (options.observe) options.observe(stages[stage], shown);
  };
  const auto show_graph = [&](size_t stage, const Staged& staged) {
    if (options.observe) show(stage, to_text(*staged.graph, true));
  };
  std::vector<Named> updates;
  for (const auto& [result, name] : options.updates) updates.push_back({result, name});

  Staged staged = simplify(staged_copy(graph, results));
  show_graph(0, staged);
  if (options.mixed_precision) {
    staged = mixed_precision(simplify(claim_attention(staged, options.runs_whole)));
    staged = carry_casts(staged, options.kept, updates, out.carried);
  }
  show_graph(1, staged);
  if (options.fuse) staged = simplify(join_products(staged));
  if (options.fuse) staged = claim_epilogues(staged);
  show_graph(2, staged);
  staged = legalize_views(normalize_reductions(simplify(expand_composites(staged, options.runs_whole))));
  verify(*staged.graph);
  show_graph(3, staged);
  const std::vector<Update> bound = bind_updates(staged, updates);
  FusionOptions fusion;
  fusion.fuse = options.fuse;
  out.program = lower(staged, partition(staged, fusion, bound), bound);
  if (options.fuse) attach_epilogues(out.program);
  if (options.fuse) merge_launches(out.program);
  show(4, to_text(out.program));
  if (options.observe) show(5, layout_text(out.program));
  plan_memory(out.program, options.donate);
  verify(out.program);
  show(6, to_text(out.program));
  return out;
}

}  // namespace descent
