#pragma once
// Renewals over fakes: a store in memory, an ask endpoint and CAs that do what a test says, on a
// clock that a test moves and whose calendar may jump.

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ondemand/issuances.h"
#include "ondemand/ledger.h"
#include "ondemand/renewals.h"
#include "tests/ondemand/coordinator_fixture.h"
#include "tests/support/fake_store.h"
#include "tests/support/manual_clock.h"

namespace latchkey {

using Days = std::chrono::duration<int64_t, std::ratio<86'400>>;

class JumpingClock final : public Clock {
 public:
  TimePoint now() const override { return manual.now(); }
  WallTime wall_now() const override { return manual.wall_now() + offset; }
  Alarm after(Millis delay, std::function<void()> fire) override {
    return manual.after(delay, std::move(fire));
  }
  void advance(Millis by) { manual.advance(by); }

  ManualClock manual;
  std::chrono::seconds offset{0};  // of the system's clock
};

// A CA whose certificates live as long as a test says, from a minute before the calendar's time.
class RenewalCa final : public CertificateSource {
 public:
  RenewalCa(std::string name, Clock& clock) : name_(std::move(name)), clock_(clock) {}
  const std::string& name() const override { return name_; }

  Task<OrderOutcome> order(OrderJob job) override {
    orders.emplace_back(job.name, clock_.wall_now());
    last_job = job;
    co_await sleep(clock_, takes);
    OrderOutcome outcome;
    outcome.issuer = name_;
    outcome.account = name_ + "-account";
    if (trouble) {
      outcome.failure = trouble;
    } else {
      outcome.certificate = issue(job.name.text());
    }
    co_return outcome;
  }
  bool replaces(const OrderJob& job) const override { return job.predecessor != nullptr; }
  bool proves_wildcards() const override { return false; }
  Task<RenewalAdvice> renewal_advice(CertificatePtr certificate) override {
    polls.emplace_back(certificate->serial(), clock_.wall_now());
    co_await sleep(clock_, advice_takes);
    if (!advice) co_return Error{ErrorCode::kNotFound, "no renewal information"};
    co_return advice(*certificate);
  }
  Task<> revoke(CertificatePtr, std::string) override { co_return Unit{}; }

  CertificatePtr issue(const std::string& name) const {
    const TestCa::Names names{name};
    const WallTime from = clock_.wall_now() - std::chrono::minutes(1);
    return fake_ca().issue(names, from, from + life);
  }

  std::chrono::seconds life = Days(90);
  Millis takes{1000}, advice_takes{50};
  std::optional<OrderFailure> trouble;
  std::function<Result<RenewalAdvice>(const Certificate&)> advice;  // empty: has none
  std::vector<std::pair<ServerName, WallTime>> orders;
  std::vector<std::pair<std::string, WallTime>> polls;  // serial, when
  std::optional<OrderJob> last_job;

 private:
  const std::string name_;
  Clock& clock_;
};

struct RenewalsOptions {
  RenewalRules rules{};
  Renewals::Options renewals{};
  bool two_issuers = false;
  bool first_is_configured = true;
  bool twins = true;
};

// One process's life; the store, the clock and the CAs outlive it.
struct RenewalsSide {
  RenewalsSide(FakeStore& store_in, JumpingClock& clock_in, ScriptedAsk& http_in, RenewalCa& first,
               RenewalCa& second, RenewalsOptions options)
      : store(store_in), clock(clock_in), http(http_in) {
    std::vector<CertificateSource*> sources;
    if (options.first_is_configured) sources.push_back(&first);
    if (options.two_issuers || !options.first_is_configured) sources.push_back(&second);
    for (CertificateSource* source : sources) by_name[source->name()] = source;
    chosen = sources.front();
    Issuances::Parts issuing{store,
                             cache,
                             ledger,
                             [this](OrderJob job, Want& want, bool& began) {
                               return order(std::move(job), want, began);
                             },
                             [](const ServerName&, Millis) {},
                             events,
                             clock,
                             log};
    issuances = std::make_unique<Issuances>(std::move(issuing), options.rules);
    Renewals::Parts renewing{
        store,  policy,
        ledger, *issuances,
        cache,  std::move(sources),
        events, clock,
        log,    [this](const ServerName& name) { return name.text() == managed; }};
    renewing.twins = options.twins;
    renewals = std::make_unique<Renewals>(options.renewals, std::move(renewing));
  }

  // At the issuer of the certificate in use, when `gate` lets it.
  Task<OrderOutcome> order(OrderJob job, Want& want, bool& began) {
    lanes.push_back(want.lane());
    waiting = &want;
    while (closed) co_await sleep(clock, std::chrono::minutes(1));
    waiting = nullptr;
    began = true;
    const auto own = by_name.find(job.predecessor_issuer);
    CertificateSource* const source = own == by_name.end() ? chosen : own->second;
    Task<OrderOutcome> ordering = source->order(std::move(job));
    co_return co_await std::move(ordering).result();
  }

  static AskEndpoint::Options ask_options() {
    AskEndpoint::Options options;
    options.url = "http://127.0.0.1/ask";
    options.send_reason = true;
    return options;
  }

  FakeStore& store;
  JumpingClock& clock;
  ScriptedAsk& http;
  Log log{STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9)};
  CertificateCache cache{{}};
  Policy policy{Policy::Options(),
                OnDemandSide::listed(),
                std::make_unique<AskEndpoint>(ask_options(), http, clock, log),
                store,
                clock,
                log};
  RecordedEvents events;
  Ledger ledger{store, clock, log};
  std::map<std::string, CertificateSource*> by_name;
  CertificateSource* chosen = nullptr;
  bool closed = false;  // no order begins
  Want* waiting = nullptr;
  std::vector<Lane> lanes;  // of the orders, as they came
  std::string managed = "managed.test";
  std::unique_ptr<Issuances> issuances;
  std::unique_ptr<Renewals> renewals;
};

class RenewalsTest : public testing::Test {
 protected:
  RenewalsTest() {
    store.clock = &clock;
    store.delay = Millis(1);
  }
  void start(RenewalsOptions options = {}) {
    side.reset();
    side = std::make_unique<RenewalsSide>(store, clock, http, first, second, options);
    side->renewals->start();
  }
  void stop() { side.reset(); }

  static ServerName name_of(const std::string& text) { return *ServerName::parse(text); }
  WallTime now() const { return clock.wall_now(); }
  // As if it had been obtained `age` ago.
  void add(const std::string& name, std::chrono::seconds life = Days(90),
           std::chrono::seconds age = std::chrono::seconds(0), const char* issuer = "first") {
    const TestCa::Names names{name};
    const WallTime from = now() - age;
    const CertificatePtr certificate = fake_ca().issue(names, from, from + life);
    CertificateOrigin origin(issuer);
    origin.account = std::string(issuer) + "-account";
    origin.plan = first_plan(rules, from, from + life, now(), random);
    store.set_certificate(name_of(name), certificate, origin);
  }
  // Due for renewal now; its CA needs no asking.
  void add_due(const std::string& name, std::chrono::seconds life = Days(90),
               const char* issuer = "first") {
    add(name, life, life * 7 / 10, issuer);
    plan(name).renew_at = now() - std::chrono::seconds(1);
    plan(name).poll_at = RenewalPlan::kNever;
  }
  void set_life(const std::string& name, std::chrono::seconds life) {
    add(name, life, std::chrono::seconds(60));
  }
  CertificateInfo& info(const std::string& name) { return store.infos.at(name_of(name)); }
  RenewalPlan& plan(const std::string& name) { return info(name).plan; }
  size_t orders() const { return first.orders.size() + second.orders.size(); }
  static OrderFailure own_failure() {
    return {FailureClass::kUnauthorized, Error{ErrorCode::kProtocol, "unauthorized"}, false};
  }
  static OrderFailure ca_trouble() {
    return {FailureClass::kServerInternal, Error{ErrorCode::kIo, "connection refused"}, true};
  }
  static RenewalAdvice window(WallTime start, WallTime end,
                              Millis poll_after = std::chrono::hours(6)) {
    return {{start, end}, poll_after, ""};
  }
  static int64_t days(std::chrono::seconds time) { return time / std::chrono::hours(24); }

  JumpingClock clock;
  FakeStore store;
  ScriptedAsk http{clock};
  RenewalCa first{"first", clock}, second{"second", clock};
  RenewalRules rules;
  std::minstd_rand random{7};
  std::unique_ptr<RenewalsSide> side;
};

}  // namespace latchkey
