#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "edge/upstream/client_tls.h"
#include "edge/upstream/group.h"

namespace latchkey::edge {

// One address of an upstream, and how it is spoken to. Immutable.
struct Endpoint {
  std::string address;  // numeric
  uint16_t port = 80;
  std::string host;    // whose address it is, with its port: "app.test:3000", "127.0.0.1:3000"
  bool http2 = false;  // without TLS: spoken at once; with TLS: offered
  std::shared_ptr<const ClientTls> tls{};  // null: none
  std::string server_name{};               // for TLS: what its certificate must be for
  ProxyOut proxy_protocol = ProxyOut::kNone;

  // Connections to endpoints with equal keys may stand in for each other.
  std::string key{};
  void set_key();
  // "app.test:3000", or "app.test:3000 (192.0.2.7)".
  std::string text() const;
};

using EndpointPtr = std::shared_ptr<const Endpoint>;

}  // namespace latchkey::edge
