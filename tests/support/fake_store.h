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
  // Set: everything fails with it.
  std::optional<Error> broken;
  // Set: puts of all kinds but accounts, or only self-tests, fail with it.
  std::optional<Error> full;
  std::optional<Error> broken_test;
  // find_name() fails for these.
  std::set<ServerName> unreadable;
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
  int sweeps = 0;
  int reseals = 0;
  int reseals_needed = 0;  // calls until nothing is left

  std::map<std::string, AccountRecord> accounts;  // by directory
  std::vector<AccountRecord> account_puts;        // all of them, in order
  std::map<ServerName, CertificatePtr> certificates;
  std::map<ServerName, std::string> issuers;    // that the certificates were put with
  std::map<ServerName, CertificateInfo> infos;  // of the certificates
  std::map<ServerName, PendingOrder> orders;
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

  Task<CertificatePtr> find_certificate(ServerName name) override {
    ++reads;
    co_await reach();
    co_return certificate_of(name);
  }
  Task<> put_certificate(ServerName name, CertificatePtr certificate,
                         CertificateOrigin origin) override {
    co_await reach_to_put();
    set_certificate(name, certificate, origin);
    orders.erase(name);
    const Stored tell = stored_;
    if (tell) tell(name, *certificate);
    co_return Unit{};
  }
  Task<> delete_certificate(ServerName name) override {
    ++writes;
    co_await reach();
    forget_certificate(name);
    co_return Unit{};
  }

  Task<NameRecord> find_name(ServerName name) override {
    ++reads;
    co_await reach();
    if (unreadable.contains(name)) {
      co_return Error{ErrorCode::kIo, "the row of " + name.text() + " cannot be read"};
    }
    NameRecord record;
    if (const auto held = holder(name)) {
      adopt(*held);
      record.certificate = row_of(certificates, *held).value_or(nullptr);
      record.info = row_of(infos, *held);
    }
    record.failure = row_of(failures, name);
    record.verdict = row_of(verdicts, name);
    record.order = row_of(orders, name);
    co_return record;
  }
  Task<> delete_name(ServerName name) override {
    ++writes;
    co_await reach();
    forget_certificate(name);
    failures.erase(name);
    verdicts.erase(name);
    orders.erase(name);
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
    for (auto& [name, info] : infos) {
      if (info.id != id) continue;
      info.plan = plan;
      plans.emplace_back(name, plan);
    }
    co_return Unit{};
  }
  Task<> note_uses(std::vector<ServerName> names, WallTime now) override {
    use_notes += static_cast<int>(names.size());
    co_await reach_to_put();
    for (const ServerName& name : names) {
      const auto held = holder(name);
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
      if (page.size() == std::min<size_t>(query.limit, 1000)) break;
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
    const ServerName name = order.name;
    orders.insert_or_assign(name, std::move(order));
    co_return Unit{};
  }
  Task<> delete_order(ServerName name) override {
    ++writes;
    co_await reach();
    orders.erase(name);
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
  // Of certificates, events and orders only.
  Task<SweepReport> sweep(WallTime now, Millis keep_expired) override {
    ++sweeps;
    co_await reach();
    adopt_all();
    const WallTime before = now - std::chrono::floor<std::chrono::seconds>(keep_expired);
    SweepReport report;
    std::vector<ServerName> useless;
    for (const auto& [name, info] : infos) {
      if (info.end < before && info.last_used < before) useless.push_back(name);
    }
    for (const ServerName& name : useless) {
      forget_certificate(name);
      if (report.deleted.size() < 1000) report.deleted.push_back(name.text());
    }
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
    forget_certificate(name);
    const Quarantined tell = quarantined_;
    if (tell) tell(name.text(), cause);
  }
  // As put_certificate(), at once.
  void set_certificate(const ServerName& name, const CertificatePtr& certificate,
                       const CertificateOrigin& origin) {
    const WallTime now =
        clock != nullptr
            ? clock->wall_now()
            : std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    for (const std::string& own : certificate->names()) {
      if (own.starts_with("*.")) wildcards_.insert_or_assign(own, name);
    }
    const auto before = row_of(infos, name);
    const WallTime end = certificate->chain_not_after();
    certificates[name] = certificate;
    issuers[name] = origin.issuer;
    infos.insert_or_assign(
        name, CertificateInfo{
                  .id = ++last_id_,
                  .name = name,
                  .issuer = origin.issuer,
                  .account = origin.account,
                  .key_type = "p256",
                  .serial = certificate->serial(),
                  .not_before = certificate->not_before(),
                  .end = end,
                  .last_used = origin.visited || !before ? now : before->last_used,
                  .plan = origin.plan.value_or(plan_by_life(certificate->not_before(), end))});
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
  CertificatePtr certificate_of(const ServerName& name) const {
    const auto held = holder(name);
    return held ? row_of(certificates, *held).value_or(nullptr) : nullptr;
  }
  // Whose certificate is the name's: its own, else (or where that has expired) the newest one that
  // was put with the wildcard for it.
  std::optional<ServerName> holder(const ServerName& name) const {
    const auto own = certificates.find(name);
    const auto is_good = [this](const CertificatePtr& certificate) {
      return clock == nullptr || !certificate->expired_at(clock->wall_now());
    };
    if (own != certificates.end() && is_good(own->second)) return name;
    const auto wild = wildcards_.find("*." + std::string(name.parent()));
    const auto found =
        wild == wildcards_.end() ? certificates.end() : certificates.find(wild->second);
    if (found == certificates.end() || (own != certificates.end() && !is_good(found->second))) {
      return own == certificates.end() ? std::optional<ServerName>() : name;
    }
    return found->first;
  }
  // Tests may write into `certificates`.
  void adopt(const ServerName& name) {
    const CertificatePtr certificate = row_of(certificates, name).value_or(nullptr);
    const auto info = infos.find(name);
    if (certificate == nullptr) {
      infos.erase(name);
    } else if (info == infos.end() || info->second.serial != certificate->serial()) {
      set_certificate(name, certificate, issuers.contains(name) ? issuers[name] : "ca");
    }
  }
  void adopt_all() {
    std::erase_if(infos, [this](const auto& one) { return !certificates.contains(one.first); });
    for (const auto& [name, certificate] : certificates) adopt(name);
  }
  void forget_certificate(const ServerName& name) {
    certificates.erase(name);
    issuers.erase(name);
    infos.erase(name);
  }
  template <typename Row>
  static std::optional<Row> row_of(const std::map<ServerName, Row>& rows, const ServerName& name) {
    const auto found = rows.find(name);
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
  std::map<std::string, ServerName> wildcards_;  // whose certificate has them
  int64_t last_id_ = 0;
};

}  // namespace latchkey
