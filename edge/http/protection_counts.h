#pragma once
#include <array>
#include <cstddef>

#include "base/metrics.h"

namespace latchkey::edge {

// Frames of HTTP/2 that serve no purpose.
enum class IdleFrame : size_t {
  kReset,      // RST_STREAM of the client's: CVE-2023-44487
  kMadeReset,  // ... of ours, that the client has made us send: CVE-2025-8671
  kSettings,
  kPing,
  kEmpty,       // DATA without a byte
  kTinyWindow,  // WINDOW_UPDATE by a few bytes
  kPriority,
  kOther,  // unknown ones, and those that are malformed
};

// What the limits of HTTP connections have met; written by all workers.
struct ProtectionCounts {
  std::array<Counter, 8> frames;  // by IdleFrame
  Counter calmed;                 // HTTP/2 connections that were ended for too many of them
  Counter broken;                 // ... that broke the protocol so that nothing more can be read
  Counter malformed_heads, large_heads, slow_heads;  // requests refused for their head
  Counter slow_bodies;                               // given up: a body that no more came of
  Counter slow_readers;                              // ... an answer that nobody read

  Counter& of(IdleFrame kind) { return frames[static_cast<size_t>(kind)]; }
  uint64_t value(IdleFrame kind) const { return frames[static_cast<size_t>(kind)].value(); }

  // A request that is refused with this status for its head.
  void add_refusal(int status) {
    if (status == 408) {
      slow_heads.add();
    } else if (status == 413 || status == 414 || status == 431) {
      large_heads.add();
    } else {
      malformed_heads.add();
    }
  }

  // For sessions whose counts nobody wants.
  static ProtectionCounts& ignored() {
    static ProtectionCounts counts;
    return counts;
  }
};

}  // namespace latchkey::edge
