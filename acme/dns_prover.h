#pragma once
#include <memory>
#include <string>

#include "base/server_name.h"
#include "base/task.h"

namespace latchkey::acme {

// Who answers dns-01: DnsProofs. Control thread.
class DnsProver {
 public:
  // Where it goes, the record is taken away.
  using Standing = std::shared_ptr<const void>;

  virtual ~DnsProver() = default;
  // Publishes the proof that the CA will look for; done when it can be seen. `name`: a host name or
  // a wildcard. `key_authorization`: RFC 8555, 8.1. Dropping the task leaves no record behind.
  virtual Task<Standing> prove(ServerName name, std::string key_authorization) = 0;
};

}  // namespace latchkey::acme
