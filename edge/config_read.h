#pragma once
// The keys of the configuration and their rules. Internal to config*.cc.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "edge/config.h"

namespace latchkey::edge {

// What may stand for Config's enumerations, in their order.
inline const std::vector<std::string> kLogLevels{"debug", "info", "warning", "error"};
inline const std::vector<std::string> kLogFormats{"auto", "text", "json"};
inline const std::vector<std::string> kDeniedWords{"serve", "refuse"};
inline const std::vector<std::string> kRenewalPolicies{"seen", "always", "on_use"};
inline const std::vector<std::string> kExpiredWords{"serve", "self_signed", "refuse"};
inline const std::vector<std::string> kRsaWords{"never", "on_demand", "always"};
inline const std::vector<std::string> kTlsVersions{"1.2", "1.3"};
inline const std::vector<std::string> kClientCertificateModes{"request", "require"};
inline const std::vector<std::string> kBalanceWords{"round_robin", "least_conn", "random_two",
                                                    "ip_hash"};
inline const std::vector<std::string> kProxyOutWords{"off", "v1", "v2"};
// What RFC 8945 calls a TSIG algorithm.
inline const std::vector<std::string> kTsigAlgorithms{"hmac-sha256", "hmac-sha384", "hmac-sha512",
                                                      "hmac-sha1"};

// A key that holds null or a section of its own. Anything else is a mistake that names `example`.
template <typename T, typename Read>
void read_optional(Section& parent, const char* key, const char* example, std::optional<T>& out,
                   Read read) {
  if (parent.is_null(key)) {
    out.reset();
  } else if (parent.is_object(key)) {
    Section section = parent.section(key);
    T value;
    read(section, value);
    out = std::move(value);
  } else if (parent.has(key)) {
    parent.complain_of_kind(key, example);
  }
}
inline void require(Section& section, const char* key, const char* what) {
  if (!section.has(key)) section.complain(std::string(key) + " is missing: " + what);
}
inline bool is_not_empty(std::string_view text) {
  return !text.empty();
}

// The keys that are about where certificates lie and how names are proven by DNS: `certificates`,
// `rsa`, `ocsp`, `dns`, `export`, `challenge_upstream`. In config_read_files.cc.
void read_files_and_dns(Section& top, Config& out);

// An issuer's `authority`; `acme_server`. In config_read_authority.cc.
void read_authority(Section& section, AuthorityConfig& out);
void read_acme_server(Section& top, Config& out);
// Their rules that span keys; "": they are kept.
std::string check_authorities(const Config& config);
// Of a CA's account, or of ours. In config_read.cc.
void read_eab(Section& section, EabConfig& out);

// `tls`. In config_read_tls.cc.
void read_tls(Section section, TlsConfig& out);

// The keys about what is done around each request. In config_read_front.cc; the inverse and the
// list of them in config_show_front.cc.
void read_front(Section& top, FrontConfig& out);
void write_front(const FrontConfig& config, JsonObject& out);
// A route's `redirect`.
void read_redirect(Section& route, std::optional<Redirect>& out);
std::string show_redirect(const std::optional<Redirect>& redirect);
// Whether `path` is one of these keys, or within one: a reload takes them all.
bool is_front_key(std::string_view path);

// `resolvers`: at most 8 addresses of DNS servers, as Resolver::Options has them.
void read_resolvers(Section& section, std::string& out);

// `groups`, `routes` and `upstream`. In config_read_routes.cc.
void read_routes(Section& top, Config& out);

// Takes every key of the document; mistakes are complained about and change nothing.
void read_config(Section& top, Config& out);

// The inverse. With `secrets`, what URLs may hold of them is left in: for comparing, not showing.
std::string write_config(const Config& config, bool secrets);

}  // namespace latchkey::edge
