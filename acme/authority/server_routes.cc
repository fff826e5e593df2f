#include "acme/authority/server_routes.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/json.h"

namespace latchkey::acme {
namespace {

using Kind = ServerRoute::Kind;

constexpr size_t kMaxPart = 200;  // of a path; a RFC 9773 identifier may be the longest

struct Fixed {
  std::string_view path;
  Kind kind;
};
constexpr Fixed kFixed[] = {{"", Kind::kDirectory},           {"/directory", Kind::kDirectory},
                            {"/new-nonce", Kind::kNewNonce},  {"/new-account", Kind::kNewAccount},
                            {"/new-order", Kind::kNewOrder},  {"/revoke-cert", Kind::kRevokeCert},
                            {"/key-change", Kind::kKeyChange}};

constexpr ChallengeType kTypes[] = {ChallengeType::kHttp01, ChallengeType::kTlsAlpn01,
                                    ChallengeType::kDns01};

std::string joined(std::string_view base, std::initializer_list<std::string_view> parts) {
  std::string url(base);
  for (const std::string_view one : parts) url += one;
  return url;
}

std::optional<size_t> index_of(std::string_view text) {
  size_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  const bool plain = text.size() <= 3 && !text.empty() && (text == "0" || text.front() != '0');
  if (error != std::errc() || at != end || !plain) return std::nullopt;
  return value;
}

// "/order/x/finalize" -> {"order", "x", "finalize"}; none for what has an empty or a long part.
std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    if (part.empty() || part.size() > kMaxPart || parts.size() == 4) return {};
    parts.push_back(part);
    path.remove_prefix(part.size());
  }
  return parts;
}

bool is_id(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

bool read_challenge(const std::vector<std::string_view>& parts, ServerRoute& route) {
  const std::optional<size_t> index = index_of(parts[2]);
  if (!index) return false;
  route.index = *index;
  const auto* const type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                        [&](ChallengeType t) { return to_string(t) == parts[3]; });
  if (type == std::end(kTypes)) return false;
  route.kind = Kind::kChallenge;
  route.type = *type;
  return true;
}

// A kind with an id, and perhaps an index behind it.
bool read_object(const std::vector<std::string_view>& parts, ServerRoute& route) {
  const std::string_view kind = parts[0];
  if (parts.size() == 2) {
    if (kind == "order") return route.kind = Kind::kOrder, true;
    if (kind == "account") return route.kind = Kind::kAccount, true;
    if (kind == "certificate") return route.kind = Kind::kCertificate, true;
    if (kind == "renewal-info") return route.kind = Kind::kRenewalInfo, true;
    return false;
  }
  if (parts.size() == 4) return kind == "challenge" && read_challenge(parts, route);
  if (kind == "order" && parts[2] == "finalize") return route.kind = Kind::kFinalize, true;
  if (kind == "account" && parts[2] == "orders") return route.kind = Kind::kOrders, true;
  const std::optional<size_t> index = index_of(parts[2]);
  if (!index) return false;
  route.index = *index;
  if (kind == "authorization") return route.kind = Kind::kAuthorization, true;
  if (kind == "certificate" && *index > 0) return route.kind = Kind::kCertificate, true;
  return false;
}

}  // namespace

ServerRoute parse_route(std::string_view url, std::string_view authority) {
  ServerRoute route;
  const size_t scheme = url.find("://");
  const size_t path_at = scheme == std::string_view::npos ? scheme : url.find('/', scheme + 3);
  const std::string prefix = joined("/acme/", {authority});
  if (path_at == std::string_view::npos || !url.substr(path_at).starts_with(prefix)) return route;
  std::string_view path = url.substr(path_at + prefix.size());
  if (!path.empty() && path.front() != '/') return route;
  route.base = url.substr(0, path_at + prefix.size());
  std::string_view query;
  if (const size_t mark = path.find('?'); mark != std::string_view::npos) {
    query = path.substr(mark + 1);
    path = path.substr(0, mark);
  }
  for (const Fixed& one : kFixed) {
    if (one.path != path) continue;
    route.kind = one.kind;
    return route;
  }
  const std::vector<std::string_view> parts = parts_of(path);
  ServerRoute object = route;
  if (parts.size() < 2 || !is_id(parts[1]) || !read_object(parts, object)) return route;
  object.id = parts[1];
  if (object.kind == Kind::kOrders && query.starts_with("after=")) {
    object.after = query.substr(6, kMaxPart);
    if (!is_id(object.after)) return route;
  }
  return object;
}

std::string account_url(std::string_view base, std::string_view id) {
  return joined(base, {"/account/", id});
}
std::string orders_url(std::string_view base, std::string_view account, std::string_view after) {
  return joined(base, {"/account/", account, "/orders", after.empty() ? "" : "?after=", after});
}
std::string order_url(std::string_view base, std::string_view id) {
  return joined(base, {"/order/", id});
}
std::string finalize_url(std::string_view base, std::string_view order) {
  return joined(base, {"/order/", order, "/finalize"});
}
std::string authorization_url(std::string_view base, std::string_view order, size_t index) {
  return joined(base, {"/authorization/", order, "/", std::to_string(index)});
}
std::string challenge_url(std::string_view base, std::string_view order, size_t index,
                          ChallengeType type) {
  return joined(base, {"/challenge/", order, "/", std::to_string(index), "/", to_string(type)});
}
std::string certificate_url(std::string_view base, std::string_view serial, size_t index) {
  if (index == 0) return joined(base, {"/certificate/", serial});
  return joined(base, {"/certificate/", serial, "/", std::to_string(index)});
}

std::string account_of_url(std::string_view base, std::string_view url) {
  constexpr std::string_view kAccount = "/account/";
  if (!url.starts_with(base) || !url.substr(base.size()).starts_with(kAccount)) return {};
  const std::string_view id = url.substr(base.size() + kAccount.size());
  return id.size() <= kMaxPart && is_id(id) ? std::string(id) : std::string();
}

std::string directory_document(std::string_view base, bool external_account_required) {
  const std::string meta =
      JsonObject().boolean("externalAccountRequired", external_account_required).str();
  return JsonObject()
      .text("newNonce", joined(base, {"/new-nonce"}))
      .text("newAccount", joined(base, {"/new-account"}))
      .text("newOrder", joined(base, {"/new-order"}))
      .text("revokeCert", joined(base, {"/revoke-cert"}))
      .text("keyChange", joined(base, {"/key-change"}))
      .text("renewalInfo", joined(base, {"/renewal-info"}))
      .raw("meta", meta)
      .str();
}

}  // namespace latchkey::acme
