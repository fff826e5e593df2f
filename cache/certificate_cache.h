#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "base/server_name.h"
#include "cache/certificate.h"

namespace latchkey {

// The certificates in memory, shared by all threads: shards of an LRU, each behind a mutex that is
// held for one look-up or insert and never across work. Bounded by count and bytes, over all.
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
  CertificatePtr find(const ServerName& name);
  // For `name`, and for the wildcard names of the certificate; replaces what was there.
  void put(const ServerName& name, CertificatePtr certificate);
  void erase(const ServerName& name);

  size_t size() const;
  size_t bytes() const;

 private:
  struct Shard;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace latchkey
