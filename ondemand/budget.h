#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/link.h"
#include "base/server_name.h"
#include "cache/store.h"
#include "ondemand/gcra.h"
#include "ondemand/lane.h"
#include "ondemand/limits.h"

namespace latchkey {

// Which limit a bucket keeps. The words are rows' `kind`.
enum class LimitKind {
  kOrders,        // "orders": of the account
  kRenewals,      // "renewals"
  kDomain,        // "domain", by registered domain
  kIdentifiers,   // "identifiers", by name
  kNameFailures,  // "name_failures", by name
  kRequests,      // "requests", by resource: "newOrder", "challenge", ...
  kThrottle,      // "throttle": our own, over all issuers
  kNewNames,      // "new_names", by registered domain: names that the ask endpoint allowed
};
std::string_view to_string(LimitKind kind);

// An order as the budget sees it.
struct OrderPlan {
  ServerName name;
  std::string domain;  // registered domain
  Lane lane = Lane::kHandshake;
  bool renewal = false;   // the same name had a certificate of this account
  bool replaces = false;  // ... and ARI's `replaces` says so (RFC 9773, 5)
  bool resumed = false;   // the CA has it already: it takes a place, but no tokens
};

// What we may ask of the CAs: token buckets, several at once, all or nothing. Pure: no I/O, time is
// a parameter; persistence by records that the caller loads and stores. Control thread.
//
// A fifth of the order tokens (the throttle's too) is kept for Lane::kHandshake. A renewal takes
// from `renewals` only (and, without `replaces`, from `identifiers`). No order is made for a name
// that has no failed authorization left to lose. Memory: about 200 bytes for each bucket that is
// not full; those of names and domains are bounded (kMaxKeyed): beyond it the one that is full
// soonest goes.
class Budget {
 public:
  static constexpr size_t kMaxKeyed = 1'000'000;

  struct Issuer {
    std::string name;
    IssuerLimits limits;
    bool throttled = true;  // counts for, and obeys, the throttle over all issuers
  };
  Budget(std::vector<Issuer> issuers, std::optional<Rate> throttle,
         std::optional<Rate> new_names = {}, size_t max_keyed = kMaxKeyed);
  Budget(const Budget&) = delete;

  // When the order may be made at that issuer; `at` is now: at once.
  struct Quote {
    TimePoint at = TimePoint::min();
    std::string why{};         // names the limit that is in the way: "orders of the account"
    bool of_the_name = false;  // it is the name's or its domain's: others need not wait for it
  };
  Quote quote(size_t issuer, const OrderPlan& plan, TimePoint now) const;
  // Takes all tokens that the order needs, or none; false: quote() says when.
  bool take(size_t issuer, const OrderPlan& plan, TimePoint now);

  // The order's tokens for a second order of the same plan; a certificate comes of one of them
  // only.
  bool take_another(size_t issuer, const OrderPlan& plan, TimePoint now);
  // The CA did not accept an order as the replacement that it was planned as (OrderPlan::replaces):
  // what it costs more without.
  bool take_plain(size_t issuer, const OrderPlan& plan, TimePoint now);
  // What take() took and was not used. A CA counts an order once it has accepted it, and
  // certificates (under a domain, for a name) only once they are issued.
  enum class Unused { kOrder, kCertificate };
  void give_back(size_t issuer, const OrderPlan& plan, Unused what);

  // An authorization of the name has failed.
  void authorization_failed(size_t issuer, const ServerName& name, TimePoint now);

  // One HTTP request: when it may be made. take_request() takes its token.
  TimePoint request_at(size_t issuer, std::string_view resource, TimePoint now) const;
  void take_request(size_t issuer, std::string_view resource, TimePoint now);

  // A CA's 429: nothing that needs this bucket before `until`. An order needs every resource of its
  // issuer's (kRequests) to be free of holds.
  void hold(size_t issuer, LimitKind kind, std::string_view key, TimePoint until);
  // The latest hold that keeps all orders from the issuer; <= now: none.
  TimePoint held_until(size_t issuer, TimePoint now) const;

  // Our own bound on new ask-allowed names under a registered domain: takes one, or says when.
  std::optional<TimePoint> take_new_name(std::string_view domain, TimePoint now);

  // What each limit has left, the account's and the held ones all, of the keyed ones the `top`
  // emptiest; `top` 0 leaves all keyed ones out, and costs no look at them.
  struct View {
    std::string issuer;  // "" for our own
    LimitKind kind;
    std::string key;
    int64_t tokens = 0;
    int64_t burst = 0;  // 0: no limit, only a hold
    Millis next_in{0};  // until a token can be taken
    Millis held_for{0};
  };
  std::vector<View> view(TimePoint now, size_t top = 20) const;
  // Of the name and its domain, at all issuers.
  std::vector<View> view_of(const ServerName& name, const std::string& domain, TimePoint now) const;

  // Persistence. Requests' tokens are not kept (they are back within seconds), their holds are.
  // `wall`: the calendar time that is `now`. A row that lies further ahead than its limit can
  // reach (the clock was set back, the limits have changed) counts as what they allow: a hold lasts
  // a day at most. As calendar time has seconds only, a hold may last one longer, never less.
  void load(const std::vector<BucketRecord>& records, TimePoint now, WallTime wall);
  // What has changed since the last call.
  std::vector<BucketRecord> take_changes(TimePoint now, WallTime wall);

  const std::vector<Issuer>& issuers() const { return issuers_; }

  // Buckets of names and domains in memory.
  size_t keyed() const { return by_end_.size(); }

 private:
  // Linked in changed_ while its row is to be written.
  struct Bucket : Link {
    Bucket(LimitKind kind_, size_t issuer_) : kind(kind_), issuer(issuer_) {}
    TimePoint end() const { return std::max(gcra.full_at, gcra.held_until); }

    Gcra gcra;
    bool given_back = false;  // its row may say less than there is
    LimitKind kind;
    size_t issuer;                     // kOurs: none
    const std::string* key = nullptr;  // in the map that owns us; null: there is only one
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
  };
  using Keyed = std::unordered_map<std::string, Bucket, Hash, std::equal_to<>>;
  struct Account {
    explicit Account(size_t issuer);
    Bucket orders, renewals;
    Keyed domains, identifiers, name_failures;
    std::map<std::string, Bucket, std::less<>> requests;  // by resource; <= kMaxResources
    TimePoint requests_held = TimePoint::min();           // the latest hold that orders meet
  };
  static constexpr size_t kOurs = SIZE_MAX;
  static constexpr size_t kMaxResources = 32;

  // Calls see(bucket or null, rate or null, tokens to keep) for each that the order takes from.
  template <typename See>
  void each_taken(size_t issuer, const OrderPlan& plan, See see) const;
  const std::optional<Rate>& rate_of(LimitKind kind, size_t issuer, std::string_view key) const;
  Keyed* keyed_of(LimitKind kind, size_t issuer);
  const Keyed* keyed_of(LimitKind kind, size_t issuer) const;
  const Bucket* find(LimitKind kind, size_t issuer, std::string_view key) const;
  Bucket* find(LimitKind kind, size_t issuer, std::string_view key);
  // Null only where the resources are too many.
  Bucket* make(LimitKind kind, size_t issuer, std::string_view key, TimePoint now);
  void make_room(TimePoint now);
  void drop(Bucket& bucket);
  void changed(Bucket& bucket) { changed_.push_back(bucket); }
  void note_hold(const Bucket& bucket);
  View view_of_bucket(const Bucket& bucket, TimePoint now) const;

  const std::vector<Issuer> issuers_;
  const std::optional<Rate> throttle_rate_, new_names_rate_;
  const size_t max_keyed_;

  Link changed_;
  std::deque<Account> accounts_;  // of issuers_
  Bucket throttle_{LimitKind::kThrottle, kOurs};
  Keyed new_names_;
  // A heap of all keyed buckets, the one that is full soonest first. The times may lag behind: they
  // are set right as they come up.
  std::vector<std::pair<TimePoint, Bucket*>> by_end_;
};

}  // namespace latchkey
