#include "descent/tasks/baseline.h"

#include <fmt/format.h>

#include <cmath>

#include "descent/data/ngram.h"
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

std::optional<NGramBaseline> ngram_baseline(const data::Dataset& training, const data::Dataset& judged) {
  const auto* seen = dynamic_cast<const data::TextWindows*>(training.source.get());
  const auto* asked = dynamic_cast<const data::TextWindows*>(judged.source.get());
  if (seen == nullptr || asked == nullptr) return std::nullopt;
  NGramBaseline out;
  const auto model =
      data::NGram::fit(std::span<const int32_t>(seen->tokens()), std::ssize(training.classes), out.order);
  out.ngrams = model.ngrams();
  out.loss = -model.log_likelihood(asked->tokens(), 1) / static_cast<double>(asked->tokens().size() - 1);
  return out;
}

}  // namespace descent::tasks
