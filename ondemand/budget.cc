#include "ondemand/budget.h"

#include <array>

#include "base/check.h"

namespace latchkey {
namespace {

constexpr int64_t kKeptPercent = 20;  // of the order tokens, for Lane::kHandshake
constexpr int kCleanUp = 4;           // full buckets dropped for each new one: more than come
constexpr int kMaxLagging = 64;       // entries of the heap set right for one that has to go

// What an order asks for on its way, as directories and acme/pacer.h name it; "" is the CA as a
// whole.
constexpr std::array<std::string_view, 10> kOrderResources{
    "",      "directory",     "newNonce",  "newAccount", "newOrder",
    "order", "authorization", "challenge", "finalize",   "certificate"};

bool stops_orders(std::string_view resource) {
  return std::find(kOrderResources.begin(), kOrderResources.end(), resource) !=
         kOrderResources.end();
}

// Those without a rate of their own share one bucket.
constexpr std::string_view kOtherRequests = "other";
std::string_view request_bucket(std::string_view resource) {
  for (const std::string_view own : {"newNonce", "newAccount", "newOrder", "renewalInfo"}) {
    if (resource == own) return resource;
  }
  return kOtherRequests;
}

const std::string kNoKey;
constexpr std::optional<Rate> kNoRate;

// What a CA counts by certificates and not by orders.
bool counts_certificates(LimitKind kind) {
  return kind == LimitKind::kDomain || kind == LimitKind::kIdentifiers;
}

}  // namespace

std::string_view to_string(LimitKind kind) {
  switch (kind) {
    case LimitKind::kOrders:
      return "orders";
    case LimitKind::kRenewals:
      return "renewals";
    case LimitKind::kDomain:
      return "domain";
    case LimitKind::kIdentifiers:
      return "identifiers";
    case LimitKind::kNameFailures:
      return "name_failures";
    case LimitKind::kRequests:
      return "requests";
    case LimitKind::kThrottle:
      return "throttle";
    case LimitKind::kNewNames:
      return "new_names";
  }
  return "";
}

Budget::Account::Account(size_t issuer)
    : orders(LimitKind::kOrders, issuer), renewals(LimitKind::kRenewals, issuer) {}

Budget::Budget(std::vector<Issuer> issuers, std::optional<Rate> throttle,
               std::optional<Rate> new_names, size_t max_keyed)
    : issuers_(std::move(issuers)),
      throttle_rate_(throttle),
      new_names_rate_(new_names),
      max_keyed_(std::max<size_t>(1, max_keyed)) {
  for (size_t i = 0; i < issuers_.size(); ++i) accounts_.emplace_back(i);
}

const std::optional<Rate>& Budget::rate_of(LimitKind kind, size_t issuer,
                                           std::string_view key) const {
  if (kind == LimitKind::kThrottle) return throttle_rate_;
  if (kind == LimitKind::kNewNames) return new_names_rate_;
  const IssuerLimits& limits = issuers_[issuer].limits;
  switch (kind) {
    case LimitKind::kOrders:
      return limits.orders;
    case LimitKind::kRenewals:
      return limits.renewals;
    case LimitKind::kDomain:
      return limits.domain;
    case LimitKind::kIdentifiers:
      return limits.identifiers;
    case LimitKind::kNameFailures:
      return limits.name_failures;
    case LimitKind::kRequests:
      if (key == "newNonce") return limits.new_nonce;
      if (key == "newAccount") return limits.new_account;
      if (key == "newOrder") return limits.new_order;
      if (key == "renewalInfo") return limits.renewal_info;
      if (key == kOtherRequests) return limits.other_requests;
      return kNoRate;
    default:
      return kNoRate;
  }
}

const Budget::Keyed* Budget::keyed_of(LimitKind kind, size_t issuer) const {
  switch (kind) {
    case LimitKind::kDomain:
      return &accounts_[issuer].domains;
    case LimitKind::kIdentifiers:
      return &accounts_[issuer].identifiers;
    case LimitKind::kNameFailures:
      return &accounts_[issuer].name_failures;
    case LimitKind::kNewNames:
      return &new_names_;
    default:
      return nullptr;
  }
}

Budget::Keyed* Budget::keyed_of(LimitKind kind, size_t issuer) {
  return const_cast<Keyed*>(std::as_const(*this).keyed_of(kind, issuer));
}

const Budget::Bucket* Budget::find(LimitKind kind, size_t issuer, std::string_view key) const {
  if (const Keyed* keyed = keyed_of(kind, issuer)) {
    const auto found = keyed->find(key);
    return found == keyed->end() ? nullptr : &found->second;
  }
  if (kind == LimitKind::kThrottle) return &throttle_;
  if (kind == LimitKind::kOrders) return &accounts_[issuer].orders;
  if (kind == LimitKind::kRenewals) return &accounts_[issuer].renewals;
  const auto& requests = accounts_[issuer].requests;
  const auto found = requests.find(key);
  return found == requests.end() ? nullptr : &found->second;
}

Budget::Bucket* Budget::make(LimitKind kind, size_t issuer, std::string_view key, TimePoint now) {
  if (const Bucket* found = find(kind, issuer, key)) return const_cast<Bucket*>(found);
  if (Keyed* keyed = keyed_of(kind, issuer)) {
    make_room(now);
    if (kind == LimitKind::kNewNames) issuer = kOurs;
    const auto made = keyed->try_emplace(std::string(key), kind, issuer).first;
    made->second.key = &made->first;
    by_end_.emplace_back(TimePoint::min(), &made->second);
    std::push_heap(by_end_.begin(), by_end_.end(), std::greater<>());
    return &made->second;
  }
  auto& requests = accounts_[issuer].requests;
  if (requests.size() >= kMaxResources) return nullptr;
  const auto made = requests.try_emplace(std::string(key), kind, issuer).first;
  made->second.key = &made->first;
  return &made->second;
}

// Drops what is full by now, a few at a time, and at the bound the one that is full soonest.
void Budget::make_room(TimePoint now) {
  int dropped = 0;
  for (int seen = 0; !by_end_.empty() && seen < kMaxLagging; ++seen) {
    const auto [listed, bucket] = by_end_.front();
    const bool crowded = by_end_.size() >= max_keyed_;
    if (!crowded && (listed > now || dropped == kCleanUp)) return;
    if (const TimePoint end = bucket->end(); end > listed) {
      std::pop_heap(by_end_.begin(), by_end_.end(), std::greater<>());
      by_end_.back().first = end;
      std::push_heap(by_end_.begin(), by_end_.end(), std::greater<>());
      continue;
    }
    drop(*bucket);
    ++dropped;
  }
  if (by_end_.size() >= max_keyed_) drop(*by_end_.front().second);
}

// The heap's first.
void Budget::drop(Bucket& bucket) {
  CHECK(by_end_.front().second == &bucket);
  std::pop_heap(by_end_.begin(), by_end_.end(), std::greater<>());
  by_end_.pop_back();
  Keyed& keyed = *keyed_of(bucket.kind, bucket.issuer);
  keyed.erase(keyed.find(*bucket.key));
}

Budget::Bucket* Budget::find(LimitKind kind, size_t issuer, std::string_view key) {
  return const_cast<Bucket*>(std::as_const(*this).find(kind, issuer, key));
}

template <typename See>
void Budget::each_taken(size_t issuer, const OrderPlan& plan, See see) const {
  if (plan.resumed) return;
  const auto kept = [&](const std::optional<Rate>& rate) {
    return rate && plan.lane != Lane::kHandshake ? rate->burst * kKeptPercent / 100 : 0;
  };
  const auto visit = [&](LimitKind kind, std::string_view key, bool keeps) {
    const std::optional<Rate>& rate = rate_of(kind, issuer, key);
    see(kind, key, rate, keeps ? kept(rate) : 0);
  };
  if (plan.renewal) {
    visit(LimitKind::kRenewals, "", false);
  } else {
    if (issuers_[issuer].throttled) visit(LimitKind::kThrottle, "", true);
    visit(LimitKind::kOrders, "", true);
    visit(LimitKind::kDomain, plan.domain, false);
  }
  if (!plan.renewal || !plan.replaces) visit(LimitKind::kIdentifiers, plan.name.text(), false);
}

Budget::Quote Budget::quote(size_t issuer, const OrderPlan& plan, TimePoint now) const {
  struct Latest {
    TimePoint at = TimePoint::min();
    const Bucket* bucket = nullptr;
  };
  Latest name, account;  // of the name's limits, of all others
  const auto look = [&](const Bucket* bucket, const std::optional<Rate>& rate, int64_t keep) {
    if (bucket == nullptr) return;
    const bool of_the_name = bucket->kind == LimitKind::kDomain ||
                             bucket->kind == LimitKind::kIdentifiers ||
                             bucket->kind == LimitKind::kNameFailures;
    Latest& latest = of_the_name ? name : account;
    const TimePoint at = rate ? bucket->gcra.free_at(*rate, keep) : bucket->gcra.held_until;
    if (at > latest.at) latest = {at, bucket};
  };
  each_taken(issuer, plan,
             [&](LimitKind kind, std::string_view key, const std::optional<Rate>& rate,
                 int64_t keep) { look(find(kind, issuer, key), rate, keep); });
  look(find(LimitKind::kNameFailures, issuer, plan.name.text()),
       issuers_[issuer].limits.name_failures, 0);
  const Account& at_ca = accounts_[issuer];
  if (at_ca.requests_held > now) {
    for (const auto& [resource, bucket] : at_ca.requests) {
      if (stops_orders(resource)) look(&bucket, kNoRate, 0);
    }
  }

  Quote quote{std::max({name.at, account.at, now})};
  if (quote.at <= now) return quote;
  quote.of_the_name = name.at > now;
  const Bucket& why = *(quote.of_the_name ? name : account).bucket;
  switch (why.kind) {
    case LimitKind::kOrders:
      quote.why = "new orders of the account";
      break;
    case LimitKind::kRenewals:
      quote.why = "renewals of the account";
      break;
    case LimitKind::kDomain:
      quote.why = "certificates under the registered domain " + plan.domain;
      break;
    case LimitKind::kIdentifiers:
      quote.why = "certificates for exactly this name";
      break;
    case LimitKind::kNameFailures:
      quote.why = "failed authorizations of the name";
      break;
    case LimitKind::kRequests:
      quote.why = why.key->empty() ? "requests to the CA" : *why.key + " requests to the CA";
      break;
    default:
      quote.why = "on_demand.throttle";
  }
  if (why.gcra.held_until > now) quote.why += " (the CA told us to wait)";
  return quote;
}

bool Budget::take(size_t issuer, const OrderPlan& plan, TimePoint now) {
  if (quote(issuer, plan, now).at > now) return false;
  each_taken(issuer, plan,
             [&](LimitKind kind, std::string_view key, const std::optional<Rate>& rate, int64_t) {
               if (!rate) return;
               Bucket& bucket = *make(kind, issuer, key, now);
               bucket.gcra.take(*rate, now);
               changed(bucket);
             });
  return true;
}

bool Budget::take_another(size_t issuer, const OrderPlan& plan, TimePoint now) {
  if (accounts_[issuer].requests_held > now) return false;
  bool free = true;
  each_taken(
      issuer, plan,
      [&](LimitKind kind, std::string_view key, const std::optional<Rate>& rate, int64_t keep) {
        const Bucket* bucket = counts_certificates(kind) ? nullptr : find(kind, issuer, key);
        if (bucket == nullptr) return;
        const Gcra& gcra = bucket->gcra;
        free = free && (rate ? gcra.free_at(*rate, keep) : gcra.held_until) <= now;
      });
  if (!free) return false;
  each_taken(issuer, plan,
             [&](LimitKind kind, std::string_view key, const std::optional<Rate>& rate, int64_t) {
               if (!rate || counts_certificates(kind)) return;
               Bucket& bucket = *make(kind, issuer, key, now);
               bucket.gcra.take(*rate, now);
               changed(bucket);
             });
  return true;
}

bool Budget::take_plain(size_t issuer, const OrderPlan& plan, TimePoint now) {
  if (!plan.replaces) return true;  // taken already
  const LimitKind kind = LimitKind::kIdentifiers;
  const std::string& key = plan.name.text();
  const std::optional<Rate>& rate = rate_of(kind, issuer, key);
  const Bucket* const known = find(kind, issuer, key);
  if (known != nullptr && (rate ? known->gcra.free_at(*rate, 0) : known->gcra.held_until) > now) {
    return false;
  }
  if (!rate) return true;
  Bucket& bucket = *make(kind, issuer, key, now);
  bucket.gcra.take(*rate, now);
  changed(bucket);
  return true;
}

void Budget::give_back(size_t issuer, const OrderPlan& plan, Unused what) {
  each_taken(issuer, plan,
             [&](LimitKind kind, std::string_view key, const std::optional<Rate>& rate, int64_t) {
               const bool meant = counts_certificates(kind) == (what == Unused::kCertificate);
               Bucket* bucket = rate && meant ? find(kind, issuer, key) : nullptr;
               if (bucket == nullptr) return;
               bucket->gcra.give_back(*rate);
               bucket->given_back = true;
               changed(*bucket);
             });
}

void Budget::authorization_failed(size_t issuer, const ServerName& name, TimePoint now) {
  const std::optional<Rate>& rate = issuers_[issuer].limits.name_failures;
  if (!rate) return;
  Bucket& bucket = *make(LimitKind::kNameFailures, issuer, name.text(), now);
  bucket.gcra.take(*rate, now);
  // No debt: the CA has none either.
  bucket.gcra.full_at = std::min(bucket.gcra.full_at, now + rate->interval * rate->burst);
  changed(bucket);
}

TimePoint Budget::request_at(size_t issuer, std::string_view resource, TimePoint now) const {
  TimePoint at = TimePoint::min();
  for (const std::string_view held : {resource, std::string_view()}) {
    const Bucket* bucket = find(LimitKind::kRequests, issuer, held);
    if (bucket != nullptr) at = std::max(at, bucket->gcra.held_until);
  }
  const std::string_view shared = request_bucket(resource);
  const Bucket* bucket = find(LimitKind::kRequests, issuer, shared);
  const std::optional<Rate>& rate = rate_of(LimitKind::kRequests, issuer, shared);
  if (bucket != nullptr && rate) at = std::max(at, bucket->gcra.free_at(*rate));
  return std::max(at, now);
}

void Budget::take_request(size_t issuer, std::string_view resource, TimePoint now) {
  const std::string_view shared = request_bucket(resource);
  const std::optional<Rate>& rate = rate_of(LimitKind::kRequests, issuer, shared);
  if (!rate) return;
  if (Bucket* bucket = make(LimitKind::kRequests, issuer, shared, now)) {
    bucket->gcra.take(*rate, now);
  }
}

void Budget::note_hold(const Bucket& bucket) {
  if (bucket.kind != LimitKind::kRequests || !stops_orders(*bucket.key)) return;
  TimePoint& latest = accounts_[bucket.issuer].requests_held;
  latest = std::max(latest, bucket.gcra.held_until);
}

void Budget::hold(size_t issuer, LimitKind kind, std::string_view key, TimePoint until) {
  Bucket* bucket = make(kind, issuer, key, TimePoint::min());
  if (bucket == nullptr || until <= bucket->gcra.held_until) return;
  bucket->gcra.held_until = until;
  note_hold(*bucket);
  changed(*bucket);
}

TimePoint Budget::held_until(size_t issuer, TimePoint now) const {
  const Account& account = accounts_[issuer];
  const TimePoint at = std::max(account.requests_held, account.orders.gcra.held_until);
  return std::max(at, now);
}

std::optional<TimePoint> Budget::take_new_name(std::string_view domain, TimePoint now) {
  if (!new_names_rate_) return std::nullopt;
  if (const Bucket* known = find(LimitKind::kNewNames, kOurs, domain)) {
    if (const TimePoint at = known->gcra.free_at(*new_names_rate_); at > now) return at;
  }
  Bucket& bucket = *make(LimitKind::kNewNames, kOurs, domain, now);
  bucket.gcra.take(*new_names_rate_, now);
  changed(bucket);
  return std::nullopt;
}

}  // namespace latchkey
