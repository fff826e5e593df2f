#include "bench/report/format.h"
#include "bench/report/terminal.h"
#include "bench/report/text.h"

namespace latchkey::bench {
namespace {

constexpr size_t kLabel = 12, kColumn = 10;

std::string line(const std::string& label, const std::string& text) {
  return "  " + left(label, kLabel) + text + "\n";
}

std::string operations(const Measurement& m, const Paint& paint) {
  std::string out =
      line("done", paint.bold(whole(m.done)) + ", " + paint.bold(figure(m.rate())) + " a second");
  if (m.failed > 0) {
    const auto ended = static_cast<double>(m.done + m.failed);
    const double share = static_cast<double>(m.failed) / ended;
    out += line("failed", paint.bad(whole(m.failed)) + " (" + percent(share) + ")");
  }
  const uint64_t ended = m.done + m.failed;
  if (m.started_operations > ended) {
    out += line("unfinished", whole(m.started_operations - ended) + ", when the time was over");
  }
  if (m.resumed > 0) out += line("resumed", whole(m.resumed));
  return out;
}

std::string latencies(const Measurement& m, const Paint& paint) {
  const auto all = latencies_of(m);
  if (all.empty()) return "";
  std::string out = "  " + left("latency", kLabel);
  for (const char* title : {"p50", "p90", "p99", "p99.9", "max", "mean"}) {
    out += right(title, kColumn);
  }
  out = "\n" + paint.dim(out) + "\n";
  for (const auto& [name, histogram] : all) {
    out += "  " + left(printable(name), kLabel);
    for (double q : {0.5, 0.9, 0.99, 0.999, 1.0}) {
      out += right(duration(static_cast<double>(histogram->quantile(q))).text(), kColumn);
    }
    out += right(duration(histogram->mean()).text(), kColumn) + "\n";
  }
  return out;
}

std::string errors(const Measurement& m, const Paint& paint) {
  if (m.errors.empty()) return "";
  std::string out = "\n  " + paint.dim("errors") + "\n";
  for (const auto& [kind, count] : m.errors) {
    out += "  " + right(whole(count), kLabel - 2) + "  " + printable(kind) + "\n";
  }
  return out;
}

std::string resources(const Measurement& m, const Paint& paint) {
  std::string out = "\n";
  const auto seconds = [](double s) { return duration(s * 1e6).text(); };
  const auto cores = [&](double s) {
    return m.seconds > 0 ? ", " + figure(s / m.seconds) + " of a core" : "";
  };
  if (m.server) {
    const double each = m.server_cpu_us_per_operation();
    std::string text;
    if (each > 0) text = paint.bold(duration(each).text()) + " of CPU an operation; ";
    text += seconds(m.server->cpu_seconds) + " in all" + cores(m.server->cpu_seconds);
    out += line("server", text);
    out +=
        line("", "memory " + bytes(static_cast<double>(m.server->rss_before)).text() + " before, " +
                     bytes(static_cast<double>(m.server->rss_after)).text() + " after");
  }
  out += line("client", seconds(m.client_cpu_seconds) + " of CPU" + cores(m.client_cpu_seconds));
  out += line("bytes", bytes(static_cast<double>(m.bytes_in)).text() + " in, " +
                           bytes(static_cast<double>(m.bytes_out)).text() + " out");
  return out;
}

std::string facts(const Measurement& m) {
  size_t width = kLabel;
  std::vector<Fact> all;
  for (const auto& [name, value] : m.facts) {
    all.push_back(fact(printable(name), value));
    width = std::max(width, columns_of(all.back().label) + 2);
  }
  std::string out = all.empty() ? "" : "\n";
  for (const Fact& each : all) out += "  " + left(each.label, width) + each.value.text() + "\n";
  return out;
}

}  // namespace

std::string text_report(const Measurement& m, Colours colours) {
  const Paint paint(colours);
  return paint.bold(printable(m.scenario)) + " against " + printable(m.target) + ", " +
         duration(m.seconds * 1e6).text() + " from " + when(printable(m.started)) + "\n" +
         operations(m, paint) + latencies(m, paint) + errors(m, paint) + resources(m, paint) +
         facts(m);
}

}  // namespace latchkey::bench
