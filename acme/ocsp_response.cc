#include "acme/ocsp_response.h"

#include <openssl/bytestring.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include "acme/der.h"

namespace latchkey::acme {
namespace {

constexpr std::array<uint8_t, 9> kBasic{0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};

Error malformed(const char* part) {
  return {ErrorCode::kProtocol,
          std::string("the OCSP response is malformed: ") + part + " does not parse"};
}

// GeneralizedTime as RFC 5280 has it: 20260131235959Z.
bool get_time(CBS& in, WallTime& time) {
  CBS contents;
  if (!CBS_get_asn1(&in, &contents, CBS_ASN1_GENERALIZEDTIME)) return false;
  const std::string_view text = view(contents);
  if (text.size() != 15 || text.back() != 'Z') return false;
  std::array<unsigned, 14> digits{};
  for (size_t i = 0; i < digits.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    digits[i] = static_cast<unsigned>(text[i] - '0');
  }
  const auto two = [&](size_t at) { return digits[at] * 10 + digits[at + 1]; };
  const std::chrono::year_month_day day(std::chrono::year(static_cast<int>(two(0) * 100 + two(2))),
                                        std::chrono::month(two(4)), std::chrono::day(two(6)));
  const unsigned hour = two(8);
  const unsigned minute = two(10);
  const unsigned second = two(12);
  if (!day.ok() || hour > 23 || minute > 59 || second > 59) return false;
  time = std::chrono::sys_days(day) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
  return true;
}

// Extensions ::= SEQUENCE OF { OID, critical BOOLEAN DEFAULT FALSE, OCTET STRING }, within an
// explicit tag, optional. We know none that we would have to obey.
bool get_extensions(CBS& in, unsigned number, bool& critical) {
  CBS outer;
  CBS list;
  int present = 0;
  if (!CBS_get_optional_asn1(&in, &outer, &present, explicit_tag(number))) return false;
  if (!present) return true;
  if (!CBS_get_asn1(&outer, &list, CBS_ASN1_SEQUENCE) || CBS_len(&outer) != 0) return false;
  while (CBS_len(&list) != 0) {
    CBS one;
    CBS id;
    CBS value;
    if (!CBS_get_asn1(&list, &one, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&one, &id, CBS_ASN1_OBJECT)) {
      return false;
    }
    int flag = 0;
    if (CBS_peek_asn1_tag(&one, CBS_ASN1_BOOLEAN) && !CBS_get_asn1_bool(&one, &flag)) return false;
    if (!CBS_get_asn1(&one, &value, CBS_ASN1_OCTETSTRING) || CBS_len(&one) != 0) return false;
    critical = critical || flag != 0;
  }
  return true;
}

bool get_cert_id(CBS& in, OcspResponse::Single& single) {
  CBS id;
  CBS algorithm;
  CBS hash;
  CBS name;
  CBS key;
  CBS serial;
  if (!CBS_get_asn1(&in, &id, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&id, &algorithm, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&algorithm, &hash, CBS_ASN1_OBJECT) ||
      !CBS_get_asn1(&id, &name, CBS_ASN1_OCTETSTRING) ||
      !CBS_get_asn1(&id, &key, CBS_ASN1_OCTETSTRING) ||
      !CBS_get_asn1(&id, &serial, CBS_ASN1_INTEGER) || CBS_len(&id) != 0) {
    return false;
  }
  // Its parameters are absent or NULL; some responders say neither, and nothing hangs on it.
  single.hash = view(hash);
  single.name_hash = view(name);
  single.key_hash = view(key);
  single.serial = view(serial);
  return true;
}

bool get_revoked_info(CBS info, OcspResponse::Single& single) {
  if (!get_time(info, single.revoked_at)) return false;
  CBS outer;
  CBS reason;
  int present = 0;
  if (!CBS_get_optional_asn1(&info, &outer, &present, explicit_tag(0)) || CBS_len(&info) != 0) {
    return false;
  }
  if (!present) return true;
  if (!CBS_get_asn1(&outer, &reason, CBS_ASN1_ENUMERATED) || CBS_len(&outer) != 0 ||
      CBS_len(&reason) != 1) {
    return false;
  }
  single.reason = CBS_data(&reason)[0];
  return true;
}

bool get_status(CBS& in, OcspResponse::Single& single) {
  CBS contents;
  unsigned tag = 0;
  if (!CBS_get_any_asn1(&in, &contents, &tag)) return false;
  if (tag == explicit_tag(1)) {
    single.status = CertStatus::kRevoked;
    return get_revoked_info(contents, single);
  }
  single.status = tag == implicit_tag(0) ? CertStatus::kGood : CertStatus::kUnknown;
  return (tag == implicit_tag(0) || tag == implicit_tag(2)) && CBS_len(&contents) == 0;
}

bool get_single(CBS& list, OcspResponse::Single& single) {
  CBS in;
  CBS next;
  int present = 0;
  if (!CBS_get_asn1(&list, &in, CBS_ASN1_SEQUENCE) || !get_cert_id(in, single) ||
      !get_status(in, single) || !get_time(in, single.this_update) ||
      !CBS_get_optional_asn1(&in, &next, &present, explicit_tag(0))) {
    return false;
  }
  if (present) {
    WallTime time{};
    if (!get_time(next, time) || CBS_len(&next) != 0) return false;
    single.next_update = time;
  }
  return get_extensions(in, 1, single.critical_extension) && CBS_len(&in) == 0;
}

bool get_responder(CBS& in, OcspResponse& response) {
  CBS outer;
  CBS id;
  int named = 0;
  if (!CBS_get_optional_asn1(&in, &outer, &named, explicit_tag(1))) return false;
  response.by_name = named != 0;
  if (named) {
    if (!CBS_get_asn1_element(&outer, &id, CBS_ASN1_SEQUENCE)) return false;
  } else if (!CBS_get_asn1(&in, &outer, explicit_tag(2)) ||
             !CBS_get_asn1(&outer, &id, CBS_ASN1_OCTETSTRING)) {
    return false;
  }
  response.responder = view(id);
  return CBS_len(&outer) == 0;
}

// ResponseData. Only version 1 exists, which DER leaves out; some write it nevertheless.
Result<> parse_data(CBS whole, OcspResponse& response) {
  CBS in;
  CBS list;
  uint64_t version = 0;
  if (!CBS_get_asn1(&whole, &in, CBS_ASN1_SEQUENCE) ||
      !CBS_get_optional_asn1_uint64(&in, &version, explicit_tag(0), 0) || version != 0) {
    return malformed("its version");
  }
  if (!get_responder(in, response)) return malformed("the responder's ID");
  WallTime produced_at{};
  if (!get_time(in, produced_at)) return malformed("producedAt");
  if (!CBS_get_asn1(&in, &list, CBS_ASN1_SEQUENCE)) return malformed("the list of responses");
  while (CBS_len(&list) != 0) {
    if (!get_single(list, response.singles.emplace_back())) return malformed("a single response");
  }
  if (!get_extensions(in, 1, response.critical_extension) || CBS_len(&in) != 0) {
    return malformed("an extension");
  }
  return Unit{};
}

// BasicOCSPResponse.
Result<> parse_basic(CBS bytes, OcspResponse& response) {
  CBS in;
  CBS data;
  CBS algorithm;
  CBS signature;
  uint8_t unused_bits = 0;
  if (!CBS_get_asn1(&bytes, &in, CBS_ASN1_SEQUENCE) || CBS_len(&bytes) != 0) {
    return malformed("the basic response");
  }
  if (!CBS_get_asn1_element(&in, &data, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1_element(&in, &algorithm, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&in, &signature, CBS_ASN1_BITSTRING) || !CBS_get_u8(&signature, &unused_bits) ||
      unused_bits != 0) {
    return malformed("the signature");
  }
  response.signed_data = view(data);
  response.algorithm = view(algorithm);
  response.signature = view(signature);
  CBS outer;
  int present = 0;
  if (!CBS_get_optional_asn1(&in, &outer, &present, explicit_tag(0)) || CBS_len(&in) != 0) {
    return malformed("the basic response's end");
  }
  if (present) {
    CBS list;
    if (!CBS_get_asn1(&outer, &list, CBS_ASN1_SEQUENCE) || CBS_len(&outer) != 0) {
      return malformed("the list of certificates");
    }
    while (CBS_len(&list) != 0) {
      CBS certificate;
      if (!CBS_get_asn1_element(&list, &certificate, CBS_ASN1_SEQUENCE)) {
        return malformed("a certificate");
      }
      if (response.certificates.size() < OcspResponse::kMaxCertificates) {
        response.certificates.push_back(view(certificate));
      }
    }
  }
  return parse_data(data, response);
}

// OCSPResponseStatus, where it is not "successful".
Error refusal(uint8_t status) {
  switch (status) {
    case 1:
      return {ErrorCode::kProtocol, "the OCSP responder found our request malformed"};
    case 2:
      return {ErrorCode::kThrottled, "the OCSP responder has an internal error"};
    case 3:
      return {ErrorCode::kThrottled, "the OCSP responder says: try later"};
    case 5:
      return {ErrorCode::kProtocol, "the OCSP responder wants signed requests"};
    case 6:
      return {ErrorCode::kNotFound,
              "the OCSP responder says: unauthorized (it does not know the certificate, or not "
              "yet)"};
    default:
      return malformed("its status");
  }
}

}  // namespace

Result<OcspResponse> parse_ocsp_response(std::string_view der) {
  if (der.size() > OcspResponse::kMaxBytes) {
    return Error{ErrorCode::kProtocol, "the OCSP response is longer than 64 KiB"};
  }
  CBS bytes;
  CBS in;
  CBS status;
  CBS_init(&bytes, reinterpret_cast<const uint8_t*>(der.data()), der.size());
  if (!CBS_get_asn1(&bytes, &in, CBS_ASN1_SEQUENCE) || CBS_len(&bytes) != 0) {
    return malformed("the whole");
  }
  if (!CBS_get_asn1(&in, &status, CBS_ASN1_ENUMERATED) || CBS_len(&status) != 1) {
    return malformed("its status");
  }
  if (CBS_data(&status)[0] != 0) return refusal(CBS_data(&status)[0]);
  CBS outer;
  CBS response_bytes;
  CBS type;
  CBS basic;
  if (!CBS_get_asn1(&in, &outer, explicit_tag(0)) || CBS_len(&in) != 0 ||
      !CBS_get_asn1(&outer, &response_bytes, CBS_ASN1_SEQUENCE) || CBS_len(&outer) != 0 ||
      !CBS_get_asn1(&response_bytes, &type, CBS_ASN1_OBJECT) ||
      !CBS_get_asn1(&response_bytes, &basic, CBS_ASN1_OCTETSTRING) ||
      CBS_len(&response_bytes) != 0) {
    return malformed("its content");
  }
  if (!CBS_mem_equal(&type, kBasic.data(), kBasic.size())) {
    return Error{ErrorCode::kProtocol, "the OCSP response is not of the basic type"};
  }
  OcspResponse response;
  const Result<> parsed = parse_basic(basic, response);
  if (!parsed) return parsed.error();
  return response;
}

}  // namespace latchkey::acme
