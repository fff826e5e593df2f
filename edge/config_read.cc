#include "edge/config_read.h"

#include <algorithm>
#include <array>

#include "base/address_ranges.h"
#include "cache/event.h"
#include "edge/listener.h"
#include "policy/allowlist.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kYear = 365 * 24h;
constexpr Millis kTenYears = 10 * kYear;
constexpr size_t kMaxSocketPath = 107;  // what fits into a sockaddr_un

constexpr std::array kEventKinds{
    event_kind::kObtained,        event_kind::kRenewed,        event_kind::kFailed,
    event_kind::kRenewalFailed,   event_kind::kRevoked,        event_kind::kDeniedAtRenewal,
    event_kind::kExpired,         event_kind::kDeleted,        event_kind::kForgotten,
    event_kind::kNotRenewed,      event_kind::kQuarantined,    event_kind::kUserActionRequired,
    event_kind::kAccountLost,     event_kind::kAccountChanged, event_kind::kIssuerUnavailable,
    event_kind::kIssuerAvailable, event_kind::kBudgetLow,      event_kind::kTrafficUnusual,
    event_kind::kStoreFailed,     event_kind::kStoreWorks,     event_kind::kStapleFailed,
};

bool is_address_range(std::string_view text) {
  return AddressRanges().add(text).has_value();
}
bool is_listen_address(std::string_view text) {
  return ListenAddress::parse(std::string(text)).has_value();
}
bool is_url(std::string_view text) {
  const bool http = text.starts_with("http://") || text.starts_with("https://");
  return http && text.find("://") + 3 < text.size() &&
         text.find_first_of(" \t\r\n#") == std::string_view::npos;
}
bool is_allow_entry(std::string_view text) {
  return Allowlist::parse_entry(text).has_value();
}
bool is_managed(std::string_view text) {
  return parse_managed(text).has_value();
}
bool is_event_kind(std::string_view text) {
  return std::find(kEventKinds.begin(), kEventKinds.end(), text) != kEventKinds.end();
}
bool is_challenge(std::string_view text) {
  return text == "tls-alpn-01" || text == "http-01" || text == "dns-01";
}
bool is_socket_path(std::string_view text) {
  return !text.empty() && text.size() <= kMaxSocketPath;
}
void read_rate(Section& parent, const char* key, std::optional<RateConfig>& out) {
  constexpr char kExample[] = "an object like {\"burst\": 50, \"per\": \"7d\"}, or null";
  read_optional(parent, key, kExample, out, [](Section& section, RateConfig& rate) {
    section.integer("burst", 1, 1'000'000'000, rate.burst);
    section.duration("per", 1ms, kYear, rate.per);
    require(section, "burst", "how many at once");
    require(section, "per", "the time in which as many come back");
    if (rate.burst > rate.per.count() && section.has("burst") && section.has("per")) {
      section.complain("more than 1000 a second are no limit; for none, write null");
    }
  });
}

void read_ask(Section& section, Config::Ask& out) {
  section.text("url", out.url, "an http:// or https:// URL", is_url);
  section.duration("timeout", 10ms, 60s, out.timeout);
  section.duration("positive_ttl", 0ms, kYear, out.positive_ttl);
  section.duration("negative_ttl", 0ms, 24h, out.negative_ttl);
  section.duration("stale_ttl", 0ms, kYear, out.stale_ttl);
  section.integer("max_concurrent", 1, 1024, out.max_concurrent);
  section.optional_text("token_file", out.token_file, "a file's path or null", is_not_empty);
  section.boolean("send_reason", out.send_reason);
  require(section, "url", "the endpoint to ask");
}

// False: it leaves per_registered_domain to its default.
bool read_on_demand(Section section, Config::OnDemand& out) {
  section.texts("allow", out.allow, "a list of names and \"*.suffix\" patterns", is_allow_entry);
  section.texts("allow_files", out.allow_files, "a list of file paths", is_not_empty);
  read_optional(section, "ask",
                "an object like {\"url\": \"http://127.0.0.1:8000/check\"}, or null", out.ask,
                read_ask);
  auto denied = static_cast<size_t>(out.refuse_denied ? 1 : 0);
  section.choice("denied", kDeniedWords, denied);
  out.refuse_denied = denied == 1;
  section.boolean("underscore", out.underscore);
  section.duration("park_timeout", 1s, 10min, out.park_timeout);
  section.integer("max_parked", 1, 1'000'000, out.max_parked);
  section.integer("max_parked_per_name", 1, 1'000'000, out.max_parked_per_name);
  section.integer("max_parked_per_prefix", 1, 1'000'000, out.max_parked_per_prefix);
  section.integer("max_orders", 1, 1000, out.max_orders);
  read_rate(section, "throttle", out.throttle);
  read_rate(section, "per_registered_domain", out.per_registered_domain);
  return section.has("per_registered_domain");
}

void read_certificate_files(Section& section, CertificateFiles& out) {
  section.text("cert_file", out.cert_file, "a file's path", is_not_empty);
  section.text("key_file", out.key_file, "a file's path", is_not_empty);
  require(section, "cert_file", "the certificate and its chain, PEM");
  require(section, "key_file", "the certificate's private key, PEM");
}

void read_fallback(Section section, Config::FallbackKeys& out) {
  constexpr char kParking[] = "parking_certificate";
  read_optional(section, "default_certificate",
                "an object like {\"cert_file\": \"cert.pem\", \"key_file\": \"key.pem\"}, or null",
                out.default_certificate, read_certificate_files);
  if (section.is_text(kParking)) {
    size_t self_signed = 0;
    const std::vector<std::string> words{"self_signed"};
    section.choice(kParking, words, self_signed);
    out.self_signed_parking = true;
    return;
  }
  read_optional(section, kParking,
                "\"self_signed\", an object like {\"cert_file\": \"cert.pem\", \"key_file\": "
                "\"key.pem\"}, or null",
                out.parking_certificate, read_certificate_files);
}

// Reads over the table's rates: a key that is absent leaves the table's rate.
void read_own_limits(Section section, LimitsConfig& out) {
  out.own = true;
  read_rate(section, "orders", out.orders);
  read_rate(section, "renewals", out.renewals);
  read_rate(section, "registered_domain", out.registered_domain);
  read_rate(section, "identifiers", out.identifiers);
  read_rate(section, "name_failures", out.name_failures);
}

void read_limits(Section& section, Config::Issuer& issuer) {
  constexpr char kKey[] = "limits";
  if (section.is_object(kKey)) {
    LimitsConfig limits = limits_of(issuer);
    const auto taken_from = [](const std::optional<Rate>& rate) -> std::optional<RateConfig> {
      if (!rate) return std::nullopt;
      return RateConfig{rate->burst, rate->interval * rate->burst};
    };
    const IssuerLimits table = limits.limits();
    limits.orders = taken_from(table.orders);
    limits.renewals = taken_from(table.renewals);
    limits.registered_domain = taken_from(table.domain);
    limits.identifiers = taken_from(table.identifiers);
    limits.name_failures = taken_from(table.name_failures);
    read_own_limits(section.section(kKey), limits);
    issuer.limits = std::move(limits);
  } else if (section.is_text(kKey)) {
    LimitsConfig limits;
    section.text(kKey, limits.table,
                 "\"letsencrypt\", \"letsencrypt-staging\", \"none\" or an object",
                 [](std::string_view word) { return IssuerLimits::named(word).has_value(); });
    if (!limits.table.empty()) issuer.limits = std::move(limits);
  } else if (section.has(kKey) && !section.is_null(kKey)) {
    section.complain_of_kind(
        kKey,
        "\"letsencrypt\", \"letsencrypt-staging\", \"none\", or an object like "
        "{\"orders\": {\"burst\": 270, \"per\": \"3h\"}}");
  }
}

void read_acme(Section acme, Config::Issuer& issuer) {
  acme.text("directory", issuer.directory, "an https:// URL", is_url);
  acme.text("email", issuer.email);
  acme.boolean("accept_terms", issuer.accept_terms);
  acme.optional_text("ca_file", issuer.ca_file, "a file's path or null", is_not_empty);
  acme.texts("challenges", issuer.challenges,
             "a list of \"tls-alpn-01\", \"http-01\" and \"dns-01\"", is_challenge);
  acme.boolean("must_staple", issuer.must_staple);
  acme.optional_text("profile", issuer.profile, "a profile's name or null", is_not_empty);
  acme.optional_text("preferred_chain", issuer.preferred_chain,
                     "the common name of a root or intermediate, or null", is_not_empty);
  read_optional(acme, "eab",
                "an object like {\"kid\": \"id\", \"hmac_key_file\": \"eab-key\"}, or null",
                issuer.eab, read_eab);
  if (issuer.challenges.empty()) {
    acme.complain_at("challenges", "expected at least one challenge");
  }
  require(acme, "directory", "the URL of the CA's ACME directory");
}

void read_issuer(Section& section, std::vector<Config::Issuer>& out) {
  Config::Issuer& issuer = out.emplace_back();
  section.text("name", issuer.name, "a name", is_not_empty);
  require(section, "name", "a word of your choice");
  read_optional(section, "authority",
                "an object like {\"leaf_lifetime\": \"12h\"}, with defaults for all of its keys",
                issuer.authority, read_authority);
  if (issuer.authority && section.has("acme")) {
    section.complain("expected one of \"acme\" and \"authority\": another's CA, or one in here");
  } else if (issuer.authority) {
    if (section.has("limits")) section.complain_at("limits", "an authority in here has none");
    issuer.challenges.clear();
  } else if (section.has("acme")) {
    read_acme(section.section("acme"), issuer);
    read_limits(section, issuer);
  } else {
    section.complain("acme or authority is missing: another's CA, or one in here");
  }
  if (!section.is_null("max_orders")) section.integer("max_orders", 1, 1000, issuer.max_orders);
}

void read_renewal(Section section, Config& out) {
  section.number("remaining", 0.05, 0.9, out.renewal.remaining);
  auto policy = static_cast<size_t>(out.renewal.policy);
  section.choice("policy", kRenewalPolicies, policy);
  out.renewal.policy = static_cast<RenewalRules::Policy>(policy);
  section.duration("forget_after", 1min, kTenYears, out.renewal.forget_after);
  auto expired = static_cast<size_t>(out.expired);
  section.choice("expired", kExpiredWords, expired);
  out.expired = static_cast<ExpiredPolicy>(expired);
  section.boolean("http_fallback", out.http_fallback);
}

void read_kinds(Section& section, std::vector<std::string>& out) {
  section.texts("kinds", out,
                "a list of kinds of events like \"certificate_renewed\" (docs/operations.md has "
                "them all)",
                is_event_kind);
}

void read_webhook(Section& section, WebhookConfig& out) {
  section.text("url", out.url, "an http:// or https:// URL", is_url);
  section.optional_text("secret_file", out.secret_file, "a file's path or null", is_not_empty);
  read_kinds(section, out.kinds);
  section.duration("timeout", 100ms, 60s, out.timeout);
  require(section, "url", "where events are to be posted");
}

void read_hook(Section& section, HookConfig& out) {
  section.text("program", out.program, "a program's path", is_not_empty);
  read_kinds(section, out.kinds);
  section.duration("timeout", 100ms, 1h, out.timeout);
  require(section, "program", "what is to be run for each event");
}

void read_events(Section section, Config& out) {
  read_optional(section, "webhook",
                "an object like {\"url\": \"https://example.com/events\", \"secret_file\": "
                "\"webhook-secret\"}, or null",
                out.webhook, read_webhook);
  read_optional(section, "hook",
                "an object like {\"program\": \"/usr/local/bin/on-certificate\"}, or null",
                out.hook, read_hook);
}

}  // namespace

void read_eab(Section& section, EabConfig& out) {
  section.text("kid", out.kid, "the key's id, as the CA gave it", is_not_empty);
  section.text("hmac_key_file", out.hmac_key_file, "a file's path", is_not_empty);
  require(section, "kid", "the key's id, as the CA gave it");
  require(section, "hmac_key_file", "a file with the HMAC key, base64url, as the CA gave it");
}

void read_config(Section& top, Config& out) {
  {
    Section listen = top.section("listen");
    listen.texts("https", out.https, "a list of addresses like \"0.0.0.0:443\"", is_listen_address);
    listen.texts("http", out.http, "a list of addresses like \"0.0.0.0:80\"", is_listen_address);
    listen.texts("proxy_protocol_from", out.proxy_protocol_from,
                 "a list of addresses and ranges like \"10.0.0.0/8\"", is_address_range);
    if (out.https.empty()) listen.complain_at("https", "expected at least one address");
  }
  top.text("state_dir", out.state_dir, "a folder's path", is_not_empty);
  top.integer("workers", 0, 256, out.workers);
  {
    Section admin = top.section("admin");
    admin.optional_text("socket", out.admin_socket, "a socket's path of at most 107 bytes, or null",
                        is_socket_path);
  }
  const bool bounds_new_names = read_on_demand(top.section("on_demand"), out.on_demand);
  read_fallback(top.section("fallback"), out.fallback);
  read_tls(top.section("tls"), out.tls);
  top.sections("issuers", [&](Section& section) { read_issuer(section, out.issuers); });
  if (!bounds_new_names) out.on_demand.per_registered_domain = default_bound(out);
  top.texts("managed", out.managed,
            "a list of names, wildcards and IP addresses like \"shop.example.com\", "
            "\"*.example.com\" and \"203.0.113.7\"",
            is_managed);
  read_acme_server(top, out);
  read_files_and_dns(top, out);
  read_front(top, out.front);
  read_renewal(top.section("renewal"), out);
  read_events(top.section("events"), out);
  {
    Section store = top.section("store");
    store.text("sqlite", out.store_sqlite, "a file's path", is_not_empty);
    store.text("encryption_key_file", out.encryption_key_file, "a file's path", is_not_empty);
    store.duration("keep_expired", 0ms, kTenYears, out.keep_expired);
  }
  {
    Section cache = top.section("cache");
    cache.integer("max_certificates", 1, 100'000'000, out.cache_max_certificates);
    cache.size("max_bytes", 1 << 20, 1ULL << 40, out.cache_max_bytes);
  }
  read_routes(top, out);
  top.duration("shutdown_grace", 0ms, 24h, out.shutdown_grace);
  top.duration("upgrade_timeout", 100ms, 1h, out.upgrade_timeout);
  top.duration("upgrade_grace", 0ms, 7 * 24h, out.upgrade_grace);
  Section log = top.section("log");
  auto level = static_cast<size_t>(out.log_level);
  log.choice("level", kLogLevels, level);
  out.log_level = static_cast<LogLevel>(level);
  log.choice("format", kLogFormats, out.log_format);
}

}  // namespace latchkey::edge
