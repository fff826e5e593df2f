#include "ondemand/issuer.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Millis kStoreRetest = 1s;  // a sick disk is not written to for every visitor

// The CA is in trouble, or wants us to stay away: no word about the name.
bool is_trouble_at_the_ca(ErrorCode code) {
  return code == ErrorCode::kIo || code == ErrorCode::kThrottled;
}

}  // namespace

Issuer::Issuer(Limits limits, Store& store, Policy& policy, CertificateCache& cache, Order order,
               Clock& clock, Log& log)
    : limits_(limits),
      store_(store),
      policy_(policy),
      cache_(cache),
      order_(std::move(order)),
      clock_(clock),
      log_(log) {}

Task<CertificatePtr> Issuer::obtain(ServerName name) {
  if (const Error* refused = refusals_.find(name, clock_.now())) {
    counts_.refused_again.add();
    Error why = *refused;
    co_return why;
  }

  CertificatePtr stored = co_await look_in_store(name);
  if (stored != nullptr) co_return stored;

  Decision decision = co_await policy_.decide(name);
  if (decision.verdict == Verdict::kUnknown) {
    // Not remembered: the next visitor may find the endpoint up again.
    counts_.unknown.add();
    Error why{ErrorCode::kIo,
              "it could not be found out whether the name is wanted: " + decision.reason};
    co_return why;
  }
  if (decision.verdict == Verdict::kDeny) {
    remember_denial(name, decision.reason);
    Error why{ErrorCode::kDenied, decision.reason};
    co_return why;
  }

  bool ordered = false;
  Result<CertificatePtr> obtained = co_await order_and_store(name, ordered).result();
  if (obtained) {
    refusals_.forget(name);
    counts_.obtained.add();
    co_return obtained;
  }
  counts_.failed.add();
  log_.error("issuance_failed", "no certificate for the name: " + obtained.error().message,
             {{"name", name.text()}});
  if (ordered) {
    // Storing what was obtained failed, or the CA judged the name: both cost an order.
    const bool trouble = store_works_ && is_trouble_at_the_ca(obtained.error().code);
    trouble ? refusals_.remember_trouble(name, obtained.error(), clock_.now())
            : refusals_.remember_failure(name, obtained.error(), clock_.now());
  }
  co_return obtained;
}

// Null when there is none that can be served.
Task<CertificatePtr> Issuer::look_in_store(ServerName name) {
  Result<CertificatePtr> found = co_await store_.find_certificate(name).result();
  if (!found) {
    log_.error("store_read_failed", found.error().message, {{"name", name.text()}});
    co_return std::move(found).error().in("looking for a stored certificate");
  }
  if (*found == nullptr || (*found)->expired_at(clock_.wall_now())) co_return CertificatePtr();
  counts_.from_store.add();
  cache_.put(name, *found);
  co_return *found;
}

// Passes while the store works; tested anew after every failure, but not for every visitor.
Task<> Issuer::test_store() {
  if (store_works_) co_return Unit{};
  if (store_trouble_ && clock_.now() < store_tested_ + kStoreRetest) co_return *store_trouble_;
  Result<> tested = co_await store_.self_test().result();
  if (tested) {
    store_works_ = true;
    store_trouble_.reset();
    co_return Unit{};
  }
  store_trouble_ = std::move(tested).error().in("no order is made while the store does not work");
  store_tested_ = clock_.now();
  co_return *store_trouble_;
}

Task<CertificatePtr> Issuer::order_and_store(ServerName name, bool& ordered) {
  Result<Turnstile::Pass> place = co_await orders_.enter(limits_.order_wait).result();
  if (!place) co_return std::move(place).error().in("waiting for a place among the orders");

  co_await test_store();

  counts_.orders.add();
  ordered = true;
  Issued issued = co_await order_(name, refusals_.failures(name));
  // On disk before anybody sees it: what was served once must be there after a crash.
  Result<> put = co_await store_.put_certificate(name, issued.certificate, issued.issuer).result();
  if (!put) {
    store_works_ = false;
    co_return std::move(put).error().in("storing the certificate");
  }
  cache_.put(name, issued.certificate);
  co_return issued.certificate;
}

Task<bool> Issuer::may_be_served(ServerName name) {
  if (cache_.find(name) != nullptr) co_return true;
  if (const Error* refused = refusals_.find(name, clock_.now())) {
    co_return refused->code != ErrorCode::kDenied;  // what failed is wanted all the same
  }
  if (policy_.decide_without_asking(name).verdict == Verdict::kAllow) co_return true;
  CertificatePtr stored = co_await look_in_store(name);
  if (stored != nullptr) co_return true;
  Decision decision = co_await policy_.decide(name);
  if (decision.verdict == Verdict::kDeny) remember_denial(name, decision.reason);
  co_return decision.verdict == Verdict::kAllow;
}

void Issuer::remember_denial(const ServerName& name, const std::string& reason) {
  counts_.denied.add();
  Error why{ErrorCode::kDenied, reason};
  refusals_.remember_denial(name, std::move(why), clock_.now() + limits_.denied_ttl);
}

}  // namespace latchkey
