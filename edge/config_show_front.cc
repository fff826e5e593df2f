#include <algorithm>
#include <array>

#include "edge/config_read.h"

namespace latchkey::edge {
namespace {

constexpr std::array<std::string_view, 7> kFrontKeys{"access_log", "request_id",  "trusted_proxies",
                                                     "forwarded",  "compression", "rate_limit",
                                                     "error_pages"};

std::string show_list(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + json_quote(item);
  return "[" + out + "]";
}

std::string show_access_log(const std::optional<AccessLogConfig>& log) {
  if (!log) return "null";
  return JsonObject().text("file", log->file).boolean("query", log->query).str();
}

std::string show_compression(const std::optional<CompressionConfig>& compression) {
  if (!compression) return "null";
  return JsonObject()
      .raw("types", show_list(compression->types))
      .raw("algorithms", show_list(compression->algorithms))
      .text("min_size", std::to_string(compression->min_size))
      .number("max_at_once", compression->max_at_once)
      .str();
}

std::string show_rate_limit(const std::optional<ClientRateConfig>& rate) {
  if (!rate) return "null";
  return JsonObject()
      .number("requests", rate->requests)
      .text("per", show_duration(rate->per))
      .number("burst", rate->burst > 0 ? rate->burst : rate->requests)
      .str();
}

std::string show_error_pages(const FrontConfig& config) {
  JsonObject out;
  for (const auto& [key, file] : config.error_pages) out.text(key, file);
  return out.str();
}

}  // namespace

std::string show_redirect(const std::optional<Redirect>& redirect) {
  if (!redirect) return "null";
  return JsonObject().text("to", redirect->to).number("status", redirect->status).str();
}

bool is_front_key(std::string_view path) {
  return std::find(kFrontKeys.begin(), kFrontKeys.end(), path.substr(0, path.find('.'))) !=
         kFrontKeys.end();
}

void write_front(const FrontConfig& config, JsonObject& out) {
  out.raw("access_log", show_access_log(config.access_log));
  out.raw("request_id", JsonObject().boolean("to_client", config.request_id_to_client).str());
  out.raw("trusted_proxies", show_list(config.trusted_proxies));
  out.boolean("forwarded", config.forwarded);
  out.raw("compression", show_compression(config.compression));
  out.raw("rate_limit", show_rate_limit(config.rate_limit));
  out.raw("error_pages", show_error_pages(config));
}

}  // namespace latchkey::edge
