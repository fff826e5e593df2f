#pragma once
#include <functional>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"
#include "base/task_set.h"
#include "cache/certificate.h"

namespace latchkey {

// Turns any number of wants for the same certificate into one issuance, whose outcome all of them
// get, whatever it is. The issuance goes on when its visitors leave: its certificate will be
// wanted again. Control thread; no I/O and no time of its own.
class Gate {
 public:
  using Issue = std::function<Task<CertificatePtr>(ServerName)>;
  using Done = std::function<void(const Result<CertificatePtr>&)>;

  Gate(Issue issue, size_t max_flights) : issue_(std::move(issue)), max_flights_(max_flights) {}
  Gate(const Gate&) = delete;

  // Calls `done` once, with the outcome of the running issuance of `name` (started if need be).
  // That may happen before this returns. Destroying the gate drops who still waits.
  void join(const ServerName& name, Done done);

  size_t flights() const { return flights_.size(); }

 private:
  Task<> fly(ServerName name);

  Issue issue_;
  size_t max_flights_;  // names being looked up or issued at once; beyond it the newest is refused
  std::unordered_map<ServerName, std::vector<Done>> flights_;
  TaskSet tasks_;  // goes first: its flights use the members above
};

}  // namespace latchkey
