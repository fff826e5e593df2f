#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "cache/lru.h"

namespace latchkey::edge {

// TLS 1.3's certificate messages as brotli makes them (RFC 8879). A message that comes again is
// compressed well, once, and kept: beside the certificates, not in them, for most of a million
// are seldom shown. One that comes for the first time is compressed quickly and forgotten, so that
// visitors of ever different names cost a few microseconds each and displace nothing.
//
// Shared by all workers: shards, each behind a mutex that is not held while anything is compressed.
class CertificateCompression {
 public:
  using Bytes = std::shared_ptr<const std::string>;

  // `max_bytes`: of what is kept, our own accounts of it included.
  explicit CertificateCompression(size_t max_bytes = 32 << 20);
  CertificateCompression(const CertificateCompression&) = delete;

  // What stands for `message`; it may be longer. Null: out of memory.
  Bytes compress(std::string_view message);

  size_t kept() const;  // bytes, as max_bytes counts them

  struct Counts {
    Counter messages;  // that were asked for
    Counter quick;     // ... of them compressed quickly
    Counter best;      // ... well, to be kept
    Counter bytes;     // of the messages
    Counter sent;      // ... and of what stands for them
  };
  const Counts& counts() const { return counts_; }

 private:
  static constexpr size_t kShards = 16;
  static constexpr size_t kSeen = 4096;

  struct Shard {
    explicit Shard(size_t max_bytes) : kept(max_bytes / 256, max_bytes) {}
    mutable std::mutex mutex;
    Lru<std::string> kept;               // guarded by mutex; by the message's SHA-256
    std::array<uint32_t, kSeen> seen{};  // guarded by mutex; of messages that came once
  };

  Counts counts_;
  std::array<std::unique_ptr<Shard>, kShards> shards_;
};

}  // namespace latchkey::edge
