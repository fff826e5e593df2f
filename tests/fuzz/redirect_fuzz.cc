// A redirect, whatever it says, leads to a web server's port of a named host, or is refused.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "acme/authority/redirect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace latchkey;
  static const acme::RedirectRules rules{*ServerName::parse("a.test"), 8080, 8443};
  const std::string_view location(reinterpret_cast<const char*>(data), size);
  std::string url = "http://a.test/.well-known/acme-challenge/x";
  for (int i = 0; i < 3; ++i) {
    const auto next = acme::follow_redirect(url, location, rules);
    if (!next) {
      if (next.error().message.empty() || next.error().message.size() > 1500) std::abort();
      return 0;
    }
    url = *next;
    const bool https = url.starts_with("https://");
    if (!https && !url.starts_with("http://")) std::abort();
    std::string authority = url.substr(https ? 8 : 7);
    const size_t end = authority.find('/');
    if (end == authority.npos) std::abort();
    authority.resize(end);
    const size_t colon = authority.find(':');
    const std::string port = colon == authority.npos ? "80" : authority.substr(colon + 1);
    if (port != "80" && port != "443" && port != "8080" && port != "8443") std::abort();
    ServerNameRules lenient;
    lenient.underscore = true;
    if (!ServerName::parse(authority.substr(0, colon), lenient)) std::abort();
  }
  return 0;
}
