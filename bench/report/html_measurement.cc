#include <algorithm>
#include <cmath>

#include "bench/report/format.h"
#include "bench/report/html.h"
#include "bench/report/html_page.h"
#include "bench/report/svg.h"

namespace latchkey::bench {
namespace {

constexpr size_t kMostSlices = 400;   // of a curve over time
constexpr double kStepsPerNine = 40;  // of a curve over percentiles
constexpr double kMostNines = 4;      // 99.99 %

std::string time_text(double us) {
  return duration(us).text();
}

std::vector<Tick> latency_ticks(const Scale& scale) {
  std::vector<Tick> out;
  for (double tick : scale.ticks()) out.push_back({scale.place(tick), time_text(tick)});
  return out;
}

std::string headlines(const Measurement& m) {
  std::string out =
      headline("rate", fine(Quantity{figure(m.rate()), "/s"}), fine(whole(m.done)) + " done");
  const auto latencies = latencies_of(m);
  if (!latencies.empty()) {
    const auto& [name, histogram] = latencies.front();
    const auto at = [&, main = histogram](double q) {
      return fine(duration(static_cast<double>(main->quantile(q))));
    };
    out += headline("median latency", at(0.5), escape(name));
    out += headline("99th percentile", at(0.99), "most " + at(1));
  }
  if (m.server_cpu_us_per_operation() > 0) {
    out += headline("server\u2019s CPU", fine(duration(m.server_cpu_us_per_operation())),
                    "an operation");
  }
  const double ended = static_cast<double>(m.done + m.failed);
  out += headline("failed", fine(whole(m.failed)),
                  ended > 0 ? fine(percent(static_cast<double>(m.failed) / ended)) : "");
  return element("dl", "class=\"headlines\"", "\n" + out) + "\n";
}

// x is the number of nines, log10(1 / (1 - q)): the tail has as much room as the body.
Curve percentiles(const std::string& name, const Histogram& histogram, const Scale& y, double nines,
                  int colour) {
  Curve out{name, {}, colour};
  // Beyond one of all values there is nothing to tell.
  const double last = std::min(nines, std::log10(static_cast<double>(histogram.count())));
  const int steps = std::max(1, static_cast<int>(std::ceil(last * kStepsPerNine)));
  for (int i = 0; i <= steps; ++i) {
    const double x = last * i / steps;
    const double q = i == 0 ? 0 : 1 - std::pow(10, -x);
    out.points.emplace_back(x / nines, y.place(static_cast<double>(histogram.quantile(q))));
  }
  return out;
}

std::string distribution(const Measurement& m) {
  double low = HUGE_VAL, high = 0;
  for (const auto& [name, histogram] : latencies_of(m)) {
    low = std::min(low, static_cast<double>(std::max<uint64_t>(histogram->min(), 1)));
    high = std::max(high, static_cast<double>(histogram->quantile(1 - std::pow(10, -kMostNines))));
  }
  if (high == 0) return "";
  const Scale y = Scale::logarithmic(low, std::max(low, high));
  Chart out;
  out.title = "latency by percentile";
  for (const auto& [name, histogram] : latencies_of(m)) {
    const int colour = static_cast<int>(out.curves.size()) % 3;
    out.curves.push_back(percentiles(name, *histogram, y, kMostNines, colour));
    out.description += name + ": median " +
                       time_text(static_cast<double>(histogram->quantile(0.5))) + ", p99 " +
                       time_text(static_cast<double>(histogram->quantile(0.99))) + ". ";
  }
  static constexpr const char* kNines[] = {"0 %", "90 %", "99 %", "99.9 %", "99.99 %"};
  for (size_t i = 0; i < std::size(kNines); ++i) {
    out.x.push_back({static_cast<double>(i) / kMostNines, kNines[i]});
  }
  out.y = latency_ticks(y);
  return element("figure", element("figcaption",
                                   "How long the given share of all operations took at most. Both "
                                   "axes are logarithmic: each step to the right is a tenth of the "
                                   "operations that are left.") +
                               "\n" + chart(out));
}

std::string latency_table(const Measurement& m) {
  std::string head = element("th", "scope=\"col\"", "");
  for (const char* title : {"p50", "p90", "p99", "p99.9", "p99.99", "most", "mean", "count"}) {
    head += element("th", "scope=\"col\"", title);
  }
  std::string lines;
  for (const auto& [name, histogram] : latencies_of(m)) {
    std::string line = element("th", "scope=\"row\"", escape(name));
    for (double q : {0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
      line += element("td", fine(duration(static_cast<double>(histogram->quantile(q)))));
    }
    line += element("td", fine(duration(histogram->mean())));
    lines += element("tr", line + element("td", fine(whole(histogram->count())))) + "\n";
  }
  return element(
             "div",
             "class=\"scroll figures\" tabindex=\"0\" role=\"region\" "
             "aria-label=\"Latencies\"",
             element("table", element("thead", element("tr", head)) + element("tbody", lines))) +
         "\n";
}

// Few enough to draw: neighbours become one, with the worse of their latencies.
std::vector<Measurement::Slice> drawable(const std::vector<Measurement::Slice>& series) {
  const size_t together = (series.size() + kMostSlices - 1) / kMostSlices;
  std::vector<Measurement::Slice> out;
  for (size_t i = 0; i < series.size(); ++i) {
    if (i % together == 0) out.emplace_back();
    Measurement::Slice& slice = out.back();
    slice.at = series[i].at;
    slice.done += series[i].done;
    slice.failed += series[i].failed;
    slice.p50_us = std::max(slice.p50_us, series[i].p50_us);
    slice.p99_us = std::max(slice.p99_us, series[i].p99_us);
  }
  return out;
}

std::string over_time(const Measurement& m) {
  const std::vector<Measurement::Slice> series = drawable(m.series);
  if (series.size() < 2 || !(series.back().at > 0)) return "";
  const double end = series.back().at;
  double most = 0, low = HUGE_VAL, high = 0, before = 0;
  std::vector<std::pair<double, double>> done, failed;  // a second
  bool failures = false;
  for (const auto& slice : series) {
    const double width = slice.at - before;
    before = slice.at;
    if (!(width > 0)) continue;
    done.emplace_back(slice.at / end, static_cast<double>(slice.done) / width);
    failed.emplace_back(slice.at / end, static_cast<double>(slice.failed) / width);
    failures = failures || slice.failed > 0;
    most = std::max({most, done.back().second, failed.back().second});
    if (slice.p50_us > 0) low = std::min(low, slice.p50_us);
    high = std::max({high, slice.p50_us, slice.p99_us});
  }

  std::vector<Tick> x;
  const Scale time = Scale::linear(end);
  for (double tick : time.ticks()) {
    if (tick <= end) x.push_back({tick / end, time_text(tick * 1e6)});
  }
  const Scale rate = Scale::linear(most);
  Chart rates{.title = "operations a second over time",
              .description = "",
              .x = x,
              .y = {},
              .curves = {{"done", done, 0}},
              .height = 160};
  rates.description = "At most " + figure(most) + " a second.";
  if (failures) rates.curves.push_back({"failed", failed, 3});
  for (Curve& curve : rates.curves) {
    for (auto& point : curve.points) point.second = rate.place(point.second);
  }
  for (double tick : rate.ticks()) rates.y.push_back({rate.place(tick), figure(tick) + "/s"});
  std::string out = element("h2", "Over time") + "\n" +
                    element("figure", element("figcaption", "Operations a second.") + chart(rates));
  if (high <= 0 || low > high) return out;

  const Scale y = Scale::logarithmic(low, high);
  Chart latencies{.title = "latency over time",
                  .description = "",
                  .x = x,
                  .y = latency_ticks(y),
                  .curves = {{"p50", {}, 0}, {"p99", {}, 1}},
                  .height = 160};
  latencies.description = "p99 at most " + time_text(high) + ".";
  for (const auto& slice : series) {
    latencies.curves[0].points.emplace_back(slice.at / end, y.place(slice.p50_us));
    latencies.curves[1].points.emplace_back(slice.at / end, y.place(slice.p99_us));
  }
  return out + element("figure", element("figcaption", "Latency, logarithmic.") + chart(latencies));
}

std::string errors(const Measurement& m) {
  if (m.errors.empty()) return "";
  uint64_t all = 0;
  for (const auto& [kind, count] : m.errors) all += count;
  std::vector<std::pair<std::string, uint64_t>> sorted(m.errors.begin(), m.errors.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string lines;
  for (const auto& [kind, count] : sorted) {
    const double share = all > 0 ? static_cast<double>(count) / static_cast<double>(all) : 0;
    const std::string title = kind + ": " + whole(count) + ", " + percent(share);
    lines += element("tr", "class=\"bad\"",
                     element("th", "scope=\"row\" class=\"kind\"", escape(kind)) +
                         element("td", "class=\"plot\"", share_bar(share, title)) +
                         element("td", "class=\"number\"", fine(whole(count))) +
                         element("td", "class=\"ratio\"", fine(percent(share)))) +
             "\n";
  }
  return element("h2", "Errors by kind") + "\n" +
         element("table", "class=\"bars errors\"", element("tbody", lines)) + "\n";
}

std::string details(const Measurement& m) {
  std::vector<std::pair<std::string, std::string>> rows;
  const auto cores = [&](double cpu) {
    const std::string all = time_text(cpu * 1e6);
    return m.seconds > 0 ? all + ", " + figure(cpu / m.seconds) + " of a core" : all;
  };
  const auto size = [](uint64_t n) { return bytes(static_cast<double>(n)).text(); };
  if (m.server) {
    rows.emplace_back("server\u2019s CPU", cores(m.server->cpu_seconds));
    rows.emplace_back("server\u2019s memory", size(m.server->rss_before) + " before, " +
                                                  size(m.server->rss_after) + " after");
  }
  rows.emplace_back("client\u2019s CPU", cores(m.client_cpu_seconds));
  rows.emplace_back("bytes", size(m.bytes_in) + " in, " + size(m.bytes_out) + " out");
  rows.emplace_back("started", whole(m.started_operations));
  if (m.resumed > 0) rows.emplace_back("resumed", whole(m.resumed));
  for (const auto& [name, value] : m.facts) {
    const Fact each = fact(name, value);
    rows.emplace_back(each.label, each.value.text());
  }
  return element("h2", "Details") + "\n" + definitions(rows) + "\n";
}

std::string command(const Measurement& m) {
  std::string out;
  for (const std::string& word : m.command) out += (out.empty() ? "" : " ") + word;
  if (out.empty()) return "";
  return element("h2", "Command") + "\n" + element("code", "class=\"command\"", escape(out)) + "\n";
}

}  // namespace

std::string html_report(const Measurement& m) {
  const std::string title = m.scenario + " against " + m.target;
  std::string body = element("h1", escape(title)) + "\n" +
                     element("p", "class=\"lead\"",
                             escape(when(m.started)) + ", " + fine(time_text(m.seconds * 1e6))) +
                     "\n" + headlines(m);
  const std::string plot = distribution(m);
  if (!plot.empty()) {
    body += element("h2", "Latency") + "\n" + plot + "\n" + latency_table(m);
  }
  body += over_time(m) + errors(m) + details(m) + command(m);
  return html_page(title, body);
}

}  // namespace latchkey::bench
