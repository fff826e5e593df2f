#include "edge/config.h"

#include <gtest/gtest.h>

#include <set>

#include "base/file.h"
#include "base/json.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr char kSmall[] = R"(// comments and trailing commas are fine
{
  "on_demand": { "allow": ["shop.example.com"], },
  "issuers": [ { "name": "ca", "acme": { "directory": "https://ca.test/dir" } } ],
  "routes": [ { "upstreams": ["http://127.0.0.1:3000"] } ],
})";

std::string mistakes(std::string_view text) {
  auto config = parse_config(text, "my.json");
  return config ? "" : config.error().message;
}
std::string with(std::string_view extra) {
  std::string text = kSmall;
  return text.insert(text.rfind('}'), extra);
}

TEST(ConfigTest, FillsInEveryDefault) {
  auto config = parse_config(kSmall, "my.json");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->https, (std::vector<std::string>{"0.0.0.0:443", "[::]:443"}));
  EXPECT_EQ(config->on_demand.max_orders, 20);
  EXPECT_EQ(config->on_demand.park_timeout, 25s);
  EXPECT_EQ(config->issuers[0].challenges.size(), 2u);
  EXPECT_EQ(config->shutdown_grace, 30s);
  EXPECT_EQ(config->admin_socket, "/run/latchkey/admin.sock");
  EXPECT_EQ(config->on_demand.per_registered_domain->burst, 50);
  EXPECT_EQ(config->on_demand.per_registered_domain->per, 7 * 24h);
  EXPECT_FALSE(config->on_demand.refuse_denied);
  EXPECT_FALSE(config->fallback.default_certificate);
  EXPECT_FALSE(config->fallback.self_signed_parking);
  EXPECT_TRUE(config->managed.empty());
  EXPECT_DOUBLE_EQ(config->renewal.remaining, 1.0 / 3);
  EXPECT_EQ(config->renewal.policy, RenewalRules::Policy::kSeen);
  EXPECT_EQ(config->renewal.forget_after, 60 * 24h);
  EXPECT_EQ(config->expired, ExpiredPolicy::kServe);
  EXPECT_FALSE(config->http_fallback);
  EXPECT_EQ(config->keep_expired, 30 * 24h);
  EXPECT_FALSE(config->webhook);
  EXPECT_FALSE(config->hook);
  EXPECT_FALSE(config->issuers[0].eab);
  EXPECT_FALSE(config->issuers[0].must_staple);
  EXPECT_TRUE(config->certificates.empty());
  EXPECT_EQ(config->rsa, RsaTwins::kOnDemand);
  EXPECT_TRUE(config->ocsp);
  EXPECT_FALSE(config->dns);
  EXPECT_FALSE(config->export_to);
  EXPECT_FALSE(config->challenge_upstream);
}

TEST(ConfigTest, ReadsEveryKey) {
  auto config = parse_config(
      R"({"listen": {"https": ["127.0.0.1:8443"], "http": ["127.0.0.1:8080"]}, "state_dir": "s", "workers": 2,
      "admin": {"socket": "admin.sock"},
      "fallback": {"default_certificate": {"cert_file": "c.pem", "key_file": "k.pem"},
        "parking_certificate": {"cert_file": "p.pem", "key_file": "pk.pem"}},
      "on_demand": {"allow": ["a.test"], "allow_files": ["f.txt"], "underscore": true,
        "ask": {"url": "http://127.0.0.1:1/check?k=v", "timeout": "1s", "negative_ttl": "5s",
                "positive_ttl": "2h", "stale_ttl": "0s",
                "max_concurrent": 3, "token_file": "t", "send_reason": true},
        "denied": "refuse", "park_timeout": "10s", "max_parked": 10, "max_parked_per_name": 5,
        "max_parked_per_prefix": 4, "max_orders": 2, "throttle": {"burst": 7, "per": "1m"},
        "per_registered_domain": null},
      "issuers": [{"name": "ca", "acme": {"directory": "https://ca.test/dir", "email": "a@b.test",
        "accept_terms": true, "ca_file": "r.pem", "challenges": ["http-01", "dns-01"],
        "must_staple": true, "profile": "shortlived",
        "preferred_chain": "ISRG Root X1", "eab": {"kid": "k-1", "hmac_key_file": "h"}},
        "limits": "letsencrypt-staging", "max_orders": 9},
        {"name": "local", "authority": {"root_lifetime": "400d", "intermediate_lifetime": "30d",
         "leaf_lifetime": "2d", "renewal_window_ratio": 0.25, "allow": ["*.in.test"]},
         "max_orders": 3}],
      "acme_server": {"hosts": ["ca.in.test"], "allow": ["*.in.test", "10.0.0.0/8"],
        "authority": "local", "eab_required": true,
        "eab_keys": [{"kid": "k-2", "hmac_key_file": "h2"}],
        "validation": {"http_port": 8080, "tls_port": 8443, "resolvers": ["192.0.2.9"],
          "trusting": true}},
      "managed": ["b.test", "203.0.113.7", "*.c.test"],
      "certificates": [{"cert_file": "c1.pem", "key_file": "k1.pem"}, {"dir": "live"}],
      "rsa": "always", "ocsp": {"enabled": false},
      "dns": {"rfc2136": {"server": "[2001:db8::1]", "zone": "test", "key_name": "acme.key",
          "algorithm": "hmac-sha512", "secret_file": "tsig", "ttl": 5},
        "follow_cname": false, "propagation_timeout": "1m", "settle": "2s",
        "resolvers": ["192.0.2.1", "192.0.2.2:5353"]},
      "export": {"dir": "out", "hook": {"program": "/bin/deploy", "timeout": "9s"}},
      "challenge_upstream": "http://127.0.0.1:8888",
      "access_log": {"file": "access.log", "query": false}, "request_id": {"to_client": true},
      "trusted_proxies": ["10.0.0.0/8"], "forwarded": true,
      "compression": {"types": ["text/*"], "min_size": "2KiB", "algorithms": ["gzip"],
        "max_at_once": 9},
      "rate_limit": {"requests": 5, "per": "2s", "burst": 8},
      "error_pages": {"502": "bad.html", "default": "any.html"},
      "renewal": {"remaining": 0.25, "policy": "on_use", "forget_after": "90d",
        "expired": "self_signed", "http_fallback": true},
      "events": {"webhook": {"url": "https://hook.test/e", "secret_file": "w",
          "kinds": ["certificate_renewed"], "timeout": "3s"},
        "hook": {"program": "/bin/hook", "kinds": ["budget_low"], "timeout": "4s"}},
      "store": {"sqlite": "x.db", "encryption_key_file": "k", "keep_expired": "10d"},
      "cache": {"max_certificates": 7, "max_bytes": "2MiB"},
      "routes": [{"hosts": ["*.a.test"], "upstreams": ["http://127.0.0.1:1"],
        "request_headers": {"X-Edge": "1"}, "response_headers": {"Server": null}},
        {"hosts": ["b.test"], "redirect": {"to": "https://a.test{path}", "status": 302}}],
      "upstream": {"connect_timeout": "1s", "response_timeout": "2s"},
      "shutdown_grace": "3s", "log": {"level": "debug", "format": "json"}})",
      "my.json");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->admin_socket, "admin.sock");
  EXPECT_EQ(config->fallback.default_certificate->cert_file, "c.pem");
  EXPECT_EQ(config->fallback.parking_certificate->key_file, "pk.pem");
  EXPECT_EQ(config->on_demand.ask->max_concurrent, 3);
  EXPECT_EQ(config->on_demand.ask->positive_ttl, 2h);
  EXPECT_EQ(config->on_demand.ask->stale_ttl, 0ms);
  EXPECT_TRUE(config->on_demand.refuse_denied);
  EXPECT_EQ(config->on_demand.max_parked_per_prefix, 4);
  EXPECT_EQ(config->on_demand.throttle->burst, 7);
  EXPECT_EQ(config->on_demand.throttle->per, 1min);
  EXPECT_FALSE(config->on_demand.per_registered_domain);
  EXPECT_EQ(config->issuers[0].limits->table, "letsencrypt-staging");
  EXPECT_EQ(config->issuers[0].max_orders, 9);
  EXPECT_EQ(config->cache_max_bytes, 2u << 20);
  EXPECT_EQ(config->routes[0].response_headers[0].second, std::nullopt);
  EXPECT_EQ(config->issuers[0].profile, "shortlived");
  EXPECT_EQ(config->issuers[0].preferred_chain, "ISRG Root X1");
  EXPECT_EQ(config->issuers[0].eab->kid, "k-1");
  EXPECT_EQ(config->issuers[0].eab->hmac_key_file, "h");
  EXPECT_EQ(config->issuers[1].authority->lifetimes.root, 400 * 24h);
  EXPECT_EQ(config->issuers[1].authority->lifetimes.intermediate, 30 * 24h);
  EXPECT_EQ(config->issuers[1].authority->lifetimes.leaf, 48h);
  EXPECT_EQ(config->issuers[1].authority->lifetimes.renewal_window_ratio, 0.25);
  EXPECT_EQ(config->issuers[1].authority->allow, std::vector<std::string>{"*.in.test"});
  EXPECT_EQ(config->issuers[1].max_orders, 3);
  EXPECT_EQ(config->acme_server->hosts, std::vector<std::string>{"ca.in.test"});
  EXPECT_EQ(config->acme_server->allow.size(), 2U);
  EXPECT_EQ(config->acme_server->authority, "local");
  EXPECT_TRUE(config->acme_server->eab_required);
  EXPECT_EQ(config->acme_server->eab_keys[0].hmac_key_file, "h2");
  EXPECT_EQ(config->acme_server->http_port, 8080);
  EXPECT_EQ(config->acme_server->tls_port, 8443);
  EXPECT_EQ(config->acme_server->resolvers, "192.0.2.9:53");
  EXPECT_TRUE(config->acme_server->trusting);
  EXPECT_EQ(config->managed, (std::vector<std::string>{"b.test", "203.0.113.7", "*.c.test"}));
  EXPECT_TRUE(config->issuers[0].must_staple);
  EXPECT_EQ(config->certificates[0].pair->key_file, "k1.pem");
  EXPECT_EQ(config->certificates[1].dir, "live");
  EXPECT_EQ(config->rsa, RsaTwins::kAlways);
  EXPECT_FALSE(config->ocsp);
  EXPECT_FALSE(config->dns->hook);
  EXPECT_EQ(config->dns->rfc2136->server, "[2001:db8::1]:53");
  EXPECT_EQ(config->dns->rfc2136->zone, "test");
  EXPECT_EQ(config->dns->rfc2136->key_name, "acme.key");
  EXPECT_EQ(config->dns->rfc2136->algorithm, "hmac-sha512");
  EXPECT_EQ(config->dns->rfc2136->secret_file, "tsig");
  EXPECT_EQ(config->dns->rfc2136->ttl, 5);
  EXPECT_FALSE(config->dns->follow_cname);
  EXPECT_EQ(config->dns->propagation_timeout, 1min);
  EXPECT_EQ(config->dns->settle, 2s);
  EXPECT_EQ(config->dns->resolvers, "192.0.2.1:53,192.0.2.2:5353");
  EXPECT_EQ(config->export_to->dir, "out");
  EXPECT_EQ(config->export_to->hook->program, "/bin/deploy");
  EXPECT_EQ(config->export_to->hook->timeout, 9s);
  EXPECT_EQ(config->challenge_upstream, "http://127.0.0.1:8888");
  EXPECT_EQ(config->front.access_log->file, "access.log");
  EXPECT_FALSE(config->front.access_log->query);
  EXPECT_TRUE(config->front.request_id_to_client);
  EXPECT_EQ(config->front.trusted_proxies, std::vector<std::string>{"10.0.0.0/8"});
  EXPECT_TRUE(config->front.forwarded);
  EXPECT_EQ(config->front.compression->types, std::vector<std::string>{"text/*"});
  EXPECT_EQ(config->front.compression->min_size, 2048U);
  EXPECT_EQ(config->front.compression->algorithms, std::vector<std::string>{"gzip"});
  EXPECT_EQ(config->front.compression->max_at_once, 9);
  EXPECT_EQ(config->front.rate_limit->requests, 5);
  EXPECT_EQ(config->front.rate_limit->per, 2s);
  EXPECT_EQ(config->front.rate_limit->burst, 8);
  EXPECT_EQ(config->front.error_pages[1].second, "any.html");
  EXPECT_EQ(config->routes[1].redirect->to, "https://a.test{path}");
  EXPECT_EQ(config->routes[1].redirect->status, 302);
  EXPECT_EQ(config->renewal.remaining, 0.25);
  EXPECT_EQ(config->renewal.policy, RenewalRules::Policy::kOnUse);
  EXPECT_EQ(config->renewal.forget_after, 90 * 24h);
  EXPECT_EQ(config->expired, ExpiredPolicy::kSelfSigned);
  EXPECT_TRUE(config->http_fallback);
  EXPECT_EQ(config->webhook->url, "https://hook.test/e");
  EXPECT_EQ(config->webhook->secret_file, "w");
  EXPECT_EQ(config->webhook->kinds, std::vector<std::string>{"certificate_renewed"});
  EXPECT_EQ(config->webhook->timeout, 3s);
  EXPECT_EQ(config->hook->program, "/bin/hook");
  EXPECT_EQ(config->hook->timeout, 4s);
  EXPECT_EQ(config->keep_expired, 10 * 24h);
  const std::string shown = show_config(*config);
  const auto again = parse_config(shown, "shown.json");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(show_config(*again), shown);
  EXPECT_EQ(changed_keys(*config, *again), std::vector<std::string>{"on_demand.ask.url"})
      << "whose query is not shown";
  config->folder = "/etc/latchkey";
  EXPECT_EQ(config->state(config->store_sqlite), "/etc/latchkey/s/x.db");
  EXPECT_EQ(config->file("t"), "/etc/latchkey/t");
}

TEST(ConfigTest, TheEffectiveConfigurationIsAConfigurationAndHidesTheQuery) {
  std::string text = kSmall;
  text.insert(text.find("\"allow\""), R"("ask": {"url": "http://127.0.0.1:1/c?key=secret"}, )");
  auto config = parse_config(text, "my.json");
  ASSERT_TRUE(config) << config.error().message;
  const std::string shown = show_config(*config);
  EXPECT_EQ(shown.find("secret"), std::string::npos);
  auto again = parse_config(shown, "shown.json");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(show_config(*again), shown);
}

// The paths of all keys of a value; a list counts as its first item.
void collect_keys(const JsonValue& value, const std::string& path, std::set<std::string>& out) {
  for (const auto& [key, child] : value.members) {
    if (path.ends_with("_headers")) continue;  // the operator's own keys
    out.insert(path + "." + key);
    collect_keys(child, path + "." + key, out);
  }
  for (const JsonValue& item : value.items) collect_keys(item, path, out);
}
// The same of a JSON Schema.
void collect_schema_keys(const JsonValue& schema, const std::string& path,
                         std::set<std::string>& out) {
  if (const JsonValue* items = schema.find("items")) collect_schema_keys(*items, path, out);
  if (const JsonValue* any = schema.find("anyOf")) {
    for (const JsonValue& one : any->items) collect_schema_keys(one, path, out);
  }
  const JsonValue* properties = schema.find("properties");
  if (properties == nullptr) return;
  for (const auto& [key, child] : properties->members) {
    out.insert(path + "." + key);
    collect_schema_keys(child, path + "." + key, out);
  }
}

TEST(ConfigTest, TheShippedSchemaNamesTheSameKeys) {
  auto text = read_file(LATCHKEY_SOURCE_DIR "/docs/config.schema.json", 1 << 20);
  ASSERT_TRUE(text) << text.error().message;
  auto schema = parse_json(*text);
  ASSERT_TRUE(schema) << schema.error().message;
  std::string full = kSmall;
  full.insert(full.find("\"allow\""),
              R"("ask": {"url": "http://127.0.0.1:1/c"}, "throttle": {"burst": 1, "per": "1s"}, )");
  const std::string rate = R"({"burst": 1, "per": "1s"})";
  full.insert(full.find("\"acme\""),
              "\"limits\": {\"orders\": " + rate + ", \"renewals\": " + rate +
                  ", \"registered_domain\": " + rate + ", \"identifiers\": " + rate +
                  ", \"name_failures\": " + rate + "}, ");
  full.insert(full.find("\"directory\""), R"("eab": {"kid": "k", "hmac_key_file": "f"}, )");
  full.insert(full.rfind('}'), R"("access_log": {"file": "f"}, "compression": {},
    "rate_limit": {"requests": 1}, )");
  full.insert(full.find('[', full.find("\"routes\"")) + 1,
              R"({"hosts": ["r.test"], "redirect": {"to": "https://a.test/"}}, )");
  full.insert(full.find('[', full.find("\"issuers\"")) + 1,
              R"({"name": "local", "authority": {}}, )");
  const char kHook[] = R"("dns": {"hook": {"program": "p"}},)";
  full.insert(full.rfind('}'), std::string(kHook) + R"("certificates": [{"dir": "d"},
      {"cert_file": "c", "key_file": "k"}], "export": {"dir": "d", "hook": {"program": "p"}},
    "groups": [{"name": "g", "upstreams": ["https://a"], "health": {}}],
    "events": {"webhook": {"url": "https://h.test/"},
    "hook": {"program": "p"}}, "fallback": {
    "default_certificate": {"cert_file": "c", "key_file": "k"},
    "parking_certificate": {"cert_file": "c", "key_file": "k"}},
    "tls": {"client_certificates": {"ca_file": "c", "hosts": ["a.test"]}},
    "acme_server": {"hosts": ["ca.test"], "allow": [],
      "eab_keys": [{"kid": "k", "hmac_key_file": "f"}]})");
  std::set<std::string> known, documented;
  std::string other = full;
  other.replace(other.find(kHook), sizeof kHook - 1,
                R"("dns": {"rfc2136": {"server": "192.0.2.1"}},)");
  for (const std::string& one : {full, other}) {
    const auto config = parse_config(one, "my.json");
    ASSERT_TRUE(config) << config.error().message;
    auto shown = parse_json(show_config(*config));
    ASSERT_TRUE(shown);
    collect_keys(*shown, "", known);
  }
  collect_schema_keys(*schema, "", documented);
  EXPECT_EQ(known, documented);
}

TEST(ConfigTest, PasswordsAreNotShown) {
  std::string text = kSmall;
  text.insert(text.find("\"allow\""), R"("ask": {"url": "http://me:pass@127.0.0.1/c"}, )");
  const std::string shown = show_config(*parse_config(text, "my.json"));
  EXPECT_EQ(shown.find("pass"), std::string::npos) << shown;
  EXPECT_NE(shown.find("http://...@127.0.0.1/c"), std::string::npos) << shown;
  for (const char* url : {"http://me:p@cret@127.0.0.1/c", "http://me:p?cret@127.0.0.1/c",
                          "http://me:p/cret@127.0.0.1", "http://127.0.0.1/c?key=@cret"}) {
    text = kSmall;
    text.insert(text.find("\"allow\""), R"("ask": {"url": ")" + std::string(url) + R"("}, )");
    const auto config = parse_config(text, "my.json");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(show_config(*config).find("cret"), std::string::npos) << show_config(*config);
  }
}

TEST(ConfigTest, MistakesDoNotQuotePasswords) {
  std::string text = kSmall;
  text.insert(text.find("\"allow\""), R"("ask": {"url": "htp://me:p@ss?cret@h"}, )");
  const std::string found = mistakes(text);
  EXPECT_NE(found.find("on_demand.ask.url: expected"), std::string::npos) << found;
  EXPECT_EQ(found.find("cret"), std::string::npos) << found;
}

TEST(ConfigTest, AnAllowEntryThatCanMatchNothingIsAMistake) {
  std::string text = kSmall;
  text.insert(text.find("\"shop."), R"("*", "https://shop.example.com", )");
  EXPECT_NE(mistakes(text).find("on_demand.allow[0]"), std::string::npos);
  EXPECT_NE(mistakes(text).find("on_demand.allow[1]"), std::string::npos);
}

TEST(ConfigTest, KnowsWhichChangesNeedARestart) {
  const Config before = *parse_config(kSmall, "my.json");
  Config after = before;
  after.on_demand.allow = {"other.example.com"};
  after.routes[0].upstreams = {"http://127.0.0.1:4000"};
  after.log_level = LogLevel::kDebug;
  after.fallback.self_signed_parking = true;
  after.fallback.default_certificate = CertificateFiles{"c.pem", "k.pem"};
  EXPECT_TRUE(keys_for_restart(before, after).empty());
  after.workers = 3;
  after.on_demand.max_orders = 5;
  after.on_demand.ask.emplace().url = "http://127.0.0.1:1/c";
  EXPECT_EQ(keys_for_restart(before, after),
            (std::vector<std::string>{"workers", "on_demand.ask", "on_demand.max_orders"}));
}

TEST(ConfigTest, ASecretThatChangedNeedsARestartToo) {
  std::string text = kSmall;
  text.insert(text.find("\"allow\""), R"("ask": {"url": "http://127.0.0.1/c?key=one"}, )");
  const Config before = *parse_config(text, "my.json");
  Config after = before;
  after.on_demand.ask->url = "http://127.0.0.1/c?key=two";
  EXPECT_EQ(show_config(before), show_config(after));
  EXPECT_EQ(keys_for_restart(before, after), std::vector<std::string>{"on_demand.ask.url"});
}

TEST(ConfigTest, KeysOfACertificatesLifeNeedARestart) {
  const Config before = *parse_config(kSmall, "my.json");
  Config after = before;
  after.managed = {"b.test"};
  after.renewal.remaining = 0.5;
  after.expired = ExpiredPolicy::kRefuse;
  after.webhook.emplace().url = "https://h.test/";
  after.keep_expired = 1h;
  EXPECT_EQ(keys_for_restart(before, after),
            (std::vector<std::string>{"managed", "renewal.remaining", "renewal.expired",
                                      "events.webhook", "store.keep_expired"}));
}

TEST(ConfigTest, ManagedNamesAreNamesOrAddresses) {
  const auto config = parse_config(
      with(
          R"("managed": ["Shop.Example.com", "203.0.113.7", "2001:DB8:0::7", "shop.example.com"])"),
      "my.json");
  ASSERT_TRUE(config) << config.error().message;
  const std::vector<ServerName> names = managed_names(*config);
  ASSERT_EQ(names.size(), 3u) << "each once";
  EXPECT_EQ(names[0].text(), "shop.example.com");
  EXPECT_EQ(names[1].text(), "203.0.113.7");
  EXPECT_EQ(names[2].text(), "2001:db8::7");
  EXPECT_TRUE(names[2].is_ip());
  for (const char* wrong :
       {"*", "*.", "a.*.test", "*.*.test", "*.203.0.113.7", "203.0.113.7:443", "[2001:db8::7]",
        "203.0.113", "::ffff:203.0.113.7", "", "a..b", "10.0.0.0/8"}) {
    EXPECT_NE(mistakes(with(R"("managed": [")" + std::string(wrong) + R"("])"))
                  .find("managed[0]: expected a list of names, wildcards and IP addresses"),
              std::string::npos)
        << wrong;
  }
  EXPECT_NE(mistakes(with(R"("managed": ["a_b.test"])")).find("on_demand.underscore"),
            std::string::npos);
}

TEST(ConfigTest, ManagedNamesAloneAreEnoughToRun) {
  EXPECT_EQ(mistakes(R"({"managed": ["a.test"],
      "issuers": [{"name": "ca", "acme": {"directory": "https://ca.test/dir"}}],
      "routes": [{"upstreams": ["http://127.0.0.1:3000"]}]})"),
            "");
}

TEST(ConfigTest, TheRulesOfRenewalAreChecked) {
  const auto wrong = [](const std::string& keys) {
    return mistakes(with("\"renewal\": {" + keys + "}"));
  };
  for (const char* bad : {"0.04", "0.91", "\"0.3\"", "null", "-1", "1e9"}) {
    EXPECT_NE(wrong("\"remaining\": " + std::string(bad)).find("renewal.remaining: expected a num"),
              std::string::npos)
        << bad;
  }
  for (const char* good : {"0.05", "0.9", "0.5", "5e-1"}) {
    EXPECT_EQ(wrong("\"remaining\": " + std::string(good)), "") << good;
  }
  EXPECT_NE(wrong(R"("policy": "never")").find("\"seen\", \"always\", \"on_use\""),
            std::string::npos);
  EXPECT_NE(wrong(R"("expired": "drop")").find("\"serve\", \"self_signed\", \"refuse\""),
            std::string::npos);
  EXPECT_NE(wrong(R"("forget_after": "0s")").find("renewal.forget_after: expected a duration"),
            std::string::npos);
  EXPECT_NE(mistakes(with(R"("renewal": {"http_fallback": true}, "listen": {"http": []})"))
                .find("renewal.http_fallback: listen.http is empty"),
            std::string::npos);
}

TEST(ConfigTest, AnExternalAccountHasBothItsParts) {
  const auto wrong = [](const std::string& eab) {
    std::string text = kSmall;
    return mistakes(text.insert(text.find("\"directory\""), "\"eab\": " + eab + ", "));
  };
  EXPECT_NE(wrong(R"({"kid": "k"})").find("issuers[0].acme.eab: hmac_key_file is missing"),
            std::string::npos);
  EXPECT_NE(wrong(R"({"hmac_key_file": "f"})").find("kid is missing"), std::string::npos);
  EXPECT_NE(wrong(R"("k")").find("acme.eab: expected an object like"), std::string::npos);
  EXPECT_NE(wrong(R"({"kid": "k", "hmac_key_file": "f", "hmac_key": "s"})").find("hmac_key: unkn"),
            std::string::npos);
  EXPECT_EQ(wrong("null"), "");
}

TEST(ConfigTest, TwoIssuersOfOneDirectoryHaveOneAccount) {
  Config config = *parse_config(kSmall, "my.json");
  Config::Issuer second = config.issuers[0];
  second.name = "second";
  config.issuers.push_back(second);
  EXPECT_EQ(check_config(config), "");
  config.issuers[1].eab = EabConfig{"k", "f"};
  EXPECT_NE(check_config(config).find("the same directory but different eab.kid"),
            std::string::npos);
  config.issuers[0].eab = config.issuers[1].eab;
  EXPECT_EQ(check_config(config), "");
}

TEST(ConfigTest, EventsGoWhereTheyAreTold) {
  const auto wrong = [](const std::string& keys) {
    return mistakes(with("\"events\": {" + keys + "}"));
  };
  EXPECT_NE(wrong(R"("webhook": {})").find("events.webhook: url is missing"), std::string::npos);
  EXPECT_NE(wrong(R"("webhook": {"url": "ftp://h.test"})").find("events.webhook.url: expected"),
            std::string::npos);
  EXPECT_NE(wrong(R"("webhook": "https://h.test/")").find("events.webhook: expected an object"),
            std::string::npos);
  EXPECT_NE(wrong(R"("hook": {"kinds": []})").find("events.hook: program is missing"),
            std::string::npos);
  EXPECT_NE(wrong(R"("hook": {"program": "p", "kinds": ["renewed"]})")
                .find("events.hook.kinds[0]: expected a list of kinds of events"),
            std::string::npos);
  EXPECT_NE(wrong(R"("hook": {"program": "p", "timeout": "2h"})").find("events.hook.timeout"),
            std::string::npos);
}

// cache/event.h has the words; a new one there is to be known here and in the schema.
TEST(ConfigTest, EveryKindOfEventMayBeChosen) {
  const std::string header = *read_file(LATCHKEY_SOURCE_DIR "/cache/event.h", 1 << 20);
  const std::string schema = *read_file(LATCHKEY_SOURCE_DIR "/docs/config.schema.json", 1 << 20);
  size_t kinds = 0;
  const std::string_view before = "constexpr std::string_view k";
  for (size_t at = 0; (at = header.find(before, at)) != std::string::npos; ++kinds) {
    const size_t begin = header.find('"', at) + 1;
    at = header.find('"', begin);
    const std::string kind = header.substr(begin, at - begin);
    EXPECT_EQ(mistakes(with(R"("events": {"hook": {"program": "p", "kinds": [")" + kind + "\"]}}")),
              "");
    EXPECT_NE(schema.find("\"" + kind + "\""), std::string::npos) << kind;
  }
  EXPECT_GT(kinds, 10u);
}

TEST(ConfigTest, MistakesAreNamedWithPlaceRuleAndValue) {
  EXPECT_EQ(mistakes(with("\"workers\": -1")),
            "my.json:6:12: workers: expected an integer from 0 to 256, got -1\n");
  EXPECT_EQ(mistakes(with("\"worker\": 1")),
            "my.json:6:11: worker: unknown key; did you mean \"workers\"?\n");
  EXPECT_EQ(mistakes(with("\"listen\": {\"https\": [\"443\"]}")),
            "my.json:6:22: listen.https[0]: expected a list of addresses like \"0.0.0.0:443\", "
            "got \"443\"\n");
  EXPECT_EQ(mistakes(with("\"routes2\": []")),
            "my.json:6:11: routes2: unknown key; did you mean \"routes\"?\n");
  EXPECT_NE(mistakes("{").find("my.json: line 1, column 2"), std::string::npos);
}

TEST(ConfigTest, OnDemandWithoutAllowlistAndAskIsRefused) {
  const std::string text = mistakes(
      R"({"issuers": [{"name": "ca", "acme": {"directory": "https://ca.test/dir"}}],
          "routes": [{"upstreams": ["http://127.0.0.1:3000"]}]})");
  EXPECT_NE(text.find("on_demand.allow"), std::string::npos);
  EXPECT_NE(text.find("on_demand.ask"), std::string::npos);
}

TEST(ConfigTest, MissingIssuersAndRoutesAreRefusedWithAnExample) {
  EXPECT_NE(mistakes(R"({"on_demand": {"allow": ["a.test"]}})").find("letsencrypt"),
            std::string::npos);
  EXPECT_NE(mistakes(R"({"on_demand": {"allow": ["a.test"]},
      "issuers": [{"name": "ca", "acme": {"directory": "https://ca.test/dir"}}]})")
                .find("routes: none"),
            std::string::npos);
}

std::string in_on_demand(std::string_view extra) {
  std::string text = kSmall;
  return text.insert(text.find("\"allow\""), std::string(extra) + ", ");
}
TEST(ConfigTest, ARateHasBothItsPartsWithinReason) {
  const auto wrong = [](const char* rate) {
    return mistakes(in_on_demand("\"throttle\": " + std::string(rate)));
  };
  EXPECT_EQ(wrong(R"({"burst": 0, "per": "1s"})"),
            "my.json:3:40: on_demand.throttle.burst: expected an integer from 1 to 1000000000, "
            "got 0\n");
  EXPECT_NE(wrong(R"({"burst": 1, "per": "0s"})").find("on_demand.throttle.per: expected a dura"),
            std::string::npos);
  EXPECT_NE(wrong(R"({"burst": 1})").find("on_demand.throttle: per is missing"), std::string::npos);
  EXPECT_NE(wrong(R"({"per": "1s"})").find("burst is missing"), std::string::npos);
  EXPECT_EQ(wrong("\"fast\""),
            "my.json:3:30: on_demand.throttle: expected an object like {\"burst\": 50, \"per\": "
            "\"7d\"}, or null, got \"fast\"\n");
  EXPECT_NE(wrong(R"({"burst": 2000, "per": "1s"})").find("write null"), std::string::npos);
  EXPECT_NE(wrong(R"({"burst": 1, "per": "1s", "jitter": 1})").find("jitter: unknown key"),
            std::string::npos);
}

TEST(ConfigTest, DeniedIsOneOfTwoWords) {
  EXPECT_NE(mistakes(in_on_demand(R"("denied": "drop")")).find("\"serve\", \"refuse\""),
            std::string::npos);
}

TEST(ConfigTest, AFallbackCertificateHasTwoFiles) {
  EXPECT_NE(mistakes(with(R"("fallback": {"default_certificate": {"cert_file": "c.pem"}})"))
                .find("fallback.default_certificate: key_file is missing"),
            std::string::npos);
  EXPECT_NE(mistakes(with(R"("fallback": {"parking_certificate": {"key_file": "k.pem"}})"))
                .find("fallback.parking_certificate: cert_file is missing"),
            std::string::npos);
  EXPECT_NE(mistakes(with(R"("fallback": {"parking_certificate": "selfsigned"})"))
                .find("expected one of \"self_signed\", got \"selfsigned\""),
            std::string::npos);
  EXPECT_NE(mistakes(with(R"("fallback": {"parking_certificate": true})"))
                .find("fallback.parking_certificate: expected \"self_signed\", an object"),
            std::string::npos);
}

TEST(ConfigTest, TheParkingCertificateMayBeSelfSigned) {
  const auto config =
      parse_config(with(R"("fallback": {"parking_certificate": "self_signed"})"), "my.json");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->fallback.self_signed_parking);
  EXPECT_NE(show_config(*config).find(R"("parking_certificate":"self_signed")"), std::string::npos);
}

TEST(ConfigTest, TheAdminSocketCanBeLeftOutAndIsRelativeToTheStateFolder) {
  const auto config = parse_config(with(R"("admin": {"socket": null})"), "my.json");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_FALSE(config->admin_socket);
  Config placed = *parse_config(with(R"("admin": {"socket": "a.sock"}, "state_dir": "s")"), "x");
  placed.folder = "/etc/latchkey";
  EXPECT_EQ(placed.state(*placed.admin_socket), "/etc/latchkey/s/a.sock");
  EXPECT_NE(mistakes(with("\"admin\": {\"socket\": \"" + std::string(108, 'a') + "\"}"))
                .find("admin.socket: expected a socket's path of at most 107 bytes"),
            std::string::npos);
}

// A configuration whose issuer has that directory and further keys.
std::string with_issuer(const std::string& host, const std::string& keys) {
  std::string text = kSmall;
  text.replace(text.find("ca.test"), 7, host);
  return text.insert(text.find("\"acme\""), keys);
}

TEST(ConfigTest, TheDirectorysHostTellsTheLimits) {
  const auto table = [](const std::string& host, const std::string& keys = "") {
    const auto config = parse_config(with_issuer(host, keys), "my.json");
    return config ? limits_of(config->issuers[0]).table : config.error().message;
  };
  EXPECT_EQ(table("acme-v02.api.letsencrypt.org"), "letsencrypt");
  EXPECT_EQ(table("ACME-v02.api.letsencrypt.org:443"), "letsencrypt");
  EXPECT_EQ(table("acme-staging-v02.api.letsencrypt.org"), "letsencrypt-staging");
  EXPECT_EQ(table("acme-v02.api.letsencrypt.org.ca.test"), "none");
  EXPECT_EQ(table("ca.test"), "none");
  EXPECT_EQ(table("ca.test", R"("limits": "letsencrypt", )"), "letsencrypt");
  EXPECT_EQ(table("acme-v02.api.letsencrypt.org", R"("limits": "none", )"), "none");
  EXPECT_EQ(table("acme-v02.api.letsencrypt.org", R"("limits": null, )"), "letsencrypt");
  EXPECT_NE(table("ca.test", R"("limits": "lets-encrypt", )").find("limits: expected \"letse"),
            std::string::npos);
  EXPECT_NE(table("ca.test", R"("limits": 5, )").find("limits: expected \"letse"),
            std::string::npos);
}

TEST(ConfigTest, OwnLimitsStandInForTheTablesAndTheRestStays) {
  const std::string keys = R"("limits": {"orders": {"burst": 5000, "per": "3h"},
                              "registered_domain": null}, )";
  const auto config = parse_config(with_issuer("acme-v02.api.letsencrypt.org", keys), "my.json");
  ASSERT_TRUE(config) << config.error().message;
  const IssuerLimits own = limits_of(config->issuers[0]).limits();
  const IssuerLimits table = *IssuerLimits::named("letsencrypt");
  EXPECT_EQ(own.orders, Rate::of(5000, 3h));
  EXPECT_EQ(own.domain, std::nullopt);
  EXPECT_EQ(own.identifiers, table.identifiers);
  EXPECT_EQ(own.name_failures, table.name_failures);
  EXPECT_EQ(own.new_order, table.new_order);

  const std::string shown = show_config(*config);
  const auto again = parse_config(shown, "shown.json");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(show_config(*again), shown);
  EXPECT_EQ(limits_of(again->issuers[0]).limits(), own);
}

TEST(ConfigTest, AnIssuersOwnBoundOnOrdersMayBeLeftOut) {
  const auto orders = [](const std::string& keys) {
    const auto config = parse_config(with_issuer("ca.test", keys), "my.json");
    return config ? config->issuers[0].max_orders : -1;
  };
  EXPECT_EQ(orders(""), 0);
  EXPECT_EQ(orders(R"("max_orders": null, )"), 0);
  EXPECT_EQ(orders(R"("max_orders": 3, )"), 3);
  EXPECT_EQ(orders(R"("max_orders": 0, )"), -1);
}

}  // namespace
}  // namespace latchkey::edge
