#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace latchkey::edge {

struct AccessLogConfig {
  std::string file;   // or "stdout", "stderr"
  bool query = true;  // targets and referers with their queries
};

struct CompressionConfig {
  std::vector<std::string> types{"text/*",
                                 "application/javascript",
                                 "application/json",
                                 "application/xml",
                                 "application/manifest+json",
                                 "application/wasm",
                                 "application/*+json",
                                 "application/*+xml",
                                 "image/svg+xml",
                                 "font/ttf",
                                 "font/otf"};
  std::vector<std::string> algorithms{"br", "gzip"};  // in order of preference
  uint64_t min_size = 1024;
  int64_t max_at_once = 64;  // responses of each worker
};

struct ClientRateConfig {
  int64_t requests = 0;  // in each `per`
  Millis per{1000};
  int64_t burst = 0;  // at once; 0: `requests`
};

// The keys of the configuration about what is done around each request, whatever answers it.
struct FrontConfig {
  std::optional<AccessLogConfig> access_log{};
  bool request_id_to_client = false;
  std::vector<std::string> trusted_proxies{};  // ranges of addresses
  bool forwarded = false;                      // upstreams get RFC 7239's Forwarded
  std::optional<CompressionConfig> compression{};
  std::optional<ClientRateConfig> rate_limit{};
  // By "404" and the like, or "default": a file's path.
  std::vector<std::pair<std::string, std::string>> error_pages{};
};

}  // namespace latchkey::edge
