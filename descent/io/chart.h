// Charts as SVG: lines through points with their spread, in panels side by side.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace descent::io {

struct ChartPoint {
  double x = 0, y = 0;
  double low = 0, high = 0;  // the spread around y, drawn as a bar with ends where low < high
};

struct ChartSeries {
  std::string name;  // in the legend
  std::vector<ChartPoint> points;
};

// A pair of axes. Ticks of x stand where points are; the axis of y spans what is drawn, and begins at 0 only where that
// is near.
struct ChartPanel {
  std::string title, x_title, y_title;
  std::vector<ChartSeries> series;
};

// A whole SVG file, the panels from left to right. Numbers that are not finite are left out; a panel without any others
// says that it has no points.
std::string svg_chart(const std::string& title, std::span<const ChartPanel> panels);

}  // namespace descent::io
