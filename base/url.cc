#include "base/url.h"

#include <algorithm>
#include <cstddef>

namespace latchkey {
namespace {

bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool hex_digit(char c) {
  return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return false;
  int port = 0;
  for (const char c : text) {
    if (!digit(c)) return false;
    port = port * 10 + (c - '0');
  }
  return port <= 65535;
}

// "http://": what it begins with, if anything.
std::string_view scheme_of(std::string_view url) {
  const size_t end = url.find("://");
  if (end == url.npos) return {};
  const std::string_view scheme = url.substr(0, end);
  const bool clean = std::all_of(scheme.begin(), scheme.end(), [](char c) {
    return letter(c) || digit(c) || c == '+' || c == '-' || c == '.';
  });
  return clean ? url.substr(0, end + 3) : std::string_view();
}

}  // namespace

bool is_authority(std::string_view text) {
  if (text.empty() || text.size() > 261) return false;  // 255 and a port
  size_t host = 0;
  if (text.front() == '[') {
    host = text.find(']');
    if (host == std::string_view::npos || host < 3) return false;
    bool colon = false;
    for (const char c : text.substr(1, host - 1)) {
      if (!hex_digit(c) && c != ':' && c != '.') return false;
      colon = colon || c == ':';
    }
    if (!colon) return false;
    ++host;
  } else {
    while (host < text.size() && (letter(text[host]) || digit(text[host]) || text[host] == '-' ||
                                  text[host] == '.' || text[host] == '_')) {
      ++host;
    }
    if (host == 0 || text.front() == '.') return false;
  }
  if (host == text.size()) return true;
  return text[host] == ':' && is_port(text.substr(host + 1));
}

std::string url_without_secrets(std::string_view url) {
  std::string out(scheme_of(url));
  url.remove_prefix(out.size());
  const size_t end = std::min(url.find_first_of("?#"), url.size());
  size_t begin = 0;
  if (const size_t at = url.rfind('@'); at != url.npos) {
    out += "...";
    if (at > end) return out;  // the query's, or a password's "?" came before: nobody can tell
    begin = at;
  }
  out += url.substr(begin, end - begin);
  if (end < url.size()) out.append(1, url[end]).append("...");
  return out;
}

}  // namespace latchkey
