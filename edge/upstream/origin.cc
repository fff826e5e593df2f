#include "edge/upstream/origin.h"

#include <array>

#include "base/url.h"
#include "edge/http/http1_syntax.h"

namespace latchkey::edge {
namespace {

struct Scheme {
  std::string_view prefix;
  bool tls, http2, srv;
};
constexpr std::array<Scheme, 5> kSchemes{{{"http://", false, false, false},
                                          {"https://", true, false, false},
                                          {"h2c://", false, true, false},
                                          {"srv+http://", false, false, true},
                                          {"srv+https://", true, false, true}}};

Error expected(std::string_view what, std::string_view url) {
  return {ErrorCode::kInvalid, std::string(what) + ", got \"" + url_without_secrets(url) + "\""};
}

constexpr std::string_view kForms =
    "expected http://host:port, https://host:port, h2c://host:port or srv+http://name";

}  // namespace

std::string Origin::text() const {
  if (srv) return host;
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string Origin::url() const {
  for (const Scheme& scheme : kSchemes) {
    if (scheme.tls == tls && scheme.http2 == http2 && scheme.srv == srv) {
      return std::string(scheme.prefix) + text();
    }
  }
  return text();
}

Result<Origin> parse_upstream(std::string_view url) {
  const Scheme* scheme = nullptr;
  for (const Scheme& known : kSchemes) {
    if (url.starts_with(known.prefix)) scheme = &known;
  }
  if (scheme == nullptr) return expected(kForms, url);
  std::string_view rest = url.substr(scheme->prefix.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#") != std::string_view::npos) {
    return expected("an upstream has no path: " + std::string(kForms), url);
  }
  if (!is_authority(rest)) return expected(kForms, url);
  Origin origin;
  origin.port = scheme->tls ? 443 : 80;
  origin.tls = scheme->tls;
  origin.http2 = scheme->http2;
  origin.srv = scheme->srv;
  size_t colon = rest.rfind(':');
  if (rest.front() == '[') {
    const size_t bracket = rest.find(']');
    if (colon < bracket) colon = std::string_view::npos;
    origin.host = lower(rest.substr(1, bracket - 1));
  } else {
    origin.host = lower(rest.substr(0, colon));
  }
  if (origin.srv && (colon != std::string_view::npos || rest.front() == '[')) {
    return expected("an SRV name has no port, for DNS says it: expected srv+http://name", url);
  }
  if (colon != std::string_view::npos) {
    const int port = std::stoi(std::string(rest.substr(colon + 1)));
    if (port == 0) return expected("port 0 cannot be connected to", url);
    origin.port = static_cast<uint16_t>(port);
  }
  return origin;
}

}  // namespace latchkey::edge
