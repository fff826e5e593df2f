#include "base/curl_http_client.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "tests/support/eventually.h"
#include "tests/support/http_server.h"
#include "tests/support/test_loop.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;
using test::HttpServer;
using test::Request;
using test::Response;

class CurlHttpClientTest : public testing::Test {
 protected:
  static HttpRequest get(const std::string& url) {
    HttpRequest request;
    request.url = url;
    request.timeout = 5s;
    return request;
  }
  Result<HttpReply> fetch(HttpRequest request) {
    return loop.finish(client->send(std::move(request)));
  }
  static std::string path_of(size_t i) { return std::string("/").append(std::to_string(i)); }
  // The message of the failure, which must have that code.
  std::string failure(HttpRequest request, ErrorCode code) {
    const auto reply = fetch(std::move(request));
    if (reply) return "no failure but " + std::to_string(reply->status);
    EXPECT_EQ(reply.error().code, code) << reply.error().message;
    return reply.error().message;
  }

  test::TestLoop loop;
  std::optional<CurlHttpClient> client{std::in_place, loop.uv(), CurlHttpClient::Options()};
};

TEST_F(CurlHttpClientTest, GivesTheWholeReply) {
  HttpServer server([](const Request&) {
    return Response{.status = 201, .body = "hello", .headers = {{"X-Nonce", "  a b "}}};
  });
  HttpRequest request = get(server.url("/a/b?c=d#e"));
  request.headers = {{"X-Mine", "1"}, {"X-Empty", ""}};
  const auto reply = fetch(std::move(request));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 201);
  EXPECT_EQ(reply->body, "hello");
  EXPECT_EQ(reply->header("x-nonce"), "a b");
  EXPECT_EQ(reply->header("x-other"), "");
  const Request seen = server.seen().at(0);
  EXPECT_EQ(seen.target, "/a/b?c=d");
  EXPECT_EQ(seen.header("user-agent"), "latchkey");
  EXPECT_EQ(seen.header("x-mine"), "1");
  EXPECT_NE(seen.head.find("X-Empty:"), std::string::npos);
}

TEST_F(CurlHttpClientTest, SendsBodiesOfAnyBytesWithoutHeadersOfItsOwnMaking) {
  HttpServer server([](const Request& r) { return Response{.body = r.method + " " + r.body}; });
  HttpRequest request = get(server.url());
  request.method = "POST";
  request.body = std::string("a\0b", 3) + std::string(2'000'000, 'x');
  request.headers = {{"content-type", "application/jose+json"}};
  request.max_body = 3'000'000;
  const auto posted = fetch(request);
  ASSERT_TRUE(posted) << posted.error().message;
  EXPECT_EQ(posted->body, "POST " + request.body);
  EXPECT_EQ(server.seen().at(0).header("content-type"), "application/jose+json");
  EXPECT_EQ(server.seen().at(0).header("expect"), "");

  request.body.clear();
  request.headers.clear();
  EXPECT_EQ(fetch(request)->body, "POST ");
  EXPECT_EQ(server.seen().at(1).header("content-length"), "0");
  EXPECT_EQ(server.seen().at(1).header("content-type"), "");
  request.method = "PUT";
  request.body = "x";
  EXPECT_EQ(fetch(request)->body, "PUT x");
  request.method = "DELETE";
  request.body = "";
  EXPECT_EQ(fetch(request)->body, "DELETE ");
}

TEST_F(CurlHttpClientTest, AHeadHasHeadersOnly) {
  HttpServer server([](const Request&) {
    return Response{.body = "body", .headers = {{"Replay-Nonce", "n"}}};
  });
  HttpRequest request = get(server.url());
  request.method = "HEAD";
  const auto reply = fetch(std::move(request));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->body, "");
  EXPECT_EQ(reply->header("replay-nonce"), "n");
}

TEST_F(CurlHttpClientTest, KeepsItsConnections) {
  HttpServer server([](const Request&) { return Response{.body = "x"}; });
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(fetch(get(server.url())));
  EXPECT_EQ(server.connections(), 1u);
}

TEST_F(CurlHttpClientTest, ReadsChunkedBodies) {
  const std::string body(123'456, 'c');
  HttpServer server([&](const Request&) { return Response{.body = body, .chunked = true}; });
  EXPECT_EQ(fetch(get(server.url()))->body, body);
}

TEST_F(CurlHttpClientTest, TheHeadersOfInterimRepliesAndTrailersAreNotTheReplys) {
  HttpServer server([](const Request&) {
    return Response{.raw =
                        "HTTP/1.1 103 Early\r\nX-A: early\r\n\r\n"
                        "HTTP/1.1 200 OK\r\nX-B: late\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "1\r\nx\r\n0\r\nX-A: trailer\r\n\r\n"};
  });
  const auto reply = fetch(get(server.url()));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->body, "x");
  EXPECT_EQ(reply->header("x-a"), "");
  EXPECT_EQ(reply->header("x-b"), "late");
}

TEST_F(CurlHttpClientTest, DoesNotFollowRedirects) {
  HttpServer server([](const Request&) {
    return Response{.status = 302, .headers = {{"Location", "/elsewhere"}}};
  });
  const auto reply = fetch(get(server.url("/here")));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 302);
  EXPECT_EQ(reply->header("location"), "/elsewhere");
  EXPECT_EQ(server.requests(), 1u);
}

TEST_F(CurlHttpClientTest, AHangingServerMeetsTheTimeLimit) {
  HttpServer server([](const Request&) { return Response{.hang = true}; });
  HttpRequest request = get(server.url("/hang?secret=1"));
  request.timeout = 100ms;
  const test::Stopwatch watch;
  const std::string message = failure(std::move(request), ErrorCode::kTimeout);
  EXPECT_LT(watch.elapsed(), 2s);
  EXPECT_TRUE(message.starts_with("GET " + server.url("/hang") + ": ")) << message;
  EXPECT_EQ(message.find("secret"), std::string::npos) << message;
}

TEST_F(CurlHttpClientTest, ASlowAnswerWithinTheLimitIsFine) {
  HttpServer server([](const Request&) { return Response{.body = "slow", .delay = 60ms}; });
  EXPECT_EQ(fetch(get(server.url()))->body, "slow");
}

TEST_F(CurlHttpClientTest, AnEndlessBodyEndsAtTheBound) {
  HttpServer server([](const Request&) { return Response{.endless = true}; });
  HttpRequest request = get(server.url("/big"));
  request.max_body = 100'000;
  EXPECT_EQ(failure(request, ErrorCode::kProtocol),
            "GET " + server.url("/big") + ": a body of over 100000 bytes");
  request.truncate_body = true;
  const auto cut = fetch(request);
  ASSERT_TRUE(cut) << cut.error().message;
  EXPECT_EQ(cut->status, 200);
  EXPECT_EQ(cut->body, std::string(100'000, 'x'));
}

TEST_F(CurlHttpClientTest, ABodyOfExactlyTheBoundIsWhole) {
  HttpServer server([](const Request&) { return Response{.body = std::string(1000, 'y')}; });
  HttpRequest request = get(server.url());
  request.max_body = 1000;
  EXPECT_EQ(fetch(request)->body.size(), 1000u);
  request.max_body = 999;
  failure(request, ErrorCode::kProtocol);
}

TEST_F(CurlHttpClientTest, HugeHeadersEndAtTheBound) {
  HttpServer server([](const Request& r) {
    Response response;
    if (r.path == "/line") response.headers = {{"X", std::string(200'000, 'h')}};
    for (int i = 0; i < 100 && r.path == "/many"; ++i) {
      response.headers.emplace_back(std::string("X").append(std::to_string(i)),
                                    std::string(1000, 'h'));
    }
    if (r.path == "/interim") response.informational = std::vector<int>(5'000, 103);
    return response;
  });
  for (const char* path : {"/line", "/many", "/interim"}) {
    const std::string message = failure(get(server.url(path)), ErrorCode::kProtocol);
    EXPECT_NE(message.find("header"), std::string::npos) << message;
  }
}

TEST_F(CurlHttpClientTest, WhatIsNotHttpIsAProtocolError) {
  HttpServer server([](const Request& r) {
    Response response;
    response.raw = "SSH-2.0-OpenSSH_9.2\r\n\r\nwhatever";
    if (r.path == "/status") response.raw = "HTTP/1.1 abc\r\n\r\n";
    if (r.path == "/chunk") {
      response.raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n";
    }
    return response;
  });
  for (const char* path : {"/ssh", "/status"}) {
    const std::string message = failure(get(server.url(path)), ErrorCode::kProtocol);
    EXPECT_NE(message.find("not a valid HTTP answer"), std::string::npos) << message;
  }
  EXPECT_FALSE(fetch(get(server.url("/chunk"))));
}

TEST_F(CurlHttpClientTest, AnAnswerThatIsCutOffIsAnError) {
  for (const size_t bytes : {0, 1, 20, 60, 100}) {
    HttpServer server([&](const Request&) {
      return Response{.body = std::string(500, 'z'), .cut_after = bytes};
    });
    const auto reply = fetch(get(server.url()));
    EXPECT_FALSE(reply) << bytes;
  }
  HttpServer server([](const Request&) { return Response{.reset = true}; });
  failure(get(server.url()), ErrorCode::kIo);
}

TEST_F(CurlHttpClientTest, NobodyThereIsAnError) {
  std::string url;
  {
    HttpServer gone([](const Request&) { return Response{}; });
    url = gone.url("/x?key=secret");
  }
  const std::string message = failure(get(url), ErrorCode::kIo);
  EXPECT_NE(message.find("is it running"), std::string::npos) << message;
  EXPECT_EQ(message.find("secret"), std::string::npos) << message;
}

TEST_F(CurlHttpClientTest, RefusesWhatCannotBeAsked) {
  for (const std::string url :
       {"", "x", "/path", "example.test/dir", "ftp://127.0.0.1/", "file:///etc/passwd", "http://",
        "http://a b/", "http://user:secret@[/?secret", "http://example.test/",
        "http://127.0.0.1.example.test/", "http://10.0.0.1/", "http://[::2]/", "http://128.0.0.1/",
        "http://localhost.example/", "http://127.0.0.1@example.test/",
        "http://[::ffff:10.0.0.1]/"}) {
    const std::string message = failure(get(url), ErrorCode::kInvalid);
    EXPECT_EQ(message.find("secret"), std::string::npos) << message;
  }
  HttpRequest request = get("http://127.0.0.1:1/");
  request.headers = {{"X", "a\r\nInjected: 1"}};
  failure(request, ErrorCode::kInvalid);
  request.headers = {{"X Y", "a"}};
  failure(request, ErrorCode::kInvalid);
  request.headers.clear();
  request.method = "GET / HTTP/1.1\r\n";
  failure(request, ErrorCode::kInvalid);
}

TEST_F(CurlHttpClientTest, EverySpellingOfLoopbackMayBePlain) {
  HttpServer server([](const Request&) { return Response{}; });
  const std::string port = std::to_string(server.port());
  for (const std::string host : {"127.0.0.1", "127.1", "localhost", "LOCALHOST"}) {
    const auto reply = fetch(get("http://" + host + ":" + port + "/"));
    EXPECT_TRUE(reply) << reply.error().message;
  }
  failure(get("http://[::1]:" + port + "/"), ErrorCode::kIo);  // asked, but nobody is there
}

TEST_F(CurlHttpClientTest, LoopbackIsNeverAskedThroughAProxy) {
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  HttpServer server([](const Request&) { return Response{.body = "direct"}; });
  const auto reply = fetch(get(server.url()));
  unsetenv("http_proxy");
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->body, "direct");
}

TEST_F(CurlHttpClientTest, OthersAreAskedThroughTheProxyOfTheEnvironment) {
  HttpServer proxy([](const Request& r) { return Response{.body = r.target}; });
  setenv("http_proxy", proxy.url().c_str(), 1);
  HttpRequest request = get("http://example.test/x");
  request.http_on_loopback_only = false;
  const auto reply = fetch(std::move(request));
  unsetenv("http_proxy");
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->body, "http://example.test/x");
}

TEST_F(CurlHttpClientTest, DroppingATaskFreesItsConnectionAtOnce) {
  CurlHttpClient::Options one;
  one.max_connections_per_host = 1;
  client.emplace(loop.uv(), one);
  HttpServer server(
      [](const Request& r) { return Response{.body = "second", .hang = r.path == "/hang"}; });
  std::optional<Task<HttpReply>> hanging = client->send(get(server.url("/hang")));
  hanging->start();
  loop.run_until([&] { return server.requests() > 0; });
  auto second = client->send(get(server.url("/second")));
  second.start();
  for (int i = 0; i < 20; ++i) loop.turn();
  EXPECT_FALSE(second.done());  // it waits for the only connection
  hanging.reset();
  loop.run_until([&] { return second.done(); });
  ASSERT_TRUE(second.outcome()) << second.outcome().error().message;
  EXPECT_EQ(second.outcome()->body, "second");
}

TEST_F(CurlHttpClientTest, ATaskMayBeDroppedAfterAnyNumberOfTurns) {
  HttpServer server([](const Request&) { return Response{.body = std::string(300'000, 'b')}; });
  for (int turns = 0; turns < 12; ++turns) {
    auto task = client->send(get(server.url()));
    task.start();
    for (int i = 0; i < turns && !task.done(); ++i) loop.turn();
  }
  { const auto never_started = client->send(get(server.url())); }
  EXPECT_TRUE(fetch(get(server.url())));
}

// Who waits for a reply may end other exchanges, begin new ones, and end the client.
Task<> fetch_then(HttpClient& client, HttpRequest request, std::function<void()> then) {
  Task<HttpReply> exchange = client.send(std::move(request));
  const auto reply = co_await std::move(exchange).result();
  then();
  co_return Unit{};
}

TEST_F(CurlHttpClientTest, AWaiterMayEndOthersAndBeginNewOnes) {
  HttpServer server([](const Request&) { return Response{.body = "x", .delay = 5ms}; });
  std::vector<Task<>> others;
  std::vector<Task<>> later;
  size_t ended = 0;
  auto first = fetch_then(*client, get(server.url()), [&] {
    others.clear();
    later.push_back(fetch_then(*client, get(server.url()), [&] { ++ended; }));
    later.back().start();
  });
  first.start();
  for (int i = 0; i < 5; ++i) {
    others.push_back(fetch_then(*client, get(server.url()), [] {}));
    others.back().start();
  }
  loop.run_until([&] { return ended > 0; });
  EXPECT_TRUE(first.done());
}

TEST_F(CurlHttpClientTest, TheLastWaiterMayEndTheClient) {
  HttpServer server([](const Request&) { return Response{.body = "x"}; });
  auto last = fetch_then(*client, get(server.url()), [&] { client.reset(); });
  last.start();
  loop.run_until([&] { return last.done(); });
  EXPECT_FALSE(client.has_value());
}

TEST_F(CurlHttpClientTest, ServesManyAtOnceWithinItsConnections) {
  HttpServer server([](const Request& r) { return Response{.body = r.path, .delay = 2ms}; });
  std::vector<Task<HttpReply>> tasks;
  for (size_t i = 0; i < 100; ++i) {
    tasks.push_back(client->send(get(server.url(path_of(i)))));
    tasks.back().start();
  }
  for (size_t i = 0; i < tasks.size(); ++i) {
    ASSERT_TRUE(loop.run_until([&] { return tasks[i].done(); }));
    ASSERT_TRUE(tasks[i].outcome()) << tasks[i].outcome().error().message;
    EXPECT_EQ(tasks[i].outcome()->body, path_of(i));
  }
  EXPECT_LE(server.most_at_once(), 8u);
  EXPECT_LE(server.connections(), 8u);
}

}  // namespace
}  // namespace latchkey
