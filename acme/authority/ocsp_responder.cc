#include "acme/authority/ocsp_responder.h"

#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/mem.h>

#include <cstdio>

#include "acme/der.h"
#include "base/check.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr std::string_view kSha1("\x2b\x0e\x03\x02\x1a", 5);
constexpr std::string_view kSha256("\x60\x86\x48\x01\x65\x03\x04\x02\x01", 9);
constexpr std::string_view kNonce("\x2b\x06\x01\x05\x05\x07\x30\x01\x02", 9);
constexpr std::string_view kBasic("\x2b\x06\x01\x05\x05\x07\x30\x01\x01", 9);
constexpr std::string_view kEcdsaWithSha256("\x2a\x86\x48\xce\x3d\x04\x03\x02", 8);
constexpr size_t kMaxSerial = 20;  // bytes: RFC 5280, 4.1.2.2
constexpr size_t kMaxNonce = 128;  // RFC 9654 wants 32, some ask for more

Error malformed(const char* part) {
  return {ErrorCode::kProtocol,
          std::string("the OCSP request is malformed: ") + part + " does not parse"};
}

// Request ::= SEQUENCE { CertID, [0] extensions OPTIONAL }
bool read_question(CBS& list, OcspQuestion& out) {
  CBS request, id, algorithm, hash, name_hash, key_hash, serial, rest;
  if (!CBS_get_asn1(&list, &request, CBS_ASN1_SEQUENCE)) return false;
  rest = request;
  if (!CBS_get_asn1_element(&request, &id, CBS_ASN1_SEQUENCE)) return false;
  out.cert_id = view(id);
  if (!CBS_get_asn1(&rest, &id, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&id, &algorithm, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&algorithm, &hash, CBS_ASN1_OBJECT) ||
      !CBS_get_asn1(&id, &name_hash, CBS_ASN1_OCTETSTRING) ||
      !CBS_get_asn1(&id, &key_hash, CBS_ASN1_OCTETSTRING) ||
      !CBS_get_asn1(&id, &serial, CBS_ASN1_INTEGER) || CBS_len(&id) != 0 || CBS_len(&serial) == 0 ||
      CBS_len(&serial) > kMaxSerial) {
    return false;
  }
  if (view(hash) == kSha1 || view(hash) == kSha256) {
    out.sha256 = view(hash) == kSha256;
    out.name_hash = view(name_hash);
    out.key_hash = view(key_hash);
  }
  out.serial = to_hex(view(serial));
  return true;
}

// Extensions of which only the nonce matters.
bool read_extensions(CBS& wrapped, std::string& nonce) {
  CBS list;
  if (!CBS_get_asn1(&wrapped, &list, CBS_ASN1_SEQUENCE)) return false;
  while (CBS_len(&list) != 0) {
    CBS element, extension, oid;
    if (!CBS_get_asn1_element(&list, &element, CBS_ASN1_SEQUENCE)) return false;
    CBS copy = element;
    if (!CBS_get_asn1(&copy, &extension, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&extension, &oid, CBS_ASN1_OBJECT)) {
      return false;
    }
    if (view(oid) == kNonce && CBS_len(&element) <= kMaxNonce) nonce = view(element);
  }
  return true;
}

void add_time(CBB* to, WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  char text[32];
  std::snprintf(text, sizeof(text), "%04d%02u%02u%02d%02d%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  add_value(to, CBS_ASN1_GENERALIZEDTIME, text);
}

void add_word(CBB* to, const OcspWord& word, WallTime this_update, WallTime next_update) {
  CBB single, revoked, reason, next;
  ok(CBB_add_asn1(to, &single, CBS_ASN1_SEQUENCE));
  add_raw(&single, word.cert_id);
  if (word.status == CertStatus::kRevoked) {
    ok(CBB_add_asn1(&single, &revoked, explicit_tag(1)));
    add_time(&revoked, word.revoked_at);
    if (word.reason != 0) {
      ok(CBB_add_asn1(&revoked, &reason, explicit_tag(0)));
      add_value(&reason, CBS_ASN1_ENUMERATED, std::string(1, static_cast<char>(word.reason)));
    }
    ok(CBB_flush(&single));
  } else {
    add_value(&single, implicit_tag(word.status == CertStatus::kGood ? 0 : 2), "");
  }
  add_time(&single, this_update);
  ok(CBB_add_asn1(&single, &next, explicit_tag(0)));
  add_time(&next, next_update);
  ok(CBB_flush(to));
}

std::string signature(const PrivateKey& key, std::string_view bytes) {
  bssl::ScopedEVP_MD_CTX hash;
  EVP_MD_CTX* const state = hash.get();
  ok(EVP_DigestSignInit(state, nullptr, EVP_sha256(), nullptr, key.get()));
  size_t size = 0;
  ok(EVP_DigestSign(state, nullptr, &size, bytes_of(bytes), bytes.size()));
  std::string out(size, '\0');
  ok(EVP_DigestSign(state, reinterpret_cast<uint8_t*>(out.data()), &size, bytes_of(bytes),
                    bytes.size()));
  out.resize(size);
  return out;
}

}  // namespace

Result<OcspRequest> parse_ocsp_request(std::string_view der) {
  if (der.size() > OcspRequest::kMaxBytes) return malformed("what is longer than 4 KiB");
  CBS in, request, tbs, list, wrapped;
  CBS_init(&in, bytes_of(der), der.size());
  int present = 0;
  if (!CBS_get_asn1(&in, &request, CBS_ASN1_SEQUENCE) || CBS_len(&in) != 0 ||
      !CBS_get_asn1(&request, &tbs, CBS_ASN1_SEQUENCE) ||
      !CBS_get_optional_asn1(&tbs, nullptr, nullptr, explicit_tag(0)) ||  // version
      !CBS_get_optional_asn1(&tbs, nullptr, nullptr, explicit_tag(1)) ||  // requestorName
      !CBS_get_asn1(&tbs, &list, CBS_ASN1_SEQUENCE)) {
    return malformed("its envelope");
  }
  OcspRequest out;
  while (CBS_len(&list) != 0) {
    if (out.questions.size() == OcspRequest::kMaxQuestions) return malformed("its ninth question");
    OcspQuestion question;
    if (!read_question(list, question)) return malformed("a question");
    out.questions.push_back(std::move(question));
  }
  if (out.questions.empty()) return malformed("its empty list of questions");
  if (!CBS_get_optional_asn1(&tbs, &wrapped, &present, explicit_tag(2)) ||
      (present != 0 && !read_extensions(wrapped, out.nonce))) {
    return malformed("an extension");
  }
  return out;
}

std::string make_ocsp_response(const Issuer& issuer, const std::vector<OcspWord>& words,
                               const std::string& nonce, WallTime this_update,
                               WallTime next_update) {
  bssl::ScopedCBB data;
  ok(CBB_init(data.get(), 512));
  CBB tbs, by_key, list, extensions, all;
  ok(CBB_add_asn1(data.get(), &tbs, CBS_ASN1_SEQUENCE));
  ok(CBB_add_asn1(&tbs, &by_key, explicit_tag(2)));
  add_value(&by_key, CBS_ASN1_OCTETSTRING, key_hash(issuer.key, false));
  add_time(&tbs, this_update);
  ok(CBB_add_asn1(&tbs, &list, CBS_ASN1_SEQUENCE));
  for (const OcspWord& word : words) add_word(&list, word, this_update, next_update);
  if (!nonce.empty()) {
    ok(CBB_add_asn1(&tbs, &extensions, explicit_tag(1)));
    ok(CBB_add_asn1(&extensions, &all, CBS_ASN1_SEQUENCE));
    add_raw(&all, nonce);
  }
  const std::string response_data = finish(data.get());

  bssl::ScopedCBB basic;
  ok(CBB_init(basic.get(), 1024));
  CBB sequence, algorithm;
  ok(CBB_add_asn1(basic.get(), &sequence, CBS_ASN1_SEQUENCE));
  add_raw(&sequence, response_data);
  ok(CBB_add_asn1(&sequence, &algorithm, CBS_ASN1_SEQUENCE));
  add_value(&algorithm, CBS_ASN1_OBJECT, kEcdsaWithSha256);
  ok(CBB_flush(&sequence));
  add_value(&sequence, CBS_ASN1_BITSTRING,
            std::string(1, '\0') + signature(issuer.key, response_data));
  const std::string basic_response = finish(basic.get());

  bssl::ScopedCBB whole;
  ok(CBB_init(whole.get(), 1024));
  CBB response, wrapped, typed;
  ok(CBB_add_asn1(whole.get(), &response, CBS_ASN1_SEQUENCE));
  add_value(&response, CBS_ASN1_ENUMERATED, std::string(1, '\0'));
  ok(CBB_add_asn1(&response, &wrapped, explicit_tag(0)));
  ok(CBB_add_asn1(&wrapped, &typed, CBS_ASN1_SEQUENCE));
  add_value(&typed, CBS_ASN1_OBJECT, kBasic);
  add_value(&typed, CBS_ASN1_OCTETSTRING, basic_response);
  return finish(whole.get());
}

std::string make_ocsp_error(OcspError error) {
  return std::string("\x30\x03\x0a\x01") + static_cast<char>(error);
}

}  // namespace latchkey::acme
