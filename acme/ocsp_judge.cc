#include "acme/ocsp_judge.h"

#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <optional>
#include <string>

#include "acme/ocsp_identity.h"
#include "acme/ocsp_response.h"
#include "acme/ocsp_signature.h"

namespace latchkey::acme {
namespace {

using namespace std::string_view_literals;

constexpr std::chrono::minutes kClockSkew{5};
constexpr std::chrono::hours kLifeWithoutEnd{24};

Error refuse(std::string why) {
  return {ErrorCode::kProtocol, std::move(why)};
}

// --- whose certificate it is

const EVP_MD* digest_named(std::string_view oid) {
  if (oid == "\x2b\x0e\x03\x02\x1a"sv) return EVP_sha1();
  if (oid == "\x60\x86\x48\x01\x65\x03\x04\x02\x01"sv) return EVP_sha256();
  if (oid == "\x60\x86\x48\x01\x65\x03\x04\x02\x02"sv) return EVP_sha384();
  if (oid == "\x60\x86\x48\x01\x65\x03\x04\x02\x03"sv) return EVP_sha512();
  return nullptr;
}

bool is_about(const OcspResponse::Single& single, const OcspIdentity& identity) {
  if (single.serial != identity.serial) return false;
  const EVP_MD* const digest = digest_named(single.hash);
  return digest != nullptr && single.name_hash == digest_of(identity.issuer_name, digest) &&
         single.key_hash == digest_of(identity.key_bits, digest);
}

// --- who signed it

bool is_responder(const OcspResponse& response, X509* certificate) {
  if (!response.by_name) {
    return response.responder == digest_of(key_bits_of(certificate), EVP_sha1());
  }
  const auto* at = reinterpret_cast<const uint8_t*>(response.responder.data());
  const bssl::UniquePtr<X509_NAME> name(
      d2i_X509_NAME(nullptr, &at, static_cast<long>(response.responder.size())));
  return name != nullptr && X509_NAME_cmp(name.get(), X509_get_subject_name(certificate)) == 0;
}

bool is_valid_at(X509* certificate, WallTime now) {
  std::time_t from = (now + kClockSkew).time_since_epoch().count();
  std::time_t to = now.time_since_epoch().count();
  return X509_cmp_time(X509_get0_notBefore(certificate), &from) < 0 &&
         X509_cmp_time(X509_get0_notAfter(certificate), &to) > 0;
}

// Has the issuer itself certified it to sign OCSP responses (RFC 6960, 4.2.2.2)?
Result<> may_sign_for(const OcspIdentity& identity, X509* delegate, WallTime now) {
  const bool issued = X509_NAME_cmp(X509_get_issuer_name(delegate),
                                    X509_get_subject_name(identity.issuer.get())) == 0 &&
                      X509_verify(delegate, identity.issuer_key.get()) == 1;
  if (!issued) return refuse("its signer is not certified by the certificate's issuer");
  const uint32_t flags = X509_get_extension_flags(delegate);
  if ((flags & (EXFLAG_INVALID | EXFLAG_CRITICAL)) != 0) {
    return refuse("its signer's certificate has extensions that are broken or not known");
  }
  if ((flags & EXFLAG_XKUSAGE) == 0 ||
      (X509_get_extended_key_usage(delegate) & XKU_OCSP_SIGN) == 0 ||
      (X509_get_key_usage(delegate) & KU_DIGITAL_SIGNATURE) == 0) {
    return refuse("its signer is not certified to sign OCSP responses (id-kp-OCSPSigning)");
  }
  if (!is_valid_at(delegate, now)) return refuse("its signer's certificate is not valid now");
  return Unit{};
}

Result<> verify_by(const OcspResponse& response, X509* signer) {
  const bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(signer));
  if (key == nullptr) return refuse("its signer's key does not parse");
  return verify_signature(response.algorithm, response.signed_data, response.signature, key.get());
}

// By the issuer, or by a delegate whose certificate is attached. The last of several reasons.
Result<> verify_signer(const OcspResponse& response, const OcspIdentity& identity, WallTime now) {
  Result<> verdict = refuse("its signer is neither the certificate's issuer nor attached to it");
  if (is_responder(response, identity.issuer.get())) {
    verdict = verify_by(response, identity.issuer.get());
    if (verdict) return verdict;
  }
  for (const std::string_view der : response.certificates) {
    const auto* at = reinterpret_cast<const uint8_t*>(der.data());
    const bssl::UniquePtr<X509> delegate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (delegate == nullptr || !is_responder(response, delegate.get())) continue;
    verdict = may_sign_for(identity, delegate.get(), now);
    if (verdict) verdict = verify_by(response, delegate.get());
    if (verdict) return verdict;
  }
  return verdict;
}

// --- what it says

// RFC 6960, 4.4.8: revoked so that nobody trusts it, but never issued as far as the responder
// knows, which may just not know yet.
bool is_not_issued(const OcspResponse::Single& single) {
  return single.revoked_at == WallTime() && single.reason == 6;
}

OcspAnswer answer_of(const OcspResponse::Single& single) {
  OcspAnswer answer;
  answer.status = single.status;
  answer.this_update = single.this_update;
  answer.next_update = single.next_update.value_or(single.this_update + kLifeWithoutEnd);
  if (single.status != CertStatus::kRevoked) return answer;
  if (is_not_issued(single)) {
    answer.status = CertStatus::kUnknown;
    return answer;
  }
  answer.revoked_at = single.revoked_at;
  answer.reason = revocation_reason(single.reason.value_or(0));
  return answer;
}

Result<> check_times(const OcspAnswer& answer, WallTime now) {
  if (answer.next_update <= answer.this_update) return refuse("it ends before it begins");
  if (answer.this_update > now + kClockSkew) {
    return refuse("it is from the future (is our clock right?)");
  }
  if (answer.next_update <= now) return refuse("it has expired (is our clock right?)");
  return Unit{};
}

Result<OcspAnswer> judge(const OcspResponse& response, const OcspIdentity& identity, WallTime now) {
  std::optional<OcspAnswer> answer;
  for (const OcspResponse::Single& single : response.singles) {
    if (!is_about(single, identity)) continue;
    if (single.critical_extension) return refuse("it has a critical extension that is not known");
    const OcspAnswer one = answer_of(single);
    if (answer && answer->status != one.status) {
      return refuse("it says two different things about the certificate");
    }
    if (!answer || one.next_update < answer->next_update) answer = one;
  }
  if (!answer) return refuse("it is not about this certificate");
  if (response.critical_extension) return refuse("it has a critical extension that is not known");
  const Result<> times = check_times(*answer, now);
  if (!times) return times.error();
  const Result<> signer = verify_signer(response, identity, now);
  if (!signer) return signer.error();
  return *std::move(answer);
}

}  // namespace

std::string_view revocation_reason(int number) {
  switch (number) {
    case 1:
      return "keyCompromise";
    case 2:
      return "cACompromise";
    case 3:
      return "affiliationChanged";
    case 4:
      return "superseded";
    case 5:
      return "cessationOfOperation";
    case 6:
      return "certificateHold";
    case 8:
      return "removeFromCRL";
    case 9:
      return "privilegeWithdrawn";
    case 10:
      return "aACompromise";
    default:
      return "unspecified";
  }
}

Result<OcspAnswer> judge_ocsp_response(std::string_view der, std::string_view leaf,
                                       std::string_view issuer, WallTime now) {
  const Result<OcspIdentity> identity = ocsp_identity(leaf, issuer);
  if (!identity) return identity.error();
  const Result<OcspResponse> response = parse_ocsp_response(der);
  if (!response) return response.error();
  Result<OcspAnswer> answer = judge(*response, *identity, now);
  ERR_clear_error();
  if (!answer) return std::move(answer).error().in("the OCSP response is not accepted");
  return answer;
}

}  // namespace latchkey::acme
