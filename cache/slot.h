#pragma once
#include <cstdint>
#include <functional>

#include "base/server_name.h"

namespace latchkey {

// Which of a name's certificates. kMain is for everybody; kRsa is the twin for clients that cannot
// verify an ECDSA signature. A kMain that has an RSA key is its own twin.
enum class Slot : uint8_t { kMain, kRsa };

struct SlotName {
  ServerName name;
  Slot slot = Slot::kMain;
  friend bool operator==(const SlotName&, const SlotName&) = default;
  friend auto operator<=>(const SlotName&, const SlotName&) = default;
};

}  // namespace latchkey

template <>
struct std::hash<latchkey::SlotName> {
  size_t operator()(const latchkey::SlotName& key) const noexcept {
    return std::hash<latchkey::ServerName>()(key.name) * 2 + static_cast<size_t>(key.slot);
  }
};
