#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace latchkey::edge {

// What a load balancer says of a client before the client's own bytes: the PROXY protocol, version
// 1 (text) and 2 (binary), of https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt.
struct ProxyHeader {
  enum class State {
    kMore,     // all bytes belong to it, and some are missing
    kDone,     // the first `size` bytes are it
    kRefused,  // `why`
  };
  State state = State::kMore;
  size_t size = 0;
  std::string source;  // the client's address, numeric; "": the balancer speaks for itself
  std::string_view why;
};

// The longest that is taken, with all that version 2 may carry besides.
constexpr size_t kMaxProxyHeader = 4096;

// `bytes`: from the connection's first on.
ProxyHeader read_proxy_header(std::string_view bytes);

}  // namespace latchkey::edge
