// TlsSession towards a client that reads slowly: order, completeness, bounds.
#include "edge/tls_session.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>

#include "base/loop.h"
#include "tests/edge/tls_test_client.h"
#include "tests/support/test_certificates.h"

namespace latchkey::edge {
namespace {

class ServingHandler final : public HelloHandler {
 public:
  Answer on_client_hello(const ssl_early_callback_ctx& hello) override {
    const auto& chain = certificate_->chain();
    SSL_set_chain_and_key(hello.ssl, chain.data(), chain.size(), certificate_->key().get(),
                          nullptr);
    return Answer::kServe;
  }
  int alert() const override { return 0; }
  bool answers_challenge() const override { return false; }

 private:
  CertificatePtr certificate_ = TestCa().issue({"a.test"});
};

class NoEvents final : public Transport::Events {
 public:
  void on_readable() override {}
  void on_writable() override {}
};

class TlsSessionTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
    const int small = 4096;
    ASSERT_EQ(::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    session = std::make_unique<TlsSession>(loop.uv(), fds[0], context, handler, ahead, gather);
    session->set_events(&events);
    client = std::make_unique<TlsTestClient>(fds[1], "a.test");
    bool ready = false;
    for (int i = 0; i < 20 && !(ready && client->done); ++i) {
      client->send(client->step());
      turn();
      ready = session->handshake() == TlsSession::Step::kDone;
    }
    ASSERT_TRUE(ready && client->done);
  }
  void TearDown() override {
    session.reset();
    turn();
  }
  void turn() { uv_run(&loop.uv(), UV_RUN_NOWAIT); }

  Loop loop;
  TlsContext context;
  ServingHandler handler;
  ReadAhead ahead;
  SendGather gather{loop.uv()};
  NoEvents events;
  std::unique_ptr<TlsSession> session;
  std::unique_ptr<TlsTestClient> client;
};

TEST_F(TlsSessionTest, RecordsKeepTheirOrderWhenTheKernelIsFull) {
  for (const size_t size : {65'000U, 70'000U, 200'000U}) {
    SetUp();
    std::string body(size, 'x');
    for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i / 1000 % 26);
    std::string_view rest = body;
    std::string got;
    for (int i = 0; i < 2000 && !client->ended && !client->broken; ++i) {
      while (!rest.empty()) {
        const auto moved = session->write(rest.substr(0, 30'000));
        if (moved.io != Transport::Io::kDone) break;
        rest.remove_prefix(moved.bytes);
      }
      EXPECT_LE(session->unsent(), (64U << 10) + 2 * 17'000U);
      if (rest.empty()) session->finish_writing();
      session->want(false, !rest.empty());
      if (i % 3 == 0) turn();
      got += client->read();
    }
    EXPECT_FALSE(client->broken) << size;
    EXPECT_TRUE(client->ended) << size;
    EXPECT_EQ(got == body, true) << got.size() << " of " << size;
    session.reset();
    turn();
  }
}

}  // namespace
}  // namespace latchkey::edge
