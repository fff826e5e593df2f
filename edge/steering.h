#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"
#include "base/task.h"

namespace latchkey::edge {

// What the operator can see and do while the process runs; the admin API is this over HTTP.
// Strings are JSON objects. Control thread.
class Steering {
 public:
  virtual ~Steering() = default;

  // Of names that are to get a certificate: the configuration's.
  virtual ServerNameRules name_rules() const = 0;

  virtual std::string status() = 0;
  virtual std::string budget() = 0;
  // Everything that is known about the name without asking anybody.
  virtual Task<std::string> explain(ServerName name) = 0;

  // Asks the policy, the endpoint included, whatever is remembered.
  virtual Task<std::string> ask(ServerName name) = 0;
  // Gets the certificate now, whatever the failure ledger says, if policy allows the name. The
  // value describes it; the error is the first one, with its remedy.
  virtual Task<std::string> obtain(ServerName name) = 0;

  // Certificates for these names in the background, as the budget allows. How many were taken, and
  // why others were not (the queue is full).
  struct Prefetched {
    size_t taken = 0;
    std::string complaint{};
  };
  virtual Prefetched prefetch(const std::vector<ServerName>& names) = 0;

  // Ends the name: certificate, key, verdict and failures are deleted, work under way is called
  // off. Says what was there, and whether the policy would still allow it.
  virtual Task<std::string> forget(ServerName name) = 0;

  // Reads the configuration anew, as HUP does. The value says which keys need a restart.
  virtual Task<std::string> reload() = 0;
};

}  // namespace latchkey::edge
