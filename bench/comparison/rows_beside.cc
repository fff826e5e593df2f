// What cached names notice of others: of new ones that wait, and of connections that do nothing.
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "bench/comparison/demand.h"
#include "bench/comparison/rows.h"
#include "tests/support/eventually.h"

namespace latchkey::bench {
namespace {

struct Tail {
  double first_second = 0, whole = 0;  // p99, us
};

// 500 handshakes a second for `name`, open loop; so many new names come as the measured time
// begins.
Result<Tail> handshakes(Lab& lab, Demand& demand, const std::string& name, size_t new_names) {
  std::vector<std::string> call = {"flood",
                                   "--rate",
                                   "500",
                                   "--sni",
                                   name,
                                   "--warmup",
                                   "0.5",
                                   "--sources",
                                   "1000",
                                   "--timeout",
                                   "1",
                                   "--duration",
                                   lab.options().quick ? "1" : "2"};
  if (new_names > 0) {
    call.insert(call.end(), {"--flood-count", std::to_string(new_names), "--flood-sni",
                             "%s" + std::string(kNewNames)});
  }
  const auto measured = lab.load(demand.peer(), std::move(call));
  if (!measured) return measured.error();
  const auto whole = measured->latency.find("handshake");
  const auto first = measured->latency.find("handshake_first_second");
  if (whole == measured->latency.end() || first == measured->latency.end()) {
    return Error{ErrorCode::kProtocol, "latchkey-bench flood told no latency"};
  }
  return Tail{static_cast<double>(first->second.quantile(0.99)),
              static_cast<double>(whole->second.quantile(0.99))};
}

// The ratios of a turn beside new names to one without.
struct Ratios {
  std::vector<double> first_second, whole;
};

Result<Ratios> measure_waiting(Lab& lab, const std::string& server, int rounds) {
  auto started = Demand::start(lab, server);
  if (!started) return started.error();
  Demand& demand = **started;
  const std::string name = new_name("cached");
  if (const auto first = demand.first_handshake(name); !first) return first.error();
  demand.silence_ca();
  Ratios out;
  for (int round = 0; round < rounds; ++round) {
    const auto calm = handshakes(lab, demand, name, 0);
    if (!calm) return calm.error();
    const auto busy = handshakes(lab, demand, name, lab.options().quick ? 20 : 200);
    if (!busy) return busy.error();
    out.first_second.push_back(busy->first_second / calm->first_second);
    out.whole.push_back(busy->whole / calm->whole);
  }
  return out;
}

size_t open_files(pid_t pid) {
  std::error_code ended;
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd", ended);
  return ended ? 0 : static_cast<size_t>(std::distance(begin(all), end(all)));
}

// The ratio of a handshake's CPU beside so many idle connections to one without.
Result<Sample> measure_beside_idle(Lab& lab, Peer& peer, size_t count) {
  const bool quick = lab.options().quick;
  const auto cpu = [&] {
    return lab.load(peer, {"handshake", "--connections", "32", "--sni", stored_name(0),
                           "--duration", quick ? "0.2" : "0.8", "--warmup", quick ? "0.1" : "0.2"});
  };
  const auto alone = cpu();
  if (!alone) return alone.error();
  const size_t before = open_files(peer.pid());
  const auto idle = lab.start_load(
      peer, {"idle", "--sni", stored_name(0), "--count", std::to_string(count), "--settle", "60"});
  const auto opened = [&] { return open_files(peer.pid()) - before; };
  if (!test::eventually([&] { return opened() >= count || !idle->running(); }, Millis(20'000)) ||
      opened() < count) {
    return Error{ErrorCode::kIo, "only " + std::to_string(opened()) + " of " +
                                     std::to_string(count) + " idle connections are open; " +
                                     idle->output()};
  }
  const auto beside = cpu();
  if (!beside) return beside.error();
  return Sample{beside->server_cpu_us_per_operation() / alone->server_cpu_us_per_operation()};
}

}  // namespace

std::vector<Row> measure_waiting_names(Lab& lab) {
  const std::string note =
      "500 handshakes a second of one cached name, open loop; the 200 come at one moment, and the "
      "CA does not answer. 1 % of a second is five handshakes: those that come while the 200 "
      "hellos are read (docs/bench.md, \"What bounds what\")";
  const char* unit = "x of that without them";
  Row first{"cached_p99_first",
            "cached names' p99 beside 200 new names that wait, first second",
            unit,
            {},
            Target{1.2, "", false},
            note};
  Row whole{"cached_p99",
            "cached names' p99 beside 200 new names that wait, 2 s",
            unit,
            {},
            Target{1.1, "", false},
            note};
  // Near 1 a p99 of a thousand swings much: one interruption of some milliseconds makes it.
  const int rounds = lab.options().rounds;
  for (const auto& [server, turns] : {std::pair{"latchkey", 2 * rounds}, {"caddy", 1}}) {
    const auto ratios = measure_waiting(lab, server, turns);
    const std::string failure = ratios ? "" : ratios.error().message;
    const Ratios none, &figures = ratios ? *ratios : none;
    first.cells.push_back({server, figures.first_second, {}, failure});
    whole.cells.push_back({server, figures.whole, {}, failure});
  }
  return {first, whole};
}

std::vector<Row> measure_resting(Lab& lab) {
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  // The server keeps half of its descriptors for the upstreams' side.
  const size_t most = descriptors.rlim_max / 2 - 600;
  const size_t count = lab.options().quick ? 50 : std::min<size_t>(15'000, most);
  Row row{"growth_idle",
          "CPU of a full handshake beside idle connections",
          "x of that without them",
          {},
          Target{1.10, "", false},
          std::to_string(count) + " idle connections; the limit of descriptors is " +
              std::to_string(descriptors.rlim_max) + ", of which half are for upstreams"};
  const auto peer = lab.shared("latchkey");
  if (peer) {
    row.cells = in_turns({"latchkey"}, std::min(lab.options().rounds, 2), [&](const std::string&) {
      return measure_beside_idle(lab, **peer, count);
    });
  } else {
    row.cells = {{"latchkey", {}, {}, peer.error().message}};
  }
  lab.stop_shared();
  return {row};
}

}  // namespace latchkey::bench
