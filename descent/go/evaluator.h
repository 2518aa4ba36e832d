// Who is asked about positions: a policy over moves, and who will win.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "descent/core/array.h"
#include "descent/go/position.h"

namespace descent::go {

struct Evaluation {
  std::vector<float> policy;  // a probability each point, row-major, and the pass last
  float value = 0;            // what the player to move can expect: 1 to win, -1 to lose
};

class Evaluator {
 public:
  virtual ~Evaluator() = default;

  // Positions may be of any sizes that the evaluator knows, but of one size in one call. Illegal moves may have
  // probability. Fails if it cannot do the size.
  virtual void evaluate(std::span<const Position> positions, std::span<Evaluation> out) = 0;

  virtual bool has_value() const { return true; }  // else every value is 0
};

// What a net makes of planes u8 [N,H,W,C].
struct NetAnswer {
  Array policy;  // f32 [N, H*W + 1]: scores, of which the softmax gives probabilities
  Array value;   // f32 [N]: the logit of "the player to move wins"; or no array
};
using NetFunction = std::function<NetAnswer(const Array& planes)>;

// Asks a net. With `views` of 8 its answers for all symmetries of a position are averaged, turned back. `known_value`
// says whether the net answers with values.
class NetEvaluator : public Evaluator {
 public:
  // Fails if `views` is not 1 to 8.
  explicit NetEvaluator(NetFunction net, bool has_value, int views = 1);

  // Fails if the net answers in other shapes or with what is no number.
  void evaluate(std::span<const Position> positions, std::span<Evaluation> out) override;
  bool has_value() const override { return has_value_; }

 private:
  NetFunction net_;
  bool has_value_;
  int views_;
};

}  // namespace descent::go
