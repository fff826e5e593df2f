// A client's handshake over a socket pair: hellos in any split, parked handshakes, refusals.
#include "edge/client_connection.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "base/loop.h"
#include "edge/http/http1_session.h"
#include "tests/edge/tls_test_client.h"
#include "tests/support/test_certificates.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

const TestCa& ca() {
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
  TlsContext tls;
  Log log{STDERR_FILENO, Log::Format::kText, LogLevel::kError};
  HandshakeCounts counts;
  std::atomic<size_t> parked{0}, connections{0};
  WorkerShared shared{.cache = cache,
                      .challenges = challenges,
                      .tls = tls,
                      .log = log,
                      .counts = counts,
                      .parked = parked,
                      .connections = connections,
                      .parking = {.total = 100, .per_name = 100},
                      .park_timeout = 200ms,
                      .hello_timeout = 10s,
                      .max_connections = 100,
                      .https_port = 443,
                      .underscore_names = false,
                      .want_certificate = {},
                      .may_be_served = {}};
  std::vector<ServerName> wanted;
  Parking parking{shared.parking, parked,
                  [this](const ServerName& name) { wanted.push_back(name); }};
  SendGather gather{loop.uv()};
  SessionContext http{loop.clock(),
                      [](RequestHead, ResponseStream&) { return std::unique_ptr<Exchange>(); }};
  bool buried = false;
  ClientConnection::Context context{loop.uv(),
                                    loop.clock(),
                                    shared,
                                    parking,
                                    gather,
                                    [this](Transport& transport, ClientConnection& c) {
                                      return std::make_unique<Http1Session>(
                                          transport, http, ClientInfo(), [&c] { c.close(); });
                                    },
                                    [this](ClientConnection&) { buried = true; }};
  std::unique_ptr<ClientConnection> connection;
};

TEST_F(ClientConnectionTest, ACachedNameIsServedWhateverTheSplitOfTheHello) {
  const CertificatePtr certificate = ca().issue({"a.test"});
  cache.put(a, certificate);
  for (size_t chunk : {1, 2, 5, 37, 100'000}) {
    auto client = connect("A.Test");
    run(*client, chunk);
    EXPECT_TRUE(client->done) << chunk;
  }
  EXPECT_EQ(counts.served.value(), 5u);
  EXPECT_TRUE(wanted.empty());
}

TEST_F(ClientConnectionTest, AParkedHandshakeIsFinishedWithItsCertificate) {
  auto client = connect("a.test");
  run(*client);
  EXPECT_FALSE(client->done);
  ASSERT_EQ(wanted, std::vector<ServerName>{a});
  EXPECT_EQ(parked, 1u);
  const Result<CertificatePtr> outcome = ca().issue({"a.test"});
  parking.resume(a, outcome);
  run(*client);
  EXPECT_TRUE(client->done);
  EXPECT_EQ(parked, 0u);
}

TEST_F(ClientConnectionTest, ADeniedNameIsUnrecognizedAndAFailureIsInternal) {
  for (const auto& [code, alert] : {std::pair(ErrorCode::kDenied, SSL_AD_UNRECOGNIZED_NAME),
                                    std::pair(ErrorCode::kTimeout, SSL_AD_INTERNAL_ERROR)}) {
    auto client = connect("a.test");
    run(*client);
    const Error why{code, "no"};
    parking.resume(a, why);
    run(*client);
    EXPECT_EQ(client->alert, alert);
    EXPECT_TRUE(buried);
  }
}

TEST_F(ClientConnectionTest, NoNameAndUncleanNamesAreRefusedWithoutAsking) {
  for (const char* name : {"", "127.0.0.1", "a..test", "-a.test", "a_b.test", "xn--\x80.test"}) {
    auto client = connect(name);
    run(*client);
    EXPECT_EQ(client->alert, SSL_AD_UNRECOGNIZED_NAME) << name;
  }
  EXPECT_TRUE(wanted.empty());
}

TEST_F(ClientConnectionTest, AClientThatHangsUpWhileParkedIsForgotten) {
  auto client = connect("a.test");
  run(*client);
  EXPECT_EQ(parked, 1u);
  client.reset();
  turn();
  EXPECT_TRUE(buried);
  connection.reset();
  EXPECT_EQ(parked, 0u);
  parking.resume(a, Error{ErrorCode::kDenied, "no"});
}

TEST_F(ClientConnectionTest, AParkedHandshakeIsRefusedWhenItsTimeIsUp) {
  auto client = connect("a.test");
  run(*client);
  while (!buried) uv_run(&loop.uv(), UV_RUN_ONCE);
  EXPECT_EQ(counts.park_timeouts.value(), 1u);
  connection.reset();
  client->step();
  EXPECT_EQ(client->alert, SSL_AD_INTERNAL_ERROR);
}

TEST_F(ClientConnectionTest, AnExpiredCertificateInMemoryIsNotServed) {
  const WallTime now = TestCa::now();
  cache.put(a, ca().issue({"a.test"}, now - 48h, now - 24h));
  auto client = connect("a.test");
  run(*client);
  EXPECT_EQ(wanted.size(), 1u);
}

TEST_F(ClientConnectionTest, AChallengeIsAnsweredOnlyFromThePendingOnes) {
  static const uint8_t kAlpn[] =
      "\x0a"
      "acme-tls/1";
  auto stranger = connect("a.test");
  SSL_set_alpn_protos(stranger->ssl(), kAlpn, sizeof kAlpn - 1);
  run(*stranger);
  EXPECT_EQ(stranger->alert, SSL_AD_UNRECOGNIZED_NAME);
  EXPECT_TRUE(wanted.empty());

  auto offer = challenges.offer_tls_alpn(a, "token.thumbprint");
  ASSERT_TRUE(offer);
  auto probe = connect("a.test");
  SSL_set_alpn_protos(probe->ssl(), kAlpn, sizeof kAlpn - 1);
  run(*probe);
  EXPECT_TRUE(probe->done);
  EXPECT_EQ(counts.challenges.value(), 1u);
}

TEST_F(ClientConnectionTest, GarbageEndsTheConnection) {
  auto client = connect("a.test");
  client->send("GET / HTTP/1.1\r\n\r\n");
  turn();
  EXPECT_TRUE(buried);
  EXPECT_EQ(counts.failed.value(), 1u);
}

}  // namespace
}  // namespace latchkey::edge
