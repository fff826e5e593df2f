#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace latchkey::edge {

// Where requests go, as the operator wrote it.
struct Origin {
  std::string host;  // a name or a numeric address, without brackets; `srv`: "_http._tcp.app.test"
  uint16_t port = 80;  // not with `srv`: DNS says it
  bool tls = false;
  bool http2 = false;  // spoken from the first byte on, without TLS (RFC 9113, 3.3)
  bool srv = false;    // the servers are what the SRV records of `host` name (RFC 2782)

  std::string text() const;  // "127.0.0.1:3000", "[::1]:3000", "_http._tcp.app.test"
  std::string url() const;   // as parse_upstream reads it
  friend bool operator==(const Origin&, const Origin&) = default;
};

// "http://host[:port][/]", "https://...", "h2c://..." (HTTP/2 without TLS), "srv+http://NAME",
// "srv+https://NAME". Errors (kInvalid) say what is expected.
Result<Origin> parse_upstream(std::string_view url);

}  // namespace latchkey::edge
