#include "base/server_name.h"

#include <arpa/inet.h>
#include <idn2.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace latchkey {
namespace {

constexpr size_t kMaxName = 253;  // RFC 1035, 2.3.4, without the root's byte
constexpr size_t kMaxLabel = 63;
constexpr std::string_view kWildcard = "*.";

Error bad(std::string_view rule) {
  return Error{ErrorCode::kInvalid, "server name: " + std::string(rule)};
}

bool is_ldh(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool all_digits(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "0x7f" and "127" as a last label are how inet_aton and browsers spell IPv4 addresses.
bool looks_numeric(std::string_view label) {
  if (all_digits(label)) return true;
  return label.starts_with("0x") && label.find_first_not_of("0123456789abcdef", 2) == label.npos;
}

bool a_label_decodes(const std::string& label) {
  char* unicode = nullptr;
  const int rc = idn2_to_unicode_8z8z(label.c_str(), &unicode, IDN2_NONTRANSITIONAL);
  if (rc != IDN2_OK) return false;
  // Only the canonical spelling: what we would encode again must be what we were given.
  char* again = nullptr;
  const int back = idn2_to_ascii_8z(unicode, &again, IDN2_NONTRANSITIONAL);
  const bool same = back == IDN2_OK && label == again && label != unicode;
  idn2_free(unicode);
  if (back == IDN2_OK) idn2_free(again);
  return same;
}

Result<> check_label(const std::string& label, ServerNameRules rules) {
  if (label.empty()) return bad("an empty label");
  if (label.size() > kMaxLabel) return bad("a label of over 63 bytes");
  for (char c : label) {
    if (!is_ldh(c) && !(c == '_' && rules.underscore)) {
      return bad("a byte that is not a letter, digit or hyphen");
    }
  }
  if (label.front() == '-' || label.back() == '-') return bad("a hyphen at the end of a label");
  if (label.size() >= 4 && label[2] == '-' && label[3] == '-') {
    if (!label.starts_with("xn--")) return bad("hyphens in the third and fourth place");
    if (!a_label_decodes(label)) return bad("an A-label (xn--) that is not valid IDNA");
  }
  return Unit{};
}

}  // namespace

Result<ServerName> ServerName::parse(std::string_view text, ServerNameRules rules) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty()) return bad("empty");
  if (text.size() > kMaxName) return bad("over 253 bytes");

  std::string name = lower(text);
  size_t start = 0;
  for (;;) {
    const size_t dot = name.find('.', start);
    const std::string label = name.substr(start, dot - start);
    if (auto ok = check_label(label, rules); !ok) return ok.error();
    if (dot == std::string::npos) {
      if (looks_numeric(label)) return bad("an IP address, or a last label that is a number");
      break;
    }
    start = dot + 1;
  }
  return ServerName(std::move(name));
}

Result<ServerName> ServerName::parse_ip(std::string_view text) {
  const std::string address(text);
  for (const int family : {AF_INET, AF_INET6}) {
    in6_addr bytes{};
    std::array<char, INET6_ADDRSTRLEN> canonical{};
    if (::inet_pton(family, address.c_str(), &bytes) != 1) continue;
    ::inet_ntop(family, &bytes, canonical.data(), canonical.size());
    return ServerName(canonical.data());
  }
  return bad("expected an IP address like 192.0.2.7 or 2001:db8::7");
}

Result<ServerName> ServerName::parse_wildcard(std::string_view text, ServerNameRules rules) {
  if (!text.starts_with(kWildcard)) return bad("a wildcard begins with \"*.\"");
  auto suffix = parse(text.substr(kWildcard.size()), rules);
  if (!suffix) return suffix;
  if (suffix->text_.size() + kWildcard.size() > kMaxName) return bad("over 253 bytes");
  suffix->text_.insert(0, kWildcard);
  return suffix;
}

std::optional<ServerName> ServerName::wildcard() const {
  const std::string_view suffix = parent();
  if (suffix.empty() || is_wildcard() || suffix.size() + kWildcard.size() > kMaxName) {
    return std::nullopt;
  }
  return ServerName(std::string(kWildcard).append(suffix));
}

// No other name ends in a number (parse() sees to it).
bool ServerName::is_ip() const {
  const std::string_view text = text_;
  return text.find(':') != text.npos || all_digits(text.substr(text.rfind('.') + 1));
}

size_t ServerName::labels() const {
  return 1 + static_cast<size_t>(std::count(text_.begin(), text_.end(), '.'));
}

std::string_view ServerName::parent() const {
  if (is_ip()) return {};
  const size_t dot = text_.find('.');
  return dot == std::string::npos ? std::string_view() : std::string_view(text_).substr(dot + 1);
}

}  // namespace latchkey
