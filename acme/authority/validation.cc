#include "acme/authority/validation.h"

#include <array>
#include <utility>
#include <vector>

#include "acme/authority/challenge_proof.h"
#include "acme/authority/redirect.h"
#include "acme/base64url.h"
#include "acme/jws.h"
#include "acme/problem.h"
#include "base/within.h"

namespace latchkey::acme {
namespace {

constexpr Millis kLimit{30'000};
constexpr int kMaxRedirects = 10;
constexpr size_t kMaxShownBody = 100;  // bytes of an answer in a problem
constexpr size_t kMaxShownRecords = 3;
constexpr size_t kMaxShownRecord = 80;

constexpr const char* kDns = "dns";
constexpr const char* kConnection = "connection";
constexpr const char* kTls = "tls";
constexpr const char* kIncorrect = "incorrectResponse";
constexpr const char* kUnauthorized = "unauthorized";

ValidationResult proven() {
  return {true};
}

ValidationResult refused(const char* type, std::string detail) {
  return {false, type, std::move(detail)};
}

// Why nothing could be looked at. `protocol`: the type where the peer broke its protocol.
ValidationResult refused(Error error, const char* protocol) {
  const bool in_dns = error.code == ErrorCode::kNotFound || error.code == ErrorCode::kInvalid;
  const bool in_protocol = error.code == ErrorCode::kProtocol;
  return refused(in_dns ? kDns : in_protocol ? protocol : kConnection, std::move(error).message);
}

std::string_view trimmed(std::string_view body) {
  return body.substr(0, body.find_last_not_of(" \t\r\n\v\f") + 1);
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool shows_proof(const Validation& what, const HttpReply& reply) {
  return reply.status == 200 && trimmed(reply.body) == what.key_authorization;
}

// What a URL answered in the place of the key authorization.
ValidationResult judge_reply(const Validation& what, const std::string& url,
                             const HttpReply& reply) {
  if (reply.status != 200) {
    return refused(kUnauthorized, url + " answered " + std::to_string(reply.status) +
                                      "; expected 200 and the key authorization");
  }
  if (shows_proof(what, reply)) return proven();
  return refused(kUnauthorized, url + " does not show the key authorization \"" +
                                    what.key_authorization + "\" but \"" +
                                    printable(trimmed(reply.body), kMaxShownBody) + "\"");
}

Task<ValidationResult> look_by_http(const Validation& what, Probes& probes) {
  const RedirectRules rules{what.name, what.http_port, what.tls_port};
  const std::string first = "http://" + authority_of(what.name, what.http_port, false) +
                            "/.well-known/acme-challenge/" + what.token;
  std::string url = first;
  for (int redirects = 0;; ++redirects) {
    const Result<HttpReply> reply = co_await probes.get(url).result();
    if (reply && shows_proof(what, *reply)) co_return proven();
    const bool leads_on = reply && is_redirect(reply->status);
    if (leads_on && redirects == kMaxRedirects) {
      co_return refused(kIncorrect, first + " leads to over " + std::to_string(kMaxRedirects) +
                                        " redirects, one behind the other");
    }
    Result<std::string> next = Error{ErrorCode::kNotFound, "no redirect"};
    if (leads_on) next = follow_redirect(url, reply->header("location"), rules);
    // Where it leads to is for the applicant to say, but may be none of his business: he learns
    // nothing else of it, not even whether somebody is there.
    if (!next && redirects > 0) {
      co_return refused(kUnauthorized, first +
                                           " redirects, and what it leads to does not show the key "
                                           "authorization (what it is instead is not told)");
    }
    if (!reply) co_return refused(reply.error(), kIncorrect);
    if (!leads_on) co_return judge_reply(what, url, *reply);
    if (!next) co_return refused(kIncorrect, url + ": " + next.error().message);
    url = *std::move(next);
  }
}

Task<ValidationResult> look_by_tls(const Validation& what, Probes& probes) {
  const Result<std::string> leaf = co_await probes.acme_tls(what.name, what.tls_port).result();
  if (!leaf) co_return refused(leaf.error(), kTls);
  const Result<> ok = check_challenge_certificate(*leaf, what.name, what.key_authorization);
  if (ok) co_return proven();
  const std::string where =
      authority_of(what.name, what.tls_port, true) + " with ALPN acme-tls/1: ";
  co_return refused(ok.error().code == ErrorCode::kDenied ? kUnauthorized : kIncorrect,
                    where + ok.error().message);
}

Task<ValidationResult> look_by_dns(const Validation& what, Probes& probes) {
  if (what.name.is_ip()) co_return refused(kUnauthorized, "dns-01 proves no addresses");
  const std::string place = "_acme-challenge." + what.name.text();
  const std::string expected = base64url(sha256(what.key_authorization));
  const Result<std::vector<std::string>> records = co_await probes.txt(place).result();
  if (!records) co_return refused(kDns, records.error().message);
  std::string shown;
  for (size_t i = 0; i < records->size(); ++i) {
    const std::string& record = (*records)[i];
    if (record == expected) co_return proven();
    if (i < kMaxShownRecords) {
      shown += (i == 0 ? "\"" : ", \"") + printable(record, kMaxShownRecord) + "\"";
    }
  }
  if (records->empty()) {
    co_return refused(kUnauthorized,
                      "there is no TXT record at " + place + "; expected \"" + expected + "\"");
  }
  const size_t rest = records->size() - std::min(records->size(), kMaxShownRecords);
  if (rest != 0) shown += " and " + std::to_string(rest) + " more";
  co_return refused(kUnauthorized,
                    "no TXT record at " + place + " is \"" + expected + "\"; found " + shown);
}

Task<ValidationResult> look(const Validation& what, Probes& probes) {
  switch (what.type) {
    case ChallengeType::kHttp01:
      return look_by_http(what, probes);
    case ChallengeType::kTlsAlpn01:
      return look_by_tls(what, probes);
    case ChallengeType::kDns01:
      break;
  }
  return look_by_dns(what, probes);
}

Task<ValidationResult> look_in_time(const Validation& what, Probes& probes, Clock& clock) {
  Task<ValidationResult> looking = look(what, probes);
  ValidationResult result = co_await within(clock, kLimit, std::move(looking));
  co_return result;
}

}  // namespace

Task<ValidationResult> validate(Validation what, Probes& probes, Clock& clock) {
  Result<ValidationResult> result = co_await look_in_time(what, probes, clock).result();
  if (result) co_return *std::move(result);
  const char* type = what.type == ChallengeType::kDns01 ? kDns : kConnection;
  co_return refused(type, "looking at " + what.name.text() + " by " +
                              std::string(to_string(what.type)) + " " + result.error().message);
}

}  // namespace latchkey::acme
