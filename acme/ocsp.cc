#include "acme/ocsp.h"

#include <openssl/base64.h>
#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/obj.h>

#include <vector>

#include "acme/ocsp_identity.h"
#include "acme/ocsp_judge.h"
#include "base/check.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxGet = 255;  // bytes; RFC 5019, 5

bool add_bytes(CBB* cbb, const std::string& bytes) {
  return CBB_add_asn1_octet_string(cbb, reinterpret_cast<const uint8_t*>(bytes.data()),
                                   bytes.size());
}

std::string base64(std::string_view bytes) {
  std::vector<uint8_t> text(bytes.size() / 3 * 4 + 5);
  const size_t size =
      EVP_EncodeBlock(text.data(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return {text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size)};
}

}  // namespace

Result<std::string> make_ocsp_request(const Certificate& certificate) {
  const std::vector<std::string> chain = certificate.chain_der();
  if (chain.size() < 2) {
    return Error{ErrorCode::kInvalid,
                 "the chain has no issuer, without which no OCSP responder can be asked: add the "
                 "CA's certificate to the chain"};
  }
  const Result<OcspIdentity> identity = ocsp_identity(chain[0], chain[1]);
  if (!identity) return identity.error();
  bssl::ScopedCBB cbb;
  CBB request;
  CBB tbs;
  CBB list;
  CBB one;
  CBB id;
  CBB algorithm;
  CBB null;
  CBB serial;
  CHECK(CBB_init(cbb.get(), 128) && CBB_add_asn1(cbb.get(), &request, CBS_ASN1_SEQUENCE) &&
        CBB_add_asn1(&request, &tbs, CBS_ASN1_SEQUENCE) &&
        CBB_add_asn1(&tbs, &list, CBS_ASN1_SEQUENCE) &&
        CBB_add_asn1(&list, &one, CBS_ASN1_SEQUENCE) &&
        CBB_add_asn1(&one, &id, CBS_ASN1_SEQUENCE) &&
        CBB_add_asn1(&id, &algorithm, CBS_ASN1_SEQUENCE) && OBJ_nid2cbb(&algorithm, NID_sha1) &&
        CBB_add_asn1(&algorithm, &null, CBS_ASN1_NULL) &&
        add_bytes(&id, digest_of(identity->issuer_name, EVP_sha1())) &&
        add_bytes(&id, digest_of(identity->key_bits, EVP_sha1())) &&
        CBB_add_asn1(&id, &serial, CBS_ASN1_INTEGER) &&
        CBB_add_bytes(&serial, reinterpret_cast<const uint8_t*>(identity->serial.data()),
                      identity->serial.size()));
  uint8_t* data = nullptr;
  size_t size = 0;
  CHECK(CBB_finish(cbb.get(), &data, &size));
  std::string der(reinterpret_cast<const char*>(data), size);
  OPENSSL_free(data);
  return der;
}

std::optional<std::string> ocsp_get_url(std::string_view responder, std::string_view request) {
  if (responder.find_first_of("?#") != responder.npos) return std::nullopt;
  std::string url(responder);
  if (!url.ends_with('/')) url += '/';
  for (const char c : base64(request)) {
    switch (c) {
      case '+':
        url += "%2B";
        break;
      case '/':
        url += "%2F";
        break;
      case '=':
        url += "%3D";
        break;
      default:
        url += c;
    }
  }
  if (url.size() > kMaxGet) return std::nullopt;
  return url;
}

Result<OcspAnswer> judge_ocsp_response(std::string_view der, const Certificate& certificate,
                                       WallTime now) {
  const std::vector<std::string> chain = certificate.chain_der();
  if (chain.size() < 2) return Error{ErrorCode::kInvalid, "the chain has no issuer"};
  return judge_ocsp_response(der, chain[0], chain[1], now);
}

}  // namespace latchkey::acme
