#include "descent/check/check.h"

#include <algorithm>
#include <memory>

#include "descent/check/device_checks.h"
#include "descent/check/reference_checks.h"

namespace descent::check {

namespace {

// Collects the cells whose names pass the filter.
class Table {
 public:
  explicit Table(const Options& options) : options_(options) {}

  void add_op(const OpDef& op) {
    add(text(op.name, "/-/-/-/coverage/reference"), [&op] { return check_coverage(op); });
    add_misuse(op);
    for (Row& row : reference_rows(op)) add_reference_row(std::make_shared<const Row>(std::move(row)));
    std::vector<std::shared_ptr<const Row>> rows;
    for (Row& row : device_rows(op)) rows.push_back(std::make_shared<const Row>(std::move(row)));
    for (const auto& row : rows) {
      if (row->layout->view == nullptr) add_device_row(row, rounded_device(), false);
      for (const Device& device : options_.devices) add_device_row(row, device, true);
    }
  }

  std::vector<Cell> take() { return std::move(cells_); }

 private:
  void add(std::string name, std::function<Verdict()> find, std::string reason = "") {
    if (!matches(name, options_.filter)) return;
    auto run = [name, find = std::move(find), reason = std::move(reason)] {
      return reason.empty() ? outcome(name, find) : refusal(name, find, reason);
    };
    cells_.push_back({std::move(name), std::move(run)});
  }

  static Result outcome(const std::string& name, const std::function<Verdict()>& find) {
    try {
      const Verdict verdict = find();
      return {name, verdict.ok, false, verdict.message, verdict.max_error};
    } catch (const std::exception& error) {
      return {name, false, false, error.what(), HUGE_VAL};
    }
  }

  static Result refusal(const std::string& name, const std::function<Verdict()>& find, const std::string& reason) {
    try {
      find();
      return {name, false, false, text("it is computed, but listed as a hole: ", reason), HUGE_VAL};
    } catch (const std::exception& error) {
      const bool stated = std::string_view(error.what()).find(reason) != std::string_view::npos;
      return {name, stated, stated, error.what(), stated ? 0 : HUGE_VAL};
    }
  }

  void add_misuse(const OpDef& op) {
    if (op.misuse == nullptr) return;
    int number = 0;
    for (Misuse& misuse : op.misuse())
      add(text(op.name, "/misuse-", ++number, "/-/-/misuse/reference"),
          [&op, misuse = std::move(misuse)] { return check_misuse(op, misuse); });
  }

  void add_reference_row(const std::shared_ptr<const Row>& row) {
    const OpDef& op = *row->op;
    const auto add_check = [&](std::string_view check, std::function<Verdict()> find) {
      add(text(row->name, "/", check, "/reference"), std::move(find));
    };
    add_check("types", [row] { return check_types(*row); });
    if (has_gradient_check(*row)) add_check("gradient", [row] { return check_gradient(*row); });
    if (has_gradient_check(*row) && op.no_second_gradient.empty())
      add_check("second-gradient", [row] { return check_second_gradient(*row); });
    if (op.expand != nullptr) add_check("expansion", [row] { return check_expansion(*row); });
    if (op.expand != nullptr && op.vjp != nullptr && has_gradient_check(*row))
      add_check("own-gradient", [row] { return check_own_gradient(*row); });
    add_check("teeth", [row] { return find_teeth(*row).verdict; });
  }

  void add_device_row(const std::shared_ptr<const Row>& row, const Device& device, bool compiles) {
    const auto add_check = [&](std::string_view check, Verdict (*find)(const Row&, const Device&)) {
      std::string name = text(row->name, "/", check, "/", device.name);
      const auto hole = std::ranges::find_if(device.holes, [&](const Hole& each) { return matches(name, each.cells); });
      add(
          std::move(name),
          [row, run = device.run, at = device.name, find] {
            return find(*row, {at, run});
          },
          hole == device.holes.end() ? "" : hole->reason);
    };
    add_check("forward", check_forward);
    if (has_gradient_check(*row)) add_check("backward", check_backward);
    if (!compiles || matches(row->name, "/f16/")) return;
    add_check("fusion", check_fusion);
    if (can_donate(*row)) add_check("donation", check_donation);
    add_check("poison", check_poison);
  }

  const Options& options_;
  std::vector<Cell> cells_;
};

Result device_coverage(const Device& device) {
  const std::vector<std::string> unused = device.unused();
  const std::string message = unused.empty() ? "" : text("no cell used ", join(unused, ", "));
  return {text("-/-/-/-/coverage/", device.name), unused.empty(), false, message, 0};
}

bool matches_glob(std::string_view name, std::string_view glob) {
  if (glob.empty()) return name.empty();
  if (glob[0] == '*')
    return matches_glob(name, glob.substr(1)) || (!name.empty() && matches_glob(name.substr(1), glob));
  return !name.empty() && (glob[0] == '?' || glob[0] == name[0]) && matches_glob(name.substr(1), glob.substr(1));
}

}  // namespace

std::vector<Cell> cells(const Options& options) {
  Table table(options);
  for (const OpDef* op : options.ops) table.add_op(*op);
  return table.take();
}

std::vector<Result> run(const Options& options) {
  std::vector<Result> results;
  const auto add = [&](Result result) {
    if (options.report) options.report(result);
    results.push_back(std::move(result));
  };
  for (const Cell& cell : cells(options)) add(cell.run());
  if (options.filter.empty())
    for (const Device& device : options.devices)
      if (device.unused) add(device_coverage(device));
  return results;
}

bool matches(std::string_view name, std::string_view filter) {
  const bool glob = filter.find_first_of("*?") != std::string_view::npos;
  return glob ? matches_glob(name, filter) : name.find(filter) != std::string_view::npos;
}

std::string totals(std::span<const Result> results) {
  const auto ok = std::ranges::count(results, true, &Result::ok),
             holes = std::ranges::count(results, true, &Result::hole);
  return text(ok - holes, " passed, ", std::ssize(results) - ok, " failed",
              holes > 0 ? text(", ", holes, " holes") : "");
}

}  // namespace descent::check
