#pragma once
// Plots as SVG that is as wide as the page gives it: places are shares of the width, text keeps its
// size. Every plot has a title and a description for those who do not see it.

#include <string>
#include <utility>
#include <vector>

#include "bench/report/comparison.h"

namespace latchkey::bench {

// From values to shares (0 to 1) of an axis, with ticks at round values.
class Scale {
 public:
  // From 0 to a round value that is at least `high`.
  static Scale linear(double high);
  // Between two values of 1, 2, 5, 10, …; REQUIRES: 0 < low <= high.
  static Scale logarithmic(double low, double high);

  double place(double value) const;  // what lies outside is put at the end
  const std::vector<double>& ticks() const { return ticks_; }

 private:
  double low_ = 0, high_ = 1;
  bool logarithmic_ = false;
  std::vector<double> ticks_;
};

struct Tick {
  double at;          // a share of the axis
  std::string label;  // text
};

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  // shares: x to the right, y upwards
  int colour = 0;                                 // 0 to 3, see the style of the page; 3 is alarm
};

struct Chart {
  std::string title, description;  // text
  std::vector<Tick> x, y;
  std::vector<Curve> curves;
  int height = 240;  // px
};

// With the names of its curves above it when there are several.
std::string chart(const Chart& chart);

// One server's line of a row: from 0 to its median, whiskers from the lowest to the highest
// sample, the target as a dashed line where `limit` is not negative. REQUIRES: samples; end > 0 is
// what the whole width stands for.
std::string bar(const Cell& cell, double end, double limit, const std::string& title);

// A share of 1 as a plain bar.
std::string share_bar(double share, const std::string& title);

}  // namespace latchkey::bench
