#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "edge/upstream/client_tls.h"
#include "edge/upstream/origin.h"

namespace latchkey::edge {

enum class Balance {
  kRoundRobin,
  kLeastConn,  // who has the fewest requests under way
  kRandomTwo,  // the better one of two taken at random
  kIpHash      // a client's address decides, as long as its server is there
};

// Asks each server whether it is well.
struct HealthCheck {
  std::string path = "/";
  std::string host{};  // "": the upstream's
  Millis interval{5'000};
  Millis timeout{2'000};
  unsigned fall = 3;      // failures in a row until it is down
  unsigned rise = 2;      // successes in a row until it is up again
  int status_from = 200;  // what counts as a success
  int status_to = 399;
};

// Learns from the requests themselves who is not well: an endpoint that failed so many in a row
// (no connection, no answer, a reset, 502, 503, 504) gets none for `time`, longer each time that
// nothing has succeeded in between, never over 30 times as long.
struct Ejection {
  unsigned failures = 5;
  Millis time{10'000};
};

enum class ProxyOut : uint8_t { kNone, kV1, kV2 };

// Servers that can stand in for each other. Immutable; shared by the workers' snapshots.
struct Group {
  std::string name;  // "" where a route or the ask endpoint names the upstreams
  std::vector<Origin> origins;
  std::vector<unsigned> weights{};  // as many, or none: all the same
  Balance balance = Balance::kRoundRobin;
  std::optional<HealthCheck> health{};
  std::optional<Ejection> ejection = Ejection();
  Millis slow_start{0};  // a server that comes (back) gets its full part only after so long
  unsigned retries = 3;  // further servers that a request may try
  bool http2 = false;    // offered to upstreams with TLS
  std::shared_ptr<const ClientTls> tls{};     // for those with TLS; never null where there are any
  ProxyOut proxy_protocol = ProxyOut::kNone;  // says the client's address to the upstream

  // Equal for groups that say the same: what is known about servers then outlives a reload.
  std::string identity() const;
};

}  // namespace latchkey::edge
