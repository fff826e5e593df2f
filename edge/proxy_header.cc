#include "edge/proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

namespace latchkey::edge {
namespace {

using State = ProxyHeader::State;
constexpr std::string_view kText = "PROXY ";
constexpr std::string_view kBinary("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kMaxLine = 107;  // 2.1, CRLF included
constexpr size_t kFixed = 16;     // 2.2

ProxyHeader refused(std::string_view why) {
  return {State::kRefused, 0, "", why};
}

uint8_t byte(std::string_view bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]);
}

// As we spell it, or "".
std::string spelled(int family, const void* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  return ::inet_ntop(family, address, text.data(), text.size()) == nullptr ? "" : text.data();
}

std::string address_of(int family, std::string_view text) {
  std::array<uint8_t, 16> bytes{};
  const std::string copy(text);
  if (copy.find('\0') != std::string::npos ||
      ::inet_pton(family, copy.c_str(), bytes.data()) != 1) {
    return "";
  }
  return spelled(family, bytes.data());
}

bool is_port(std::string_view text) {
  int port = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), port);
  return !text.empty() && text.front() != '-' && read.ec == std::errc() &&
         read.ptr == text.data() + text.size() && port <= 65535;
}

// "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
ProxyHeader read_text(std::string_view bytes) {
  const size_t end = bytes.substr(0, kMaxLine).find("\r\n");
  if (end == std::string_view::npos) {
    return bytes.size() < kMaxLine ? ProxyHeader{} : refused("a line that does not end");
  }
  ProxyHeader header{State::kDone, end + 2, "", ""};
  std::string_view line = bytes.substr(kText.size(), end - kText.size());
  std::vector<std::string_view> words;
  for (size_t space = 0; space != std::string_view::npos;) {
    space = line.find(' ');
    words.push_back(line.substr(0, space));
    if (space != std::string_view::npos) line.remove_prefix(space + 1);
  }
  if (words.front() == "UNKNOWN") return header;
  const int family = words.front() == "TCP4" ? AF_INET : words.front() == "TCP6" ? AF_INET6 : -1;
  if (family < 0 || words.size() != 5 || !is_port(words[3]) || !is_port(words[4])) {
    return refused("a malformed line");
  }
  header.source = address_of(family, words[1]);
  if (header.source.empty() || address_of(family, words[2]).empty()) {
    return refused("a malformed address");
  }
  return header;
}

ProxyHeader read_binary(std::string_view bytes) {
  if (bytes.size() < kFixed) return {};
  const uint8_t version_command = byte(bytes, 12), family = byte(bytes, 13);
  const size_t length = size_t{byte(bytes, 14)} << 8 | byte(bytes, 15);
  if (version_command >> 4 != 2) return refused("a version that is not known here");
  const int command = version_command & 15;
  if (command > 1) return refused("a command that is not known here");
  if (kFixed + length > kMaxProxyHeader) return refused("more than 4096 bytes");
  if (bytes.size() < kFixed + length) return {};
  ProxyHeader header{State::kDone, kFixed + length, "", ""};
  const std::string_view addresses = bytes.substr(kFixed, length);
  if (command == 0) return header;  // LOCAL: a health check, for instance
  switch (family >> 4) {
    case 1:
      if (length < 12) return refused("addresses that are cut off");
      header.source = spelled(AF_INET, addresses.data());
      return header;
    case 2:
      if (length < 36) return refused("addresses that are cut off");
      header.source = spelled(AF_INET6, addresses.data());
      return header;
    default:  // UNSPEC, UNIX: what it says is of no use here
      return header;
  }
}

}  // namespace

ProxyHeader read_proxy_header(std::string_view bytes) {
  const auto begins = [&](std::string_view signature) {
    const size_t size = std::min(bytes.size(), signature.size());
    return bytes.substr(0, size) == signature.substr(0, size);
  };
  if (begins(kText)) return bytes.size() < kText.size() ? ProxyHeader{} : read_text(bytes);
  if (begins(kBinary)) return bytes.size() < kBinary.size() ? ProxyHeader{} : read_binary(bytes);
  return refused("no PROXY header");
}

std::string write_proxy_header(bool binary, const std::string& address, uint16_t port_here) {
  std::array<uint8_t, 16> bytes{};
  const bool v6 = address.find(':') != std::string::npos;
  if (::inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), bytes.data()) != 1) {
    return binary ? std::string(kBinary) + std::string("\x20\0\0\0", 4) : "PROXY UNKNOWN\r\n";
  }
  if (!binary) {
    return std::string("PROXY ") + (v6 ? "TCP6 " : "TCP4 ") + address +
           (v6 ? " :: 0 " : " 0.0.0.0 0 ") + std::to_string(port_here) + "\r\n";
  }
  // 2.2: PROXY, TCP over either version, then both addresses and both ports.
  const size_t size = v6 ? 16 : 4;
  std::string out(kBinary);
  out.append(1, '\x21').append(1, v6 ? '\x21' : '\x11');
  out.append(1, '\0').append(1, static_cast<char>(2 * size + 4));
  out.append(reinterpret_cast<const char*>(bytes.data()), size).append(size, '\0');
  out.append(2, '\0');
  out.append(1, static_cast<char>(port_here >> 8)).append(1, static_cast<char>(port_here & 0xff));
  return out;
}

}  // namespace latchkey::edge
