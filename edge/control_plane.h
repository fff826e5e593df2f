#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "acme/challenges.h"
#include "acme/issuer.h"
#include "base/curl_http_client.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/task_set.h"
#include "cache/certificate_cache.h"
#include "cache/sqlite_store.h"
#include "cache/state_lock.h"
#include "edge/config.h"
#include "ondemand/gate.h"
#include "ondemand/issuer.h"
#include "policy/policy.h"

namespace latchkey::edge {

// What decides about names and obtains their certificates, put together: state folder, store,
// policy, ACME issuers, gate. Everything in here runs on the control thread.
class ControlPlane {
 public:
  // Locks the state folder and opens the store. Neither a CA nor an ask endpoint is asked: being
  // down, they must not stop a start. `cache` and `challenges` are shared with the workers.
  static Result<std::unique_ptr<ControlPlane>> open(const Config& config, Loop& loop,
                                                    CertificateCache& cache,
                                                    acme::ChallengeTable& challenges, Log& log);
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;

  Gate<CertificatePtr>& certificates() { return *certificates_; }
  // Whether names are, or would be, served: for port 80.
  Gate<bool>& served_names() { return *served_names_; }

  // Finds or makes the accounts at the CAs, in the background, so that the first handshake need
  // not wait for it. A CA that is down is logged and costs nothing.
  void prepare_issuers();

  // Takes what may change while running: the allowlist.
  Result<> reload(const Config& config);

  void log_counts() const;

 private:
  ControlPlane(const Config& config, Loop& loop, CertificateCache& cache,
               acme::ChallengeTable& challenges, Log& log);

  Result<> open_state();
  Result<> open_policy();
  void open_issuers();
  Task<Issued> order(ServerName name, int failures);
  Task<> prepare(acme::AcmeIssuer& issuer);

  const Config config_;
  Loop& loop_;
  CertificateCache& cache_;
  acme::ChallengeTable& challenges_;
  Log& log_;

  std::unique_ptr<StateLock> lock_;  // first to come, last to go: the store is ours alone
  std::unique_ptr<SqliteStore> store_;
  std::vector<std::unique_ptr<CurlHttpClient>> http_clients_;
  std::unique_ptr<Policy> policy_;
  const AskEndpoint* ask_ = nullptr;  // policy_'s
  std::vector<std::unique_ptr<acme::AcmeIssuer>> issuers_;
  std::unique_ptr<Issuer> issuer_;
  std::unique_ptr<Gate<CertificatePtr>> certificates_;
  std::unique_ptr<Gate<bool>> served_names_;
  TaskSet tasks_;
};

// Can the files that a configuration names be read, and are they what they should be?
Result<> check_files(const Config& config);

// The allowlist of a configuration; bad lines are logged and left out.
Result<std::shared_ptr<const Allowlist>> load_allowlist(const Config& config, Log& log);

}  // namespace latchkey::edge
