#include "acme/authority/csr_reader.h"

#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <optional>

#include "acme/authority/ca_certificate.h"
#include "acme/authority/general_names.h"
#include "acme/der.h"
#include "acme/ocsp_signature.h"

namespace latchkey::acme {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kExtensionRequest = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"sv;
constexpr std::string_view kSubjectAltName = "\x55\x1d\x11"sv;
constexpr std::string_view kTlsFeature = "\x2b\x06\x01\x05\x05\x07\x01\x18"sv;
constexpr std::string_view kCommonName = "\x55\x04\x03"sv;
constexpr uint64_t kStatusRequest = 5;
constexpr size_t kMaxCsrNames = 100;
constexpr unsigned kAttributes = explicit_tag(0);

ServerProblem bad_csr(const std::string& why) {
  return {400, std::string(problem_type::kBadCsr), "the CSR " + why};
}

// A CertificationRequest, its parts where they lie.
struct Parts {
  CBS info;  // whole
  CBS subject;
  CBS public_key;  // whole
  CBS attributes;
  CBS algorithm;  // whole
  CBS signature;
};

std::optional<Parts> take_apart(std::string_view der) {
  CBS in;
  CBS_init(&in, reinterpret_cast<const uint8_t*>(der.data()), der.size());
  Parts parts;
  CBS request;
  CBS info;
  uint64_t version = 1;
  if (!CBS_get_asn1(&in, &request, CBS_ASN1_SEQUENCE) || CBS_len(&in) != 0 ||
      !CBS_get_asn1_element(&request, &parts.info, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1_element(&request, &parts.algorithm, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&request, &parts.signature, CBS_ASN1_BITSTRING) || CBS_len(&request) != 0) {
    return std::nullopt;
  }
  uint8_t unused_bits = 1;
  if (!CBS_get_u8(&parts.signature, &unused_bits) || unused_bits != 0) return std::nullopt;
  CBS whole = parts.info;
  if (!CBS_get_asn1(&whole, &info, CBS_ASN1_SEQUENCE) || !CBS_get_asn1_uint64(&info, &version) ||
      version != 0 || !CBS_get_asn1(&info, &parts.subject, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1_element(&info, &parts.public_key, CBS_ASN1_SEQUENCE)) {
    return std::nullopt;
  }
  CBS_init(&parts.attributes, nullptr, 0);
  int present = 0;
  if (!CBS_get_optional_asn1(&info, &parts.attributes, &present, kAttributes) ||
      CBS_len(&info) != 0) {
    return std::nullopt;
  }
  return parts;
}

// Of the subject, which also counts (RFC 8555, 7.4). False: it does not parse.
bool add_common_names(CBS subject, std::vector<std::string>& names) {
  while (CBS_len(&subject) > 0) {
    CBS set;
    if (!CBS_get_asn1(&subject, &set, CBS_ASN1_SET)) return false;
    while (CBS_len(&set) > 0) {
      CBS attribute;
      CBS type;
      CBS value;
      if (!CBS_get_asn1(&set, &attribute, CBS_ASN1_SEQUENCE) ||
          !CBS_get_asn1(&attribute, &type, CBS_ASN1_OBJECT) ||
          !CBS_get_any_asn1(&attribute, &value, nullptr) || CBS_len(&attribute) != 0) {
        return false;
      }
      if (view(type) == kCommonName && CBS_len(&value) > 0) names.emplace_back(view(value));
    }
  }
  return true;
}

struct Extensions {
  std::optional<CBS> names{};    // contents of the OCTET STRING
  std::optional<CBS> feature{};  // the same
};

// Nothing: they do not parse, or one is there twice.
std::optional<Extensions> extensions_of(CBS attributes) {
  Extensions found;
  while (CBS_len(&attributes) > 0) {
    CBS attribute;
    CBS type;
    CBS values;
    CBS list;
    if (!CBS_get_asn1(&attributes, &attribute, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&attribute, &type, CBS_ASN1_OBJECT) ||
        !CBS_get_asn1(&attribute, &values, CBS_ASN1_SET) || CBS_len(&attribute) != 0) {
      return std::nullopt;
    }
    if (view(type) != kExtensionRequest) continue;
    if (!CBS_get_asn1(&values, &list, CBS_ASN1_SEQUENCE) || CBS_len(&values) != 0) {
      return std::nullopt;
    }
    while (CBS_len(&list) > 0) {
      CBS extension;
      CBS oid;
      CBS value;
      CBS critical;
      if (!CBS_get_asn1(&list, &extension, CBS_ASN1_SEQUENCE) ||
          !CBS_get_asn1(&extension, &oid, CBS_ASN1_OBJECT) ||
          (CBS_peek_asn1_tag(&extension, CBS_ASN1_BOOLEAN) &&
           !CBS_get_asn1(&extension, &critical, CBS_ASN1_BOOLEAN)) ||
          !CBS_get_asn1(&extension, &value, CBS_ASN1_OCTETSTRING) || CBS_len(&extension) != 0) {
        return std::nullopt;
      }
      std::optional<CBS>* const place = view(oid) == kSubjectAltName ? &found.names
                                        : view(oid) == kTlsFeature   ? &found.feature
                                                                     : nullptr;
      if (place == nullptr) continue;
      if (place->has_value()) return std::nullopt;
      *place = value;
    }
  }
  return found;
}

// Nothing: it does not parse.
std::optional<bool> asks_to_staple(CBS feature) {
  CBS list;
  if (!CBS_get_asn1(&feature, &list, CBS_ASN1_SEQUENCE) || CBS_len(&feature) != 0) {
    return std::nullopt;
  }
  bool asks = false;
  while (CBS_len(&list) > 0) {
    uint64_t number = 0;
    if (!CBS_get_asn1_uint64(&list, &number)) return std::nullopt;
    if (number == kStatusRequest) asks = true;
  }
  return asks;
}

Judged<std::vector<ServerName>> names_of(const Parts& parts, const Extensions& extensions) {
  std::vector<std::string> common;
  if (!add_common_names(parts.subject, common)) return bad_csr("has a subject that does not parse");
  std::vector<ServerName> names;
  if (extensions.names) {
    Result<std::vector<ServerName>> alternative =
        names_in_general_names(view(*extensions.names), kMaxCsrNames);
    if (!alternative) return bad_csr(alternative.error().message);
    names = *std::move(alternative);
  }
  for (const std::string& one : common) {
    const Result<ServerName> name = name_in_certificate(one);
    // "My Router" beside the names of a subjectAltName: nobody wants a certificate for it.
    if (!name && !names.empty()) continue;
    if (!name) {
      return bad_csr("has the common name " + printable(one, 80) +
                     ", which is none of the order's identifiers");
    }
    names.push_back(*name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.empty()) return bad_csr("asks for no name: it has no subjectAltName");
  if (names.size() > kMaxCsrNames) return bad_csr("asks for more than 100 names");
  return names;
}

}  // namespace

Judged<CsrFacts> read_csr(std::string_view der) {
  const std::optional<Parts> parts = take_apart(der);
  if (!parts) return bad_csr("is no PKCS#10 in DER (RFC 2986)");
  const std::optional<Extensions> extensions = extensions_of(parts->attributes);
  if (!extensions) return bad_csr("has attributes that do not parse");
  const std::optional<bool> staple =
      extensions->feature ? asks_to_staple(*extensions->feature) : std::optional<bool>(false);
  if (!staple) return bad_csr("has a TLS feature extension that does not parse");
  Judged<std::vector<ServerName>> names = names_of(*parts, *extensions);
  if (!names) return std::move(names).problem();

  // First: a key that will not do can be one whose signature takes long to verify.
  if (Result<> sound = check_public_key(view(parts->public_key)); !sound) {
    return bad_csr("has a key that cannot be certified: " + sound.error().message);
  }
  CBS spki = parts->public_key;
  const bssl::UniquePtr<EVP_PKEY> key(EVP_parse_public_key(&spki));
  ERR_clear_error();
  if (key == nullptr) return bad_csr("has a public key that cannot be read");
  const Result<> signature = verify_signature(view(parts->algorithm), view(parts->info),
                                              view(parts->signature), key.get());
  if (!signature)
    return bad_csr("does not prove that its sender has the key: " + signature.error().message);
  CsrFacts facts;
  facts.names = *std::move(names);
  facts.public_key = view(parts->public_key);
  facts.must_staple = *staple;
  return facts;
}

}  // namespace latchkey::acme
