#include "acme/ca_url.h"

#include <array>

#include "base/json.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxUrl = 2048;

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  // 127.0.0.0/8 in its usual form only: what a resolver would have to look up is no address.
  return host.substr(0, 4) == "127." &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

// What stands between "://" and the path.
std::string_view authority_of(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  url.remove_prefix(scheme + 3);
  return url.substr(0, url.find_first_of("/?#"));
}

std::string shown(std::string_view url) {
  return json_quote(url.size() <= 200 ? std::string(url) : std::string(url.substr(0, 200)) + "…");
}

bool ends_with_domain(std::string_view host, std::string_view domain) {
  if (host.size() < domain.size()) return false;
  const size_t at = host.size() - domain.size();
  return host.substr(at) == domain && (at == 0 || host[at - 1] == '.');
}

}  // namespace

std::string host_of(std::string_view url) {
  std::string_view host = authority_of(url);
  if (const size_t at = host.rfind('@'); at != std::string_view::npos) host.remove_prefix(at + 1);
  if (!host.empty() && host.front() == '[') {
    const size_t end = host.find(']');
    host = end == std::string_view::npos ? std::string_view() : host.substr(1, end - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  return lower(host);
}

Result<std::string> check_ca_url(std::string_view what, std::string_view url) {
  const auto wrong = [&](std::string_view expected) {
    return Error{ErrorCode::kProtocol,
                 std::string(what) + ": expected " + std::string(expected) + ", got " + shown(url)};
  };
  if (url.empty()) return wrong("a URL");
  if (url.size() > kMaxUrl) return wrong("a URL of at most 2048 bytes");
  for (const char c : url) {
    if (c <= ' ' || c > '~') return wrong("a URL of printable ASCII characters");
  }
  const std::string host = host_of(url);
  const bool https = url.substr(0, 8) == "https://";
  const bool http = url.substr(0, 7) == "http://";
  if (!https && !(http && is_loopback(host))) {
    return wrong("an https:// URL (http:// only to a loopback address)");
  }
  if (host.empty()) return wrong("a URL with a host");
  if (authority_of(url).find('@') != std::string_view::npos) return wrong("a URL without a user");
  return std::string(url);
}

bool is_public_production_ca(std::string_view host) {
  constexpr std::array<std::string_view, 4> kStaging{
      "acme-staging-v02.api.letsencrypt.org",
      "dv.acme-v02.test-api.pki.goog",
      "api.test4.buypass.no",
      "acme-try.ssl.com",
  };
  constexpr std::array<std::string_view, 12> kPublic{
      "api.letsencrypt.org", "zerossl.com",  "pki.goog",
      "buypass.com",         "buypass.no",   "ssl.com",
      "sectigo.com",         "digicert.com", "globalsign.com",
      "trust-provider.com",  "actalis.com",  "entrust.net",
  };
  for (const std::string_view staging : kStaging) {
    if (host == staging) return false;
  }
  for (const std::string_view domain : kPublic) {
    if (ends_with_domain(host, domain)) return true;
  }
  return false;
}

}  // namespace latchkey::acme
