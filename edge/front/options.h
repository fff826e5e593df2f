#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/address_ranges.h"
#include "base/job_thread.h"
#include "base/log.h"
#include "base/result.h"
#include "edge/front/access_log.h"
#include "edge/front/config.h"
#include "edge/front/counts.h"
#include "edge/front/error_pages.h"
#include "edge/front/rate_limiter.h"

namespace latchkey::edge {

// FrontConfig with its files read and opened. Immutable: a reload posts a new one to each worker.
struct FrontOptions {
  bool log_query = true;
  bool request_id_to_client = false;
  bool forwarded = false;
  AddressRanges trusted_proxies{};
  std::optional<CompressionConfig> compression{};
  std::shared_ptr<AccessLog> access_log{};          // null: there is none
  std::shared_ptr<RateLimiter> rate_limit{};        // likewise
  std::shared_ptr<const ErrorPages> error_pages{};  // likewise

  // Paths are relative to what `file` makes of them. What of `before` (null: none) need not change
  // is taken over: the access log that is open, the clients that have asked. An access log that
  // nobody uses any more ends on `closing`, which outlives all options: it may wait for a disk. The
  // error names the key.
  using Resolve = std::function<std::filesystem::path(const std::string&)>;
  static Result<std::shared_ptr<const FrontOptions>> load(const FrontConfig& config,
                                                          const Resolve& file,
                                                          const FrontOptions* before, Log& log,
                                                          FrontCounts& counts, JobThread& closing);
};

}  // namespace latchkey::edge
