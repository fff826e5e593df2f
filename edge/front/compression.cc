#include "edge/front/compression.h"

#include <algorithm>
#include <array>
#include <optional>

namespace latchkey::edge {
namespace {

// A qvalue in thousandths; what is none counts as 0. "" (there is no weight): 1000.
int weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const size_t end = std::min(parameters.find(';'), parameters.size());
    const std::string_view parameter = trim(parameters.substr(0, end));
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
    if (parameter.size() < 2 || lower(parameter[0]) != 'q' || parameter[1] != '=') continue;
    const std::string_view value = parameter.substr(2);
    if (value.empty() || value.size() > 5 || (value.size() > 1 && value[1] != '.')) return 0;
    int out = 0, scale = 1000;
    for (const char c : value) {
      if (c == '.') continue;
      if (c < '0' || c > '9') return 0;
      out += (c - '0') * scale;
      scale /= 10;
    }
    return std::min(out, 1000);
  }
  return 1000;
}

bool fits(std::string_view pattern, std::string_view type) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == type;
  const std::string_view front = pattern.substr(0, star), back = pattern.substr(star + 1);
  return type.size() >= front.size() + back.size() && type.starts_with(front) &&
         type.ends_with(back);
}

// Fields that speak of the very bytes.
bool has_fixed_bytes(const HeaderList& headers) {
  static constexpr std::array<std::string_view, 6> kNames = {"content-encoding", "content-range",
                                                             "content-md5",      "digest",
                                                             "content-digest",   "repr-digest"};
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](std::string_view name) { return headers.has(name); });
}

}  // namespace

Coding best_coding(std::string_view accepted, const std::vector<std::string>& offered) {
  std::optional<int> gzip, brotli, any;
  for_each_token(accepted, [&](std::string_view element) {
    const size_t semicolon = std::min(element.find(';'), element.size());
    const std::string_view name = trim(element.substr(0, semicolon));
    const int weight = weight_of(element.substr(std::min(semicolon + 1, element.size())));
    if (same_text(name, "gzip") || same_text(name, "x-gzip")) gzip = weight;
    if (same_text(name, "br")) brotli = weight;
    if (name == "*") any = weight;
  });
  Coding best = Coding::kIdentity;
  int most = 0;
  for (const std::string& offer : offered) {
    const bool is_brotli = offer == "br";
    const int weight = (is_brotli ? brotli : gzip).value_or(any.value_or(0));
    if (weight <= most) continue;
    most = weight;
    best = is_brotli ? Coding::kBrotli : Coding::kGzip;
  }
  return best;
}

bool is_compressible(const ResponseHead& head, const CompressionConfig& config) {
  if (head.status < 200 || head.status == 204 || head.status == 205 || head.status == 206 ||
      head.status == 304) {
    return false;
  }
  if (head.body.kind == Body::Kind::kNone) return false;
  if (head.body.kind == Body::Kind::kLength && head.body.length < config.min_size) return false;
  if (has_fixed_bytes(head.headers) || head.headers.has_token("cache-control", "no-transform")) {
    return false;
  }
  const std::string_view field = head.headers.get("content-type");
  const std::string type = lower(trim(field.substr(0, field.find(';'))));
  return !type.empty() && std::any_of(config.types.begin(), config.types.end(),
                                      [&](const std::string& each) { return fits(each, type); });
}

void vary_by_coding(ResponseHead& head) {
  if (head.headers.has_token("vary", "accept-encoding") || head.headers.has_token("vary", "*")) {
    return;
  }
  head.headers.add("vary", "Accept-Encoding");
}

void become_coded(ResponseHead& head, Coding coding) {
  head.headers.set("content-encoding", coding == Coding::kBrotli ? "br" : "gzip");
  head.headers.remove("accept-ranges");  // they would be of other bytes
  const std::string etag(head.headers.get("etag"));
  if (etag.starts_with('"')) head.headers.set("etag", "W/" + etag);
  head.body = {Body::Kind::kChunked, 0};
}

}  // namespace latchkey::edge
