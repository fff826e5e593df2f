#include "acme/authority/challenge_proof.h"

#include <openssl/bytestring.h>

#include <array>
#include <optional>
#include <string>

#include "acme/der.h"
#include "acme/ip_identifier.h"
#include "acme/jws.h"
#include "acme/problem.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr std::string_view kSubjectAltName = "\x55\x1d\x11";  // 2.5.29.17
constexpr std::string_view kAcmeIdentifier =
    "\x2b\x06\x01\x05\x05\x07\x01\x1f";  // 1.3.6.1.5.5.7.1.31
constexpr unsigned kVersion = explicit_tag(0);
constexpr unsigned kIssuerId = implicit_tag(1);
constexpr unsigned kSubjectId = implicit_tag(2);
constexpr unsigned kExtensions = explicit_tag(3);
constexpr unsigned kDnsName = implicit_tag(2);
constexpr unsigned kIpAddress = implicit_tag(7);
constexpr size_t kMaxShownName = 100;  // bytes of a name in a message

Error malformed(const char* part) {
  return {ErrorCode::kProtocol, std::string("its certificate is malformed: ") + part};
}

struct Extension {
  bool critical = false;
  CBS value{};
};
struct Wanted {
  std::optional<Extension> names, identifier;
};

// The list of extensions, in RFC 5280's Certificate. False: malformed. Empty: there are none.
bool find_extensions(std::string_view der, CBS& list) {
  CBS in;
  CBS certificate;
  CBS tbs;
  CBS outer;
  CBS_init(&in, reinterpret_cast<const uint8_t*>(der.data()), der.size());
  CBS_init(&list, nullptr, 0);
  int present = 0;
  if (!CBS_get_asn1(&in, &certificate, CBS_ASN1_SEQUENCE) || CBS_len(&in) != 0 ||
      !CBS_get_asn1(&certificate, &tbs, CBS_ASN1_SEQUENCE) ||
      !CBS_get_optional_asn1(&tbs, nullptr, nullptr, kVersion) ||
      !CBS_get_asn1(&tbs, nullptr, CBS_ASN1_INTEGER)) {  // the serial number
    return false;
  }
  // signature, issuer, validity, subject, subjectPublicKeyInfo
  for (int i = 0; i < 5; ++i) {
    if (!CBS_get_asn1(&tbs, nullptr, CBS_ASN1_SEQUENCE)) return false;
  }
  return CBS_get_optional_asn1(&tbs, nullptr, nullptr, kIssuerId) &&
         CBS_get_optional_asn1(&tbs, nullptr, nullptr, kSubjectId) &&
         CBS_get_optional_asn1(&tbs, &outer, &present, kExtensions) && CBS_len(&tbs) == 0 &&
         (!present || (CBS_get_asn1(&outer, &list, CBS_ASN1_SEQUENCE) && CBS_len(&outer) == 0));
}

Result<Wanted> wanted_of(CBS list) {
  Wanted wanted;
  while (CBS_len(&list) != 0) {
    CBS one;
    CBS id;
    Extension extension;
    int critical = 0;
    if (!CBS_get_asn1(&list, &one, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&one, &id, CBS_ASN1_OBJECT) ||
        (CBS_peek_asn1_tag(&one, CBS_ASN1_BOOLEAN) && !CBS_get_asn1_bool(&one, &critical)) ||
        !CBS_get_asn1(&one, &extension.value, CBS_ASN1_OCTETSTRING) || CBS_len(&one) != 0) {
      return malformed("an extension");
    }
    extension.critical = critical != 0;
    const bool names = view(id) == kSubjectAltName;
    if (!names && view(id) != kAcmeIdentifier) continue;
    std::optional<Extension>& place = names ? wanted.names : wanted.identifier;
    if (place) return malformed(names ? "two subjectAltNames" : "two acmeIdentifiers");
    place = extension;
  }
  return wanted;
}

Result<> check_names(CBS value, const ServerName& name) {
  CBS list;
  CBS first;
  unsigned tag = 0;
  if (!CBS_get_asn1(&value, &list, CBS_ASN1_SEQUENCE) || CBS_len(&value) != 0) {
    return malformed("its subjectAltName");
  }
  size_t count = 0;
  bool is_ours = false;
  std::string shown;
  for (; CBS_len(&list) != 0; ++count) {
    if (!CBS_get_any_asn1(&list, &first, &tag)) return malformed("its subjectAltName");
    if (count != 0) continue;
    is_ours = name.is_ip() ? tag == kIpAddress && view(first) == address_octets(name)
                           : tag == kDnsName && same_text(view(first), name.text());
    shown = tag == kDnsName ? "\"" + printable(view(first), kMaxShownName) + "\""
                            : "what is no dNSName";
  }
  if (count != 1) {
    return Error{ErrorCode::kProtocol, "its certificate is for " + std::to_string(count) +
                                           " names; that of a challenge is for exactly one"};
  }
  if (is_ours) return Unit{};
  return Error{ErrorCode::kDenied, "its certificate is for " + shown};
}

}  // namespace

Result<> check_challenge_certificate(std::string_view der, const ServerName& name,
                                     std::string_view key_authorization) {
  CBS list;
  if (!find_extensions(der, list)) return malformed("it is no X.509 certificate");
  const Result<Wanted> wanted = wanted_of(list);
  if (!wanted) return wanted.error();
  if (!wanted->identifier) {
    return Error{ErrorCode::kProtocol,
                 "its certificate has no acmeIdentifier extension: it is none for a challenge"};
  }
  if (!wanted->identifier->critical) {
    return Error{ErrorCode::kProtocol, "its certificate's acmeIdentifier is not critical"};
  }
  if (!wanted->names) {
    return Error{ErrorCode::kProtocol, "its certificate has no subjectAltName"};
  }
  const Result<> names = check_names(wanted->names->value, name);
  if (!names) return names.error();
  CBS value = wanted->identifier->value;
  CBS digest;
  constexpr size_t kDigest = 32;
  if (!CBS_get_asn1(&value, &digest, CBS_ASN1_OCTETSTRING) || CBS_len(&value) != 0 ||
      CBS_len(&digest) != kDigest) {
    return malformed("its acmeIdentifier is not a SHA-256");
  }
  const std::string expected = sha256(key_authorization);
  if (view(digest) == expected) return Unit{};
  return Error{ErrorCode::kDenied, "its certificate's acmeIdentifier is " + to_hex(view(digest)) +
                                       ", and not this key authorization's, " + to_hex(expected)};
}

}  // namespace latchkey::acme
