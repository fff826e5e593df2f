#include "bench/report/format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace latchkey::bench {
namespace {

// From five digits on in groups of three: "12 345", but "1234".
std::string grouped(std::string digits) {
  const size_t sign = !digits.empty() && digits[0] == '-' ? 1 : 0;
  if (digits.size() - sign < 5) return digits;
  for (size_t i = digits.size(); i > 3 + sign; i -= 3) digits.insert(i - 3, " ");
  return digits;
}

std::string fixed(double value, int decimals) {
  char buffer[400];  // DBL_MAX has 309 digits
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
  return buffer;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() > end.size() && text.substr(text.size() - end.size()) == end;
}

std::string in_words(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '_', ' ');
  return out;
}

// A limit as somebody wrote it down: 4.6, 200, 0.45.
std::string limit_text(double limit) {
  std::string out = fixed(limit, 4);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out;
}

}  // namespace

std::string figure(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::fabs(value);
  if (size == 0) return "0";
  // What counts is a whole number: "1 ask", not "1.00 asks".
  if (value == std::floor(value) || size >= 99.95) return grouped(fixed(value, 0));
  if (size >= 9.995) return fixed(value, 1);
  if (size >= 0.9995) return fixed(value, 2);
  const int zeros = static_cast<int>(std::floor(-std::log10(size)));  // behind the point
  return fixed(value, std::min(zeros + 3, 9));
}

std::string whole(uint64_t value) {
  return grouped(std::to_string(value));
}

std::string percent(double share) {
  return figure(share * 100) + " %";
}

std::string when(std::string_view rfc3339) {
  static constexpr const char* kMonths[] = {"January",   "February", "March",    "April",
                                            "May",       "June",     "July",     "August",
                                            "September", "October",  "November", "December"};
  static constexpr std::string_view kShape = "0000-00-00T00:00:00";
  const std::string_view text = rfc3339.substr(0, std::min(rfc3339.size(), kShape.size()));
  bool fits = text.size() == kShape.size() && rfc3339.back() == 'Z';
  for (size_t i = 0; fits && i < kShape.size(); ++i) {
    fits = kShape[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == kShape[i];
  }
  if (!fits) return std::string(rfc3339);
  const auto two = [&](size_t at) { return (text[at] - '0') * 10 + (text[at + 1] - '0'); };
  const int month = two(5);
  if (month < 1 || month > 12) return std::string(rfc3339);
  return std::to_string(two(8)) + " " + kMonths[month - 1] + " " + std::string(text.substr(0, 4)) +
         ", " + std::string(text.substr(11, 5)) + " UTC";
}

Quantity duration(double us) {
  if (!std::isfinite(us)) return {"-", ""};
  const double size = std::fabs(us);
  if (size == 0) return {"0", "s"};
  if (size < 999.5) return {figure(us), "us"};
  if (size < 999.5e3) return {figure(us / 1e3), "ms"};
  if (size < 120e6) return {figure(us / 1e6), "s"};
  const auto seconds = static_cast<int64_t>(std::llround(us / 1e6));
  if (seconds < 7200) {
    return {std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60), "s"};
  }
  return {std::to_string(seconds / 3600) + " h " + std::to_string(seconds / 60 % 60), "min"};
}

Quantity bytes(double count) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (std::fabs(count) >= 1023.5 && unit + 1 < std::size(kUnits)) {
    count /= 1024;
    ++unit;
  }
  return {figure(count), kUnits[unit]};
}

Fact fact(std::string_view name, double value) {
  const auto without = [&](std::string_view end) {
    return in_words(name.substr(0, name.size() - end.size()));
  };
  if (ends_with(name, "_us")) return {without("_us"), duration(value)};
  if (ends_with(name, "_ms")) return {without("_ms"), duration(value * 1e3)};
  if (ends_with(name, "_seconds")) return {without("_seconds"), duration(value * 1e6)};
  if (ends_with(name, "_percent")) return {without("_percent"), {figure(value), "%"}};
  if (ends_with(name, "_bytes")) return {without("_bytes"), bytes(value)};
  if (name.substr(0, 7) == "memory_") return {in_words(name), bytes(value)};
  return {in_words(name), {figure(value), ""}};
}

std::vector<std::pair<std::string, const Histogram*>> latencies_of(const Measurement& measurement) {
  std::vector<std::pair<std::string, const Histogram*>> out;
  for (const auto& [name, histogram] : measurement.latency) {
    if (!histogram.empty()) out.emplace_back(in_words(name), &histogram);
  }
  const auto place = [](const auto& latency) {
    return latency.first == "request" ? 0 : latency.first == "handshake" ? 1 : 2;
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  return out;
}

std::string target_text(const Row& row) {
  const Target& target = *row.target;
  const std::string sign = target.at_least ? ">= " : "<= ";
  if (!target.against.empty()) return sign + limit_text(target.limit) + " x " + target.against;
  return sign + Quantity{limit_text(target.limit), row.unit}.text();
}

std::string verdict_text(const Row& row) {
  if (!row.target) return "no target";
  switch (row.verdict()) {
    case Verdict::kMet:
      return "met";
    case Verdict::kMissed:
      return "missed";
    case Verdict::kNotMeasured:
      break;
  }
  return "not measured";
}

std::string spread_text(const Cell& cell) {
  const std::string low = figure(cell.low()), high = figure(cell.high());
  return low == high ? low : low + "-" + high;
}

Tally tally_of(const Comparison& comparison) {
  Tally out;
  for (const Row& row : comparison.rows) {
    if (!row.target) continue;
    ++out.targets;
    out.met += row.verdict() == Verdict::kMet ? 1 : 0;
    out.missed += row.verdict() == Verdict::kMissed ? 1 : 0;
  }
  return out;
}

std::string summary_text(const Comparison& comparison) {
  const auto [targets, met, missed] = tally_of(comparison);
  std::string out = std::to_string(met) + " of " + std::to_string(targets) + " targets met";
  if (missed > 0) out += ", " + std::to_string(missed) + " missed";
  if (targets > met + missed)
    out += ", " + std::to_string(targets - met - missed) + " not measured";
  return out;
}

std::vector<std::string> servers_of(const Comparison& comparison) {
  std::vector<std::string> out;
  for (const Row& row : comparison.rows) {
    for (const Cell& cell : row.cells) {
      if (std::find(out.begin(), out.end(), cell.server) == out.end()) out.push_back(cell.server);
    }
  }
  const auto place = [](const std::string& server) {
    return server == "latchkey" ? 0 : server == "floor" ? 1 : 2;
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](const std::string& a, const std::string& b) { return place(a) < place(b); });
  return out;
}

}  // namespace latchkey::bench
