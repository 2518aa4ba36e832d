// The health of gradients: what the records of a run say of layers that learn too little, too much, or not at all.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "descent/train/step.h"

namespace descent::train {

// Watches records and says in plain words what is wrong, each thing once. A layer counts as
//   vanishing  if its gradient's norm is below a millionth of the largest layer's,
//   exploding  if the norm of all gradients is above a hundred times the median of the records before,
//   dead       if nine in ten of a ReLU's units gave 0 for a whole batch,
// in three records in a row; one odd batch is no illness.
class HealthWatch {
 public:
  // What is newly wrong as of this record; usually nothing.
  std::vector<std::string> look(const StepRecord& record);

 private:
  // True when `sick` holds for the third time in a row and was not reported before.
  bool confirmed(const std::string& what, bool sick);
  double median_norm() const;

  std::map<std::string, int> in_a_row_;
  std::set<std::string> reported_;
  std::vector<double> norms_;  // of all gradients, of the latest records
};

}  // namespace descent::train
