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
#include "edge/routes.h"

namespace latchkey::edge {

// A part of the configuration; out here because clang 14 takes no std::optional of a nested class
// with initializers.
struct AskConfig {
  std::string url;
  Millis timeout{2'000};
  Millis negative_ttl{60'000};
  int64_t max_concurrent = 32;
  std::optional<std::string> token_file;
  bool send_reason = false;
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
    int64_t max_orders = 20;
  };
  struct Acme {
    std::string name;
    std::string directory;
    std::string email;
    bool accept_terms = false;
    std::optional<std::string> ca_file;
    std::vector<std::string> challenges{"tls-alpn-01", "http-01"};
  };
  struct Route {
    std::vector<std::string> hosts{"*"};
    std::vector<std::string> upstreams;
    HeaderRules request_headers;
    HeaderRules response_headers;
  };

  std::vector<std::string> https{"0.0.0.0:443", "[::]:443"};
  std::vector<std::string> http{"0.0.0.0:80", "[::]:80"};
  std::string state_dir = "/var/lib/latchkey";
  int64_t workers = 0;  // 0: one per core
  OnDemand on_demand;
  std::vector<Acme> issuers;
  std::string store_sqlite = "latchkey.db";
  std::string encryption_key_file = "encryption.key";
  int64_t cache_max_certificates = 100'000;
  uint64_t cache_max_bytes = 512ULL << 20;
  std::vector<Route> routes;
  Millis upstream_connect_timeout{5'000};
  Millis upstream_response_timeout{60'000};
  Millis shutdown_grace{30'000};
  LogLevel log_level = LogLevel::kInfo;
  size_t log_format = 0;  // an index into kLogFormats

  std::filesystem::path folder;  // of the file: what relative paths (but those of state) are to
  std::filesystem::path state(const std::string& path) const;
  std::filesystem::path file(const std::string& path) const;
};

// Reads and judges the text of a configuration file. The error (kInvalid) lists all mistakes, a
// line each: "my.json:3:7: workers: expected an integer from 1 to 1024, got \"many\"".
Result<Config> parse_config(std::string_view text, const std::string& file_name);
Result<Config> load_config(const std::filesystem::path& file);

// The rules that span keys; "" when it is complete enough to run. Also for the short start.
std::string check_config(const Config& config);

// The routes of a configuration that was judged good.
Result<std::shared_ptr<const RoutingTable>> make_routes(const Config& config);

// The keys that differ and that a running process does not take over.
std::vector<std::string> keys_for_restart(const Config& before, const Config& after);

// The effective configuration as JSON. Holds no secrets: those are in files that it names.
std::string show_config(const Config& config);

}  // namespace latchkey::edge
