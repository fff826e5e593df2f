#include "acme/authority/server_time.h"

#include <openssl/rand.h>

#include <ctime>

#include "acme/base64url.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr double kMaxTime = 253'402'300'799;  // the end of the year 9999
constexpr size_t kTokenBytes = 16;            // RFC 8555, 8.1: 128 bits of entropy

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  RAND_bytes(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
  return bytes;
}

}  // namespace

std::string rfc3339(WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::optional<WallTime> time_in(const JsonValue& object, std::string_view key) {
  const JsonValue* const value = object.find(key);
  if (value == nullptr || !value->is(JsonValue::Kind::kNumber)) return std::nullopt;
  if (!(value->number >= 0 && value->number <= kMaxTime)) return std::nullopt;
  return WallTime(std::chrono::seconds(static_cast<int64_t>(value->number)));
}

std::string random_hex(size_t bytes) {
  return to_hex(random_bytes(bytes));
}

std::string random_token() {
  return base64url(random_bytes(kTokenBytes));
}

}  // namespace latchkey::acme
