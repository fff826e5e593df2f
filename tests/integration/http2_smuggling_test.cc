// What HTTP/2 lets a client say and HTTP/1.1 would read otherwise, through the whole edge, byte for
// byte: each form gets its answer, and what reaches the upstream has one meaning.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "tests/support/http2_wire.h"
#include "tests/support/site.h"
#include "tests/support/strict_upstream.h"

namespace latchkey::test {
namespace {

using http2::block;
using http2::Fields;
using http2::frame;
using ::testing::IsEmpty;

struct Form {
  std::string name;
  std::string frames;  // of stream 1, for the most part
  // The status, "reset" of the stream, "goaway" of the connection.
  std::string answer;
  // As StrictRequest::told() puts it; "": nothing whole reaches the upstream.
  std::string told{};
  std::string has{};      // "name: value" that the upstream sees
  std::string without{};  // names that it does not see, with a blank between
};

Fields get() {
  return {{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}};
}
Fields set(std::string_view name, std::string value, Fields fields = get()) {
  for (auto& field : fields) {
    if (field.first == name) field.second = value;
  }
  return fields;
}
Fields drop(std::string_view name, Fields fields = get()) {
  std::erase_if(fields, [&](const auto& field) { return field.first == name; });
  return fields;
}
Fields add(std::string name, std::string value, Fields fields = get()) {
  fields.emplace_back(std::move(name), std::move(value));
  return fields;
}
Fields post() {
  return set(":method", "POST");
}
std::string nul(std::string_view before, std::string_view after) {
  return std::string(before).append(1, '\0').append(after);
}
Form head(std::string name, const Fields& fields, std::string answer, std::string told = "",
          std::string has = "", std::string without = "") {
  return {std::move(name), http2::request(1, fields), std::move(answer), std::move(told),
          std::move(has),  std::move(without)};
}
Form body(std::string name, const Fields& fields, std::string_view bytes, std::string answer,
          std::string told = "", const Fields& trailers = {}) {
  return {std::move(name), http2::request(1, fields, bytes, trailers), std::move(answer),
          std::move(told)};
}
// HEADERS of a request that goes on.
std::string begun(const Fields& fields) {
  return frame(http2::kHeaders, http2::kEndHeaders, 1, block(fields));
}

constexpr const char* kPlain = "GET / a.test none";

std::vector<Form> pseudo_headers() {
  return {
      head("a plain request", get(), "200", kPlain),
      head("no method", drop(":method"), "reset"),
      head("no scheme", drop(":scheme"), "reset"),
      head("no path", drop(":path"), "reset"),
      head("no authority", drop(":authority"), "reset"),
      head("nothing at all", {}, "reset"),
      head("a Host for an authority", add("host", "a.test", drop(":authority")), "200", kPlain),
      head("two methods", add(":method", "POST"), "reset"),
      head("two schemes", add(":scheme", "http"), "reset"),
      head("two paths", add(":path", "/b"), "reset"),
      head("two authorities", add(":authority", "b.test"), "reset"),
      head("a pseudo-header behind a field", add(":path", "/", add("x", "y", drop(":path"))),
           "reset"),
      head("an unknown pseudo-header", add(":x", "y"), "reset"),
      head(":status", add(":status", "200"), "reset"),
      head(":host", add(":host", "b.test"), "reset"),
      head("a pseudo-header in capitals", add(":PATH", "/", drop(":path")), "reset"),
      head(":protocol without CONNECT", add(":protocol", "websocket"), "reset"),
      head("an empty method", set(":method", ""), "reset"),
      head("an empty scheme", set(":scheme", ""), "reset"),
      head("an empty path", set(":path", ""), "reset"),
      head("an empty authority", set(":authority", ""), "reset"),
      head("an empty authority and a Host", add("host", "a.test", set(":authority", "")), "reset"),
      head("a method in small letters", set(":method", "get"), "501"),
      head("an unknown method", set(":method", "FROB"), "501"),
      head("a method with a blank", set(":method", "GET /x HTTP/1.1"), "reset"),
      head("a method with CR LF", set(":method", "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"), "reset"),
      head("a method with a colon", set(":method", "GE:T"), "reset"),
      head("another scheme", set(":scheme", "http"), "200", kPlain, "x-forwarded-proto: https"),
      head("a scheme that is a URL", set(":scheme", "https://b.test/?"), "reset"),
      head("a scheme with CR LF", set(":scheme", "https\r\nX: y"), "reset"),
  };
}

std::vector<Form> targets() {
  return {
      head("a relative path", set(":path", "x"), "reset"),
      head("a query alone", set(":path", "?x"), "reset"),
      head("an absolute path of another host", set(":path", "http://b.test/"), "reset"),
      head("an absolute path of this host", set(":path", "https://a.test/"), "reset"),
      head("a star for GET", set(":path", "*"), "reset"),
      head("a star for OPTIONS", set(":path", "*", set(":method", "OPTIONS")), "200",
           "OPTIONS * a.test none"),
      head("a blank in the path", set(":path", "/a b"), "reset"),
      head("a request in the path", set(":path", "/ HTTP/1.1\r\nHost: b.test\r\n\r\nGET /x"),
           "reset"),
      head("bare LF in the path", set(":path", "/\nX: y"), "reset"),
      head("bare CR in the path", set(":path", "/\rX: y"), "reset"),
      head("NUL in the path", set(":path", nul("/", "x")), "reset"),
      head("a tab in the path", set(":path", "/\tx"), "reset"),
      head("8-bit in the path", set(":path", "/\xc3\xa4"), "400"),
      head("a fragment", set(":path", "/#x"), "400"),
      head("a backslash", set(":path", "/\\x"), "400"),
      head("quotes in the path", set(":path", "/\"x\""), "400"),
      head("two slashes", set(":path", "//b.test/x"), "200", "GET //b.test/x a.test none"),
      head("escapes in the path", set(":path", "/%0d%0aX:%20y"), "200",
           "GET /%0d%0aX:%20y a.test none"),
      head("an authority and a Host that differ", add("host", "b.test"), "400"),
      head("an authority and a Host that agree", add("host", "A.test"), "200", kPlain),
      head("a Host with another port", add("host", "a.test:81"), "400"),
      head("two Hosts", add("host", "a.test", add("host", "a.test")), "reset"),
      head("two Hosts that differ", add("host", "b.test", add("host", "a.test")), "reset"),
      head("an empty Host beside an authority", add("host", ""), "reset"),
      head("an authority of another certificate", set(":authority", "b.other"), "421"),
      head("an authority with a user", set(":authority", "b@a.test"), "400"),
      head("an authority with a path", set(":authority", "a.test/x"), "reset"),
      head("an authority with a blank", set(":authority", "a.test b.test"), "reset"),
      head("an authority with CR LF", set(":authority", "a.test\r\nX: y"), "reset"),
      head("an authority with a list", set(":authority", "a.test,b.test"), "400"),
      head("an authority with a bad port", set(":authority", "a.test:x"), "400"),
      head("an authority with a port", set(":authority", "a.test:8443"), "200",
           "GET / a.test:8443 none"),
  };
}

std::vector<Form> fields() {
  return {
      head("Connection", add("connection", "close"), "reset"),
      head("Connection that names Host", add("connection", "host"), "reset"),
      head("Keep-Alive", add("keep-alive", "5"), "reset"),
      head("Proxy-Connection", add("proxy-connection", "close"), "reset"),
      head("Upgrade", add("upgrade", "websocket"), "reset"),
      head("Transfer-Encoding", add("transfer-encoding", "chunked"), "reset"),
      head("Transfer-Encoding: identity", add("transfer-encoding", "identity"), "reset"),
      head("TE: gzip", add("te", "gzip"), "reset"),
      head("TE: trailers and more", add("te", "trailers, gzip"), "reset"),
      head("TE: trailers", add("te", "trailers"), "200", kPlain, "te: trailers"),
      head("HTTP2-Settings", add("http2-settings", "AAMAAABk"), "200", kPlain, "",
           "http2-settings"),
      head("Proxy-Authorization", add("proxy-authorization", "x"), "200", kPlain, "",
           "proxy-authorization"),
      head("Transfer_Encoding", add("transfer_encoding", "chunked"), "200", kPlain, "",
           "transfer_encoding"),
      head("Content_Length", add("content_length", "5"), "200", kPlain, "", "content_length"),
      head("another client's address", add("x-forwarded-for", "1.2.3.4"), "200", kPlain,
           "x-forwarded-for: 127.0.0.1"),
      head("CR LF in a value", add("x", "a\r\ntransfer-encoding: chunked"), "reset"),
      head("bare LF in a value", add("x", "a\nb: c"), "reset"),
      head("bare CR in a value", add("x", "a\rb: c"), "reset"),
      head("NUL in a value", add("x", nul("a", "b")), "reset"),
      head("DEL in a value", add("x", "a\x7f"), "reset"),
      head("a value that begins with a blank", add("x", " a"), "reset"),
      head("a value that ends in a blank", add("x", "a "), "reset"),
      head("a value that ends in a tab", add("x", "a\t"), "reset"),
      head("8-bit in a value", add("x", "a\xff"), "200", kPlain, "x: a\xff"),
      head("an empty value", add("x", ""), "200", kPlain, "x: "),
      head("capitals in a name", add("X", "y"), "reset"),
      head("Transfer-Encoding in capitals", add("Transfer-Encoding", "chunked"), "reset"),
      head("an empty name", add("", "y"), "reset"),
      head("a blank in a name", add("x y", "z"), "reset"),
      head("a colon in a name", add("transfer-encoding: chunked\r\nx", "y"), "reset"),
      head("a colon behind a name", add("x:", "y"), "reset"),
      head("CR LF in a name", add("x\r\ny", "z"), "reset"),
      head("NUL in a name", add(nul("x", "y"), "z"), "reset"),
      head("a tab in a name", add("x\t", "y"), "reset"),
      head("8-bit in a name", add("x\xff", "y"), "reset"),
      head("brackets in a name", add("x()", "y"), "reset"),
      head("crumbs of a cookie", add("cookie", "b=2", add("cookie", "a=1")), "200", kPlain,
           "cookie: a=1; b=2"),
      head("crumbs with CR LF", add("cookie", "b=2\r\nx: y", add("cookie", "a=1")), "reset"),
      head("Expect without a body", add("expect", "100-continue"), "200", kPlain, "", "expect"),
  };
}

std::vector<Form> bodies() {
  const Fields five = add("content-length", "5", post());
  return {
      body("a body", post(), "hello", "200", "POST / a.test chunked hello"),
      body("a body with its length", five, "hello", "200", "POST / a.test length hello"),
      body("a body of a GET", get(), "hello", "200", "GET / a.test chunked hello"),
      body("a body that is a request", post(), "0\r\n\r\nGET /x HTTP/1.1\r\n\r\n", "200",
           "POST / a.test chunked 0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"),
      body("an empty body", post(), "", "200", "POST / a.test chunked"),
      body("less than the length", five, "hel", "reset"),
      body("more than the length", five, "hello!", "reset"),
      body("a length of 0 and a body", add("content-length", "0", post()), "hello", "reset"),
      body("nothing of the length", five, "", "reset"),
      body("a length of 0 and an empty body", add("content-length", "0", post()), "", "200",
           "POST / a.test length"),
      head("a length and no body", five, "reset"),
      head("a length of 0 and no body", add("content-length", "0", post()), "200",
           "POST / a.test length"),
      head("no body", post(), "200", "POST / a.test none"),
      body("two lengths", add("content-length", "5", five), "hello", "reset"),
      body("two lengths that differ", add("content-length", "6", five), "hello", "reset"),
      body("a list of lengths", add("content-length", "5, 5", post()), "hello", "reset"),
      body("a signed length", add("content-length", "+5", post()), "hello", "reset"),
      body("a negative length", add("content-length", "-5", post()), "hello", "reset"),
      body("a hexadecimal length", add("content-length", "0x5", post()), "hello", "reset"),
      body("a length that is too large", add("content-length", "18446744073709551621", post()),
           "hello", "reset"),
      body("an empty length", add("content-length", "", post()), "hello", "reset"),
      body("zeros before a length", add("content-length", "005", post()), "hello", "200",
           "POST / a.test length hello"),
      body("CL.TE", add("transfer-encoding", "chunked", five), "0\r\n\r\n", "reset"),
      body("Expect", add("expect", "100-continue", five), "hello", "200",
           "POST / a.test length hello"),
      {"a length in two pieces, the second too long",
       begun(five) + frame(http2::kData, 0, 1, "hel") +
           frame(http2::kData, http2::kEndStream, 1, "lo!"),
       "reset"},
      body("a trailer", post(), "hello", "200", "POST / a.test chunked hello x-sum=7",
           {{"x-sum", "7"}}),
      body("a trailer behind a length", five, "hello", "200", "POST / a.test length hello",
           {{"x-sum", "7"}}),
      body("a pseudo-header as trailer", post(), "hello", "reset", "", {{":path", "/b"}}),
      body("capitals in a trailer", post(), "hello", "reset", "", {{"X-Sum", "7"}}),
      body("CR LF in a trailer", post(), "hello", "reset", "", {{"x-sum", "7\r\n\r\nGET /x"}}),
      body("CR LF in a trailer's name", post(), "hello", "reset", "", {{"x\r\ny", "7"}}),
      body("Connection as trailer", post(), "hello", "reset", "", {{"connection", "close"}}),
      body("Transfer-Encoding as trailer", post(), "hello", "reset", "",
           {{"transfer-encoding", "chunked"}}),
      body("trailers that would mean something else", post(), "hello", "200",
           "POST / a.test chunked hello x=y",
           {{"authorization", "b"}, {"cookie", "c"}, {"x-forwarded-for", "d"}, {"x", "y"}}),
      body("Host as trailer", post(), "hello", "200", "POST / a.test chunked hello x=y",
           {{"host", "b.test"}, {"x", "y"}}),
      body("underscores in a trailer", post(), "hello", "200", "POST / a.test chunked hello",
           {{"transfer_encoding", "chunked"}, {"content_length", "7"}}),
      body("a length as trailer", post(), "hello", "reset", "", {{"content-length", "7"}}),
      {"trailers that are not the end",
       begun(post()) + frame(http2::kData, 0, 1, "hello") + begun({{"x-sum", "7"}}), "reset"},
  };
}

constexpr char kSmuggled[] = "GET /smuggled HTTP/1.1\r\nhost: b.test\r\n\r\n";

std::vector<Form> connects() {
  const Fields connect{{":method", "CONNECT"}, {":authority", "a.test:443"}};
  const Fields socket{{":method", "CONNECT"},
                      {":protocol", "websocket"},
                      {":scheme", "https"},
                      {":authority", "a.test"},
                      {":path", "/chat"}};
  return {
      head("CONNECT", connect, "501"),
      head("CONNECT with a path", add(":path", "/", connect), "reset"),
      head("CONNECT without an authority", drop(":authority", connect), "reset"),
      // The upstream says 200 rather than 101.
      head("a WebSocket that ends at once", socket, "502", "GET /chat a.test none",
           "upgrade: websocket"),
      {"a WebSocket", begun(socket), "502", "GET /chat a.test none", "connection: upgrade"},
      {"a WebSocket that speaks before it is one",
       begun(socket) + frame(http2::kData, 0, 1, kSmuggled), "502", "GET /chat a.test none",
       "connection: upgrade"},
      {"a WebSocket that speaks and ends before it is one",
       begun(socket) + frame(http2::kData, http2::kEndStream, 1, kSmuggled), "502",
       "GET /chat a.test none", "connection: upgrade"},
      {"a WebSocket with a length", begun(add("content-length", "5", socket)), "502",
       "GET /chat a.test none", "", "content-length"},
      {"a WebSocket with a key", begun(add("sec-websocket-key", "mine", socket)), "502",
       "GET /chat a.test none", "upgrade: websocket"},
      head("another protocol", set(":protocol", "connect-udp", socket), "501"),
      head("a protocol with CR LF", set(":protocol", "websocket\r\nX: y", socket), "reset"),
      head("two protocols", add(":protocol", "websocket", socket), "reset"),
      head("a WebSocket without a path", drop(":path", socket), "reset"),
      head("a WebSocket without a scheme", drop(":scheme", socket), "reset"),
      head("a WebSocket with Upgrade", add("upgrade", "websocket", socket), "reset"),
      head("a WebSocket with Transfer-Encoding", add("transfer-encoding", "chunked", socket),
           "reset"),
  };
}

std::vector<Form> frames() {
  const std::string plain = block(get());
  return {
      {"data of a stream that was not opened", frame(http2::kData, 1, 1, "hello"), "goaway"},
      {"a stream of the server's",
       frame(http2::kHeaders, http2::kEndHeaders | http2::kEndStream, 2, plain), "goaway"},
      {"a head on stream 0",
       frame(http2::kHeaders, http2::kEndHeaders | http2::kEndStream, 0, plain), "goaway"},
      {"a head cut in two",
       frame(http2::kHeaders, http2::kEndStream, 1, plain.substr(0, 9)) +
           frame(http2::kContinuation, http2::kEndHeaders, 1, plain.substr(9)),
       "200", kPlain},
      {"something between the parts of a head",
       frame(http2::kHeaders, http2::kEndStream, 1, plain.substr(0, 9)) +
           frame(http2::kPing, 0, 0, "12345678") +
           frame(http2::kContinuation, http2::kEndHeaders, 1, plain.substr(9)),
       "goaway"},
      {"a continuation of nothing", frame(http2::kContinuation, http2::kEndHeaders, 1, plain),
       "goaway"},
      {"a promise by the client", frame(http2::kPush, http2::kEndHeaders, 1, plain), "goaway"},
      {"a head that does not unpack",
       frame(http2::kHeaders, http2::kEndHeaders | http2::kEndStream, 1, "\xff\xff\xff\xff\xff"),
       "goaway"},
      {"an entry of the table that is not there",
       frame(http2::kHeaders, http2::kEndHeaders | http2::kEndStream, 1, "\xbe"), "goaway"},
      {"padding longer than its frame",
       frame(http2::kHeaders, http2::kEndHeaders | http2::kEndStream | 8, 1, "\xff" + plain),
       "goaway"},
      {"a frame that is too large", frame(http2::kData, 0, 1, std::string(20'000, 'x')), "goaway"},
      {"a text of HTTP/1.1", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "goaway"},
  };
}

class Http2SmugglingTest : public ::testing::TestWithParam<std::vector<Form> (*)()> {
 protected:
  void SetUp() override {
    site_.edge.settings.upstream = upstream_.url();
    site_.edge.settings.log_level = "info";
    ASSERT_TRUE(site_.edge.start());
    ASSERT_EQ(site_.visit("a.test").answer.status, 200);
    upstream_.take_requests();
  }
  void expect(const Form& form, const std::vector<StrictRequest>& requests) {
    std::string told;
    for (const auto& request : requests) told += (told.empty() ? "" : " | ") + request.told();
    EXPECT_EQ(told, form.told);
    std::istringstream without(form.without);
    for (const auto& request : requests) {
      if (const size_t colon = form.has.find(": "); colon != std::string::npos) {
        EXPECT_EQ(request.header(form.has.substr(0, colon)), form.has.substr(colon + 2));
        EXPECT_TRUE(request.has(form.has.substr(0, colon)));
      }
      for (std::string name; without >> name;) EXPECT_FALSE(request.has(name)) << name;
    }
  }

  StrictUpstream upstream_;
  Site site_;
};

TEST_P(Http2SmugglingTest, EachFormHasItsAnswerAndOneMeaning) {
  std::set<std::string> names, bytes;
  for (const Form& form : GetParam()()) {
    SCOPED_TRACE(form.name);
    EXPECT_TRUE(names.insert(form.name).second && bytes.insert(form.frames).second);
    TlsOptions options = site_.tls("a.test");
    options.alpn = {"h2"};
    TlsClient client(options);
    ASSERT_EQ(client.handshake().alpn, "h2") << client.handshake().error;
    ASSERT_TRUE(client.write(http2::greeting() + form.frames));
    http2::Reader reader(client);
    const auto outcome = reader.wait_for(1);
    EXPECT_EQ(outcome.told(), form.answer);
    expect(form, upstream_.take_requests());
    EXPECT_THAT(upstream_.take_errors(), IsEmpty());
    if (outcome.goaway) continue;
    client.write(http2::request(3, set(":path", "/next")));
    EXPECT_EQ(reader.wait_for(3).told(), "200") << "the other streams go on";
    upstream_.take_requests();
  }
  ASSERT_EQ(site_.visit("a.test", "/last").answer.status, 200);
  const auto last = upstream_.take_requests();
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(last[0].told(), "GET /last a.test none");
}

std::string part_name(const ::testing::TestParamInfo<std::vector<Form> (*)()>& part) {
  constexpr const char* kNames[] = {"PseudoHeaders", "Targets",  "Fields",
                                    "Bodies",        "Connects", "Frames"};
  return kNames[part.index];
}

INSTANTIATE_TEST_SUITE_P(All, Http2SmugglingTest,
                         ::testing::Values(pseudo_headers, targets, fields, bodies, connects,
                                           frames),
                         part_name);

}  // namespace
}  // namespace latchkey::test
