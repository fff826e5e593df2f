#pragma once
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/server_name.h"
#include "base/task.h"
#include "cache/failure.h"
#include "cache/lru.h"
#include "cache/store.h"

namespace latchkey {

// What went wrong with which name, and when it may be tried again. The store has all of it, memory
// the most recently used part, so that a repeated visit costs no I/O. Only names that the policy
// has allowed get here. Control thread.
class Ledger {
 public:
  static constexpr size_t kMaxInMemory = 100'000;  // names; about 600 bytes each

  // Both outlive us.
  Ledger(Store& store, Clock& clock, Log& log);
  Ledger(const Ledger&) = delete;

  // What is in memory; null: nothing.
  const FailureRecord* find(const ServerName& name) const;
  // What the store has of a name that memory knows nothing about.
  void learn(const ServerName& name, FailureRecord record);

  // The error to refuse with, as long as it is too early for another try: kThrottled where limits
  // or the CA stand in the way, kProtocol where the name has failed; with retry_after.
  std::optional<Error> refusal(const FailureRecord& record) const;
  // Tries in a row that have failed.
  int failures(const ServerName& name) const;

  // When it may be tried again; nullopt: now. A time that no wait reaches comes from a clock that
  // was wrong, and counts as now.
  std::optional<WallTime> next_try(const ServerName& name) const;

  // The name's own failure: the next try is 1 min, 10 min, 100 min, then a day away, with a jitter
  // of a fifth (only later for the day, so that no day sees a fifth failure). `longest`: no wait is
  // longer, its jitter included; for renewals. Never before the error's retry_after: a CA's word
  // goes before ours. On disk when the task is done; where that fails, in memory all the same.
  Task<> failed(ServerName name, FailureClass failure, Error error, std::string issuer,
                Millis longest = Millis::max());
  // Trouble at the CA or with our limits, for which the name is not to blame: a short wait (15 s,
  // or retry_after) that does not grow. In memory only: limits have a memory of their own.
  void trouble(const ServerName& name, FailureClass failure, const Error& error,
               std::string issuer);
  // A certificate came, by whatever way; or the operator says that it may be tried again.
  Task<> forget(ServerName name);
  void forget_in_memory(const ServerName& name);

  size_t size() const { return records_.size(); }

 private:
  void remember(const ServerName& name, FailureRecord record);
  // <= 0: it may be tried.
  std::chrono::seconds left_of(const FailureRecord& record) const;
  std::chrono::seconds wait_after(int failures, Millis longest);
  Millis jittered(Millis wait, bool later_only);

  Store& store_;
  Clock& clock_;
  Log& log_;
  Lru<FailureRecord> records_{kMaxInMemory, kMaxInMemory};
  std::minstd_rand random_{std::random_device()()};
};

}  // namespace latchkey
