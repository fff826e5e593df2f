#include "edge/proxy_stream.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <optional>

#include "edge/http/http1_session.h"
#include "tests/edge/fake_transport.h"
#include "tests/edge/scripted_upstream.h"
#include "tests/edge/smuggling_table.h"
#include "tests/support/fd.h"
#include "tests/support/manual_clock.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using std::string;
using Connection = ScriptedUpstream::Connection;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// A client in memory, the proxy, an upstream over loopback. Time moves only by hand.
class ProxyStreamTest : public testing::Test {
 protected:
  ProxyStreamTest() {
    log.set_rate_limit(false);
    route({upstream.port()});
    upstream.on_bytes = [this](Connection& c) { answer(c); };
  }
  ~ProxyStreamTest() override { session.reset(); }

  void route(std::vector<uint16_t> ports, string host = "127.0.0.1") {
    Route made;
    made.hosts = {"a.test", "*.a.test"};
    Group group = rules;
    for (const uint16_t port : ports) group.origins.push_back({host, port});
    made.group = std::make_shared<const Group>(std::move(group));
    made.request_headers = {{"X-Edge", "1"}};
    made.response_headers = {{"Server", std::nullopt}};
    proxy.routes = *RoutingTable::make({made});
  }
  void open() {
    transport = {};
    session.emplace(transport, sessions, ClientInfo{"192.0.2.1", secure, &hosts}, [this] {
      ++ends;
      session.reset();
    });
  }
  // The upstream's part: whole requests get the reply.
  void answer(Connection& c) {
    if (!c.heard.ends_with("\r\n\r\n")) return;
    c.heard.clear();
    c.say(reply);
  }
  template <typename Condition>
  void turn_until(Condition holds) {
    loop.run_until([&] {
      transport.deliver();
      clock.advance(0ms);
      transport.deliver();
      return holds();
    });
  }
  void turn(int times = 20) {
    int left = times;
    turn_until([&] { return left-- == 0; });
  }
  // The whole response to a request: until the client's request is answered to its end.
  string fetch(std::string_view request, std::string_view end_of_answer) {
    if (!session) open();
    transport.sent.clear();
    transport.say(request);
    turn_until([&] { return transport.sent.ends_with(end_of_answer) || !session; });
    return transport.sent;
  }

  ManualClock clock;
  test::TestLoop loop;
  string logged() const {
    string text(64 << 10, '\0');
    const ssize_t size = ::pread(log_file.get(), text.data(), text.size(), 0);
    return text.substr(0, static_cast<size_t>(std::max<ssize_t>(0, size)));
  }
  test::Fd log_file{::memfd_create("log", MFD_CLOEXEC)};
  Log log{log_file.get(), Log::Format::kText, LogLevel::kError};
  Result<Located> located{Error{ErrorCode::kNotFound, "no such host"}};
  bool silent_resolver = false;
  Group rules;  // of the next route()
  OriginPool pool{loop.uv(), clock};
  Balancers balancers{
      {clock, log,
       [this](const Origin&, std::function<void(Result<Located>)> done) {
         if (silent_resolver) return std::make_shared<Alarm>();
         return std::make_shared<Alarm>(clock.after(0ms, [this, done] { done(located); }));
       }},
      pool};
  ProxyContext proxy{clock, log, pool, balancers, nullptr};
  SessionContext sessions{clock, [this](RequestHead head, ResponseStream& to) {
                            return std::make_unique<ProxyStream>(proxy, std::move(head), to);
                          }};
  bool secure = true;
  struct Hosts final : HostRules {
    bool covers(std::string_view host) const override { return !only || only(host); }
    GrantPtr grant_of(std::string_view host) const override {
      const auto found = granted.find(string(host));
      return found == granted.end()
                 ? nullptr
                 : std::make_shared<const Grant>(Grant{.upstream = found->second});
    }
    std::function<bool(std::string_view)> only;  // unset: any
    std::map<string, string> granted;            // host -> upstream
  };
  Hosts hosts;
  ScriptedUpstream upstream{loop.uv()};
  string reply = "HTTP/1.1 200 OK\r\nDate: today\r\nServer: x\r\nContent-Length: 2\r\n\r\nok";
  FakeTransport transport;
  std::optional<Http1Session> session;
  int ends = 0;
};

constexpr std::string_view kGet = "GET /x?y HTTP/1.1\r\nHost: a.test\r\n\r\n";
constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\nok";

TEST_F(ProxyStreamTest, ARequestGoesThereAndItsResponseComesBack) {
  EXPECT_EQ(fetch(kGet, "ok"), kOk);
  EXPECT_EQ(upstream.heard,
            "GET /x?y HTTP/1.1\r\nhost: a.test\r\nx-forwarded-for: 192.0.2.1\r\n"
            "x-forwarded-proto: https\r\nx-forwarded-host: a.test\r\nvia: 1.1 latchkey\r\n"
            "x-edge: 1\r\n\r\n");
  EXPECT_EQ(fetch(kGet, "ok"), kOk);
  EXPECT_EQ(upstream.connections.size(), 1U) << "kept alive on both sides";
}

TEST_F(ProxyStreamTest, PipelinedRequestsShareTheConnectionInTurn) {
  string three;
  for (int i = 0; i < 3; ++i) three += kGet;
  const string want = string(kOk) + string(kOk) + string(kOk);
  open();
  transport.say(three);
  turn_until([&] { return transport.sent.size() >= want.size(); });
  EXPECT_EQ(transport.sent, want);
  EXPECT_EQ(upstream.connections.size(), 1U);
}

TEST_F(ProxyStreamTest, BadRequestsNeverReachTheUpstreamWhole) {
  for (const BadRequest& bad : kBadRequests) {
    upstream.heard.clear();
    open();
    transport.say(bad.bytes);
    turn(6);
    EXPECT_TRUE(transport.sent.starts_with("HTTP/1.1 " + std::to_string(bad.status)))
        << bad.name << transport.sent;
    EXPECT_FALSE(contains(upstream.heard, "0\r\n\r\n")) << bad.name << upstream.heard;
    if (!contains(bad.bytes, "Transfer-Encoding: chunked\r\n\r\n")) {
      EXPECT_EQ(upstream.heard, "") << bad.name;
    }
    session.reset();
  }
}

TEST_F(ProxyStreamTest, BodiesOfEitherFramingArrive) {
  upstream.on_bytes = [](Connection& c) {
    if (contains(c.heard, "hello") && !contains(c.heard, "transfer-encoding")) {
      c.say(
          "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n"
          "3\r\nabc\r\n0\r\nSum: 6\r\n\r\n");
      c.heard.clear();
    } else if (c.heard.ends_with("0\r\nx-t: 1\r\n\r\n")) {
      c.say("HTTP/1.1 200 OK\r\nDate: d\r\n\r\nrest");
      c.hang_up();
    }
  };
  EXPECT_EQ(
      fetch("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello", "sum: 6\r\n\r\n"),
      "HTTP/1.1 200 OK\r\ndate: d\r\ntransfer-encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n0\r\nsum: 6\r\n\r\n");
  EXPECT_TRUE(contains(upstream.heard, "content-length: 5\r\n\r\nhello"));
  EXPECT_EQ(fetch("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
                  "0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\ndate: d\r\ntransfer-encoding: chunked\r\n\r\n"
            "4\r\nrest\r\n0\r\n\r\n");
}

TEST_F(ProxyStreamTest, HeadInterimAndEmptyResponsesPass) {
  reply =
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
      "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 7\r\n\r\n";
  EXPECT_EQ(fetch("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n", "7\r\n\r\n"),
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
            "HTTP/1.1 200 OK\r\ndate: d\r\ncontent-length: 7\r\n\r\n");
  reply = "HTTP/1.1 304 Not Modified\r\nDate: d\r\n\r\n";
  EXPECT_EQ(fetch(kGet, "\r\n\r\n"), "HTTP/1.1 304 Not Modified\r\ndate: d\r\n\r\n");
  reply = "HTTP/1.1 204 No Content\r\nDate: d\r\n\r\n";
  EXPECT_EQ(fetch(kGet, "\r\n\r\n"), "HTTP/1.1 204 No Content\r\ndate: d\r\n\r\n");
  EXPECT_EQ(upstream.connections.size(), 1U);
}

TEST_F(ProxyStreamTest, AWishForTrailersIsPassedOnAsItMustBe) {
  fetch("GET / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n", "ok");
  EXPECT_TRUE(contains(upstream.heard, "\r\nte: trailers\r\n"));
  EXPECT_TRUE(contains(upstream.heard, "\r\nconnection: te\r\n"));
}

TEST_F(ProxyStreamTest, AnExpectationIsTheUpstreamsToMeet) {
  upstream.on_bytes = [](Connection& c) {
    if (c.heard.ends_with("\r\n\r\n")) c.say("HTTP/1.1 100 Continue\r\n\r\n");
    if (c.heard.ends_with("hi")) c.say("HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 0\r\n\r\n");
  };
  EXPECT_EQ(fetch("PUT / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n"
                  "Content-Length: 2\r\n\r\n",
                  "\r\n\r\n"),
            "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_TRUE(contains(upstream.heard, "expect: 100-continue\r\n"));
  EXPECT_TRUE(fetch("hi", "\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_F(ProxyStreamTest, WebSocketsAreTwoOpaqueStreams) {
  upstream.on_bytes = [](Connection& c) {
    if (c.heard.ends_with("\r\n\r\n")) {
      c.say(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          "Sec-WebSocket-Accept: y\r\n\r\nfirst");
    }
    if (c.heard.ends_with("ping")) c.say("pong");
  };
  EXPECT_EQ(fetch("GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n"
                  "Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
                  "first"),
            "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: y\r\n"
            "connection: upgrade\r\nupgrade: websocket\r\n\r\nfirst");
  EXPECT_TRUE(contains(upstream.heard, "connection: upgrade\r\nupgrade: websocket\r\n"));
  EXPECT_EQ(fetch("ping", "pong"), "pong");
  transport.hang_up();
  turn_until([&] { return upstream.last().ended; });
  EXPECT_EQ(ends, 0) << "the upstream may still speak";
  upstream.last().say("bye");
  upstream.last().half_close();
  turn_until([&] { return ends == 1; });
  EXPECT_TRUE(transport.sent.ends_with("bye"));
}

TEST_F(ProxyStreamTest, UnknownAndUncoveredHostsAreAnsweredHere) {
  hosts.only = [](std::string_view host) { return host == "a.test" || host == "c.test"; };
  EXPECT_TRUE(
      fetch("GET / HTTP/1.1\r\nHost: b.a.test\r\n\r\n", "</html>\n").starts_with("HTTP/1.1 421 "));
  EXPECT_TRUE(
      fetch("GET / HTTP/1.1\r\nHost: c.test\r\n\r\n", "</html>\n").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(fetch("GET / HTTP/1.1\r\nHost: A.test:8443\r\n\r\n", "ok").ends_with("ok"));
  EXPECT_EQ(upstream.connections.size(), 1U);
}

TEST_F(ProxyStreamTest, AGrantedUpstreamGoesBeforeTheRoutesWhoseHeadersStay) {
  ScriptedUpstream own(loop.uv());
  own.on_bytes = [this](Connection& c) { answer(c); };
  hosts.granted["a.test"] = "http://127.0.0.1:" + std::to_string(own.port());
  EXPECT_EQ(fetch(kGet, "ok"), kOk) << "without Server, as the route says";
  EXPECT_TRUE(contains(own.heard, "\r\nx-edge: 1\r\n"));
  EXPECT_EQ(upstream.heard, "");

  hosts.granted.clear();
  EXPECT_EQ(fetch(kGet, "ok"), kOk);
  EXPECT_TRUE(contains(upstream.heard, "GET /x?y ")) << "each request looks anew";
}

TEST_F(ProxyStreamTest, AGrantedUpstreamNeedsNoRoute) {
  ScriptedUpstream own(loop.uv());
  own.on_bytes = [this](Connection& c) { answer(c); };
  hosts.granted["b.test"] = "http://127.0.0.1:" + std::to_string(own.port());
  const string post = "POST / HTTP/1.1\r\nHost: B.test:443\r\nContent-Length: 2\r\n\r\n\r\n";
  EXPECT_TRUE(contains(fetch(post, "ok"), "\r\nserver: x\r\n"));
  EXPECT_FALSE(contains(own.heard, "x-edge"));
  own.close();
  EXPECT_TRUE(fetch(post, "</html>\n").starts_with("HTTP/1.1 502 "));
}

TEST_F(ProxyStreamTest, AGrantedUpstreamThatIsNoneIsNotReplacedByTheRoutes) {
  for (const char* wrong :
       {"https://10.0.0.7:3000/path", "http://u:s3cret@10.0.0.7", "nonsense", kUnusableUpstream}) {
    hosts.granted["a.test"] = wrong;
    EXPECT_TRUE(fetch(kGet, "</html>\n").starts_with("HTTP/1.1 502 ")) << wrong;
  }
  EXPECT_EQ(upstream.heard, "");
  EXPECT_TRUE(contains(logged(), "ask_upstream_unusable")) << logged();
  EXPECT_TRUE(contains(logged(), "a.test"));
  EXPECT_FALSE(contains(logged(), "cret"));
}

TEST_F(ProxyStreamTest, AnUpstreamThatIsDownGetsAPage) {
  upstream.close();
  const string answer = fetch(kGet, "</html>\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
  EXPECT_TRUE(contains(answer, "cache-control: no-store\r\n"));
  EXPECT_TRUE(contains(answer, "retry-after: 5\r\n"));
  EXPECT_TRUE(fetch(kGet, "</html>\n").starts_with("HTTP/1.1 502 ")) << "the connection lives on";
}

TEST_F(ProxyStreamTest, AnotherUpstreamTakesOverForAnyMethod) {
  ScriptedUpstream down(loop.uv());
  down.close();
  route({down.port(), upstream.port()});
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(fetch("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\n\r\n\r\n", "ok")
                    .ends_with("ok"));
  }
}

TEST_F(ProxyStreamTest, UpstreamsTakeTurns) {
  ScriptedUpstream other(loop.uv());
  other.on_bytes = [this](Connection& c) { answer(c); };
  route({other.port(), upstream.port()});
  for (int i = 0; i < 4; ++i) fetch(kGet, "ok");
  EXPECT_EQ(upstream.heard, other.heard);
}

TEST_F(ProxyStreamTest, AServerThatBreaksOffIsReplacedOnlyForWhatMayBeRepeated) {
  ScriptedUpstream bad(loop.uv());
  bad.on_bytes = [](Connection& c) {
    if (c.heard.ends_with("body")) c.hang_up();
  };
  upstream.on_bytes = [this](Connection& c) {
    if (c.heard.ends_with("body")) c.say(reply);
  };
  const auto with_body = [](const string& method) {
    return method + " / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody";
  };
  route({bad.port(), upstream.port()});
  EXPECT_TRUE(fetch(with_body("PUT"), "ok").ends_with("ok"));
  EXPECT_EQ(bad.connections.size(), 1u);
  const string once = std::exchange(upstream.heard, "");
  EXPECT_TRUE(contains(once, "PUT /"));
  balancers.take({});  // nothing is known: the first one is first
  route({bad.port(), upstream.port()});
  EXPECT_TRUE(fetch(with_body("POST"), "</html>\n").starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(upstream.heard, "");
}

TEST_F(ProxyStreamTest, NoMoreServersAreTriedThanRetriesSay) {
  std::list<ScriptedUpstream> bad;
  std::vector<uint16_t> ports;
  for (int i = 0; i < 4; ++i) {
    bad.emplace_back(loop.uv()).on_bytes = [](Connection& c) { c.hang_up(); };
    ports.push_back(bad.back().port());
  }
  rules.retries = 2;
  route(ports);
  EXPECT_TRUE(fetch(kGet, "</html>\n").starts_with("HTTP/1.1 502 "));
  size_t tried = 0;
  for (const ScriptedUpstream& one : bad) tried += one.connections.size();
  EXPECT_EQ(tried, 3u);
}

TEST_F(ProxyStreamTest, WhoFailsAgainAndAgainIsLeftAlone) {
  ScriptedUpstream bad(loop.uv());
  bad.on_bytes = [](Connection& c) {
    if (!c.heard.ends_with("\r\n\r\n")) return;
    c.heard.clear();
    c.say("HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno");
  };
  rules.ejection = Ejection{.failures = 2, .time = 10s};
  route({bad.port(), upstream.port()});
  int refused = 0;
  for (int i = 0; i < 10; ++i) {
    open();
    transport.say(kGet);
    turn_until([&] { return transport.sent.ends_with("ok") || transport.sent.ends_with("no"); });
    refused += transport.sent.ends_with("no") ? 1 : 0;
    clock.advance(1ms);
  }
  EXPECT_EQ(refused, 2);
}

TEST_F(ProxyStreamTest, TheAskEndpointMayNameAGroup) {
  ScriptedUpstream own(loop.uv());
  own.on_bytes = [this](Connection& c) { answer(c); };
  auto group = std::make_shared<Group>();
  group->name = "own";
  group->origins = {{"127.0.0.1", own.port()}};
  proxy.routes = *RoutingTable::make(proxy.routes->routes(), {group});
  hosts.granted["a.test"] = "own";
  EXPECT_TRUE(fetch(kGet, "ok").ends_with("ok"));
  EXPECT_TRUE(contains(own.heard, "GET /x?y"));
  EXPECT_EQ(upstream.heard, "");
}

TEST_F(ProxyStreamTest, NamesAreLookedUpAndAddressesTriedInTurn) {
  route({upstream.port()}, "app.internal");
  EXPECT_TRUE(fetch(kGet, "</html>\n").starts_with("HTTP/1.1 502 "));
  located = Located{{{"127.0.0.2", upstream.port()}, {"127.0.0.1", upstream.port()}}, 60s};
  clock.advance(2s);
  EXPECT_EQ(fetch(kGet, "ok"), kOk);
}

TEST_F(ProxyStreamTest, AHangingConnectAndAHangingResponseTimeOut) {
  silent_resolver = true;
  route({upstream.port()}, "app.internal");
  open();
  transport.say(kGet);
  turn(3);
  clock.advance(4999ms);
  EXPECT_EQ(transport.sent, "");
  clock.advance(1ms);
  EXPECT_TRUE(transport.sent.starts_with("HTTP/1.1 504 ")) << transport.sent;

  upstream.on_bytes = nullptr;
  route({upstream.port()});
  transport.sent.clear();
  transport.say(kGet);
  turn_until([&] { return !upstream.heard.empty(); });
  clock.advance(59'999ms);
  EXPECT_EQ(transport.sent, "");
  clock.advance(1ms);
  EXPECT_TRUE(transport.sent.starts_with("HTTP/1.1 504 "));
  turn_until([&] { return upstream.last().ended; });
}

TEST_F(ProxyStreamTest, AResponseThatIsCutIsNotMadeToLookWhole) {
  for (const char* part :
       {"Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nabc"}) {
    reply = string("HTTP/1.1 200 OK\r\nDate: d\r\n") + part;
    ends = 0;
    open();
    transport.say(kGet);
    turn_until([&] { return contains(transport.sent, "abc"); });
    upstream.last().hang_up();
    turn_until([&] { return ends == 1; });
    EXPECT_FALSE(transport.finished);
    EXPECT_FALSE(transport.sent.ends_with("0\r\n\r\n"));
  }
}

TEST_F(ProxyStreamTest, ResponsesThatMakeNoSenseAreRefused) {
  for (const char* bad : {
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "SSH-2.0-OpenSSH\r\n",
           "HTTP/1.1 101 Nobody Asked\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
       }) {
    reply = bad;
    EXPECT_TRUE(fetch(kGet, "</html>\n").starts_with("HTTP/1.1 502 ")) << bad;
  }
  reply = string();
  for (int i = 0; i < 200; ++i) reply += "HTTP/1.1 102 Processing\r\n\r\n";
  EXPECT_TRUE(contains(fetch(kGet, "</html>\n"), "HTTP/1.1 502 "));
}

TEST_F(ProxyStreamTest, ARequestIsTriedAgainWhenAKeptConnectionTurnsOutClosed) {
  fetch(kGet, "ok");
  upstream.on_bytes = [this](Connection& c) {
    if (&c == &upstream.connections.front()) {
      c.hang_up();  // as if its keep-alive time had ended at this very moment
    } else {
      answer(c);
    }
  };
  EXPECT_EQ(fetch(kGet, "ok"), kOk);
  EXPECT_EQ(upstream.connections.size(), 2U);
}

TEST_F(ProxyStreamTest, ABodyIsSentAgainWithIt) {
  fetch(kGet, "ok");
  upstream.on_bytes = [this](Connection& c) {
    if (&c == &upstream.connections.front()) return c.hang_up();
    if (c.heard.ends_with("hello")) c.say(reply);
  };
  EXPECT_EQ(fetch("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello", "ok"), kOk);
}

TEST_F(ProxyStreamTest, WhatIsNotIdempotentIsNotTriedAgain) {
  fetch(kGet, "ok");
  upstream.on_bytes = [](Connection& c) { c.hang_up(); };
  EXPECT_TRUE(fetch("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n", "</html>\n")
                  .starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(upstream.connections.size(), 1U);
}

TEST_F(ProxyStreamTest, ARestingConnectionThatIsClosedIsDropped) {
  fetch(kGet, "ok");
  EXPECT_EQ(pool.resting(), 1U);
  upstream.last().hang_up();
  turn_until([&] { return pool.resting() == 0; });
  EXPECT_EQ(fetch(kGet, "ok"), kOk);
  EXPECT_EQ(pool.resting(), 1U);
  clock.advance(59s);
  EXPECT_EQ(pool.resting(), 0U) << "rested for long enough";
}

TEST_F(ProxyStreamTest, StrayBytesBehindAResponseEndTheConnection) {
  reply += "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
  EXPECT_EQ(fetch(kGet, "ok"), kOk);
  turn();
  EXPECT_EQ(pool.resting(), 0U);
  EXPECT_EQ(transport.sent, kOk);
}

TEST_F(ProxyStreamTest, AClientThatGoesAwayTakesTheUpstreamWithIt) {
  upstream.on_bytes = nullptr;
  open();
  transport.say(kGet);
  turn_until([&] { return !upstream.heard.empty(); });
  transport.break_off();
  turn_until([&] { return upstream.last().ended; });
  EXPECT_EQ(ends, 1);
}

TEST_F(ProxyStreamTest, ALargeResponseWaitsForASlowClientInBoundedMemory) {
  constexpr size_t kSize = 8 << 20;
  upstream.on_bytes = [](Connection& c) {
    c.say("HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n" +
          string(kSize, 'x'));
  };
  open();
  transport.room = 1000;
  transport.say(kGet);
  turn(200);
  EXPECT_EQ(transport.sent.size(), 1000U);
  size_t stalls = 0;
  turn_until([&] {
    if (transport.room == 0) ++stalls;
    transport.room = 20'000;
    return transport.sent.size() > kSize && transport.sent.ends_with("x");
  });
  EXPECT_GT(stalls, 50U);
}

TEST_F(ProxyStreamTest, AnUpstreamThatWaitsForTheClientGoesOnWhateverEmptiedTheOutput) {
  constexpr size_t kSize = 8 << 20;
  upstream.on_bytes = [](Connection& c) {
    c.say("HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n" +
          string(kSize, 'x'));
  };
  open();
  transport.room = 1000;
  transport.say(kGet);
  turn(50);
  ASSERT_TRUE(transport.want_write);
  transport.room = SIZE_MAX;
  session->drain();
  turn_until([&] { return transport.sent.size() > kSize && transport.sent.ends_with("x"); });
}

TEST_F(ProxyStreamTest, WithoutTlsTheUpstreamIsToldAndNothingIsSaidOfStrictTransport) {
  reply =
      "HTTP/1.1 200 OK\r\nDate: d\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 2"
      "\r\n\r\nok";
  EXPECT_TRUE(contains(fetch(kGet, "ok"), "strict-transport-security: max-age=1\r\n"));
  EXPECT_TRUE(contains(upstream.heard, "x-forwarded-proto: https\r\n"));
  session.reset();
  upstream.heard.clear();
  secure = false;
  EXPECT_FALSE(contains(fetch(kGet, "ok"), "strict-transport"));
  EXPECT_TRUE(contains(upstream.heard, "x-forwarded-proto: http\r\n")) << upstream.heard;
}

TEST_F(ProxyStreamTest, ALargeRequestWaitsForASlowUpstream) {
  constexpr size_t kSize = 16 << 20;
  size_t heard = 0;
  bool stop = true;
  upstream.on_bytes = [&](Connection& c) {
    heard += c.heard.size();
    c.heard.clear();
    c.stop_reading(std::exchange(stop, false));
    if (heard > kSize) c.say("HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 2\r\n\r\nok");
  };
  open();
  transport.say("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: " + std::to_string(kSize) +
                "\r\n\r\n" + string(kSize, 'x'));
  turn(200);
  EXPECT_FALSE(transport.want_read);
  EXPECT_GT(transport.incoming.size(), kSize / 8) << "the kernel's buffers hold the rest";
  upstream.last().stop_reading(false);
  turn_until([&] { return transport.sent.ends_with("ok"); });
}

TEST_F(ProxyStreamTest, AnUpstreamThatStopsReadingTimesOut) {
  upstream.on_bytes = [](Connection& c) { c.stop_reading(true); };
  open();
  transport.say("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99999999\r\n\r\n" +
                string(16 << 20, 'x'));
  turn_until([&] { return !transport.want_read; });
  clock.advance(61s);
  EXPECT_TRUE(transport.sent.starts_with("HTTP/1.1 504 ")) << transport.sent;
}

TEST_F(ProxyStreamTest, AnEarlyAnswerToALargeRequestReachesTheClient) {
  upstream.on_bytes = [](Connection& c) {
    c.say("HTTP/1.1 413 Too Large\r\nDate: d\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    c.stop_reading(true);
  };
  open();
  transport.say("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 16777216\r\n\r\n" +
                string(1 << 20, 'x'));
  turn_until([&] { return transport.sent.ends_with("no"); });
  EXPECT_TRUE(transport.sent.starts_with("HTTP/1.1 413 Too Large\r\n"));
}

TEST_F(ProxyStreamTest, EverythingMayBeDroppedAtEachTurn) {
  upstream.on_bytes = [this](Connection& c) {
    if (c.heard.ends_with("hello")) {
      c.heard.clear();
      c.say(reply);
    }
  };
  for (int turns = 0; turns < 12; ++turns) {
    open();
    transport.say("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhel");
    turn(turns / 2);
    transport.say("lo");
    turn(turns - turns / 2);
    session.reset();
    turn(2);
  }
}

}  // namespace
}  // namespace latchkey::edge
