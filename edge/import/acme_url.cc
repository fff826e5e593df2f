#include "edge/import/acme_url.h"

#include <algorithm>

#include "base/text.h"

namespace latchkey::edge {
namespace {

// "https://ca.test:14000/x" -> "https://", "ca.test:14000"; empty when it is no URL.
struct Origin {
  std::string scheme, authority;

  explicit Origin(std::string_view url) {
    const size_t mark = url.find("://");
    if (mark == url.npos) return;
    scheme = lower(url.substr(0, mark + 3));
    const std::string_view rest = url.substr(mark + 3);
    authority = lower(rest.substr(0, rest.find_first_of("/?#")));
  }
  std::string host() const {
    const size_t colon = authority.rfind(':');
    const bool port = colon != std::string::npos && authority.find(']', colon) == std::string::npos;
    return port ? authority.substr(0, colon) : authority;
  }
};

// Directories whose capitals Caddy's folders have lost.
constexpr std::string_view kWithCapitals[] = {"https://acme.zerossl.com/v2/DV90"};

std::string with_capitals(std::string url) {
  for (const std::string_view known : kWithCapitals) {
    if (same_directory(known, url)) return std::string(known);
  }
  return url;
}

}  // namespace

std::string directory_from_path(std::string_view path, std::string_view url) {
  const size_t slash = path.find('/');
  const std::string_view host = path.substr(0, slash);
  const std::string_view rest = slash == path.npos ? std::string_view() : path.substr(slash);
  if (host.empty()) return {};
  const Origin known(url);
  const bool same = known.authority == host || known.host() == host;
  std::string out = same ? known.scheme + known.authority : "https://" + std::string(host);
  return out.append(rest);
}

std::string directory_from_caddy_key(std::string_view key, std::string_view url) {
  const Origin known(url);
  std::string host = known.authority;
  std::replace(host.begin(), host.end(), ':', '-');
  if (!host.empty() && key.starts_with(host)) {
    std::string path(key.substr(host.size()));
    std::replace(path.begin(), path.end(), '-', '/');
    return with_capitals(known.scheme + known.authority + path);
  }
  // Of the two that most have, without asking anybody.
  constexpr std::string_view kKnown[] = {"acme-v02.api.letsencrypt.org-directory",
                                         "acme-staging-v02.api.letsencrypt.org-directory"};
  for (const std::string_view one : kKnown) {
    if (key != one) continue;
    return "https://" + std::string(one.substr(0, one.rfind('-'))) + "/directory";
  }
  return {};
}

bool same_directory(std::string_view a, std::string_view b) {
  while (a.ends_with('/')) a.remove_suffix(1);
  while (b.ends_with('/')) b.remove_suffix(1);
  return same_text(a, b);
}

}  // namespace latchkey::edge
