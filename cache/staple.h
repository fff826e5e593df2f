#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cache/renewal.h"

namespace latchkey {

// An OCSP response that says `good`, verified when it came (RFC 6960).
struct Staple {
  std::string der;
  WallTime this_update{};
  WallTime next_update{};  // not to be served from then on

  bool good_at(WallTime now) const { return now < next_update; }
};
using StaplePtr = std::shared_ptr<const Staple>;

// What is stored of a certificate's staple, and when its responder is asked next: a row of the
// table `staple`. There may be one for certificates that are not in the store (configured ones).
struct StapleRecord {
  std::string leaf;    // SHA-256 of the leaf's DER, 32 bytes
  std::string name;    // one that leads to the certificate
  uint8_t slot = 0;    // Slot
  StaplePtr staple{};  // null: none, or dropped
  WallTime look_at = RenewalPlan::kNever;
  WallTime end{};  // the leaf's notAfter: then the row is swept
};

struct DueStaples {
  std::vector<StapleRecord> due;  // look_at has come, the longest ago first
  WallTime next = RenewalPlan::kNever;
};

}  // namespace latchkey
