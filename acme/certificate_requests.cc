#include "acme/certificate_requests.h"

#include <algorithm>
#include <utility>

#include "acme/base64url.h"
#include "acme/ca_url.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;

constexpr Millis kSoonestPoll = 1min;
constexpr Millis kLatestPoll = 24h;
constexpr size_t kMaxRenewalInfo = 16 << 10;  // bytes

bool is_done(const AcmeReply& reply) {
  return !reply.problem || reply.problem->is(problem_type::kAlreadyRevoked);
}

// The account is not the one that may, or there is no such account any more.
bool own_key_may_help(const AcmeReply& reply) {
  return reply.problem->is(problem_type::kUnauthorized) ||
         reply.problem->is(problem_type::kAccountDoesNotExist) || reply.status == 401 ||
         reply.status == 403;
}

std::string revocation_of(const Certificate& certificate, RevocationReason reason) {
  JsonObject payload;
  payload.text("certificate", base64url(certificate.chain_der().front()));
  payload.number("reason", static_cast<int>(reason));
  return payload.str();
}

}  // namespace

CertificateRequests::CertificateRequests(AcmeClient& client, AccountKeeper& accounts, Log& log)
    : client_(client), accounts_(accounts), log_(log) {}

Task<> CertificateRequests::revoke(CertificatePtr certificate, RevocationReason reason) {
  const DirectoryPtr directory = co_await client_.directory();
  if (directory->revoke_cert.empty()) {
    co_return Error{ErrorCode::kNotFound, client_.directory_url() +
                                              ": this CA has no revokeCert in its directory, so "
                                              "it revokes nothing by ACME; ask it by other means"};
  }
  const std::string url = directory->revoke_cert;
  const std::string payload = revocation_of(*certificate, reason);
  Task<AcmeReply> asking = revoke_by_account(url, payload);
  Result<AcmeReply> reply = co_await std::move(asking).result();
  if (!reply || (!is_done(*reply) && own_key_may_help(*reply))) {
    const bool unreachable = !reply && reply.error().code != ErrorCode::kInvalid;
    if (unreachable) co_return std::move(reply).error();
    Task<AcmeReply> again = revoke_by_own_key(url, payload, certificate->key());
    reply = co_await std::move(again).result();
    if (!reply) co_return std::move(reply).error();
  }
  if (!is_done(*reply)) {
    co_return reply->error().in("revoking the certificate " + certificate->serial());
  }
  log_.warning("certificate_revoked",
               reply->problem ? "the CA had revoked the certificate before"
                              : "the CA has revoked the certificate",
               {{"serial", certificate->serial()},
                {"name", certificate->names().empty() ? "" : certificate->names().front()},
                {"reason", to_string(reason)}});
  co_return Unit{};
}

Task<AcmeReply> CertificateRequests::revoke_by_account(std::string url, std::string payload) {
  const AccountOutcome outcome = co_await accounts_.get();
  const AccountPtr account = co_await or_fail(outcome.account);
  AcmeRequest request{Resource::kRevocation, account->key, account->url, url, payload};
  co_return co_await client_.post(std::move(request));
}

Task<AcmeReply> CertificateRequests::revoke_by_own_key(std::string url, std::string payload,
                                                       PrivateKey key) {
  const AccountKey own = co_await or_fail(AccountKey::from_key(std::move(key)));
  AcmeRequest request{Resource::kRevocation, own, "", url, payload};
  co_return co_await client_.post(std::move(request));
}

Task<RenewalInfo> CertificateRequests::renewal_info(CertificatePtr certificate) {
  const std::string id = renewal_id(*certificate);
  if (id.empty()) {
    co_return Error{ErrorCode::kNotFound, "the certificate " + certificate->serial() +
                                              " has no authority key identifier, so no CA can be "
                                              "asked when it is to be renewed"};
  }
  const DirectoryPtr directory = co_await client_.directory();
  if (directory->renewal_info.empty()) {
    co_return Error{ErrorCode::kNotFound,
                    client_.directory_url() + ": this CA has no renewalInfo (RFC 9773)"};
  }
  std::string base = directory->renewal_info;
  if (base.back() == '/') base.pop_back();
  const std::string url = base + "/" + id;
  const AcmeReply reply = co_await client_.get(Resource::kRenewalInfo, url);
  if (reply.status != 200) {
    const Problem problem = reply.problem.value_or(parse_problem(reply.status, reply.body));
    co_return problem.error(reply.request);
  }
  if (reply.body.size() > kMaxRenewalInfo) {
    co_return Error{ErrorCode::kProtocol, reply.request + ": an answer of over 16 KiB"};
  }
  RenewalInfo info = co_await or_fail(RenewalInfo::parse(url, reply.body));
  if (reply.retry_after) {
    info.poll_after = std::clamp<Millis>(*reply.retry_after, kSoonestPoll, kLatestPoll);
  }
  co_return info;
}

}  // namespace latchkey::acme
