// The rules of the configuration that span keys.
#include <algorithm>

#include "edge/config_read.h"

namespace latchkey::edge {
namespace {

// The account of a directory is bound to one external account at most.
bool share_an_account(const Config::Issuer& a, const Config::Issuer& b) {
  if (a.authority || b.authority) return false;
  const auto kid = [](const Config::Issuer& issuer) { return issuer.eab ? issuer.eab->kid : ""; };
  return a.directory == b.directory && kid(a) != kid(b);
}

bool can_do(const Config::Issuer& issuer, std::string_view challenge) {
  return std::find(issuer.challenges.begin(), issuer.challenges.end(), challenge) !=
         issuer.challenges.end();
}

// Does one of the issuers do one of the challenges? Authorities in here prove whatever they sign,
// where they are chosen (see OrderDesk).
bool anyone_does(const Config& config, std::initializer_list<std::string_view> challenges) {
  if (all_embedded(config)) return true;
  return std::any_of(config.issuers.begin(), config.issuers.end(), [&](const auto& issuer) {
    return std::any_of(challenges.begin(), challenges.end(),
                       [&](std::string_view challenge) { return can_do(issuer, challenge); });
  });
}

std::string check_issuers(const Config& config) {
  if (config.issuers.empty()) {
    return "issuers: none is set; add one like {\"name\": \"letsencrypt\", \"acme\": "
           "{\"directory\": \"https://acme-v02.api.letsencrypt.org/directory\", \"email\": "
           "\"you@example.com\", \"accept_terms\": true}}, or for tests and internal networks "
           "{\"name\": \"local\", \"authority\": {}}";
  }
  for (size_t i = 0; i < config.issuers.size(); ++i) {
    const Config::Issuer& issuer = config.issuers[i];
    for (size_t j = 0; j < i; ++j) {
      if (issuer.name == config.issuers[j].name) {
        return "issuers: two are named \"" + issuer.name + "\"";
      }
      if (share_an_account(issuer, config.issuers[j])) {
        return "issuers: \"" + config.issuers[j].name + "\" and \"" + issuer.name +
               "\" have the same directory but different eab.kid: there is one account for each "
               "directory; give both the same eab, or remove one of them";
      }
    }
    if (can_do(issuer, "dns-01") && !config.dns) {
      return "issuers: \"" + issuer.name +
             "\" has \"dns-01\" in acme.challenges, but the key \"dns\" does not say how records "
             "are put; add one like \"dns\": {\"hook\": {\"program\": "
             "\"/usr/local/bin/dns-challenge\"}}, or take \"dns-01\" out";
    }
  }
  return "";
}

std::string check_managed(const Config& config) {
  for (const ServerName& name : managed_names(config)) {
    if (name.is_wildcard() && !anyone_does(config, {"dns-01"})) {
      return "managed: \"" + name.text() +
             "\" is a wildcard, which CAs only issue by dns-01: add \"dns-01\" to an issuer's "
             "acme.challenges, and the key \"dns\"";
    }
    if (name.is_ip() && !anyone_does(config, {"http-01", "tls-alpn-01"})) {
      return "managed: \"" + name.text() +
             "\" is an address, which cannot be proven by dns-01: add \"http-01\" or "
             "\"tls-alpn-01\" to an issuer's acme.challenges";
    }
    if (!config.on_demand.underscore && name.text().find('_') != std::string::npos) {
      return "managed: \"" + name.text() +
             "\" has a \"_\": handshakes for it are refused unless on_demand.underscore is true";
    }
  }
  return "";
}

}  // namespace

std::string check_config(const Config& config) {
  const Config::OnDemand& on_demand = config.on_demand;
  if (on_demand.allow.empty() && on_demand.allow_files.empty() && !on_demand.ask &&
      config.managed.empty() && config.certificates.empty() && !config.acme_server) {
    return "on_demand: neither an allowlist (on_demand.allow, on_demand.allow_files) nor "
           "on_demand.ask is set, nor are there managed names or certificates: anybody could make "
           "this edge order certificates for any name; set one of them";
  }
  for (const auto& check : {check_issuers, check_authorities, check_managed}) {
    if (std::string wrong = check(config); !wrong.empty()) return wrong;
  }
  if (config.http_fallback && config.http.empty()) {
    return "renewal.http_fallback: listen.http is empty: there is no port 80 to fall back to; add "
           "an address, or take http_fallback out";
  }
  if (config.challenge_upstream && config.http.empty()) {
    return "challenge_upstream: listen.http is empty: challenges come to port 80; add an address, "
           "or take challenge_upstream out";
  }
  // A machine may be a CA and nothing else.
  if (config.routes.empty() && !config.acme_server) {
    return "routes: none is set; add one like {\"hosts\": [\"*\"], \"upstreams\": "
           "[\"http://127.0.0.1:3000\"]}";
  }
  const auto routes = check_routes(config);
  return routes ? "" : "routes: " + routes.error().message;
}

}  // namespace latchkey::edge
