#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/server_name.h"
#include "cache/certificate.h"
#include "cache/grant.h"
#include "cache/slot.h"

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
  // to be noted, for names that nobody visits are not renewed. Never of a configured one.
  bool note_use = false;
  bool configured = false;  // the operator's own: served without question, also when expired
};

// A certificate of the operator's own, for the names that it has (Certificate::names()).
struct ConfiguredCertificate {
  CertificatePtr certificate;
  std::string source{};  // the files, for people
};

// The certificates in memory, shared by all threads: shards of an LRU, each behind a mutex that is
// held for one look-up or insert and never across work. Bounded by count and bytes, over all: each
// shard keeps its share of both. A certificate counts once for each name that it is kept under.
//
// Beside them, in a class of their own that nothing evicts, the configured certificates. They go
// before the others, exact before wildcard: configured exact, exact, configured wildcard, wildcard.
//
// A name may have a twin in Slot::kRsa. Looking there finds also what is in Slot::kMain with an RSA
// key; what has an ECDSA key is never found there.
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
  CertificatePtr find(const ServerName& name, Slot slot = Slot::kMain) const;
  // The same, with what is kept beside it. What is kept beside an exact name that has only a
  // wildcard's certificate (put_extras()) is found with it.
  CacheHit look_up(const ServerName& name, WallTime now, Slot slot = Slot::kMain) const;
  // For `name`, and for the wildcard names of the certificate; replaces what was there, save that
  // a wildcard stays with a newer certificate. Where only a wildcard of the certificate covers the
  // name it is put_extras(): the certificate is kept once. What is kept beside a name is the same
  // in both slots. What is larger than a shard's bytes is not kept; nor, in Slot::kRsa, what has
  // another key.
  void put(const ServerName& name, CertificatePtr certificate, NameExtras extras = {},
           Slot slot = Slot::kMain);
  // For a name that is covered by a wildcard in memory, of its own or configured: what is kept
  // beside the name, without a certificate. Counts as an entry. Ends a certificate of exactly that
  // name.
  void put_extras(const ServerName& name, NameExtras extras);
  // A renewal: the same, but only where there is one, for exactly that name or for a wildcard of it
  // that the certificate has too; and what is kept beside it stays. False: there was none.
  bool replace(const ServerName& name, const CertificatePtr& certificate, Slot slot = Slot::kMain);
  // Wherever the same leaf is kept under its names, configured or not, in either slot: this object
  // stands in for it from now on (another staple). False: nowhere.
  bool restaple(const CertificatePtr& certificate);
  // These, instead of what was configured before. What they had been restapled with stays where the
  // leaf is the same. Of several for one name an RSA one goes to Slot::kRsa beside an ECDSA one;
  // else the later in the list counts. O(n), a shard at a time.
  void set_configured(const std::vector<ConfiguredCertificate>& certificates);
  std::vector<CertificatePtr> configured() const;
  // Replaces what is kept beside the certificate of exactly that name, if there is one.
  void set_extras(const ServerName& name, NameExtras extras);
  // From `at` on look_up() says of every name, once, that the policy is to be asked again. O(n), a
  // shard at a time.
  void recheck_all(WallTime at);
  // The entries of exactly that name, in both slots; a wildcard may still cover it. Not what is
  // configured.
  void erase(const ServerName& name);
  // Wherever the same leaf is kept under its names, but for configured ones: it is served no more.
  void erase(const Certificate& certificate);
  // All but the configured ones, with what is kept beside them. A shard at a time.
  void clear();

  size_t size() const;
  size_t bytes() const;

 private:
  struct Shard;

  size_t shard_number(std::string_view name) const;
  Shard& shard_of(std::string_view name) const;
  // For the wildcards that the certificate has, save `name`. True: one that is there by now covers
  // `name`.
  bool put_wildcards(const ServerName& name, const CertificatePtr& certificate, Slot slot,
                     bool only_replace);

  std::vector<std::unique_ptr<Shard>> shards_;  // never changes
  mutable std::mutex configured_mutex_;         // taken before a shard's
  std::vector<CertificatePtr> configured_;      // guarded by configured_mutex_
};

}  // namespace latchkey
