#include "descent/tasks/prefix_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::tasks {

namespace {

constexpr double none = -std::numeric_limits<double>::infinity();

double log_add(double a, double b) {
  if (a < b) std::swap(a, b);
  return b == none ? a : a + std::log1p(std::exp(b - a));
}

std::vector<double> log_softmax(std::span<const float> scores) {
  const double largest = *std::ranges::max_element(scores);
  double total = 0;
  for (const float score : scores) total += std::exp(score - largest);
  std::vector<double> out;
  for (const float score : scores) out.push_back(score - largest - std::log(total));
  return out;
}

}  // namespace

PrefixSearch::PrefixSearch(int64_t classes, PrefixSearchOptions options, int32_t space)
    : classes_(classes), options_(std::move(options)), space_(space) {
  if (classes < 2 || options_.width < 1)
    fail(text("a beam search of ", classes, " classes and width ", options_.width, " has nothing to search"));
  if (options_.model && options_.model->vocabulary() != classes - 1)
    fail(text("a language model of ", options_.model->vocabulary(), " characters does not fit ", classes, " classes"));
  begin();
}

void PrefixSearch::begin() {
  nodes_.assign(1, {});
  if (options_.word_model) {
    nodes_[root].beginning = options_.word_model->begin();
    nodes_[root].words = {options_.word_model->edge()};
  }
  beams_.assign(1, {root, 0, none});
  before_.clear();
  if (space_ >= 0) before_.push_back(space_);
  last_ = -1;
}

int32_t PrefixSearch::child(int32_t node, int32_t character) {
  for (const auto& [known, number] : nodes_[static_cast<size_t>(node)].children)
    if (known == character) return number;
  const auto number = static_cast<int32_t>(nodes_.size());
  Node made = nodes_[static_cast<size_t>(node)];
  made.parent = node;
  made.character = character;
  made.children.clear();
  go_on(made, options_.model ? options_.language * options_.model->log_probability(context(node), character) : 0);
  nodes_[static_cast<size_t>(node)].children.emplace_back(character, number);
  nodes_.push_back(std::move(made));
  return number;
}

// Its last character is new, and the model of characters says so much of it.
void PrefixSearch::go_on(Node& node, double characters) const {
  node.language += options_.bonus + characters;
  if (!options_.word_model) return;
  node.word += characters;
  if (node.character == space_)
    end_word(node);
  else
    node.beginning = options_.word_model->followed_by(node.beginning, node.character);
}

void PrefixSearch::end_word(Node& node) const {
  const data::WordModel& model = *options_.word_model;
  if (node.beginning.length > 0) {
    const int32_t word = model.whole(node.beginning);
    if (word != model.unknown()) node.language -= node.word;
    node.language += options_.words * model.log_probability(node.words, word);
    if (std::ssize(node.words) >= std::max(1, model.model().order() - 1)) node.words.erase(node.words.begin());
    node.words.push_back(word);
  }
  node.word = 0;
  node.beginning = model.begin();
}

// What the models say of a transcript that is over.
double PrefixSearch::ended(int32_t node) const {
  if (!options_.word_model) return nodes_[static_cast<size_t>(node)].language;
  Node last = nodes_[static_cast<size_t>(node)];
  end_word(last);
  return last.language + options_.words * options_.word_model->log_probability(last.words, options_.word_model->edge());
}

double PrefixSearch::score(const Beam& beam) const {
  return log_add(beam.blank, beam.character) + nodes_[static_cast<size_t>(beam.node)].language;
}

std::vector<int32_t> PrefixSearch::path(int32_t from, int32_t to) const {
  std::vector<int32_t> out;
  for (; to != from; to = nodes_[static_cast<size_t>(to)].parent)
    out.push_back(nodes_[static_cast<size_t>(to)].character);
  std::ranges::reverse(out);
  return out;
}

std::vector<int32_t> PrefixSearch::context(int32_t node) const {
  const std::vector<int32_t> behind = path(root, node);
  std::vector<int32_t> out = before_;
  out.insert(out.end(), behind.begin(), behind.end());
  return out;
}

void PrefixSearch::add(std::span<const float> scores) {
  const std::vector<double> log_p = log_softmax(scores);
  const auto blank = static_cast<int32_t>(classes_ - 1);
  const double likely = *std::ranges::max_element(log_p) - 12;  // what is less is not followed: e^-12
  std::map<int32_t, Beam> next;
  const auto at = [&](int32_t node) -> Beam& { return next.try_emplace(node, Beam{node, none, none}).first->second; };
  for (const Beam& beam : beams_) {
    const int32_t last = beam.node == root ? last_ : nodes_[static_cast<size_t>(beam.node)].character;
    const double all = log_add(beam.blank, beam.character);
    Beam& same = at(beam.node);
    same.blank = log_add(same.blank, all + log_p[static_cast<size_t>(blank)]);
    if (last >= 0) same.character = log_add(same.character, beam.character + log_p[static_cast<size_t>(last)]);
    for (int32_t c = 0; c < blank; ++c) {
      if (log_p[static_cast<size_t>(c)] < likely) continue;
      const double way = (c == last ? beam.blank : all) + log_p[static_cast<size_t>(c)];
      if (way == none) continue;
      Beam& longer = at(child(beam.node, c));
      longer.character = log_add(longer.character, way);
    }
  }
  beams_.clear();
  for (const auto& [node, beam] : next) beams_.push_back(beam);
  const auto width = std::min(beams_.size(), static_cast<size_t>(options_.width));
  std::ranges::partial_sort(beams_, beams_.begin() + static_cast<std::ptrdiff_t>(width), std::greater<>{},
                            [&](const Beam& beam) { return score(beam); });
  beams_.resize(width);
  // Only differences count; so sums over hours stay small.
  const double largest = log_add(beams_[0].blank, beams_[0].character);
  for (Beam& beam : beams_) {
    beam.blank -= largest;
    beam.character -= largest;
  }
  constexpr size_t many = 1 << 14;
  if (nodes_.size() > many) collect();
}

std::vector<int32_t> PrefixSearch::best() const { return path(root, beams_[0].node); }

std::vector<int32_t> PrefixSearch::take_settled() {
  std::vector<int32_t> agreed = best();
  for (const Beam& beam : beams_) {
    const std::vector<int32_t> own = path(root, beam.node);
    agreed.erase(std::ranges::mismatch(agreed, own).in1, agreed.end());
  }
  if (agreed.empty()) return {};
  int32_t node = root;
  for (const int32_t character : agreed) node = child(node, character);
  // That transcript becomes the root.
  before_ = context(node);
  last_ = agreed.back();
  constexpr size_t enough = 64;  // for any order of a model
  if (before_.size() > enough) before_.erase(before_.begin(), before_.end() - static_cast<std::ptrdiff_t>(enough));
  const double language = nodes_[static_cast<size_t>(node)].language;
  std::swap(nodes_[root], nodes_[static_cast<size_t>(node)]);
  nodes_[root].parent = -1;
  for (const auto& [character, number] : nodes_[root].children) nodes_[static_cast<size_t>(number)].parent = root;
  for (Beam& beam : beams_)
    if (beam.node == node) beam.node = root;
  collect();
  for (Node& each : nodes_) each.language -= language;
  return agreed;
}

std::vector<int32_t> PrefixSearch::finish() {
  const auto whole = [&](const Beam& beam) { return log_add(beam.blank, beam.character) + ended(beam.node); };
  std::vector<int32_t> out = path(root, std::ranges::max_element(beams_, {}, whole)->node);
  begin();
  return out;
}

// Nodes that lead to a beam, in their order, parents first.
void PrefixSearch::collect() {
  std::vector<bool> kept(nodes_.size(), false);
  kept[root] = true;
  for (const Beam& beam : beams_)
    for (int32_t node = beam.node; node > root && !kept[static_cast<size_t>(node)];
         node = nodes_[static_cast<size_t>(node)].parent)
      kept[static_cast<size_t>(node)] = true;
  std::vector<int32_t> place(nodes_.size(), -1);
  std::vector<Node> nodes;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!kept[i]) continue;
    place[i] = static_cast<int32_t>(nodes.size());
    nodes.push_back(std::move(nodes_[i]));
    nodes.back().children.clear();
  }
  for (size_t i = 1; i < nodes.size(); ++i) {
    nodes[i].parent = place[static_cast<size_t>(nodes[i].parent)];
    nodes[static_cast<size_t>(nodes[i].parent)].children.emplace_back(nodes[i].character, static_cast<int32_t>(i));
  }
  for (Beam& beam : beams_) beam.node = place[static_cast<size_t>(beam.node)];
  nodes_ = std::move(nodes);
}

}  // namespace descent::tasks
