// Any bytes are a question or an error; what is answered to a question is a response.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "acme/authority/ocsp_responder.h"
#include "acme/ocsp_response.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

latchkey::acme::Issuer make_issuer() {
  latchkey::acme::Issuer issuer;
  issuer.subject = "Fuzz";
  issuer.key = latchkey::generate_p256_key();
  issuer.key_identifier = latchkey::acme::key_identifier(issuer.key);
  return issuer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace latchkey;
  static const acme::Issuer issuer = make_issuer();
  constexpr WallTime kNow{std::chrono::seconds(1'775'865'600)};
  const auto request = acme::parse_ocsp_request({reinterpret_cast<const char*>(data), size});
  if (!request) {
    require(!request.error().message.empty());
    return 0;
  }
  require(!request->questions.empty());
  require(request->questions.size() <= acme::OcspRequest::kMaxQuestions);
  std::vector<acme::OcspWord> words;
  for (const acme::OcspQuestion& question : request->questions) {
    require(!question.serial.empty() && question.serial.size() <= 40);
    acme::OcspWord word;
    word.cert_id = question.cert_id;
    word.status = static_cast<acme::CertStatus>(question.serial.size() / 2 % 3);
    word.revoked_at = kNow;
    words.push_back(word);
  }
  const std::string answer =
      acme::make_ocsp_response(issuer, words, request->nonce, kNow, kNow + std::chrono::hours(1));
  // What is repeated of the question may be nonsense, so the answer need not please our own reader;
  // it is one element of DER all the same.
  require(answer.size() > 100 && answer.starts_with("\x30"));
  const auto read = acme::parse_ocsp_response(answer);
  require(read || !read.error().message.empty());
  return 0;
}
