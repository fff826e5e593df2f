// Any bytes that a server shows as its certificate are a proof, or an error that can be shown.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "acme/authority/challenge_proof.h"
#include "acme/jws.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace latchkey;
  static const ServerName name = *ServerName::parse("a.test");
  static const ServerName address = *ServerName::parse_ip("2001:db8::1");
  static const std::string digest = acme::sha256("token.thumbprint");
  const std::string_view der(reinterpret_cast<const char*>(data), size);
  for (const ServerName* whose : {&name, &address}) {
    const auto ok = acme::check_challenge_certificate(der, *whose, "token.thumbprint");
    if (ok && der.find(digest) == der.npos) std::abort();
    if (ok) continue;
    const std::string& message = ok.error().message;
    if (message.empty() || message.size() > 1000) std::abort();
    for (const char c : message) {
      if (c < ' ' || c > '~') std::abort();
    }
  }
  return 0;
}
