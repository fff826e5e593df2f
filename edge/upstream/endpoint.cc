#include "edge/upstream/endpoint.h"

namespace latchkey::edge {

void Endpoint::set_key() {
  key = address + '|' + std::to_string(port) + '|' + (http2 ? "2" : "1") +
        std::to_string(static_cast<int>(proxy_protocol));
  if (tls != nullptr) key += '|' + server_name + '|' + tls->identity();
}

std::string Endpoint::text() const {
  const bool literal = host.starts_with(address) || host.starts_with('[');
  return literal ? host : host + " (" + address + ")";
}

}  // namespace latchkey::edge
