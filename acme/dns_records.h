#pragma once
#include <string>

#include "base/task.h"

namespace latchkey::acme {

// Where TXT records for challenges can be put. The ways: a hook program (edge/dns_hook.h), RFC 2136
// (acme/rfc2136.h). Control thread.
class DnsRecords {
 public:
  virtual ~DnsRecords() = default;
  // Adds a TXT record beside what is there. `domain` without trailing dot. Adding what is there
  // already is a success.
  virtual Task<> publish(std::string domain, std::string value) = 0;
  // Removes exactly that one; that it is not there is a success.
  virtual Task<> withdraw(std::string domain, std::string value) = 0;
};

}  // namespace latchkey::acme
