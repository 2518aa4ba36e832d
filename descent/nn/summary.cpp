#include "descent/nn/summary.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "descent/ops/input.h"

namespace descent::nn {

namespace {

std::string superscript(int number) {
  static constexpr std::string_view digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out;
  for (const char digit : std::to_string(number)) out += digits[digit - '0'];
  return out;
}

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }

// `formula` with x replaced, the parameters (single letters) given their layer's number, f(x) replaced by what the
// layers inside make of x, and h(x) by what the shortcut makes of it.
struct Substitution {
  std::string x, number, inner, shortcut;

  std::string word(std::string_view name) const {
    if (name == "x") return x;
    return name.size() == 1 ? text(name, number) : std::string(name);
  }

  std::string operator()(std::string_view formula) const {
    std::string out;
    for (size_t i = 0; i < formula.size();) {
      if (formula.substr(i).starts_with("f(x)")) {
        out += inner;
        i += 4;
      } else if (formula.substr(i).starts_with("h(x)")) {
        out += shortcut;
        i += 4;
      } else if (is_letter(formula[i])) {
        size_t end = i;
        while (end < formula.size() && is_letter(formula[end])) ++end;
        const bool symbol = end - i == 1 && formula[i] != 'x';
        out += word(formula.substr(i, end - i));
        i = end;
        if (symbol && !number.empty() && i + 1 < formula.size() && formula[i] == ' ' && is_letter(formula[i + 1])) ++i;
      } else {
        out += formula[i++];
      }
    }
    return out;
  }
};

// Composes formulas until the next layer with parameters, which starts a new equation.
class Composer {
 public:
  void layer(const Module& module) {
    if (!module.children().empty()) return container(module);
    const bool numbered = !module.parameters().empty();
    if (numbered) name_current();
    if (numbered) ++numbered_;
    const std::string formula = module.formula();
    if (formula == "x") return;
    current_ = Substitution{current_, numbered ? superscript(numbered_) : "", {}, {}}(formula);
    atom_ = false;
  }

  std::vector<std::string> finish() {
    lines_.push_back("y = " + current_);
    return std::move(lines_);
  }

 private:
  // Each layer inside from the same x.
  void branches(const Module& module) {
    name_current();
    const std::string x = current_;
    std::vector<std::string> results;
    for (const auto& [name, child] : module.children()) {
      current_ = x;
      atom_ = true;
      layer(*child);
      results.push_back(current_);
    }
    current_ = text("[", join(results, ", "), "]");
    atom_ = false;
  }

  void container(const Module& module) {
    const std::string formula = module.formula();
    if (formula == "[f(x)]") return branches(module);
    if (formula != "f(x)") name_current();
    const std::string x = current_;
    std::string inner;
    for (const auto& [name, child] : module.children()) {
      if (name == "shortcut") {
        inner = std::exchange(current_, x);
        atom_ = true;
      }
      layer(*child);
    }
    if (formula == "f(x)") return;
    const bool has_shortcut = !inner.empty();
    current_ = Substitution{x, "", has_shortcut ? inner : current_, has_shortcut ? current_ : ""}(formula);
    atom_ = false;
  }

  // Gives what is composed so far a name, "a¹" after the first numbered layer.
  void name_current() {
    if (atom_) return;
    std::string name = "a" + superscript(numbered_);
    while (std::ranges::find(names_, name) != names_.end()) name += "'";
    names_.push_back(name);
    lines_.push_back(text(name, " = ", current_));
    current_ = name;
    atom_ = true;
  }

  std::vector<std::string> lines_, names_;
  std::string current_ = "x";
  bool atom_ = true;
  int numbered_ = 0;
};

int64_t count(const std::vector<ParameterPtr>& parameters) {
  int64_t elements = 0;
  for (const ParameterPtr& parameter : parameters) elements += parameter->array().elements();
  return elements;
}

int64_t node_flops(const Graph& graph, const Node& node) {
  if (node.op->op_class == OpClass::leaf || node.op->op_class == OpClass::view) return 0;
  if (node.op->op_class == OpClass::contraction) return contraction_flops(graph, node);
  int64_t elements = node.outputs[0].shape.elements();
  for (const Value input : node.inputs) elements = std::max(elements, graph.type(input).shape.elements());
  return elements;
}

// Of the nodes that belong to the layer at `path`.
int64_t layer_flops(const Graph& graph, std::string_view path) {
  int64_t flops = 0;
  for (const Node& node : graph.nodes())
    if (graph.scope_name(node.scope) == path) flops += node_flops(graph, node);
  return flops;
}

}  // namespace

std::vector<std::string> equations(const Module& net) {
  Composer composer;
  composer.layer(net);
  return composer.finish();
}

NetSummary summarise(Module& net, const Type& type, uint64_t seed) {
  Graph graph;
  Pass pass(graph, false, seed, nullptr);
  NetSummary out;
  out.input = type;
  out.output = net(input(graph, "input", type), pass).type();
  for (const Pass::TracedLayer& layer : pass.layers())
    if (layer.module->children().empty())
      out.layers.push_back({layer.path, layer.module->describe(), layer.module->formula(), layer.input.type(),
                            layer.output.type(), count(layer.module->parameters()), layer_flops(graph, layer.path)});
  out.equations = equations(net);
  out.parameters = count(all_parameters(net));
  for (const Node& node : graph.nodes()) out.flops += node_flops(graph, node);
  return out;
}

}  // namespace descent::nn
