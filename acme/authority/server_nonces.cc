#include "acme/authority/server_nonces.h"

#include <openssl/mem.h>
#include <openssl/rand.h>

#include "acme/base64url.h"
#include "acme/jws.h"

namespace latchkey::acme {
namespace {

constexpr size_t kNumber = 8;  // bytes
constexpr size_t kTime = 8;
constexpr size_t kTag = 14;  // in all 30 bytes: 40 characters

void append(std::string& to, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) to += static_cast<char>(value >> shift & 255);
}
uint64_t number_at(std::string_view bytes, size_t place) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[place + i]);
  return value;
}

}  // namespace

ServerNonces::ServerNonces() : key_(32, '\0'), used_(kWindow) {
  RAND_bytes(reinterpret_cast<uint8_t*>(key_.data()), key_.size());
}

std::string ServerNonces::tag(std::string_view body) const {
  return hmac_sha256(key_, body).substr(0, kTag);
}

std::string ServerNonces::make(WallTime now) {
  std::string bytes;
  bytes.reserve(kNumber + kTime + kTag);
  append(bytes, next_);
  append(bytes, static_cast<uint64_t>(now.time_since_epoch().count()));
  bytes += tag(bytes);
  used_[next_ % kWindow] = false;
  ++next_;
  return base64url(bytes);
}

bool ServerNonces::use(std::string_view nonce, WallTime now) {
  if (nonce.size() > 64) return false;
  const std::optional<std::string> bytes = base64url_decode(nonce);
  if (!bytes || bytes->size() != kNumber + kTime + kTag) return false;
  const std::string_view body = std::string_view(*bytes).substr(0, kNumber + kTime);
  if (CRYPTO_memcmp(tag(body).data(), bytes->data() + body.size(), kTag) != 0) return false;
  const uint64_t number = number_at(*bytes, 0);
  const WallTime made{std::chrono::seconds(static_cast<int64_t>(number_at(*bytes, kNumber)))};
  if (number >= next_ || next_ - number > kWindow || now - made > kLife) return false;
  if (used_[number % kWindow]) return false;
  used_[number % kWindow] = true;
  return true;
}

}  // namespace latchkey::acme
