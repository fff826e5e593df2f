#include "edge/front/request_id.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/text.h"

namespace latchkey::edge {

std::string new_request_id() {
  // A call of RAND_bytes costs more than the bytes: many at once.
  constexpr size_t kSize = 16;
  thread_local std::array<uint8_t, 64 * kSize> bytes{};
  thread_local size_t used = bytes.size();
  if (used == bytes.size()) {
    RAND_bytes(bytes.data(), bytes.size());  // BoringSSL's does not fail
    used = 0;
  }
  used += kSize;
  return to_hex(bytes.data() + used - kSize, kSize);
}

bool is_request_id(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace latchkey::edge
