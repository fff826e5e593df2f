#include "edge/http/http1_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "edge/pages.h"
#include "tests/edge/fake_transport.h"
#include "tests/edge/smuggling_table.h"
#include "tests/support/manual_clock.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

class Http1SessionTest : public testing::Test {
 protected:
  // What an exchange saw, in words; it does what the test tells it to.
  class Script final : public Exchange {
   public:
    Script(Http1SessionTest& test, RequestHead head, ResponseStream& stream)
        : test_(test), stream_(stream) {
      test_.story += "[" + head.method + " " + head.target;
      test_.current = this;
      test_.stream = &stream_;
    }
    ~Script() override {
      test_.story += "]";
      test_.current = nullptr;
      test_.stream = nullptr;
    }
    void start() override {
      if (test_.on_start) test_.on_start(stream_);
    }
    void on_body(std::string_view bytes) override {
      test_.body += bytes;
      if (test_.on_piece) test_.on_piece(stream_);
    }
    void on_request_end(const HeaderList&) override {
      test_.story += " end";
      if (test_.on_end) test_.on_end(stream_);
    }
    void on_writable() override { test_.story += " writable"; }

   private:
    Http1SessionTest& test_;
    ResponseStream& stream_;
  };

  static void say_ok(ResponseStream& to, std::string_view text = "ok") {
    ResponseHead head;
    head.status = 200;
    head.headers.add("date", "today");
    head.body = {Body::Kind::kLength, text.size()};
    to.send_head(head);
    to.send_body(text);
    to.finish();
  }

  void open() {
    session.emplace(transport, context, ClientInfo{"192.0.2.1", true, {}}, [this] {
      ++ends;
      session.reset();
    });
  }

  std::string hear(std::string_view bytes) {
    transport.say(bytes);
    transport.deliver();
    return std::exchange(transport.sent, {});
  }

  ManualClock clock;
  FakeTransport transport;
  ProtectionCounts counts;
  SessionContext context{clock,
                         [this](RequestHead head, ResponseStream& to) {
                           return std::make_unique<Script>(*this, std::move(head), to);
                         },
                         {},
                         counts};
  std::optional<Http1Session> session;
  Script* current = nullptr;
  ResponseStream* stream = nullptr;
  std::function<void(ResponseStream&)> on_start, on_piece;
  std::function<void(ResponseStream&)> on_end = [](ResponseStream& to) { say_ok(to); };
  std::string story;
  std::string body;
  int ends = 0;
};

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\nok";

TEST_F(Http1SessionTest, RequestsAreAnsweredOneAfterTheOther) {
  open();
  EXPECT_EQ(hear(kGet), kOk);
  EXPECT_EQ(hear(kGet), kOk);
  EXPECT_EQ(hear(std::string(kGet) + std::string(kGet)), std::string(kOk) + std::string(kOk));
  EXPECT_EQ(story, "[GET / end][GET / end][GET / end][GET / end]");
  EXPECT_EQ(ends, 0);
  EXPECT_TRUE(session->idle());
}

TEST_F(Http1SessionTest, EverySplitOfTheBytesGetsTheSameAnswers) {
  const std::string bytes =
      "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
      "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
      "HEAD /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  open();
  const std::string whole = hear(bytes);
  const std::string told = std::exchange(story, {});
  EXPECT_EQ(body, "helloabc");
  EXPECT_EQ(told, "[POST /a end][POST /b end][HEAD /c end]");
  EXPECT_TRUE(transport.finished);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    session.reset();
    transport = {};
    story.clear();
    if (cut == 0) transport.max_read = 1;  // byte by byte
    open();
    std::string answers = hear(bytes.substr(0, cut));
    answers += hear(bytes.substr(cut));
    ASSERT_EQ(answers, whole) << cut;
    ASSERT_EQ(story, told) << cut;
  }
}

TEST_F(Http1SessionTest, ThousandsOfPipelinedRequestsDoNotPileUp) {
  open();
  std::string many;
  for (int i = 0; i < 5000; ++i) many += kGet;
  EXPECT_EQ(hear(many).size(), 5000 * kOk.size());
}

TEST_F(Http1SessionTest, TheNextRequestWaitsForTheResponse) {
  on_end = nullptr;
  open();
  EXPECT_EQ(hear(std::string(kGet) + std::string(kGet)), "");
  EXPECT_EQ(story, "[GET / end");
  say_ok(*stream);
  EXPECT_EQ(story, "[GET / end][GET / end");
  say_ok(*stream);
  EXPECT_EQ(transport.sent, std::string(kOk) + std::string(kOk));
}

TEST_F(Http1SessionTest, AFloodOfPipelinedRequestsIsNotRead) {
  on_end = nullptr;
  open();
  transport.max_read = 16384;
  std::string flood;
  while (flood.size() < (1 << 20)) flood += kGet;
  hear(flood);
  EXPECT_FALSE(transport.want_read);
  EXPECT_GT(transport.incoming.size(), flood.size() - (128 << 10));
}

TEST_F(Http1SessionTest, BadRequestsAreAnsweredAndNeverServed) {
  for (const BadRequest& bad : kBadRequests) {
    on_end = [](ResponseStream& to) { say_ok(to); };
    transport = {};
    story.clear();
    open();
    const std::string answer = hear(bad.bytes);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + std::to_string(bad.status) + " "))
        << bad.name << ": " << answer;
    EXPECT_NE(answer.find("\r\nconnection: close\r\n"), std::string::npos) << bad.name;
    EXPECT_EQ(story.find("end"), std::string::npos) << bad.name << ": " << story;
    EXPECT_TRUE(transport.finished) << bad.name;
    EXPECT_EQ(hear(kGet), "") << bad.name << ": nothing is read any more";
    clock.advance(3s);
    EXPECT_FALSE(session) << bad.name;
  }
}

TEST_F(Http1SessionTest, OldClientsGetABodyThatEndsWithTheConnection) {
  on_end = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.headers.add("date", "today");
    head.body = {Body::Kind::kChunked, 0};
    to.send_head(head);
    to.send_body("abc");
    to.finish();
  };
  open();
  EXPECT_EQ(hear("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"),
            "HTTP/1.1 200 OK\r\ndate: today\r\nconnection: close\r\n\r\nabc");
  EXPECT_TRUE(transport.finished);
}

TEST_F(Http1SessionTest, UnknownLengthsAreChunked) {
  on_end = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.headers.add("date", "today");
    head.body = {Body::Kind::kUntilClose, 0};
    to.send_head(head);
    to.send_body("abc");
    HeaderList trailers;
    trailers.add("sum", "1");
    to.finish(trailers);
  };
  open();
  EXPECT_EQ(hear(kGet),
            "HTTP/1.1 200 OK\r\ndate: today\r\ntransfer-encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n0\r\nsum: 1\r\n\r\n");
  EXPECT_EQ(hear("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 200 OK\r\ndate: today\r\n\r\n");
}

TEST_F(Http1SessionTest, AShortResponseIsCutNotFinished) {
  on_end = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.body = {Body::Kind::kLength, 10};
    to.send_head(head);
    to.send_body("abc");
    to.finish();
  };
  open();
  hear(kGet);
  EXPECT_EQ(ends, 1);
  EXPECT_FALSE(transport.finished);
}

TEST_F(Http1SessionTest, AResetCutsTheClientOff) {
  on_end = [](ResponseStream& to) { to.reset(); };
  open();
  EXPECT_EQ(hear(kGet), "");
  EXPECT_EQ(ends, 1);
  EXPECT_FALSE(transport.finished);
  EXPECT_EQ(story, "[GET / end]");
}

TEST_F(Http1SessionTest, AClientThatGoesAwayEndsTheExchange) {
  on_end = nullptr;
  open();
  hear(kGet);
  transport.break_off();
  transport.deliver();
  EXPECT_EQ(story, "[GET / end]");
  EXPECT_EQ(ends, 1);
}

TEST_F(Http1SessionTest, AClientThatGoesAwayWithinItsRequestEndsTheExchange) {
  open();
  hear("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
  transport.hang_up();
  transport.deliver();
  EXPECT_EQ(story, "[POST /]");
  EXPECT_EQ(ends, 1);
}

TEST_F(Http1SessionTest, AClientThatClosedItsSideStillGetsItsAnswer) {
  on_end = nullptr;
  open();
  transport.hang_up();
  hear(kGet);
  clock.advance(4s);
  ASSERT_NE(stream, nullptr);
  say_ok(*stream);
  EXPECT_EQ(transport.sent, kOk);
  EXPECT_TRUE(transport.finished);
  EXPECT_EQ(ends, 1);
}

TEST_F(Http1SessionTest, AClientThatClosedItsSideIsNotWaitedForLong) {
  on_end = nullptr;
  open();
  transport.hang_up();
  hear(kGet);
  clock.advance(5s);
  EXPECT_EQ(story, "[GET / end]");
  EXPECT_EQ(ends, 1);
}

TEST_F(Http1SessionTest, AHeadHasTenSecondsInAll) {
  open();
  clock.advance(30s);
  hear("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 9; ++i) {
    clock.advance(1s);
    EXPECT_EQ(hear("X: y\r\n"), "") << i;  // a byte now and then does not help
  }
  clock.advance(1s);
  EXPECT_TRUE(transport.sent.starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(transport.finished);
  clock.advance(2s);
  EXPECT_EQ(ends, 1);
}

TEST_F(Http1SessionTest, AnIdleConnectionIsClosedAfterAMinute) {
  open();
  clock.advance(59s);
  EXPECT_EQ(hear(kGet), kOk);
  clock.advance(59s);
  EXPECT_EQ(ends, 0);
  clock.advance(1s);
  EXPECT_TRUE(transport.finished);
  EXPECT_EQ(transport.sent, "");
  transport.hang_up();
  transport.deliver();
  EXPECT_EQ(ends, 1);
}

TEST_F(Http1SessionTest, EmptyLinesKeepNoConnectionThatRests) {
  open();
  EXPECT_EQ(hear(kGet), kOk);
  for (int i = 0; i < 7 && ends == 0 && !transport.finished; ++i) {
    hear("\r\n");
    clock.advance(10s);
  }
  EXPECT_TRUE(transport.finished || ends == 1);
}

TEST_F(Http1SessionTest, WhatTheLimitsMeetIsCounted) {
  const auto begin = [this] {
    session.reset();
    transport = {};
    open();
  };
  begin();
  hear("GET / HTTP/1.1\r\n");
  clock.advance(11s);
  EXPECT_EQ(counts.slow_heads.value(), 1u);
  begin();
  hear("GET /" + std::string(10'000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(counts.large_heads.value(), 1u);
  begin();
  hear("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
  EXPECT_EQ(counts.malformed_heads.value(), 1u);
  begin();
  hear("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
  clock.advance(61s);
  EXPECT_EQ(counts.slow_bodies.value(), 1u);
  begin();
  transport.room = 10;
  hear(kGet);
  clock.advance(61s);
  EXPECT_EQ(counts.slow_readers.value(), 1u);
  begin();
  hear(kGet);
  clock.advance(61s);
  EXPECT_EQ(counts.slow_bodies.value() + counts.slow_readers.value() + counts.slow_heads.value(),
            3u)
      << "to rest is no sin";
}

TEST_F(Http1SessionTest, ABodyThatStallsIsGivenUp) {
  open();
  hear("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
  clock.advance(59s);
  hear("l");
  clock.advance(59s);
  EXPECT_EQ(ends, 0);
  clock.advance(1s);
  EXPECT_EQ(ends, 1);
}

TEST_F(Http1SessionTest, WaitingForTheExchangeHasNoLimitOfOurs) {
  on_end = nullptr;
  open();
  hear(kGet);
  clock.advance(1h);
  EXPECT_EQ(ends, 0);
}

TEST_F(Http1SessionTest, AClientThatDoesNotReadHoldsTheExchangeBackAndIsGivenUp) {
  on_end = [this](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.body = {Body::Kind::kLength, 1 << 20};
    to.send_head(head);
    int pieces = 0;
    while (!to.full() && pieces < 100) {
      to.send_body(std::string(16384, 'x'));
      ++pieces;
    }
    story += " " + std::to_string(pieces) + " pieces";
  };
  transport.room = 100;
  open();
  hear(kGet);
  EXPECT_EQ(story, "[GET / end 5 pieces");
  transport.room = 1 << 20;
  transport.deliver();
  EXPECT_EQ(story, "[GET / end 5 pieces writable");
  transport.room = 0;
  stream->send_body(std::string(16384, 'x'));
  clock.advance(61s);
  EXPECT_EQ(ends, 1);
}

// An exchange that keeps its output full until it is told to stop.
TEST_F(Http1SessionTest, AnOutputThatIsEmptiedBySomethingElseWakesTheExchangeToo) {
  on_end = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.body = {Body::Kind::kLength, 1 << 20};
    to.send_head(head);
    while (!to.full()) to.send_body(std::string(16384, 'x'));
  };
  transport.room = 100;
  open();
  hear(kGet);
  ASSERT_TRUE(transport.want_write);
  transport.room = SIZE_MAX;
  session->drain();  // any event that comes before the one for writing
  EXPECT_FALSE(transport.want_write) << "so that one never comes";
  clock.advance(0ms);
  EXPECT_EQ(story, "[GET / end writable");
  clock.advance(0ms);
  EXPECT_EQ(story, "[GET / end writable") << "it was told once";

  transport.room = 100;
  while (!stream->full()) stream->send_body(std::string(16384, 'x'));
  transport.room = SIZE_MAX;
  transport.deliver();
  EXPECT_EQ(story, "[GET / end writable writable");
  session.reset();
}

TEST_F(Http1SessionTest, AFullOutputOfOneExchangeDoesNotHoldBackTheNext) {
  bool first = true;
  on_end = [&](ResponseStream& to) {
    if (!std::exchange(first, false)) {
      EXPECT_FALSE(to.full());
      return say_ok(to);
    }
    ResponseHead head;
    head.status = 200;
    head.body = {Body::Kind::kLength, 80 << 10};
    to.send_head(head);
    to.send_body(std::string(80 << 10, 'x'));
    EXPECT_TRUE(to.full());
  };
  transport.room = 100;
  open();
  hear(kGet);
  transport.room = SIZE_MAX;
  stream->finish();
  clock.advance(0ms);
  EXPECT_TRUE(hear(kGet).ends_with("ok"));
}

TEST_F(Http1SessionTest, APausedBodyIsNotReadAndGoesOnLater) {
  on_piece = [](ResponseStream& to) { to.pause_body(); };
  open();
  transport.max_read = 16384;
  hear("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + std::string(1000000, 'x'));
  EXPECT_FALSE(transport.want_read);
  EXPECT_LE(body.size() + (64 << 10), 1000000U);
  for (int i = 0; i < 1000 && current != nullptr; ++i) {
    stream->resume_body();
    clock.advance(0ms);
    transport.deliver();
  }
  EXPECT_EQ(body.size(), 1000000U);
  EXPECT_EQ(transport.sent, kOk);
}

TEST_F(Http1SessionTest, AnExpectationIsMetWhenTheExchangeMeetsIt) {
  open();
  EXPECT_EQ(hear("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
            "");
  ResponseHead go_on;
  go_on.status = 100;
  stream->send_interim(go_on);
  stream->flush();
  EXPECT_EQ(std::exchange(transport.sent, {}), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(hear("hi"), kOk);
  EXPECT_EQ(hear(kGet), kOk);
}

TEST_F(Http1SessionTest, AnExpectationThatIsNotMetClosesTheConnection) {
  open();
  hear("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  say_ok(*stream);
  EXPECT_NE(transport.sent.find("connection: close"), std::string::npos);
  EXPECT_TRUE(transport.finished);
}

TEST_F(Http1SessionTest, TheRestOfAnUnwantedBodyIsPassedOver) {
  on_start = [](ResponseStream& to) { say_ok(to); };
  on_end = nullptr;
  open();
  EXPECT_EQ(hear("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"), kOk);
  EXPECT_EQ(hear(kGet), kOk);
  EXPECT_EQ(ends, 0);
  transport.max_read = 16384;
  hear("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + std::string(1 << 20, 'x'));
  EXPECT_EQ(ends, 1) << "but not for ever";
  EXPECT_EQ(body, "");
}

TEST_F(Http1SessionTest, AnUpgradeBecomesTwoStreamsWithHalfClose) {
  on_end = nullptr;
  open();
  hear("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly");
  ResponseHead head;
  head.status = 101;
  head.upgrade = "websocket";
  on_end = [](ResponseStream&) {};
  stream->send_head(head);
  stream->send_body("\x81\x02hi");
  stream->flush();
  clock.advance(0ms);
  EXPECT_EQ(std::exchange(transport.sent, {}),
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
            "\x81\x02hi");
  EXPECT_EQ(body, "early");
  hear("GET / HTTP/1.1\n\n");
  EXPECT_EQ(body, "earlyGET / HTTP/1.1\n\n");
  clock.advance(1h);
  EXPECT_EQ(ends, 0);
  transport.hang_up();
  transport.deliver();
  EXPECT_EQ(story, "[GET / end end");
  stream->send_body("bye");
  stream->finish();
  EXPECT_EQ(transport.sent, "bye");
  EXPECT_TRUE(transport.finished);
  EXPECT_EQ(ends, 1);
}

TEST_F(Http1SessionTest, DrainingFinishesTheExchangeFirst) {
  on_end = nullptr;
  open();
  hear(kGet);
  session->drain();
  EXPECT_EQ(ends, 0);
  say_ok(*stream);
  EXPECT_NE(transport.sent.find("connection: close"), std::string::npos);
  EXPECT_TRUE(transport.finished);
}

TEST_F(Http1SessionTest, ASlowClientGetsTheLastBytesAlsoAfterTheLinger) {
  open();
  transport.held = 50'000;  // a TLS session keeps what the kernel did not take
  hear("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(transport.finished);
  clock.advance(30s);
  EXPECT_EQ(ends, 0);
  EXPECT_TRUE(transport.want_write);  // to learn when they have gone
  transport.held = 0;
  transport.deliver();
  clock.advance(1999ms);
  EXPECT_EQ(ends, 0);
  clock.advance(1ms);
  EXPECT_EQ(ends, 1);
}

TEST_F(Http1SessionTest, AnswersThatNobodyReadsDoNotPileUp) {
  on_end = [](ResponseStream& to) { say_ok(to, std::string(30'000, 'x')); };
  open();
  transport.room = 0;
  std::string many;
  for (int i = 0; i < 2000; ++i) many += kGet;
  for (int i = 0; i < 50 && transport.want_read; ++i) hear(many);
  EXPECT_FALSE(transport.want_read);
  EXPECT_LE(std::count(story.begin(), story.end(), '['), 4);
  clock.advance(59s);
  EXPECT_EQ(ends, 0);
  clock.advance(1s);
  EXPECT_EQ(ends, 1);
}

TEST_F(Http1SessionTest, AClientThatOnlyListensIsNotCutWhenItFirstKeepsUsWaiting) {
  on_end = {};
  open();
  hear(kGet);
  ResponseHead head;
  head.status = 200;
  head.body = {Body::Kind::kChunked, 0};
  stream->send_head(head);
  for (int i = 0; i < 10; ++i) {  // an event stream, for longer than any idle time
    clock.advance(30s);
    stream->send_body("tick");
    stream->flush();
  }
  transport.room = 0;
  stream->send_body(std::string(200'000, 'x'));
  stream->flush();
  clock.advance(59s);
  EXPECT_EQ(ends, 0);
  transport.room = SIZE_MAX;
  transport.deliver();
  clock.advance(10min);
  EXPECT_EQ(ends, 0);
}

TEST_F(Http1SessionTest, AfterALongAnswerTheNextRequestHasItsWholeTime) {
  on_end = {};
  open();
  hear(kGet);
  clock.advance(5min);
  say_ok(*stream);
  clock.advance(59s);
  EXPECT_EQ(ends, 0);
  hear("GET / HT");
  clock.advance(9s);
  EXPECT_EQ(ends, 0);
}

TEST_F(Http1SessionTest, WhoCameJustBeforeTheEndGetsOneAnswer) {
  open();
  session->drain_after_next();
  EXPECT_EQ(ends, 0);
  EXPECT_EQ(hear(std::string(kGet) + std::string(kGet)),
            "HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
  EXPECT_EQ(story, "[GET / end]");
  EXPECT_TRUE(transport.finished);
}

TEST_F(Http1SessionTest, DrainingClosesAnIdleConnection) {
  open();
  session->drain();
  EXPECT_TRUE(transport.finished);
  transport.hang_up();
  transport.deliver();
  EXPECT_EQ(ends, 1);
}

TEST_F(Http1SessionTest, ASessionMayBeDroppedAtAnyMoment) {
  on_end = nullptr;
  const std::string bytes =
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + std::string(kGet);
  for (size_t i = 0; i <= bytes.size(); ++i) {
    transport = {};
    open();
    hear(bytes.substr(0, i));
    session.reset();
    EXPECT_EQ(current, nullptr);
    EXPECT_FALSE(transport.watched());
  }
  EXPECT_LE(clock.pending(), 1U);  // of all that rest
  clock.advance(2min);
  EXPECT_EQ(clock.pending(), 0U);
  EXPECT_EQ(ends, 0);
}

TEST_F(Http1SessionTest, OfSeveralThatRestEachEndsAtItsTime) {
  open();
  clock.advance(50s);
  FakeTransport other;
  int others_ends = 0;
  std::optional<Http1Session> second(std::in_place, other, context, ClientInfo{}, [&] {
    ++others_ends;
    second.reset();
  });
  hear(kGet);  // the first rests from here on: until 110 s
  clock.advance(10s);
  hear(kGet);  // ... and then until 120 s, longer than the second, which came later
  clock.advance(49'999ms);
  EXPECT_FALSE(other.finished || transport.finished);
  clock.advance(1ms);
  EXPECT_TRUE(other.finished);
  EXPECT_FALSE(transport.finished);
  clock.advance(9'999ms);
  EXPECT_FALSE(transport.finished);
  clock.advance(1ms);
  EXPECT_TRUE(transport.finished);
  clock.advance(1min);  // nobody reads our last words
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(others_ends, 1);
}

TEST_F(Http1SessionTest, ALaterOneOfThoseThatRestHoldsUpNoEarlierOne) {
  open();
  clock.advance(20s);
  hear(kGet);  // until 80 s
  clock.advance(35s);
  FakeTransport other;
  std::optional<Http1Session> second(std::in_place, other, context, ClientInfo{},
                                     [&] { second.reset(); });  // until 115 s
  clock.advance(24'999ms);
  EXPECT_FALSE(transport.finished);
  clock.advance(1ms);
  EXPECT_TRUE(transport.finished);
  EXPECT_FALSE(other.finished);
}

}  // namespace
}  // namespace latchkey::edge
