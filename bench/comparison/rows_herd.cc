// Many clients for one new name, and names that are denied: what the CA and the ask endpoint see of
// them.
#include "bench/comparison/bare_orders.h"
#include "bench/comparison/demand.h"
#include "bench/comparison/rows.h"

namespace latchkey::bench {
namespace {

const std::vector<std::string> kServers = {"latchkey", "caddy"};

std::string id_of(size_t clients, const char* suffix) {
  return "herd_" + std::to_string(clients) + suffix;
}

struct Herd {
  Row p99, asks, orders;

  explicit Herd(size_t clients)
      : p99{id_of(clients, ""),
            std::to_string(clients) + " clients for one new name, p99",
            "ms beside a bare order",
            {},
            std::nullopt,
            ""},
        asks{id_of(clients, "_asks"),
             std::to_string(clients) + " clients for one new name: questions to the ask endpoint",
             "questions",
             {},
             Target{1, "", false},
             ""},
        orders{id_of(clients, "_orders"),
               std::to_string(clients) + " clients for one new name: orders at the CA",
               "orders",
               {},
               Target{1, "", false},
               ""} {}
};

Cell& cell_of(Row& row, const std::string& server) {
  for (Cell& cell : row.cells) {
    if (cell.server == server) return cell;
  }
  return row.cells.emplace_back(Cell{server, {}});
}

void measure_once(Lab& lab, Demand& demand, size_t clients, double bare, Herd& herd) {
  const std::string& server = demand.peer().server();
  const size_t asked = demand.ask().asked(), ordered = demand.orders();
  const std::string count = std::to_string(clients);
  const auto measured = lab.load(demand.peer(), {"herd", "--count", count, "--sources", count,
                                                 "--sni", new_name("herd"), "--timeout", "30"});
  if (!measured) {
    cell_of(herd.p99, server).note = measured.error().message;
    return;
  }
  if (measured->failed > 0) {
    cell_of(herd.p99, server).note =
        std::to_string(measured->failed) + " of " + count + " were not served";
  }
  const auto latency = measured->latency.find("handshake");
  if (latency != measured->latency.end()) {
    const double ms = static_cast<double>(latency->second.quantile(0.99)) / 1000;
    cell_of(herd.p99, server).samples.push_back(ms - bare);
  }
  cell_of(herd.asks, server).samples.push_back(static_cast<double>(demand.ask().asked() - asked));
  cell_of(herd.orders, server).samples.push_back(static_cast<double>(demand.orders() - ordered));
}

void fail(Herd& herd, const std::string& server, const Error& error) {
  for (Row* row : {&herd.p99, &herd.asks, &herd.orders}) {
    row->cells.push_back({server, {}, {}, error.message});
  }
}

void measure_herd(Lab& lab, const std::vector<std::string>& servers, size_t clients, int rounds,
                  double bare, Herd& herd) {
  std::vector<std::unique_ptr<Demand>> demands;
  for (const std::string& server : servers) {
    auto demand = Demand::start(lab, server);
    if (!demand) {
      fail(herd, server, demand.error());
    } else if (const auto first = (*demand)->first_handshake(new_name("warm")); !first) {
      fail(herd, server, first.error());
    } else {
      demands.push_back(*std::move(demand));
    }
  }
  for (int round = 0; round < rounds; ++round) {
    for (const auto& demand : demands) measure_once(lab, *demand, clients, bare, herd);
  }
}

Result<double> bare_order(Lab& lab) {
  BareOrders bare(lab.new_folder("bare"));
  std::vector<double> ms;
  for (int i = 0; i < (lab.options().quick ? 2 : 9); ++i) {
    const auto order = bare.measure(new_name("bare"));
    if (!order) return order.error();
    ms.push_back(*order);
  }
  return quantile_of(std::move(ms), 0.5);
}

// Handshakes for `name(i)` that are all refused; how many questions they cost.
Result<Sample> refuse(Demand& demand, size_t count,
                      const std::function<std::string(size_t)>& name) {
  const size_t asked = demand.ask().asked();
  test::SwarmOptions options;
  options.count = count;
  options.sni = name;
  options.limit = Millis(30'000);
  const auto handshakes = demand.swarm(std::move(options));
  if (served(handshakes) > 0) return demand.peer().failure("served a denied name");
  return Sample{static_cast<double>(demand.ask().asked() - asked)};
}

}  // namespace

std::vector<Row> measure_herds(Lab& lab) {
  const bool quick = lab.options().quick;
  const auto bare = bare_order(lab);
  Herd some(500), many(10'000);
  some.p99.target = Target{80, "", false};
  if (lab.options().wants("herd_500")) {
    measure_herd(lab, kServers, quick ? 20 : 500, lab.options().rounds, bare ? *bare : 0, some);
  }
  if (lab.options().wants("herd_10000")) {
    measure_herd(lab, {"latchkey"}, quick ? 50 : 10'000, 1, bare ? *bare : 0, many);
  }
  if (!bare) fail(some, "latchkey", bare.error());
  for (Row* row : {&some.p99, &many.p99}) {
    char text[80];
    std::snprintf(text, sizeof text, "a bare order takes %.1f ms", bare ? *bare : 0);
    row->note = text;
  }
  many.p99.note += "; 10 000 handshakes are more than a second of CPU on either side";
  std::vector<Row> out;
  for (Row* row : {&some.p99, &some.asks, &some.orders, &many.p99, &many.asks, &many.orders}) {
    if (!row->cells.empty()) out.push_back(std::move(*row));
  }
  return out;
}

std::vector<Row> measure_denials(Lab& lab) {
  const size_t count = lab.options().quick ? 20 : 1000;
  Row one{"deny_1000",          "1000 denied handshakes of one name: questions to the ask endpoint",
          "questions",          {},
          Target{1, "", false}, "all at once"};
  Row names{"deny_names",         "denied handshakes of 1000 names, the second round: questions",
            "questions",          {},
            Target{0, "", false}, ""};
  std::map<std::string, std::unique_ptr<Demand>> demands;
  for (const std::string& server : kServers) {
    auto demand = Demand::start(lab, server);
    if (demand) {
      demands[server] = *std::move(demand);
    } else {
      one.cells.push_back({server, {}, {}, demand.error().message});
      names.cells.push_back({server, {}, {}, demand.error().message});
    }
  }
  std::vector<std::string> there;
  for (const std::string& server : kServers) {
    if (demands.contains(server)) there.push_back(server);
  }
  const auto add = [](Row& row, std::vector<Cell> cells) {
    row.cells.insert(row.cells.end(), cells.begin(), cells.end());
  };
  add(one, in_turns(there, lab.options().rounds, [&](const std::string& server) {
        const std::string name = new_name("denied");
        return refuse(*demands[server], count, [name](size_t) { return name; });
      }));
  add(names, in_turns(there, 1, [&](const std::string& server) {
        const std::string suffix = new_name("names");
        const auto name = [suffix](size_t i) { return "denied" + std::to_string(i) + suffix; };
        const auto first = refuse(*demands[server], count, name);
        return first ? refuse(*demands[server], count, name) : first;
      }));
  return {one, names};
}

}  // namespace latchkey::bench
