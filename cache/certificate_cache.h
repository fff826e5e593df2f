#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/server_name.h"
#include "cache/certificate.h"
#include "cache/grant.h"

namespace latchkey {

// What is kept beside a certificate for the exact name that it is kept under.
struct NameExtras {
  GrantPtr grant{};
  // From then on look_up() says that the policy is to be asked about the name again.
  WallTime recheck_at = WallTime::max();
};

struct CacheHit {
  CertificatePtr certificate{};  // null: a miss
  GrantPtr grant{};              // null too when it was found by a wildcard
  bool recheck_due = false;      // said to one caller in a minute: it should see to it
  bool exact = false;            // found by its own name: the grant is what there is to know
  // Said to one caller in a while (a day, less for short lives; the first time at once): the use is
  // to be noted, for names that nobody visits are not renewed.
  bool note_use = false;
};

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
  // The same, with what is kept beside it.
  CacheHit look_up(const ServerName& name, WallTime now) const;
  // For `name`, and for the wildcard names of the certificate; replaces what was there, save that
  // a wildcard stays with a newer certificate. What is larger than a shard's bytes is not kept.
  void put(const ServerName& name, CertificatePtr certificate, NameExtras extras = {});
  // A renewal: the same, but only where there is one, for exactly that name or for a wildcard of it
  // that the certificate has too; and what is kept beside it stays. False: there was none.
  bool replace(const ServerName& name, const CertificatePtr& certificate);
  // Replaces what is kept beside the certificate of exactly that name, if there is one.
  void set_extras(const ServerName& name, NameExtras extras);
  // From `at` on look_up() says of every name, once, that the policy is to be asked again. O(n), a
  // shard at a time.
  void recheck_all(WallTime at);
  // The entry of exactly that name; a wildcard may still cover it.
  void erase(const ServerName& name);

  size_t size() const;
  size_t bytes() const;

 private:
  struct Shard;

  Shard& shard_of(std::string_view key) const;

  std::vector<std::unique_ptr<Shard>> shards_;  // never changes
};

}  // namespace latchkey
