#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/breaker.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/name_marks.h"
#include "base/server_name.h"
#include "base/task.h"
#include "base/task_set.h"
#include "base/turnstile.h"
#include "cache/certificate_cache.h"
#include "cache/store.h"
#include "ondemand/events.h"
#include "ondemand/issuances.h"
#include "ondemand/lane.h"
#include "ondemand/ledger.h"
#include "ondemand/order.h"
#include "ondemand/renewal_plan.h"
#include "policy/policy.h"

namespace latchkey {

// Renews what is due, with no scan: the store's index on look_at says what to look at and when.
// Each certificate that is looked at is asked about (its CA for a window, the policy whether the
// name is still wanted), renewed through Issuances, or left alone; then it is written down when it
// is looked at next. Work is queued and done with no lock held. Control thread.
//
// Time. Alarms are monotonic, plans are calendar time, which may jump. After a jump forward all is
// due: the bounds below keep that from being a storm. After a jump back what was written meanwhile
// is put right, page by page.
class Renewals {
 public:
  struct Options {
    size_t max_looking = 500;   // at once. Of these four fifths may order or wait for the budget, a
                                // fifth of that only with little life left; beyond that one comes
                                // back within the hour.
    Millis look_again{60'000};  // at the latest, whatever the index says
    size_t max_uses = 100'000;  // noted and not yet written
  };
  struct Counts {
    Counter looked, renewed, failed, denied, unseen, polls, poll_failures;
    Counter put_off;    // for want of a place
    Counter corrected;  // plans that a wrong clock had written
  };
  // The sources in the configuration's order. All outlive us.
  struct Parts {
    Store& store;
    Policy& policy;
    Ledger& ledger;
    Issuances& issuances;
    CertificateCache& cache;
    std::vector<CertificateSource*> sources;
    EventSink& events;
    Clock& clock;
    Log& log;
    // Names that are renewed whether they are visited or not; empty: none.
    std::function<bool(const ServerName&)> is_managed{};
    // Names that the operator's own certificates serve: theirs are left alone; empty: none.
    std::function<bool(const ServerName&)> is_configured{};
    bool twins = true;  // certificates in Slot::kRsa are served, and so renewed
  };
  Renewals(Options options, Parts parts);
  ~Renewals();
  Renewals(const Renewals&) = delete;

  // From then on.
  void start();
  // Nothing is looked at any more; what is under way is dropped. Not from within it.
  void stop();
  // Something was stored, or visited again, that may be due before what was known.
  void look_soon();

  // The operator's word: now, whatever the plan and the ledger say, if the policy allows the name.
  // kNotFound where nothing is stored for exactly that name.
  Task<CertificatePtr> renew_now(ServerName name, Slot slot = Slot::kMain);

  // The name is being deleted: the look at it that is under way, if there is one, brings nothing
  // back. Not from within it. Orders are called off at Issuances.
  void call_off(const ServerName& name);

  // A name was visited: written down with others, soon. Bounded: beyond max_uses the rest is noted
  // at a later visit.
  void note_use(const ServerName& name, Slot slot = Slot::kMain);

  const Counts& counts() const { return counts_; }
  size_t looking() const { return looking_.size(); }

 private:
  struct Looking;
  struct Ordering;
  struct Urgency;
  // What the issuer of the configuration is asked for windows with.
  struct Advisor {
    explicit Advisor(CertificateSource& source_in) : source(&source_in) {}
    CertificateSource* source;
    Breaker breaker{{5, Millis(60'000)}};
  };
  // From the first certificate that is looked at until there are none.
  struct Round {
    TimePoint began{};
    size_t looked = 0, due = 0, renewed = 0, failed = 0, denied = 0, unseen = 0;
  };

  // --- when to look (renewals.cc)
  void schedule(Millis delay);
  void ring();
  Task<> run_turn();
  Task<Millis> turn();
  void begin(const std::vector<CertificateInfo>& due);
  void look_ended();
  void store_failed(const Error& error, bool writing);
  void store_worked(bool writing);
  void end_round();
  bool clock_went_back();
  Task<> correct_if_behind();
  Task<> correct_all();
  void write_uses_in(Millis delay);
  Task<> write_uses();

  // --- one certificate (renewal_look.cc)
  Task<> look(CertificateInfo info);
  // What is to be written; nullopt: nothing.
  Task<std::optional<RenewalPlan>> consider(CertificateInfo info);
  Task<> write_plan(CertificateInfo info, RenewalPlan plan);
  Task<std::optional<RenewalPlan>> renew(NameRecord record, GrantPtr grant);
  void note_due(const CertificateInfo& info);
  void note_expiry(const CertificateInfo& info);
  bool place_for(const CertificateInfo& info) const;
  RenewalPlan put_off(const CertificateInfo& info, RenewalPlan plan);
  RenewalPlan left_alone(RenewalPlan plan) const;
  // By the ledger, and by how often it was renewed just now; nullopt: at once.
  std::optional<WallTime> not_before(const CertificateInfo& info) const;
  void note_renewed(const ServerName& name);
  WallTime next_try(const CertificateInfo& info, const Error& error);
  WallTime in_about(Millis wait);
  void tell(std::string_view kind, const CertificateInfo& info, std::string text);

  // --- whether it is wanted (renewal_policy.cc)
  Task<Decision> ask_policy(ServerName name, std::optional<VerdictRecord> verdict);
  // By the rules for visits alone; false: `plan` says to leave it alone.
  bool is_visited(const CertificateInfo& info, RenewalPlan& plan);
  // By the policy's word; false: `plan` says when to ask again, if at all.
  bool is_wanted(const CertificateInfo& info, RenewalPlan& plan, const Decision& decision);
  void denied(const CertificateInfo& info, RenewalPlan& plan, const std::string& reason);

  // --- its CA's window (renewal_poll.cc)
  Task<> poll(CertificatePtr certificate, CertificateInfo info, RenewalPlan& plan);
  Task<RenewalAdvice> ask_for_window(CertificateSource* source, CertificatePtr certificate);
  void adopt(const CertificateInfo& info, RenewalPlan& plan, const RenewalAdvice& advice);
  void poll_failed(const CertificateInfo& info, RenewalPlan& plan, const Error& error);
  Advisor* advisor_of(const std::string& issuer);

  const Options options_;
  const Parts parts_;
  std::vector<Advisor> advisors_;  // of parts_.sources
  Counts counts_;
  std::minstd_rand random_{std::random_device()()};

  struct Under {
    TaskSet::Place place{};
    bool told_of_end = false;  // of the certificate
  };
  std::unordered_map<SlotName, Under> looking_;  // <= max_looking
  size_t ordering_ = 0;                          // of looking_
  std::map<std::string, size_t> ordering_at_;    // ... by the issuer of the certificate in use
  Turnstile asking_, polling_;
  // How often in a row, since the start, a name's renewal or poll came to nothing, or it was
  // renewed: 512 KiB each.
  NameMarks tries_{size_t(1) << 15}, poll_failures_{size_t(1) << 15}, renewed_{size_t(1) << 15};
  NameMarks polled_{size_t(1) << 15};  // until they may be again; which certificate
  std::optional<Round> round_;

  Alarm alarm_;  // the next turn
  TimePoint armed_ = TimePoint::max();
  TimePoint not_before_ = TimePoint::min();  // no turn
  bool turning_ = false;
  bool stopped_ = false;
  bool look_again_ = false;  // asked for during a turn
  bool crowded_ = false;     // more was due than there were places
  uint64_t turns_ = 0;

  Millis store_backoff_{0};  // > 0: the store fails
  uint64_t failed_turn_ = 0;
  bool writes_fail_ = false;

  Millis ahead_{0};  // calendar time, of monotonic time, since the start
  bool correcting_ = false;
  const TimePoint started_;
  const WallTime started_wall_;

  std::vector<SlotName> used_;  // <= max_uses; not yet written
  bool writing_ = false;
  Alarm writing_uses_;
  TaskSet tasks_;  // goes first
};

}  // namespace latchkey
