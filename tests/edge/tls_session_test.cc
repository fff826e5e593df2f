// TlsSession towards a client that reads slowly: order, completeness, bounds.
#include "edge/tls_session.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <utility>

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
    return park ? Answer::kPark : Answer::kServe;
  }
  int alert() const override { return 0; }
  bool answers_challenge() const override { return false; }

  bool park = false;

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

// Reads a little at each event, as a session does whose upstream is slow.
class SlowReader final : public Transport::Events {
 public:
  SlowReader(TlsSession& from, size_t limit) : from_(from), limit_(limit) {}
  void on_readable() override {
    std::string bytes(limit_, '\0');
    const auto moved = from_.read(bytes);
    if (moved.io == Transport::Io::kDone) got += bytes.substr(0, moved.bytes);
    ended = ended || moved.io == Transport::Io::kEnd;
    if (ended) from_.want(false, false);
  }
  void on_writable() override {}

  std::string got;
  bool ended = false;

 private:
  TlsSession& from_;
  const size_t limit_;
};

// Both have more in one read than they take; each drives the other's out of the worker's buffer.
TEST_F(TlsSessionTest, ConnectionsThatReadInTurnsLoseNothing) {
  const auto first = std::exchange(session, nullptr);
  const auto first_client = std::move(client);
  SetUp();
  SlowReader one(*first, 700), other(*session, 1100);
  first->set_events(&one);
  session->set_events(&other);
  std::string to_one, to_other;
  for (int i = 0; i < 6; ++i) {
    to_one += std::string(5000, static_cast<char>('a' + i));
    to_other += std::string(3000, static_cast<char>('A' + i));
    first_client->send(first_client->record(to_one.substr(to_one.size() - 5000)));
    client->send(client->record(to_other.substr(to_other.size() - 3000)));
  }
  first_client->send(first_client->farewell());
  client->send(client->farewell());
  first->want(true, false);
  session->want(true, false);
  for (int i = 0; i < 300 && !(one.ended && other.ended); ++i) {
    // Who does not want to read for a while finds it all again.
    first->want(i % 3 != 0, false);
    turn();
  }
  EXPECT_TRUE(one.got == to_one) << one.got.size();
  EXPECT_TRUE(other.got == to_other) << other.got.size();
  EXPECT_TRUE(one.ended && other.ended);
}

class ParkedTlsSessionTest : public TlsSessionTest {
 protected:
  void SetUp() override {
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
    fd = fds[0];
    handler.park = true;
    session = std::make_unique<TlsSession>(loop.uv(), fd, context, handler, ahead, gather);
    client = std::make_unique<TlsTestClient>(fds[1], "a.test");
  }
  int fd = -1;
};

// A flood of parked clients is bounded in number, and so is what each may leave in our memory.
TEST_F(ParkedTlsSessionTest, WhatFollowsAHelloStaysInTheSocket) {
  const std::string hello = client->step(), more(40'000, 'x');
  client->send(hello + more);
  turn();
  ASSERT_EQ(session->handshake(), TlsSession::Step::kParked);
  int left = 0;
  ASSERT_EQ(::ioctl(fd, FIONREAD, &left), 0);
  EXPECT_GE(left, 36'000);
}

TEST_F(ParkedTlsSessionTest, WhoHangsUpIsMissedThoughHeDidBeforeHeWasParked) {
  client->send(client->step());
  client = nullptr;
  turn();
  ASSERT_EQ(session->handshake(), TlsSession::Step::kParked);
  struct Missing final : Transport::Events {
    void on_readable() override {}
    void on_writable() override {}
    void on_hangup() override { ++times; }
    int times = 0;
  } missing;
  session->set_events(&missing);
  session->watch_hangup(true);
  EXPECT_EQ(missing.times, 0);  // from the loop only
  turn();
  turn();
  EXPECT_EQ(missing.times, 1);
}

}  // namespace
}  // namespace latchkey::edge
