// Requests to an HTTP/2 upstream, which is a session of ours in memory.
#include "edge/upstream/http2_origin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <map>
#include <optional>

#include "edge/http/http2_session.h"
#include "tests/edge/fake_transport.h"
#include "tests/support/manual_clock.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// What came back for one request.
class Caller final : public OriginStream::Handler {
 public:
  void on_response_interim(const ResponseHead& head) override {
    story += std::to_string(head.status) + " ";
  }
  void on_response_head(ResponseHead& head) override {
    status = head.status;
    headers = head.headers;
    body_kind = head.body.kind;
    length = head.body.length;
  }
  void on_response_body(std::string_view bytes) override {
    body += bytes;
    if (pause_at_first) stream->pause_response();
  }
  void on_response_end(const HeaderList& last) override {
    ended = true;
    trailers = last;
    if (drop_at_end) stream.reset();
  }
  void on_response_pause() override { ++pauses; }
  void on_request_writable() override { ++writable; }
  void on_origin_failure(const OriginFailure& why) override {
    failure = why;
    stream.reset();
  }

  std::unique_ptr<OriginStream> stream;
  std::string story;
  int status = 0;
  HeaderList headers, trailers;
  Body::Kind body_kind{};
  uint64_t length = 0;
  std::string body;
  bool ended = false, pause_at_first = false, drop_at_end = true;
  int pauses = 0, writable = 0;
  std::optional<OriginFailure> failure;
};

class Http2OriginTest : public testing::Test {
 protected:
  // The upstream's side of a request.
  class Served final : public Exchange {
   public:
    Served(Http2OriginTest& test, RequestHead head, ResponseStream& stream)
        : test_(test), target_(head.target) {
      test_.heads[target_] = std::move(head);
      test_.served[target_] = &stream;
    }
    ~Served() override {
      test_.served.erase(target_);
      test_.gone += target_ + " ";
    }
    void start() override {
      if (test_.on_start) test_.on_start(*test_.served[target_], target_);
    }
    void on_body(std::string_view bytes) override {
      test_.bodies[target_] += bytes;
      if (test_.hold_bodies) test_.served[target_]->pause_body();
    }
    void on_request_end(const HeaderList& trailers) override {
      test_.request_trailers[target_] = trailers;
      if (test_.on_end) test_.on_end(*test_.served[target_], target_);
    }
    void on_writable() override {}

   private:
    Http2OriginTest& test_;
    const std::string target_;
  };

  Http2OriginTest() {
    auto transport = std::make_unique<FakeTransport>();
    ours = transport.get();
    auto endpoint = std::make_shared<Endpoint>();
    endpoint->address = "192.0.2.1";
    endpoint->host = "app.test:80";
    endpoint->http2 = true;
    origin = std::make_shared<Http2Origin>(std::move(transport), clock, endpoint);
    origin->on_over([this] { over = true; });
    session.emplace(theirs, context, ClientInfo{"192.0.2.9", false, {}}, [this] {
      session.reset();
      hung_up = true;
    });
    on_end = [](ResponseStream& to, const std::string& target) { say(to, "page " + target); };
    talk();
  }
  ~Http2OriginTest() override { callers.clear(); }

  static void say(ResponseStream& to, std::string_view text, const HeaderList& trailers = {}) {
    ResponseHead head;
    head.status = 200;
    head.headers.add("x-here", "1");
    head.body.kind = Body::Kind::kChunked;
    if (trailers.empty()) head.body = {Body::Kind::kLength, text.size()};
    to.send_head(head);
    to.send_body(text);
    to.finish(trailers);
  }
  // Both sides, until nobody has anything to say.
  void talk() {
    for (int quiet = 0; quiet < 3;) {
      clock.advance(0ms);
      ours->deliver();
      const std::string out = std::exchange(ours->sent, {});
      if (!out.empty() && session) theirs.say(out);
      theirs.deliver();
      clock.advance(0ms);
      const std::string back = std::exchange(theirs.sent, {});
      if (!back.empty()) ours->say(back);
      quiet = out.empty() && back.empty() ? quiet + 1 : 0;
    }
  }
  static RequestHead get(const std::string& target) {
    RequestHead head;
    head.method = "GET";
    head.target = target;
    head.authority = "a.test";
    head.scheme = "https";
    head.headers.add("x-mine", "2");
    return head;
  }
  Caller& send(const RequestHead& head, bool finish = true) {
    Caller& caller = callers.emplace_back();
    caller.stream = origin->open();
    caller.stream->send_head(caller, head);
    if (finish) caller.stream->finish_request({});
    return caller;
  }

  ManualClock clock;
  FakeTransport theirs;
  FakeTransport* ours = nullptr;
  SessionContext context{clock, [this](RequestHead head, ResponseStream& to) {
                           return std::make_unique<Served>(*this, std::move(head), to);
                         }};
  std::map<std::string, RequestHead> heads;
  std::map<std::string, ResponseStream*> served;
  std::map<std::string, std::string> bodies;
  std::map<std::string, HeaderList> request_trailers;
  std::string gone;
  std::function<void(ResponseStream&, const std::string&)> on_start, on_end;
  bool hold_bodies = false, over = false, hung_up = false;
  std::optional<Http2Session> session;
  std::shared_ptr<Http2Origin> origin;
  std::list<Caller> callers;
};

TEST_F(Http2OriginTest, ManyRequestsShareTheConnection) {
  for (int i = 0; i < 100; ++i) send(get("/" + std::to_string(i)));
  EXPECT_EQ(ours->sent, "") << "what is to be sent leaves from the loop";
  talk();
  int i = 0;
  for (const Caller& caller : callers) {
    EXPECT_EQ(caller.status, 200);
    EXPECT_EQ(caller.body, "page /" + std::to_string(i++));
    EXPECT_EQ(caller.headers.get("x-here"), "1");
    EXPECT_EQ(caller.body_kind, Body::Kind::kLength);
    EXPECT_EQ(caller.length, caller.body.size());
    EXPECT_TRUE(caller.ended);
    EXPECT_EQ(caller.pauses, 0) << "it was gone";
  }
  EXPECT_EQ(heads["/7"].headers.get("x-mine"), "2");
  EXPECT_EQ(heads["/7"].authority, "a.test");
  EXPECT_EQ(origin->streams(), 0u);
  EXPECT_TRUE(origin->has_room());
}

TEST_F(Http2OriginTest, BodiesTrailersAndInterimResponsesGoBothWays) {
  on_start = [](ResponseStream& to, const std::string&) {
    ResponseHead hints;
    hints.status = 103;
    to.send_interim(hints);
  };
  on_end = [this](ResponseStream& to, const std::string& target) {
    HeaderList trailers;
    trailers.add("grpc-status", "0");
    say(to, bodies[target], trailers);
  };
  RequestHead head = get("/up");
  head.method = "POST";
  head.body.kind = Body::Kind::kChunked;
  Caller& caller = send(head, false);
  std::string body;
  for (int i = 0; i < 50'000; ++i) body += std::to_string(i);
  for (size_t at = 0; at < body.size(); at += 10'000) {
    caller.stream->send_body(std::string_view(body).substr(at, 10'000));
  }
  EXPECT_TRUE(caller.stream->full());
  talk();
  EXPECT_EQ(caller.writable, 1);
  HeaderList trailers;
  trailers.add("x-sum", "9");
  caller.stream->finish_request(trailers);
  talk();
  EXPECT_EQ(request_trailers["/up"].get("x-sum"), "9");
  EXPECT_TRUE(caller.body == body);
  EXPECT_EQ(caller.body_kind, Body::Kind::kChunked);
  EXPECT_EQ(caller.trailers.get("grpc-status"), "0");
  EXPECT_EQ(caller.story, "103 ");
}

TEST_F(Http2OriginTest, AnUploadThatNobodyTakesStopsAtItsWindow) {
  hold_bodies = true;
  RequestHead head = get("/up");
  head.method = "POST";
  head.body = {Body::Kind::kLength, 10 << 20};
  Caller& caller = send(head, false);
  size_t sent = 0;
  while (!caller.stream->full() && sent < (10u << 20)) {
    caller.stream->send_body(std::string(10'000, 'x'));
    sent += 10'000;
    talk();
  }
  EXPECT_LT(sent, 500u << 10);
  // Another one goes on beside it.
  Caller& other = send(get("/other"));
  talk();
  EXPECT_TRUE(other.ended);
}

TEST_F(Http2OriginTest, AResponseThatNobodyTakesStopsAtItsWindowAndOthersGoOn) {
  on_end = [](ResponseStream& to, const std::string& target) {
    say(to, target.starts_with("/large") ? std::string(2 << 20, 'x') : "small");
  };
  std::vector<Caller*> large;
  for (int i = 0; i < 20; ++i) {
    large.push_back(&send(get("/large" + std::to_string(i))));
    large.back()->pause_at_first = true;
  }
  talk();
  for (const Caller* caller : large) {
    EXPECT_GT(caller->body.size(), 0u);
    EXPECT_LE(caller->body.size(), 300u << 10);
  }
  Caller& small = send(get("/small"));
  talk();
  EXPECT_EQ(small.body, "small");
  for (Caller* caller : large) {
    caller->pause_at_first = false;
    caller->stream->resume_response();
  }
  talk();
  for (const Caller* caller : large) EXPECT_EQ(caller->body.size(), 2u << 20);
}

TEST_F(Http2OriginTest, WhoLeavesResetsItsStreamOnly) {
  on_end = nullptr;
  send(get("/a"));
  Caller& stays = send(get("/b"));
  talk();
  callers.front().stream.reset();
  talk();
  EXPECT_EQ(gone, "/a ");
  say(*served.at("/b"), "late");
  talk();
  EXPECT_EQ(stays.body, "late");
}

TEST_F(Http2OriginTest, AnAnswerBeforeTheRequestIsWholeIsTaken) {
  on_start = [](ResponseStream& to, const std::string&) { say(to, "too large"); };
  RequestHead head = get("/up");
  head.method = "POST";
  head.body.kind = Body::Kind::kChunked;
  Caller& caller = send(head, false);
  caller.stream->send_body("something");
  talk();
  EXPECT_EQ(caller.body, "too large");
  EXPECT_TRUE(caller.ended);
  EXPECT_EQ(origin->streams(), 0u);
}

TEST_F(Http2OriginTest, HeadAndEmptyAnswers) {
  on_end = [](ResponseStream& to, const std::string& target) {
    ResponseHead head;
    head.status = target == "/204" ? 204 : 200;
    if (target == "/head") head.body = {Body::Kind::kLength, 77};
    to.send_head(head);
    to.finish();
  };
  RequestHead head = get("/head");
  head.method = "HEAD";
  Caller& announced = send(head);
  Caller& nothing = send(get("/204"));
  Caller& empty = send(get("/empty"));
  talk();
  EXPECT_EQ(announced.length, 77u);
  EXPECT_TRUE(announced.ended);
  EXPECT_EQ(nothing.status, 204);
  EXPECT_EQ(nothing.body_kind, Body::Kind::kNone);
  EXPECT_TRUE(nothing.ended);
  EXPECT_EQ(empty.body_kind, Body::Kind::kLength);
  EXPECT_TRUE(empty.ended);
}

TEST_F(Http2OriginTest, AConnectionThatBreaksFailsItsRequests) {
  on_end = nullptr;
  Caller& one = send(get("/a"));
  Caller& two = send(get("/b"));
  talk();
  ours->hang_up();
  talk();
  for (const Caller* caller : {&one, &two}) {
    ASSERT_TRUE(caller->failure);
    EXPECT_FALSE(caller->failure->untouched) << "nobody knows";
    EXPECT_FALSE(caller->failure->began);
  }
  EXPECT_TRUE(over);
  EXPECT_FALSE(origin->has_room());
}

TEST_F(Http2OriginTest, AnUpstreamThatGoesAwayFinishesWhatItHasAndGetsNoMore) {
  on_end = nullptr;
  Caller& caller = send(get("/a"));
  talk();
  session->drain();
  talk();
  clock.advance(1s);
  talk();
  EXPECT_FALSE(origin->has_room());
  EXPECT_TRUE(over) << "the pool makes a new one";
  say(*served.at("/a"), "the last");
  talk();
  EXPECT_EQ(caller.body, "the last");
}

TEST_F(Http2OriginTest, ARequestBehindAGoawayWasNotTouched) {
  session->drain();
  talk();
  clock.advance(1s);
  // It is on its way when the last GOAWAY comes.
  if (origin->has_room()) {
    Caller& caller = send(get("/late"));
    talk();
    ASSERT_TRUE(caller.failure);
    EXPECT_TRUE(caller.failure->untouched) << caller.failure->why;
  }
}

TEST_F(Http2OriginTest, AConnectionThatSaysNothingGetsNoMoreRequests) {
  Caller& caller = send(get("/a"));
  ours->deliver();  // it leaves, and nobody hears it
  ours->sent.clear();
  clock.advance(1s);
  caller.stream.reset();
  EXPECT_FALSE(origin->has_room());
  EXPECT_TRUE(over);
}

TEST_F(Http2OriginTest, WhoLeavesSoonSaysNothingOfTheConnection) {
  Caller& caller = send(get("/a"));
  ours->deliver();
  clock.advance(999ms);
  caller.stream.reset();
  EXPECT_TRUE(origin->has_room());
}

TEST_F(Http2OriginTest, HeadsThatAreTooLargeAreRefused) {
  on_end = [](ResponseStream& to, const std::string&) {
    ResponseHead head;
    head.status = 200;
    for (int i = 0; i < 15; ++i) head.headers.add("x-large", std::string(3'000, 'x'));
    to.send_head(head);
    to.finish();
  };
  Caller& caller = send(get("/a"));
  talk();
  ASSERT_TRUE(caller.failure);
  EXPECT_THAT(caller.failure->why, HasSubstr("too large"));
}

TEST_F(Http2OriginTest, AWebSocketIsAnExtendedConnect) {
  on_start = [](ResponseStream& to, const std::string&) {
    ResponseHead head;
    head.status = 101;
    head.upgrade = "websocket";
    to.send_head(head);
    to.send_body("hello");
  };
  on_end = nullptr;
  RequestHead head = get("/socket");
  head.upgrade = "websocket";
  head.headers.add("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
  Caller& caller = send(head);  // an HTTP/1.1 client's request is whole
  talk();
  EXPECT_EQ(caller.status, 101);
  EXPECT_EQ(caller.headers.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
      << "RFC 6455, 1.3";
  EXPECT_EQ(caller.body, "hello");
  caller.stream->send_body("and back");
  talk();
  EXPECT_EQ(bodies["/socket"], "and back");
  caller.stream->finish_tunnel();
  talk();
  served.at("/socket")->finish();
  talk();
  EXPECT_TRUE(caller.ended);
}

}  // namespace
}  // namespace latchkey::edge
