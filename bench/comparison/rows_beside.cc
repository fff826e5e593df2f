// What cached names notice of others: of new ones that wait, and of connections that do nothing.
#include <sys/resource.h>

#include <algorithm>
#include <thread>

#include "bench/comparison/demand.h"
#include "bench/comparison/rows.h"
#include "bench/comparison/started.h"

namespace latchkey::bench {
namespace {

constexpr double kRate = 500;      // handshakes of cached names a second, open loop
constexpr double kArrivals = 400;  // new names a second

struct Tail {
  double first_second = 0, whole = 0;  // p99, us
};

Result<Tail> tail_of(const Result<Measurement>& measured) {
  if (!measured) return measured.error();
  const auto latency = measured->latency.find("handshake");
  if (latency == measured->latency.end() || measured->series.empty()) {
    return Error{ErrorCode::kProtocol, "latchkey-bench handshake told no latency, or no series"};
  }
  return Tail{measured->series.front().p99_us, static_cast<double>(latency->second.quantile(0.99))};
}

Result<Tail> handshakes(Lab& lab, Demand& demand, const std::string& name,
                        const std::function<void()>& beside) {
  const bool quick = lab.options().quick;
  return tail_of(lab.load_beside(demand.peer(),
                                 {"handshake", "--rate", std::to_string(static_cast<int>(kRate)),
                                  "--sni", name, "--warmup", "1", "--duration", quick ? "1" : "3"},
                                 beside));
}

// The ratios of a turn beside new names to one without.
struct Ratios {
  std::vector<double> first_second, whole;
};

Result<Ratios> measure_waiting(Lab& lab, const std::string& server) {
  auto started = Demand::start(lab, server, Demand::Ca::kScripted);
  if (!started) return started.error();
  Demand& demand = **started;
  const std::string name = new_name("cached");
  if (const auto first = demand.first_handshake(name); !first) return first.error();
  demand.scripted().misbehave("/newOrder", [] {
    test::Response silent;
    silent.hang = true;
    return silent;
  }());
  Ratios out;
  const size_t waiting = lab.options().quick ? 20 : 200;
  for (int round = 0; round < std::min(lab.options().rounds, 2); ++round) {
    const auto calm = handshakes(lab, demand, name, [] {});
    if (!calm) return calm.error();
    const auto busy = handshakes(lab, demand, name, [&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(1'050));  // the warm-up
      test::SwarmOptions options;
      options.count = waiting;
      options.sni = [](size_t) { return new_name("waiting"); };
      options.rate = kArrivals;  // all at once they would keep the clients' core busy
      options.limit = Millis(2'800);
      demand.swarm(std::move(options));
    });
    if (!busy) return busy.error();
    out.first_second.push_back(busy->first_second / calm->first_second);
    out.whole.push_back(busy->whole / calm->whole);
  }
  return out;
}

// Connections that have shaken hands and then rest, while this lives.
class Resting {
 public:
  Resting(const Peer& peer, size_t count) {
    test::TlsOptions options;
    options.port = peer.port();
    options.sni = stored_name(0);
    for (size_t i = 0; i < count; ++i) {
      auto client = std::make_unique<test::TlsClient>(options);
      if (!client->handshake().done) return;
      clients_.push_back(std::move(client));
    }
  }
  size_t size() const { return clients_.size(); }

 private:
  std::vector<std::unique_ptr<test::TlsClient>> clients_;
};

}  // namespace

std::vector<Row> measure_waiting_names(Lab& lab) {
  const std::string note =
      "500 handshakes a second of one cached name, open loop; the CA does not answer newOrder; the "
      "200 come within half a second, so that the client's core is not what delays";
  Row first{
      "cached_p99_first",       "cached names' p99 beside 200 new names that wait, first second",
      "x of that without them", {},
      Target{1.2, "", false},   note};
  Row whole{"cached_p99",
            "cached names' p99 beside 200 new names that wait, 3 s",
            "x of that without them",
            {},
            Target{1.1, "", false},
            note};
  for (const std::string server : {"latchkey", "caddy"}) {
    const auto ratios = measure_waiting(lab, server);
    const std::string failure = ratios ? "" : ratios.error().message;
    first.cells.push_back(
        {server, ratios ? ratios->first_second : std::vector<double>(), {}, failure});
    whole.cells.push_back({server, ratios ? ratios->whole : std::vector<double>(), {}, failure});
  }
  return {first, whole};
}

std::vector<Row> measure_resting(Lab& lab) {
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  // Ours and the server's limit is the same, and neither needs all of its descriptors for this.
  const size_t most = descriptors.rlim_max - descriptors.rlim_max / 4;
  const size_t wanted = lab.options().quick ? 50 : std::min<size_t>(15'000, most);
  Row row{"growth_idle",
          "CPU of a full handshake beside idle connections",
          "x of that without them",
          {},
          Target{1.10, "", false},
          ""};
  const auto peer = lab.shared("latchkey");
  if (!peer) {
    row.cells = {{"latchkey", {}, {}, peer.error().message}};
    return {row};
  }
  const auto cpu = [&] {
    return lab.load(**peer, {"handshake", "--connections", "32", "--sni", stored_name(0),
                             "--duration", "0.8", "--warmup", "0.2"});
  };
  size_t resting = 0;
  row.cells = in_turns(
      {"latchkey"}, lab.options().quick ? 1 : 2, [&](const std::string&) -> Result<Sample> {
        const auto alone = cpu();
        if (!alone) return alone.error();
        const Resting idle(**peer, wanted);
        resting = idle.size();
        const auto beside = cpu();
        if (!beside) return beside.error();
        return Sample{beside->server_cpu_us_per_operation() / alone->server_cpu_us_per_operation()};
      });
  row.note = std::to_string(resting) + " idle connections, of " + std::to_string(wanted) +
             " that were tried; the descriptor limit is " + std::to_string(descriptors.rlim_max);
  lab.stop_shared();
  return {row};
}

}  // namespace latchkey::bench
