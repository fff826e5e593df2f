#pragma once
#include <memory>
#include <string>
#include <vector>

#include "acme/authority/authority.h"
#include "acme/authority/server.h"
#include "base/log.h"
#include "base/loop.h"
#include "cache/authority_store.h"
#include "edge/acme_host.h"
#include "edge/allowed_names.h"
#include "edge/authority_probes.h"
#include "edge/config.h"

namespace latchkey::edge {

// acme_server, put together: the server, its eyes, the names that others may have. Control thread.
class AcmeServing {
 public:
  // `authorities`: all of the configuration's. REQUIRES: config.acme_server. Errors: a key's file.
  static Result<std::unique_ptr<AcmeServing>> open(const Config& config,
                                                   std::vector<acme::Authority*> authorities,
                                                   AuthorityStore& store, Loop& loop, Log& log);
  AcmeServing(const AcmeServing&) = delete;

  // For orders from now on.
  void replace_allow(const std::vector<std::string>& entries) { allowed_ = AllowedNames(entries); }
  // See AcmeHost.
  Task<HttpReply> answer(HttpRequest request, std::string client) {
    return host_.answer(std::move(request), std::move(client));
  }

 private:
  AcmeServing(const AcmeServerConfig& from, acme::AcmeServerOptions options,
              std::vector<acme::Authority*> authorities, acme::Authority& served,
              AuthorityStore& store, Loop& loop, Log& log);

  AllowedNames allowed_;
  AuthorityProbes probes_;
  acme::AcmeServer server_;
  AcmeHost host_;
};

}  // namespace latchkey::edge
