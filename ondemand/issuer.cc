#include "ondemand/issuer.h"

namespace latchkey {

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

  Result<CertificatePtr> obtained = co_await order_and_store(name).result();
  if (obtained) {
    refusals_.forget(name);
    counts_.obtained.add();
    co_return obtained;
  }
  counts_.failed.add();
  log_.error("issuance_failed", "no certificate for the name: " + obtained.error().message,
             {{"name", name.text()}});
  // A full queue or a sick disk is not the name's fault.
  const ErrorCode code = obtained.error().code;
  if (code != ErrorCode::kThrottled && store_works_) {
    refusals_.remember_failure(name, obtained.error(), clock_.now());
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

Task<CertificatePtr> Issuer::order_and_store(ServerName name) {
  Result<Turnstile::Pass> place = co_await orders_.enter(limits_.order_wait).result();
  if (!place) co_return std::move(place).error().in("waiting for a place among the orders");

  if (!store_works_) {
    Result<> tested = co_await store_.self_test().result();
    if (!tested) {
      co_return std::move(tested).error().in("no order is made while the store does not work");
    }
    store_works_ = true;
  }

  counts_.orders.add();
  Issued issued = co_await order_(name);
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
  if (refusals_.find(name, clock_.now()) != nullptr) co_return false;
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
