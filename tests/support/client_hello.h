#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace latchkey::test {

// ClientHellos written byte by byte, so that they can be wrong.

// The body of a server_name extension with these entries, whatever they are.
std::string server_name_list(const std::vector<std::string>& names);

struct HelloParts {
  std::string server_name;        // the extension's body; "" leaves it out
  std::vector<std::string> alpn;  // none leaves it out
  size_t padding = 0;             // bytes of a padding extension
  size_t record = 16'384;         // bytes of handshake in one record, at most
};

// TLS records.
std::string client_hello(const HelloParts& parts);
std::string client_hello_for(std::string_view name);

// What a server does with bytes.
struct RawAnswer {
  enum class Kind { kAlert, kHandshake, kOther, kClosed, kSilence, kRefused };
  Kind kind = Kind::kSilence;
  int alert = -1;
};
// `step`: bytes a write. `close_after`: our side ends behind the bytes.
RawAnswer send_raw(uint16_t port, std::string_view bytes, size_t step = ~0ul,
                   bool close_after = false, Millis limit = Millis(20'000));

}  // namespace latchkey::test
