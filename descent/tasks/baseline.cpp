#include "descent/tasks/baseline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "descent/data/ngram.h"
#include "descent/data/replies.h"
#include "descent/data/text.h"

namespace descent::tasks {

double NGramBaseline::perplexity() const { return std::exp(loss); }

std::string NGramBaseline::to_text(const train::Figures& net) const {
  std::string out = fmt::format("{}-gram      loss {:.4f}  perplexity {:.4f}", order, loss, perplexity());
  if (const std::optional<double> own = train::figure(net, "perplexity")) {
    const double lower = 100 * (1 - *own / perplexity());
    out += fmt::format("; the net's is {:.1f}% {}", std::abs(lower), lower >= 0 ? "lower" : "higher");
  }
  return out;
}

namespace {

// Sums over tokens that are judged: -log p, and how many there are.
struct Sum {
  double cost = 0;
  int64_t tokens = 0;

  void add(const data::NGram& model, std::span<const int32_t> sequence, int64_t first) {
    cost -= model.log_likelihood(sequence, first);
    tokens += std::ssize(sequence) - first;
  }
};

NGramBaseline judged_by(const std::vector<int32_t>& training, int64_t vocabulary,
                        const std::function<void(const data::NGram&, Sum&)>& judge) {
  NGramBaseline out;
  const auto model = data::NGram::fit(std::span<const int32_t>(training), vocabulary, out.order);
  out.ngrams = model.ngrams();
  Sum sum;
  judge(model, sum);
  out.loss = sum.cost / static_cast<double>(sum.tokens);
  return out;
}

void judge_replies(const data::NGram& model, const data::Replies& asked, Sum& sum) {
  const std::span<const int32_t> stream(asked.tokens());
  for (const data::Replies::Place& place : asked.places()) {
    const int64_t context = std::min<int64_t>(place.turn + 1, model.order() - 1), first = place.turn + 1 - context;
    sum.add(model, stream.subspan(static_cast<size_t>(first), static_cast<size_t>(place.last + 1 - first)), context);
  }
}

}  // namespace

std::optional<NGramBaseline> ngram_baseline(const data::Dataset& training, const data::Dataset& judged) {
  const int64_t vocabulary = std::ssize(training.classes);
  const auto* seen = dynamic_cast<const data::TextWindows*>(training.source.get());
  const auto* asked = dynamic_cast<const data::TextWindows*>(judged.source.get());
  if (seen != nullptr && asked != nullptr)
    return judged_by(seen->tokens(), vocabulary,
                     [&](const data::NGram& model, Sum& sum) { sum.add(model, asked->tokens(), 1); });
  const auto* answers = dynamic_cast<const data::Replies*>(training.source.get());
  const auto* wanted = dynamic_cast<const data::Replies*>(judged.source.get());
  if (answers == nullptr || wanted == nullptr) return std::nullopt;
  return judged_by(answers->tokens(), vocabulary,
                   [&](const data::NGram& model, Sum& sum) { judge_replies(model, *wanted, sum); });
}

}  // namespace descent::tasks
