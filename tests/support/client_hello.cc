#include "tests/support/client_hello.h"

#include <algorithm>

#include "tests/support/byte_stream.h"

namespace latchkey::test {
namespace {

std::string number(size_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

std::string sized(int bytes, std::string_view content) {
  return number(content.size(), bytes) + std::string(content);
}

std::string extension(size_t type, std::string_view body) {
  return number(type, 2) + sized(2, body);
}

// The x coordinate of X25519's base point: a key share that any server can compute with.
std::string key_share() {
  std::string point(32, '\0');
  point[0] = 9;
  return number(0x001d, 2) + sized(2, point);
}

}  // namespace

std::string server_name_list(const std::vector<std::string>& names) {
  std::string entries;
  for (const auto& name : names) entries += number(0, 1) + sized(2, name);
  return sized(2, entries);
}

std::string client_hello(const HelloParts& parts) {
  std::string extensions;
  if (!parts.server_name.empty()) extensions += extension(0, parts.server_name);
  extensions += extension(10, sized(2, number(0x001d, 2)));                      // groups
  extensions += extension(13, sized(2, number(0x0403, 2) + number(0x0804, 2)));  // signatures
  if (!parts.alpn.empty()) {
    std::string protocols;
    for (const auto& protocol : parts.alpn) protocols += sized(1, protocol);
    extensions += extension(16, sized(2, protocols));
  }
  extensions += extension(43, sized(1, number(0x0304, 2) + number(0x0303, 2)));  // versions
  extensions += extension(51, sized(2, key_share()));
  if (parts.padding > 0) extensions += extension(21, std::string(parts.padding, '\0'));

  std::string body = number(0x0303, 2) + std::string(32, 'r');
  body += sized(1, std::string(32, 's'));
  body += sized(2, number(0x1301, 2) + number(0x1303, 2) + number(0xc02b, 2));
  body += sized(1, number(0, 1));
  body += sized(2, extensions);
  const std::string message = number(1, 1) + sized(3, body);

  std::string records;
  for (size_t at = 0; at < message.size(); at += parts.record) {
    records += number(22, 1) + number(0x0301, 2) + sized(2, message.substr(at, parts.record));
  }
  return records;
}

std::string client_hello_for(std::string_view name) {
  HelloParts parts;
  parts.server_name = server_name_list({std::string(name)});
  return client_hello(parts);
}

RawAnswer send_raw(uint16_t port, std::string_view bytes, size_t step, bool close_after,
                   Millis limit) {
  PlainClient client(port, limit);
  if (!client.connected()) return {RawAnswer::Kind::kRefused, -1};
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, step);
    if (!client.write(part)) break;  // it may have answered already
    bytes.remove_prefix(part.size());
  }
  if (close_after) client.finish_writing();
  std::string answer;
  while (answer.size() < 7) {
    const auto more = client.read();
    if (!more && (errno == EAGAIN || errno == EWOULDBLOCK)) return {RawAnswer::Kind::kSilence, -1};
    if (!more || more->empty()) break;
    answer += *more;
  }
  if (answer.empty()) return {RawAnswer::Kind::kClosed, -1};
  if (answer[0] == 21 && answer.size() >= 7) {
    return {RawAnswer::Kind::kAlert, static_cast<unsigned char>(answer[6])};
  }
  if (answer[0] == 22) return {RawAnswer::Kind::kHandshake, -1};
  return {RawAnswer::Kind::kOther, -1};
}

}  // namespace latchkey::test
