#pragma once
// The on-demand side put together over fakes: a store in memory, an ask endpoint and CAs that do
// what a test says, on a clock that a test moves.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ondemand/coordinator.h"
#include "ondemand/events.h"
#include "ondemand/gate.h"
#include "ondemand/issuances.h"
#include "ondemand/order_desk.h"
#include "ondemand/order_queue.h"
#include "ondemand/prefetcher.h"
#include "tests/support/fake_store.h"
#include "tests/support/manual_clock.h"
#include "tests/support/test_certificates.h"

namespace latchkey {

inline const TestCa& fake_ca() {
  static const TestCa made;
  return made;
}

class RecordedEvents final : public EventSink {
 public:
  void tell(Event event) override { events.push_back(std::move(event)); }
  size_t count(std::string_view kind) const {
    return static_cast<size_t>(std::count_if(events.begin(), events.end(),
                                             [&](const Event& e) { return e.kind == kind; }));
  }
  std::vector<Event> events;
};

// Answers the ask by the status and body that a test sets, after 100 ms.
class ScriptedAsk final : public HttpClient {
 public:
  explicit ScriptedAsk(Clock& clock) : clock_(clock) {}
  Task<HttpReply> send(HttpRequest) override {
    ++calls;
    co_await sleep(clock_, std::chrono::milliseconds(100));
    HttpReply reply;
    reply.status = status;
    reply.body = body;
    co_return reply;
  }
  int status = 200;
  std::string body;
  int calls = 0;

 private:
  Clock& clock_;
};

// A CA that takes a second, or fails as `trouble` says.
class ScriptedSource final : public CertificateSource {
 public:
  ScriptedSource(std::string name, Clock& clock) : name_(std::move(name)), clock_(clock) {}
  const std::string& name() const override { return name_; }

  Task<OrderOutcome> order(OrderJob job) override {
    ++orders;
    last_job = job;
    earlier_failures = job.failures;
    most_in_flight = std::max(most_in_flight, ++in_flight);
    struct Leave {
      int& in_flight;
      ~Leave() { --in_flight; }
    } const leave{in_flight};
    co_await sleep(clock_, takes);
    OrderOutcome outcome;
    outcome.issuer = name_;
    if (!trouble || !trouble->of_the_ca || proof_fails_first) job.ordered();
    if (trouble) {
      if (!trouble->of_the_ca || proof_fails_first) fail_authorizations(job);
      outcome.failure = trouble;
      co_return outcome;
    }
    outcome.certificate = make(job);
    outcome.account = name_ + "-account";
    co_return outcome;
  }

  bool replaces(const OrderJob& job) const override { return job.predecessor != nullptr; }
  bool proves_wildcards() const override { return wildcards; }
  bool embedded() const override { return in_here; }
  Task<RenewalAdvice> renewal_advice(CertificatePtr) override {
    ++advice_asked;
    co_await sleep(clock_, Millis(50));
    if (!advice) co_return Error{ErrorCode::kNotFound, "this CA has no renewal information"};
    co_return *advice;
  }
  Task<> revoke(CertificatePtr certificate, std::string) override {
    revoked.push_back(certificate->serial());
    co_return Unit{};
  }

  bool wildcards = false;  // can prove them
  bool in_here = false;    // embedded
  std::optional<RenewalAdvice> advice;
  int advice_asked = 0;
  std::vector<std::string> revoked;  // serials
  std::optional<OrderFailure> trouble;
  bool proof_fails_first = false;  // before trouble of the CA's
  Millis takes{1000};
  int orders = 0, in_flight = 0, most_in_flight = 0, earlier_failures = 0;
  std::vector<TimePoint> authorization_failures;
  std::optional<OrderJob> last_job;
  // Of what is issued, from a minute before the clock's calendar time; 0: a fixed, long life.
  std::chrono::seconds life{0};

 private:
  // As the ACME client does: both challenge types at the first try, one order each.
  void fail_authorizations(OrderJob& job) {
    authorization_failures.push_back(clock_.now());
    job.authorization_failed();
    if (job.failures > 0 || !job.may_order_again()) return;
    authorization_failures.push_back(clock_.now());
    job.authorization_failed();
  }

  CertificatePtr make(const OrderJob& job) const {
    static const PrivateKey rsa = generate_rsa_key();
    const bool granted = job.grant != nullptr && job.grant->key_type.starts_with("rsa");
    const PrivateKey key = job.slot == Slot::kRsa || granted ? rsa : nullptr;
    const TestCa::Names names{job.name.text()};
    const WallTime now = TestCa::now();
    if (life.count() == 0) {
      return fake_ca().issue(names, now - std::chrono::hours(1), now + std::chrono::hours(24 * 90),
                             key);
    }
    const WallTime from = clock_.wall_now() - std::chrono::minutes(1);
    return fake_ca().issue(names, from, from + life, key);
  }

  const std::string name_;
  Clock& clock_;
};

struct OnDemandOptions {
  size_t max_orders = 2;
  bool refuse_denied = false;
  Coordinator::Expired expired = Coordinator::Expired::kServe;
  bool http_fallback = false;
  RenewalRules renewal{};
  std::optional<Rate> new_names{};
  IssuerLimits limits{};         // of the first issuer
  IssuerLimits second_limits{};  // of the other one
};

// One process's life; the store outlives it.
struct OnDemandSide {
  OnDemandSide(FakeStore& store_in, ManualClock& clock_in, ScriptedAsk& http_in,
               OnDemandOptions options)
      : store(store_in), clock(clock_in), http(http_in), chosen(options) {}

  static std::shared_ptr<const Allowlist> listed() {
    std::vector<Allowlist::BadLine> bad;
    return *Allowlist::load({"*.listed.test"}, {}, bad);
  }
  static AskEndpoint::Options ask_options() {
    AskEndpoint::Options options;
    options.url = "http://127.0.0.1/ask";
    return options;
  }
  static ServerName name_of(const std::string& text) { return *ServerName::parse(text); }
  Coordinator::Options options() const {
    Coordinator::Options out;
    out.refuse_denied = chosen.refuse_denied;
    out.expired = chosen.expired;
    out.http_fallback = chosen.http_fallback;
    return out;
  }

  FakeStore& store;
  ManualClock& clock;
  ScriptedAsk& http;
  const OnDemandOptions chosen;
  Log log{STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9)};
  CertificateCache cache{{}};
  Policy policy{Policy::Options(),
                listed(),
                std::make_unique<AskEndpoint>(ask_options(), http, clock, log),
                store,
                clock,
                log};
  ScriptedSource first{"first", clock}, second{"second", clock};
  Budget budget{
      {{"first", chosen.limits}, {"second", chosen.second_limits}}, std::nullopt, chosen.new_names};
  BudgetKeeper keeper{budget, store, clock, log};
  OrderQueue queue{{chosen.max_orders}, budget, clock};
  OrderDesk desk{{&first, &second}, budget, keeper, queue, clock, log};
  std::vector<std::pair<ServerName, Millis>> put_off;  // wanted later
  RecordedEvents events;
  Ledger ledger{store, clock, log};
  Issuances issuances{
      {store, cache, ledger,
       [this](OrderJob job, Want& want, bool& began) {
         return desk.order(std::move(job), want, std::chrono::seconds(25), began);
       },
       [this](const ServerName& name, Millis delay) { put_off.emplace_back(name, delay); }, events,
       clock, log},
      chosen.renewal};
  Coordinator coordinator{
      options(),
      {store, policy, budget, keeper, cache, ledger, issuances,
       [this](const ServerName& name, Millis delay) { put_off.emplace_back(name, delay); },
       [](const ServerName& name) -> Result<CertificatePtr> {
         const TestCa::Names names{name.text()};
         return TestCa("Stand-in").issue(names);
       },
       clock, log, [this](const GrantPtr&) { return first.proves_wildcards(); }}};
  Gate<CertificatePtr> gate{
      [this](ServerName name, Want& want) { return coordinator.obtain(std::move(name), want); },
      1000};
  Gate<CertificatePtr> rsa_gate{[this](ServerName name, Want& want) {
                                  return coordinator.obtain(std::move(name), Slot::kRsa, want);
                                },
                                1000};

  int orders() const { return first.orders + second.orders; }

  // A visit; moves the clock until there is an outcome. "serial", or "!reason".
  std::string obtain(const std::string& text, Millis limit = std::chrono::minutes(30),
                     Slot slot = Slot::kMain) {
    std::optional<std::string> said;
    (slot == Slot::kMain ? gate : rsa_gate)
        .join(name_of(text), Lane::kHandshake, [&said](const Result<CertificatePtr>& outcome) {
          said = outcome ? (*outcome)->serial() : "!" + outcome.error().message;
        });
    for (Millis spent{0}; spent < limit && !said; spent += Millis(30)) clock.advance(Millis(30));
    return said ? *said : "still waiting";
  }
  bool refused(const std::string& text) { return obtain(text).starts_with("!"); }
};

class OnDemandTest : public testing::Test {
 protected:
  OnDemandTest() {
    store.clock = &clock;
    store.delay = Millis(1);
    start();
  }
  void start(OnDemandOptions options = {}) {
    side.reset();
    side = std::make_unique<OnDemandSide>(store, clock, http, options);
  }
  static ServerName name_of(const std::string& text) { return OnDemandSide::name_of(text); }
  static OrderFailure own_failure(FailureClass why = FailureClass::kUnauthorized) {
    return {why, Error{ErrorCode::kProtocol, "unauthorized"}, false};
  }
  static OrderFailure ca_trouble(Error error = {ErrorCode::kIo, "connection refused"}) {
    return {FailureClass::kServerInternal, std::move(error), true};
  }

  ManualClock clock;
  FakeStore store;
  ScriptedAsk http{clock};
  std::unique_ptr<OnDemandSide> side;
};

}  // namespace latchkey
