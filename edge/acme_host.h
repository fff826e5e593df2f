#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "acme/authority/authority.h"
#include "acme/authority/server.h"
#include "base/http_client.h"
#include "base/task.h"

namespace latchkey::edge {

// What is asked of embedded authorities over HTTP, under /acme/NAME/: CRLs, OCSP and signers'
// certificates of each, at both listeners; the ACME server of one, by HTTPS. Control thread.
class AcmeHost {
 public:
  // `server`: for the authority `served`. All outlive us.
  AcmeHost(std::vector<acme::Authority*> authorities, const acme::Authority& served,
           acme::AcmeServer& server);

  // `request`: as AcmeServer::handle() has it. Never fails as a task.
  Task<HttpReply> answer(HttpRequest request, std::string client);

 private:
  acme::Authority* find(std::string_view name) const;
  static Task<HttpReply> status(acme::Authority& authority, HttpRequest request, std::string rest);

  const std::vector<acme::Authority*> authorities_;
  const acme::Authority& served_;
  acme::AcmeServer& server_;
};

}  // namespace latchkey::edge
