// What an open connection costs in memory.
#include <algorithm>

#include "bench/comparison/rows.h"

namespace latchkey::bench {
namespace {

constexpr double kKib = 1024;

// Of a fresh process each time: one that has served before has memory to give.
Result<Sample> measure_idle(Lab& lab, const std::string& server) {
  auto peer = Peer::start(server, lab.setup(server));
  if (!peer) return peer.error();
  const auto measured =
      lab.load(**peer, {"idle", "--sni", stored_name(0), "--alpn", "http/1.1", "--count",
                        lab.options().quick ? "200" : "2500", "--settle", "0.5"});
  if (!measured) return measured.error();
  const auto fact = measured->facts.find("memory_per_connection");
  if (fact == measured->facts.end()) {
    return Error{ErrorCode::kProtocol, "latchkey-bench idle told no memory_per_connection"};
  }
  return Sample{fact->second / kKib};
}

}  // namespace

std::vector<Row> measure_memory(Lab& lab) {
  Row row{"idle_memory",
          "memory of an idle TLS connection",
          "KiB",
          {},
          Target{4.6, "", false},
          "growth of the server's RSS over 2500 connections that have done their handshake, and "
          "nothing since; nginx has made room for its connections at its start. The floor's is a "
          "bare SSL; ours has 1.0 KiB around it: docs/bench.md, \"What bounds what\""};
  row.cells = in_turns({"latchkey", "floor", "nginx", "haproxy", "caddy"},
                       std::min(lab.options().rounds, 2),
                       [&](const std::string& server) { return measure_idle(lab, server); });
  return {row};
}

}  // namespace latchkey::bench
