#include "acme/authority/redirect.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "acme/problem.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxLocation = 2000;  // bytes
constexpr size_t kMaxShown = 200;      // bytes of it in a message
constexpr uint16_t kHttp = 80;
constexpr uint16_t kHttps = 443;

struct Parts {
  std::string scheme;     // lower case
  std::string authority;  // as it came
  std::string rest;       // path and query
};

Error refused(std::string_view location, const std::string& why) {
  return {ErrorCode::kProtocol,
          "a redirect to \"" + printable(location, kMaxShown) + "\" is not followed: " + why};
}

// "http" of "http://a/"; "" where there is no scheme.
std::string_view scheme_of(std::string_view url) {
  const size_t end = url.find_first_of(":/?");
  return end != url.npos && url[end] == ':' ? url.substr(0, end) : std::string_view();
}

// Behind "scheme:". REQUIRES: it begins with "//".
Parts with_authority(std::string scheme, std::string_view behind) {
  behind.remove_prefix(2);
  const size_t end = std::min(behind.find_first_of("/?"), behind.size());
  std::string rest(behind.substr(end));
  if (!rest.starts_with('/')) rest.insert(0, "/");
  return {std::move(scheme), std::string(behind.substr(0, end)), std::move(rest)};
}

Parts parts_of(std::string_view url) {
  const std::string_view scheme = scheme_of(url);
  return with_authority(std::string(scheme), url.substr(scheme.size() + 1));
}

// RFC 3986, 5.2.2, but that dots in paths are left to the server.
std::optional<Parts> resolve(std::string_view from, std::string_view location) {
  const std::string_view scheme = scheme_of(location);
  if (!scheme.empty()) {
    const std::string_view behind = location.substr(scheme.size() + 1);
    if (!behind.starts_with("//")) return std::nullopt;
    return with_authority(lower(scheme), behind);
  }
  Parts base = parts_of(from);
  if (location.starts_with("//")) return with_authority(base.scheme, location);
  const std::string_view path =
      std::string_view(base.rest).substr(0, std::min(base.rest.find('?'), base.rest.size()));
  if (location.empty() || location.starts_with('/')) {
    base.rest = location.empty() ? base.rest : std::string(location);
  } else if (location.starts_with('?')) {
    base.rest = std::string(path) + std::string(location);
  } else {
    base.rest = std::string(path.substr(0, path.rfind('/') + 1)) + std::string(location);
  }
  return base;
}

// nullopt: none that can be, or a port of no use.
std::optional<uint16_t> port_of(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// As configuration and DNS have them; an address is one only if it is the rules' own.
std::optional<ServerName> host_of(std::string_view host, const RedirectRules& rules) {
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  const auto address = ServerName::parse_ip(bracketed ? host.substr(1, host.size() - 2) : host);
  if (address) return *address == rules.name ? std::optional(*address) : std::nullopt;
  ServerNameRules lenient;
  lenient.underscore = true;
  const auto name = ServerName::parse(host, lenient);
  return name ? std::optional(*name) : std::nullopt;
}

}  // namespace

std::string authority_of(const ServerName& name, uint16_t port, bool https) {
  const bool version_6 = name.text().find(':') != std::string::npos;
  const std::string host = version_6 ? "[" + name.text() + "]" : name.text();
  return port == (https ? kHttps : kHttp) ? host : host + ":" + std::to_string(port);
}

Result<std::string> follow_redirect(std::string_view from, std::string_view location,
                                    const RedirectRules& rules) {
  const std::string_view whole = location;
  const bool clean = std::all_of(location.begin(), location.end(),
                                 [](char c) { return c > ' ' && c < '\x7f' && c != '\\'; });
  if (!clean || location.size() > kMaxLocation) {
    return refused(whole, "it is no URL, or has over " + std::to_string(kMaxLocation) + " bytes");
  }
  location = location.substr(0, location.find('#'));
  const std::optional<Parts> parts = resolve(from, location);
  if (!parts || (parts->scheme != "http" && parts->scheme != "https")) {
    return refused(whole, "only http:// and https:// are");
  }
  const bool https = parts->scheme == "https";
  const std::string_view authority = parts->authority;
  if (authority.find('@') != authority.npos) return refused(whole, "it names a user");
  const size_t host_end =
      authority.starts_with('[') ? std::min(authority.find(']'), authority.size()) : 0;
  const size_t colon = authority.find(':', host_end);
  const auto port = colon == authority.npos ? std::optional(https ? kHttps : kHttp)
                                            : port_of(authority.substr(colon + 1));
  if (!port ||
      (*port != kHttp && *port != kHttps && *port != rules.http_port && *port != rules.tls_port)) {
    return refused(whole, "its port must be " + std::to_string(rules.http_port) + ", " +
                              std::to_string(rules.tls_port) + ", 80 or 443");
  }
  const auto host = host_of(authority.substr(0, colon), rules);
  if (!host) return refused(whole, "its host is no host name");
  return parts->scheme + "://" + authority_of(*host, *port, https) + parts->rest;
}

}  // namespace latchkey::acme
