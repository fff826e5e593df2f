#include "edge/front/request_id.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/text.h"

namespace latchkey::edge {

std::string new_request_id() {
  std::array<uint8_t, 16> bytes{};
  RAND_bytes(bytes.data(), bytes.size());  // BoringSSL's does not fail
  return to_hex(bytes.data(), bytes.size());
}

bool is_request_id(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace latchkey::edge
