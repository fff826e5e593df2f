#include "acme/dns_proofs.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "acme/base64url.h"
#include "acme/dns_propagation.h"
#include "acme/jws.h"
#include "base/dns_message.h"
#include "base/link.h"
#include "base/pending.h"
#include "base/task_set.h"
#include "base/turnstile.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxCnames = 8;            // that are followed
constexpr size_t kMaxLeftovers = 10'000;    // of an earlier life; more are left to the next start
constexpr size_t kWithdrawalsAtOnce = 4;    // a hook program is a process each
constexpr Millis kLongest{24 * 3'600'000};  // in a queue
constexpr auto kGiveUp = std::chrono::hours(30 * 24);

// Before the next try to withdraw.
Millis pause_after(size_t failures) {
  constexpr Millis kPauses[] = {Millis(60'000), Millis(600'000), Millis(3'600'000)};
  return kPauses[std::min<size_t>(failures, std::size(kPauses)) - 1];
}

// One TXT record, from before it is published until it is gone.
struct Record {
  std::string domain, value, identifier;
  WallTime made{};
  std::vector<int64_t> rows;            // in the store; two only after a crash
  size_t users = 0;                     // the proofs that it is for
  std::optional<Result<>> published{};  // for these users
  Link waiters;                         // of Waiter: until that is known; no more than users
  std::shared_ptr<Turnstile> turn;      // shared by the records of a domain: one change at a time
  Pending<>* paused = nullptr;          // its flow waits here
  Alarm alarm;                          // ... for that

  struct Waiter : Link {
    Pending<> pending;
  };
};

}  // namespace

// Something is being changed while this lives.
class Change {
 public:
  explicit Change(int& count) : count_(count) { ++count_; }
  ~Change() { --count_; }
  Change(const Change&) = delete;

 private:
  int& count_;
};

struct DnsProofs::Impl : std::enable_shared_from_this<Impl> {
  Impl(Options options_in, Parts parts_in, std::unique_ptr<DnsView> view_in)
      : options(std::move(options_in)),
        parts(parts_in),
        view(std::move(view_in)),
        withdrawals(parts.clock, kWithdrawalsAtOnce) {}

  Task<Proof> publish(ServerName name, std::string key_authorization);
  Task<std::string> place(std::string domain);
  Task<> wait_until_published(Record& record);
  Task<> wait_until_shown(Record& record);

  Record& record_of(const std::string& domain, const std::string& value);
  Proof hold(const std::string& domain, const std::string& value, const std::string& identifier);
  void release(Record& record);
  void pause_over(Record& record);

  Task<> keep(Record& record);
  Task<> put(Record& record);
  Task<> withdraw(Record& record);
  Task<> withdraw_once(Record& record);
  Task<> forget_rows(Record& record);
  Task<> pause(Record& record, Millis length);
  Task<> adopt_leftovers();
  void set_held(bool on);

  const Options options;
  const Parts parts;
  const std::unique_ptr<DnsView> view;
  Turnstile withdrawals;
  // By domain and value. Bounded by the orders under way, what could not be withdrawn within 30
  // days, and kMaxLeftovers. Each has a flow, keep(), which ends with it.
  std::map<std::pair<std::string, std::string>, Record> records;
  bool held = false;
  int changes = 0;  // under way
  TaskSet flows;
};

struct DnsProofs::Proof::State {
  State(std::weak_ptr<Impl> impl_in, Record& record_in)
      : impl(std::move(impl_in)), record(record_in) {}
  State(const State&) = delete;
  ~State() {
    if (const auto alive = impl.lock()) alive->release(record);
  }

  const std::weak_ptr<Impl> impl;
  Record& record;  // there as long as `impl` is
};

DnsProofs::Proof::Proof() = default;
DnsProofs::Proof::Proof(std::unique_ptr<State> state) : state_(std::move(state)) {}
DnsProofs::Proof::Proof(Proof&&) noexcept = default;
DnsProofs::Proof& DnsProofs::Proof::operator=(Proof&&) noexcept = default;
DnsProofs::Proof::~Proof() = default;

// What a caller waits for.

Task<DnsProofs::Proof> DnsProofs::Impl::publish(ServerName name, std::string key_authorization) {
  if (name.is_ip()) {
    co_return Error{ErrorCode::kInvalid, name.text() + ": dns-01 does not prove addresses"};
  }
  const std::string identifier(name.is_wildcard() ? name.parent() : name.text());
  const std::string value = base64url(sha256(key_authorization));
  const std::string domain = co_await place("_acme-challenge." + identifier);
  Proof proof = hold(domain, value, identifier);
  Record& record = proof.state_->record;
  co_await wait_until_published(record);
  co_await wait_until_shown(record);
  co_return proof;
}

// Where the record has to be for who looks at `domain`.
Task<std::string> DnsProofs::Impl::place(std::string domain) {
  co_await or_fail(dns_wire_name(domain));
  if (!options.follow_cname) co_return domain;
  std::vector<std::string> path{std::move(domain)};
  std::string told = path.front();  // a.test -> b.test
  for (;;) {
    Result<std::vector<std::string>> found =
        co_await view->records("", path.back(), Resolver::RecordType::kCname).result();
    if (!found) {
      Error error = std::move(found).error().in("looking for a CNAME at " + path.back());
      error.message +=
          "; dns.follow_cname: false puts the record at " + path.front() + " without a look";
      co_return error;
    }
    if (found->empty()) co_return path.back();
    const std::string target = found->front();
    told += " -> " + target;
    if (std::find(path.begin(), path.end(), target) != path.end()) {
      co_return Error{ErrorCode::kInvalid, "CNAMEs that lead in a circle: " + told};
    }
    if (path.size() > kMaxCnames) {
      co_return Error{ErrorCode::kInvalid, "over " + std::to_string(kMaxCnames) +
                                               " CNAMEs, one behind the other: " + told};
    }
    // An escaped byte is nothing that a record could be put at by a hook program.
    const bool plain = !target.empty() && target.find('\\') == std::string::npos;
    if (!plain || !dns_wire_name(target)) {
      co_return Error{ErrorCode::kInvalid, "a CNAME that leads to no host name: " + told};
    }
    path.push_back(target);
  }
}

Task<> DnsProofs::Impl::wait_until_published(Record& record) {
  if (!record.published) {
    Record::Waiter self;
    record.waiters.push_back(self);
    Result<> published = co_await self.pending;
    co_return published;
  }
  co_return *record.published;
}

Task<> DnsProofs::Impl::wait_until_shown(Record& record) {
  if (options.propagation_timeout <= Millis(0)) {
    co_await sleep(parts.clock, options.settle);
    co_return Unit{};
  }
  PropagationLimits limits;
  limits.timeout = options.propagation_timeout;
  limits.poll = options.poll;
  limits.servers = options.resolvers;
  const TimePoint begun = parts.clock.now();
  const Propagation shown =
      co_await wait_for_record(*view, parts.clock, limits, record.domain, record.value);
  const auto waited = static_cast<int64_t>((parts.clock.now() - begun).count());
  if (shown.complete()) {
    parts.log.debug("dns_proof_shown", "all name servers show the record",
                    {{"record", record.domain}, {"waited_ms", waited}});
  } else {
    parts.log.warning("dns_proof_not_shown",
                      "not all name servers show the record; the CA is told to look nevertheless",
                      {{"record", record.domain},
                       {"value", record.value},
                       {"missing", shown.missing},
                       {"waited_ms", waited}});
  }
  if (options.settle > Millis(0)) co_await sleep(parts.clock, options.settle);
  co_return Unit{};
}

// Who has a use for a record.

Record& DnsProofs::Impl::record_of(const std::string& domain, const std::string& value) {
  const auto [at, is_new] = records.try_emplace(std::pair(domain, value));
  Record& record = at->second;
  if (!is_new) return record;
  record.domain = domain;
  record.value = value;
  record.made = parts.clock.wall_now();
  // The others of the domain are its neighbours.
  for (auto near = records.lower_bound(std::pair(domain, std::string()));
       near != records.end() && near->second.domain == domain && record.turn == nullptr; ++near) {
    record.turn = near->second.turn;
  }
  if (record.turn == nullptr) record.turn = std::make_shared<Turnstile>(parts.clock, 1);
  return record;
}

DnsProofs::Proof DnsProofs::Impl::hold(const std::string& domain, const std::string& value,
                                       const std::string& identifier) {
  const bool is_new = !records.contains(std::pair(domain, value));
  Record& record = record_of(domain, value);
  record.identifier = identifier;
  ++record.users;
  Proof proof(std::make_unique<Proof::State>(weak_from_this(), record));
  if (is_new) {
    flows.spawn(keep(record));
  } else {
    pause_over(record);  // it may be about to be withdrawn again
  }
  return proof;
}

void DnsProofs::Impl::release(Record& record) {
  if (--record.users == 0) pause_over(record);
}

// Its flow goes on in a turn of its own: our caller may be any destructor.
void DnsProofs::Impl::pause_over(Record& record) {
  if (record.paused == nullptr) return;
  record.alarm = parts.clock.after(
      Millis(0), [&record] { std::exchange(record.paused, nullptr)->resolve(Unit{}); });
}

// The life of a record.

Task<> DnsProofs::Impl::keep(Record& record) {
  while (record.users > 0 || !record.rows.empty()) {
    if (record.users > 0) {
      record.published = co_await put(record).result();
      Link told;
      told.take(record.waiters);
      while (!told.alone()) {
        auto& waiter = static_cast<Record::Waiter&>(told.next());
        waiter.unlink();
        waiter.pending.resolve(*record.published);
      }
      while (record.users > 0) co_await pause(record, kLongest);
      record.published.reset();
    }
    if (!record.rows.empty()) co_await withdraw(record);
  }
  const std::pair key(record.domain, record.value);
  records.erase(key);
  co_return Unit{};
}

Task<> DnsProofs::Impl::put(Record& record) {
  record.made = parts.clock.wall_now();
  if (record.rows.empty()) {
    DnsProof row;
    row.domain = record.domain;
    row.value = record.value;
    row.identifier = record.identifier;
    row.made = record.made;
    Result<int64_t> id = co_await parts.store.put_dns_proof(row).result();
    if (!id) co_return std::move(id).error().in("noting the TXT record to come");
    record.rows.push_back(*id);
  }
  const Turnstile::Pass pass = co_await record.turn->enter(kLongest);
  if (held && record.users == 0) {
    co_return Error{ErrorCode::kThrottled, "another process takes over"};
  }
  const Change change(changes);
  co_await parts.records.publish(record.domain, record.value);
  parts.log.info("dns_proof_published", "TXT record for dns-01 published",
                 {{"name", record.identifier}, {"record", record.domain}});
  co_return Unit{};
}

// Until it is gone, or somebody has a use for it again.
Task<> DnsProofs::Impl::withdraw(Record& record) {
  for (size_t failures = 0; record.users == 0;) {
    if (held) {
      co_await pause(record, kLongest);
      continue;
    }
    const Result<> gone = co_await withdraw_once(record).result();
    if (gone) break;
    if (record.users > 0) break;  // since it was begun
    ++failures;
    if (parts.clock.wall_now() - record.made > kGiveUp) {
      parts.log.error(
          "dns_proof_abandoned",
          "a TXT record of ours could not be withdrawn for 30 days; take it away by hand",
          {{"record", record.domain}, {"value", record.value}, {"cause", gone.error().message}});
      // Where that fails, too, the next start has one more try.
      const Result<> forgotten = co_await forget_rows(record).result();
      if (!forgotten) record.rows.clear();
      break;
    }
    const Millis wait = pause_after(failures);
    parts.log.warning("dns_proof_not_withdrawn",
                      "a TXT record of ours could not be withdrawn; it will be tried again",
                      {{"record", record.domain},
                       {"value", record.value},
                       {"cause", gone.error().message},
                       {"again_in_s", wait.count() / 1000}});
    co_await pause(record, wait);
  }
  co_return Unit{};
}

Task<> DnsProofs::Impl::withdraw_once(Record& record) {
  const Turnstile::Pass place = co_await withdrawals.enter(kLongest);
  const Turnstile::Pass turn = co_await record.turn->enter(kLongest);
  if (record.users > 0 || held) co_return Unit{};
  const Change change(changes);
  co_await parts.records.withdraw(record.domain, record.value);
  co_await forget_rows(record);
  parts.log.info("dns_proof_withdrawn", "TXT record for dns-01 taken away",
                 {{"name", record.identifier}, {"record", record.domain}});
  co_return Unit{};
}

Task<> DnsProofs::Impl::forget_rows(Record& record) {
  while (!record.rows.empty()) {
    const int64_t id = record.rows.back();
    co_await parts.store.delete_dns_proof(id);
    std::erase(record.rows, id);
  }
  co_return Unit{};
}

// Also ends by pause_over().
Task<> DnsProofs::Impl::pause(Record& record, Millis length) {
  Pending<> over;
  record.paused = &over;
  record.alarm = parts.clock.after(
      length, [&record] { std::exchange(record.paused, nullptr)->resolve(Unit{}); });
  Result<> done = co_await over;
  co_return done;
}

Task<> DnsProofs::Impl::adopt_leftovers() {
  for (size_t failures = 0;;) {
    const Result<std::vector<DnsProof>> rows =
        co_await parts.store.load_dns_proofs(kMaxLeftovers).result();
    if (!rows) {
      const Millis wait = pause_after(++failures);
      parts.log.warning("dns_proofs_not_read",
                        "what TXT records an earlier run has left could not be read",
                        {{"cause", rows.error().message}, {"again_in_s", wait.count() / 1000}});
      co_await sleep(parts.clock, wait);
      continue;
    }
    for (const DnsProof& row : *rows) {
      const bool is_new = !records.contains(std::pair(row.domain, row.value));
      Record& record = record_of(row.domain, row.value);
      if (std::find(record.rows.begin(), record.rows.end(), row.id) == record.rows.end()) {
        record.rows.push_back(row.id);
      }
      if (!is_new) continue;
      record.identifier = row.identifier;
      record.made = row.made;
      flows.spawn(keep(record));
    }
    co_return Unit{};
  }
}

void DnsProofs::Impl::set_held(bool on) {
  held = on;
  if (on) return;
  for (auto& [key, record] : records) {
    if (record.users == 0) pause_over(record);
  }
}

DnsProofs::DnsProofs(Options options, Parts parts)
    : DnsProofs(std::move(options), parts, make_dns_view(parts.resolver)) {}

DnsProofs::DnsProofs(Options options, Parts parts, std::unique_ptr<DnsView> view)
    : impl_(std::make_shared<Impl>(std::move(options), parts, std::move(view))) {}

DnsProofs::~DnsProofs() = default;

Task<DnsProofs::Proof> DnsProofs::publish(ServerName name, std::string key_authorization) {
  return impl_->publish(std::move(name), std::move(key_authorization));
}

void DnsProofs::clean_up() {
  impl_->flows.spawn(impl_->adopt_leftovers());
}

void DnsProofs::hold() {
  impl_->set_held(true);
}

void DnsProofs::release() {
  impl_->set_held(false);
}

bool DnsProofs::changing() const {
  return impl_->changes > 0;
}

}  // namespace latchkey::acme
