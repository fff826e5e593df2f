#include "ondemand/limits.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr int64_t kShare = 90;  // percent of a published burst that we use

Rate published(int64_t count, Millis per) {
  return Rate::of(count, per).with_share(kShare);
}
// The CA's limits on requests have a burst beside the pace.
Rate requests(int64_t a_second, int64_t burst) {
  return Rate{burst, Rate::of(a_second, seconds(1)).interval}.with_share(kShare);
}

// Ours: 1 M certificates of six days are 3.5 renewals a second.
constexpr Rate kRenewalPace{100, Millis(100)};

// https://letsencrypt.org/docs/rate-limits/
IssuerLimits letsencrypt() {
  IssuerLimits limits;
  limits.orders = published(300, hours(3));
  limits.renewals = kRenewalPace;
  limits.domain = published(50, hours(7 * 24));
  limits.identifiers = published(5, hours(7 * 24));
  limits.name_failures = published(5, hours(1));
  limits.new_nonce = requests(20, 10);
  limits.new_account = requests(5, 15);
  limits.new_order = requests(300, 200);
  limits.renewal_info = requests(1000, 100);
  limits.other_requests = requests(250, 125);
  return limits;
}

// https://letsencrypt.org/docs/staging-environment/. Its 30 000 certificates a second for a
// registered domain are no limit.
IssuerLimits letsencrypt_staging() {
  IssuerLimits limits;
  limits.orders = published(1500, hours(3));
  limits.renewals = kRenewalPace;
  limits.identifiers = published(30'000, hours(7 * 24));
  limits.name_failures = published(200, hours(1));
  limits.new_nonce = requests(20, 10);
  limits.new_account = requests(5, 15);
  limits.new_order = requests(20, 40);
  limits.renewal_info = requests(1000, 100);
  limits.other_requests = requests(20, 20);
  return limits;
}

}  // namespace

std::optional<IssuerLimits> IssuerLimits::named(std::string_view name) {
  if (name == "letsencrypt") return letsencrypt();
  if (name == "letsencrypt-staging") return letsencrypt_staging();
  if (name == "none") return IssuerLimits();
  return std::nullopt;
}

}  // namespace latchkey
