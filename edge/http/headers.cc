#include "edge/http/headers.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/url.h"
#include "edge/client_certificates.h"

namespace latchkey::edge {
namespace {

bool is_hop_by_hop(std::string_view name) {
  static constexpr std::array<std::string_view, 9> kNames = {
      "connection", "keep-alive",          "proxy-connection", "proxy-authenticate", "te",
      "upgrade",    "proxy-authorization", "http2-settings",   "transfer-encoding"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

// What Connection may not take away: the message would mean something else without it.
bool is_kept(std::string_view name) {
  static constexpr std::array<std::string_view, 10> kNames = {
      "host",          "content-length", "content-type", "content-encoding", "content-range",
      "authorization", "cookie",         "set-cookie",   "cache-control",    "location"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

void remove_hop_by_hop(HeaderList& headers) {
  std::vector<std::string> named;
  for (const auto [name, value] : headers) {
    if (name != "connection") continue;
    for_each_token(value, [&](std::string_view token) {
      std::string listed = lower(token);
      if (!is_kept(listed)) named.push_back(std::move(listed));
    });
  }
  headers.remove_if([&](const HeaderList::Field& field) {
    return is_hop_by_hop(field.name) ||
           (!named.empty() && std::find(named.begin(), named.end(), field.name) != named.end());
  });
}

std::string dashed(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

// Fields that say who the client is: only ours count.
bool is_claim(std::string_view name) {
  return name.starts_with("x-client-cert-") || name.starts_with("x-forwarded-") ||
         name == "x-forwarded" || name == "forwarded" || name == "x-real-ip" || name == "proxy" ||
         name == "client-ip" || name == "x-client-ip" || name == "true-client-ip";
}

// Those of them that a trusted proxy may say, and we go on with.
bool is_forwarded_field(std::string_view name) {
  return name == "x-forwarded-for" || name == "x-forwarded-proto" || name == "x-forwarded-host" ||
         name == "forwarded";
}

bool is_spoof(std::string_view name, const HeaderRules& rules) {
  const bool other = name.find('_') != std::string_view::npos;
  const std::string with_dashes = other ? dashed(name) : std::string();
  const std::string_view plain = other ? std::string_view(with_dashes) : name;
  if (is_claim(plain)) return true;
  if (other &&
      (is_hop_by_hop(plain) || is_kept(plain) || plain == "via" || plain == "x-request-id")) {
    return true;
  }
  // A rule's own spelling is its own matter: it is set or removed.
  return std::any_of(rules.begin(), rules.end(), [&](const auto& rule) {
    return !same_text(rule.first, name) && same_text(dashed(rule.first), plain);
  });
}

// Of the client's certificate, where the host asks for one.
void add_proof(HeaderList& headers, const ClientProof& proof) {
  if (!proof.asked) return;
  headers.add("x-client-cert-verify", proof.identity != nullptr ? "SUCCESS" : "NONE");
  if (proof.identity == nullptr) return;
  const ClientIdentity& identity = *proof.identity;
  if (!identity.subject.empty()) headers.add("x-client-cert-subject", identity.subject);
  headers.add("x-client-cert-fingerprint", identity.fingerprint);
  headers.add("x-client-cert-serial", identity.serial);
}

// The fields of that name as one list, with `last` at its end.
std::string list_with(const HeaderList& headers, std::string_view name, std::string_view last) {
  std::string out;
  for (const auto [field, value] : headers) {
    if (field == name) out.append(value).append(", ");
  }
  return out.append(last);
}

// RFC 7239, 4 and 6: IPv6 addresses in brackets, and what is no token in quotes.
std::string forwarded_element(const RequestHead& head, const ClientInfo& client) {
  const bool v6 = client.address.find(':') != std::string::npos;
  std::string out = v6 ? "for=\"[" : "for=";
  out.append(client.address).append(v6 ? "]\"" : "");
  out.append(";host=\"").append(head.authority).append("\";proto=");
  return out.append(client.secure ? "https" : "http");
}

// Sets the one field of that name, unless a trusted proxy has said something that may be true.
template <typename Plausible>
void say_once(RequestHead& head, std::string_view name, std::string_view ours,
              Plausible plausible) {
  const bool keep =
      head.from_trusted_proxy && head.headers.count(name) == 1 && plausible(head.headers.get(name));
  if (!keep) head.headers.set(name, ours);
}

void introduce_client(RequestHead& head, const ClientInfo& client) {
  HeaderList& headers = head.headers;
  headers.set("x-forwarded-for", list_with(headers, "x-forwarded-for", client.address));
  say_once(head, "x-forwarded-proto", client.secure ? "https" : "http",
           [](std::string_view said) { return said == "https" || said == "http"; });
  say_once(head, "x-forwarded-host", head.authority, is_authority);
  if (head.forwarded || headers.has("forwarded")) {
    headers.set("forwarded", list_with(headers, "forwarded", forwarded_element(head, client)));
  }
  if (!head.id.empty()) headers.set("x-request-id", head.id);
}

void apply(HeaderList& headers, const HeaderRules& rules) {
  for (const auto& [name, value] : rules) {
    headers.remove(name);
    if (value) headers.add(name, *value);
  }
}

}  // namespace

void forward_request_trailers(HeaderList& trailers, const HeaderRules& rules) {
  trailers.remove_if([&](const HeaderList::Field& field) {
    return is_spoof(field.name, rules) || field.name == "x-request-id" ||
           std::any_of(rules.begin(), rules.end(),
                       [&](const auto& rule) { return same_text(rule.first, field.name); });
  });
}

void forward_request(RequestHead& head, const ClientInfo& client, const HeaderRules& rules) {
  HeaderList& headers = head.headers;
  const bool trailers = headers.has_token("te", "trailers");
  remove_hop_by_hop(headers);
  headers.remove("expect");  // the codec writes the one that we understand
  headers.remove_if([&](const HeaderList::Field& field) {
    const bool let_in = head.from_trusted_proxy && is_forwarded_field(field.name);
    return !let_in && is_spoof(field.name, rules);
  });
  if (trailers) headers.add("te", "trailers");
  introduce_client(head, client);
  if (client.rules != nullptr && client.rules->asks_any()) {
    add_proof(headers, client.rules->proof_of(head.host()));
  }
  std::string via;
  for (const auto [name, value] : headers) {
    if (name == "via") via.append(value).append(", ");
  }
  const std::string_view version = head.http2 ? "2" : head.minor_version == 0 ? "1.0" : "1.1";
  headers.set("via", via.append(version).append(" latchkey"));
  apply(headers, rules);
}

void forward_response(ResponseHead& head, const HeaderRules& rules) {
  remove_hop_by_hop(head.headers);
  apply(head.headers, rules);
}

}  // namespace latchkey::edge
