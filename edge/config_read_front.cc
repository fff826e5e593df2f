// The keys about what is done around each request.
#include <algorithm>

#include "base/address_ranges.h"
#include "edge/config_read.h"
#include "edge/front/error_pages.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

bool is_range(std::string_view text) {
  return AddressRanges().add(text).has_value();
}

void read_access_log(Section& section, AccessLogConfig& out) {
  section.text("file", out.file, "a file's path, \"stdout\" or \"stderr\"", is_not_empty);
  section.boolean("query", out.query);
  require(section, "file", "where the lines go: a file's path, \"stdout\" or \"stderr\"");
}

bool is_algorithm(std::string_view text) {
  return text == "br" || text == "gzip";
}

// "text/html", "text/*", "application/*+json".
bool is_type_pattern(std::string_view text) {
  const size_t slash = text.find('/');
  return slash != std::string_view::npos && slash > 0 && slash + 1 < text.size() &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c < 0x7f && c != ',' && c != ';' && (c < 'A' || c > 'Z');
         });
}

void read_compression(Section& section, CompressionConfig& out) {
  section.texts("types", out.types,
                "a list of media types in lower case like \"text/html\", \"text/*\" and "
                "\"application/*+json\"",
                is_type_pattern);
  section.texts("algorithms", out.algorithms, "a list of \"br\" and \"gzip\"", is_algorithm);
  section.size("min_size", 0, 1ULL << 30, out.min_size);
  section.integer("max_at_once", 1, 10'000, out.max_at_once);
  if (out.types.empty()) section.complain_at("types", "expected at least one type");
  if (out.algorithms.empty()) section.complain_at("algorithms", "expected at least one");
}

void read_rate_limit(Section& section, ClientRateConfig& out) {
  section.integer("requests", 1, 1'000'000, out.requests);
  section.duration("per", 1ms, 24h, out.per);
  section.integer("burst", 1, 1'000'000, out.burst);
  const double whole = static_cast<double>(out.burst) * static_cast<double>(out.per.count());
  constexpr double kMonth = 30.0 * 86'400'000;
  if (out.requests > 0 && whole / static_cast<double>(out.requests) > kMonth) {
    section.complain("burst: so many would take over 30 days to come back; write fewer");
  }
  require(section, "requests", "how many requests of one client are answered in each \"per\"");
}

void read_error_pages(Section section, FrontConfig& out) {
  for (const std::string& key : section.keys()) {
    if (!is_error_page_key(key)) {
      section.complain_at(key.c_str(), "expected a status from \"400\" to \"599\", or \"default\"");
      continue;
    }
    std::string file;
    section.text(key.c_str(), file, "a file's path", is_not_empty);
    if (!file.empty()) out.error_pages.emplace_back(key, file);
  }
}

bool is_redirect_target(std::string_view text) {
  return check_redirect({std::string(text), 308}).has_value();
}

void read_redirect_rule(Section& section, Redirect& out) {
  int64_t status = out.status;
  section.text("to", out.to,
               "an http:// or https:// URL, in which {host}, {path} and {query} stand for the "
               "request's, such as \"https://example.com{path}{query}\"",
               is_redirect_target);
  section.integer("status", 301, 308, status);
  out.status = static_cast<int>(status);
  require(section, "to", "where clients are sent");
  if (out.status > 303 && out.status < 307) {
    section.complain_at("status", "expected 301, 302, 303, 307 or 308");
  }
}

}  // namespace

void read_redirect(Section& route, std::optional<Redirect>& out) {
  read_optional(route, "redirect",
                "an object like {\"to\": \"https://example.com{path}{query}\"}, or null", out,
                read_redirect_rule);
}

void read_front(Section& top, FrontConfig& out) {
  read_optional(top, "access_log",
                "an object like {\"file\": \"/var/log/latchkey/access.log\"}, or null",
                out.access_log, read_access_log);
  {
    Section id = top.section("request_id");
    id.boolean("to_client", out.request_id_to_client);
  }
  top.texts("trusted_proxies", out.trusted_proxies,
            "a list of addresses and ranges like \"10.0.0.0/8\"", is_range);
  top.boolean("forwarded", out.forwarded);
  read_optional(top, "compression", "an object like {\"min_size\": \"1KiB\"}, or null",
                out.compression, read_compression);
  read_optional(top, "rate_limit",
                "an object like {\"requests\": 50, \"per\": \"1s\", \"burst\": 100}, or null",
                out.rate_limit, read_rate_limit);
  read_error_pages(top.section("error_pages"), out);
}

}  // namespace latchkey::edge
