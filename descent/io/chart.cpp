#include "descent/io/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "descent/base/text.h"

namespace descent::io {

namespace {

// In pixels: a panel with its titles, and the place for lines within it.
constexpr double panel_width = 460, panel_height = 380, head = 40;
constexpr double left = 64, right = 16, top = 72, bottom = 52;
constexpr double plot_width = panel_width - left - right, plot_height = panel_height - top - bottom;
constexpr double apart = 5;  // between neighbours' bars at the same x

// Okabe and Ito's, which most people who see fewer colours tell apart.
constexpr const char* colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7"};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    if (c == '>') out += "&gt;";
    if (c == '&') out += "&amp;";
    if (c == '"') out += "&quot;";
    const bool plain = std::string_view("<>&\"").find(c) == std::string_view::npos;
    if (plain) out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

std::string words(double x, double y, std::string_view text, std::string_view settings = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\"{}{}>{}</text>\n", x, y, settings.empty() ? "" : " ", settings,
                     escaped(text));
}

std::string line(double x1, double y1, double x2, double y2, std::string_view colour, double width = 1) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"/>\n", x1, y1, x2,
      y2, colour, width);
}

bool is_drawn(const ChartPoint& point) {
  return std::isfinite(point.x) && std::isfinite(point.y) && std::isfinite(point.low) && std::isfinite(point.high);
}

ChartPanel without_odd_numbers(ChartPanel panel) {
  for (ChartSeries& series : panel.series)
    std::erase_if(series.points, [](const ChartPoint& point) { return !is_drawn(point); });
  return panel;
}

// 1, 2 or 5 times a power of ten, so that at most six steps span `range`.
double tick_step(double range) {
  const double power = std::pow(10, std::floor(std::log10(range / 6)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (range / (factor * power) <= 6) return factor * power;
  return 10 * power;
}

// What an axis spans, and how that lies on pixels.
struct Axis {
  double low = 0, high = 1;     // in numbers
  double begin = 0, end = 100;  // in pixels

  double operator()(double value) const { return begin + (value - low) / (high - low) * (end - begin); }
};

class Panel {
 public:
  Panel(const ChartPanel& panel, double at) : panel_(without_odd_numbers(panel)), x0_(at + left) {
    for (const ChartSeries& series : panel_.series)
      for (const ChartPoint& point : series.points) xs_.insert(point.x);
    if (!xs_.empty()) set_axes();
  }

  std::string draw() const {
    std::string out = words(x0_, head + 18, panel_.title, "font-weight=\"bold\"");
    if (xs_.empty()) return out + words(x0_, head + top, "no points");
    out += axes() + legend();
    for (size_t i = 0; i < panel_.series.size(); ++i) out += series(i);
    return out;
  }

 private:
  void set_axes() {
    double least = INFINITY, most = -INFINITY;
    for (const ChartSeries& series : panel_.series)
      for (const ChartPoint& point : series.points) {
        least = std::min({least, point.y, point.low});
        most = std::max({most, point.y, point.high});
      }
    const double range = most > least ? most - least : std::max(1e-9, std::abs(most));
    step_ = tick_step(range);
    y_ = {std::floor(least / step_) * step_, std::ceil(most / step_) * step_, head + top + plot_height, head + top};
    if (least >= 0 && y_.low <= 2 * step_) y_.low = 0;
    if (y_.high <= y_.low) y_.high = y_.low + step_;
    const double margin = std::max(0.5, 0.05 * (*xs_.rbegin() - *xs_.begin()));
    x_ = {*xs_.begin() - margin, *xs_.rbegin() + margin, x0_, x0_ + plot_width};
  }

  std::string axes() const {
    std::string out;
    const double base = y_(y_.low);
    for (int64_t i = 0; y_.low + static_cast<double>(i) * step_ <= y_.high + step_ / 2; ++i) {
      const double value = y_.low + static_cast<double>(i) * step_;
      out += line(x0_, y_(value), x0_ + plot_width, y_(value), "#dddddd");
      out += words(x0_ - 6, y_(value) + 4, fmt::format("{:.6g}", value), "text-anchor=\"end\"");
    }
    for (const double x : xs_) {
      out += line(x_(x), base, x_(x), base + 4, "#444444");
      out += words(x_(x), base + 18, fmt::format("{:.6g}", x), "text-anchor=\"middle\"");
    }
    out += line(x0_, base, x0_ + plot_width, base, "#444444");
    out += words(x0_ + plot_width / 2, base + 38, panel_.x_title, "text-anchor=\"middle\"");
    const double middle = head + top + plot_height / 2, side = x0_ - 46;
    return out + words(side, middle, panel_.y_title,
                       fmt::format("text-anchor=\"middle\" transform=\"rotate(-90 {:.1f} {:.1f})\"", side, middle));
  }

  std::string legend() const {
    std::string out;
    for (size_t i = 0; i < panel_.series.size(); ++i) {
      const double y = head + 36 + 16 * static_cast<double>(i);
      out += line(x0_, y - 4, x0_ + 20, y - 4, colour(i), 2) + words(x0_ + 26, y, panel_.series[i].name);
    }
    return out;
  }

  std::string series(size_t i) const {
    const double shift = (static_cast<double>(i) - static_cast<double>(panel_.series.size() - 1) / 2) * apart;
    std::string path, marks;
    for (const ChartPoint& point : panel_.series[i].points) {
      const double x = x_(point.x) + shift;
      path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", x, y_(point.y));
      marks += spread(point, x, colour(i));
      marks += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"/>\n", x, y_(point.y), colour(i));
    }
    return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n{}", path, colour(i),
                       marks);
  }

  std::string spread(const ChartPoint& point, double x, std::string_view colour) const {
    if (point.low >= point.high) return "";
    std::string out = line(x, y_(point.low), x, y_(point.high), colour, 1.5);
    for (const double end : {point.low, point.high}) out += line(x - 4, y_(end), x + 4, y_(end), colour, 1.5);
    return out;
  }

  static std::string_view colour(size_t i) { return colours[i % std::size(colours)]; }

  ChartPanel panel_;
  double x0_;
  std::set<double> xs_;
  double step_ = 1;
  Axis x_, y_;
};

}  // namespace

std::string svg_chart(const std::string& title, std::span<const ChartPanel> panels) {
  const double width = panel_width * static_cast<double>(std::max<size_t>(1, panels.size())),
               height = head + panel_height;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
      width, height);
  out += words(left, 26, title, "font-size=\"15\" font-weight=\"bold\"");
  for (size_t i = 0; i < panels.size(); ++i) out += Panel(panels[i], panel_width * static_cast<double>(i)).draw();
  return out + "</svg>\n";
}

}  // namespace descent::io
