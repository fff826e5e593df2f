// The first handshake of new names: alone, and many at once.
#include <chrono>
#include <thread>

#include "bench/comparison/bare_orders.h"
#include "bench/comparison/demand.h"
#include "bench/comparison/rows.h"
#include "bench/comparison/started.h"

namespace latchkey::bench {
namespace {

constexpr double kPatience = 10;  // seconds that Caddy may take for a row: it limits its own orders
constexpr int kWarmUps = 2;
constexpr std::chrono::milliseconds kPause{50};  // before those come again that were refused

struct Series {
  std::vector<double> ms;
  std::string note;
};

// `between` is called before each handshake.
Result<Series> in_a_row(Demand& demand, int names, const std::function<Result<>()>& between) {
  for (int i = 0; i < kWarmUps; ++i) {
    if (const auto first = demand.first_handshake(new_name("warm")); !first) return first.error();
  }
  Series out;
  const Timer timer;
  for (int i = 0; i < names; ++i) {
    if (demand.peer().server() != "latchkey" && timer.seconds() > kPatience) {
      out.note = std::to_string(i) + " of " + std::to_string(names) + ", within 10 s";
      break;
    }
    if (auto done = between(); !done) return done.error();
    const auto ms = demand.first_handshake(new_name("first"));
    if (!ms) return ms.error();
    out.ms.push_back(*ms);
  }
  return out;
}

void take(const Series& series, const std::string& server, double bare, Row& median, Row& slowest) {
  std::vector<double> added;
  for (const double ms : series.ms) added.push_back(ms - bare);
  const double p50 = quantile_of(series.ms, 0.5);
  median.cells.push_back({server, added, {}, series.note});
  slowest.cells.push_back({server, {quantile_of(series.ms, 0.99) / p50}, {}, series.note});
}

void fail(const std::string& server, const Error& error, Row& median, Row& slowest) {
  median.cells.push_back({server, {}, {}, error.message});
  slowest.cells.push_back({server, {}, {}, error.message});
}

// All at once, and those again that are refused, until the last one is served: Caddy refuses many
// of those that come together.
Cell measure_at_once(Lab& lab, const std::string& server, size_t count) {
  auto demand = Demand::start(lab, server);
  if (!demand) return {server, {}, {}, demand.error().message};
  if (const auto first = (*demand)->first_handshake(new_name("warm")); !first) {
    return {server, {}, {}, first.error().message};
  }
  std::vector<std::string> names;
  while (names.size() < count) names.push_back(new_name("new"));
  const Timer timer;
  size_t tries = 0;
  std::string failure;
  while (!names.empty() && timer.seconds() < kPatience) {
    if (tries++ > 0) std::this_thread::sleep_for(kPause);
    test::SwarmOptions options;
    options.count = names.size();
    options.sni = [&names](size_t i) { return names[i]; };
    options.limit = Millis(static_cast<int>((kPatience - timer.seconds()) * 1000) + 1);
    const auto handshakes = (*demand)->swarm(std::move(options));
    failure = first_failure(handshakes);
    std::vector<std::string> again;
    for (size_t i = 0; i < names.size(); ++i) {
      if (!handshakes[i].done) again.push_back(names[i]);
    }
    names = std::move(again);
  }
  Cell cell{server, {timer.seconds()}};
  if (!names.empty()) {
    cell.note = "only " + std::to_string(count - names.size()) + " of " + std::to_string(count) +
                " were served; the last one that was not: " + failure;
    // What has failed took no time; that the others' patience ended is a figure.
    if (server == "latchkey") cell.samples.clear();
  } else if (tries > 1) {
    cell.note = "some were refused, and came again, up to " + std::to_string(tries) + " times";
  }
  return cell;
}

}  // namespace

std::vector<Row> measure_first(Lab& lab) {
  Row median{"first_handshake",        "first handshake of a new name, median",
             "ms beside a bare order", {},
             Target{10, "", false},    ""};
  Row slowest{"first_handshake_p99", "p99 of 30 first handshakes in a row",
              "x of their median",   {},
              Target{2, "", false},  "Caddy takes 10 orders in 10 s by itself"};
  const int names = lab.options().quick ? 3 : 30;
  BareOrders bare(lab.new_folder("bare"));
  std::vector<double> orders;
  const auto order = [&]() -> Result<> {
    const auto ms = bare.measure(new_name("bare"));
    if (!ms) return ms.error();
    orders.push_back(*ms);
    return Unit{};
  };
  for (int i = 0; i < kWarmUps; ++i) {
    if (auto done = order(); !done) fail("latchkey", done.error(), median, slowest);
  }
  orders.clear();
  for (const std::string server : {"latchkey", "caddy"}) {
    auto demand = Demand::start(lab, server);
    if (!demand) {
      fail(server, demand.error(), median, slowest);
      continue;
    }
    const bool beside = server == "latchkey";
    const auto series =
        in_a_row(**demand, names, [&] { return beside ? order() : Result<>(Unit{}); });
    if (!series) {
      fail(server, series.error(), median, slowest);
    } else {
      take(*series, server, quantile_of(orders, 0.5), median, slowest);
    }
  }
  char text[160];
  std::snprintf(text, sizeof text,
                "beside the median of %zu bare orders at a Pebble of their own, in turns: %.1f ms",
                orders.size(), orders.empty() ? 0 : quantile_of(orders, 0.5));
  median.note = text;
  return {median, slowest};
}

std::vector<Row> measure_new(Lab& lab) {
  const auto row = [](const char* id, const char* title, double limit) {
    return Row{id, title, "s", {}, Target{limit, "", false}, "Caddy is given 10 s"};
  };
  std::vector<Row> out;
  const auto measure = [&](Row planned, size_t names) {
    if (!lab.options().wants(planned.id)) return;
    for (const std::string server : {"latchkey", "caddy"}) {
      planned.cells.push_back(measure_at_once(lab, server, lab.options().quick ? 5 : names));
    }
    out.push_back(std::move(planned));
  };
  measure(row("new_50", "50 new names at once, until all are served", 2), 50);
  measure(row("new_200", "200 new names at once, until all are served", 4), 200);
  return out;
}

}  // namespace latchkey::bench
