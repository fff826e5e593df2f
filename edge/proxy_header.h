#pragma once
#include <cstddef>
#include <cstdint>
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

// What we say of a client to an upstream. `address`: numeric; the client's port, and the address
// that it came to, are not known here: they are zero.
std::string write_proxy_header(bool binary, const std::string& address, uint16_t port_here);

}  // namespace latchkey::edge
