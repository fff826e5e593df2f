#include "edge/control_steering.h"

#include <algorithm>

#include "base/json.h"
#include "base/pending.h"
#include "edge/steering_json.h"

namespace latchkey::edge {
namespace {

Error too_many() {
  return {ErrorCode::kThrottled,
          "too many wait for their certificates: send names that may wait to POST /names"};
}

Error list_is_full() {
  return {ErrorCode::kThrottled,
          "the list of names to be fetched is full (100000): send the rest later"};
}

// `wildcard`: what still covers the name; may be null.
std::string says_after_forgetting(const Decision& decision, bool refused,
                                  const CertificatePtr& wildcard) {
  if (refused) {
    return "All about it is deleted, and it is refused from now on: " + decision.reason + ".";
  }
  if (wildcard != nullptr) {
    return "All of its own is deleted. A wildcard certificate that covers it is still served, "
           "until " +
           iso_time(wildcard->not_after()) + ".";
  }
  if (decision.verdict == Verdict::kAllow) {
    return "All about it is deleted. It is still allowed (" + decision.reason +
           "): the next visitor gets a new certificate.";
  }
  return "All about it is deleted. The next visitor's handshake asks the endpoint again.";
}

// An operator who waits for a flight of the gate counts as a visitor, until he goes.
class Visit {
 public:
  Visit(Gate<CertificatePtr>& gate, ServerName name, size_t& visits)
      : gate_(gate), name_(std::move(name)), visits_(visits) {
    ++visits_;
    gate_.join(
        name_, Lane::kHandshake,
        [to = std::weak_ptr(answer_)](const auto& outcome) {
          if (auto waiting = to.lock()) waiting->resolve(Result<CertificatePtr>(outcome));
        },
        this);
  }
  ~Visit() {
    --visits_;
    if (!done_) gate_.visitor_left(name_, this);
  }
  Visit(const Visit&) = delete;

  Pending<CertificatePtr>& answer() { return *answer_; }
  void done() { done_ = true; }

 private:
  Gate<CertificatePtr>& gate_;
  const ServerName name_;
  size_t& visits_;
  const std::shared_ptr<Pending<CertificatePtr>> answer_ =
      std::make_shared<Pending<CertificatePtr>>();
  bool done_ = false;
};

}  // namespace

bool ControlSteering::names_it(const CertificatePtr& certificate, const ServerName& name) {
  if (certificate == nullptr) return false;
  const auto& names = certificate->names();
  return std::find(names.begin(), names.end(), name.text()) != names.end();
}

ServerNameRules ControlSteering::name_rules() const {
  return {.underscore = parts_.config.on_demand.underscore};
}

AcmeSource* ControlSteering::find_source(const std::string& issuer) {
  for (const auto& source : parts_.plane.sources()) {
    if (source->name() == issuer) return source.get();
  }
  return nullptr;
}

CertificateSource* ControlSteering::find_issuer(const std::string& issuer) {
  for (CertificateSource* const source : parts_.plane.issuers()) {
    if (source->name() == issuer) return source;
  }
  return nullptr;
}

void ControlSteering::tell(Event event) {
  parts_.log.info(event.kind, event.text, {{"name", event.name}, {"issuer", event.issuer}});
  parts_.plane.events().tell(std::move(event));
}

std::optional<Error> ControlSteering::refused_address(const ServerName& name) {
  if (!name.is_ip()) return {};
  const std::vector<ServerName> managed = managed_names(parts_.config);
  const bool listed = std::find(managed.begin(), managed.end(), name) != managed.end();
  if (listed) return {};
  return Error{ErrorCode::kDenied,
               "addresses get certificates only where the configuration lists "
               "them: " +
                   name.text() + " is not in `managed`"};
}

// An order that began goes on when nobody waits for it; the places of those who wait are counted.
class ControlSteering::Place {
 public:
  explicit Place(size_t& taken) : taken_(taken) { ++taken_; }
  ~Place() { --taken_; }
  Place(const Place&) = delete;

 private:
  size_t& taken_;
};

std::string ControlSteering::obtained(const ServerName& name,
                                      const CertificatePtr& certificate) const {
  return JsonObject()
      .text("name", name.text())
      .text("says", "It is served, by a certificate that is valid until " +
                        iso_time(certificate->not_after()) + ".")
      .raw("certificate", certificate_json(certificate, true, true, parts_.loop.clock().wall_now()))
      .str();
}

Task<std::string> ControlSteering::obtain(ServerName name) {
  ControlPlane& plane = parts_.plane;
  if (auto refused = refused_address(name)) co_return *std::move(refused);
  // The operator has mended something: what is remembered is out of date.
  plane.policy().forget_denial(name);
  Task<> forgiving = plane.coordinator().forget_failures(name);
  co_await std::move(forgiving);
  Task<NameRecord> finding = plane.store().find_name(name);
  Result<NameRecord> record = co_await std::move(finding).result();
  const WallTime now = parts_.loop.clock().wall_now();
  if (record && record->info && record->info->name == name && record->info->end <= now) {
    // A visitor would be given the expired one if no other came soon; the operator waits.
    Task<std::string> renewing = renew(name);
    co_return co_await std::move(renewing).result();
  }
  if (visits_ >= kMaxVisits) co_return too_many();
  Visit visit(plane.certificates(), name, visits_);
  Pending<CertificatePtr>& waiting = visit.answer();
  Result<CertificatePtr> outcome = co_await waiting;
  visit.done();
  if (!outcome) co_return std::move(outcome).error();
  co_return obtained(name, *outcome);
}

Task<std::string> ControlSteering::renew(ServerName name) {
  if (visits_ >= kMaxVisits) co_return too_many();
  const Place place(visits_);
  parts_.plane.policy().forget_denial(name);
  Task<CertificatePtr> renewing = parts_.plane.renewals().renew_now(name);
  const CertificatePtr certificate = co_await std::move(renewing);
  // What is wrong with one of its keys may be with the other.
  Task<NameRecord> finding = parts_.plane.store().find_name(name, Slot::kRsa);
  const NameRecord twin = co_await std::move(finding);
  if (twin.info && twin.info->slot == Slot::kRsa && twin.info->name == name) {
    Task<CertificatePtr> renewing_twin = parts_.plane.renewals().renew_now(name, Slot::kRsa);
    Result<CertificatePtr> renewed = co_await std::move(renewing_twin).result();
    if (!renewed) {
      co_return std::move(renewed).error().in(name.text() +
                                              " is renewed, but not its RSA certificate");
    }
  }
  co_return obtained(name, certificate);
}

Task<std::string> ControlSteering::evict(ServerName name) {
  CertificateCache& cache = parts_.plane.cache();
  const bool was_there = cache.look_up(name, WallTime::min()).exact;
  cache.erase(name);
  const bool covered = cache.find(name) != nullptr;
  co_return JsonObject()
      .text("name", name.text())
      .boolean("evicted", was_there)
      .text("says", std::string(was_there ? "Its certificate is out of memory."
                                          : "Nothing of its own was in memory.") +
                        (covered ? " A wildcard certificate in memory still covers it."
                                 : " The next visit reads the store."))
      .str();
}

Task<std::string> ControlSteering::retry(ServerName name) {
  ControlPlane& plane = parts_.plane;
  if (auto refused = refused_address(name)) co_return *std::move(refused);
  plane.policy().forget_denial(name);
  Task<NameRecord> finding = plane.store().find_name(name);
  const NameRecord record = co_await std::move(finding);
  const bool failed = record.failure || plane.ledger().find(name) != nullptr;
  Task<> forgiving = plane.coordinator().forget_failures(name);
  co_await std::move(forgiving);
  const Decision decision = plane.policy().decide_without_asking(name);
  if (decision.verdict == Verdict::kDeny) {
    co_return Error{ErrorCode::kDenied, name.text() + ": " + decision.reason};
  }

  const WallTime now = parts_.loop.clock().wall_now();
  std::string says;
  if (record.info && record.info->name == name && record.info->end > now) {
    // There is a certificate to serve: what can have failed is its renewal.
    const bool due = record.info->plan.renew_at <= now;
    says = due ? "Its renewal is tried at once." : "Its certificate is not due yet.";
    if (due) {
      RenewalPlan plan = record.info->plan;
      plan.look_at = now;
      const int64_t id = record.info->id;
      Task<> planning = plane.store().put_plan(id, plan);
      co_await std::move(planning);
      plane.renewals().look_soon();
    }
  } else if (plane.prefetcher().add(name, Prefetcher::From::kOperator)) {
    says = "Its certificate is obtained in the background, as the budget allows.";
  } else {
    co_return list_is_full();
  }
  co_return JsonObject()
      .text("name", name.text())
      .boolean("failure", failed)
      .text("says", says)
      .str();
}

Steering::Prefetched ControlSteering::prefetch(const std::vector<ServerName>& names) {
  Prefetched out;
  for (const ServerName& name : names) {
    if (!parts_.plane.prefetcher().add(name, Prefetcher::From::kOperator)) {
      out.complaint = list_is_full().message;
      break;
    }
    ++out.taken;
  }
  return out;
}

Task<std::string> ControlSteering::forget(ServerName name) {
  ControlPlane& plane = parts_.plane;
  const bool in_flight = plane.call_off(name);
  Task<NameRecord> finding = plane.store().find_name(name);
  Result<NameRecord> record = co_await std::move(finding).result();
  const bool certified =
      (record && names_it(record->certificate, name)) || names_it(plane.cache().find(name), name);
  const bool failed = plane.ledger().find(name) != nullptr;
  Task<> forgetting = plane.coordinator().forget(name);
  co_await std::move(forgetting);
  // A visit that came meanwhile has read what was there before.
  plane.call_off(name);
  plane.coordinator().forget_in_memory(name);
  Task<NameRecord> looking = plane.store().find_name(name);
  Result<NameRecord> left = co_await std::move(looking).result();
  CertificatePtr wildcard = left ? left->certificate : nullptr;
  const WallTime now = parts_.loop.clock().wall_now();
  if (wildcard != nullptr && (names_it(wildcard, name) || wildcard->expired_at(now))) {
    wildcard = nullptr;
  }
  const Decision decision = plane.policy().decide_without_asking(name);
  const bool refused = decision.verdict == Verdict::kDeny &&
                       (wildcard == nullptr || parts_.config.on_demand.refuse_denied);
  if (certified || in_flight || (record && (record->verdict || record->failure))) {
    Event event;
    event.kind = event_kind::kForgotten;
    event.name = name.text();
    event.text = "the operator has deleted all about the name";
    tell(std::move(event));
  }
  const char* allowed = decision.verdict == Verdict::kAllow  ? "true"
                        : decision.verdict == Verdict::kDeny ? "false"
                                                             : "null";
  co_return JsonObject()
      .text("name", name.text())
      .number("certificates", certified ? 1 : 0)
      .boolean("verdict", record && record->verdict.has_value())
      .boolean("failure", failed || (record && record->failure.has_value()))
      .boolean("in_flight", in_flight)
      .raw("still_allowed", allowed)
      .text("says", says_after_forgetting(decision, refused, wildcard))
      .str();
}

Task<std::string> ControlSteering::reload() {
  const auto answer = std::make_shared<Pending<Reloaded>>();
  parts_.reload([to = std::weak_ptr(answer)](const Result<Reloaded>& outcome) {
    if (auto waiting = to.lock()) waiting->resolve(Result<Reloaded>(outcome));
  });
  Pending<Reloaded>& waiting = *answer;
  Result<Reloaded> outcome = co_await waiting;
  if (!outcome) co_return std::move(outcome).error();
  co_return JsonObject()
      .raw("took_effect", json_list(outcome->took_effect))
      .raw("needs_restart", json_list(outcome->needs_restart))
      .number("allowlist_entries", static_cast<int64_t>(outcome->allowlist_entries))
      .str();
}

}  // namespace latchkey::edge
