// Confusion matrices as commands show them.
#pragma once

#include <string>
#include <vector>

#include "descent/cli/command.h"

namespace descent::cli {

constexpr int64_t most_classes_shown = 20;

// A row a class, with its precision, recall and F1. Of many classes, the worst confusions only.
void print_confusion(const train::ConfusionMatrix& confusion, const std::vector<std::string>& names);

Json confusion_json(const train::ConfusionMatrix& confusion, const std::vector<std::string>& names);

}  // namespace descent::cli
