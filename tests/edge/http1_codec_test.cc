#include "edge/http/http1_codec.h"

#include <gtest/gtest.h>

#include "edge/http/http1_writer.h"
#include "tests/edge/smuggling_table.h"

namespace latchkey::edge {
namespace {

using Kind = Http1Event::Kind;

// What a parser said about a byte stream, one line an event, bodies joined.
template <typename Parser, typename Describe>
std::string tell(Parser& parser, const std::vector<std::string_view>& reads, Describe describe,
                 bool one = false) {
  std::string story;
  std::string waiting;
  std::string body;
  for (const std::string_view read : reads) {
    waiting.append(read);
    for (;;) {
      const Http1Event event = parser.next(waiting);
      body.append(event.body);
      waiting.erase(0, event.consumed);
      if (event.kind == Kind::kMore) break;
      if (event.kind == Kind::kHead) story += describe(parser.head()) + "\n";
      if (event.kind == Kind::kEnd) {
        story += "body " + std::exchange(body, {}) + "\n";
        for (const auto [name, value] : parser.trailers()) {
          story += "trailer " + std::string(name) + "=" + std::string(value) + "\n";
        }
        if (one) return story;
      }
      if (event.kind == Kind::kRefused) {
        return story + "refused " + std::to_string(parser.refusal().status);
      }
    }
  }
  return story;
}

std::string tell_requests(const std::vector<std::string_view>& reads) {
  Http1RequestParser parser;
  return tell(parser, reads, [&](const RequestHead& head) {
    std::string text = head.method + " " + head.target + " @" + head.authority;
    if (!parser.keep_alive()) text += " close";
    if (!head.upgrade.empty()) text += " upgrade:" + head.upgrade;
    if (head.expect_continue) text += " expect";
    for (const auto [name, value] : head.headers) {
      text += " " + std::string(name) + "=" + std::string(value);
    }
    return text;
  });
}

std::string tell_responses(const std::vector<std::string_view>& reads) {
  Http1ResponseParser parser;
  parser.expect(false, false);
  return tell(
      parser, reads,
      [&](const ResponseHead& head) {
        std::string text = std::to_string(head.status) + " " + head.reason;
        for (const auto [name, value] : head.headers) {
          text += " " + std::string(name) + "=" + std::string(value);
        }
        return text;
      },
      true);
}

// However the bytes are cut into reads, the story is the same.
template <typename Tell>
void expect_same_over_all_splits(std::string_view bytes, Tell tell_of) {
  const std::string whole = tell_of({bytes});
  for (size_t i = 1; i < bytes.size(); ++i) {
    ASSERT_EQ(whole, tell_of({bytes.substr(0, i), bytes.substr(i)})) << "cut at " << i;
  }
  std::vector<std::string_view> single;
  for (size_t i = 0; i < bytes.size(); ++i) single.push_back(bytes.substr(i, 1));
  EXPECT_EQ(whole, tell_of(single));
}

TEST(Http1RequestParserTest, PlainRequestsAreRead) {
  EXPECT_EQ(tell_requests({"GET /a?b=c HTTP/1.1\r\nHost: A.test\r\nX-One:  two \r\n\r\n"}),
            "GET /a?b=c @A.test x-one=two\nbody \n");
  EXPECT_EQ(tell_requests({"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"}),
            "POST / @a\nbody abc\n");
  EXPECT_EQ(tell_requests({"GET / HTTP/1.0\r\nHost: a\r\n\r\n"}), "GET / @a close\nbody \n");
  EXPECT_EQ(tell_requests({"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"}),
            "GET / @a connection=keep-alive\nbody \n");
  EXPECT_EQ(tell_requests({"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"}), "GET / @a\nbody \n");
}

TEST(Http1RequestParserTest, EverySplitOfTheBytesTellsTheSame) {
  for (const std::string_view bytes : {
           "GET /a HTTP/1.1\r\nHost: a.test\r\nCookie: x=1; y=2\r\n\r\n"
           "POST /b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello"
           "POST /c HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: Chunked\r\n\r\n"
           "4;x=y\r\nwiki\r\n00A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n"
           "GET /d HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
           "chunked\r\n\r\n5\r\nabc\n\r\n0\r\n\r\n",
       }) {
    expect_same_over_all_splits(bytes, tell_requests);
  }
  EXPECT_EQ(tell_requests({"POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
                           "4;x=y\r\nwiki\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n"}),
            "POST /c @a\nbody wiki\ntrailer x-sum=1\n");
}

TEST(Http1RequestParserTest, TargetsBecomeOriginForm) {
  EXPECT_EQ(tell_requests({"GET http://A.test/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n"}),
            "GET /x?y @a.test\nbody \n");
  EXPECT_EQ(tell_requests({"GET https://a.test?y HTTP/1.1\r\nHost: a.test\r\n\r\n"}),
            "GET /?y @a.test\nbody \n");
  EXPECT_EQ(tell_requests({"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"}), "OPTIONS * @a\nbody \n");
  EXPECT_EQ(tell_requests({"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n"}),
            "OPTIONS * @a\nbody \n");
}

TEST(Http1RequestParserTest, UpgradesAndExpectationsAreSeen) {
  EXPECT_EQ(tell_requests({"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
                           "Upgrade: websocket\r\n\r\n"}),
            "GET / @a upgrade:websocket connection=keep-alive, Upgrade upgrade=websocket\nbody \n");
  EXPECT_EQ(tell_requests({"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                           "Upgrade: h2c\r\n\r\n"}),
            "GET / @a connection=Upgrade, HTTP2-Settings upgrade=h2c\nbody \n");
  EXPECT_EQ(tell_requests({"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n"
                           "Content-Length: 1\r\n\r\nx"}),
            "PUT / @a expect expect=100-Continue\nbody x\n");
}

TEST(Http1RequestParserTest, LimitsHold) {
  const std::string host = " HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(tell_requests({"GET /" + std::string(8100, 'x') + host + "\r\n"}).substr(0, 5),
            "GET /");
  EXPECT_EQ(tell_requests({"GET /" + std::string(8192, 'x') + host + "\r\n"}), "refused 414");
  EXPECT_EQ(tell_requests({"GET /" + std::string(9000, 'x')}), "refused 414");
  EXPECT_EQ(tell_requests({"GET /" + host + "X: " + std::string(33000, 'x')}), "refused 431");
  std::string many = "GET /" + host;
  for (int i = 0; i < 99; ++i) many += "X: 1\r\n";
  EXPECT_EQ(tell_requests({many + "\r\n"}).substr(0, 5), "GET /");
  EXPECT_EQ(tell_requests({many + "X: 1\r\n\r\n"}), "refused 431");
  const std::string chunked =
      "POST /" + host + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(5000, 'x');
  EXPECT_TRUE(tell_requests({chunked}).ends_with("refused 400"));
}

TEST(Http1RequestParserTest, WhatCouldMeanTwoThingsIsRefused) {
  for (const BadRequest& bad : kBadRequests) {
    const std::string story = tell_requests({bad.bytes});
    EXPECT_TRUE(story.ends_with("refused " + std::to_string(bad.status)))
        << bad.name << ": " << story;
    EXPECT_EQ(story.find("body"), std::string::npos) << bad.name << ": " << story;
  }
  EXPECT_GE(std::size(kBadRequests), 60U);
}

TEST(Http1ResponseParserTest, ResponsesAreReadOverEverySplit) {
  const std::string_view bytes =
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\nhi";
  EXPECT_EQ(tell_responses({bytes}), "103 Early Hints link=</a>\n200 OK a=b\nbody hi\n");
  expect_same_over_all_splits(bytes, tell_responses);
  expect_same_over_all_splits(
      "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n",
      tell_responses);
  EXPECT_EQ(tell_responses({"HTTP/1.1 204 No Content\r\n\r\n"}), "204 No Content\nbody \n");
}

TEST(Http1ResponseParserTest, AnswersToHeadHaveNoBody) {
  Http1ResponseParser parser;
  parser.expect(true, false);
  const std::string_view bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
  const Http1Event head = parser.next(bytes);
  ASSERT_EQ(head.kind, Kind::kHead);
  EXPECT_EQ(parser.head().body.length, 9U);
  EXPECT_EQ(parser.next(bytes.substr(head.consumed)).kind, Kind::kEnd);
}

TEST(Http1ResponseParserTest, OnlyAnUnframedBodyEndsWithTheConnection) {
  Http1ResponseParser parser;
  parser.expect(false, false);
  const std::string_view bytes = "HTTP/1.0 200 OK\r\n\r\nabc";
  const Http1Event head = parser.next(bytes);
  EXPECT_EQ(parser.next(bytes.substr(head.consumed)).body, "abc");
  EXPECT_EQ(parser.finish().kind, Kind::kEnd);
  EXPECT_FALSE(parser.keep_alive());

  parser.expect(false, false);
  const std::string_view cut = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc";
  parser.next(cut);
  EXPECT_EQ(parser.finish().kind, Kind::kRefused);
}

TEST(Http1ResponseParserTest, WhatCouldMeanTwoThingsIsRefused) {
  for (const std::string_view bytes : std::initializer_list<std::string_view>{
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
           "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
           "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
           "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"sv,
           "HTTP/1.1 20 OK\r\n\r\n",
           "HTTP/2.0 200 OK\r\n\r\n",
           "HTTP/1.1 099 OK\r\n\r\n",
           "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
           "\r\nHTTP/1.1 200 OK\r\n\r\n",
           "SSH-2.0-OpenSSH\r\n",
           "ICY 200 OK\r\n\r\n",
       }) {
    EXPECT_EQ(tell_responses({bytes}), "refused 502") << bytes;
  }
}

TEST(Http1WriterTest, WhatIsWrittenReadsTheSame) {
  RequestHead head;
  head.method = "POST";
  head.target = "/x";
  head.authority = "a.test:8443";
  head.headers.add("Accept", "*/*");
  head.body = {Body::Kind::kChunked, 0};
  std::string bytes;
  write_head(bytes, head);
  write_chunk_head(bytes, 26);
  bytes += "abcdefghijklmnopqrstuvwxyz\r\n";
  HeaderList trailers;
  trailers.add("Sum", "7");
  write_last_chunk(bytes, trailers);
  EXPECT_EQ(tell_requests({bytes}),
            "POST /x @a.test:8443 accept=*/*\nbody abcdefghijklmnopqrstuvwxyz\ntrailer sum=7\n");
}

}  // namespace
}  // namespace latchkey::edge
