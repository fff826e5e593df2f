// Certificates whose staples are somebody's concern just now: loaded, configured, about to be used.

#include <algorithm>
#include <iterator>

#include "ondemand/staples_impl.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxSeen = 10'000;
// A CA's responder often knows a new certificate only after some seconds.
constexpr Millis kFirstPause = 2s, kLongestPause = 15s;

std::optional<ServerName> filed_under(const Certificate& certificate) {
  for (const std::string& text : certificate.names()) {
    if (auto name = name_of(text)) return name;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ServerName> name_of(const std::string& text) {
  constexpr ServerNameRules kRules{.underscore = true};
  for (const auto& name : {ServerName::parse(text, kRules), ServerName::parse_ip(text),
                           ServerName::parse_wildcard(text, kRules)}) {
    if (name) return *name;
  }
  return std::nullopt;
}

// --- loaded or stored

void Staples::Impl::see(SlotName name, const CertificatePtr& certificate) {
  if (!started || certificate->ocsp_responder().empty()) return;
  const StaplePtr& staple = certificate->staple();
  if (staple != nullptr && staple->good_at(wall())) return;
  if (seen.size() >= kMaxSeen) return;  // its next load brings it again
  seen.emplace_back(std::move(name), certificate);
  if (!looking_up) tasks.spawn(look_up_seen());
}

Task<> Staples::Impl::look_up_seen() {
  looking_up = true;
  while (!seen.empty()) {
    const auto batch = std::exchange(seen, {});
    for (const auto& [name, certificate] : batch) {
      Task<> looking = look_up(name, certificate);
      const Result<> looked = co_await std::move(looking).result();
      if (!looked) store_failed(looked.error(), true);
    }
  }
  looking_up = false;
  co_return Unit{};
}

// The store knows when it is due. Where it does not know of it at all, or only as one that was
// configured, it is told.
Task<> Staples::Impl::look_up(SlotName name, CertificatePtr certificate) {
  const std::string leaf = certificate->leaf_hash();
  if (configured.contains(leaf)) co_return Unit{};
  Task<std::optional<StapleRecord>> finding = parts.store.find_staple(leaf);
  const std::optional<StapleRecord> row = co_await std::move(finding);
  if (!row || row->look_at == RenewalPlan::kNever) {
    StapleRecord fresh{leaf, name.name.text(), static_cast<uint8_t>(name.slot)};
    fresh.look_at = wall();
    fresh.end = certificate->not_after();
    Task<> putting = parts.store.put_staple(std::move(fresh));
    co_await std::move(putting);
    schedule(0ms);
    co_return Unit{};
  }
  if (row->look_at <= wall()) schedule(0ms);
  // It came while the certificate was being loaded.
  if (row->staple != nullptr && row->staple->good_at(wall())) {
    parts.cache.restaple(certificate->with_staple(row->staple));
  }
  co_return Unit{};
}

// --- configured

void Staples::Impl::set_configured(std::vector<ConfiguredCertificate> certificates) {
  if (!options.enabled) return;
  std::unordered_map<std::string, Configured> fresh;
  std::vector<std::string> added;
  for (const ConfiguredCertificate& one : certificates) {
    const auto name = filed_under(*one.certificate);
    if (!name || one.certificate->ocsp_responder().empty()) continue;
    std::string leaf = one.certificate->leaf_hash();
    const auto known = configured.find(leaf);
    if (known == configured.end()) {
      const Configured entry{*name, one.certificate, nullptr, RenewalPlan::kNever};
      if (fresh.emplace(leaf, entry).second) added.push_back(std::move(leaf));
    } else {
      Configured entry = known->second;
      const bool mended = entry.certificate->chain_der() != one.certificate->chain_der();
      entry.certificate = one.certificate;
      if (fresh.emplace(leaf, std::move(entry)).second && mended) added.push_back(std::move(leaf));
    }
  }
  std::vector<std::string> removed;
  for (const auto& [leaf, one] : configured) {
    if (!fresh.contains(leaf)) removed.push_back(leaf);
  }
  configured = std::move(fresh);
  configured_by_time.clear();
  for (const auto& [leaf, one] : configured) configured_by_time.emplace(one.look_at, leaf);
  if (!added.empty() || !removed.empty()) {
    tasks.spawn(adopt(std::move(added), std::move(removed)));
  }
}

// What is stored of them is put in use. What is configured no more may still be in the store under
// a name: then its row is due; if not, it goes when that is found out.
Task<> Staples::Impl::adopt(std::vector<std::string> added, std::vector<std::string> removed) {
  for (const std::string& leaf : added) {
    Task<std::optional<StapleRecord>> finding = parts.store.find_staple(leaf);
    const auto row = co_await std::move(finding).result();
    const auto found = configured.find(leaf);
    if (found == configured.end()) continue;
    WallTime look_at = wall();
    const StaplePtr staple = row && *row ? (*row)->staple : nullptr;
    if (staple != nullptr && staple->good_at(wall())) {
      found->second.staple = staple;
      parts.cache.restaple(found->second.certificate->with_staple(staple));
      look_at =
          std::max(look_at, staple->this_update + (staple->next_update - staple->this_update) / 2);
    }
    plan_configured(leaf, look_at);
  }
  for (const std::string& leaf : removed) {
    Task<std::optional<StapleRecord>> finding = parts.store.find_staple(leaf);
    const auto row = co_await std::move(finding).result();
    if (!row || !*row || configured.contains(leaf)) continue;
    StapleRecord due = **row;
    due.look_at = wall();
    Task<> putting = parts.store.put_staple(std::move(due));
    const Result<> put = co_await std::move(putting).result();
    if (!put) store_failed(put.error(), true);
  }
  schedule(0ms);
  co_return Unit{};
}

void Staples::Impl::plan_configured(const std::string& leaf, WallTime look_at) {
  const auto found = configured.find(leaf);
  if (found == configured.end()) return;
  configured_by_time.erase({found->second.look_at, leaf});
  found->second.look_at = look_at;
  configured_by_time.emplace(look_at, leaf);
  if (look_at != RenewalPlan::kNever) {
    schedule(std::max<Millis>(0ms, std::min<std::chrono::seconds>(look_at - wall(), 24h)));
  }
}

// --- about to be used

Task<CertificatePtr> Staples::Impl::with_staple(SlotName name, CertificatePtr certificate,
                                                Millis patience) {
  const std::string& responder = certificate->ocsp_responder();
  if (!started || responder.empty()) co_return certificate;
  const TimePoint end = parts.clock.now() + patience;
  const Subject subject{name.name, name.slot, certificate, certificate->leaf_hash()};
  for (Millis pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    const Millis left = end - parts.clock.now();
    if (left <= 0ms || !started) co_return certificate;
    Task<StaplePtr> joining = join(subject, left);
    const Result<StaplePtr> staple = co_await std::move(joining).result();
    if (staple) co_return certificate->with_staple(*staple);
    const bool over = staple.error().code == ErrorCode::kDenied || responders.is_down(responder);
    if (over || parts.clock.now() + pause >= end) co_return certificate;
    co_await sleep(parts.clock, pause);
  }
}

// The outcome of the job on that leaf, which begins where there is none.
Task<StaplePtr> Staples::Impl::join(Subject subject, Millis limit) {
  const std::string leaf = subject.leaf;
  const auto [job, is_new] = jobs.try_emplace(leaf);
  Waiter self;
  job->second.waiters.push_back(self);
  self.alarm = parts.clock.after(limit, [&self] {
    self.unlink();
    Error late{ErrorCode::kTimeout, "no OCSP staple in time"};
    self.turn.resolve(std::move(late));
  });
  if (is_new) tasks.spawn(look_now(std::move(subject)));
  Result<StaplePtr> outcome = co_await self.turn;
  co_return outcome;
}

}  // namespace latchkey
