#include "descent/data/table_encoder.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <span>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::data {

namespace {

constexpr size_t most_integer_classes = 20;

struct Moments {
  double mean = 0, deviation = 1;
};

// Of the cells that are not missing; a constant column keeps deviation 1, so that it becomes 0.
Moments moments(const Column& column) {
  double sum = 0, squares = 0, count = 0;
  for (const double value : column.values)
    if (!std::isnan(value)) {
      sum += value;
      ++count;
    }
  if (count == 0) return {};
  const double mean = sum / count;
  for (const double value : column.values)
    if (!std::isnan(value)) squares += (value - mean) * (value - mean);
  const double deviation = std::sqrt(squares / count);
  return {mean, deviation > 1e-12 * std::abs(mean) ? deviation : 1};
}

bool has_missing(const Column& column) {
  return std::ranges::any_of(column.values, [](double value) { return std::isnan(value); });
}

// The categories that occur, the most frequent `most` of them, sorted as the column sorts them.
std::vector<std::string> frequent_categories(const Column& column, int64_t most, bool& other) {
  std::vector<int64_t> counts(column.categories.size());
  for (const double value : column.values)
    if (!std::isnan(value)) ++counts[static_cast<size_t>(value)];
  std::vector<size_t> order(counts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::erase_if(order, [&](size_t i) { return counts[i] == 0; });
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return counts[a] > counts[b]; });
  other = static_cast<int64_t>(order.size()) > most;
  if (other) order.resize(static_cast<size_t>(most));
  std::ranges::sort(order);
  std::vector<std::string> out;
  for (const size_t i : order) out.push_back(column.categories[i]);
  return out;
}

TableEncoder::Feature fit_feature(const Column& column, int64_t max_categories) {
  TableEncoder::Feature feature{.column = column.name, .kind = column.kind, .missing = has_missing(column)};
  if (column.kind == ColumnKind::number) {
    const Moments fitted = moments(column);
    feature.mean = fitted.mean;
    feature.deviation = fitted.deviation;
  } else {
    feature.categories = frequent_categories(column, max_categories, feature.other);
  }
  return feature;
}

std::set<double> distinct_numbers(const Column& column) {
  std::set<double> out;
  for (const double value : column.values)
    if (!std::isnan(value)) out.insert(value);
  return out;
}

bool are_classes(const Column& column, TargetKind wanted) {
  if (column.kind == ColumnKind::category || wanted != TargetKind::automatic) return wanted != TargetKind::number;
  const std::set<double> numbers = distinct_numbers(column);
  return numbers.size() <= most_integer_classes &&
         std::ranges::all_of(numbers, [](double value) { return value == std::floor(value); });
}

// The class of a row: its category, or its number written out.
std::string class_name(const Column& column, int64_t row) {
  return column.kind == ColumnKind::category ? column.category(row) : number_text(column.values[row]);
}

std::vector<std::string> class_names(const Column& column) {
  std::vector<std::string> out;
  bool other = false;
  if (column.kind == ColumnKind::category)
    return frequent_categories(column, static_cast<int64_t>(column.values.size()), other);
  for (const double value : distinct_numbers(column)) out.push_back(number_text(value));
  return out;
}

void check_target_known(const Table& table, const Column& column) {
  for (int64_t row = 0; row < table.rows(); ++row)
    if (column.is_missing(row)) fail(text(table.place(row, column.name), " is the target, but here it is missing"));
}

TableEncoder::Target fit_target(const Table& table, const EncoderOptions& options) {
  const Column& column = table.column(options.target);
  if (table.rows() == 0) fail(text(table.source, ": holds no rows to learn from"));
  check_target_known(table, column);
  if (column.kind == ColumnKind::category && options.kind == TargetKind::number)
    fail(text(table.source, ": column '", column.name, "' holds categories, so it cannot be predicted as a number"));
  TableEncoder::Target target{.column = column.name, .kind = column.kind, .classes = {}};
  if (are_classes(column, options.kind)) target.classes = class_names(column);
  const Moments fitted = column.kind == ColumnKind::number && target.classes.empty() ? moments(column) : Moments{};
  target.mean = fitted.mean;
  target.deviation = fitted.deviation;
  const std::set<double> values = distinct_numbers(column);
  if (values.size() == 1)
    fail(text(table.source, ": column '", column.name, "' has one value only in the training rows (",
              class_name(column, 0), "), so there is nothing to predict"));
  return target;
}

int64_t width(const TableEncoder::Feature& feature) {
  const auto shown = feature.kind == ColumnKind::number ? 1 : static_cast<int64_t>(feature.categories.size());
  return shown + feature.missing + feature.other;
}

void encode_number(const TableEncoder::Feature& feature, const Column& column, int64_t row, std::span<float> out) {
  const double value = column.values[row];
  const bool missing = std::isnan(value);
  out[0] = missing ? 0.0f : static_cast<float>((value - feature.mean) / feature.deviation);
  if (feature.missing) out[1] = missing ? 1.0f : 0.0f;
}

// Which input of a feature each category of a column turns on; -1 for none.
std::vector<int64_t> category_inputs(const TableEncoder::Feature& feature, const Column& column) {
  const auto known = static_cast<int64_t>(feature.categories.size());
  std::vector<int64_t> out;
  for (const std::string& category : column.categories) {
    const auto found = std::ranges::find(feature.categories, category);
    const int64_t unseen = feature.other ? known + feature.missing : -1;
    out.push_back(found == feature.categories.end() ? unseen : found - feature.categories.begin());
  }
  return out;
}

void encode_column(const TableEncoder::Feature& feature, const Table& table, std::span<float> out, int64_t stride) {
  const Column& column = table.column(feature.column);
  if (column.kind != feature.kind)
    fail(text(table.source, ": column '", column.name, "' holds ", to_text(column.kind), " cells, but ",
              to_text(feature.kind), " cells in the training rows"));
  const std::vector<int64_t> inputs =
      column.kind == ColumnKind::category ? category_inputs(feature, column) : std::vector<int64_t>();
  for (int64_t row = 0; row < table.rows(); ++row) {
    const std::span<float> cells = out.subspan(static_cast<size_t>(row * stride), static_cast<size_t>(width(feature)));
    if (column.kind == ColumnKind::number) {
      encode_number(feature, column, row, cells);
      continue;
    }
    const int64_t missing = feature.missing ? static_cast<int64_t>(feature.categories.size()) : -1;
    const int64_t on = column.is_missing(row) ? missing : inputs[static_cast<size_t>(column.values[row])];
    if (on >= 0) cells[static_cast<size_t>(on)] = 1;
  }
}

Array encode_classes(const TableEncoder::Target& target, const Table& table, const Column& column) {
  Array out(DType::i32, {table.rows()});
  for (int64_t row = 0; row < table.rows(); ++row) {
    const std::string name = class_name(column, row);
    const auto found = std::ranges::find(target.classes, name);
    if (found == target.classes.end())
      fail(text(table.place(row, column.name), ": class '", name, "' is not one of the ", target.classes.size(),
                " of the training rows (", join(target.classes, ", "), ")"));
    out.as<int32_t>()[static_cast<size_t>(row)] = static_cast<int32_t>(found - target.classes.begin());
  }
  return out;
}

Array encode_numbers(const TableEncoder::Target& target, const Table& table, const Column& column) {
  Array out(DType::f32, {table.rows(), 1});
  for (int64_t row = 0; row < table.rows(); ++row)
    out.as<float>()[static_cast<size_t>(row)] =
        static_cast<float>((column.values[row] - target.mean) / target.deviation);
  return out;
}

}  // namespace

TableEncoder TableEncoder::fit(const Table& training, const EncoderOptions& options) {
  TableEncoder out;
  out.target_ = fit_target(training, options);
  for (const std::string& name : options.ignore) training.column(name);  // fails if it does not exist
  for (const Column& column : training.columns)
    if (column.name != options.target && std::ranges::find(options.ignore, column.name) == options.ignore.end())
      out.features_.push_back(fit_feature(column, std::max<int64_t>(1, options.max_categories)));
  if (out.input_count() == 0) fail(text(training.source, ": no column is left to predict '", options.target, "' from"));
  return out;
}

int64_t TableEncoder::input_count() const {
  int64_t count = 0;
  for (const Feature& feature : features_) count += width(feature);
  return count;
}

Array TableEncoder::inputs(const Table& table) const {
  const int64_t count = input_count();
  Array out(DType::f32, {table.rows(), count});
  if (table.rows() == 0) return out;
  size_t first = 0;
  for (const Feature& feature : features_) {
    encode_column(feature, table, out.as<float>().subspan(first), count);
    first += static_cast<size_t>(width(feature));
  }
  return out;
}

Dataset TableEncoder::encode(const Table& table) const {
  const Column& column = table.column(target_.column);
  check_target_known(table, column);
  if (column.kind != target_.kind)
    fail(text(table.source, ": column '", column.name, "' holds ", to_text(column.kind), " cells, but ",
              to_text(target_.kind), " cells in the training rows"));
  Array targets = is_classification() ? encode_classes(target_, table, column) : encode_numbers(target_, table, column);
  return {inputs(table), std::move(targets), target_.classes, input_names()};
}

CsvOptions TableEncoder::reading() const {
  CsvOptions options;
  for (const Feature& feature : features_) options.columns.push_back({feature.column, feature.kind});
  options.columns.push_back({target_.column, target_.kind, true});
  return options;
}

std::vector<std::string> TableEncoder::input_names() const {
  std::vector<std::string> out;
  for (const Feature& feature : features_) {
    if (feature.kind == ColumnKind::number) out.push_back(feature.column);
    for (const std::string& category : feature.categories) out.push_back(text(feature.column, "=", category));
    if (feature.missing) out.push_back(text(feature.column, " (missing)"));
    if (feature.other) out.push_back(text(feature.column, " (other)"));
  }
  return out;
}

namespace {

using Json = nlohmann::ordered_json;

Json kind_json(ColumnKind kind) { return to_text(kind); }

ColumnKind kind_from(const Json& json) {
  const auto name = json.get<std::string>();
  for (const ColumnKind kind : {ColumnKind::number, ColumnKind::category})
    if (to_text(kind) == name) return kind;
  fail(text("'", name, "' is no kind of column"));
}

Json feature_json(const TableEncoder::Feature& feature) {
  Json json{{"column", feature.column}, {"kind", kind_json(feature.kind)}, {"missing", feature.missing}};
  if (feature.kind == ColumnKind::number) {
    json["mean"] = feature.mean;
    json["deviation"] = feature.deviation;
  } else {
    json["categories"] = feature.categories;
    json["other"] = feature.other;
  }
  return json;
}

double checked_deviation(const Json& json) {
  const auto deviation = json.at("deviation").get<double>();
  if (!(deviation > 0)) fail(text("a deviation of ", deviation, " is not above 0"));
  return deviation;
}

TableEncoder::Feature feature_from(const Json& json) {
  TableEncoder::Feature feature{.column = json.at("column").get<std::string>(), .kind = kind_from(json.at("kind"))};
  feature.missing = json.at("missing").get<bool>();
  if (feature.kind == ColumnKind::number) {
    feature.mean = json.at("mean").get<double>();
    feature.deviation = checked_deviation(json);
  } else {
    feature.categories = json.at("categories").get<std::vector<std::string>>();
    feature.other = json.at("other").get<bool>();
  }
  return feature;
}

}  // namespace

std::string TableEncoder::to_json() const {
  Json json{{"features", Json::array()},
            {"target",
             {{"column", target_.column},
              {"kind", kind_json(target_.kind)},
              {"classes", target_.classes},
              {"mean", target_.mean},
              {"deviation", target_.deviation}}}};
  for (const Feature& feature : features_) json["features"].push_back(feature_json(feature));
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

TableEncoder TableEncoder::from_json(const std::string& stored) {
  TableEncoder out;
  try {
    const Json json = Json::parse(stored);
    for (const Json& feature : json.at("features")) out.features_.push_back(feature_from(feature));
    const Json& target = json.at("target");
    out.target_ = {.column = target.at("column").get<std::string>(),
                   .kind = kind_from(target.at("kind")),
                   .classes = target.at("classes").get<std::vector<std::string>>(),
                   .mean = target.at("mean").get<double>(),
                   .deviation = checked_deviation(target)};
  } catch (const std::exception& problem) {
    fail(text("the stored table encoder cannot be read: ", problem.what()));
  }
  return out;
}

EncodedTable encode_splits(const Table& table, const EncoderOptions& options, Fractions fractions, uint64_t seed) {
  const TableEncoder whole = TableEncoder::fit(table, options);  // for the classes only; the numbers are fitted below
  const Dataset all = whole.encode(table);
  const std::span<const int32_t> strata =
      whole.is_classification() ? std::span<const int32_t>(all.targets.as<int32_t>()) : std::span<const int32_t>();
  const SplitIndices parts = split_indices(table.rows(), strata, fractions, seed);
  EncoderOptions known = options;
  known.kind = whole.is_classification() ? TargetKind::classes : TargetKind::number;
  const Table train = table.select(parts.train);
  EncodedTable out{TableEncoder::fit(train, known), {}};
  out.splits.train = out.encoder.encode(train);
  if (!parts.validation.empty()) out.splits.validation = out.encoder.encode(table.select(parts.validation));
  if (!parts.test.empty()) out.splits.test = out.encoder.encode(table.select(parts.test));
  return out;
}

}  // namespace descent::data
