#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "acme/authority/signers.h"
#include "acme/single_flight.h"
#include "base/clock.h"
#include "base/task.h"
#include "base/task_set.h"
#include "cache/authority_store.h"

namespace latchkey::acme {

// What an authority says of certificates that it has issued: CRLs and OCSP answers. Control thread.
class Revocations {
 public:
  // All outlive us.
  Revocations(std::string authority, const Signers& signers, AuthorityStore& store, Clock& clock);
  Revocations(const Revocations&) = delete;

  // See Authority. A revocation goes on when its task is dropped.
  Task<bool> revoke(std::string serial, int reason);
  Task<std::string> crl(int64_t signer);
  Task<std::string> ocsp(std::string request);
  // Of signers that are no more.
  void forget_ended();
  // Another process revokes, too: lists are made anew.
  void outdate();

 private:
  struct Crl {
    std::string der;
    WallTime made_at;
    size_t entries = 0;
    uint64_t revocations = 0;  // that it knows of
    SingleFlight<Unit> making;
  };

  bool is_fresh(const Crl& crl) const;
  Task<> make(int64_t signer);
  Task<> store_revocation(std::string serial, int reason, std::weak_ptr<Pending<bool>> waiting);

  const std::string authority_;
  const Signers& signers_;
  AuthorityStore& store_;
  Clock& clock_;
  std::map<int64_t, std::unique_ptr<Crl>> crls_;  // by signer
  uint64_t last_number_ = 0;
  uint64_t revocations_ = 0;  // that are stored
  TaskSet storing_;           // last, so that it ends first
};

}  // namespace latchkey::acme
