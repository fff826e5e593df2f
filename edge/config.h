#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/server_name.h"
#include "edge/config_authority.h"
#include "edge/front/config.h"
#include "edge/routes.h"
#include "ondemand/limits.h"
#include "ondemand/renewal_plan.h"

namespace latchkey::edge {

// A part of the configuration; out here because clang 14 takes no std::optional of a nested class
// with initializers.
struct AskConfig {
  std::string url;
  Millis timeout{2'000};
  Millis positive_ttl{3'600'000};
  Millis negative_ttl{60'000};
  Millis stale_ttl{86'400'000};
  int64_t max_concurrent = 32;
  std::optional<std::string> token_file;
  bool send_reason = false;
};

// "burst" at once, and as many in each "per".
struct RateConfig {
  int64_t burst = 1;
  Millis per{1000};
};

// A certificate in files.
struct CertificateFiles {
  std::string cert_file, key_file;
};

// Where events go beside the table.
struct WebhookConfig {
  std::string url;
  std::optional<std::string> secret_file{};  // for the HMAC; none: unsigned
  std::vector<std::string> kinds{};          // empty: all
  Millis timeout{10'000};
};
struct HookConfig {
  std::string program;               // a path; is given the event as JSON on its standard input
  std::vector<std::string> kinds{};  // empty: all
  Millis timeout{30'000};
};

// certificates[]: one pair, or a folder (certbot's live/: NAME/fullchain.pem and NAME/privkey.pem;
// or pairs NAME.crt/NAME.pem and NAME.key).
struct ConfiguredFiles {
  std::optional<CertificateFiles> pair{};
  std::optional<std::string> dir{};
};

struct DnsHookConfig {
  std::string program;
  Millis timeout{120'000};
};
struct Rfc2136Config {
  std::string server;  // with its port
  std::string zone{};  // "": found out
  std::string key_name{};
  std::string algorithm = "hmac-sha256";
  std::optional<std::string> secret_file{};  // base64, as in name servers' configurations
  int64_t ttl = 60;
};
// dns: how dns-01's records are put; one of the two.
struct DnsConfig {
  using Hook = DnsHookConfig;
  using Rfc2136 = Rfc2136Config;
  std::optional<Hook> hook{};
  std::optional<Rfc2136> rfc2136{};
  bool follow_cname = true;
  Millis propagation_timeout{120'000};
  Millis settle{0};
  std::string resolvers{};
};

// export: certificates in files for other daemons, kept up to date.
struct ExportConfig {
  std::string dir;
  std::optional<HookConfig> hook{};  // after changes; kinds stays empty
};

// tls.client_certificates: who vouches for clients, and where clients are asked.
struct ClientCertificatesConfig {
  std::string ca_file;
  bool required = true;              // else who shows none is served too
  std::vector<std::string> hosts{};  // empty: all
};

// tls: what handshakes are held to. Names as BoringSSL has them; an empty list: ours.
struct TlsConfig {
  bool only_tls13 = false;
  std::vector<std::string> ciphers{};  // of TLS 1.2
  std::vector<std::string> groups{};
  std::optional<ClientCertificatesConfig> client_certificates{};
};

// groups[].tls: towards upstreams.
struct UpstreamTlsConfig {
  std::optional<std::string> ca_file{};  // none: the system's authorities
  std::optional<std::string> server_name{};
  std::optional<CertificateFiles> certificate{};  // ours
};

// groups[]: upstreams that can stand in for each other.
struct GroupConfig {
  std::string name;
  std::vector<std::string> upstreams;
  std::vector<int64_t> weights{};
  size_t balance = 0;  // an index into kBalanceWords
  std::optional<HealthCheck> health{};
  std::optional<Ejection> ejection = Ejection();
  Millis slow_start{0};
  int64_t retries = 3;
  bool http2 = false;
  size_t proxy_protocol = 0;  // an index into kProxyOutWords
  UpstreamTlsConfig tls{};
};

enum class RsaTwins { kNever, kOnDemand, kAlways };

// Certificates that have expired.
enum class ExpiredPolicy {
  kServe,       // a short wait for a fresh one, then the old one
  kSelfSigned,  // ... then one that says so
  kRefuse,
};

// The limits of an issuer: one of the tables that we know, or that with the operator's own rates.
struct LimitsConfig {
  std::string table{};  // a word that IssuerLimits::named knows
  bool own = false;     // the rates below stand in for the table's; nullopt: no limit
  std::optional<RateConfig> orders{}, renewals{}, registered_domain{}, identifiers{},
      name_failures{};

  // A named table uses 90 % of what the CA has published; own rates are used as they are written.
  IssuerLimits limits() const;
};

// The whole configuration, with its defaults. docs/configuration.md explains the keys.
struct Config {
  using Ask = AskConfig;
  struct OnDemand {
    std::vector<std::string> allow;
    std::vector<std::string> allow_files;
    std::optional<Ask> ask;
    bool underscore = false;
    Millis park_timeout{25'000};
    int64_t max_parked = 20'000;
    int64_t max_parked_per_name = 10'000;
    int64_t max_parked_per_prefix = 500;
    int64_t max_orders = 20;
    bool refuse_denied = false;  // "denied": "refuse" instead of "serve"
    std::optional<RateConfig> throttle{};
    std::optional<RateConfig> per_registered_domain{RateConfig{50, Millis(604'800'000)}};
  };
  struct Issuer {
    std::string name;
    std::optional<AuthorityConfig> authority{};  // embedded; none: a CA, by the keys below
    std::string directory;
    std::string email;
    bool accept_terms = false;
    std::optional<std::string> ca_file;
    std::vector<std::string> challenges{"tls-alpn-01", "http-01"};  // or "dns-01"
    bool must_staple = false;
    std::optional<EabConfig> eab{};
    std::optional<std::string> profile{};
    std::optional<std::string> preferred_chain{};  // the common name of its last issuer
    std::optional<LimitsConfig> limits{};          // none: by the directory's host; see limits_of
    int64_t max_orders = 0;  // at once at this issuer; 0: on_demand.max_orders
  };
  struct Route {
    std::vector<std::string> hosts{"*"};
    std::vector<std::string> paths{};
    std::optional<std::string> group{};  // by its name, or:
    std::vector<std::string> upstreams;
    HeaderRules request_headers;
    HeaderRules response_headers;
    std::optional<Redirect> redirect{};  // instead of upstreams
  };

  struct FallbackKeys {
    std::optional<CertificateFiles> default_certificate{};  // for handshakes without SNI
    bool self_signed_parking = false;
    std::optional<CertificateFiles> parking_certificate{};
  };

  std::vector<std::string> https{"0.0.0.0:443", "[::]:443"};
  std::vector<std::string> http{"0.0.0.0:80", "[::]:80"};
  std::vector<std::string> proxy_protocol_from{};  // ranges of addresses
  std::string state_dir = "/var/lib/latchkey";
  int64_t workers = 0;  // 0: one per core
  std::optional<std::string> admin_socket{"/run/latchkey/admin.sock"};
  OnDemand on_demand;
  FallbackKeys fallback;
  TlsConfig tls;
  std::vector<Issuer> issuers;
  // Names, wildcards and IP addresses that get certificates without a visit, and keep them.
  std::vector<std::string> managed;
  std::optional<AcmeServerConfig> acme_server{};
  std::vector<ConfiguredFiles> certificates;
  RsaTwins rsa = RsaTwins::kOnDemand;
  bool ocsp = true;  // ocsp.enabled
  std::optional<DnsConfig> dns{};
  std::optional<ExportConfig> export_to{};  // "export"
  // HTTP-01 requests on port 80 for tokens that are not ours go there, whatever their Host:
  // "http://127.0.0.1:8888".
  std::optional<std::string> challenge_upstream{};
  FrontConfig front{};
  RenewalRules renewal;
  ExpiredPolicy expired = ExpiredPolicy::kServe;
  bool http_fallback = false;
  Millis keep_expired{2'592'000'000};  // 30 d
  std::optional<WebhookConfig> webhook{};
  std::optional<HookConfig> hook{};
  std::string store_sqlite = "latchkey.db";
  std::string encryption_key_file = "encryption.key";
  int64_t cache_max_certificates = 100'000;
  uint64_t cache_max_bytes = 512ULL << 20;
  std::vector<GroupConfig> groups{};
  std::vector<Route> routes;
  Millis upstream_connect_timeout{5'000};
  Millis upstream_response_timeout{60'000};
  std::string upstream_resolvers{};  // as Resolver::Options has them
  Millis shutdown_grace{30'000};
  Millis upgrade_timeout{60'000};   // for each step of a new process that is to take over
  Millis upgrade_grace{3'600'000};  // of connections that the process has which was replaced
  LogLevel log_level = LogLevel::kInfo;
  size_t log_format = 0;  // an index into kLogFormats

  std::filesystem::path folder;  // of the file: what relative paths (but those of state) are to
  // state_dir's own: the store, the admin socket.
  std::filesystem::path state(const std::string& path) const;
  std::filesystem::path file(const std::string& path) const;
};

// Reads and judges the text of a configuration file. The error (kInvalid) lists all mistakes, a
// line each: "my.json:3:7: workers: expected an integer from 1 to 1024, got \"many\"".
Result<Config> parse_config(std::string_view text, const std::string& file_name);
Result<Config> load_config(const std::filesystem::path& file);

// The limits that hold for an issuer: its own, else those that its directory's host is known for.
LimitsConfig limits_of(const Config::Issuer& issuer);

// Is there no issuer but embedded authorities?
bool all_embedded(const Config& config);
// on_demand.per_registered_domain where the configuration does not say: none where all issuers are
// embedded, whose certificates cost nobody anything.
std::optional<RateConfig> default_bound(const Config& config);

// One entry of `managed`. The error (kInvalid) names the rule that `text` breaks.
Result<ServerName> parse_managed(std::string_view text);
// `managed` and acme_server.hosts of a configuration that was judged good, each once.
std::vector<ServerName> managed_names(const Config& config);

// The embedded authority that acme_server is about, by its place among the issuers; nullopt: there
// is no acme_server. REQUIRES: a configuration that was judged good.
std::optional<size_t> served_authority(const Config& config);
// Where certificates of that issuer say that revocation is asked about; "": nowhere.
std::string status_url(const Config& config, const Config::Issuer& issuer);

// The rules that span keys; "" when it is complete enough to run. Also for the short start.
std::string check_config(const Config& config);

// Whether the routes and groups fit together; no file is read.
Result<> check_routes(const Config& config);

// The routes and groups of a configuration that was judged good, with the files that groups name.
// Of a group whose files cannot be used every request fails, and says why; `troubles` has a line
// for each.
std::shared_ptr<const RoutingTable> make_routes(const Config& config,
                                                std::vector<std::string>& troubles);

// challenge_upstream as a table of one route for every host; null: there is none.
Result<std::shared_ptr<const RoutingTable>> make_challenge_route(const Config& config);

// The keys that differ.
std::vector<std::string> changed_keys(const Config& before, const Config& after);
// The keys that differ and that a running process does not take over. It does take routes,
// groups, on_demand.allow, on_demand.allow_files, fallback.*, tls.*, certificates,
// acme_server.allow, challenge_upstream, all of FrontConfig and log.level.
std::vector<std::string> keys_for_restart(const Config& before, const Config& after);

// The effective configuration as JSON. Holds no secrets: those are in files that it names.
std::string show_config(const Config& config);

}  // namespace latchkey::edge
