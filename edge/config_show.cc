#include <algorithm>
#include <array>
#include <charconv>

#include "base/url.h"
#include "edge/config_read.h"

namespace latchkey::edge {
namespace {

std::string list(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + json_quote(item);
  return "[" + out + "]";
}
template <typename Items, typename Show>
std::string list(const Items& items, Show show) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + show(item);
  return "[" + out + "]";
}
std::string text_or_null(const std::optional<std::string>& text) {
  return text ? json_quote(*text) : "null";
}

// Six digits: nobody means more.
std::string show_fraction(double number) {
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::general, 6);
  return {text.data(), end.ptr};
}

// All of them, where a judgement depends on the last one.
std::string show_exactly(double number) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number);
  return {text.data(), end.ptr};
}

std::string show_rate(const std::optional<RateConfig>& rate) {
  if (!rate) return "null";
  return JsonObject().number("burst", rate->burst).text("per", show_duration(rate->per)).str();
}

std::string show_files(const std::optional<CertificateFiles>& files) {
  if (!files) return "null";
  return JsonObject().text("cert_file", files->cert_file).text("key_file", files->key_file).str();
}

std::string show_limits(const LimitsConfig& limits) {
  if (!limits.own) return json_quote(limits.table);
  return JsonObject()
      .raw("orders", show_rate(limits.orders))
      .raw("renewals", show_rate(limits.renewals))
      .raw("registered_domain", show_rate(limits.registered_domain))
      .raw("identifiers", show_rate(limits.identifiers))
      .raw("name_failures", show_rate(limits.name_failures))
      .str();
}

std::string show_eab(const std::optional<EabConfig>& eab) {
  if (!eab) return "null";
  return JsonObject().text("kid", eab->kid).text("hmac_key_file", eab->hmac_key_file).str();
}

std::string show_authority(const AuthorityConfig& authority) {
  const acme::Lifetimes& lifetimes = authority.lifetimes;
  return JsonObject()
      .text("root_lifetime", show_duration(lifetimes.root))
      .text("intermediate_lifetime", show_duration(lifetimes.intermediate))
      .text("leaf_lifetime", show_duration(lifetimes.leaf))
      .raw("renewal_window_ratio", show_exactly(lifetimes.renewal_window_ratio))
      .raw("allow", list(authority.allow))
      .str();
}

std::string show_renewal(const Config& config) {
  const RenewalRules& rules = config.renewal;
  return JsonObject()
      .raw("remaining", show_fraction(rules.remaining))
      .text("policy", kRenewalPolicies[static_cast<size_t>(rules.policy)])
      .text("forget_after", show_duration(rules.forget_after))
      .text("expired", kExpiredWords[static_cast<size_t>(config.expired)])
      .boolean("http_fallback", config.http_fallback)
      .str();
}

std::string show_hook(const std::optional<HookConfig>& hook) {
  if (!hook) return "null";
  return JsonObject()
      .text("program", hook->program)
      .raw("kinds", list(hook->kinds))
      .text("timeout", show_duration(hook->timeout))
      .str();
}

std::string show_certificate(const ConfiguredFiles& files) {
  return files.dir ? JsonObject().text("dir", *files.dir).str() : show_files(files.pair);
}

std::string null_if_empty(const std::string& text) {
  return text.empty() ? "null" : json_quote(text);
}

std::string show_program(const std::string& program, Millis timeout) {
  return JsonObject().text("program", program).text("timeout", show_duration(timeout)).str();
}

std::string show_rfc2136(const DnsConfig::Rfc2136& at) {
  return JsonObject()
      .text("server", at.server)
      .raw("zone", null_if_empty(at.zone))
      .raw("key_name", null_if_empty(at.key_name))
      .text("algorithm", at.algorithm)
      .raw("secret_file", text_or_null(at.secret_file))
      .number("ttl", at.ttl)
      .str();
}

std::string show_resolvers(std::string_view servers) {
  std::vector<std::string> resolvers;
  while (!servers.empty()) {
    const size_t end = std::min(servers.find(','), servers.size());
    resolvers.emplace_back(servers.substr(0, end));
    servers.remove_prefix(std::min(end + 1, servers.size()));
  }
  return list(resolvers);
}

std::string show_acme_server(const std::optional<AcmeServerConfig>& server) {
  if (!server) return "null";
  return JsonObject()
      .raw("hosts", list(server->hosts))
      .raw("allow", list(server->allow))
      .raw("authority", text_or_null(server->authority))
      .boolean("eab_required", server->eab_required)
      .raw("eab_keys", list(server->eab_keys, [](const EabConfig& key) { return show_eab(key); }))
      .raw("validation", JsonObject()
                             .number("http_port", server->http_port)
                             .number("tls_port", server->tls_port)
                             .raw("resolvers", show_resolvers(server->resolvers))
                             .boolean("trusting", server->trusting)
                             .str())
      .str();
}

std::string show_dns(const std::optional<DnsConfig>& dns) {
  if (!dns) return "null";
  return JsonObject()
      .raw("hook", dns->hook ? show_program(dns->hook->program, dns->hook->timeout) : "null")
      .raw("rfc2136", dns->rfc2136 ? show_rfc2136(*dns->rfc2136) : "null")
      .boolean("follow_cname", dns->follow_cname)
      .text("propagation_timeout", show_duration(dns->propagation_timeout))
      .text("settle", show_duration(dns->settle))
      .raw("resolvers", show_resolvers(dns->resolvers))
      .str();
}

std::string show_export(const std::optional<ExportConfig>& to) {
  if (!to) return "null";
  return JsonObject()
      .text("dir", to->dir)
      .raw("hook", to->hook ? show_program(to->hook->program, to->hook->timeout) : "null")
      .str();
}

std::string show_health(const std::optional<HealthCheck>& health) {
  if (!health) return "null";
  return JsonObject()
      .text("path", health->path)
      .raw("host", health->host.empty() ? "null" : json_quote(health->host))
      .text("interval", show_duration(health->interval))
      .text("timeout", show_duration(health->timeout))
      .number("fall", health->fall)
      .number("rise", health->rise)
      .number("status_from", health->status_from)
      .number("status_to", health->status_to)
      .str();
}

std::string show_upstream_tls(const UpstreamTlsConfig& tls) {
  std::optional<std::string> certificate, key;
  if (tls.certificate) {
    certificate = tls.certificate->cert_file;
    key = tls.certificate->key_file;
  }
  return JsonObject()
      .raw("ca_file", text_or_null(tls.ca_file))
      .raw("server_name", text_or_null(tls.server_name))
      .raw("cert_file", text_or_null(certificate))
      .raw("key_file", text_or_null(key))
      .str();
}

std::string show_group(const GroupConfig& group) {
  const auto number = [](int64_t weight) { return std::to_string(weight); };
  const std::string ejection = !group.ejection
                                   ? "null"
                                   : JsonObject()
                                         .number("failures", group.ejection->failures)
                                         .text("time", show_duration(group.ejection->time))
                                         .str();
  return JsonObject()
      .text("name", group.name)
      .raw("upstreams", list(group.upstreams))
      .raw("weights", list(group.weights, number))
      .text("balance", kBalanceWords[group.balance])
      .raw("health", show_health(group.health))
      .raw("ejection", ejection)
      .text("slow_start", show_duration(group.slow_start))
      .number("retries", group.retries)
      .boolean("http2", group.http2)
      .text("proxy_protocol", kProxyOutWords[group.proxy_protocol])
      .raw("tls", show_upstream_tls(group.tls))
      .str();
}

std::string show_route(const Config::Route& route) {
  const auto headers = [](const auto& pairs) {
    JsonObject out;
    for (const auto& [name, value] : pairs) out.raw(name, text_or_null(value));
    return out.str();
  };
  return JsonObject()
      .raw("hosts", list(route.hosts))
      .raw("paths", list(route.paths))
      .raw("group", text_or_null(route.group))
      .raw("upstreams", list(route.upstreams))
      .raw("request_headers", headers(route.request_headers))
      .raw("response_headers", headers(route.response_headers))
      .raw("redirect", show_redirect(route.redirect))
      .str();
}

class Writer {
 public:
  explicit Writer(bool secrets) : secrets_(secrets) {}

  std::string url(const std::string& text) const {
    return secrets_ ? text : url_without_secrets(text);
  }

  std::string ask(const std::optional<Config::Ask>& ask) const {
    if (!ask) return "null";
    return JsonObject()
        .text("url", url(ask->url))
        .text("timeout", show_duration(ask->timeout))
        .text("positive_ttl", show_duration(ask->positive_ttl))
        .text("negative_ttl", show_duration(ask->negative_ttl))
        .text("stale_ttl", show_duration(ask->stale_ttl))
        .number("max_concurrent", ask->max_concurrent)
        .raw("token_file", text_or_null(ask->token_file))
        .boolean("send_reason", ask->send_reason)
        .str();
  }

  std::string webhook(const std::optional<WebhookConfig>& hook) const {
    if (!hook) return "null";
    return JsonObject()
        .text("url", url(hook->url))
        .raw("secret_file", text_or_null(hook->secret_file))
        .raw("kinds", list(hook->kinds))
        .text("timeout", show_duration(hook->timeout))
        .str();
  }

  std::string on_demand(const Config::OnDemand& on_demand) const {
    return JsonObject()
        .raw("allow", list(on_demand.allow))
        .raw("allow_files", list(on_demand.allow_files))
        .raw("ask", ask(on_demand.ask))
        .text("denied", kDeniedWords[on_demand.refuse_denied ? 1 : 0])
        .boolean("underscore", on_demand.underscore)
        .text("park_timeout", show_duration(on_demand.park_timeout))
        .number("max_parked", on_demand.max_parked)
        .number("max_parked_per_name", on_demand.max_parked_per_name)
        .number("max_parked_per_prefix", on_demand.max_parked_per_prefix)
        .number("max_orders", on_demand.max_orders)
        .raw("throttle", show_rate(on_demand.throttle))
        .raw("per_registered_domain", show_rate(on_demand.per_registered_domain))
        .str();
  }

  std::string issuer(const Config::Issuer& issuer) const {
    const std::string max_orders =
        issuer.max_orders > 0 ? std::to_string(issuer.max_orders) : "null";
    JsonObject out;
    out.text("name", issuer.name);
    if (issuer.authority) {
      return out.raw("authority", show_authority(*issuer.authority))
          .raw("max_orders", max_orders)
          .str();
    }
    JsonObject acme;
    acme.text("directory", url(issuer.directory)).text("email", issuer.email);
    acme.boolean("accept_terms", issuer.accept_terms);
    acme.raw("ca_file", text_or_null(issuer.ca_file)).raw("challenges", list(issuer.challenges));
    acme.boolean("must_staple", issuer.must_staple);
    acme.raw("profile", text_or_null(issuer.profile));
    acme.raw("preferred_chain", text_or_null(issuer.preferred_chain));
    acme.raw("eab", show_eab(issuer.eab));
    out.raw("acme", acme.str());
    out.raw("limits", show_limits(limits_of(issuer)));
    return out.raw("max_orders", max_orders).str();
  }

 private:
  const bool secrets_;
};

std::string show_fallback(const Config::FallbackKeys& fallback) {
  JsonObject out;
  out.raw("default_certificate", show_files(fallback.default_certificate));
  out.raw("parking_certificate", fallback.self_signed_parking
                                     ? "\"self_signed\""
                                     : show_files(fallback.parking_certificate));
  return out.str();
}

std::string show_tls(const TlsConfig& tls) {
  const auto clients = [](const ClientCertificatesConfig& from) {
    JsonObject out;
    out.text("ca_file", from.ca_file);
    out.text("mode", kClientCertificateModes[from.required ? 1 : 0]);
    if (!from.hosts.empty()) out.raw("hosts", list(from.hosts));
    return out.str();
  };
  return JsonObject()
      .text("min_version", kTlsVersions[tls.only_tls13 ? 1 : 0])
      .raw("ciphers", list(tls.ciphers))
      .raw("groups", list(tls.groups))
      .raw("client_certificates",
           tls.client_certificates ? clients(*tls.client_certificates) : "null")
      .str();
}

}  // namespace

std::string write_config(const Config& config, bool secrets) {
  const Writer writer(secrets);
  JsonObject out;
  out.raw("listen", JsonObject()
                        .raw("https", list(config.https))
                        .raw("http", list(config.http))
                        .raw("proxy_protocol_from", list(config.proxy_protocol_from))
                        .str());
  out.text("state_dir", config.state_dir).number("workers", config.workers);
  out.raw("admin", JsonObject().raw("socket", text_or_null(config.admin_socket)).str());
  out.raw("on_demand", writer.on_demand(config.on_demand));
  out.raw("fallback", show_fallback(config.fallback));
  out.raw("tls", show_tls(config.tls));
  out.raw("issuers",
          list(config.issuers, [&](const auto& issuer) { return writer.issuer(issuer); }));
  out.raw("managed", list(config.managed));
  out.raw("acme_server", show_acme_server(config.acme_server));
  out.raw("certificates", list(config.certificates, show_certificate));
  out.text("rsa", kRsaWords[static_cast<size_t>(config.rsa)]);
  out.raw("ocsp", JsonObject().boolean("enabled", config.ocsp).str());
  out.raw("dns", show_dns(config.dns)).raw("export", show_export(config.export_to));
  out.raw("challenge_upstream", text_or_null(config.challenge_upstream));
  write_front(config.front, out);
  out.raw("renewal", show_renewal(config));
  out.raw("events", JsonObject()
                        .raw("webhook", writer.webhook(config.webhook))
                        .raw("hook", show_hook(config.hook))
                        .str());
  out.raw("store", JsonObject()
                       .text("sqlite", config.store_sqlite)
                       .text("encryption_key_file", config.encryption_key_file)
                       .text("keep_expired", show_duration(config.keep_expired))
                       .str());
  out.raw("cache", JsonObject()
                       .number("max_certificates", config.cache_max_certificates)
                       .text("max_bytes", std::to_string(config.cache_max_bytes))
                       .str());
  out.raw("groups", list(config.groups, show_group));
  out.raw("routes", list(config.routes, show_route));
  out.raw("upstream", JsonObject()
                          .text("connect_timeout", show_duration(config.upstream_connect_timeout))
                          .text("response_timeout", show_duration(config.upstream_response_timeout))
                          .raw("resolvers", show_resolvers(config.upstream_resolvers))
                          .str());
  out.text("shutdown_grace", show_duration(config.shutdown_grace));
  out.text("upgrade_timeout", show_duration(config.upgrade_timeout));
  out.text("upgrade_grace", show_duration(config.upgrade_grace));
  out.raw("log", JsonObject()
                     .text("level", kLogLevels[static_cast<size_t>(config.log_level)])
                     .text("format", kLogFormats[config.log_format])
                     .str());
  return out.str();
}

std::string show_config(const Config& config) {
  return write_config(config, false);
}

}  // namespace latchkey::edge
