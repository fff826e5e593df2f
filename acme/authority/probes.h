#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/http_client.h"
#include "base/server_name.h"
#include "base/task.h"

namespace latchkey::acme {

// How the ACME server looks at a domain from outside, to see who controls it. Control thread.
// Errors: kNotFound (no such name), kTimeout, kIo (no connection), kProtocol; the message goes to
// the client, so it names the address tried and what happened, and nothing else. Dropping a task
// ends it.
class Probes {
 public:
  virtual ~Probes() = default;

  // One GET, no redirect followed, the body cut at 64 KiB, within 10 s. https is not verified
  // (RFC 8555, 8.3).
  virtual Task<HttpReply> get(std::string url) = 0;
  // Handshakes with the name's address at that port, with its SNI (an address: RFC 8738, 6) and
  // ALPN "acme-tls/1" alone, which the server must choose. The leaf that it showed, DER.
  virtual Task<std::string> acme_tls(ServerName name, uint16_t port) = 0;
  // TXT records, joined strings; CNAMEs are followed. None: an empty list.
  virtual Task<std::vector<std::string>> txt(std::string name) = 0;
};

}  // namespace latchkey::acme
