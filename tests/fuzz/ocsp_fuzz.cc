// Any bytes are a responder's word or an error; a word is in force now.

#include <openssl/base64.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "acme/ocsp_judge.h"
#include "acme/ocsp_response.h"
#include "tests/fuzz/ocsp_certificates.h"

namespace {

std::string decoded(std::string_view text) {
  std::string bytes(text.size(), '\0');
  size_t size = 0;
  if (!EVP_DecodeBase64(reinterpret_cast<uint8_t*>(bytes.data()), &size, bytes.size(),
                        reinterpret_cast<const uint8_t*>(text.data()), text.size())) {
    std::abort();
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace latchkey;
  static const std::string leaf = decoded(kLeaf);
  static const std::string issuer = decoded(kIssuer);
  constexpr WallTime kNow{std::chrono::seconds(1'775'865'600)};  // when the seeds were good
  const std::string_view der(reinterpret_cast<const char*>(data), size);
  const auto response = acme::parse_ocsp_response(der);
  if (!response && response.error().message.empty()) std::abort();
  if (response && response->certificates.size() > acme::OcspResponse::kMaxCertificates) {
    std::abort();
  }
  const auto answer = acme::judge_ocsp_response(der, leaf, issuer, kNow);
  if (!answer) {
    if (answer.error().message.empty()) std::abort();
    return 0;
  }
  if (!response || answer->next_update <= kNow || answer->next_update <= answer->this_update) {
    std::abort();
  }
  const bool revoked = answer->status == acme::CertStatus::kRevoked;
  if (revoked == answer->reason.empty()) std::abort();
  return 0;
}
