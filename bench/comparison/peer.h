#pragma once
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "tests/support/ports.h"
#include "tests/support/process.h"

namespace latchkey::bench {

// What a server is to do. What all of them have in common is not to be set: one worker, TLS 1.3,
// X25519, TLS_AES_128_GCM_SHA256, HTTP/1.1 and HTTP/2, tickets, kept connections to the upstream,
// no access log.
struct PeerSetup {
  // New names, from an ACME CA that validates by tls-alpn-01 at our port.
  struct OnDemand {
    std::string ask;        // URL; empty: all names of kNewNames are allowed (Latchkey only)
    std::string directory;  // URL
    std::filesystem::path ca_file;
  };

  std::filesystem::path folder;      // of its own; made
  uint16_t port = 0;                 // of TLS, on 127.0.0.1
  uint16_t upstream = 0;             // the origin's port, on 127.0.0.1
  std::filesystem::path chain, key;  // PEM: the one certificate. Latchkey has it in its store
  // Many certificates instead: Latchkey's state_dir; a folder of PEM files, each with its key; or
  // HAProxy's list of such files.
  std::filesystem::path certificates{};
  int cached = 100'000;  // certificates in memory at most (Latchkey only)
  std::optional<OnDemand> on_demand{};
  size_t body = 1024;  // what the floor, which has no upstream, answers
  bool close = false;  // ... and ends the connection with it
  int cpu = 1;         // it runs on this core alone
};

inline constexpr std::string_view kNewNames =
    ".new.test";  // the suffix of names to be had on demand

// A server that runs while this lives.
class Peer {
 public:
  static const std::vector<std::string>& servers();  // "latchkey", "floor", "nginx", ...

  // Starts it without waiting. Errors: `server` is unknown, its files cannot be written.
  static Result<std::unique_ptr<Peer>> launch(std::string_view server, const PeerSetup& setup);
  // ... and waits until it takes connections. The error tells what it wrote.
  static Result<std::unique_ptr<Peer>> start(std::string_view server, const PeerSetup& setup,
                                             Millis limit = Millis(20'000));
  // What it says of its version; the error says which package is missing.
  static Result<std::string> version(std::string_view server);
  ~Peer();
  Peer(const Peer&) = delete;

  const std::string& server() const { return server_; }
  uint16_t port() const { return port_; }
  std::string target() const { return "127.0.0.1:" + std::to_string(port_); }
  bool accepts();  // connections, now
  bool running() { return process_.running(); }
  std::string log() const { return process_.output(); }
  Error failure(std::string_view what) const;  // with the end of what it wrote
  // Whose CPU and memory count: the program's, or that of nginx's worker.
  pid_t pid() const { return worker_ > 0 ? worker_ : process_.pid(); }
  const std::filesystem::path& admin_socket() const { return admin_socket_; }  // Latchkey only

 private:
  Peer(std::string_view server, const PeerSetup& setup, test::Process::Options options);
  bool find_worker();

  const std::string server_;
  const uint16_t port_;
  const std::filesystem::path admin_socket_;
  test::Process process_;
  pid_t worker_ = 0;  // of nginx, once there is one
};

// One file each: they write the configuration into setup.folder.
struct PeerProgram {
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env{};
};
PeerProgram latchkey_program(const PeerSetup& setup);
PeerProgram floor_program(const PeerSetup& setup);
PeerProgram nginx_program(const PeerSetup& setup);
PeerProgram haproxy_program(const PeerSetup& setup);
PeerProgram caddy_program(const PeerSetup& setup);

}  // namespace latchkey::bench
