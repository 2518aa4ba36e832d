// Charts: where points and their spread are drawn, and that what is written is XML.
#include "descent/io/chart.h"

#include <gtest/gtest.h>

#include <limits>
#include <regex>

namespace descent::io {
namespace {

std::vector<std::smatch> all(const std::string& text, const std::string& pattern) {
  const std::regex expression(pattern);
  return {std::sregex_iterator(text.begin(), text.end(), expression), {}};
}

// Every tag that is opened is closed, in order; attributes have quotes.
bool is_xml(const std::string& text) {
  std::vector<std::string> open;
  static const std::regex tag(R"re(<(/?)([a-z]+)((?: [a-zA-Z0-9-]+="[^"<]*")*)(/?)>)re");
  size_t end = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), tag), none; at != none; ++at) {
    const std::string between = text.substr(end, static_cast<size_t>(at->position()) - end);
    if (between.find_first_of("<>") != std::string::npos) return false;
    if (std::regex_search(between, std::regex("&(?!(lt|gt|amp|quot);)"))) return false;
    end = static_cast<size_t>(at->position() + at->length());
    if ((*at)[1].length() > 0) {
      if (open.empty() || open.back() != (*at)[2]) return false;
      open.pop_back();
    } else if ((*at)[4].length() == 0) {
      open.push_back((*at)[2]);
    }
  }
  return open.empty() && end + 1 == text.size();
}

const ChartPanel panel{"errors",
                       "layers",
                       "error, %",
                       {{"deep", {{1, 24, 23, 25}, {7, 17, 16.5, 17.5}}}, {"wide", {{1, 22.6, 22.6, 22.6}}}}};

TEST(Chart, PointsAreWhereTheirNumbersSay) {
  const std::string svg = svg_chart("a study", {{panel}});
  EXPECT_TRUE(is_xml(svg)) << svg;
  const auto circles = all(svg, R"re(<circle cx="([0-9.]+)" cy="([0-9.]+)")re");
  ASSERT_EQ(circles.size(), 3u);
  const double y24 = std::stod(circles[0][2]), y17 = std::stod(circles[1][2]), y22_6 = std::stod(circles[2][2]);
  EXPECT_LT(y24, y17) << "more is higher, and y goes down";
  EXPECT_NEAR((y22_6 - y24) / (y17 - y24), 1.4 / 7, 0.002) << "the scale is even";
  EXPECT_LT(std::stod(circles[0][1]), std::stod(circles[1][1]));
  EXPECT_TRUE(svg.find(">deep</text>") != std::string::npos && svg.find(">wide</text>") != std::string::npos);
  // Two spreads of three lines each, the third point has none.
  EXPECT_EQ(all(svg, R"re(stroke-width="1.5")re").size(), 6u);
}

TEST(Chart, EverythingIsInsideOfTheDrawing) {
  const std::string svg = svg_chart("two", std::vector<ChartPanel>{panel, panel});
  const auto size = all(svg, R"re(viewBox="0 0 ([0-9]+) ([0-9]+)")re");
  ASSERT_EQ(size.size(), 1u);
  for (const std::smatch& circle : all(svg, R"re(<circle cx="([0-9.]+)" cy="([0-9.]+)")re")) {
    EXPECT_LT(std::stod(circle[1]), std::stod(size[0][1]));
    EXPECT_LT(std::stod(circle[2]), std::stod(size[0][2]));
  }
  EXPECT_EQ(all(svg, "<circle").size(), 6u);
}

TEST(Chart, TextIsNoMarkup) {
  const std::string svg = svg_chart("a < b & \"c\" > d\n", {{{"<svg>", "&", "x", {{"</text>", {{1, 1, 1, 1}}}}}}});
  EXPECT_TRUE(is_xml(svg)) << svg;
  EXPECT_NE(svg.find("a &lt; b &amp; &quot;c&quot; &gt; d"), std::string::npos);
}

TEST(Chart, OddNumbersAreLeftOut) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const ChartPanel odd{"", "", "", {{"s", {{1, nan, nan, nan}, {2, 5, 4, infinity}, {3, 5, 5, 5}}}}};
  const std::string svg = svg_chart("", {{odd}});
  EXPECT_EQ(all(svg, "<circle").size(), 1u);
  EXPECT_TRUE(is_xml(svg));
  for (const char* word : {"nan", "inf"}) EXPECT_EQ(svg.find(word), std::string::npos) << word;
  const std::string empty = svg_chart("", {{{"", "", "", {{"s", {{1, nan, 0, 0}}}}}}});
  EXPECT_NE(empty.find("no points"), std::string::npos);
  EXPECT_TRUE(is_xml(empty));
  EXPECT_TRUE(is_xml(svg_chart("", {})));
}

TEST(Chart, EqualAndTinyNumbersHaveAxes) {
  for (const double y : {0.0, 3.0, -2.0, 1e-12, 1e12}) {
    const std::string svg = svg_chart("", {{{"", "", "", {{"s", {{1, y, y, y}, {2, y, y, y}}}}}}});
    EXPECT_TRUE(is_xml(svg));
    const auto circles = all(svg, R"re(cy="(-?[0-9.]+)")re");
    ASSERT_EQ(circles.size(), 2u) << y;
    EXPECT_EQ(circles[0][1], circles[1][1]);
    EXPECT_LT(all(svg, "<line").size(), 30u) << "ticks for " << y;
  }
}

}  // namespace
}  // namespace descent::io
