#include "bench/report/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "bench/report/html_page.h"

namespace latchkey::bench {
namespace {

constexpr int kBarHeight = 40, kThickness = 14;  // px
constexpr size_t kManyTicks = 9;

std::string decimal(double value) {
  char buffer[400];
  std::snprintf(buffer, sizeof buffer, "%.2f", value);
  return buffer;
}

std::string across(double share) {
  return decimal(std::clamp(share, 0.0, 1.0) * 100) + "%";
}

// ` name="value"`, for values that need no escape.
std::string attribute(const char* name, const std::string& value) {
  return std::string(" ") + name + "=\"" + value + "\"";
}

std::string line(const char* kind, const std::string& x1, double y1, const std::string& x2,
                 double y2) {
  return std::string("<line class=\"") + kind + "\"" + attribute("x1", x1) +
         attribute("y1", decimal(y1)) + attribute("x2", x2) + attribute("y2", decimal(y2)) + "/>";
}

std::string text(const std::string& x, double y, const char* anchor, const std::string& content) {
  return "<text" + attribute("x", x) + attribute("y", decimal(y)) +
         attribute("text-anchor", anchor) + ">" + fine(content) + "</text>";
}

std::string described(const std::string& title, const std::string& description) {
  std::string out = element("title", fine(title));
  if (!description.empty()) out += element("desc", fine(description));
  return out;
}

std::string rect(double share, int height) {
  return "<rect class=\"bar\" x=\"0\"" + attribute("y", decimal((height - kThickness) / 2.0)) +
         attribute("width", across(share)) + attribute("height", std::to_string(kThickness)) +
         " rx=\"1\"/>";
}

std::string colour_class(const Curve& curve) {
  return "curve c" + std::to_string(std::clamp(curve.colour, 0, 3));
}

// The curves live in a box of 1000 by 1000 that is stretched; their strokes are not.
std::string path(const Curve& curve) {
  std::string d;
  for (const auto& [x, y] : curve.points) {
    d += (d.empty() ? "M" : "L") + decimal(x * 1000) + " " + decimal((1 - y) * 1000);
  }
  return "<path" + attribute("class", colour_class(curve)) +
         " vector-effect=\"non-scaling-stroke\" d=\"" + d + "\"/>";
}

std::string legend(const std::vector<Curve>& curves) {
  std::string out;
  for (const Curve& curve : curves) {
    const std::string sample =
        "<svg width=\"22\" height=\"4\" aria-hidden=\"true\"><line class=\"" + colour_class(curve) +
        "\" x1=\"0\" y1=\"2\" x2=\"22\" y2=\"2\"/></svg>";
    out += element("li", sample + escape(curve.name));
  }
  return element("ul", "class=\"legend\"", out) + "\n";
}

// 1, 2 or 5 times a power of ten: the largest that is at most, or the smallest that is at least.
double round_down(double value) {
  const double decade = std::pow(10, std::floor(std::log10(value)));
  for (double digit : {5.0, 2.0}) {
    if (value >= digit * decade) return digit * decade;
  }
  return decade;
}

double next_round(double value) {  // of a round one
  const double decade = std::pow(10, std::floor(std::log10(value * 1.001)));
  const double digit = std::round(value / decade);
  return decade * (digit < 2 ? 2 : digit < 5 ? 5 : 10);
}

}  // namespace

Scale Scale::linear(double high) {
  Scale out;
  if (!(high > 0)) high = 1;
  double step = round_down(high / 4);
  if (high / step > 6) step = next_round(step);
  for (double tick = 0; out.ticks_.empty() || out.ticks_.back() < high; tick += step) {
    out.ticks_.push_back(tick);
  }
  out.high_ = out.ticks_.back();
  return out;
}

Scale Scale::logarithmic(double low, double high) {
  Scale out;
  out.logarithmic_ = true;
  out.low_ = round_down(low);
  out.ticks_.push_back(out.low_);
  while (out.ticks_.back() < high * 0.9999 || out.ticks_.size() < 2) {
    out.ticks_.push_back(next_round(out.ticks_.back()));
  }
  out.high_ = out.ticks_.back();
  if (out.ticks_.size() > kManyTicks) {  // the decades and the ends
    const auto between = [low_end = out.low_, high_end = out.high_](double tick) {
      if (tick == low_end || tick == high_end) return false;
      const double decades = std::log10(tick);
      return std::fabs(decades - std::round(decades)) > 0.01;
    };
    out.ticks_.erase(std::remove_if(out.ticks_.begin(), out.ticks_.end(), between),
                     out.ticks_.end());
  }
  return out;
}

double Scale::place(double value) const {
  if (!logarithmic_) return std::clamp((value - low_) / (high_ - low_), 0.0, 1.0);
  if (value <= low_) return 0;
  return std::min(std::log(value / low_) / std::log(high_ / low_), 1.0);
}

std::string chart(const Chart& chart) {
  const int height = chart.height;
  std::string labels, area;
  for (const Tick& tick : chart.y) {
    const double y = (1 - tick.at) * height;
    labels += text("100%", y + 4, "end", tick.label);
    area += line("grid", "0", y, "100%", y);
  }
  for (const Tick& tick : chart.x) {
    area += line("grid", across(tick.at), height, across(tick.at), height + 5);
    const char* anchor = tick.at < 0.04 ? "start" : tick.at > 0.96 ? "end" : "middle";
    area += text(across(tick.at), height + 20, anchor, tick.label);
  }
  std::string paths;
  for (const Curve& curve : chart.curves) paths += path(curve);
  area += element("svg",
                  "x=\"0\" y=\"0\" width=\"100%\" height=\"" + std::to_string(height) +
                      "\" viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\"",
                  paths);
  for (const Curve& curve : chart.curves) {  // where what was measured ends
    if (curve.points.empty()) continue;
    const auto& [x, y] = curve.points.back();
    area += "<circle" + attribute("class", colour_class(curve) + " end") +
            attribute("cx", across(x)) + attribute("cy", decimal((1 - y) * height)) +
            " r=\"2.5\"/>";
  }
  const std::string size = "height=\"" + std::to_string(height + 26) + "\"";
  const std::string axis = element("svg", "width=\"86%\" aria-hidden=\"true\" " + size, labels);
  const std::string plot = element("svg", "width=\"100%\" role=\"img\" " + size,
                                   described(chart.title, chart.description) + area);
  return (chart.curves.size() > 1 ? legend(chart.curves) : "") +
         element("div", "class=\"chart\"", axis + plot) + "\n";
}

std::string bar(const Cell& cell, double end, double limit, const std::string& title) {
  const double middle = kBarHeight / 2.0;
  const std::string low = across(cell.low() / end), high = across(cell.high() / end);
  std::string out = described(title, "") + rect(cell.median() / end, kBarHeight);
  if (cell.low() != cell.high()) {
    out += line("whisker", low, middle, high, middle) +
           line("whisker", low, middle - 4, low, middle + 4) +
           line("whisker", high, middle - 4, high, middle + 4);
  }
  if (limit >= 0) out += line("limit", across(limit / end), 0, across(limit / end), kBarHeight);
  return element("svg", "width=\"100%\" height=\"" + std::to_string(kBarHeight) + "\" role=\"img\"",
                 out);
}

std::string share_bar(double share, const std::string& title) {
  return element("svg", "width=\"100%\" height=\"24\" role=\"img\"",
                 described(title, "") + rect(share, 24));
}

}  // namespace latchkey::bench
