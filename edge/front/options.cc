#include "edge/front/options.h"

#include <utility>

namespace latchkey::edge {

Result<std::shared_ptr<const FrontOptions>> FrontOptions::load(const FrontConfig& config,
                                                               const Resolve& file,
                                                               const FrontOptions* before, Log& log,
                                                               FrontCounts& counts,
                                                               JobThread& closing) {
  auto out = std::make_shared<FrontOptions>();
  out->request_id_to_client = config.request_id_to_client;
  out->forwarded = config.forwarded;
  for (const std::string& range : config.trusted_proxies) {
    if (auto added = out->trusted_proxies.add(range); !added) {
      return std::move(added).error().in("trusted_proxies");
    }
  }
  out->compression = config.compression;
  if (!config.error_pages.empty()) {
    auto pages = ErrorPages::load(config.error_pages, file);
    if (!pages) return std::move(pages).error();
    out->error_pages = *std::move(pages);
  }
  if (config.rate_limit) {
    const bool same = before != nullptr && before->rate_limit != nullptr &&
                      before->rate_limit->has(*config.rate_limit);
    out->rate_limit = same ? before->rate_limit : std::make_shared<RateLimiter>(*config.rate_limit);
  }
  if (config.access_log) {  // last: a file that is made for nothing would be a puzzle
    const std::string& name = config.access_log->file;
    const bool stream = name == "stdout" || name == "stderr";
    const std::string path = stream ? name : file(name).string();
    out->log_query = config.access_log->query;
    if (before != nullptr && before->access_log != nullptr && before->access_log->file() == path) {
      out->access_log = before->access_log;
    } else {
      auto opened = AccessLog::open(path, log, counts.access_log_dropped);
      if (!opened) return std::move(opened).error();
      out->access_log = std::shared_ptr<AccessLog>(
          opened->release(), [&closing](AccessLog* old) { closing.push([old] { delete old; }); });
    }
  }
  return std::shared_ptr<const FrontOptions>(std::move(out));
}

}  // namespace latchkey::edge
