#include "edge/front/client_address.h"

#include <arpa/inet.h>

#include <array>
#include <vector>

namespace latchkey::edge {
namespace {

// The `for` of one element of Forwarded (RFC 7239, 4); "" if it has none.
std::string_view for_of(std::string_view element) {
  while (!element.empty()) {
    const size_t end = element.find(';');
    const std::string_view pair = trim(element.substr(0, end));
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && same_text(trim(pair.substr(0, equals)), "for")) {
      return trim(pair.substr(equals + 1));
    }
    if (end == std::string_view::npos) break;
    element.remove_prefix(end + 1);
  }
  return {};
}

std::vector<std::string_view> hops(const HeaderList& headers) {
  const bool have_list = headers.has("x-forwarded-for");
  std::vector<std::string_view> out;
  for (const auto [name, value] : headers) {
    if (name == (have_list ? "x-forwarded-for" : "forwarded")) {
      for_each_token(value, [&](std::string_view element) {
        out.push_back(have_list ? element : for_of(element));
      });
    }
  }
  return out;
}

}  // namespace

std::string plain_address(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  if (text.starts_with('[')) {
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return "";
    text = text.substr(1, bracket - 1);
  } else if (text.find(':') == text.rfind(':')) {
    text = text.substr(0, text.find(':'));
  }
  if (text.find('\0') != std::string_view::npos) return "";
  const std::string copy(text);
  std::array<char, INET6_ADDRSTRLEN> out{};
  in_addr v4{};
  if (::inet_pton(AF_INET, copy.c_str(), &v4) == 1) {
    return ::inet_ntop(AF_INET, &v4, out.data(), out.size());
  }
  in6_addr v6{};
  if (::inet_pton(AF_INET6, copy.c_str(), &v6) != 1) return "";
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    return ::inet_ntop(AF_INET, &v6.s6_addr[12], out.data(), out.size());
  }
  return ::inet_ntop(AF_INET6, &v6, out.data(), out.size());
}

std::string client_behind_proxies(const HeaderList& headers, const std::string& peer,
                                  const AddressRanges& trusted) {
  std::string client = peer;
  const std::vector<std::string_view> path = hops(headers);
  for (auto hop = path.rbegin(); hop != path.rend(); ++hop) {
    std::string address = plain_address(*hop);
    if (address.empty()) break;
    client = std::move(address);
    if (!trusted.contains(client)) break;
  }
  return client;
}

}  // namespace latchkey::edge
