#pragma once
#include <optional>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/cautious_time.h"
#include "base/link.h"
#include "base/pending.h"
#include "base/task_set.h"
#include "ondemand/responders.h"
#include "ondemand/staples.h"

namespace latchkey {

// Leaves are named by their hashes (Certificate::leaf_hash()).
struct Staples::Impl {
  // A certificate whose staple is looked at.
  struct Subject {
    ServerName name;
    Slot slot = Slot::kMain;
    CertificatePtr certificate;
    std::string leaf;
    StaplePtr staple{};  // that is in use, as far as the store knows
    bool configured = false;
    bool staple_changed = false;
  };
  // Who waits for a staple that is being asked for.
  struct Waiter : Link {
    Pending<StaplePtr> turn;
    Alarm alarm;
  };
  struct Job {
    Link waiters;  // of Waiter
  };
  // Takes the job out of jobs_; whoever still waits for it learns that nothing came of it.
  class JobEnd;
  // Failures in a row of one certificate.
  struct Trouble {
    int tries = 0;
    bool told = false;
  };
  struct Configured {
    ServerName name;  // the first that it has
    CertificatePtr certificate;
    StaplePtr staple{};
    WallTime look_at{};
  };

  Impl(Options options_in, Parts parts_in, Counts& counts_in);
  ~Impl() { closing = true; }

  // --- when to look (staples.cc)
  void schedule(Millis delay);
  void ring();
  Task<> run_turn();
  // How long until the next one.
  Task<Millis> turn();
  void begin(const std::vector<StapleRecord>& due);
  void begin_configured();
  void store_failed(const Error& error, bool writing);
  bool clock_went_back();
  Task<> correct();

  // --- those that come in (staples_seen.cc)
  void see(SlotName name, const CertificatePtr& certificate);
  Task<> look_up_seen();
  Task<> look_up(SlotName name, CertificatePtr certificate);
  void set_configured(std::vector<ConfiguredCertificate> certificates);
  Task<> adopt(std::vector<std::string> added, std::vector<std::string> removed);
  void plan_configured(const std::string& leaf, WallTime look_at);
  Task<CertificatePtr> with_staple(SlotName name, CertificatePtr certificate, Millis patience);
  Task<StaplePtr> join(Subject subject, Millis limit);

  // --- one certificate (staple_look.cc)
  Task<> look(StapleRecord row);
  Task<> look_now(Subject subject);
  Task<CertificatePtr> find(StapleRecord row);
  Task<> refresh(Subject subject);
  Task<StapleAnswer> ask(CertificatePtr certificate);
  Task<> ended(Subject subject);
  Task<> put_off(Subject subject, Millis down_for);
  Task<> succeeded(Subject subject, StaplePtr staple);
  Task<> revoked(Subject subject, StapleAnswer answer);
  Task<> failed(Subject subject, Error error, bool is_down);
  Task<> write(Subject subject, WallTime look_at);
  // For the row of one that is looked at from memory: when it is to be noticed, at the latest, that
  // nobody does, for it is configured no more since a restart.
  WallTime look_at_of_row(const StaplePtr& staple) const;
  void drop_expired(Subject& subject);
  void put_in_use(Subject& subject, StaplePtr staple);
  bool is_awaited(const std::string& leaf) const;
  Trouble& trouble_of(const std::string& leaf);
  void responder_opened(const std::string& responder, const Error& error);
  void resolve(const std::string& leaf, const Result<StaplePtr>& outcome);
  // Not before the staple in use ends: then it is to be dropped.
  WallTime in(Millis wait, const Subject& subject) const;
  void tell(std::string_view kind, const Subject& subject, std::string text, std::string reason);

  WallTime wall() const { return parts.clock.wall_now(); }

  const Options options;
  const Parts parts;
  Counts& counts;
  std::minstd_rand random{std::random_device()()};
  CautiousTime cautious;
  Responders responders;

  std::unordered_map<std::string, Job> jobs;          // <= kMaxJobs, and one for each with_staple()
  std::unordered_map<std::string, Trouble> troubles;  // <= kMaxTroubles
  std::unordered_set<std::string> told_revoked;       // <= kMaxRevoked
  std::unordered_map<std::string, Configured> configured;
  std::set<std::pair<WallTime, std::string>> configured_by_time;  // all of them, by look_at
  std::vector<std::pair<SlotName, CertificatePtr>> seen;          // <= kMaxSeen; not yet looked up
  bool looking_up = false;

  Alarm alarm;  // the next turn
  TimePoint armed = TimePoint::max();
  TimePoint not_before = TimePoint::min();  // no turn
  bool started = false;
  bool closing = false;
  bool turning = false;
  bool look_again = false;  // asked for during a turn
  bool crowded = false;     // more is due than there were places
  Millis store_backoff{0};  // > 0: the store fails
  bool writes_fail = false;
  Millis ahead{0};  // calendar time, of monotonic time, since the start
  const TimePoint began;
  const WallTime began_wall;

  TaskSet tasks;  // goes first
};

constexpr size_t kMaxStapleJobs = 64;

// A name as certificates and rows have it, a wildcard or an address, too.
std::optional<ServerName> name_of(const std::string& text);

}  // namespace latchkey
