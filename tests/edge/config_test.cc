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
}

TEST(ConfigTest, ReadsEveryKey) {
  auto config = parse_config(
      R"({"listen": {"https": ["127.0.0.1:8443"], "http": []}, "state_dir": "s", "workers": 2,
      "on_demand": {"allow": ["a.test"], "allow_files": ["f.txt"], "underscore": true,
        "ask": {"url": "http://127.0.0.1:1/check?k=v", "timeout": "1s", "negative_ttl": "5s",
                "max_concurrent": 3, "token_file": "t", "send_reason": true},
        "park_timeout": "10s", "max_parked": 10, "max_parked_per_name": 5, "max_orders": 2},
      "issuers": [{"name": "ca", "acme": {"directory": "https://ca.test/dir", "email": "a@b.test",
        "accept_terms": true, "ca_file": "r.pem", "challenges": ["http-01"]}}],
      "store": {"sqlite": "x.db", "encryption_key_file": "k"},
      "cache": {"max_certificates": 7, "max_bytes": "2MiB"},
      "routes": [{"hosts": ["*.a.test"], "upstreams": ["http://127.0.0.1:1"],
        "request_headers": {"X-Edge": "1"}, "response_headers": {"Server": null}}],
      "upstream": {"connect_timeout": "1s", "response_timeout": "2s"},
      "shutdown_grace": "3s", "log": {"level": "debug", "format": "json"}})",
      "my.json");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->on_demand.ask->max_concurrent, 3);
  EXPECT_EQ(config->cache_max_bytes, 2u << 20);
  EXPECT_EQ(config->routes[0].response_headers[0].second, std::nullopt);
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
  if (!value.items.empty()) collect_keys(value.items.front(), path, out);
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
  full.insert(full.find("\"allow\""), R"("ask": {"url": "http://127.0.0.1:1/c"}, )");
  auto shown = parse_json(show_config(*parse_config(full, "my.json")));
  ASSERT_TRUE(shown);
  std::set<std::string> known, documented;
  collect_keys(*shown, "", known);
  collect_schema_keys(*schema, "", documented);
  EXPECT_EQ(known, documented);
}

TEST(ConfigTest, PasswordsAreNotShown) {
  std::string text = kSmall;
  text.insert(text.find("\"allow\""), R"("ask": {"url": "http://me:pass@127.0.0.1/c"}, )");
  const std::string shown = show_config(*parse_config(text, "my.json"));
  EXPECT_EQ(shown.find("pass"), std::string::npos) << shown;
  EXPECT_NE(shown.find("http://...@127.0.0.1/c"), std::string::npos) << shown;
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
  EXPECT_TRUE(keys_for_restart(before, after).empty());
  after.workers = 3;
  after.on_demand.max_orders = 5;
  after.on_demand.ask.emplace().url = "http://127.0.0.1:1/c";
  EXPECT_EQ(keys_for_restart(before, after),
            (std::vector<std::string>{"workers", "on_demand.ask", "on_demand.max_orders"}));
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

}  // namespace
}  // namespace latchkey::edge
