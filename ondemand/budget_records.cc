// Budget as rows of the store, and as people look at it.
#include <tuple>
#include <utility>

#include "base/check.h"
#include "ondemand/budget.h"

namespace latchkey {
namespace {

// A Retry-After is taken for a day at most (acme/), which rounding may lengthen.
constexpr Millis kLongestHold = std::chrono::hours(25);

constexpr LimitKind kKinds[] = {
    LimitKind::kOrders,       LimitKind::kRenewals, LimitKind::kDomain,   LimitKind::kIdentifiers,
    LimitKind::kNameFailures, LimitKind::kRequests, LimitKind::kThrottle, LimitKind::kNewNames};

std::optional<LimitKind> kind_of(std::string_view word) {
  for (const LimitKind kind : kKinds) {
    if (to_string(kind) == word) return kind;
  }
  return std::nullopt;
}

int64_t milliseconds(WallTime wall) {
  return std::chrono::duration_cast<Millis>(wall.time_since_epoch()).count();
}

// `at_ms`, a number out of a row, may be anything.
TimePoint to_time_point(int64_t at_ms, int64_t wall_ms, TimePoint now, Millis furthest) {
  if (at_ms <= wall_ms) return TimePoint::min();
  return now + std::min(Millis(at_ms - wall_ms), furthest);
}

int64_t to_ms(TimePoint at, TimePoint now, int64_t wall_ms) {
  return at <= now ? 0 : wall_ms + (at - now).count();
}

}  // namespace

void Budget::load(const std::vector<BucketRecord>& records, TimePoint now, WallTime wall) {
  const int64_t wall_ms = std::max<int64_t>(0, milliseconds(wall));
  for (const BucketRecord& record : records) {
    const std::optional<LimitKind> kind = kind_of(record.kind);
    if (!kind) continue;
    size_t issuer = kOurs;
    if (*kind != LimitKind::kThrottle && *kind != LimitKind::kNewNames) {
      issuer = 0;
      while (issuer < issuers_.size() && issuers_[issuer].name != record.issuer) ++issuer;
      if (issuer == issuers_.size()) continue;
    }
    Gcra gcra;
    const std::optional<Rate>& rate = rate_of(*kind, issuer, record.key);
    if (rate && *kind != LimitKind::kRequests) {
      gcra.full_at = to_time_point(record.full_at_ms, wall_ms, now, rate->interval * rate->burst);
    }
    gcra.held_until = to_time_point(record.held_until_ms, wall_ms, now, kLongestHold);
    if (gcra.held_until > now) gcra.held_until += std::chrono::seconds(1);
    if (gcra.idle(now)) continue;
    Bucket* bucket = make(*kind, issuer, record.key, now);
    if (bucket == nullptr) continue;
    bucket->gcra.full_at = std::max(bucket->gcra.full_at, gcra.full_at);
    bucket->gcra.held_until = std::max(bucket->gcra.held_until, gcra.held_until);
    note_hold(*bucket);
  }
}

std::vector<BucketRecord> Budget::take_changes(TimePoint now, WallTime wall) {
  const int64_t wall_ms = milliseconds(wall);
  std::vector<BucketRecord> records;
  while (!changed_.alone()) {
    Bucket& bucket = static_cast<Bucket&>(changed_.next());
    bucket.unlink();
    // Full again: its row is skipped at the next load, unless it says what was given back since.
    if (bucket.gcra.idle(now) && !std::exchange(bucket.given_back, false)) continue;
    BucketRecord& record = records.emplace_back();
    if (bucket.issuer != kOurs) record.issuer = issuers_[bucket.issuer].name;
    record.kind = to_string(bucket.kind);
    if (bucket.key != nullptr) record.key = *bucket.key;
    if (bucket.kind != LimitKind::kRequests) {
      record.full_at_ms = to_ms(bucket.gcra.full_at, now, wall_ms);
    }
    record.held_until_ms = to_ms(bucket.gcra.held_until, now, wall_ms);
  }
  return records;
}

Budget::View Budget::view_of_bucket(const Bucket& bucket, TimePoint now) const {
  View view{bucket.issuer == kOurs ? "" : issuers_[bucket.issuer].name, bucket.kind,
            bucket.key == nullptr ? "" : *bucket.key};
  const TimePoint held = bucket.gcra.held_until;
  view.held_for = held > now ? held - now : Millis(0);
  view.next_in = view.held_for;
  if (const auto& rate = rate_of(bucket.kind, bucket.issuer, view.key)) {
    view.burst = rate->burst;
    view.tokens = bucket.gcra.tokens(*rate, now);
    if (const TimePoint at = bucket.gcra.free_at(*rate); at > now) view.next_in = at - now;
  }
  return view;
}

std::vector<Budget::View> Budget::view(TimePoint now, size_t top) const {
  std::vector<View> views;
  if (throttle_rate_) views.push_back(view_of_bucket(throttle_, now));
  for (const Account& account : accounts_) {
    const IssuerLimits& limits = issuers_[account.orders.issuer].limits;
    for (const auto& [bucket, rate] : {std::pair{&account.orders, &limits.orders},
                                       std::pair{&account.renewals, &limits.renewals}}) {
      if (*rate || !bucket->gcra.idle(now)) views.push_back(view_of_bucket(*bucket, now));
    }
    for (const auto& [resource, bucket] : account.requests) {
      if (!bucket.gcra.idle(now)) views.push_back(view_of_bucket(bucket, now));
    }
  }

  if (top == 0) return views;
  std::vector<const Bucket*> emptiest;
  const auto before = [&](const Bucket* a, const Bucket* b) {
    const auto rank = [&](const Bucket* bucket) {
      const auto& rate = rate_of(bucket->kind, bucket->issuer, *bucket->key);
      return std::tuple(rate ? bucket->gcra.tokens(*rate, now) : 0, Millis(now - bucket->end()));
    };
    return rank(a) < rank(b);
  };
  for (const auto& [listed, bucket] : by_end_) {
    if (bucket->gcra.idle(now)) continue;
    if (bucket->gcra.held_until > now) {
      views.push_back(view_of_bucket(*bucket, now));
    } else {
      emptiest.push_back(bucket);
    }
  }
  const auto end = emptiest.begin() + static_cast<ptrdiff_t>(std::min(top, emptiest.size()));
  std::partial_sort(emptiest.begin(), end, emptiest.end(), before);
  for (auto it = emptiest.begin(); it != end; ++it) views.push_back(view_of_bucket(**it, now));
  return views;
}

std::vector<Budget::View> Budget::view_of(const ServerName& name, const std::string& domain,
                                          TimePoint now) const {
  std::vector<View> views;
  const auto add = [&](LimitKind kind, size_t issuer, const std::string& key) {
    const auto& rate = rate_of(kind, issuer, key);
    const Bucket* bucket = find(kind, issuer, key);
    if (bucket != nullptr) {
      views.push_back(view_of_bucket(*bucket, now));
    } else if (rate) {
      views.push_back(
          {issuer == kOurs ? "" : issuers_[issuer].name, kind, key, rate->burst, rate->burst});
    }
  };
  for (size_t i = 0; i < issuers_.size(); ++i) {
    add(LimitKind::kDomain, i, domain);
    add(LimitKind::kIdentifiers, i, name.text());
    add(LimitKind::kNameFailures, i, name.text());
  }
  add(LimitKind::kNewNames, kOurs, domain);
  return views;
}

}  // namespace latchkey
