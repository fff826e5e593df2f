// The keys of embedded authorities, and their rules.
#include <algorithm>

#include "edge/allowed_names.h"
#include "edge/config_read.h"
#include "edge/listener.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kDay = 24h;
constexpr Millis kLongestRoot = 50 * 366 * kDay;
constexpr Millis kLongestIntermediate = 20 * 366 * kDay;
constexpr Millis kLongestLeaf = 398 * kDay;  // what browsers take at most
constexpr size_t kMaxEabKeys = 1000;
constexpr char kAllowed[] =
    "a list of names, \"*.suffix\" patterns, addresses and ranges like \"10.0.0.0/8\"";

bool is_host(std::string_view text) {
  return ServerName::parse(text).has_value();
}

void read_lifetime(Section& section, const char* key, Millis least, Millis most,
                   std::chrono::seconds& out) {
  Millis value = out;
  section.duration(key, least, most, value);
  out = std::chrono::duration_cast<std::chrono::seconds>(value);
}

void read_server(Section& section, AcmeServerConfig& out) {
  section.texts("hosts", out.hosts, "a list of names like \"ca.internal.example\"", is_host);
  section.texts("allow", out.allow, kAllowed, AllowedNames::is_entry);
  section.optional_text("authority", out.authority, "an issuer's name or null", is_not_empty);
  section.boolean("eab_required", out.eab_required);
  section.sections("eab_keys", [&](Section& key) { read_eab(key, out.eab_keys.emplace_back()); });
  {
    Section validation = section.section("validation");
    validation.integer("http_port", 1, 65535, out.http_port);
    validation.integer("tls_port", 1, 65535, out.tls_port);
    read_resolvers(validation, out.resolvers);
    validation.boolean("trusting", out.trusting);
  }
  if (out.hosts.empty() && !section.has("hosts")) {
    section.complain("hosts is missing: the names that ACME clients know the CA by");
  } else if (out.hosts.empty()) {
    section.complain_at("hosts", "expected at least one name");
  }
  if (!section.has("allow")) {
    section.complain("allow is missing: which names other machines may get certificates for");
  }
  if (out.eab_keys.size() > kMaxEabKeys) {
    section.complain_at("eab_keys", "expected at most 1000 keys");
  }
  if (out.eab_required && out.eab_keys.empty()) {
    section.complain_at("eab_required", "eab_keys has none: nobody could make an account");
  }
  for (size_t i = 0; i < out.eab_keys.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (out.eab_keys[i].kid != out.eab_keys[j].kid) continue;
      section.complain_at("eab_keys", "two have the kid \"" + out.eab_keys[i].kid + "\"");
    }
  }
}

bool is_loopback(const std::string& address) {
  const auto parsed = ListenAddress::parse(address);
  return parsed && (parsed->host.starts_with("127.") || parsed->host == "::1");
}

// In URLs and in file names of clients.
bool is_plain_word(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

void read_authority(Section& section, AuthorityConfig& out) {
  acme::Lifetimes& lifetimes = out.lifetimes;
  read_lifetime(section, "root_lifetime", 1min, kLongestRoot, lifetimes.root);
  read_lifetime(section, "intermediate_lifetime", 1min, kLongestIntermediate,
                lifetimes.intermediate);
  read_lifetime(section, "leaf_lifetime", 10s, kLongestLeaf, lifetimes.leaf);
  section.number("renewal_window_ratio", 0.01, 0.99, lifetimes.renewal_window_ratio);
  section.texts("allow", out.allow, kAllowed, AllowedNames::is_entry);
  if (auto good = acme::check_lifetimes(lifetimes); !good) section.complain(good.error().message);
}

void read_acme_server(Section& top, Config& out) {
  read_optional(top, "acme_server",
                "an object like {\"hosts\": [\"ca.internal.example\"], \"allow\": "
                "[\"*.internal.example\"]}, or null",
                out.acme_server, read_server);
}

std::string check_authorities(const Config& config) {
  for (const Config::Issuer& issuer : config.issuers) {
    if (issuer.authority && !is_plain_word(issuer.name)) {
      return "issuers: the name \"" + issuer.name +
             "\" of an authority is part of URLs: letters, digits, \"-\", \"_\" and \".\" only";
    }
  }
  if (!config.acme_server) return "";
  const AcmeServerConfig& server = *config.acme_server;
  if (!served_authority(config)) {
    return server.authority
               ? "acme_server.authority: no issuer with the key \"authority\" is named \"" +
                     *server.authority + "\""
               : "acme_server: there is no authority to serve: add an issuer like {\"name\": "
                 "\"local\", \"authority\": {}}";
  }
  if (!server.trusting) return "";
  for (const auto* list : {&config.https, &config.http}) {
    for (const std::string& address : *list) {
      if (is_loopback(address)) continue;
      return "acme_server.validation.trusting: whoever reaches " + address +
             " could get a certificate for any name that is allowed: it is for load tests, where "
             "each address of listen.https and listen.http is one of loopback";
    }
  }
  return "";
}

std::optional<size_t> served_authority(const Config& config) {
  if (!config.acme_server) return std::nullopt;
  const std::optional<std::string>& wanted = config.acme_server->authority;
  for (size_t i = 0; i < config.issuers.size(); ++i) {
    const Config::Issuer& issuer = config.issuers[i];
    if (issuer.authority && (!wanted || *wanted == issuer.name)) return i;
  }
  return std::nullopt;
}

std::string status_url(const Config& config, const Config::Issuer& issuer) {
  if (!config.acme_server || config.http.empty()) return "";
  const auto http = ListenAddress::parse(config.http.front());
  if (!http || http->port == 0) return "";
  const std::string port = http->port == 80 ? "" : ":" + std::to_string(http->port);
  return "http://" + config.acme_server->hosts.front() + port + "/acme/" + issuer.name;
}

}  // namespace latchkey::edge
