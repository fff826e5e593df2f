// What happens to requests between the client and the upstream.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "base/check.h"
#include "tests/support/eventually.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr size_t kLarge = 10u << 20;

std::string large_body() {
  std::string body(kLarge, '\0');
  uint32_t state = 1;
  for (char& c : body) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return body;
}

// Accepts by the kernel's backlog alone, and never reads.
class StuckServer {
 public:
  StuckServer() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    CHECK(bind(socket_.get(), generic, size) == 0 && listen(socket_.get(), 10) == 0);
    CHECK(getsockname(socket_.get(), generic, &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  uint16_t port() const { return port_; }

 private:
  Fd socket_;
  uint16_t port_ = 0;
};

class ProxyTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(site_.edge.start()); }

  void answer(const Response& response) {
    site_.upstream.replace_handler([response](const Request&) { return response; });
  }
  HttpAnswer send(const std::string& request) {
    TlsClient client = site_.connect("a.test");
    EXPECT_TRUE(client.handshake().verified) << client.handshake().error;
    return HttpConversation(client).exchange(request);
  }
  // The only request that reached the upstream.
  Request arrived() {
    const auto seen = site_.upstream.seen();
    EXPECT_EQ(seen.size(), 1u);
    return seen.empty() ? Request() : seen.front();
  }

  Site site_;
};

TEST_F(ProxyTest, KeepsConnectionsOpenBothWays) {
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  for (int i = 0; i < 5; ++i) {
    const std::string target = "/" + std::to_string(i);
    EXPECT_EQ(http.get("a.test", target).body, "page of a.test " + target);
  }
  EXPECT_EQ(site_.upstream.connections(), 1u);
}

TEST_F(ProxyTest, AnswersPipelinedRequestsInOrder) {
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  const std::string one = "GET /one HTTP/1.1\r\nHost: a.test\r\n\r\n";
  const std::string two = "GET /two HTTP/1.1\r\nHost: a.test\r\n\r\n";
  EXPECT_EQ(http.exchange(one + two).body, "page of a.test /one");
  EXPECT_EQ(http.read_answer().body, "page of a.test /two");
}

TEST_F(ProxyTest, ConnectionCloseIsObeyed) {
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  const auto answer = http.exchange("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(http.ended());
}

TEST_F(ProxyTest, TellsTheUpstreamWhoCame) {
  send(
      "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 6.6.6.6\r\n"
      "X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil.test\r\n\r\n");
  const Request request = arrived();
  EXPECT_EQ(request.header("host"), "a.test");
  EXPECT_EQ(request.header("x-forwarded-for"), "127.0.0.1");
  EXPECT_EQ(request.header("x-forwarded-proto"), "https");
  EXPECT_EQ(request.header("x-forwarded-host"), "a.test");
  EXPECT_THAT(request.head, Not(HasSubstr("6.6.6.6")));
  EXPECT_THAT(request.head, Not(HasSubstr("gopher")));
  EXPECT_THAT(request.head, Not(HasSubstr("evil")));
}

TEST_F(ProxyTest, HopByHopHeadersEndHere) {
  send(
      "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: X-Mine, X-Forwarded-For\r\nX-Mine: 1\r\n"
      "Keep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\nX-Other: 2\r\n\r\n");
  const Request request = arrived();
  EXPECT_THAT(request.header("x-mine"), IsEmpty());
  EXPECT_THAT(request.header("keep-alive"), IsEmpty());
  EXPECT_THAT(request.header("proxy-authorization"), IsEmpty());
  EXPECT_EQ(request.header("x-other"), "2");
  EXPECT_EQ(request.header("x-forwarded-for"), "127.0.0.1");
}

TEST_F(ProxyTest, LargeBodiesArriveWholeBothWays) {
  const std::string body = large_body();
  site_.upstream.replace_handler([](const Request& request) {
    Response response;
    response.body = request.body;
    return response;
  });
  const auto answer =
      send("POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == body);
}

TEST_F(ProxyTest, ChunkedBodiesArriveWholeBothWays) {
  const std::string body = large_body();
  site_.upstream.replace_handler([](const Request& request) {
    Response response;
    response.body = request.body;
    response.chunked = true;
    return response;
  });
  std::string request = "POST /echo HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
  constexpr size_t kChunk = 0x4321;
  for (size_t at = 0; at < body.size(); at += kChunk) {
    const std::string part = body.substr(at, kChunk);
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    request += size + part + "\r\n";
  }
  const auto answer = send(request + "0\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == body);
}

TEST_F(ProxyTest, HeadHasNoBodyButItsLength) {
  Response response;
  response.body = "0123456789";
  answer(response);
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  const auto head = http.exchange("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("content-length"), "10");
  EXPECT_EQ(http.get("a.test").body, "0123456789");  // the framing is still right
}

TEST_F(ProxyTest, InformationalAnswersPassAndContinueIsGiven) {
  Response response;
  response.informational = {103};
  response.body = "late";
  answer(response);
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  client.write(
      "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n"
      "Content-Length: 4\r\n\r\n");
  client.write("body");
  const auto got = http.read_answer();
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "late");
  EXPECT_THAT(got.informational, ::testing::Contains(103));
  EXPECT_EQ(arrived().body, "body");
}

TEST_F(ProxyTest, AnUpgradeBecomesAPipe) {
  site_.upstream.replace_handler([](const Request& request) {
    Response response;
    if (request.header("upgrade") == "websocket") {
      response.status = 101;
      response.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
      response.echo = true;
    }
    return response;
  });
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  const auto answer = http.exchange(
      "GET /socket HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  ASSERT_EQ(answer.status, 101);
  EXPECT_EQ(answer.header("upgrade"), "websocket");
  const std::string message(100'000, 'm');
  for (int i = 0; i < 3; ++i) {
    client.write("\x81");
    EXPECT_EQ(http.read_exactly(1), "\x81");
  }
  client.write(message);
  EXPECT_TRUE(http.read_exactly(message.size()) == message);
}

// Each would be read differently by somebody behind us.
TEST_F(ProxyTest, SmugglingIsAnsweredAndNeverForwarded) {
  ASSERT_TRUE(site_.visit("a.test").handshake.verified);
  const size_t before = site_.upstream.requests();
  const std::string head = "POST /smuggled HTTP/1.1\r\nHost: a.test\r\n";
  const std::vector<std::string> requests = {
      head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
      head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
      head + "Content-Length: 5, 6\r\n\r\nhello!",
      head + "Content-Length: +5\r\n\r\nhello",
      head + "Content-Length: 0x5\r\n\r\nhello",
      head + "Content-Length: -1\r\n\r\nhello",
      head + "Content-Length: 99999999999999999999\r\n\r\nhello",
      head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
      head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      head +
          "Transfer-Encoding:\x0b"
          "chunked\r\n\r\n0\r\n\r\n",
      head + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      head + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
      "POST /smuggled HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET /smuggled HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
      "GET /smuggled HTTP/1.1\r\n\r\n",
      "GET /smuggled HTTP/1.1\r\nHost: a.test\r\nX: a\nY: b\r\n\r\n",
      "GET /smuggled HTTP/1.1\r\nHost: a.test\r\nX: a" + std::string(1, '\0') + "b\r\n\r\n",
      "GET /smug gled HTTP/1.1\r\nHost: a.test\r\n\r\n",
      "GET /smuggled HTTP/1.1 \r\nHost: a.test\r\n\r\n",
      "GET smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
      "complete nonsense\r\n\r\n",
  };
  for (const auto& request : requests) {
    const auto got = send(request);
    EXPECT_EQ(got.status, 400) << request;
  }
  EXPECT_EQ(site_.upstream.requests("/smuggled"), 0u);
  for (const auto& request : site_.upstream.seen()) EXPECT_EQ(request.path, "/") << request.head;
  EXPECT_EQ(site_.upstream.requests(), before);
}

TEST_F(ProxyTest, OtherVersionsAreRefused) {
  EXPECT_EQ(send("GET / HTTP/3.0\r\nHost: a.test\r\n\r\n").status, 505);
  EXPECT_EQ(send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status, 505);
  EXPECT_EQ(site_.upstream.requests(), 0u);
}

TEST_F(ProxyTest, HugeHeadsAreRefused) {
  const std::string filler(40'000, 'f');
  EXPECT_EQ(send("GET / HTTP/1.1\r\nHost: a.test\r\nX: " + filler + "\r\n\r\n").status, 431);
  EXPECT_EQ(send("GET /" + filler + " HTTP/1.1\r\nHost: a.test\r\n\r\n").status, 414);
  std::string many = "GET / HTTP/1.1\r\nHost: a.test\r\n";
  for (int i = 0; i < 200; ++i) many += "X-" + std::to_string(i) + ": 1\r\n";
  EXPECT_EQ(send(many + "\r\n").status, 431);
  EXPECT_EQ(site_.upstream.requests(), 0u);
}

TEST_F(ProxyTest, AHostThatTheCertificateDoesNotCoverIsMisdirected) {
  EXPECT_EQ(send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n").status, 421);
  EXPECT_EQ(send("GET / HTTP/1.1\r\nHost: a.test:8443\r\n\r\n").status, 200);
  EXPECT_EQ(send("GET / HTTP/1.1\r\nHost: A.Test\r\n\r\n").status, 200);
  EXPECT_EQ(site_.upstream.requests(), 2u);
}

TEST_F(ProxyTest, AnUpstreamThatIsBrokenGives502) {
  Response response;
  response.reset = true;
  answer(response);
  EXPECT_EQ(send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx").status, 502);
  response.reset = false;
  response.raw = "this is not HTTP\r\n\r\n";
  answer(response);
  EXPECT_EQ(send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").status, 502);
  response.raw = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!";
  answer(response);
  EXPECT_EQ(send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").status, 502);
  response.raw = "HTTP/1.1 200 OK\r\nX: " + std::string(1 << 20, 'h');
  answer(response);
  EXPECT_EQ(send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").status, 502);
}

TEST_F(ProxyTest, ABodyThatIsCutOffIsNotPassedOffAsWhole) {
  for (const bool chunked : {false, true}) {
    Response response;
    response.body = std::string(100'000, 'b');
    response.chunked = chunked;
    response.cut_after = 50'000;
    answer(response);
    const auto got = send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    EXPECT_EQ(got.status, 200);
    EXPECT_FALSE(got.complete);
    EXPECT_LT(got.body.size(), 100'000u);
  }
}

TEST_F(ProxyTest, AConnectionThatDiedWhileIdleIsReplaced) {
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  Response response;
  response.body = "x";
  response.raw = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";  // and closes
  answer(response);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(http.get("a.test").status, 200) << i;
}

// Nobody reads: neither side may grow in our memory.
TEST_F(ProxyTest, AnEndlessBodyIsHeldBackByASlowReader) {
  Response response;
  response.endless = true;
  answer(response);
  TlsClient client = site_.connect("a.test");
  client.write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  ASSERT_TRUE(client.read());
  const size_t before = site_.edge.process().resident_bytes();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_LT(site_.edge.process().resident_bytes(), before + (8u << 20));
}

// Likewise the other way round: a listener whose backlog accepts and that never reads.
TEST_F(ProxyTest, AnEndlessRequestIsHeldBackByAnUpstreamThatDoesNotRead) {
  const StuckServer stuck;
  site_.edge.settings.upstream = "http://127.0.0.1:" + std::to_string(stuck.port());
  ASSERT_EQ(site_.edge.reload(), "reloaded");
  TlsOptions options = site_.tls("a.test");
  options.limit = Millis(1000);
  TlsClient client(options);
  ASSERT_TRUE(client.write("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 999999999\r\n\r\n"));
  const size_t before = site_.edge.process().resident_bytes();
  const std::string part(1 << 16, 'p');
  size_t sent = 0;
  while (sent < (100u << 20) && client.write(part)) sent += part.size();
  EXPECT_LT(sent, 50u << 20);  // what the sockets' buffers hold, then nothing goes on
  EXPECT_LT(site_.edge.process().resident_bytes(), before + (8u << 20));
}

class SlowUpstreamTest : public ::testing::Test {
 protected:
  Site site_;
};

TEST_F(SlowUpstreamTest, ASilentUpstreamGives504) {
  site_.edge.settings.response_timeout = "500ms";
  ASSERT_TRUE(site_.edge.start());
  site_.upstream.replace_handler([](const Request&) {
    Response response;
    response.hang = true;
    return response;
  });
  const auto visit = site_.visit("a.test");
  EXPECT_EQ(visit.answer.status, 504) << visit.handshake.error;
}

TEST_F(SlowUpstreamTest, AnUpstreamThatIsDownGives502) {
  const ReservedPort refuses;
  site_.edge.settings.upstream = "http://127.0.0.1:" + std::to_string(refuses.number());
  ASSERT_TRUE(site_.edge.start());
  const auto visit = site_.visit("a.test");
  EXPECT_TRUE(visit.handshake.verified) << visit.handshake.error;
  EXPECT_EQ(visit.answer.status, 502);
  const HttpServer back([](const Request&) { return Response(); }, refuses.number());
  EXPECT_EQ(site_.visit("a.test").answer.status, 200);
}

TEST_F(SlowUpstreamTest, RoutesGoByHostAndSetHeaders) {
  const HttpServer other([](const Request& request) {
    Response response;
    response.body = "other " + request.header("x-edge");
    response.headers = {{"Server", "secret"}};
    return response;
  });
  site_.edge.settings.routes =
      R"([{"hosts": ["b.test"], "upstreams": [")" + other.url() +
      R"("], "request_headers": {"X-Edge": "7"}, "response_headers": {"Server": null}},)"
      R"({"hosts": ["*"], "upstreams": [")" +
      site_.upstream.url() + R"("]}])";
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(site_.visit("a.test").answer.body, "page of a.test /");
  const auto visit = site_.visit("b.test");
  EXPECT_EQ(visit.answer.body, "other 7");
  EXPECT_THAT(visit.answer.header("server"), IsEmpty());
}

TEST_F(SlowUpstreamTest, ManyClientsAtOnceAreServed) {
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(site_.visit("a.test").handshake.verified);
  site_.upstream.replace_handler([](const Request& request) {
    Response response;
    response.delay = Millis(50);
    response.body = request.target;
    return response;
  });
  std::vector<std::thread> clients;
  std::atomic<int> good = 0;
  for (int c = 0; c < 20; ++c) {
    clients.emplace_back([&, c] {
      TlsClient client = site_.connect("a.test");
      HttpConversation http(client);
      for (int i = 0; i < 5; ++i) {
        const std::string target = "/" + std::to_string(c) + "/" + std::to_string(i);
        if (http.get("a.test", target).body == target) ++good;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(good, 100);
}

}  // namespace
}  // namespace latchkey::test
