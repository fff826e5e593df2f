// What the operator sees of the running process.
#include <unistd.h>

#include <algorithm>

#include "base/json.h"
#include "base/within.h"
#include "edge/control_steering.h"
#include "edge/steering_json.h"
#include "policy/name_guard.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxCounted = 1000;  // due certificates
constexpr size_t kMaxPending = 100;   // orders: each one's key is unsealed
constexpr size_t kShownEvents = 10;   // of a name

// What is shown in any case does not wait for a disk that hangs.
template <typename T>
Task<T> soon(Clock& clock, Task<T> work) {
  constexpr Millis kPatience{5000};
  T value = co_await within(clock, kPatience, std::move(work));
  co_return value;
}

int64_t number(const Counter& counter) {
  return static_cast<int64_t>(counter.value());
}

std::string handshakes_json(const HandshakeCounts& counts) {
  return JsonObject()
      .number("accepted", number(counts.accepted))
      .number("served", number(counts.served))
      .number("challenges", number(counts.challenges))
      .number("refused_name", number(counts.refused_name))
      .number("refused_version", number(counts.refused_version))
      .number("refused_temporary", number(counts.refused_temporary))
      .number("parked", number(counts.parked))
      .number("park_timeouts", number(counts.park_timeouts))
      .number("park_overflows", number(counts.park_overflows))
      .number("overflows_total", number(counts.overflows_total))
      .number("overflows_name", number(counts.overflows_name))
      .number("overflows_prefix", number(counts.overflows_prefix))
      .number("parking_pages", number(counts.parking_pages))
      .number("default_certificate", number(counts.default_certificate))
      .number("address_certificate", number(counts.address_certificate))
      .number("served_expired", number(counts.served_expired))
      .number("verified_clients", number(counts.verified_clients))
      .number("refused_clients", number(counts.refused_clients))
      .number("hello_timeouts", number(counts.hello_timeouts))
      .number("failed", number(counts.failed))
      .str();
}

std::string tls_json(const CertificateCompression& compression) {
  const CertificateCompression::Counts& counts = compression.counts();
  return JsonObject()
      .number("compressed", number(counts.messages))
      .number("compressed_quickly", number(counts.quick))
      .number("compressed_well", number(counts.best))
      .number("bytes_before", number(counts.bytes))
      .number("bytes_sent", number(counts.sent))
      .number("bytes_kept", static_cast<int64_t>(compression.kept()))
      .str();
}

std::string limits_json(const ProtectionCounts& counts) {
  const auto frames = [&](IdleFrame kind) { return static_cast<int64_t>(counts.value(kind)); };
  return JsonObject()
      .number("http2_resets", frames(IdleFrame::kReset))
      .number("http2_made_resets", frames(IdleFrame::kMadeReset))
      .number("http2_settings", frames(IdleFrame::kSettings))
      .number("http2_pings", frames(IdleFrame::kPing))
      .number("http2_empty_frames", frames(IdleFrame::kEmpty))
      .number("http2_tiny_windows", frames(IdleFrame::kTinyWindow))
      .number("http2_priorities", frames(IdleFrame::kPriority))
      .number("http2_other_frames", frames(IdleFrame::kOther))
      .number("http2_calmed", number(counts.calmed))
      .number("http2_broken", number(counts.broken))
      .number("malformed_heads", number(counts.malformed_heads))
      .number("large_heads", number(counts.large_heads))
      .number("slow_heads", number(counts.slow_heads))
      .number("slow_bodies", number(counts.slow_bodies))
      .number("slow_readers", number(counts.slow_readers))
      .str();
}

std::string requests_json(const FrontCounts& counts) {
  return JsonObject()
      .number("served", number(counts.requests))
      .number("rate_limited", number(counts.rate_limited))
      .number("compressed", number(counts.compressed))
      .number("compression_busy", number(counts.compression_busy))
      .number("access_log_dropped", number(counts.access_log_dropped))
      .str();
}

std::string issuance_json(const Issuances::Counts& orders, const Coordinator::Counts& counts) {
  return JsonObject()
      .number("orders", number(orders.orders))
      .number("obtained", number(orders.obtained))
      .number("renewed", number(orders.renewed))
      .number("failed", number(orders.failed))
      .number("from_store", number(counts.from_store))
      .number("denied", number(counts.denied))
      .number("unknown", number(counts.unknown))
      .number("too_early", number(counts.too_early))
      .number("refused_again", number(counts.refused_again))
      .number("new_names_over_limit", number(counts.new_names_over_limit))
      .number("expired_served", number(counts.expired_served))
      .number("self_signed_served", number(counts.self_signed_served))
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

std::string renewals_json(const Renewals& renewals, const Result<DueCertificates>& due) {
  const Renewals::Counts& counts = renewals.counts();
  JsonObject out;
  out.raw("due", due ? std::to_string(due->due.size()) : "null");
  out.raw("next_due", due ? time_json(due->next) : "null");
  out.number("looking", static_cast<int64_t>(renewals.looking()));
  out.number("looked", number(counts.looked)).number("renewed", number(counts.renewed));
  out.number("failed", number(counts.failed)).number("denied", number(counts.denied));
  out.number("unseen", number(counts.unseen));
  out.number("polls", number(counts.polls)).number("poll_failures", number(counts.poll_failures));
  return out.str();
}

std::string webhook_json(const Webhook* webhook) {
  if (webhook == nullptr) return "null";
  const Webhook::Counts& counts = webhook->counts();
  return JsonObject()
      .number("queued", static_cast<int64_t>(webhook->queued()))
      .number("delivered", number(counts.delivered))
      .number("retried", number(counts.retried))
      .number("given_up", number(counts.given_up))
      .number("dropped", number(counts.dropped))
      .str();
}

std::string event_counts_json(const EventLog::Counts& counts, const Webhook* webhook) {
  const int64_t told = number(counts.told), written = number(counts.written);
  const int64_t dropped = number(counts.dropped);
  return JsonObject()
      .number("told", told)
      .number("waiting", std::max<int64_t>(0, told - written - dropped))
      .number("dropped", dropped)
      .raw("webhook", webhook_json(webhook))
      .str();
}

// In short; GET /authorities has the rest.
std::string authorities_json(ControlPlane& plane) {
  std::string out;
  for (const auto& source : plane.authorities()) {
    JsonObject one;
    one.text("issuer", source->name());
    one.number("signed", static_cast<int64_t>(source->signed_count()));
    for (const acme::Authority::SignerStatus& signer : source->authority().signers()) {
      if (!signer.active) continue;
      one.raw(signer.root ? "root_until" : "intermediate_until", time_json(signer.not_after));
    }
    out += (out.empty() ? "" : ",") + one.str();
  }
  return "[" + out + "]";
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

std::string staples_json(bool enabled, const Staples::Counts& counts) {
  return JsonObject()
      .boolean("enabled", enabled)
      .number("fetched", static_cast<int64_t>(counts.fetched.value()))
      .number("failed", static_cast<int64_t>(counts.failed.value()))
      .number("revoked", static_cast<int64_t>(counts.revoked.value()))
      .number("dropped", static_cast<int64_t>(counts.dropped.value()))
      .str();
}

}  // namespace

Task<std::string> ControlSteering::status() {
  const WallTime asked = parts_.loop.clock().wall_now();
  Clock& clock = parts_.loop.clock();
  Task<DueCertificates> looking = soon(clock, parts_.plane.store().find_due(asked, kMaxCounted));
  const Result<DueCertificates> due = co_await std::move(looking).result();
  Task<std::vector<PendingOrder>> loading =
      soon(clock, parts_.plane.store().load_orders(kMaxPending));
  const Result<std::vector<PendingOrder>> orders = co_await std::move(loading).result();
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
  out.raw("tls", tls_json(parts_.compression));
  out.raw("limits", limits_json(parts_.protections));
  if (parts_.front != nullptr) out.raw("requests", requests_json(*parts_.front));
  out.raw("issuance", issuance_json(plane.issuances().counts(), plane.coordinator().counts()));
  out.raw("cache", JsonObject()
                       .number("certificates", static_cast<int64_t>(plane.cache().size()))
                       .number("max_certificates", parts_.config.cache_max_certificates)
                       .number("bytes", static_cast<int64_t>(plane.cache().bytes()))
                       .number("max_bytes", static_cast<int64_t>(parts_.config.cache_max_bytes))
                       .str());
  const Error* trouble = plane.issuances().store_trouble();
  if (trouble == nullptr && !due) trouble = &due.error();
  if (!plane.authorities().empty()) out.raw("authorities", authorities_json(plane));
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
                       .number("failing", static_cast<int64_t>(plane.ledger().size()))
                       .number("prefetch", static_cast<int64_t>(plane.prefetcher().waiting()))
                       .str());
  out.raw("renewals", renewals_json(plane.renewals(), due));
  out.raw("ocsp", staples_json(parts_.config.ocsp, plane.staples().counts()));
  out.number("configured_certificates", static_cast<int64_t>(plane.configured().size()));
  out.raw("orders",
          JsonObject()
              .number("running", static_cast<int64_t>(plane.issuances().running()))
              .raw("pending", orders ? std::to_string(orders->size()) : std::string("null"))
              .str());
  out.raw("events", event_counts_json(plane.events().counts(), plane.webhook()));
  co_return out.str();
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

Task<std::vector<Event>> ControlSteering::recent_events(std::string name, size_t limit) {
  Task<> flushing = parts_.plane.events().flush();
  const Result<> flushed =
      co_await std::move(flushing).result();  // what is not there yet is missed
  Task<std::vector<Event>> finding = parts_.plane.store().find_events(std::move(name), limit);
  std::vector<Event> events = co_await std::move(finding);
  co_return events;
}

// Says what is in memory also while the store fails.
Task<std::string> ControlSteering::explain(ServerName name) {
  ControlPlane& plane = parts_.plane;
  Clock& clock = parts_.loop.clock();
  Task<NameRecord> finding = soon(clock, plane.store().find_name(name));
  const Result<NameRecord> found = co_await std::move(finding).result();
  Task<std::vector<Event>> recalling = soon(clock, recent_events(name.text(), kShownEvents));
  const Result<std::vector<Event>> events = co_await std::move(recalling).result();
  const NameRecord none;
  const NameRecord& record = found ? *found : none;
  const WallTime now = parts_.loop.clock().wall_now();
  Known known;
  known.in_memory = plane.cache().find(name);
  known.stored = record.certificate;
  known.decision = plane.policy().decide_without_asking(name);
  known.in_flight = plane.certificates().find(name);
  known.refuse_denied = parts_.config.on_demand.refuse_denied;
  const FailureRecord* failure = plane.ledger().find(name);
  if (failure == nullptr && record.failure) failure = &*record.failure;
  if (failure != nullptr) known.early = plane.ledger().refusal(*failure);

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
  out.raw("store_error", found ? "null" : json_quote(found.error().message));
  out.raw("verdict", decision_json(known.decision, asked, now));
  out.raw("allowlist", allowlist_word(plane.policy(), name));
  out.raw("certificate",
          certificate_json(shown, known.in_memory != nullptr, known.stored != nullptr, now));
  out.raw("renewal", renewal_json(record.info, now));
  out.raw("failure", failure_json(failure, now));
  out.raw("in_flight", known.in_flight == nullptr
                           ? "null"
                           : JsonObject().text("lane", to_string(known.in_flight->lane())).str());
  out.raw("order", order_json(record.order));
  const std::string domain = registered_domain(name);
  out.raw("budget", buckets_json(plane.budget().view_of(name, domain, parts_.loop.clock().now())));
  out.raw("events", events ? events_json(*events) : "[]");
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

Task<std::string> ControlSteering::list_certificates(CertificateQuery query) {
  const size_t limit = query.limit;
  Task<std::vector<CertificateInfo>> listing =
      parts_.plane.store().list_certificates(std::move(query));
  const std::vector<CertificateInfo> found = co_await std::move(listing);
  const WallTime now = parts_.loop.clock().wall_now();
  std::string list;
  for (const CertificateInfo& info : found)
    list += (list.empty() ? "" : ",") + info_json(info, now);
  JsonObject out;
  out.raw("certificates", "[" + list + "]");
  out.raw("next", found.size() < limit ? "null" : json_quote(found.back().name.text()));
  co_return out.str();
}

Task<std::string> ControlSteering::show_certificate(ServerName name) {
  Task<NameRecord> finding = parts_.plane.store().find_name(name);
  const NameRecord record = co_await std::move(finding);
  const CertificatePtr in_memory = parts_.plane.cache().find(name);
  const CertificatePtr& shown = record.certificate != nullptr ? record.certificate : in_memory;
  if (shown == nullptr) {
    co_return Error{ErrorCode::kNotFound, "there is no certificate for " + name.text()};
  }
  const auto is_in_memory = [&](const Certificate& certificate, Slot slot) {
    const CertificatePtr kept = parts_.plane.cache().find(name, slot);
    return kept != nullptr && kept->same_leaf(certificate);
  };
  Task<CertificatePtr> finding_twin = parts_.plane.store().find_certificate(name, Slot::kRsa);
  CertificatePtr twin = co_await std::move(finding_twin);
  if (twin != nullptr && twin->same_leaf(*shown)) twin = nullptr;  // its own
  const WallTime now = parts_.loop.clock().wall_now();
  const std::string twin_json =
      certificate_json(twin, twin != nullptr && is_in_memory(*twin, Slot::kRsa), true, now);
  co_return full_certificate_json(*shown, record.info, is_in_memory(*shown, Slot::kMain), twin_json,
                                  now);
}

Task<std::string> ControlSteering::events(std::optional<ServerName> name, size_t limit) {
  Task<std::vector<Event>> recalling = recent_events(name ? name->text() : "", limit);
  const std::vector<Event> found = co_await std::move(recalling);
  co_return JsonObject().raw("events", events_json(found)).str();
}

}  // namespace latchkey::edge
