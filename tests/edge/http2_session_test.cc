#include "edge/http/http2_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>

#include "edge/http/read_buffer.h"
#include "edge/pages.h"
#include "tests/edge/http2_session_fixture.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Client = Http2TestClient;

TEST_F(Http2SessionTest, ARequestIsAnswered) {
  open();
  const auto& answer = ask(Client::get("/a?b"));
  EXPECT_EQ(answer.status, "200");
  EXPECT_EQ(answer.body, "ok");
  EXPECT_EQ(answer.header("content-length"), "2");
  EXPECT_NE(answer.header("date"), "");
  EXPECT_EQ(answer.closed, NGHTTP2_NO_ERROR);
  EXPECT_EQ(story, "[GET /a?b end]");
  const RequestHead& head = heads["/a?b"];
  EXPECT_EQ(head.authority, "a.test");
  EXPECT_EQ(head.scheme, "https");
  EXPECT_TRUE(head.http2);
  EXPECT_EQ(head.body.kind, Body::Kind::kNone);
  EXPECT_EQ(ends, 0);
  EXPECT_EQ(client->settings[NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS], 128u);
  EXPECT_EQ(client->settings[NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL], 1u);
}

TEST_F(Http2SessionTest, RequestsAreAnsweredBesideEachOther) {
  on_end = nullptr;
  open();
  const int32_t first = client->request(Client::get("/1")),
                second = client->request(Client::get("/2"));
  talk();
  ASSERT_EQ(streams.size(), 2u);
  say(*streams["/2"], "two");
  talk();
  EXPECT_EQ(client->answers[second].body, "two");
  EXPECT_EQ(client->answers[first].status, "");
  say(*streams["/1"], "one");
  talk();
  EXPECT_EQ(client->answers[first].body, "one");
  EXPECT_TRUE(streams.empty());
}

TEST_F(Http2SessionTest, BytesMayComeInAnyPieces) {
  transport.max_read = 1;
  open();
  const int32_t id = client->request(Client::get("/up", "POST"), {"hello", true, {{"x-sum", "7"}}});
  talk();
  EXPECT_EQ(bodies["/up"], "hello");
  EXPECT_EQ(story, "[POST /up end x-sum=7]");
  EXPECT_EQ(client->answers[id].body, "ok");
  EXPECT_EQ(heads["/up"].body.kind, Body::Kind::kChunked);
}

TEST_F(Http2SessionTest, TrailersFollowABody) {
  HeaderList trailers;
  trailers.add("grpc-status", "0");
  on_end = [&](ResponseStream& to) { say(to, "message", trailers); };
  open();
  const auto& answer = ask(Client::get());
  EXPECT_EQ(answer.body, "message");
  EXPECT_THAT(answer.trailers,
              ElementsAre(std::pair<std::string, std::string>("grpc-status", "0")));
  EXPECT_TRUE(answer.ended);
}

TEST_F(Http2SessionTest, TrailersThatWouldMeanSomethingElseAreDropped) {
  open();
  client->request(Client::get("/up", "POST"),
                  {"hello", true, {{"host", "b"}, {"authorization", "c"}, {"x-sum", "7"}}});
  talk();
  EXPECT_EQ(story, "[POST /up end x-sum=7]");
}

TEST_F(Http2SessionTest, MethodsThatHttp1DoesNotTakeAreNotTakenHereEither) {
  open();
  for (const char* method : {"get", "FROB", "DESCRIBE", "PRI"}) {
    EXPECT_EQ(ask(Client::get("/", method)).status, "501") << method;
  }
  EXPECT_EQ(ask(Client::get("/", "PROPFIND")).status, "200");
}

TEST_F(Http2SessionTest, ResponsesWithoutBodyCarryNone) {
  on_end = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.body = {Body::Kind::kLength, 1234};
    to.send_head(head);
    to.send_body("must not go out");
    to.finish();
  };
  open();
  const auto& answer = ask(Client::get("/", "HEAD"));
  EXPECT_EQ(answer.header("content-length"), "1234");
  EXPECT_EQ(answer.body, "");
  EXPECT_TRUE(answer.ended);
}

TEST_F(Http2SessionTest, InterimResponsesComeBefore) {
  on_start = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 100;
    to.send_interim(head);
  };
  open();
  const int32_t id =
      client->request(with(Client::get("/", "POST"), "expect", "100-continue"), {"body", true});
  talk();
  EXPECT_THAT(client->answers[id].interim, ElementsAre("100"));
  EXPECT_EQ(client->answers[id].body, "ok");
  EXPECT_TRUE(heads["/"].expect_continue);
}

// ---- back-pressure

TEST_F(Http2SessionTest, ABodyThatIsNotTakenIsBoundedByItsWindow) {
  on_start = [](ResponseStream& to) { to.pause_body(); };
  open();
  const int32_t id = client->request(Client::get("/", "POST"), {std::string(2 << 20, 'x'), true});
  talk();
  EXPECT_EQ(bodies["/"].size(), 0u);
  int pieces = 0;
  on_piece = [&](ResponseStream& to, std::string_view) {
    if (++pieces == 1) to.pause_body();
  };
  streams["/"]->resume_body();
  talk();
  EXPECT_EQ(bodies["/"].size(), size_t{context.limits.http2.stream_window});
  streams["/"]->resume_body();
  talk();
  EXPECT_EQ(bodies["/"].size(), size_t{2} << 20);
  EXPECT_EQ(client->answers[id].body, "ok");
}

TEST_F(Http2SessionTest, OnePausedBodyDoesNotKeepTheOthersAway) {
  on_start = [this](ResponseStream& to) {
    if (streams.size() == 1) to.pause_body();
  };
  open();
  client->request(Client::get("/slow", "POST"), {std::string(1 << 20, 'x'), true});
  talk();
  client->request(Client::get("/fast", "POST"), {std::string(1 << 20, 'x'), true});
  talk();
  EXPECT_EQ(bodies["/slow"].size(), 0u);
  EXPECT_EQ(bodies["/fast"].size(), size_t{1} << 20);
}

TEST_F(Http2SessionTest, AClientsWindowHoldsTheExchangeBack) {
  size_t said = 0;
  const std::string piece(10'000, 'x');
  const auto fill = [&](ResponseStream& to) {
    while (!to.full() && said < 1'000'000) {
      to.send_body(piece);
      said += piece.size();
    }
    if (said >= 1'000'000) to.finish();
  };
  on_end = [&](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.body.kind = Body::Kind::kChunked;
    to.send_head(head);
    fill(to);
  };
  on_room = fill;
  open();
  transport.room = 100'000;  // and then the socket takes no more
  const int32_t id = client->request(Client::get());
  talk();
  EXPECT_LT(said, 400'000u);
  transport.room = SIZE_MAX;
  talk();
  EXPECT_EQ(client->answers[id].body.size(), 1'000'000u);
  EXPECT_TRUE(client->answers[id].ended);
  EXPECT_TRUE(streams.empty());
}

// ---- ends

// As an upstream's answer comes: in the buffer that this thread reads into.
TEST_F(Http2SessionTest, ALargeBodyLeavesInWholeRecords) {
  on_end = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.body = {Body::Kind::kLength, 65'520};
    to.send_head(head);
  };
  open(1 << 20);
  const int32_t id = client->request(Client::get());
  talk();
  transport.writes.clear();
  const auto buffer = read_buffer();
  for (size_t i = 0; i < 65'520; ++i) buffer[i] = static_cast<char>('a' + i % 23);
  const std::string body(buffer.data(), 65'520);
  streams["/"]->send_body({buffer.data(), body.size()});
  streams["/"]->finish();
  talk();
  EXPECT_TRUE(client->answers[id].body == body);
  EXPECT_TRUE(client->answers[id].ended);
  // 4 full ones, and what the frames' heads have displaced.
  EXPECT_THAT(transport.writes, ElementsAre(16'384, 16'384, 16'384, 16'384, 20 + 9));
}

TEST_F(Http2SessionTest, PiecesOfAnySizeMakeTheSameBody) {
  on_end = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.body.kind = Body::Kind::kChunked;
    to.send_head(head);
  };
  for (const uint32_t window : {20'000u, 1u << 20}) {
    open(window);
    const int32_t id = client->request(Client::get());
    talk();
    std::string body;
    std::mt19937 random(3);
    for (int i = 0; i < 200; ++i) {
      const size_t size =
          std::uniform_int_distribution<size_t>(1, i % 3 == 0 ? 60'000 : 20'000)(random);
      std::string piece;
      while (piece.size() < size) piece += std::to_string(body.size() + piece.size()) + ",";
      piece.resize(size);
      transport.room = i % 5 == 0 ? 10'000 : SIZE_MAX;
      body += piece;
      std::copy(piece.begin(), piece.end(), read_buffer().begin());
      streams["/"]->send_body(i % 2 == 0 ? std::string_view(piece)
                                         : std::string_view(read_buffer().data(), size));
      if (i % 4 != 1) {
        streams["/"]->flush();
        transport.room = SIZE_MAX;
        talk();
        EXPECT_EQ(client->answers[id].body.size(), body.size()) << "after a flush all is there";
      }
    }
    streams["/"]->finish();
    talk();
    EXPECT_TRUE(client->answers[id].body == body);
    EXPECT_TRUE(client->answers[id].ended);
    session.reset();
  }
}

TEST_F(Http2SessionTest, AResetDropsTheExchange) {
  on_end = nullptr;
  open();
  const int32_t id = client->request(Client::get());
  talk();
  client->cancel(id);
  talk();
  EXPECT_EQ(story, "[GET / end]");
  EXPECT_EQ(ends, 0);
}

TEST_F(Http2SessionTest, BodiesThatAreGivenUpLeaveTheConnectionsWindowWhole) {
  on_start = [](ResponseStream& to) { to.pause_body(); };
  open();
  for (int i = 0; i < 10; ++i) {
    const int32_t id = client->request(Client::get("/", "POST"), {std::string(1 << 20, 'x'), true});
    talk();
    client->cancel(id);
    talk();
  }
  on_start = nullptr;
  client->request(Client::get("/last", "POST"), {std::string(1 << 20, 'x'), true});
  talk();
  EXPECT_EQ(bodies["/last"].size(), size_t{1} << 20);
}

TEST_F(Http2SessionTest, APartIsNotTakenForTheWhole) {
  on_end = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.body = {Body::Kind::kLength, 10};
    to.send_head(head);
    to.send_body("half");
    to.finish();
  };
  open();
  const auto& answer = ask(Client::get());
  EXPECT_FALSE(answer.ended);
  EXPECT_EQ(answer.closed, NGHTTP2_INTERNAL_ERROR);
  EXPECT_EQ(ask(Client::get("/2")).closed, NGHTTP2_INTERNAL_ERROR) << "the others go on";
}

TEST_F(Http2SessionTest, AnEarlyAnswerEndsTheUpload) {
  on_start = [](ResponseStream& to) { answer_page(to, 413, "too much"); };
  open();
  const int32_t id = client->request(Client::get("/", "POST"), {std::string(5 << 20, 'x'), true});
  talk();
  EXPECT_EQ(client->answers[id].status, "413");
  EXPECT_EQ(client->answers[id].closed, NGHTTP2_NO_ERROR);
  on_start = nullptr;
  EXPECT_EQ(ask(Client::get("/2")).body, "ok") << "its window is whole again";
}

TEST_F(Http2SessionTest, ADrainLetsWhatRunsFinish) {
  on_end = nullptr;
  open();
  const int32_t first = client->request(Client::get("/1"));
  talk();
  session->drain();
  talk();
  EXPECT_EQ(client->goaway, NGHTTP2_NO_ERROR);
  EXPECT_EQ(client->last_taken, INT32_MAX) << "what is on its way is taken";
  clock.advance(1s);
  talk();
  EXPECT_EQ(client->last_taken, first);
  EXPECT_FALSE(transport.finished);
  say(*streams["/1"], "done");
  talk();
  EXPECT_EQ(client->answers[first].body, "done");
  EXPECT_TRUE(transport.finished);
  transport.hang_up();
  transport.deliver();
  EXPECT_EQ(ends, 1);
}

TEST_F(Http2SessionTest, AnIdleConnectionIsDrainedAtOnce) {
  open();
  session->drain();
  talk();
  EXPECT_EQ(client->goaway, NGHTTP2_NO_ERROR);
  EXPECT_TRUE(transport.finished);
  clock.advance(context.limits.linger_time + 1s);
  EXPECT_EQ(ends, 1);
}

TEST_F(Http2SessionTest, OneMoreRequestAndNoMore) {
  open();
  session->drain_after_next();
  EXPECT_EQ(ask(Client::get()).body, "ok");
  EXPECT_EQ(client->goaway, NGHTTP2_NO_ERROR);
  EXPECT_TRUE(transport.finished);
}

TEST_F(Http2SessionTest, ItMayGoAtAnyMoment) {
  for (int step = 0; step < 6; ++step) {
    SCOPED_TRACE(step);
    transport = {};
    story.clear();
    streams.clear();
    on_start = [&](ResponseStream& to) {
      if (step == 0) to.pause_body();
    };
    on_end = nullptr;
    open();
    client->request(Client::get("/", "POST"), {"body", step != 1});
    talk();
    ResponseHead head;
    head.status = step == 2 ? 103 : 200;
    head.body.kind = Body::Kind::kChunked;
    if (step == 2) streams["/"]->send_interim(head);
    if (step >= 3) streams["/"]->send_head(head);
    if (step >= 4) streams["/"]->send_body("part");
    if (step == 5) streams["/"]->flush();
    session.reset();
    EXPECT_THAT(story, HasSubstr("]"));
  }
}

// ---- what clients may not do

TEST_F(Http2SessionTest, WhatWouldMeanTwoThingsUpstreamIsRefused) {
  open();
  const struct {
    const char* name;
    Client::Fields fields;
    const char* status;  // "": the stream is reset
  } kCases[] = {
      {"a Host of another name", with(Client::get(), "host", "b.test"), "400"},
      {"a path that is none",
       {{":method", "GET"},
        {":scheme", "https"},
        {":authority", "a.test"},
        {":path", "http://b.test/"}},
       ""},
      {"blanks in a path", Client::get("/a b"), ""},
      {"CR LF in a value", with(Client::get(), "x", "a\r\nb: c"), ""},
      {"Connection", with(Client::get(), "connection", "close"), ""},
      {"Transfer-Encoding", with(Client::get(), "transfer-encoding", "chunked"), ""},
      {"two lengths", with(with(Client::get(), "content-length", "1"), "content-length", "2"), ""},
      {"a signed length", with(Client::get(), "content-length", "+1"), ""},
      {"a length without a body", with(Client::get(), "content-length", "5"), ""},
      {"no method", {{":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}}, ""},
      {"two paths", with(Client::get(), ":path", "/b"), ""},
      {"CONNECT", {{":method", "CONNECT"}, {":authority", "a.test:443"}}, "501"},
      {"a bad authority",
       {{":method", "GET"}, {":scheme", "https"}, {":authority", "a@b"}, {":path", "/"}},
       "400"},
      {"a long path", Client::get("/" + std::string(9'000, 'p')), "414"},
      {"a large head", with(Client::get(), "x", std::string(40'000, 'h')), "431"},
  };
  for (const auto& one : kCases) {
    SCOPED_TRACE(one.name);
    const auto& answer = ask(one.fields);
    EXPECT_EQ(answer.status, one.status);
    EXPECT_TRUE(answer.closed);
    ASSERT_EQ(ends, 0);
  }
  const auto id = static_cast<uint32_t>(client->request(Client::get()));
  const std::string head = client->said();
  client->cancel(static_cast<int32_t>(id));
  client->said();
  transport.say(Client::raw(NGHTTP2_HEADERS, 5, id,
                            "\x82\x87\x84\x41\x06"
                            "a.test\x10\x03X-Y\x01z"));
  talk();
  EXPECT_EQ(story, "") << "none reached an exchange";
}

TEST_F(Http2SessionTest, TooManyFieldsAreRefused) {
  open();
  Client::Fields fields = Client::get();
  for (int i = 0; i < 101; ++i) fields.emplace_back("x-" + std::to_string(i), "y");
  EXPECT_EQ(ask(fields).status, "431");
  EXPECT_EQ(ask(Client::get()).status, "200");
}

TEST_F(Http2SessionTest, CrumbsOfACookieBecomeOne) {
  open();
  ask(with(with(Client::get(), "cookie", "a=1"), "cookie", "b=2"));
  EXPECT_EQ(heads["/"].headers.get("cookie"), "a=1; b=2");
  EXPECT_EQ(heads["/"].headers.count("cookie"), 1u);
}

TEST_F(Http2SessionTest, RapidResetsEndTheConnection) {
  on_end = nullptr;
  open();
  for (int i = 0; i < 3'000 && !client->goaway; ++i) {
    const int32_t id = client->request(Client::get());
    transport.say(client->said());
    client->cancel(id);
    if (i % 50 == 0) talk();
  }
  talk();
  EXPECT_EQ(client->goaway, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_TRUE(transport.finished);
}

TEST_F(Http2SessionTest, ARequestThatIsResetAtOnceIsNeverBegun) {
  int begun = 0;
  on_start = [&](ResponseStream&) { ++begun; };
  on_end = nullptr;
  open();
  for (int i = 0; i < 100; ++i) {
    const int32_t id = client->request(Client::get());
    transport.say(client->said());
    client->cancel(id);
  }
  talk();
  EXPECT_EQ(begun, 0);
  client->request(Client::get());
  talk();
  EXPECT_EQ(begun, 1);
}

TEST_F(Http2SessionTest, ResetsAtAHumanPaceAreFine) {
  on_end = nullptr;
  open();
  for (int i = 0; i < 3'000; ++i) {
    const int32_t id = client->request(Client::get());
    talk();
    client->cancel(id);
    talk();
    clock.advance(30ms);
  }
  EXPECT_FALSE(client->goaway);
}

TEST_F(Http2SessionTest, FramesThatServeNoPurposeEndTheConnection) {
  const std::string window("\0\0\0\1", 4), ping(8, 'p'), nothing, priority("\0\0\0\0\1", 5);
  const std::string setting("\0\4\0\1\0\0", 6);
  const struct {
    const char* name;
    std::string frame;
  } kCases[] = {
      {"pings", Client::raw(NGHTTP2_PING, 0, 0, ping)},
      {"settings", Client::raw(NGHTTP2_SETTINGS, 0, 0, setting)},
      {"tiny windows", Client::raw(NGHTTP2_WINDOW_UPDATE, 0, 0, window)},
      {"empty data", Client::raw(NGHTTP2_DATA, 0, 1, nothing)},
      {"unknown", Client::raw(0x77, 0, 0, nothing)},
      {"priorities", Client::raw(NGHTTP2_PRIORITY, 0, 1, priority)},
  };
  for (const auto& one : kCases) {
    SCOPED_TRACE(one.name);
    session.reset();
    transport = {};
    on_end = nullptr;
    open();
    client->request(Client::get("/", "POST"), {"", false});
    talk();
    for (int i = 0; i < 1'100 && !client->goaway && session; ++i) {
      transport.say(one.frame);
      if (i % 100 == 0) talk();
    }
    talk();
    EXPECT_TRUE(transport.finished || !session);
  }
}

// A client that makes us reset its streams (CVE-2025-8671): windows of 0 are stream errors.
TEST_F(Http2SessionTest, MadeResetsEndTheConnection) {
  on_end = nullptr;
  open();
  const std::string zero(4, '\0');
  for (int i = 0; i < 3'000 && !client->goaway && session; ++i) {
    const int32_t id = client->request(Client::get());
    transport.say(client->said());
    transport.say(Client::raw(NGHTTP2_WINDOW_UPDATE, 0, static_cast<uint32_t>(id), zero));
    if (i % 50 == 0) talk();
  }
  talk();
  EXPECT_TRUE(client->goaway);
}

TEST_F(Http2SessionTest, AHeadThatGoesOnForEverIsCutOff) {
  open();
  // HEADERS without its end, then CONTINUATION upon CONTINUATION (CVE-2024-27316).
  transport.say(Client::raw(NGHTTP2_HEADERS, 0, 1, "\x82\x87\x84"));
  for (int i = 0; i < 100 && session; ++i) {
    transport.say(Client::raw(NGHTTP2_CONTINUATION, 0, 1, std::string(1000, '\x82')));
  }
  talk();
  EXPECT_EQ(ends, 1);
}

// A few bytes that stand for very many: an entry of the table, named again and again.
TEST_F(Http2SessionTest, ABombOfFieldsTakesNoMemory) {
  open();
  std::string block = "\x82\x87\x84\x41\x01";  // GET, https, /, :authority of 1 byte:
  block += 'a';
  block += "\x40\x01x\x7f\x81\x1e";  // x: a value of 4000 bytes, which goes into the table
  block += std::string(4000, 'v');
  block += std::string(10'000, '\xbe');  // ... and is named ten thousand times
  transport.say(
      Client::raw(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, block));
  talk();
  EXPECT_EQ(story, "");
  EXPECT_EQ(ends, 0);
  // The entry is still the newest: bombs upon bombs end the connection.
  const std::string more =
      "\x82\x87\x84\x41\x01"
      "a" +
      std::string(10'000, '\xbe');
  for (uint32_t id = 3; id < 2'300 && session && !transport.finished; id += 2) {
    transport.say(
        Client::raw(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id, more));
    talk();
  }
  EXPECT_EQ(story, "");
  EXPECT_TRUE(transport.finished);
}

// ---- time

TEST_F(Http2SessionTest, TheGreetingIsAwaitedForAWhile) {
  client.emplace();
  session.emplace(transport, context, ClientInfo{}, [this] {
    ++ends;
    session.reset();
  });
  clock.advance(9s);
  EXPECT_EQ(ends, 0);
  clock.advance(2s);
  EXPECT_EQ(ends, 1);
}

TEST_F(Http2SessionTest, AHeadIsToComeInTime) {
  open();
  transport.say(Client::raw(NGHTTP2_HEADERS, 0, 1, "\x82\x87"));
  talk();
  clock.advance(11s);
  talk();
  EXPECT_EQ(client->goaway, NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST_F(Http2SessionTest, ARestingConnectionIsClosedAfterAWhile) {
  open();
  ask(Client::get());
  clock.advance(59s);
  talk();
  EXPECT_FALSE(client->goaway);
  clock.advance(2s);
  talk();
  EXPECT_EQ(client->goaway, NGHTTP2_NO_ERROR);
}

TEST_F(Http2SessionTest, ABodyThatStopsEndsItsStreamOnly) {
  on_end = nullptr;
  open();
  const int32_t stuck = client->request(Client::get("/stuck", "POST"), {"part", false});
  const int32_t waits = client->request(Client::get("/waits"));
  talk();
  for (int i = 0; i < 14; ++i) {
    clock.advance(5s);
    talk();
  }
  EXPECT_EQ(client->answers[stuck].closed, NGHTTP2_CANCEL);
  EXPECT_FALSE(client->answers[waits].closed) << "whom its upstream keeps waiting";
  say(*streams["/waits"], "late");
  talk();
  EXPECT_EQ(client->answers[waits].body, "late");
}

// ---- WebSockets (RFC 8441)

class Http2WebSocketTest : public Http2SessionTest {
 protected:
  static Client::Fields connect(std::string protocol = "websocket") {
    return {{":method", "CONNECT"}, {":protocol", std::move(protocol)},
            {":scheme", "https"},   {":authority", "a.test"},
            {":path", "/chat"},     {"sec-websocket-version", "13"}};
  }
};

TEST_F(Http2WebSocketTest, OneIsATunnelBothWays) {
  on_end = [this](ResponseStream& to) {
    to.finish();
    story += " bye";
  };
  on_start = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 101;
    head.upgrade = "websocket";
    head.headers.add("sec-websocket-accept", "x");
    to.send_head(head);
    to.send_body("hi");
    to.flush();
  };
  on_piece = [](ResponseStream& to, std::string_view bytes) {
    to.send_body(bytes);
    to.flush();
  };
  open();
  const int32_t id = client->request(connect(), {"ping", false});
  talk();
  const RequestHead& head = heads["/chat"];
  EXPECT_EQ(head.method, "GET");
  EXPECT_EQ(head.upgrade, "websocket");
  EXPECT_EQ(head.headers.get("sec-websocket-key").size(), 24u);
  EXPECT_EQ(head.body.kind, Body::Kind::kNone);
  EXPECT_EQ(client->answers[id].status, "200");
  EXPECT_EQ(client->answers[id].header("sec-websocket-accept"), "");
  EXPECT_EQ(client->answers[id].body, "hiping");
  clock.advance(3600s);
  talk();
  EXPECT_FALSE(client->answers[id].closed) << "it may be silent for as long as it likes";
  client->more(id, "", true);
  talk();
  EXPECT_EQ(story, "[GET /chat end bye]");
  EXPECT_TRUE(client->answers[id].ended);
}

TEST_F(Http2WebSocketTest, ARefusalIsARefusalAndAPlainYesIsNone) {
  int status = 403;
  on_start = [&](ResponseStream& to) {
    ResponseHead head;
    head.status = status;
    head.body = {Body::Kind::kLength, 2};
    to.send_head(head);
    to.send_body("no");
    to.finish();
  };
  open();
  int32_t id = client->request(connect(), {"", false});
  talk();
  EXPECT_EQ(client->answers[id].status, "403");
  status = 200;
  id = client->request(connect(), {"", false});
  talk();
  EXPECT_EQ(client->answers[id].status, "502");
  id = client->request(connect("something"), {"", false});
  talk();
  EXPECT_EQ(client->answers[id].status, "501");
}

}  // namespace
}  // namespace latchkey::edge
