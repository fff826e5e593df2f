#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "acme/authority/authority.h"
#include "acme/challenges.h"
#include "acme/dns_proofs.h"
#include "base/curl_http_client.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/task_set.h"
#include "cache/certificate_cache.h"
#include "cache/sqlite_store.h"
#include "cache/state_lock.h"
#include "edge/acme_serving.h"
#include "edge/acme_source.h"
#include "edge/authority_source.h"
#include "edge/config.h"
#include "edge/configured.h"
#include "edge/event_log.h"
#include "edge/exporter.h"
#include "edge/hook_program.h"
#include "edge/ocsp_source.h"
#include "edge/watch.h"
#include "edge/webhook.h"
#include "ondemand/budget.h"
#include "ondemand/budget_keeper.h"
#include "ondemand/coordinator.h"
#include "ondemand/gate.h"
#include "ondemand/issuances.h"
#include "ondemand/ledger.h"
#include "ondemand/order_desk.h"
#include "ondemand/order_queue.h"
#include "ondemand/prefetcher.h"
#include "ondemand/renewals.h"
#include "ondemand/staples.h"
#include "policy/policy.h"

namespace latchkey::edge {

// What decides about names and obtains their certificates, put together: state folder, store,
// policy, budget, issuers, gates. Everything in here runs on the control thread.
class ControlPlane {
 public:
  // Locks the state folder and opens the store. Neither a CA nor an ask endpoint is asked: being
  // down, they must not stop a start. `cache` and `challenges` are shared with the workers.
  // `lock`: the state folder's, that another process has handed us; nullopt: it is to be taken.
  static Result<std::unique_ptr<ControlPlane>> open(const Config& config, Loop& loop,
                                                    CertificateCache& cache,
                                                    acme::ChallengeTable& challenges, Log& log,
                                                    std::optional<StateLock> lock = std::nullopt);
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;

  Gate<CertificatePtr>& certificates(Slot slot = Slot::kMain) {
    return slot == Slot::kMain ? *certificates_ : *rsa_certificates_;
  }
  // Whether names are, or would be, served: for port 80.
  Gate<Coordinator::Plain>& served_names() { return *served_names_; }
  // A name in memory about which the policy is to be asked again.
  void recheck(const ServerName& name);

  // Ends what is under way for the name, whoever waits for it; false: there was nothing.
  bool call_off(const ServerName& name);

  // Finds or makes the accounts at the CAs, in the background, so that the first handshake need
  // not wait for it: a CA that is down is logged and costs nothing. Goes on with the orders that an
  // earlier life has left, gets certificates for the managed names, renews what is due.
  void start();

  // --- for another process that takes over (control_plane_handover.cc)
  // Begins no more orders. Once none is under way, or those that take too long have been cut (they
  // go on from the store), it calls `quiet`.
  void hold_orders(std::function<void()> quiet);
  // It did not take over: orders are made again.
  void release_orders();
  // It has: whatever is missing from now on is asked of it, and then lies in the store.
  using Successor = std::function<void(const ServerName&, Slot, std::function<void(Result<>)>)>;
  void hand_over(Successor successor);
  // It is no more. The lock, if nobody has it; then all is ours again, as it lies in the store.
  Result<> lock_again();
  void take_back();
  int lock_descriptor() const { return lock_->descriptor(); }

  void replace_allowlist(std::shared_ptr<const Allowlist> allowlist);
  // The configured certificates of a new configuration.
  void replace_configured(const Config& config) { configured_->set(config); }
  // acme_server.allow of a new configuration.
  void replace_acme_allow(const Config& config);
  // A request for a host of acme_server (see AcmeHost). `done` is called once, perhaps from within.
  void answer_acme(HttpRequest request, std::string client, std::function<void(HttpReply)> done);
  // A name in memory was visited.
  void note_use(const ServerName& name, Slot slot);

  // For who steers.
  Store& store() { return *store_; }
  // See SecretBox::derive().
  std::string derive_secret(std::string_view purpose) const {
    return store_->derive_secret(purpose);
  }
  Policy& policy() { return *policy_; }
  const Budget& budget() const { return *budget_; }
  const OrderQueue& queue() const { return *queue_; }
  const OrderDesk& desk() const { return *desk_; }
  Coordinator& coordinator() { return *coordinator_; }
  Prefetcher& prefetcher(Slot slot = Slot::kMain) {
    return slot == Slot::kMain ? *prefetcher_ : *twins_;
  }
  CertificateCache& cache() { return cache_; }
  Renewals& renewals() { return *renewals_; }
  Issuances& issuances() { return *issuances_; }
  Ledger& ledger() { return *ledger_; }
  EventLog& events() { return *events_; }
  const Staples& staples() const { return *staples_; }
  const Configured& configured() const { return *configured_; }
  const Webhook* webhook() const { return webhook_.get(); }  // null: there is none
  // All issuers, as the configuration has them: CAs, and authorities in here.
  const std::vector<CertificateSource*>& issuers() const { return issuers_; }
  std::vector<std::unique_ptr<AcmeSource>>& sources() { return sources_; }
  std::vector<std::unique_ptr<AuthoritySource>>& authorities() { return authority_sources_; }

  void log_counts() const;

 private:
  ControlPlane(const Config& config, Loop& loop, CertificateCache& cache,
               acme::ChallengeTable& challenges, Log& log);

  Result<> open_state(std::optional<StateLock> lock);
  Result<> open_policy();
  Result<> open_events();
  Result<> open_dns();
  Result<> open_issuers();
  // control_plane_authority.cc
  CertificateSource* open_authority(const Config::Issuer& from);
  Result<> open_acme_server();
  acme::Authority* find_responder(const std::string& url) const;
  Task<> prepare_authority(acme::Authority& authority);
  void stop_authorities();
  void open_staples();
  void open_configured();
  void open_issuances();
  void open_gates();
  Task<CertificatePtr> obtain(ServerName name, Slot slot, Want& want);
  Task<> ask_successor(ServerName name, Slot slot);
  void look_whether_quiet(TimePoint begun);
  bool orders_run() const;
  void cut_orders();
  Task<> prepare(AcmeSource& source);
  Task<> resume_orders();
  Task<> renew_soon(ServerName name, Slot slot);
  void revoked(const ServerName& name, Slot slot, const CertificatePtr& certificate,
               const std::string& reason);
  Millis pause_after_revocation(const SlotName& what);
  Task<> renew_revoked(ServerName name, Slot slot, CertificatePtr certificate);
  Task<> replace_revoked(ServerName name, Slot slot, CertificatePtr certificate);
  Task<> resume_renewal(ServerName name);
  void want_managed_names();
  Task<> sweep();
  Task<> reseal();
  Task<> watch();

  const Config config_;
  Loop& loop_;
  CertificateCache& cache_;
  acme::ChallengeTable& challenges_;
  Log& log_;

  std::unique_ptr<StateLock> lock_;  // first to come, last to go: the store is ours alone
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<CurlHttpClient> webhook_http_;
  std::unique_ptr<Webhook> webhook_;
  std::unique_ptr<HookProgram> hook_;
  std::unique_ptr<EventLog> events_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<CurlHttpClient> ask_http_;
  std::unique_ptr<Policy> policy_;
  std::unique_ptr<Budget> budget_;
  std::unique_ptr<BudgetKeeper> keeper_;
  std::unique_ptr<OrderQueue> queue_;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<acme::DnsRecords> dns_records_;
  std::unique_ptr<acme::DnsProofs> dns_proofs_;  // null: dns-01 is not configured
  std::vector<std::unique_ptr<AcmeSource>> sources_;
  std::vector<std::unique_ptr<acme::Authority>> authorities_;
  std::vector<std::unique_ptr<AuthoritySource>> authority_sources_;  // of authorities_
  std::vector<CertificateSource*> issuers_;  // of these two, in the configuration's order
  std::unique_ptr<OrderDesk> desk_;
  std::unique_ptr<AcmeServing> acme_serving_;  // null: no authority is there for others
  std::unique_ptr<Prefetcher> prefetcher_;
  std::unique_ptr<Prefetcher> twins_;  // of Slot::kRsa
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<OcspSource> ocsp_;
  std::unique_ptr<Staples> staples_;
  std::unique_ptr<Exporter> exporter_;  // null: nothing is exported
  std::unique_ptr<Issuances> issuances_;
  std::unique_ptr<Renewals> renewals_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<Gate<CertificatePtr>> certificates_, rsa_certificates_;
  std::unique_ptr<Gate<Coordinator::Plain>> served_names_;
  std::unique_ptr<Gate<Unit>> rechecks_;
  std::unique_ptr<Configured> configured_;
  std::function<void()> quiet_;  // empty: orders are made, or nobody waits for their end
  Alarm quiet_look_;
  int cuts_ = 0;                                   // how often all orders under way were called off
  Successor successor_;                            // empty: nobody has taken over
  std::unordered_map<SlotName, int> revocations_;  // <= kMaxRevocations: how many of each
  TaskSet tasks_;
};

// Can the files that a configuration names be read, and are they what they should be?
Result<> check_files(const Config& config);
// The same of the configured certificates, which stop neither a start nor a reload: a line each.
Result<> check_configured(const Config& config);

}  // namespace latchkey::edge
