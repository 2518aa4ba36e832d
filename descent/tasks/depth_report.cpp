// What a study of depth says: its table, its chart and its findings.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "descent/io/chart.h"
#include "descent/tasks/depth.h"

namespace descent::tasks {

using Json = nlohmann::ordered_json;

namespace {

// Word error rates of Seide, Li and Yu 2011, in per cent.
constexpr double one_layer_2k = 24.2, seven_layers_2k = 17.1, one_layer_as_large = 22.6;
constexpr std::string_view reference = "Seide, Li and Yu, Interspeech 2011 (telephone conversations, word error)";

std::string layers_text(int64_t depth) {
  return depth == 1 ? "one hidden layer" : fmt::format("{} hidden layers", depth);
}

std::string range_text(const Spread& spread) {
  return fmt::format("{:.4g} ({:.4g} to {:.4g})", spread.mean, spread.least, spread.most);
}

std::vector<const DepthRow*> trained(const DepthSeries& series) {
  std::vector<const DepthRow*> out;
  for (const DepthRow& row : series.rows)
    if (!row.test.empty()) out.push_back(&row);
  return out;
}

// Whether the seeds' numbers lie apart.
std::string certainty(const Spread& better, const Spread& worse, size_t seeds) {
  if (seeds < 2) return "one seed tells nothing of chance";
  if (better.most < worse.least) return fmt::format("the ranges of {} seeds do not meet", seeds);
  return fmt::format("the ranges of {} seeds overlap", seeds);
}

std::string finding(const DepthSeries& series) {
  std::vector<const DepthRow*> rows = trained(series);
  if (rows.size() < 2) return "";
  const auto mean = [](const DepthRow* row) { return spread_of(row->test).mean; };
  const DepthRow& one = *rows.front();
  const DepthRow& deepest = *rows.back();
  std::ranges::stable_sort(rows, std::less<>{}, mean);
  const DepthRow& best = *rows[0];
  const bool shallow = &best == &one;
  const DepthRow& other = shallow ? *rows[1] : one;
  const Spread better = spread_of(best.test), worse = spread_of(other.test);
  std::string out = fmt::format("{}: {} {} best, {}, before {}, {}; {}.", series.name, layers_text(best.depth),
                                shallow ? "is" : "are", range_text(better), layers_text(other.depth), range_text(worse),
                                certainty(better, worse, std::min(best.test.size(), other.test.size())));
  if (&deepest != &best && &deepest != &other)
    out += fmt::format(" With {}: {}.", layers_text(deepest.depth), range_text(spread_of(deepest.test)));
  return out;
}

struct Column {
  std::string_view title;
  std::string (*cell)(const DepthRow& row);
};

std::string number(double value) { return fmt::format("{:.4g}", value); }

constexpr Column columns[] = {
    {"hidden layers", [](const DepthRow& row) { return fmt::format("{}", row.depth); }},
    {"width", [](const DepthRow& row) { return fmt::format("{}", row.width); }},
    {"neurons", [](const DepthRow& row) { return fmt::format("{}", row.neurons()); }},
    {"parameters", [](const DepthRow& row) { return fmt::format("{}", row.parameters); }},
    {"mean", [](const DepthRow& row) { return number(spread_of(row.test).mean); }},
    {"deviation", [](const DepthRow& row) { return row.test.size() > 1 ? number(spread_of(row.test).deviation) : ""; }},
    {"least", [](const DepthRow& row) { return number(spread_of(row.test).least); }},
    {"most", [](const DepthRow& row) { return number(spread_of(row.test).most); }},
    {"training mean", [](const DepthRow& row) { return number(spread_of(row.training).mean); }},
    {"seeds", [](const DepthRow& row) { return fmt::format("{}", row.test.size()); }},
    {"seconds", [](const DepthRow& row) { return fmt::format("{:.1f}", row.seconds); }}};

// Lines of cells; `frame` stands around each line.
std::string table(const DepthStudy& study, std::string_view separator, std::string_view begin, std::string_view end,
                  bool rule) {
  std::string out = fmt::format("{}series", begin);
  for (const Column& column : columns) out += fmt::format("{}{}", separator, column.title);
  out += fmt::format("{}\n", end);
  if (rule) {
    out += "|---|";
    for (size_t i = 0; i < std::size(columns); ++i) out += "---:|";
    out += "\n";
  }
  for (const DepthSeries& series : study.series)
    for (const DepthRow* row : trained(series)) {
      out += fmt::format("{}{}", begin, series.name);
      for (const Column& column : columns) out += fmt::format("{}{}", separator, column.cell(*row));
      out += fmt::format("{}\n", end);
    }
  return out;
}

io::ChartSeries chart_series(const DepthSeries& series) {
  io::ChartSeries out{series.name, {}};
  for (const DepthRow* row : trained(series)) {
    const Spread spread = spread_of(row->test);
    out.points.push_back({static_cast<double>(row->depth), spread.mean, spread.least, spread.most});
  }
  return out;
}

Json to_json(const DepthRow& row) {
  const Spread spread = spread_of(row.test);
  return {{"hidden_layers", row.depth},   {"width", row.width},    {"neurons", row.neurons()},
          {"parameters", row.parameters}, {"mean", spread.mean},   {"deviation", spread.deviation},
          {"least", spread.least},        {"most", spread.most},   {"test", row.test},
          {"training", row.training},     {"seconds", row.seconds}};
}

}  // namespace

std::vector<std::string> DepthStudy::findings() const {
  std::vector<std::string> out;
  for (const DepthSeries& each : series)
    if (std::string sentence = finding(each); !sentence.empty()) out.push_back(std::move(sentence));
  return out;
}

std::string DepthStudy::to_csv() const { return table(*this, ",", "", "", false); }

std::string DepthStudy::to_markdown() const {
  std::string out =
      fmt::format("{}, {} of {} examples that were not learnt from (less is better); budget {} parameters.\n\n", recipe,
                  measure, test_rows, budget) +
      table(*this, " | ", "| ", " |", true) + "\n";
  for (const std::string& sentence : findings()) out += fmt::format("- {}\n", sentence);
  return out +
         fmt::format(
             "- {}: {} % with one layer of 2k units, {} % with seven, {} % with one layer as large as the seven.\n",
             reference, one_layer_2k, seven_layers_2k, one_layer_as_large);
}

std::string DepthStudy::to_svg() const {
  io::ChartPanel own{fmt::format("{}, {} parameters", recipe, budget), "hidden layers", measure, {}};
  for (const DepthSeries& each : series) own.series.push_back(chart_series(each));
  const io::ChartPanel theirs{
      "Seide, Li and Yu 2011: telephone speech",
      "hidden layers",
      "word error, %",
      {{"layers of 2k units",
        {{1, one_layer_2k, one_layer_2k, one_layer_2k}, {7, seven_layers_2k, seven_layers_2k, seven_layers_2k}}},
       {"one layer as large as the seven", {{1, one_layer_as_large, one_layer_as_large, one_layer_as_large}}}}};
  return io::svg_chart("Deep against wide: the mean of the seeds, and from the least to the most",
                       std::vector<io::ChartPanel>{own, theirs});
}

std::string DepthStudy::to_json() const {
  Json all = Json::array();
  for (const DepthSeries& each : series) {
    Json rows = Json::array();
    for (const DepthRow* row : trained(each)) rows.push_back(tasks::to_json(*row));
    all.push_back({{"name", each.name}, {"rows", rows}});
  }
  return Json{{"study", directory.string()},
              {"recipe", recipe},
              {"measure", measure},
              {"budget", budget},
              {"examples", test_rows},
              {"interrupted", interrupted},
              {"series", all},
              {"findings", findings()},
              {"seide_li_yu_2011",
               {{"one_layer_of_2k", one_layer_2k},
                {"seven_layers_of_2k", seven_layers_2k},
                {"one_layer_as_large_as_the_seven", one_layer_as_large}}},
              {"table", (directory / "depth.md").string()},
              {"chart", (directory / "depth.svg").string()}}
      .dump();
}

}  // namespace descent::tasks
