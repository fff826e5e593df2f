#pragma once
#include "acme/authority/server_context.h"
#include "acme/authority/tally.h"
#include "cache/lru.h"

namespace latchkey::acme {

// The certificate's URL and revokeCert (RFC 8555, 7.4.2 and 7.6). Control thread.
class CertificateAnswers {
 public:
  explicit CertificateAnswers(ServerContext& context) : context_(context) {}

  // The chain in PEM, with links to the others.
  Task<ServerAnswer> download(ServerCall call);
  // By the account that has it, by its own key, or by an account that may have all of its names.
  Task<ServerAnswer> revoke(ServerCall call);

 private:
  Task<std::optional<IssuedCertificate>> find(std::string serial);
  Task<bool> may_have(std::string account, std::vector<ServerName> names);
  Task<Judged<>> may_revoke(ServerCall call, IssuedCertificate certificate);

  ServerContext& context_;
  Tally searches_;  // by may_have()
};

}  // namespace latchkey::acme
