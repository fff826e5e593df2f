#include "edge/authority_source.h"

#include <algorithm>
#include <utility>

#include "acme/revocation.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

// Windows change with a revocation only, which the operator sees to.
constexpr Millis kSoonestPoll = 1min, kLatestPoll = 6h;
constexpr int kPollsInALife = 4;

OrderFailure failure_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kIo:
      return {FailureClass::kStorage, error, true};
    case ErrorCode::kInvalid:
      return {FailureClass::kBadCertificate, error, false};
    default:
      return {FailureClass::kServerInternal, error, true};
  }
}

}  // namespace

AuthoritySource::AuthoritySource(std::string name, const AuthorityConfig& config,
                                 acme::Authority& authority, AuthorityStore& store,
                                 std::optional<Mailbox::Address> home, Log& log)
    : name_(std::move(name)),
      allowed_(config.allow.empty() ? std::nullopt
                                    : std::optional<AllowedNames>(std::in_place, config.allow)),
      authority_(authority),
      store_(store),
      log_(log),
      keys_(std::move(home)) {}

Task<OrderOutcome> AuthoritySource::order(OrderJob job) {
  OrderOutcome outcome;
  outcome.issuer = name_;
  if (allowed_ && !allowed_->contains(job.name)) {
    Error refused{ErrorCode::kInvalid, "issuer " + name_ + ": " + job.name.text() +
                                           " is not among the names that it signs: add it to "
                                           "issuers[].authority.allow"};
    outcome.failure = OrderFailure{FailureClass::kRejectedIdentifier, std::move(refused), false};
    co_return outcome;
  }
  if (job.ordered) job.ordered();
  std::string type = key_type(job);
  Task<CertificatePtr> making = make(job.name, std::move(type));
  Result<CertificatePtr> made = co_await std::move(making).result();
  if (made) {
    ++signed_;
    outcome.certificate = *std::move(made);
    log_.info(
        "certificate_obtained", "certificate for " + job.name.text() + " from " + name_,
        {{"name", job.name.text()}, {"issuer", name_}, {"serial", outcome.certificate->serial()}});
  } else {
    outcome.failure = failure_of(std::move(made).error().in("issuer " + name_));
    log_.error("order_failed", outcome.failure->error.message,
               {{"name", job.name.text()}, {"issuer", name_}});
  }
  co_return outcome;
}

std::string AuthoritySource::key_type(const OrderJob& job) const {
  if (job.slot == Slot::kRsa) return "rsa2048";
  if (job.grant == nullptr) return "";
  if (acme::KeyMaker::knows(job.grant->key_type)) return job.grant->key_type;
  log_.warning("key_type_unknown",
               "the ask endpoint wants a key of a type that cannot be made, only p256, p384 and "
               "rsa2048; making a p256",
               {{"name", job.name.text()}});
  return "";
}

Task<CertificatePtr> AuthoritySource::make(ServerName name, std::string key_type) {
  Task<PrivateKey> making = keys_.make(std::move(key_type));
  PrivateKey key = co_await std::move(making);
  acme::LeafRequest request;
  request.names.push_back(std::move(name));
  request.public_key = public_key_to_der(key);
  Task<acme::Chain> issuing = authority_.issue(std::move(request));
  const acme::Chain chain = co_await std::move(issuing);
  co_return Certificate::from_der(chain, std::move(key));
}

Task<RenewalAdvice> AuthoritySource::renewal_advice(CertificatePtr certificate) {
  Task<std::optional<IssuedCertificate>> finding = store_.find_issued(name_, certificate->serial());
  const std::optional<IssuedCertificate> issued = co_await std::move(finding);
  if (!issued) {
    co_return Error{ErrorCode::kNotFound, "issuer " + name_ + " does not know the certificate"};
  }
  const acme::Authority::Window window = authority_.renewal_window(*issued);
  RenewalAdvice advice;
  advice.window.start = window.start;
  advice.window.end = window.end;
  const Millis life = issued->not_after - issued->not_before;
  advice.poll_after = std::clamp(life / kPollsInALife, kSoonestPoll, kLatestPoll);
  co_return advice;
}

Task<> AuthoritySource::revoke(CertificatePtr certificate, std::string reason) {
  const auto known = acme::revocation_reason_from(reason);
  if (!known) co_return Error{ErrorCode::kInvalid, "no reason for a revocation: " + reason};
  Task<bool> revoking = authority_.revoke(certificate->serial(), static_cast<int>(*known));
  const bool revoked = co_await std::move(revoking);
  if (revoked) co_return Unit{};
  Task<std::optional<IssuedCertificate>> finding = store_.find_issued(name_, certificate->serial());
  const std::optional<IssuedCertificate> issued = co_await std::move(finding);
  if (!issued) {
    co_return Error{ErrorCode::kNotFound, "issuer " + name_ + " does not know the certificate"};
  }
  co_return Unit{};  // it was before
}

}  // namespace latchkey::edge
