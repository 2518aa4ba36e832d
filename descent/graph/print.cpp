// The text form of a graph, both ways.
#include <algorithm>
#include <charconv>

#include "descent/base/text.h"
#include "descent/graph/op.h"

namespace descent {

namespace {

std::string value_text(const Graph& graph, Value value) {
  return graph.node(value).outputs.size() == 1 ? text("%", value.node) : text("%", value.node, ":", value.port);
}

std::string types_text(const std::vector<Type>& types) {
  std::vector<std::string> parts;
  for (const Type& type : types) parts.push_back(to_text(type));
  return join(parts, ", ");
}

}  // namespace

std::string to_text(const Graph& graph, bool origins) {
  std::string out;
  for (uint32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    std::vector<std::string> inputs;
    for (const Value value : node.inputs) inputs.push_back(value_text(graph, value));
    out += text("%", id, " = ", node.op->name, "(", join(inputs, ", "), ")");
    if (!node.attrs.empty()) out += text(" {", node.attrs, "}");
    out += text(" : ", types_text(node.outputs));
    if (origins) out += text("  # ", graph.scope_name(node.scope), " ", node.site.file, ":", node.site.line);
    out += '\n';
  }
  return out;
}

namespace {

// Reads one line of the text form.
class LineParser {
 public:
  explicit LineParser(std::string_view line) : rest_(line) {}

  void expect(std::string_view token) {
    skip_spaces();
    if (!rest_.starts_with(token)) fail(text("expected '", token, "' at '", rest_, "'"));
    rest_.remove_prefix(token.size());
  }
  bool accept(std::string_view token) {
    skip_spaces();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  uint32_t number() {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc()) fail(text("expected a number at '", rest_, "'"));
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
  }
  std::string_view until(std::string_view stops) {
    const std::string_view word = rest_.substr(0, rest_.find_first_of(stops));
    rest_.remove_prefix(word.size());
    return word;
  }
  std::string_view rest() const { return rest_; }

 private:
  void skip_spaces() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

Value parse_value(LineParser& line) {
  line.expect("%");
  Value value{line.number(), 0};
  if (line.accept(":")) value.port = static_cast<uint16_t>(line.number());
  return value;
}

void parse_line(std::string_view content, std::span<const OpDef* const> ops, Graph& graph) {
  LineParser line(content);
  line.expect("%");
  const uint32_t id = line.number();
  line.expect("= ");
  const std::string_view name = line.until("(");
  const auto op = std::ranges::find(ops, name, &OpDef::name);
  if (op == ops.end()) fail(text("there is no op '", name, "'"));
  line.expect("(");
  std::vector<Value> inputs;
  while (!line.accept(")")) {
    inputs.push_back(parse_value(line));
    if (inputs.back().node >= graph.size()) fail(text("%", inputs.back().node, " is not defined before %", id));
    line.accept(",");
  }
  Attrs attrs;
  if (line.accept("{")) {
    attrs = attrs_from_text(line.until("}"));
    line.expect("}");
  }
  if (graph.add(**op, std::move(inputs), std::move(attrs), {}) != id)
    fail(text("%", id, " is out of order or equal to an older node"));
  line.expect(": ");
  if (const std::string types = types_text(graph.node(id).outputs); !line.rest().starts_with(types))
    fail(text("%", id, " is ", types, ", the text says ", line.rest()));
}

}  // namespace

void parse_graph(std::string_view source, std::span<const OpDef* const> ops, Graph& graph) {
  unsigned number = 0;
  while (!source.empty()) {
    const std::string_view line = source.substr(0, source.find('\n'));
    source.remove_prefix(std::min(source.size(), line.size() + 1));
    ++number;
    if (line.empty()) continue;
    try {
      parse_line(line, ops, graph);
    } catch (const Error& error) {
      fail(text("graph text line ", number, ": ", error.what()));
    }
  }
}

}  // namespace descent
