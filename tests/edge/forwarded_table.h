#pragma once
// Requests that look odd and have one meaning all the same: what the upstream is told of each.

#include <string_view>

namespace latchkey::edge {

struct OddRequest {
  std::string_view name;
  std::string_view bytes;
  // As StrictRequest::told() puts it, " | " between requests.
  std::string_view told;
  // Fields that none of them may have, with a blank between.
  std::string_view without = "";
};

using namespace std::string_view_literals;

#define HOST "Host: a.test\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define HELLO "5\r\nhello\r\n0\r\n\r\n"
#define NEXT "GET /next HTTP/1.1\r\n" HOST "\r\n"

inline constexpr OddRequest kOddRequests[] = {
    // Framing, which is written anew.
    {"no body", "POST / HTTP/1.1\r\n" HOST "\r\n" NEXT,
     "POST / a.test none | GET /next a.test none"},
    {"a length of 0", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n" NEXT,
     "POST / a.test length | GET /next a.test none"},
    {"zeros before a length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 005\r\n\r\nhello",
     "POST / a.test length hello"},
    {"blanks around a length", "POST / HTTP/1.1\r\n" HOST "Content-Length:  5  \r\n\r\nhello",
     "POST / a.test length hello"},
    {"a length in capitals", "POST / HTTP/1.1\r\n" HOST "CONTENT-LENGTH:5\r\n\r\nhello",
     "POST / a.test length hello"},
    {"a GET with a length", "GET / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
     "GET / a.test length hello"},
    {"CL.0",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 23\r\n\r\nGET /x HTTP/1.1\r\nX: y\r\n" NEXT,
     "POST / a.test length GET /x HTTP/1.1\r\nX: y\r\n | GET /next a.test none"},
    {"0.CL", "GET / HTTP/1.1\r\n" HOST "Content-Length: 23\r\n\r\nGET /x HTTP/1.1\r\nX: y\r\n" NEXT,
     "GET / a.test length GET /x HTTP/1.1\r\nX: y\r\n | GET /next a.test none"},
    {"TE.0",
     "OPTIONS / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n17\r\nGET /x HTTP/1.1\r\n"
     "X: y\r\n\r\n0\r\n\r\n" NEXT,
     "OPTIONS / a.test chunked GET /x HTTP/1.1\r\nX: y\r\n | GET /next a.test none"},
    {"chunked", CHUNKED HELLO NEXT, "POST / a.test chunked hello | GET /next a.test none"},
    {"Chunked in capitals", "POST / HTTP/1.1\r\n" HOST "TRANSFER-ENCODING: CHUNKED\r\n\r\n" HELLO,
     "POST / a.test chunked hello"},
    {"a tab before a length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\t5\r\n\r\nhello",
     "POST / a.test length hello"},
    {"a tab before chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\tchunked\r\n\r\n" HELLO,
     "POST / a.test chunked hello"},
    {"blanks around chunked",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:  chunked  \r\n\r\n" HELLO,
     "POST / a.test chunked hello"},
    {"no blank before chunked",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:chunked\r\n\r\n" HELLO,
     "POST / a.test chunked hello"},
    {"a GET with chunks", "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n" HELLO,
     "GET / a.test chunked hello"},
    {"Connection names the framing",
     "POST / HTTP/1.1\r\n" HOST
     "Connection: transfer-encoding, content-length\r\nTransfer-Encoding: chunked\r\n\r\n" HELLO
         NEXT,
     "POST / a.test chunked hello | GET /next a.test none"},
    {"Connection names the length",
     "POST / HTTP/1.1\r\n" HOST "Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello" NEXT,
     "POST / a.test length hello | GET /next a.test none"},
    {"underscores in the length", "POST / HTTP/1.1\r\n" HOST "Content_Length: 5\r\n\r\n" NEXT,
     "POST / a.test none | GET /next a.test none", "content_length"},
    {"underscores in the coding",
     "POST / HTTP/1.1\r\n" HOST "Transfer_Encoding: chunked\r\n\r\n" NEXT,
     "POST / a.test none | GET /next a.test none", "transfer_encoding"},
    {"chunked as a content coding", "POST / HTTP/1.1\r\n" HOST "Content-Encoding: chunked\r\n\r\n",
     "POST / a.test none"},
    {"a coding with a percent sign",
     "POST / HTTP/1.1\r\n" HOST "Transfer-%45ncoding: chunked\r\n\r\n" NEXT,
     "POST / a.test none | GET /next a.test none"},
    {"a name that only begins so",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding-X: chunked\r\nX-Content-Length: 9\r\n\r\n" NEXT,
     "POST / a.test none | GET /next a.test none"},
    // Chunks, which are written anew.
    {"zeros before a chunk size", CHUNKED "00005\r\nhello\r\n000\r\n\r\n",
     "POST / a.test chunked hello"},
    {"chunk sizes in capitals", CHUNKED "A\r\n0123456789\r\n0\r\n\r\n",
     "POST / a.test chunked 0123456789"},
    {"a chunk extension", CHUNKED "5;a=b\r\nhello\r\n0;c\r\n\r\n" NEXT,
     "POST / a.test chunked hello | GET /next a.test none"},
    {"a chunk extension in quotes", CHUNKED "5;a=\";\\\" b\"\r\nhello\r\n0\r\n\r\n",
     "POST / a.test chunked hello"},
    {"a chunk extension that is none", CHUNKED "5;;=;\xff\r\nhello\r\n0;\r\n\r\n",
     "POST / a.test chunked hello"},
    {"a chunk of line ends", CHUNKED "4\r\n\r\n\r\n\r\n0\r\n\r\n" NEXT,
     "POST / a.test chunked \r\n\r\n | GET /next a.test none"},
    {"no chunk but the last", CHUNKED "0\r\n\r\n" NEXT,
     "POST / a.test chunked | GET /next a.test none"},
    {"a trailer", CHUNKED "5\r\nhello\r\n0\r\nX-Sum:  7 \r\n\r\n",
     "POST / a.test chunked hello x-sum=7"},
    {"trailers that are framing",
     CHUNKED
     "0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nContent_Length: 5\r\n\r\n" NEXT,
     "POST / a.test chunked | GET /next a.test none"},
    {"trailers that say who it is",
     CHUNKED
     "0\r\nHost: b.test\r\nX-Forwarded-For: 1.2.3.4\r\nCookie: a\r\nAuthorization: b\r\n\r\n",
     "POST / a.test chunked"},
    {"trailers of the connection",
     CHUNKED "0\r\nConnection: close\r\nUpgrade: x\r\nTE: x\r\nExpect: 100-continue\r\n\r\n" NEXT,
     "POST / a.test chunked | GET /next a.test none"},
    // Lines.
    {"an empty line first", "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "GET / a.test none"},
    {"an empty line between", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello\r\n" NEXT,
     "POST / a.test length hello | GET /next a.test none"},
    {"pipelined", NEXT NEXT NEXT,
     "GET /next a.test none | GET /next a.test none | GET /next a.test none"},
    {"8-bit in a value", "GET / HTTP/1.1\r\n" HOST "X: \x85\xa0\xff\r\n\r\n", "GET / a.test none"},
    {"tabs within a value", "GET / HTTP/1.1\r\n" HOST "X: a\tb\r\n\r\n", "GET / a.test none"},
    {"an empty value", "GET / HTTP/1.1\r\n" HOST "X:\r\nY: \t \r\n\r\n", "GET / a.test none"},
    {"every character of a name", "GET / HTTP/1.1\r\n" HOST "!#$%&'*+-.^`|~09azAZ: a\r\n\r\n",
     "GET / a.test none"},
    // Targets.
    {"absolute-form", "GET http://a.test/x?y HTTP/1.1\r\n" HOST "\r\n", "GET /x?y a.test none"},
    {"absolute-form in capitals", "GET HTTPS://A.TEST/x HTTP/1.1\r\n" HOST "\r\n",
     "GET /x a.test none"},
    {"absolute-form without a path", "GET http://a.test HTTP/1.1\r\n" HOST "\r\n",
     "GET / a.test none"},
    {"absolute-form with a query alone", "GET http://a.test?x HTTP/1.1\r\n" HOST "\r\n",
     "GET /?x a.test none"},
    {"absolute-form within a query", "GET /?http://b.test/ HTTP/1.1\r\n" HOST "\r\n",
     "GET /?http://b.test/ a.test none"},
    {"star", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS * a.test none"},
    {"star in absolute-form", "OPTIONS http://a.test HTTP/1.1\r\n" HOST "\r\n",
     "OPTIONS * a.test none"},
    {"two slashes", "GET //b.test/x HTTP/1.1\r\n" HOST "\r\n", "GET //b.test/x a.test none"},
    {"dots and escapes", "GET /a/../%2e%2e/%0d%0aX:%00 HTTP/1.1\r\n" HOST "\r\n",
     "GET /a/../%2e%2e/%0d%0aX:%00 a.test none"},
    {"a backslash in a query", "GET /?\\ HTTP/1.1\r\n" HOST "\r\n", "GET /?\\ a.test none"},
    // Host.
    {"Host without a blank", "GET / HTTP/1.1\r\nHost:a.test\r\n\r\n", "GET / a.test none"},
    {"Host with a port", "GET / HTTP/1.1\r\nHost: a.test:8443\r\n\r\n", "GET / a.test:8443 none"},
    {"Host in capitals", "GET / HTTP/1.1\r\nHOST: A.Test\r\n\r\n", "GET / A.Test none"},
    {"Host with a dot behind", "GET / HTTP/1.1\r\nHost: a.test.\r\n\r\n", "GET / a.test. none"},
    {"another name for the host",
     "GET / HTTP/1.1\r\n" HOST "X-Forwarded-Host: b.test\r\nX_Host: c.test\r\n\r\n",
     "GET / a.test none"},
    // Versions.
    {"HTTP/1.0", "GET / HTTP/1.0\r\n" HOST "\r\n", "GET / a.test none"},
    {"HTTP/1.0 with a length", "POST / HTTP/1.0\r\n" HOST "Content-Length: 5\r\n\r\nhello",
     "POST / a.test length hello"},
    {"HTTP/1.0 kept alive",
     "GET / HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\nGET /next HTTP/1.0\r\n" HOST "\r\n",
     "GET / a.test none | GET /next a.test none"},
    {"nothing behind a close", "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" NEXT,
     "GET / a.test none"},
    {"nothing behind HTTP/1.0", "GET / HTTP/1.0\r\n" HOST "\r\n" NEXT, "GET / a.test none"},
    // Expect.
    {"Expect", "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
     "POST / a.test length hello"},
    {"Expect without a body", "GET / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n" NEXT,
     "GET / a.test none | GET /next a.test none", "expect"},
    {"Expect of something else",
     "POST / HTTP/1.1\r\n" HOST "Expect: y 100-continue\r\nContent-Length: 5\r\n\r\nhello" NEXT,
     "POST / a.test length hello | GET /next a.test none", "expect"},
    {"Expect twice",
     "POST / HTTP/1.1\r\n" HOST
     "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" NEXT,
     "POST / a.test length hello | GET /next a.test none"},
    {"Expect in HTTP/1.0",
     "POST / HTTP/1.0\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
     "POST / a.test length hello", "expect"},
    // Upgrade and Connection.
    {"h2c",
     "GET / HTTP/1.1\r\n" HOST
     "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" NEXT,
     "GET / a.test none | GET /next a.test none", "upgrade http2-settings connection"},
    {"h2c and a WebSocket",
     "GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n" NEXT,
     "GET / a.test none | GET /next a.test none", "upgrade connection"},
    {"Upgrade twice",
     "GET / HTTP/1.1\r\n" HOST
     "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n" NEXT,
     "GET / a.test none | GET /next a.test none", "upgrade connection"},
    {"Upgrade without Connection", "GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n\r\n" NEXT,
     "GET / a.test none | GET /next a.test none", "upgrade connection"},
    {"Connection without Upgrade", "GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\n\r\n" NEXT,
     "GET / a.test none | GET /next a.test none", "upgrade connection"},
    {"a WebSocket with a body",
     "POST / HTTP/1.1\r\n" HOST
     "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello" NEXT,
     "POST / a.test length hello | GET /next a.test none", "upgrade connection"},
    {"a WebSocket in HTTP/1.0",
     "GET / HTTP/1.0\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     "GET / a.test none", "upgrade connection"},
    {"fields of the connection",
     "GET / HTTP/1.1\r\n" HOST
     "Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\n"
     "Proxy-Authorization: x\r\n\r\n" NEXT,
     "GET / a.test none | GET /next a.test none", "x-mine keep-alive proxy-connection connection"},
    {"Connection names the host", "GET / HTTP/1.1\r\n" HOST "Connection: host\r\n\r\n",
     "GET / a.test none"},
    {"TE", "GET / HTTP/1.1\r\n" HOST "Connection: TE\r\nTE: chunked, gzip\r\n\r\n",
     "GET / a.test none", "te connection"},
    {"TE: trailers", "GET / HTTP/1.1\r\n" HOST "Connection: TE\r\nTE: gzip, trailers\r\n\r\n",
     "GET / a.test none"},
};

#undef HOST
#undef CHUNKED
#undef HELLO
#undef NEXT

}  // namespace latchkey::edge
