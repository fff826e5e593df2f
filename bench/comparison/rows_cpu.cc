// The server's CPU time of an operation, with the client's core the bottleneck or not.
#include <array>

#include "bench/comparison/rows.h"

namespace latchkey::bench {
namespace {

struct CpuRow {
  const char* id;
  const char* title;
  std::vector<std::string> servers;
  std::vector<std::string> arguments;  // of latchkey-bench
  size_t body;                         // what the floor answers
  bool close;
  Target target;
  const char* note;
};

std::string path(size_t body) {
  return "/" + std::to_string(body);
}

const std::vector<CpuRow>& rows() {
  constexpr size_t k1 = 1024, k64 = 64 * k1, k1024 = 1024 * k1;
  const std::vector<std::string> all = {"latchkey", "floor", "nginx", "haproxy", "caddy"};
  const std::vector<std::string> proxies = {"latchkey", "nginx", "haproxy", "caddy"};
  const auto http1 = [](size_t body, const char* connections) -> std::vector<std::string> {
    return {"proxy", "--http", "1", "--path", path(body), "--connections", connections};
  };
  const auto http2 = [](size_t body) -> std::vector<std::string> {
    return {"proxy", "--http", "2", "--path", path(body), "--connections", "4", "--streams", "16"};
  };
  static const std::vector<CpuRow> out = {
      {"handshake_full",
       "full TLS 1.3 handshake (P-256, X25519)",
       all,
       {"handshake", "--connections", "32"},
       k1,
       false,
       {1.02, "floor"},
       "all hand out tickets: Latchkey, the floor, nginx and HAProxy two, Caddy one. Beside the "
       "floor "
       "it has 1.6 us of its own code and 1.1 us of malloc among threads; profile: docs/bench.md, "
       "\"What bounds what\""},
      {"handshake_get_close",
       "the same with one GET of 1 KiB and close, proxied",
       all,
       {"proxy", "--http", "1", "--path", path(k1), "--connections", "32", "--close"},
       k1,
       true,
       {0.45, "nginx"},
       "the floor answers by itself. Four fifths are the handshake; then a request as in http1_1k, "
       "and "
       "a connection that waits for the client's end: docs/bench.md, \"What bounds what\""},
      {"handshake_resumed",
       "resumed TLS 1.3 handshake",
       all,
       {"handshake", "--resume", "--connections", "32"},
       k1,
       false,
       {1.04, "floor"},
       "as handshake_full: docs/bench.md, \"What bounds what\""},
      {"http1_1k",
       "HTTP/1.1 kept connection, 1 KiB, proxied",
       all,
       http1(k1, "32"),
       k1,
       false,
       {0.80, "nginx"},
       "the floor answers by itself"},
      {"http1_64k",
       "HTTP/1.1 kept connection, 64 KiB, proxied",
       all,
       http1(k64, "32"),
       k64,
       false,
       {0.70, "nginx"},
       "the floor answers by itself"},
      {"http1_1m",
       "HTTP/1.1 kept connection, 1 MiB, proxied",
       all,
       http1(k1024, "8"),
       k1024,
       false,
       {0.80, "nginx"},
       "the floor answers by itself. A third is AES-GCM, half the kernel's, of which half copies: "
       "docs/bench.md, \"What bounds what\""},
      {"http2_1k",
       "HTTP/2, 1 KiB, 16 streams on each of 4 connections, proxied",
       proxies,
       http2(k1),
       k1,
       false,
       {0.80, "nginx"},
       "half of it is the kernel's sending, with 1.6 sends a request: docs/bench.md, \"What bounds "
       "what\""},
      {"http2_64k",
       "HTTP/2, 64 KiB, 16 streams on each of 4 connections, proxied",
       proxies,
       http2(k64),
       k64,
       false,
       {0.65, "nginx"},
       "half of it is the kernel's, a quarter AES-GCM: docs/bench.md, \"What bounds what\""},
  };
  return out;
}

Result<Sample> measure(Lab& lab, const CpuRow& row, const std::string& server) {
  const auto peer = lab.shared(server, row.body, row.close);
  if (!peer) return peer.error();
  std::vector<std::string> arguments = row.arguments;
  const bool quick = lab.options().quick;
  arguments.insert(arguments.end(), {"--sni", stored_name(0), "--duration", quick ? "0.2" : "0.5",
                                     "--warmup", quick ? "0.1" : "0.15"});
  const auto measured = lab.load(**peer, std::move(arguments));
  if (!measured) return measured.error();
  return Sample{measured->server_cpu_us_per_operation(), measured->rate()};
}

}  // namespace

std::vector<Row> measure_cpu(Lab& lab) {
  std::vector<Row> out;
  for (const CpuRow& row : rows()) {
    if (!lab.options().wants(row.id)) continue;
    Row measured{row.id, row.title, "us of CPU", {}, row.target, row.note};
    measured.cells = in_turns(row.servers, lab.options().rounds,
                              [&](const std::string& server) { return measure(lab, row, server); });
    out.push_back(std::move(measured));
  }
  lab.stop_shared();
  return out;
}

}  // namespace latchkey::bench
