#pragma once
#include <optional>
#include <vector>

namespace latchkey::bench {

// By how many percent the last fifth of the values lies above the second one (medians); the first
// one is warm-up. Nullopt: fewer than five values, or nothing to compare with.
std::optional<double> drift_percent(const std::vector<double>& values);

}  // namespace latchkey::bench
