#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/server_name.h"
#include "cache/certificate.h"

namespace latchkey {

// The certificates in memory, shared by all threads: shards of an LRU, each behind a mutex that is
// held for one look-up or insert and never across work. Bounded by count and bytes, over all: each
// shard keeps its share of both. A certificate counts once for each name that it is kept under.
class CertificateCache {
 public:
  struct Limits {
    size_t max_certificates = 100'000;
    size_t max_bytes = 512 << 20;
  };
  explicit CertificateCache(Limits limits);
  ~CertificateCache();
  CertificateCache(const CertificateCache&) = delete;

  // Exact, then the wildcard of the first label; null if there is none. O(1), no I/O. Does not
  // look at dates: what to do about an expired one is the caller's policy.
  CertificatePtr find(const ServerName& name) const;
  // For `name`, and for the wildcard names of the certificate; replaces what was there, save that
  // a wildcard stays with a newer certificate. What is larger than a shard's bytes is not kept.
  void put(const ServerName& name, CertificatePtr certificate);
  // The entry of exactly that name; a wildcard may still cover it.
  void erase(const ServerName& name);

  size_t size() const;
  size_t bytes() const;

 private:
  struct Shard;

  Shard& shard_of(std::string_view key) const;
  CertificatePtr get(std::string_view key) const;

  std::vector<std::unique_ptr<Shard>> shards_;  // never changes
};

}  // namespace latchkey
