// The operator's own certificates in memory, and staples, which come for them and for the others.
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "cache/certificate_cache.h"
#include "cache/certificate_cache_impl.h"

namespace latchkey {

using in_memory::Entries;
using in_memory::Key;
using in_memory::Pinned;

bool CertificateCache::restaple(const CertificatePtr& certificate) {
  CHECK(certificate != nullptr);
  const std::lock_guard all(configured_mutex_);
  bool found = false;
  for (CertificatePtr& one : configured_) {
    if (one->same_leaf(*certificate)) one = certificate;
  }
  for (const std::string& own : certificate->names()) {
    for (const Slot slot : in_memory::kSlots) {
      Entries::Dropped dropped;
      CertificatePtr old;
      const Key key(own, slot);
      Shard& shard = shard_of(own);
      const std::lock_guard lock(shard.mutex);
      if (const auto pinned = shard.pinned.find(key.text());
          pinned != shard.pinned.end() && pinned->second->same_leaf(*certificate)) {
        old = std::exchange(pinned->second, certificate);
        found = true;
      }
      const Certificate* present = shard.lru.peek(key.text());
      if (present == nullptr || !present->same_leaf(*certificate)) continue;
      shard.replace(key.text(), certificate, dropped);
      found = true;
    }
  }
  return found;
}

namespace {

// Of one name: what is configured for everybody, and the RSA twin beside it.
struct Choice {
  CertificatePtr main, rsa;
};

std::map<std::string_view, Choice> choose(const std::vector<CertificatePtr>& certificates) {
  std::map<std::string_view, Choice> chosen;
  for (const CertificatePtr& one : certificates) {
    for (const std::string& own : one->names()) {
      Choice& choice = chosen[own];
      (one->is_rsa() ? choice.rsa : choice.main) = one;
    }
  }
  for (auto& [name, choice] : chosen) {
    if (choice.main == nullptr) choice.main = std::exchange(choice.rsa, nullptr);
  }
  return chosen;
}

}  // namespace

void CertificateCache::set_configured(const std::vector<ConfiguredCertificate>& certificates) {
  const std::lock_guard all(configured_mutex_);
  std::map<std::string, StaplePtr> staples;  // by leaf
  for (const CertificatePtr& one : configured_) {
    if (one->staple() != nullptr) staples.emplace(one->leaf_hash(), one->staple());
  }
  std::vector<CertificatePtr> fresh;
  fresh.reserve(certificates.size());
  for (const ConfiguredCertificate& one : certificates) {
    CHECK(one.certificate != nullptr);
    const auto stapled = staples.find(one.certificate->leaf_hash());
    const bool keep = stapled != staples.end() && one.certificate->staple() == nullptr;
    fresh.push_back(keep ? one.certificate->with_staple(stapled->second) : one.certificate);
  }
  std::vector<Pinned> pinned(shards_.size());
  for (const auto& [name, choice] : choose(fresh)) {
    Pinned& to = pinned[shard_number(name)];
    const Key main(name, Slot::kMain);
    const Key rsa(name, Slot::kRsa);
    to.emplace(main.text(), choice.main);
    if (choice.rsa != nullptr) to.emplace(rsa.text(), choice.rsa);
  }
  for (size_t i = 0; i < shards_.size(); ++i) {
    const std::lock_guard lock(shards_[i]->mutex);
    std::swap(shards_[i]->pinned, pinned[i]);  // the old ones die after the lock is released
  }
  configured_ = std::move(fresh);
}

std::vector<CertificatePtr> CertificateCache::configured() const {
  const std::lock_guard lock(configured_mutex_);
  return configured_;
}

}  // namespace latchkey
