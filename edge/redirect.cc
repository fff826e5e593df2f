#include "edge/redirect.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/url.h"

namespace latchkey::edge {
namespace {

Error invalid(std::string message) {
  return {ErrorCode::kInvalid, std::move(message)};
}

// Calls `text` with what is written out and `key` with what stands in braces. False: a brace is
// left open, or closed that was not.
template <typename Text, typename Key>
bool split(std::string_view rule, Text text, Key key) {
  while (!rule.empty()) {
    const size_t open = rule.find('{');
    const std::string_view before = rule.substr(0, open);
    if (before.find('}') != std::string_view::npos) return false;
    text(before);
    if (open == std::string_view::npos) return true;
    const size_t close = rule.find('}', open);
    if (close == std::string_view::npos) return false;
    key(rule.substr(open + 1, close - open - 1));
    rule.remove_prefix(close + 1);
  }
  return true;
}

bool is_url_char(char c) {
  return c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\' && c != '^' &&
         c != '`';
}

bool is_url_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_url_char);
}

// What a client sent, for a URL: other bytes than those of a URL are encoded.
std::string encoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_url_char(c)) {
      out += c;
    } else {
      const auto byte = static_cast<uint8_t>(c);
      out.append({'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]});
    }
  }
  return out;
}

}  // namespace

Result<> check_redirect(const Redirect& rule) {
  static constexpr std::array<int, 5> kStatuses = {301, 302, 303, 307, 308};
  if (std::find(kStatuses.begin(), kStatuses.end(), rule.status) == kStatuses.end()) {
    return invalid("status: expected 301, 302, 303, 307 or 308, got " +
                   std::to_string(rule.status));
  }
  const std::string shown = "\"" + rule.to + "\"";
  const std::string_view to = rule.to;
  const size_t scheme = to.starts_with("https://") ? 8 : to.starts_with("http://") ? 7 : 0;
  if (scheme == 0 || !is_url_text(to)) {
    return invalid(
        "to: expected an http:// or https:// URL such as "
        "\"https://example.com{path}{query}\", got " +
        shown);
  }
  const std::string_view rest = to.substr(scheme);
  // A placeholder other than {host} ends the authority as a slash does: what it stands for begins
  // with "/" or "?", or is "".
  const size_t end =
      std::min({rest.find_first_of("/?#"), rest.find("{path}"), rest.find("{query}"), rest.size()});
  std::string authority(rest.substr(0, end));
  if (const size_t host = authority.find("{host}"); host != std::string::npos) {
    authority.replace(host, 6, "host.test");
  }
  if (!is_authority(authority)) {
    return invalid("to: expected a host, or {host}, and perhaps a port behind the \"//\", got " +
                   shown);
  }
  bool known = true;
  const bool closed = split(
      to, [](std::string_view) {},
      [&](std::string_view key) { known &= key == "host" || key == "path" || key == "query"; });
  if (!closed || !known) {
    return invalid("to: in braces only {host}, {path} and {query} are known, got " + shown);
  }
  return Unit{};
}

std::string redirect_location(const Redirect& rule, const RequestHead& head) {
  const std::string_view target = head.target == "*" ? std::string_view("/") : head.target;
  const size_t question = std::min(target.find('?'), target.size());
  std::string out;
  split(
      rule.to, [&](std::string_view text) { out.append(text); },
      [&](std::string_view key) {
        if (key == "host") {
          out.append(encoded(head.host()));
        } else if (key == "path") {
          out.append(encoded(target.substr(0, question)));
        } else {
          out.append(encoded(target.substr(question)));
        }
      });
  return out;
}

}  // namespace latchkey::edge
