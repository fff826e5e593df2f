#pragma once
#include <uv.h>

#include <memory>
#include <string>

#include "acme/authority/probes.h"
#include "base/clock.h"

namespace latchkey::edge {

// The ACME server's eyes: HTTP by curl, TLS by BoringSSL, DNS by c-ares, over the network as it is.
// Names are taken as they are, without search domains. A task must be gone before this.
class AuthorityProbes final : public acme::Probes {
 public:
  // `resolvers`: "192.0.2.1:53,[2001:db8::1]:53"; "": the system's. The loop's thread; loop and
  // clock outlive us.
  AuthorityProbes(uv_loop_t& loop, Clock& clock, const std::string& resolvers);
  ~AuthorityProbes() override;

  Task<HttpReply> get(std::string url) override;
  Task<std::string> acme_tls(ServerName name, uint16_t port) override;
  Task<std::vector<std::string>> txt(std::string name) override;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::edge
