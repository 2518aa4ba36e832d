// Text from a run that was trained on text.
#pragma once

#include <functional>
#include <string>

#include "descent/tasks/beam_search.h"
#include "descent/tasks/next_scores.h"
#include "descent/tasks/sampling.h"

namespace descent::tasks {

struct GenerateOptions {
  std::string prompt = "\n";
  int64_t length = 500;  // tokens that are added
  Sampling sampling = {};
  int64_t beam = 0;           // of a beam search (tasks/beam_search.h), which draws nothing; 0: none
  double length_power = 0.6;  // likewise
  uint64_t seed = 0;
};

// Goes on with the prompt: calls `say` with each new token's bytes, a beam search's all at once. The net sees what fits
// its window (see NextScores). Fails if the run was not trained on text, or the prompt is empty, or has a character
// that the run does not know.
void generate(const Run& run, const GenerateOptions& options, const std::function<void(const std::string&)>& say);

// Beam search with a net: the best texts after `prompt`.
std::vector<Beam> search_texts(NextScores& next, std::span<const int32_t> prompt,
                               const std::function<bool(int32_t)>& ends, const BeamOptions& options);

// How fast a net goes on: one text, token after token, from an empty window to a full one, again and again for about so
// many seconds; the best of them.
struct GenerationSpeed {
  double tokens_per_second = 0;
  double bytes_per_token = 0;  // of weights, each of which is read once, as products take them (bf16 or f32)
};
GenerationSpeed measure_generation(const Run& run, double seconds);

// A net for texts of bytes as it is before any training, for measurements and tests. `net` are a recipe's lines that
// say what it is: "net = { kind = \"decoder\", outputs = 256, ... }".
Run untrained_text_run(const std::string& net, int64_t window, const std::string& precision = "auto");

}  // namespace descent::tasks
