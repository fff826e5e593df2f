#pragma once
// A client's connection over a socket pair, with a cache and parking places but no control thread.

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "edge/client_connection.h"
#include "edge/http/http1_session.h"
#include "tests/edge/tls_test_client.h"
#include "tests/support/test_certificates.h"

namespace latchkey::edge {

using namespace std::chrono_literals;

inline const TestCa& ca() {
  static const TestCa made;
  return made;
}

class ClientConnectionTest : public testing::Test {
 protected:
  void TearDown() override {
    connection.reset();
    turn();
  }

  // Lets the server's loop do what it can do now.
  void turn() {
    for (int i = 0; i < 3; ++i) uv_run(&loop.uv(), UV_RUN_NOWAIT);
  }

  std::unique_ptr<TlsTestClient> connect(const std::string& name) {
    std::array<int, 2> fds{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
    buried = false;
    tls_now = tls;
    connection = std::make_unique<ClientConnection>(context, fds[0], "192.0.2.1");
    return std::make_unique<TlsTestClient>(fds[1], name);
  }

  // Runs the handshake as far as it goes by itself; `chunk` bytes at a time.
  void run(TlsTestClient& client, size_t chunk = 100'000) {
    for (int i = 0; i < 20; ++i) {
      const std::string said = client.step();
      for (size_t at = 0; at < said.size(); at += chunk) {
        client.send(std::string_view(said).substr(at, chunk));
        turn();
        if (buried) connection.reset();
      }
      turn();
      if (buried) connection.reset();
    }
  }

  ServerName a = *ServerName::parse("a.test");
  Loop loop;
  CertificateCache cache{{}};
  acme::ChallengeTable challenges;
  // Of connections from now on.
  void use_tls(const TlsPolicy& policy) { tls = std::make_shared<TlsContext>(policy); }

  std::shared_ptr<TlsContext> tls = std::make_shared<TlsContext>();
  std::shared_ptr<const TlsContext> tls_now;
  Log log{STDERR_FILENO, Log::Format::kText, LogLevel::kError};
  HandshakeCounts counts;
  ProtectionCounts protections;
  std::atomic<size_t> connections{0};
  ParkingBounds bounds{{.total = 100, .per_name = 2, .per_prefix = 3}};
  std::vector<ServerName> wanted, left, rechecked, used;   // main
  std::vector<ServerName> rsa_wanted, rsa_left, rsa_used;  // twins
  WorkerShared shared{
      .cache = cache,
      .challenges = challenges,
      .log = log,
      .counts = counts,
      .protections = protections,
      .parking = bounds,
      .connections = connections,
      .park_timeout = 200ms,
      .hello_timeout = 10s,
      .max_descriptors = 200,
      .https_port = 443,
      .underscore_names = false,
      .want_certificate = {},
      .may_be_served = {},
      .visitors_left = {},
      .visitors_back = {},
      .recheck = [this](const ServerName& name) { rechecked.push_back(name); },
      .note_use = [this](const ServerName& name,
                         Slot slot) { (slot == Slot::kRsa ? rsa_used : used).push_back(name); }};
  Parking parking{bounds,
                  loop.clock(),
                  {.want = [this](const ServerName& name) { wanted.push_back(name); },
                   .left = [this](const ServerName& name) { left.push_back(name); },
                   .back = [](const ServerName&) {}}};
  Parking rsa_parking{bounds,
                      loop.clock(),
                      {.want = [this](const ServerName& name) { rsa_wanted.push_back(name); },
                       .left = [this](const ServerName& name) { rsa_left.push_back(name); },
                       .back = [](const ServerName&) {}},
                      Parking::kRsaAtOnce};
  std::shared_ptr<const Fallback> fallback;
  ReadAhead ahead;
  SendGather gather{loop.uv()};
  SessionContext http{loop.clock(),
                      [](RequestHead, ResponseStream&) { return std::unique_ptr<Exchange>(); }};
  bool buried = false;
  ClientConnection::Context context{loop.uv(),
                                    loop.clock(),
                                    shared,
                                    tls_now,
                                    parking,
                                    rsa_parking,
                                    fallback,
                                    ahead,
                                    gather,
                                    [this](Transport& transport, ClientConnection& c) {
                                      return std::make_unique<Http1Session>(
                                          transport, http, ClientInfo(), [&c] { c.close(); });
                                    },
                                    [this](ClientConnection&) { buried = true; }};
  std::unique_ptr<ClientConnection> connection;
};

}  // namespace latchkey::edge
