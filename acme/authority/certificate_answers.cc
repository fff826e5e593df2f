#include "acme/authority/certificate_answers.h"

#include <openssl/base64.h>

#include <algorithm>

#include "acme/authority/general_names.h"
#include "acme/authority/server_payload.h"

namespace latchkey::acme {
namespace {

// Orders that are looked through for an account's authorizations, the newest first (~50 ms when
// each has a hundred).
constexpr size_t kMaxLookedThrough = 100;

std::string pem_of(const Chain& chain) {
  constexpr size_t kLine = 64;
  std::string pem;
  for (const std::string& der : chain) {
    std::string text((der.size() + 2) / 3 * 4 + 1, '\0');
    text.resize(EVP_EncodeBlock(reinterpret_cast<uint8_t*>(text.data()),
                                reinterpret_cast<const uint8_t*>(der.data()), der.size()));
    pem.reserve(pem.size() + text.size() + text.size() / kLine + 60);
    pem += "-----BEGIN CERTIFICATE-----\n";
    for (size_t at = 0; at < text.size(); at += kLine) {
      pem.append(text, at, kLine);
      pem += '\n';
    }
    pem += "-----END CERTIFICATE-----\n";
  }
  return pem;
}

bool is_serial(std::string_view text) {
  return text.size() <= 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Task<std::optional<IssuedCertificate>> CertificateAnswers::find(std::string serial) {
  if (!is_serial(serial)) co_return std::optional<IssuedCertificate>();
  co_return co_await context_.store.find_issued(context_.name(), serial);
}

Task<ServerAnswer> CertificateAnswers::download(ServerCall call) {
  if (!call.is_read()) {
    co_return malformed("a certificate is read by POST-as-GET: an empty payload");
  }
  const std::string serial = call.route.id;
  std::shared_ptr<const IssuedCertificate> certificate = context_.issued.get(serial);
  if (certificate == nullptr) {
    std::optional<IssuedCertificate> stored = co_await find(serial);
    if (!stored) co_return unknown("there is no such certificate, or not any more");
    certificate = std::make_shared<const IssuedCertificate>(*std::move(stored));
  }
  if (certificate->holder != call.account->id) {
    co_return unauthorized("that is another account's certificate");
  }
  const std::vector<Chain> chains = context_.authority.chains(*certificate);
  if (call.route.index >= chains.size()) co_return unknown("there is no such chain");
  HttpReply reply;
  reply.status = 200;
  reply.body = pem_of(chains[call.route.index]);
  set_header(reply, "content-type", "application/pem-certificate-chain");
  for (size_t i = 0; i < chains.size(); ++i) {
    if (i == call.route.index) continue;
    add_link(reply, certificate_url(call.route.base, serial, i), "alternate");
  }
  co_return ServerAnswer(std::move(reply));
}

// Has the account valid authorizations for all of these names, in its last orders?
Task<bool> CertificateAnswers::may_have(std::string account, std::vector<ServerName> names) {
  const Tally::One counted(searches_, account);
  const WallTime now = context_.clock.wall_now();
  const std::vector<std::string> ids = co_await context_.orders.last(account, kMaxLookedThrough);
  for (const std::string& id : ids) {
    const LiveOrderPtr live = co_await context_.orders.glance(id);
    if (live == nullptr) continue;
    for (const ServerAuthorization& one : live->order.authorizations) {
      if (live->order.status_at(one, now) != AuthorizationStatus::kValid) continue;
      names.erase(std::remove_if(names.begin(), names.end(),
                                 [&](const ServerName& name) { return one.is_for(name); }),
                  names.end());
    }
    if (names.empty()) break;
  }
  co_return names.empty();
}

Task<Judged<>> CertificateAnswers::may_revoke(ServerCall call, IssuedCertificate certificate) {
  const Result<LeafFacts> facts = read_leaf(certificate.leaf);
  if (!facts) co_return facts.error();
  if (call.account == nullptr) {
    if (call.key->is_key_of(facts->public_key)) co_return Judged<>(Unit{});
    co_return Judged<>(unauthorized("the request is not signed by the certificate's key"));
  }
  if (call.account->id == certificate.holder) co_return Judged<>(Unit{});
  const std::string account = call.account->id;
  if (searches_.of(account) > 0) {
    co_return Judged<>(
        rate_limited("another revocation of this account is under way", std::chrono::seconds(1)));
  }
  const auto wait = context_.limits.searches.take(account, context_.clock.now());
  if (wait > std::chrono::seconds(0)) {
    co_return Judged<>(rate_limited("too many revocations of others' certificates", wait));
  }
  std::vector<ServerName> names = facts->names;
  const bool may = !names.empty() && co_await may_have(account, std::move(names));
  if (may) co_return Judged<>(Unit{});
  co_return Judged<>(
      unauthorized("the certificate is not this account's, which has no valid authorizations for "
                   "all of its names either"));
}

Task<ServerAnswer> CertificateAnswers::revoke(ServerCall call) {
  Judged<RevocationPayload> payload = read_revocation(call.payload);
  if (!payload) co_return std::move(payload).problem();
  const Result<LeafFacts> facts = read_leaf(payload->certificate);
  if (!facts) co_return malformed("\"certificate\" is no certificate in DER");
  const std::string serial = facts->serial;
  std::optional<IssuedCertificate> certificate = co_await find(serial);
  if (!certificate || certificate->leaf != payload->certificate) {
    co_return unknown("this authority has not issued that certificate");
  }
  Judged<> may = co_await may_revoke(call, *std::move(certificate));
  if (!may) co_return std::move(may).problem();
  const bool revoked = co_await context_.authority.revoke(serial, payload->reason);
  if (!revoked) {
    co_return ServerProblem{400, std::string(problem_type::kAlreadyRevoked),
                            "the certificate is revoked already"};
  }
  context_.log.info("acme_certificate_revoked", "a certificate was revoked by request",
                    {{"authority", context_.name()},
                     {"serial", serial},
                     {"reason", payload->reason},
                     {"account", call.account == nullptr ? "" : call.account->id}});
  HttpReply reply;
  reply.status = 200;
  co_return ServerAnswer(std::move(reply));
}

}  // namespace latchkey::acme
