#pragma once
// A store in memory.

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cache/store.h"

namespace latchkey {

class FakeStore : public Store {
 public:
  // What certificates and orders are kept under; a name alone is its kMain.
  struct Key {
    Key(ServerName name_in, Slot slot_in = Slot::kMain) : name(std::move(name_in)), slot(slot_in) {}
    operator const ServerName&() const { return name; }
    const std::string& text() const { return name.text(); }
    friend auto operator<=>(const Key&, const Key&) = default;

    ServerName name;
    Slot slot;
  };

  // Set: everything fails with it.
  std::optional<Error> broken;
  // Set: puts of all kinds but accounts, or only self-tests, fail with it.
  std::optional<Error> full;
  std::optional<Error> broken_test;
  // find_name() fails for these.
  std::set<ServerName> unreadable;
  // import_certificates() cannot store these.
  std::set<ServerName> unstorable;
  // Set: every call takes so long on this clock, and what is put is put by its time.
  Clock* clock = nullptr;
  Millis delay{0};

  // What was called, whether it worked or not.
  int self_tests = 0;
  int reads = 0;   // find_certificate(), find_name()
  int writes = 0;  // puts and deletes of all kinds
  int failure_puts = 0;
  int verdict_puts = 0;
  int bucket_puts = 0;
  int order_puts = 0;
  int plan_puts = 0;
  int event_puts = 0;  // calls
  int use_notes = 0;   // names
  int due_queries = 0;
  int imports = 0;  // calls
  int staple_puts = 0;
  int staple_queries = 0;  // find_due_staples()
  int dns_proof_puts = 0;
  int sweeps = 0;
  int reseals = 0;
  int reseals_needed = 0;  // calls until nothing is left

  std::map<std::string, AccountRecord> accounts;  // by directory
  std::vector<AccountRecord> account_puts;        // all of them, in order
  std::map<Key, CertificatePtr> certificates;
  std::map<Key, std::string> issuers;    // that the certificates were put with
  std::map<Key, CertificateInfo> infos;  // of the certificates
  std::map<Key, PendingOrder> orders;
  std::map<std::string, StapleRecord> staples;  // by leaf
  std::map<int64_t, DnsProof> dns_proofs;
  std::vector<Event> events;                              // the oldest first
  std::vector<std::pair<ServerName, RenewalPlan>> plans;  // put_plan(), in order
  std::map<ServerName, FailureRecord> failures;
  std::map<ServerName, VerdictRecord> verdicts;
  using BucketId = std::tuple<std::string, std::string, std::string>;  // issuer, kind, key
  std::map<BucketId, BucketRecord> buckets;

  Task<> self_test() override {
    ++self_tests;
    co_await reach();
    if (broken_test) co_return *broken_test;
    co_return Unit{};
  }

  Task<CertificatePtr> find_certificate(ServerName name, Slot slot = Slot::kMain) override {
    ++reads;
    co_await reach();
    if (unreadable.contains(name)) {
      co_return Error{ErrorCode::kIo, "the row of " + name.text() + " cannot be read"};
    }
    const auto held = holder(name, slot);
    co_return held ? stapled(*held) : nullptr;
  }
  Task<> put_certificate(ServerName name, CertificatePtr certificate,
                         CertificateOrigin origin) override {
    co_await reach_to_put();
    set_certificate(name, certificate, origin);
    orders.erase({name, origin.slot});
    const Stored tell = stored_;
    if (tell) tell(name, origin.slot, certificate);
    co_return Unit{};
  }
  Task<> delete_certificate(ServerName name) override {
    ++writes;
    co_await reach();
    forget_both(name);
    co_return Unit{};
  }
  Task<std::vector<std::string>> delete_certificate_row(int64_t id) override {
    ++writes;
    co_await reach();
    std::vector<std::string> names;
    const auto found = std::find_if(infos.begin(), infos.end(),
                                    [id](const auto& one) { return one.second.id == id; });
    if (found == infos.end()) co_return names;
    const Key key = found->first;
    names.push_back(key.text());
    for (const auto& [wildcard, leads_to] : wildcards_) {
      if (leads_to == key && wildcard.first != key.text()) names.push_back(wildcard.first);
    }
    forget_certificate(key);
    co_return names;
  }
  Task<std::vector<Result<ImportOutcome>>> import_certificates(
      std::vector<ImportedCertificate> batch) override {
    ++imports;
    co_await reach_to_put();
    std::vector<Result<ImportOutcome>> outcomes;
    outcomes.reserve(batch.size());
    for (const ImportedCertificate& one : batch) outcomes.push_back(import_one(one));
    for (size_t i = 0; i < batch.size(); ++i) {
      const Stored tell = stored_;
      if (!outcomes[i] || *outcomes[i] != ImportOutcome::kStored || !tell) continue;
      tell(batch[i].name, batch[i].origin.slot, batch[i].certificate);
    }
    co_return outcomes;
  }

  Task<NameRecord> find_name(ServerName name, Slot slot = Slot::kMain) override {
    ++reads;
    co_await reach();
    if (unreadable.contains(name)) {
      co_return Error{ErrorCode::kIo, "the row of " + name.text() + " cannot be read"};
    }
    NameRecord record;
    if (const auto held = holder(name, slot)) {
      adopt(*held);
      record.certificate = stapled(*held);
      record.info = row_of(infos, *held);
    }
    record.failure = row_of(failures, name);
    record.verdict = row_of(verdicts, name);
    record.order = row_of(orders, Key(name, slot));
    co_return record;
  }
  Task<> delete_name(ServerName name) override {
    ++writes;
    co_await reach();
    forget_both(name);
    failures.erase(name);
    verdicts.erase(name);
    for (const Slot slot : {Slot::kMain, Slot::kRsa}) orders.erase({name, slot});
    co_return Unit{};
  }

  Task<DueCertificates> find_due(WallTime now, size_t limit) override {
    ++due_queries;
    co_await reach();
    adopt_all();
    std::vector<CertificateInfo> all;
    for (const auto& [name, info] : infos) {
      if (info.plan.look_at != RenewalPlan::kNever) all.push_back(info);
    }
    std::sort(all.begin(), all.end(), [](const CertificateInfo& a, const CertificateInfo& b) {
      return std::pair(a.plan.look_at, a.id) < std::pair(b.plan.look_at, b.id);
    });
    DueCertificates found;
    for (CertificateInfo& info : all) {
      if (info.plan.look_at > now || found.due.size() == limit) {
        found.next = info.plan.look_at;
        break;
      }
      found.due.push_back(std::move(info));
    }
    co_return found;
  }
  Task<> put_plan(int64_t id, RenewalPlan plan) override {
    ++plan_puts;
    co_await reach_to_put();
    for (auto& [key, info] : infos) {
      if (info.id != id) continue;
      info.plan = plan;
      plans.emplace_back(key.name, plan);
    }
    co_return Unit{};
  }
  Task<> note_uses(std::vector<SlotName> names, WallTime now) override {
    use_notes += static_cast<int>(names.size());
    co_await reach_to_put();
    for (const SlotName& name : names) {
      const auto held = holder(name.name, name.slot);
      if (!held) continue;
      adopt(*held);
      CertificateInfo& info = infos.at(*held);
      info.last_used = now;
      if (info.plan.look_at == RenewalPlan::kNever) info.plan.look_at = now;
    }
    co_return Unit{};
  }
  Task<std::vector<CertificateInfo>> list_certificates(CertificateQuery query) override {
    ++reads;
    co_await reach();
    adopt_all();
    std::vector<CertificateInfo> page;
    for (const auto& [name, info] : infos) {
      const bool page_full = page.size() >= std::min<size_t>(query.limit, 1000);
      if (page_full && (page.empty() || page.back().name != name.name)) break;
      if (name.text() <= query.after || name.text().find(query.contains) == std::string::npos) {
        continue;
      }
      if (!query.ends_before || info.end < *query.ends_before) page.push_back(info);
    }
    co_return page;
  }

  Task<> put_order(PendingOrder order) override {
    ++order_puts;
    co_await reach_to_put();
    const Key key(order.name, order.slot);
    orders.insert_or_assign(key, std::move(order));
    co_return Unit{};
  }
  Task<> delete_order(ServerName name, Slot slot = Slot::kMain) override {
    ++writes;
    co_await reach();
    orders.erase({name, slot});
    co_return Unit{};
  }
  Task<std::vector<PendingOrder>> load_orders(size_t limit) override {
    ++reads;
    co_await reach();
    std::vector<PendingOrder> found;
    for (const auto& [name, order] : orders) found.push_back(order);
    std::stable_sort(found.begin(), found.end(),
                     [](const PendingOrder& a, const PendingOrder& b) { return a.made < b.made; });
    if (found.size() > limit) found.erase(found.begin() + static_cast<long>(limit), found.end());
    co_return found;
  }

  Task<> put_staple(StapleRecord record) override {
    ++staple_puts;
    co_await reach_to_put();
    const std::string leaf = record.leaf;
    staples.insert_or_assign(leaf, std::move(record));
    co_return Unit{};
  }
  Task<> delete_staple(std::string leaf) override {
    ++writes;
    co_await reach();
    staples.erase(leaf);
    co_return Unit{};
  }
  Task<std::optional<StapleRecord>> find_staple(std::string leaf) override {
    ++reads;
    co_await reach();
    const auto found = staples.find(leaf);
    std::optional<StapleRecord> record;
    if (found != staples.end()) record = found->second;
    co_return record;
  }
  Task<DueStaples> find_due_staples(WallTime now, size_t limit) override {
    ++staple_queries;
    co_await reach();
    std::vector<StapleRecord> all;
    for (const auto& [leaf, record] : staples) {
      if (record.look_at != RenewalPlan::kNever) all.push_back(record);
    }
    std::stable_sort(all.begin(), all.end(), [](const StapleRecord& a, const StapleRecord& b) {
      return a.look_at < b.look_at;
    });
    DueStaples found;
    for (StapleRecord& record : all) {
      if (record.look_at > now || found.due.size() == limit) {
        found.next = record.look_at;
        break;
      }
      found.due.push_back(std::move(record));
    }
    co_return found;
  }

  Task<> hasten_staples(WallTime late, WallTime at) override {
    co_await reach();
    for (auto& [leaf, record] : staples) {
      if (record.look_at > late && record.look_at != RenewalPlan::kNever) record.look_at = at;
    }
    co_return Unit{};
  }

  Task<int64_t> put_dns_proof(DnsProof proof) override {
    ++dns_proof_puts;
    co_await reach_to_put();
    proof.id = ++last_proof_;
    const int64_t id = proof.id;
    dns_proofs.emplace(id, std::move(proof));
    co_return id;
  }
  Task<> delete_dns_proof(int64_t id) override {
    ++writes;
    co_await reach();
    dns_proofs.erase(id);
    co_return Unit{};
  }
  Task<std::vector<DnsProof>> load_dns_proofs(size_t limit) override {
    ++reads;
    co_await reach();
    std::vector<DnsProof> found;
    for (const auto& [id, proof] : dns_proofs) {
      if (found.size() < limit) found.push_back(proof);
    }
    co_return found;
  }

  Task<> put_events(std::vector<Event> added) override {
    ++event_puts;
    co_await reach_to_put();
    for (Event& event : added) {
      const std::string name = event.name;
      events.push_back(std::move(event));
      const auto of_name = [&](const Event& one) { return one.name == name; };
      const auto most = name.empty() ? 10'000 : 100;
      if (std::count_if(events.begin(), events.end(), of_name) > most) {
        events.erase(std::find_if(events.begin(), events.end(), of_name));
      }
    }
    co_return Unit{};
  }
  Task<std::vector<Event>> find_events(std::string name, size_t limit) override {
    ++reads;
    co_await reach();
    std::vector<Event> found;
    for (auto at = events.rbegin(); at != events.rend() && found.size() < limit; ++at) {
      if (name.empty() || at->name == name) found.push_back(*at);
    }
    co_return found;
  }
  std::vector<Event> events_of_kind(std::string_view kind) const {
    std::vector<Event> found;
    for (const Event& event : events) {
      if (event.kind == kind) found.push_back(event);
    }
    return found;
  }

  Task<> put_failure(ServerName name, FailureRecord failure) override {
    ++failure_puts;
    co_await reach_to_put();
    failures[name] = std::move(failure);
    co_return Unit{};
  }
  Task<> delete_failure(ServerName name) override {
    ++writes;
    co_await reach();
    failures.erase(name);
    co_return Unit{};
  }
  Task<> put_verdict(ServerName name, VerdictRecord verdict) override {
    ++verdict_puts;
    co_await reach_to_put();
    verdicts[name] = std::move(verdict);
    co_return Unit{};
  }
  Task<> delete_verdict(ServerName name) override {
    ++writes;
    co_await reach();
    verdicts.erase(name);
    co_return Unit{};
  }

  Task<std::vector<BucketRecord>> load_buckets(WallTime now) override {
    co_await reach();
    const int64_t at = Millis(now.time_since_epoch()).count();
    std::vector<BucketRecord> found;
    for (const auto& [id, bucket] : buckets) {
      if (std::max(bucket.full_at_ms, bucket.held_until_ms) > at) found.push_back(bucket);
    }
    co_return found;
  }
  Task<> put_buckets(std::vector<BucketRecord> changed) override {
    ++bucket_puts;
    co_await reach_to_put();
    for (BucketRecord& one : changed) {
      const BucketId id(one.issuer, one.kind, one.key);
      buckets[id] = std::move(one);
    }
    co_return Unit{};
  }
  // Of certificates, events, orders and staples only.
  Task<SweepReport> sweep(WallTime now, Millis keep_expired) override {
    ++sweeps;
    co_await reach();
    adopt_all();
    const WallTime before = now - std::chrono::floor<std::chrono::seconds>(keep_expired);
    SweepReport report;
    std::vector<Key> useless;
    for (const auto& [key, info] : infos) {
      if (info.end < before && info.last_used < before) useless.push_back(key);
    }
    for (const Key& key : useless) {
      forget_certificate(key);
      if (report.deleted.size() < 1000) report.deleted.push_back(key.text());
    }
    std::erase_if(staples, [now](const auto& one) { return one.second.end < now; });
    std::erase_if(events, [now](const Event& event) { return event.keep_until < now; });
    std::erase_if(orders, [now](const auto& one) {
      return one.second.made < now - std::chrono::hours(7 * 24);
    });
    co_return report;
  }
  Task<bool> reseal() override {
    ++reseals;
    co_await reach();
    co_return reseals >= reseals_needed;
  }

  void on_stored(Stored listener) override { stored_ = std::move(listener); }
  void on_quarantined(Quarantined listener) override { quarantined_ = std::move(listener); }

  // What a read of a damaged row does.
  void quarantine(const ServerName& name, const std::string& cause) {
    forget_both(name);
    const Quarantined tell = quarantined_;
    if (tell) tell(name.text(), cause);
  }
  // As put_certificate(), at once.
  void set_certificate(const ServerName& name, const CertificatePtr& certificate,
                       const CertificateOrigin& origin) {
    const Key key(name, origin.slot);
    const WallTime now = now_or_system();
    for (const std::string& own : certificate->names()) {
      if (own.starts_with("*.")) wildcards_.insert_or_assign({own, origin.slot}, key);
    }
    const auto before = row_of(infos, key);
    const WallTime end = certificate->chain_not_after();
    if (const auto old = row_of(certificates, key); old && !(*old)->same_leaf(*certificate)) {
      staples.erase((*old)->leaf_hash());
    }
    certificates[key] = certificate;
    issuers[key] = origin.issuer;
    infos.insert_or_assign(
        key, CertificateInfo{
                 .id = ++last_id_,
                 .name = name,
                 .slot = origin.slot,
                 .issuer = origin.issuer,
                 .account = origin.account,
                 .key_type = certificate->is_rsa() ? "rsa2048" : "p256",
                 .serial = certificate->serial(),
                 .not_before = certificate->not_before(),
                 .end = end,
                 .last_used = origin.visited || !before ? now : before->last_used,
                 .plan = origin.plan.value_or(plan_by_life(certificate->not_before(), end))});
    if (certificate->ocsp_responder().empty()) return;
    const auto slot = static_cast<uint8_t>(origin.slot);
    StapleRecord& record = staples[certificate->leaf_hash()];
    record = {certificate->leaf_hash(),
              name.text(),
              slot,
              certificate->staple() != nullptr ? certificate->staple() : record.staple,
              now,
              certificate->not_after()};
  }

  Task<std::optional<AccountRecord>> find_account(std::string directory) override {
    co_await reach();
    const auto found = accounts.find(directory);
    std::optional<AccountRecord> record;
    if (found != accounts.end()) record = found->second;
    co_return record;
  }
  Task<> put_account(AccountRecord account) override {
    ++writes;
    co_await reach();
    account_puts.push_back(account);
    accounts[account.directory] = std::move(account);
    co_return Unit{};
  }
  Task<> delete_account(std::string directory) override {
    ++writes;
    co_await reach();
    accounts.erase(directory);
    co_return Unit{};
  }
  Task<size_t> count_certificates() override {
    co_await reach();
    co_return certificates.size();
  }

 private:
  WallTime now_or_system() const {
    if (clock != nullptr) return clock->wall_now();
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  }
  // With its staple, while that is good.
  CertificatePtr stapled(const Key& key) const {
    const CertificatePtr certificate = row_of(certificates, key).value_or(nullptr);
    if (certificate == nullptr) return nullptr;
    const auto found = staples.find(certificate->leaf_hash());
    if (found == staples.end() || found->second.staple == nullptr ||
        !found->second.staple->good_at(now_or_system())) {
      return certificate;
    }
    return certificate->with_staple(found->second.staple);
  }
  // Whose certificate is the name's: its own, else (or where that has expired) the newest one that
  // was put with the wildcard for it. In kRsa: with an RSA key, the twin's own first.
  std::optional<Key> holder(const ServerName& name, Slot slot) const {
    std::vector<Key> candidates;
    const std::string wildcard = "*." + std::string(name.parent());
    const auto add_wildcard = [&](Slot of) {
      const auto found = wildcards_.find({wildcard, of});
      if (found != wildcards_.end()) candidates.push_back(found->second);
    };
    if (slot == Slot::kRsa) candidates.emplace_back(name, Slot::kRsa);
    candidates.emplace_back(name, Slot::kMain);
    if (slot == Slot::kRsa) add_wildcard(Slot::kRsa);
    add_wildcard(Slot::kMain);
    std::optional<Key> best;
    for (const Key& one : candidates) {
      const auto found = certificates.find(one);
      if (found == certificates.end() || (slot == Slot::kRsa && !found->second->is_rsa())) continue;
      if (clock == nullptr || !found->second->expired_at(clock->wall_now())) return one;
      if (!best) best = one;
    }
    return best;
  }
  Result<ImportOutcome> import_one(const ImportedCertificate& one) {
    if (unstorable.contains(one.name) || !one.certificate->covers(one.name)) {
      return Error{ErrorCode::kInvalid, "the certificate is not for " + one.name.text()};
    }
    const Key key(one.name, one.origin.slot);
    const auto present = row_of(certificates, key);
    if (present && (*present)->same_leaf(*one.certificate)) return ImportOutcome::kSame;
    if (present && (*present)->chain_not_after() > one.certificate->chain_not_after()) {
      return ImportOutcome::kNewer;
    }
    set_certificate(one.name, one.certificate, one.origin);
    return ImportOutcome::kStored;
  }
  // Tests may write into `certificates`.
  void adopt(const Key& key) {
    const CertificatePtr certificate = row_of(certificates, key).value_or(nullptr);
    const auto info = infos.find(key);
    if (certificate == nullptr) {
      infos.erase(key);
    } else if (info == infos.end() || info->second.serial != certificate->serial()) {
      CertificateOrigin origin(issuers.contains(key) ? issuers.at(key) : "ca");
      origin.slot = key.slot;
      set_certificate(key.name, certificate, origin);
    }
  }
  void adopt_all() {
    std::erase_if(infos, [this](const auto& one) { return !certificates.contains(one.first); });
    for (const auto& [key, certificate] : certificates) adopt(key);
  }
  void forget_both(const ServerName& name) {
    for (const Slot slot : {Slot::kMain, Slot::kRsa}) forget_certificate({name, slot});
  }
  void forget_certificate(const Key& key) {
    if (const auto old = row_of(certificates, key); old && *old != nullptr) {
      staples.erase((*old)->leaf_hash());
    }
    certificates.erase(key);
    issuers.erase(key);
    infos.erase(key);
  }
  template <typename K, typename Row>
  static std::optional<Row> row_of(const std::map<K, Row>& rows, const K& key) {
    const auto found = rows.find(key);
    return found == rows.end() ? std::optional<Row>() : std::optional<Row>(found->second);
  }

  Task<> reach() {
    if (clock != nullptr) co_await sleep(*clock, delay);
    if (broken) co_return *broken;
    co_return Unit{};
  }
  Task<> reach_to_put() {
    ++writes;
    co_await reach();
    if (full) co_return *full;
    co_return Unit{};
  }

  Stored stored_;
  Quarantined quarantined_;
  std::map<std::pair<std::string, Slot>, Key> wildcards_;  // whose certificate has them
  int64_t last_proof_ = 0;
  int64_t last_id_ = 0;
};

}  // namespace latchkey
