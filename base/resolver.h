#pragma once
#include <uv.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "base/uv.h"

namespace latchkey {

// Host name -> numeric addresses, on one loop's thread, by the system's hosts file and DNS servers.
class Resolver {
 public:
  struct Options {
    std::string servers;  // "192.0.2.1:53,[2001:db8::1]:53"; "": the system's
    Millis limit{5000};   // of a look-up
    bool search = true;   // names that are not found are tried in the system's search domains
  };
  // IPv4 and IPv6, best first, no duplicates, at least one and at most 32. Errors: kNotFound,
  // kTimeout, kInvalid (not a host name), kIo; the message names the host.
  using Done = std::function<void(Result<std::vector<std::string>>)>;

  // A look-up that somebody waits for. Destroying it silences it; its own `done` may destroy it.
  class Lookup;

  explicit Resolver(uv_loop_t& loop);
  Resolver(uv_loop_t& loop, Options options);
  // Look-ups without an answer are silenced; they may be destroyed later.
  ~Resolver();
  Resolver(const Resolver&) = delete;

  // Calls `done` once, never from within this call. `done` may do anything, also destroy this.
  [[nodiscard]] std::unique_ptr<Lookup> lookup(const std::string& host, Done done);

  enum class RecordType { kCname, kTxt, kNs, kSoa };
  // The records of that type at exactly that name (no CNAME is followed), as text: a CNAME's or
  // NS's target, a TXT's strings joined, a SOA's primary; lower case but for TXT, no trailing dots.
  // None: an empty list, also where the name does not exist. Names with '_' are fine. At most 64.
  // Errors: as of look-ups. Dropping the task ends the wait; it is dropped before this goes.
  Task<std::vector<std::string>> records(std::string name, RecordType type);
  // lookup() as a task, which is dropped before this goes.
  Task<std::vector<std::string>> addresses(std::string host);

  // The same, and how long they may be relied on: the shortest time to live on the way to them.
  // Zero: no DNS server said it (the hosts file, an address).
  struct Located {
    std::vector<std::string> addresses;
    Millis good_for{0};
  };
  Task<Located> locate(std::string host);

  // The SRV records (RFC 2782) of a name such as "_http._tcp.app.test", behind CNAMEs, too: at most
  // 64, in no order. kNotFound: there are none, or they say that there is no such service.
  struct Service {
    uint16_t priority = 0;  // the lowest first
    uint16_t weight = 0;    // among those of one priority
    uint16_t port = 0;
    std::string host{};
  };
  struct Services {
    std::vector<Service> services;
    Millis good_for{0};
  };
  Task<Services> services(std::string name);

  // Another one on the same loop, with the same limit and search, that asks these servers.
  std::unique_ptr<Resolver> of(const std::string& servers) const;

 private:
  class Channel;
  struct Query;
  struct Found {
    std::vector<std::string> values;
    Millis good_for{0};
  };
  Task<Found> query(std::string name, uint16_t type);

  uv_loop_t& loop_;
  const Millis limit_;
  const bool search_;
  std::unique_ptr<Channel> channel_;
};

class Resolver::Lookup {
 public:
  ~Lookup();
  Lookup(const Lookup&) = delete;

 private:
  friend class Resolver;

  using Tell = std::function<void(Result<Found>)>;

  Lookup(uv_loop_t& loop, std::string host, Millis limit, Tell tell);
  void answered(int status, Found found);
  void silence();
  static void on_timer(uv_timer_t* timer);
  void end();  // may destroy this

  const std::string host_;
  const Millis limit_;
  Tell tell_;
  int status_ = 0;
  bool answered_ = false;
  Found found_;
  Query* query_ = nullptr;                   // c-ares' side of it, while it is pending
  UvPtr<uv_timer_t> timer_{new uv_timer_t};  // the limit; then the turn in which `done` is called
};

}  // namespace latchkey
