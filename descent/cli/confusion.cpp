#include "descent/cli/confusion.h"

#include <fmt/format.h>

#include <algorithm>

namespace descent::cli {

namespace {

void print_table(const train::ConfusionMatrix& confusion, const std::vector<std::string>& names) {
  fmt::print("\nrows: what it is; columns: what it was taken for\n{:<14}", "");
  for (int64_t c = 0; c < confusion.classes(); ++c) fmt::print(" {:>6.6}", names[c]);
  fmt::print("  precision  recall      f1\n");
  for (int64_t row = 0; row < confusion.classes(); ++row) {
    fmt::print("{:<14.14}", names[row]);
    for (int64_t c = 0; c < confusion.classes(); ++c) fmt::print(" {:>6}", confusion.at(row, c));
    fmt::print("  {:>9.4f}  {:>6.4f}  {:>6.4f}\n", confusion.precision(row), confusion.recall(row), confusion.f1(row));
  }
}

struct Confusion {
  int64_t count, label, predicted;
};

// The largest numbers beside the diagonal.
std::vector<Confusion> worst(const train::ConfusionMatrix& confusion, size_t most) {
  std::vector<Confusion> out;
  for (int64_t row = 0; row < confusion.classes(); ++row)
    for (int64_t c = 0; c < confusion.classes(); ++c)
      if (c != row && confusion.at(row, c) > 0) out.push_back({confusion.at(row, c), row, c});
  std::ranges::stable_sort(out, std::greater<>{}, &Confusion::count);
  out.resize(std::min(out.size(), most));
  return out;
}

}  // namespace

void print_confusion(const train::ConfusionMatrix& confusion, const std::vector<std::string>& names) {
  if (confusion.classes() <= most_classes_shown) return print_table(confusion, names);
  constexpr size_t shown = 10;
  fmt::print("\nmost often taken for another of the {} classes\n", confusion.classes());
  for (const Confusion& each : worst(confusion, shown))
    fmt::print("{:>6} of {:<6} {} taken for {}\n", each.count, confusion.labels(each.label), names[each.label],
               names[each.predicted]);
}

Json confusion_json(const train::ConfusionMatrix& confusion, const std::vector<std::string>& names) {
  Json counts = Json::array(), classes = Json::array();
  for (int64_t row = 0; row < confusion.classes(); ++row) {
    Json line = Json::array();
    for (int64_t c = 0; c < confusion.classes(); ++c) line.push_back(confusion.at(row, c));
    counts.push_back(line);
    classes.push_back({{"label", names[row]},
                       {"rows", confusion.labels(row)},
                       {"precision", confusion.precision(row)},
                       {"recall", confusion.recall(row)},
                       {"f1", confusion.f1(row)}});
  }
  return {{"counts", counts}, {"classes", classes}};
}

}  // namespace descent::cli
