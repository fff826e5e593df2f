#include "bench/load/drift.h"

#include <algorithm>
#include <cstddef>

namespace latchkey::bench {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

std::optional<double> drift_percent(const std::vector<double>& values) {
  const size_t fifth = values.size() / 5;
  if (fifth == 0) return std::nullopt;
  const auto part = [&](size_t from) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(from);
    return median({begin, begin + static_cast<std::ptrdiff_t>(fifth)});
  };
  const double early = part(fifth), late = part(values.size() - fifth);
  if (early <= 0) return std::nullopt;
  return (late / early - 1) * 100;
}

}  // namespace latchkey::bench
