#include "edge/proxy_header.h"

#include <gtest/gtest.h>

namespace latchkey::edge {
namespace {

using State = ProxyHeader::State;

std::string binary(int version_command, int family, std::string_view rest) {
  std::string out("\r\n\r\n\0\r\nQUIT\n", 12);
  out += static_cast<char>(version_command);
  out += static_cast<char>(family);
  out += static_cast<char>(rest.size() >> 8);
  out += static_cast<char>(rest.size());
  return out.append(rest);
}

const std::string kV4("\xc0\x00\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb", 12);

struct Good {
  std::string bytes;
  std::string source;
};
std::vector<Good> good() {
  const std::string v6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x01";
  return {
      {"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", "192.0.2.7"},
      {"PROXY TCP6 2001:db8:0:0::1 ::1 56324 443\r\n", "2001:db8::1"},
      {"PROXY UNKNOWN\r\n", ""},
      {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""},
      {binary(0x21, 0x11, kV4), "192.0.2.7"},
      {binary(0x21, 0x11, kV4 + std::string("\x04\x00\x01x", 4)), "192.0.2.7"},
      {binary(0x21, 0x21, v6 + v6 + std::string(4, '\0')), "2001:db8::1"},
      {binary(0x20, 0x00, ""), ""},
      {binary(0x20, 0x11, kV4), ""},
      {binary(0x21, 0x00, "whatever"), ""},
      {binary(0x21, 0x31, std::string(216, 'u')), ""},
  };
}

TEST(ProxyHeaderTest, SaysWhoTheClientIs) {
  for (const auto& [bytes, source] : good()) {
    SCOPED_TRACE(bytes);
    const ProxyHeader header = read_proxy_header(bytes + "\x16\x03\x01");
    EXPECT_EQ(header.state, State::kDone) << header.why;
    EXPECT_EQ(header.size, bytes.size());
    EXPECT_EQ(header.source, source);
  }
}

TEST(ProxyHeaderTest, APartOfOneIsAwaited) {
  for (const auto& [bytes, source] : good()) {
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(read_proxy_header(bytes.substr(0, size)).state, State::kMore) << bytes << size;
    }
  }
}

TEST(ProxyHeaderTest, WhatIsNoneIsRefused) {
  for (const std::string& bytes :
       {std::string("\x16\x03\x01"), std::string("GET / HTTP/1.1\r\n"), std::string("PROXX "),
        std::string("PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n"),
        std::string("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 1\r\n"),
        std::string("PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n"),
        std::string("PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n"),
        std::string("PROXY TCP4  192.0.2.7 198.51.100.1 1 443\r\n"),
        std::string("PROXY TCP4 192.0.2.777 198.51.100.1 1 443\r\n"),
        std::string("PROXY TCP4 ::1 ::1 1 443\r\n"),
        std::string("PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n"), std::string("PROXY \r\n"),
        "PROXY UNKNOWN " + std::string(200, 'x'), binary(0x11, 0x11, kV4), binary(0x22, 0x11, kV4),
        binary(0x21, 0x11, kV4.substr(1)), binary(0x21, 0x21, kV4),
        binary(0x21, 0x11, std::string(5'000, 'x'))}) {
    const ProxyHeader header = read_proxy_header(bytes);
    EXPECT_EQ(header.state, State::kRefused) << bytes;
    EXPECT_FALSE(header.why.empty());
  }
}

TEST(WriteProxyHeaderTest, WhatIsWrittenIsReadTheSame) {
  for (const bool binary : {false, true}) {
    for (const char* address : {"192.0.2.7", "2001:db8::7"}) {
      const std::string written = write_proxy_header(binary, address, 443);
      const ProxyHeader read = read_proxy_header(written + "GET /");
      EXPECT_EQ(read.state, ProxyHeader::State::kDone) << read.why;
      EXPECT_EQ(read.size, written.size());
      EXPECT_EQ(read.source, address);
    }
    const std::string unknown = write_proxy_header(binary, "nobody", 443);
    const ProxyHeader read = read_proxy_header(unknown);
    EXPECT_EQ(read.state, ProxyHeader::State::kDone) << read.why;
    EXPECT_EQ(read.source, "");
  }
  EXPECT_EQ(write_proxy_header(false, "192.0.2.7", 80), "PROXY TCP4 192.0.2.7 0.0.0.0 0 80\r\n");
}

}  // namespace
}  // namespace latchkey::edge
