#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/names.h"
#include "bench/load/run.h"

struct ssl_session_st;

namespace latchkey::bench {

// A ticket for each name of a plan. Fetches them first, some at a time; a server that gives none by
// itself is asked for a page over HTTP/1.1, since some wait for their first answer with it.
class Tickets {
 public:
  // REQUIRES: names.size() != 0, and TlsSettings::tickets.
  Tickets(Lane& lane, Names names);
  ~Tickets();
  Tickets(const Tickets&) = delete;

  // Gives the run up, by name and reason, where one cannot be had.
  void fetch();
  bool complete() const { return fetched_ == sessions_.size(); }

  // The one to offer: the latest of that name.
  ssl_session_st* of(uint64_t name) const { return sessions_[name]; }
  void keep(uint64_t name, ssl_session_st* session);  // does not take it

 private:
  class Fetcher;

  Lane& lane_;
  Names names_;
  std::vector<ssl_session_st*> sessions_;  // ours
  std::vector<std::unique_ptr<Fetcher>> fetchers_;
  uint64_t next_ = 0, fetched_ = 0;
  bool asks_ = false;  // the server has been seen to give none by itself
};

}  // namespace latchkey::bench
