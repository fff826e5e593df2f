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
  // Bounds each kind by itself: no flood of denied names pushes out what failed.
  explicit Refusals(size_t capacity) : capacity_(capacity) {}
  Refusals(const Refusals&) = delete;

  // The error to refuse with, while it holds.
  const Error* find(const ServerName& name, TimePoint now) const;

  void remember_denial(const ServerName& name, Error why, TimePoint until);
  // The name's own failure: the wait grows with each in a row, 1 min, 10 min, 100 min, then a day,
  // and is no shorter than the error's retry_after.
  void remember_failure(const ServerName& name, Error why, TimePoint now);
  // Trouble at the CA, which is not the name's fault: a short wait that does not grow.
  void remember_trouble(const ServerName& name, Error why, TimePoint now);
  // A certificate came, by whatever way.
  void forget(const ServerName& name);

  // The policy has changed.
  void forget_denials();

  // How often the name has failed in a row.
  int failures(const ServerName& name) const;
  size_t size() const { return entries_.size(); }

 private:
  using Ages = std::list<ServerName>;
  struct Entry {
    Error why;
    TimePoint until;
    int failures = 0;
    Ages* ages;  // the one of its kind
    Ages::iterator age;
  };

  Entry& entry(const ServerName& name, Ages& ages);

  const size_t capacity_;  // entries of each kind; the oldest makes room. About 400 bytes each
  std::unordered_map<ServerName, Entry> entries_;
  Ages denials_;   // the oldest first
  Ages failures_;  // the same; each cost an order, or a try at one
};

}  // namespace latchkey
