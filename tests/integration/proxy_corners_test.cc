// The less common shapes of HTTP, through the whole edge.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/eventually.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::IsEmpty;

class ProxyCornersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(site_.edge.start());
    ASSERT_TRUE(site_.connect("a.test").handshake().verified);
  }

  void answer(const Response& response) {
    site_.upstream.replace_handler([response](const Request&) { return response; });
  }
  void answer_raw(const std::string& raw) {
    Response response;
    response.raw = raw;
    answer(response);
  }
  HttpAnswer send(const std::string& request) {
    TlsClient client = site_.connect("a.test");
    return HttpConversation(client).exchange(request);
  }
  HttpAnswer get() { return send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"); }

  Site site_;
};

TEST_F(ProxyCornersTest, AnswersWithoutABodyKeepTheFraming) {
  for (const int status : {204, 304}) {
    TlsClient client = site_.connect("a.test");
    HttpConversation http(client);
    Response response;
    response.status = status;
    answer(response);
    EXPECT_EQ(http.get("a.test").status, status);
    EXPECT_EQ(http.get("a.test").status, status);
  }
}

TEST_F(ProxyCornersTest, ABodyThatEndsWithItsConnectionArrivesWhole) {
  answer_raw("HTTP/1.1 200 OK\r\n\r\nuntil the end");
  const auto got = get();
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "until the end");
  EXPECT_TRUE(got.complete);
  answer_raw("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold");
  EXPECT_EQ(get().body, "old");
}

TEST_F(ProxyCornersTest, AnHttp10ClientIsAnsweredAndLetGo) {
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  Response response;
  response.body = "chunks";
  response.chunked = true;
  answer(response);
  const auto got = http.exchange("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "chunks");
  EXPECT_THAT(got.header("transfer-encoding"), IsEmpty());
  EXPECT_TRUE(http.ended());
}

// What an upstream sends beyond its answer must not become the next visitor's answer.
TEST_F(ProxyCornersTest, BytesBehindAnAnswerAreNotTheNextAnswer) {
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  answer_raw(
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"
      "Content-Length: 6\r\n\r\npoison");
  EXPECT_EQ(http.get("a.test").body, "ok");
  Response clean;
  clean.body = "clean";
  answer(clean);
  EXPECT_EQ(http.get("a.test").body, "clean");
  EXPECT_EQ(get().body, "clean");
}

TEST_F(ProxyCornersTest, AnUpgradeThatNobodyAskedForIs502) {
  answer_raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
  EXPECT_EQ(get().status, 502);
}

TEST_F(ProxyCornersTest, AnUpgradeThatIsDeclinedIsAnOrdinaryAnswer) {
  Response response;
  response.body = "no";
  answer(response);
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  const auto got = http.exchange(
      "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "no");
  EXPECT_EQ(http.get("a.test").body, "no");
}

TEST_F(ProxyCornersTest, AnAnswerBeforeTheEndOfTheRequestIsPassedOn) {
  const std::string raw = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig";
  TlsClient client = site_.connect("a.test");
  answer_raw(raw);
  // The upstream of the harness answers whole requests only, so this one says how long it is and
  // sends all of it: the answer, the close and the rest of the body cross on the way.
  const std::string body(3u << 20, 'b');
  client.write("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body);
  const auto got = HttpConversation(client).read_answer();
  EXPECT_EQ(got.status, 413);
  EXPECT_EQ(got.body, "big");
}

TEST_F(ProxyCornersTest, MethodsAndTargetsPassAsTheyAre) {
  send("PROPFIND /a%2Fb/../c;d?e=f%20g&h HTTP/1.1\r\nHost: a.test\r\n\r\n");
  send("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n");
  const auto seen = site_.upstream.seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].method, "PROPFIND");
  EXPECT_EQ(seen[0].target, "/a%2Fb/../c;d?e=f%20g&h");
  EXPECT_EQ(seen[1].method, "OPTIONS");
  EXPECT_EQ(seen[1].target, "*");
}

TEST_F(ProxyCornersTest, ConnectIsRefused) {
  const auto got = send("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
  EXPECT_THAT(got.status, ::testing::AnyOf(400, 405, 501));
  EXPECT_EQ(site_.upstream.requests(), 0u);
}

TEST_F(ProxyCornersTest, AnAbsoluteTargetIsJudgedByItsAuthority) {
  const auto other = send("GET http://b.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_THAT(other.status, ::testing::AnyOf(400, 421));
  const auto same = send("GET https://a.test/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n");
  if (same.status == 200) {
    ASSERT_EQ(site_.upstream.seen().size(), 1u);
    EXPECT_EQ(site_.upstream.seen()[0].target, "/x?y");
  } else {
    EXPECT_EQ(same.status, 400);
  }
}

TEST_F(ProxyCornersTest, AnUploadThatIsAbandonedIsNotPassedOffAsWhole) {
  {
    TlsClient client = site_.connect("a.test");
    client.write("POST /half HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nhalf");
    ASSERT_TRUE(eventually([&] { return site_.upstream.bytes_received() > 0; }));
  }
  EXPECT_EQ(get().status, 200);
  EXPECT_EQ(site_.upstream.requests("/half"), 0u);
}

TEST_F(ProxyCornersTest, TrailersDoNotConfuse) {
  answer_raw(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
      "5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n");
  const auto got = get();
  EXPECT_EQ(got.body, "hello");
  EXPECT_TRUE(got.complete);
}

TEST_F(ProxyCornersTest, AHeadThatNeverEndsIsCutOff) {
  TlsClient client = site_.connect("a.test");
  client.write("GET / HTTP/1.1\r\nHost: a.test\r\nX: ");
  const Stopwatch time;
  const auto got = HttpConversation(client).read_answer();
  EXPECT_THAT(got.status, ::testing::AnyOf(0, 408));
  EXPECT_LT(time.elapsed(), Millis(20'000));
}

TEST_F(ProxyCornersTest, ForgedFramingInAnAnswerIs502) {
  for (const char* raw :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx",
        "HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nX: a\r\n b: c\r\nContent-Length: 1\r\n\r\nx"}) {
    answer_raw(raw);
    EXPECT_EQ(get().status, 502) << raw;
  }
}

TEST_F(ProxyCornersTest, HeadersThatAreSecretBetweenUpstreamAndUsStayHere) {
  answer_raw(
      "HTTP/1.1 200 OK\r\nConnection: X-Internal, keep-alive\r\nX-Internal: 1\r\n"
      "Keep-Alive: timeout=5\r\nContent-Length: 1\r\n\r\nx");
  const auto got = get();
  EXPECT_EQ(got.status, 200);
  EXPECT_THAT(got.header("x-internal"), IsEmpty());
  EXPECT_THAT(got.header("keep-alive"), IsEmpty());
}

}  // namespace
}  // namespace latchkey::test
