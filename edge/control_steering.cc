#include "edge/control_steering.h"

#include <unistd.h>

#include <algorithm>

#include "base/json.h"
#include "base/pending.h"
#include "edge/steering_json.h"
#include "policy/name_guard.h"

namespace latchkey::edge {
namespace {

// Of the admin server's 64 connections some are left to those who look.
constexpr size_t kMaxVisits = 48;

int64_t number(const Counter& counter) {
  return static_cast<int64_t>(counter.value());
}

std::string handshakes_json(const HandshakeCounts& counts) {
  return JsonObject()
      .number("accepted", number(counts.accepted))
      .number("served", number(counts.served))
      .number("challenges", number(counts.challenges))
      .number("refused_name", number(counts.refused_name))
      .number("refused_temporary", number(counts.refused_temporary))
      .number("parked", number(counts.parked))
      .number("park_timeouts", number(counts.park_timeouts))
      .number("park_overflows", number(counts.park_overflows))
      .number("overflows_total", number(counts.overflows_total))
      .number("overflows_name", number(counts.overflows_name))
      .number("overflows_prefix", number(counts.overflows_prefix))
      .number("parking_pages", number(counts.parking_pages))
      .number("default_certificate", number(counts.default_certificate))
      .number("failed", number(counts.failed))
      .str();
}

std::string issuance_json(const Coordinator::Counts& counts) {
  return JsonObject()
      .number("orders", number(counts.orders))
      .number("obtained", number(counts.obtained))
      .number("failed", number(counts.failed))
      .number("from_store", number(counts.from_store))
      .number("denied", number(counts.denied))
      .number("unknown", number(counts.unknown))
      .number("too_early", number(counts.too_early))
      .number("refused_again", number(counts.refused_again))
      .number("new_names_over_limit", number(counts.new_names_over_limit))
      .str();
}

std::string ask_json(const AskEndpoint* ask) {
  if (ask == nullptr) return "null";
  const AskEndpoint::Counts& counts = ask->counts();
  return JsonObject()
      .text("health", ask->out_of_order() ? "failing" : "ok")
      .text("url", ask->shown_url())
      .number("calls", number(counts.calls))
      .number("allowed", number(counts.allowed))
      .number("denied", number(counts.denied))
      .number("unknown", number(counts.unknown))
      .number("not_asked", number(counts.not_asked))
      .number("bad_answers", number(counts.bad_answers))
      .str();
}

const char* allowlist_word(const Policy& policy, const ServerName& name) {
  const Allowlist* list = policy.allowlist();
  switch (list == nullptr ? Allowlist::Match::kNone : list->find(name)) {
    case Allowlist::Match::kExact:
      return "\"exact\"";
    case Allowlist::Match::kSuffix:
      return "\"suffix\"";
    case Allowlist::Match::kNone:
      break;
  }
  return "null";
}

// What one story is told from.
struct Known {
  CertificatePtr in_memory, stored;
  Decision decision;
  std::optional<Error> early;  // the ledger's refusal
  const Want* in_flight = nullptr;
  bool refuse_denied = false;
};

// What the next visit will meet, in a sentence.
std::string says(const Known& known, WallTime now) {
  const CertificatePtr& certificate = known.in_memory != nullptr ? known.in_memory : known.stored;
  const bool denied = known.decision.verdict == Verdict::kDeny;
  if (certificate != nullptr && !certificate->expired_at(now) && !(denied && known.refuse_denied)) {
    std::string text =
        known.in_memory != nullptr ? "It is served from memory" : "It is served from the store";
    text += ", by a certificate that is valid until " + iso_time(certificate->not_after());
    if (denied) text += "; it will not be renewed: " + known.decision.reason;
    return text + ".";
  }
  if (known.in_flight != nullptr) {
    return "Its certificate is being obtained (" + std::string(to_string(known.in_flight->lane())) +
           "); visitors wait for it.";
  }
  if (denied) return "It is refused: " + known.decision.reason + ".";
  if (known.early) return "It is refused for now: " + known.early->message + ".";
  if (known.decision.verdict == Verdict::kAllow) {
    return "The next visitor's handshake gets a certificate for it (" + known.decision.reason +
           ").";
  }
  return "The next visitor's handshake asks the policy: " + known.decision.reason + ".";
}

// Not by a wildcard.
bool names_it(const CertificatePtr& certificate, const ServerName& name) {
  if (certificate == nullptr) return false;
  const auto& names = certificate->names();
  return std::find(names.begin(), names.end(), name.text()) != names.end();
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

ServerNameRules ControlSteering::name_rules() const {
  return {.underscore = parts_.config.on_demand.underscore};
}

std::string ControlSteering::status() {
  const Process process = parts_.process();
  const WallTime now = parts_.loop.clock().wall_now();
  ControlPlane& plane = parts_.plane;
  JsonObject out;
  out.text("version", LATCHKEY_VERSION).number("pid", ::getpid());
  out.text("state", process.draining ? "draining" : "ready");
  out.text("started", iso_time(process.started));
  out.number("uptime_seconds", (now - process.started).count());
  out.raw("config", JsonObject()
                        .text("file", process.config_file)
                        .text("loaded", iso_time(process.loaded))
                        .raw("needs_restart", json_list(process.needs_restart))
                        .str());
  out.number("workers", static_cast<int64_t>(process.workers));
  out.number("connections", static_cast<int64_t>(parts_.connections.load()));
  out.number("parked", static_cast<int64_t>(parts_.parking.parked()));
  out.raw("handshakes", handshakes_json(parts_.counts));
  out.raw("issuance", issuance_json(plane.coordinator().counts()));
  out.raw("cache", JsonObject()
                       .number("certificates", static_cast<int64_t>(plane.cache().size()))
                       .number("max_certificates", parts_.config.cache_max_certificates)
                       .number("bytes", static_cast<int64_t>(plane.cache().bytes()))
                       .number("max_bytes", static_cast<int64_t>(parts_.config.cache_max_bytes))
                       .str());
  const Error* trouble = plane.coordinator().store_trouble();
  out.raw("store", JsonObject()
                       .text("health", trouble == nullptr ? "ok" : "failing")
                       .raw("error", trouble == nullptr ? "null" : json_quote(trouble->message))
                       .str());
  const Allowlist* list = plane.policy().allowlist();
  out.raw("policy",
          JsonObject()
              .number("allowlist_entries", list == nullptr ? 0 : static_cast<int64_t>(list->size()))
              .raw("ask", ask_json(plane.policy().ask()))
              .str());
  out.raw("names", JsonObject()
                       .number("in_flight", static_cast<int64_t>(plane.certificates().flights()))
                       .number("failing", static_cast<int64_t>(plane.coordinator().ledger().size()))
                       .number("prefetch", static_cast<int64_t>(plane.prefetcher().waiting()))
                       .str());
  return out.str();
}

std::string ControlSteering::budget() {
  const TimePoint now = parts_.loop.clock().now();
  const Budget& budget = parts_.plane.budget();
  const std::vector<Budget::View> views = budget.view(now);
  std::string issuers;
  for (size_t i = 0; i < budget.issuers().size(); ++i) {
    const std::string& name = budget.issuers()[i].name;
    issuers += (i == 0 ? "" : ", ") +
               JsonObject()
                   .text("name", name)
                   .text("health", parts_.plane.desk().failing(i) ? "failing" : "ok")
                   .number("held_for_seconds", whole_seconds(budget.held_until(i, now) - now))
                   .raw("limits", buckets_json(views, name))
                   .str();
  }
  return JsonObject()
      .raw("issuers", "[" + issuers + "]")
      .raw("own", buckets_json(views, ""))
      .raw("queue", queue_json(parts_.plane.queue().view()))
      .number("prefetch", static_cast<int64_t>(parts_.plane.prefetcher().waiting()))
      .str();
}

Task<std::string> ControlSteering::explain(ServerName name) {
  ControlPlane& plane = parts_.plane;
  Task<NameRecord> finding = plane.store().find_name(name);
  const NameRecord record = co_await std::move(finding);
  const WallTime now = parts_.loop.clock().wall_now();
  Known known;
  known.in_memory = plane.cache().find(name);
  known.stored = record.certificate;
  known.decision = plane.policy().decide_without_asking(name);
  known.in_flight = plane.certificates().find(name);
  known.refuse_denied = parts_.config.on_demand.refuse_denied;
  const FailureRecord* failure = plane.coordinator().ledger().find(name);
  if (failure == nullptr && record.failure) failure = &*record.failure;
  if (failure != nullptr) known.early = plane.coordinator().ledger().refusal(*failure);

  const VerdictRecord* yes = plane.policy().remembered(name);
  if (yes == nullptr && record.verdict) yes = &*record.verdict;
  std::optional<WallTime> asked;
  if (yes != nullptr && known.decision.verdict != Verdict::kDeny && known.decision.from_ask()) {
    asked = yes->asked;
    if (known.decision.grant == nullptr) {
      known.decision.grant = std::make_shared<const Grant>(yes->grant);
    }
  }
  const CertificatePtr& shown = known.in_memory != nullptr ? known.in_memory : known.stored;
  JsonObject out;
  out.text("name", name.text()).text("says", says(known, now));
  out.raw("verdict", decision_json(known.decision, asked, now));
  out.raw("allowlist", allowlist_word(plane.policy(), name));
  out.raw("certificate",
          certificate_json(shown, known.in_memory != nullptr, known.stored != nullptr));
  out.raw("failure", failure_json(failure, now));
  out.raw("in_flight", known.in_flight == nullptr
                           ? "null"
                           : JsonObject().text("lane", to_string(known.in_flight->lane())).str());
  const std::string domain = registered_domain(name);
  out.raw("budget", buckets_json(plane.budget().view_of(name, domain, parts_.loop.clock().now())));
  co_return out.str();
}

Task<std::string> ControlSteering::ask(ServerName name) {
  Task<NameRecord> finding = parts_.plane.store().find_name(name);
  Result<NameRecord> record = co_await std::move(finding).result();
  std::optional<VerdictRecord> row;
  if (record) row = std::move(record->verdict);
  Task<Decision> deciding =
      parts_.plane.policy().decide_afresh(name, AskReason::kIssue, std::move(row));
  const Decision decision = co_await std::move(deciding);
  std::string json = decision_json(decision, {}, parts_.loop.clock().wall_now());
  json.replace(0, 1, "{\"name\": " + json_quote(name.text()) + ", ");
  co_return json;
}

Task<std::string> ControlSteering::obtain(ServerName name) {
  ControlPlane& plane = parts_.plane;
  // The operator has mended something: what is remembered is out of date.
  plane.policy().forget_denial(name);
  Task<> forgiving = plane.coordinator().forget_failures(name);
  co_await std::move(forgiving);
  if (visits_ >= kMaxVisits) {
    co_return Error{
        ErrorCode::kThrottled,
        "too many wait for their certificates: send names that may wait to POST /names"};
  }
  Visit visit(plane.certificates(), name, visits_);
  Pending<CertificatePtr>& waiting = visit.answer();
  Result<CertificatePtr> outcome = co_await waiting;
  visit.done();
  if (!outcome) co_return std::move(outcome).error();
  co_return JsonObject()
      .text("name", name.text())
      .text("says", "It is served, by a certificate that is valid until " +
                        iso_time((*outcome)->not_after()) + ".")
      .raw("certificate", certificate_json(*outcome, true, true))
      .str();
}

Steering::Prefetched ControlSteering::prefetch(const std::vector<ServerName>& names) {
  Prefetched out;
  for (const ServerName& name : names) {
    if (!parts_.plane.prefetcher().add(name, Prefetcher::From::kOperator)) {
      out.complaint = "the list of names to be fetched is full (100000): send the rest later";
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
  const bool failed = plane.coordinator().ledger().find(name) != nullptr;
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
