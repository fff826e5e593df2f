#include "edge/control_plane.h"

#include "base/cautious_time.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kFirstSweep = 5min;
constexpr Millis kSweepEvery = 1h;
constexpr Millis kWatchEvery = 1min;
constexpr Millis kResealPause = 50ms;  // between two pieces: other writes come first
constexpr Millis kResealRetry = 1min;
constexpr size_t kMaxResumed = 1000;  // orders that a crash has left

}  // namespace

void ControlPlane::recheck(const ServerName& name) {
  rechecks_->join(name, Lane::kPrefetch, [](const Result<>&) {});
}

bool ControlPlane::call_off(const ServerName& name) {
  const Error why{ErrorCode::kThrottled, "called off: the operator has deleted or revoked it"};
  prefetcher_->remove(name);
  served_names_->call_off(name, why);
  rechecks_->call_off(name, why);
  renewals_->call_off(name);
  twins_->remove(name);
  const bool twin = rsa_certificates_->call_off(name, why);
  const bool visited = certificates_->call_off(name, why) || twin;
  const bool ordering = issuances_->call_off(name, why);
  return visited || ordering;
}

void ControlPlane::start() {
  for (const auto& source : sources_) tasks_.spawn(prepare(*source));
  for (const auto& authority : authorities_) tasks_.spawn(prepare_authority(*authority));
  tasks_.spawn(resume_orders());
  want_managed_names();
  renewals_->start();
  staples_->start();
  if (exporter_ != nullptr) exporter_->start();
  if (dns_proofs_ != nullptr) dns_proofs_->clean_up();
  tasks_.spawn(sweep());
  tasks_.spawn(reseal());
  tasks_.spawn(watch());
}

// Names without a certificate are wanted as if somebody had listed them, renewals are due now: each
// finds its order in the store.
Task<> ControlPlane::resume_orders() {
  Task<std::vector<PendingOrder>> loading = store_->load_orders(kMaxResumed);
  const Result<std::vector<PendingOrder>> orders = co_await std::move(loading).result();
  if (!orders) {
    log_.error("store_read_failed", "looking for unfinished orders: " + orders.error().message);
    co_return Unit{};
  }
  for (const PendingOrder& order : *orders) {
    log_.info("order_resumed", "going on with an order of an earlier life",
              {{"name", order.name.text()}, {"issuer", order.issuer}, {"order", order.url}});
    if (!order.renewal) {
      Prefetcher& fetcher = order.slot == Slot::kMain ? *prefetcher_ : *twins_;
      fetcher.add(order.name, Prefetcher::From::kOperator);
      continue;
    }
    Task<> hastening = renew_soon(order.name, order.slot);
    const Result<> hastened = co_await std::move(hastening).result();
    if (!hastened) {  // then its turn comes by its plan
      log_.error("store_write_failed", "hastening a renewal: " + hastened.error().message,
                 {{"name", order.name.text()}});
    }
  }
  renewals_->look_soon();
  co_return Unit{};
}

void ControlPlane::note_use(const ServerName& name, Slot slot) {
  if (successor_) return;  // it hears of visits itself
  renewals_->note_use(name, slot);
  // With rsa: always the twin is kept for as long as the name is.
  if (config_.rsa == RsaTwins::kAlways && slot == Slot::kMain) {
    renewals_->note_use(name, Slot::kRsa);
  }
}

Task<> ControlPlane::renew_soon(ServerName name, Slot slot) {
  Task<NameRecord> finding = store_->find_name(name, slot);
  const NameRecord record = co_await std::move(finding);
  if (!record.info || record.info->name != name) co_return Unit{};  // it is gone
  RenewalPlan plan = record.info->plan;
  plan.renew_at = plan.look_at = loop_.clock().wall_now();
  Task<> putting = store_->put_plan(record.info->id, plan);
  co_return co_await std::move(putting).result();
}

void ControlPlane::want_managed_names() {
  for (const ServerName& name : managed_names(config_)) {
    prefetcher_->add(name, Prefetcher::From::kOperator);
  }
}

Task<> ControlPlane::prepare(AcmeSource& source) {
  Task<> preparing = source.prepare();
  const Result<> prepared = co_await std::move(preparing).result();
  if (!prepared) {
    log_.warning("issuer_not_ready",
                 "it is tried again with the first order: " + prepared.error().message,
                 {{"issuer", source.name()}});
  }
  co_return Unit{};
}

// What was deleted does not come back when the clock is put right.
Task<> ControlPlane::sweep() {
  CautiousTime time(loop_.clock());
  co_await sleep(loop_.clock(), kFirstSweep);
  for (;;) {
    Task<SweepReport> sweeping = store_->sweep(time.now(), config_.keep_expired);
    const Result<SweepReport> swept = co_await std::move(sweeping).result();
    if (!swept) log_.error("store_write_failed", "sweeping the store: " + swept.error().message);
    if (swept) {
      for (const std::string& name : swept->deleted) {
        Event event;
        event.kind = event_kind::kDeleted;
        event.name = name;
        event.text = "its certificate had expired long ago and nobody came: deleted with its key";
        events_->tell(std::move(event));
      }
    }
    co_await sleep(loop_.clock(), kSweepEvery);
  }
}

// After a change of the encryption key: a piece at a time, until older keys are needed no more.
Task<> ControlPlane::reseal() {
  for (bool sealed = false;; sealed = true) {
    Task<bool> sealing = store_->reseal();
    const Result<bool> done = co_await std::move(sealing).result();
    if (done && *done) {
      if (sealed) {
        log_.info(
            "encryption_resealed",
            "everything is sealed with the newest encryption key; older ones may be taken out "
            "of the key file");
      }
      break;
    }
    if (!done) log_.error("store_write_failed", "sealing keys anew: " + done.error().message);
    co_await sleep(loop_.clock(), done ? kResealPause : kResealRetry);
  }
  co_return Unit{};
}

Task<> ControlPlane::watch() {
  for (;;) {
    co_await sleep(loop_.clock(), kWatchEvery);
    std::vector<Watch::Traffic> traffic;
    traffic.reserve(sources_.size());
    for (const auto& source : sources_) {
      traffic.push_back({source->name(), source->counts().requests.value()});
    }
    const TimePoint now = loop_.clock().now();
    watch_->tick(budget_->view(now, 0), traffic, now);
  }
}

void ControlPlane::replace_allowlist(std::shared_ptr<const Allowlist> allowlist) {
  policy_->replace_allowlist(std::move(allowlist));
  policy_->forget_denials();  // the operator may have mended what the endpoint says, too
  // Names that were taken off it end at their next visit.
  if (config_.on_demand.refuse_denied) cache_.recheck_all(loop_.clock().wall_now());
}

void ControlPlane::log_counts() const {
  const auto number = [](const Counter& counter) { return static_cast<int64_t>(counter.value()); };
  const Coordinator::Counts& counts = coordinator_->counts();
  const Issuances::Counts& made = issuances_->counts();
  const Renewals::Counts& renewed = renewals_->counts();
  int64_t asked = 0, orders = 0;
  if (policy_->ask() != nullptr) asked = number(policy_->ask()->counts().calls);
  for (const auto& source : sources_) orders += number(source->counts().orders);
  for (const auto& source : authority_sources_) {
    orders += static_cast<int64_t>(source->signed_count());
  }
  log_.info("counts_issuance", "since the start",
            {{"ask_calls", asked},
             {"orders", orders},
             {"obtained", number(made.obtained)},
             {"renewed", number(made.renewed)},
             {"failed", number(made.failed)},
             {"looked_at", number(renewed.looked)},
             {"expired_served", number(counts.expired_served)},
             {"from_store", number(counts.from_store)},
             {"denied", number(counts.denied)},
             {"unknown", number(counts.unknown)},
             {"too_early", number(counts.too_early)},
             {"new_names_over_limit", number(counts.new_names_over_limit)},
             {"refused_again", number(counts.refused_again)},
             {"stale_verdicts", number(policy_->counts().stale)},
             {"tls_alpn_01_answers", number(challenges_.tls_alpn_answers)},
             {"http_01_answers", number(challenges_.http_answers)}});
}

}  // namespace latchkey::edge
