#include "edge/acme_source.h"

#include <algorithm>

#include "policy/name_guard.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr long kConnectionsPerCa = 8;  // one is enough for HTTP/2
constexpr Millis kSameThrottle = 10s;
constexpr Millis kLongestTurn = 5s;  // a request that has to wait for longer is not made

acme::ChallengeType challenge_type(const std::string& word) {
  if (word == "http-01") return acme::ChallengeType::kHttp01;
  return word == "dns-01" ? acme::ChallengeType::kDns01 : acme::ChallengeType::kTlsAlpn01;
}

bool has_dns(const Config::Issuer& issuer) {
  return std::find(issuer.challenges.begin(), issuer.challenges.end(), "dns-01") !=
         issuer.challenges.end();
}

acme::IssuerOptions issuer_options(const Config::Issuer& from, std::string eab_key,
                                   acme::Pacer& pacer, Loop& loop) {
  acme::IssuerOptions out;
  out.name = from.name;
  out.directory = from.directory;
  out.email = from.email;
  out.accept_terms = from.accept_terms;
  out.challenges.clear();
  for (const std::string& word : from.challenges) {
    out.challenges.push_back(challenge_type(word));
  }
  if (from.eab) out.eab = acme::ExternalAccount{from.eab->kid, std::move(eab_key)};
  out.profile = from.profile.value_or("");
  out.must_staple = from.must_staple;
  out.preferred_chain = from.preferred_chain.value_or("");
  out.pacer = &pacer;
  out.home = loop.address();
  return out;
}

// Trouble of the CA's, or between it and us: the name is not to blame.
bool is_of_the_ca(const acme::IssuanceFailure& failure) {
  // A name that failed too often there, or that the CA has paused.
  if (failure.throttle && failure.throttle->scope == acme::LimitScope::kNameFailures) return false;
  switch (failure.failure) {
    case FailureClass::kServerInternal:
    case FailureClass::kStorage:  // ours, before an order was made
    case FailureClass::kAccount:
    case FailureClass::kUserActionRequired:
    case FailureClass::kRateLimited:
      return true;
    default:
      return failure.error.code == ErrorCode::kThrottled;
  }
}

LimitKind kind_of(acme::LimitScope scope) {
  switch (scope) {
    case acme::LimitScope::kResource:
      return LimitKind::kRequests;
    case acme::LimitScope::kAccount:
      return LimitKind::kOrders;
    case acme::LimitScope::kDomain:
      return LimitKind::kDomain;
    case acme::LimitScope::kIdentifiers:
      return LimitKind::kIdentifiers;
    case acme::LimitScope::kNameFailures:
      return LimitKind::kNameFailures;
  }
  return LimitKind::kRequests;
}

}  // namespace

std::string user_agent() {
  return std::string("latchkey/") + LATCHKEY_VERSION;
}

AcmeSource::AcmeSource(const Config& config, size_t index, std::string eab_key, Parts parts)
    : index_(index),
      directory_(config.issuers[index].directory),
      parts_(parts),
      proves_wildcards_(parts.dns != nullptr && has_dns(config.issuers[index])) {
  const Config::Issuer& from = config.issuers[index];
  CurlHttpClient::Options http;
  http.user_agent = user_agent();
  http.max_connections_per_host = kConnectionsPerCa;
  if (from.ca_file) http.ca_file = config.file(*from.ca_file).string();
  http_ = std::make_unique<CurlHttpClient>(parts_.loop.uv(), std::move(http));
  acme::IssuerOptions options = issuer_options(from, std::move(eab_key), *this, parts_.loop);
  options.dns = parts_.dns;
  options.account_lost = [this](const std::string& old_url) {
    Event event;
    event.kind = event_kind::kAccountLost;
    event.issuer = name();
    event.text = "the CA does not know our account " + old_url +
                 " any more; its key is being registered anew";
    parts_.events.tell(std::move(event));
  };
  issuer_ = std::make_unique<acme::AcmeIssuer>(std::move(options), *http_, parts_.loop.clock(),
                                               parts_.store, parts_.challenges, parts_.log);
}

Task<OrderOutcome> AcmeSource::order(OrderJob job) {
  acme::IssuanceJob issuance{job.name};
  issuance.failures = job.failures;
  if (job.grant != nullptr) {
    issuance.profile = job.grant->profile;
    issuance.key_type = job.grant->key_type;
  }
  issuance.slot = job.slot;
  if (job.slot == Slot::kRsa) issuance.key_type = "rsa2048";
  issuance.renewal = job.predecessor != nullptr;
  issuance.may_order_plain = job.may_order_plain;
  if (job.predecessor_issuer == name()) {
    issuance.predecessor = job.predecessor;
    issuance.predecessor_account = job.predecessor_account;
  }
  issuance.pending = std::move(job.pending);
  issuance.ordered = job.ordered;
  issuance.may_order_again = job.may_order_again;
  issuance.authorization_failed = job.authorization_failed;
  issuance.slow = job.slow;
  std::optional<acme::IssuanceFailure> failed;
  issuance.on_failure = [&failed](const acme::IssuanceFailure& failure) { failed = failure; };
  Task<CertificatePtr> obtaining = issuer_->obtain(std::move(issuance));
  Result<CertificatePtr> certificate = co_await std::move(obtaining).result();
  OrderOutcome outcome;
  outcome.issuer = name();
  outcome.account = issuer_->account_url();
  if (certificate) {
    outcome.certificate = *std::move(certificate);
    co_return outcome;
  }
  Error error = std::move(certificate).error();  // names the issuer
  outcome.failure = OrderFailure{FailureClass::kOther, std::move(error), false};
  if (failed) {
    outcome.failure->failure = failed->failure;
    outcome.failure->of_the_ca = is_of_the_ca(*failed);
    // An order's own document may say it, too, which the pacer does not see.
    if (failed->throttle) throttled(*failed->throttle);
  }
  co_return outcome;
}

// RFC 9773, 5: only orders of the same account.
bool AcmeSource::replaces(const OrderJob& job) const {
  return job.predecessor != nullptr && job.predecessor_issuer == name() &&
         !job.predecessor_account.empty() && job.predecessor_account == issuer_->account_url();
}

Task<RenewalAdvice> AcmeSource::renewal_advice(CertificatePtr certificate) {
  Task<acme::RenewalInfo> asking = issuer_->renewal_info(std::move(certificate));
  const acme::RenewalInfo info = co_await std::move(asking);
  RenewalAdvice advice;
  advice.window = info.window;
  advice.poll_after = info.poll_after;
  advice.explanation_url = info.explanation_url;
  co_return advice;
}

Task<> AcmeSource::revoke(CertificatePtr certificate, std::string reason) {
  const auto known = acme::revocation_reason_from(reason);
  if (!known) co_return Error{ErrorCode::kInvalid, "no reason for a revocation: " + reason};
  Task<> revoking = issuer_->revoke(std::move(certificate), *known);
  co_return co_await std::move(revoking).result();
}

Task<> AcmeSource::prepare() {
  Task<> testing = parts_.store.self_test();
  co_await std::move(testing);
  Task<> preparing = issuer_->prepare();
  co_await std::move(preparing);
  co_return Unit{};
}

Task<> AcmeSource::before(acme::Resource resource) {
  Task<> loading = parts_.keeper.load();
  co_await std::move(loading);
  Clock& clock = parts_.loop.clock();
  const std::string_view word = acme::to_string(resource);
  for (;;) {
    const TimePoint now = clock.now();
    const Millis wait = parts_.budget.request_at(index_, word, now) - now;
    if (wait <= Millis(0)) break;
    if (wait > kLongestTurn) {
      Error held{ErrorCode::kThrottled,
                 "the CA told us to stay away from " + std::string(word) + " for another " +
                     std::to_string(wait.count() / 1000) + " s",
                 wait};
      co_return held;
    }
    co_await sleep(clock, wait);
  }
  parts_.budget.take_request(index_, word, clock.now());
  co_return Unit{};
}

void AcmeSource::throttled(const acme::Throttle& throttle) {
  LimitKind kind = kind_of(throttle.scope);
  std::string key(throttle.subject);
  if (kind == LimitKind::kOrders) key.clear();
  if (kind == LimitKind::kDomain) {  // the CA may have named the name only
    if (auto name = ServerName::parse(key, {.underscore = true})) key = registered_domain(*name);
  }
  // Without a name it cannot be laid at one's door.
  if (kind != LimitKind::kOrders && key.empty()) kind = LimitKind::kRequests;
  if (kind == LimitKind::kRequests) key = acme::to_string(throttle.resource);
  // One answer is told here by the pacer, and once more by each order that failed for it.
  const TimePoint until = parts_.loop.clock().now() + throttle.wait;
  const Millis apart = until - told_until_;
  if (key == told_key_ && kind == told_kind_ && apart < kSameThrottle && -apart < kSameThrottle) {
    return;
  }
  told_kind_ = kind;
  told_key_ = key;
  told_until_ = until;
  parts_.budget.hold(index_, kind, key, until);
  parts_.keeper.changed();
  parts_.log.warning("ca_throttled",
                     "the CA told us to stay away: nothing that needs this is asked for before",
                     {{"issuer", name()},
                      {"resource", acme::to_string(throttle.resource)},
                      {"limit", to_string(kind)},
                      {"key", key},
                      {"seconds", static_cast<int64_t>((throttle.wait.count() + 999) / 1000)}});
}

}  // namespace latchkey::edge
