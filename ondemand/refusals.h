#pragma once
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/result.h"
#include "base/server_name.h"

namespace latchkey {

// Remembers why a name was refused and until when, so that a repeated visit costs no I/O. An entry
// also means that nothing usable was stored for the name when it was made. In memory only; the
// persistent failure ledger takes over the schedule of failures when it comes. Control thread.
class Refusals {
 public:
  explicit Refusals(size_t capacity) : capacity_(capacity) {}
  Refusals(const Refusals&) = delete;

  // The error to refuse with, while it holds.
  const Error* find(const ServerName& name, TimePoint now) const;

  void remember_denial(const ServerName& name, Error why, TimePoint until);
  // The wait grows with each failure in a row: 1 min, 10 min, 100 min, then a day.
  void remember_failure(const ServerName& name, Error why, TimePoint now);
  // A certificate came, by whatever way.
  void forget(const ServerName& name);

  // The policy has changed.
  void forget_denials();

  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Error why;
    TimePoint until;
    int failures = 0;
    std::list<ServerName>::iterator age;
  };

  Entry& entry(const ServerName& name);

  size_t capacity_;  // entries; the oldest makes room. About 400 bytes each
  std::unordered_map<ServerName, Entry> entries_;
  std::list<ServerName> ages_;  // the oldest first
};

}  // namespace latchkey
