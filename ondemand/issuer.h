#pragma once
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/server_name.h"
#include "base/task.h"
#include "base/turnstile.h"
#include "cache/certificate_cache.h"
#include "cache/store.h"
#include "ondemand/refusals.h"
#include "policy/policy.h"

namespace latchkey {

// A certificate, and which issuer of the configuration made it.
struct Issued {
  CertificatePtr certificate;
  std::string issuer;
};

// What stands between a name without a certificate in memory and a certificate (design 1, "the
// gate", steps 2 to 8): remembered refusal, store, policy, a place among the orders, order, store,
// cache. The Gate makes sure that it runs once at a time for a name. Control thread.
class Issuer {
 public:
  struct Limits {
    size_t max_orders = 20;     // in flight at once
    Millis order_wait{25'000};  // for one of these places
    Millis denied_ttl{60'000};  // how long a denial is remembered
    size_t max_refusals = 100'000;
  };
  struct Counts {
    Counter from_store, denied, unknown, refused_again, orders, obtained, failed;
  };
  // Obtains a certificate from a CA; says nothing to the store. `failures`: how many earlier tries
  // for the name have failed in a row.
  using Order = std::function<Task<Issued>(ServerName name, int failures)>;

  // All outlive us.
  Issuer(Limits limits, Store& store, Policy& policy, CertificateCache& cache, Order order,
         Clock& clock, Log& log);
  Issuer(const Issuer&) = delete;

  // What comes back is stored and cached. Errors: kDenied when policy says no; anything else is a
  // failure for now. Dropping the task abandons the order.
  Task<CertificatePtr> obtain(ServerName name);

  // Is the name served, or would it be at a visit? For redirects from port 80. Orders nothing.
  Task<bool> may_be_served(ServerName name);

  // The policy has changed: what it denied is to be asked again.
  void forget_denials() { refusals_.forget_denials(); }

  const Counts& counts() const { return counts_; }

 private:
  Task<CertificatePtr> look_in_store(ServerName name);
  // `ordered` becomes true once the CA may have been asked for something.
  Task<CertificatePtr> order_and_store(ServerName name, bool& ordered);
  Task<> test_store();
  void remember_denial(const ServerName& name, const std::string& reason);

  const Limits limits_;
  Store& store_;
  Policy& policy_;
  CertificateCache& cache_;
  const Order order_;
  Clock& clock_;
  Log& log_;
  Counts counts_;
  Refusals refusals_{limits_.max_refusals};
  Turnstile orders_{clock_, limits_.max_orders};
  bool store_works_ = false;            // its self-test passed, and nothing failed since
  std::optional<Error> store_trouble_;  // of the last self-test
  TimePoint store_tested_{};            // when it failed
};

}  // namespace latchkey
