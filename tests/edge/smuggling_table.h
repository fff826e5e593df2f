#pragma once
// Requests that two parsers could read differently, with the answer each must get.

#include <string_view>

namespace latchkey::edge {

struct BadRequest {
  std::string_view name;
  std::string_view bytes;
  int status;
};

using namespace std::string_view_literals;

#define HOST "Host: a.test\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"

inline constexpr BadRequest kBadRequests[] = {
    // Two lengths.
    {"CL.TE",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
     400},
    {"TE.CL",
     "POST / HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n8\r\nSMUGGLED\r\n0\r\n\r\n",
     400},
    {"two equal lengths",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400},
    {"two lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
     400},
    {"a list of lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\nx", 400},
    {"signed length +", "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\nx", 400},
    {"signed length -", "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\nx", 400},
    {"hexadecimal length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\nx", 400},
    {"length with a unit", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1b\r\n\r\nx", 400},
    {"length with a blank", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1 0\r\n\r\nx", 400},
    {"quoted length", "POST / HTTP/1.1\r\n" HOST "Content-Length: \"1\"\r\n\r\nx", 400},
    {"empty length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400},
    {"length beyond 64 bits",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\nx", 400},
    {"length beyond 63 bits",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775808\r\n\r\nx", 400},
    {"length with a decimal point", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1.0\r\n\r\nx", 400},
    // Transfer-Encoding in disguise.
    {"two codings",
     "POST / HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400},
    {"chunked twice",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
    {"chunked then identity",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400},
    {"gzip", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501},
    {"gzip, chunked",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
    {"xchunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
    {"chunkedx", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", 400},
    {"identity", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 400},
    {"quoted chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
     400},
    {"empty coding", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", 400},
    {"chunked with a parameter",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400},
    {"chunked after a vertical tab",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
     "chunked\r\n\r\n0\r\n\r\n",
     400},
    {"chunked before NUL",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n"sv, 400},
    {"8-bit in chunked",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chun\xe2ked\r\n\r\n0\r\n\r\n", 400},
    {"blank before the colon",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
    {"tab before the colon", "POST / HTTP/1.1\r\n" HOST "Content-Length\t: 1\r\n\r\nx", 400},
    {"indented field", "POST / HTTP/1.1\r\n" HOST " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400},
    {"folded coding", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
     400},
    {"folded with a tab", "POST / HTTP/1.1\r\n" HOST "X: y\r\n\tTransfer-Encoding: chunked\r\n\r\n",
     400},
    {"indented first field", "POST / HTTP/1.1\r\n Content-Length: 1\r\n" HOST "\r\nx", 400},
    {"hidden behind bare CR", "POST / HTTP/1.1\r\n" HOST "X: y\rTransfer-Encoding: chunked\r\n\r\n",
     400},
    {"hidden behind bare LF", "POST / HTTP/1.1\r\n" HOST "X: y\nTransfer-Encoding: chunked\r\n\r\n",
     400},
    {"TE in HTTP/1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400},
    // Lines.
    {"bare LF lines", "GET / HTTP/1.1\nHost: a.test\n\n", 400},
    {"bare LF at the end", "GET / HTTP/1.1\r\n" HOST "\n", 400},
    {"bare CR at the end", "GET / HTTP/1.1\r\n" HOST "\r\rGET / HTTP/1.1\r\n", 400},
    {"CR CR LF", "GET / HTTP/1.1\r\r\n" HOST "\r\n", 400},
    {"NUL in a value", "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"sv, 400},
    {"DEL in a value", "GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n", 400},
    {"escape in a value", "GET / HTTP/1.1\r\n" HOST "X: a\x1b[0m\r\n\r\n", 400},
    {"NUL in a name", "GET / HTTP/1.1\r\n" HOST "X\0: a\r\n\r\n"sv, 400},
    {"8-bit in a name", "GET / HTTP/1.1\r\n" HOST "X\xff: a\r\n\r\n", 400},
    {"brackets in a name", "GET / HTTP/1.1\r\n" HOST "X[1]: a\r\n\r\n", 400},
    {"no colon", "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding chunked\r\n\r\n", 400},
    {"no name", "GET / HTTP/1.1\r\n" HOST ": chunked\r\n\r\n", 400},
    {"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"bare LF first", "\nGET / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"blank first", " GET / HTTP/1.1\r\n" HOST "\r\n", 400},
    // The request line.
    {"HTTP/0.9", "GET /\r\n", 400},
    {"HTTP/0.9 with a header", "GET /\r\n" HOST "\r\n", 400},
    {"HTTP/2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", 505},
    {"the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", 505},
    {"HTTP/1.10", "GET / HTTP/1.10\r\n" HOST "\r\n", 400},
    {"http/1.1", "GET / http/1.1\r\n" HOST "\r\n", 400},
    {"two blanks", "GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"two blanks before the version", "GET /  HTTP/1.1\r\n" HOST "\r\n", 400},
    {"a tab between", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"a blank behind", "GET / HTTP/1.1 \r\n" HOST "\r\n", 400},
    {"a blank in the target", "GET /a b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"8-bit target", "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"NUL in the target", "GET /\0 HTTP/1.1\r\n" HOST "\r\n"sv, 400},
    {"fragment", "GET /#x HTTP/1.1\r\n" HOST "\r\n", 400},
    {"backslash in the path", "GET /..\\x HTTP/1.1\r\n" HOST "\r\n", 400},
    {"relative target", "GET admin HTTP/1.1\r\n" HOST "\r\n", 400},
    {"another scheme", "GET ftp://a.test/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"star for GET", "GET * HTTP/1.1\r\n" HOST "\r\n", 400},
    {"CONNECT", "CONNECT a.test:443 HTTP/1.1\r\n" HOST "\r\n", 501},
    {"an unknown method", "FROB / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"a method that is no token", "G(T / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"RTSP", "DESCRIBE / RTSP/1.0\r\n" HOST "\r\n", 400},
    {"a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"sv, 400},
    // Host.
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 400},
    {"two Hosts", "GET / HTTP/1.1\r\n" HOST "Host: b.test\r\n\r\n", 400},
    {"the same Host twice", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
    {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"Host with a user", "GET / HTTP/1.1\r\nHost: b@a.test\r\n\r\n", 400},
    {"Host with a path", "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n", 400},
    {"Host with a list", "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", 400},
    {"Host with a blank", "GET / HTTP/1.1\r\nHost: a.test b.test\r\n\r\n", 400},
    {"Host with a bad port", "GET / HTTP/1.1\r\nHost: a.test:x\r\n\r\n", 400},
    {"Host with a large port", "GET / HTTP/1.1\r\nHost: a.test:65536\r\n\r\n", 400},
    {"Host with 8-bit", "GET / HTTP/1.1\r\nHost: \xc3\xa4.test\r\n\r\n", 400},
    {"Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
    {"absolute-form for another host", "GET http://b.test/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"absolute-form with a user", "GET http://x@a.test/ HTTP/1.1\r\n" HOST "\r\n", 400},
    // Chunks. The head was whole; the request never is.
    {"chunk size with a blank", CHUNKED "5 \r\nabcde\r\n0\r\n\r\n", 400},
    {"chunk size after a blank", CHUNKED " 5\r\nabcde\r\n0\r\n\r\n", 400},
    {"chunk size 0x5", CHUNKED "0x5\r\nabcde\r\n0\r\n\r\n", 400},
    {"chunk size -5", CHUNKED "-5\r\nabcde\r\n0\r\n\r\n", 400},
    {"chunk size +5", CHUNKED "+5\r\nabcde\r\n0\r\n\r\n", 400},
    {"no chunk size", CHUNKED "\r\nabcde\r\n0\r\n\r\n", 400},
    {"chunk size of 2^64", CHUNKED "10000000000000000\r\nabcde\r\n0\r\n\r\n", 400},
    {"chunk size line with LF", CHUNKED "5\nabcde\r\n0\r\n\r\n", 400},
    {"chunk size line with CR", CHUNKED "5\rabcde\r\n0\r\n\r\n", 400},
    {"chunk longer than it says", CHUNKED "4\r\nabcde\r\n0\r\n\r\n", 400},
    {"chunk that ends in LF", CHUNKED "5\r\nabcde\n0\r\n\r\n", 400},
    {"chunk that ends in nothing", CHUNKED "5\r\nabcde0\r\n\r\n", 400},
    {"LF in a chunk extension", CHUNKED "5;x\nabcde\r\n0\r\n\r\n", 400},
    {"NUL in a chunk extension", CHUNKED "5;\0\r\nabcde\r\n0\r\n\r\n"sv, 400},
    {"trailers end in LF", CHUNKED "0\r\n\n", 400},
    {"folded trailer", CHUNKED "0\r\nX: y\r\n z\r\n\r\n", 400},
    {"trailer without a colon", CHUNKED "0\r\nGET / HTTP/1.1\r\n\r\n", 400},
};

#undef HOST
#undef CHUNKED

}  // namespace latchkey::edge
