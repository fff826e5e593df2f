#pragma once
// Staples over fakes: a store in memory and responders that do what a test says, on a clock that a
// test moves and whose calendar may jump.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ondemand/staples.h"
#include "tests/support/fake_store.h"
#include "tests/support/manual_clock.h"
#include "tests/support/ocsp_ca.h"

namespace latchkey::staples_test {

using namespace std::chrono_literals;

class TestClock final : public Clock {
 public:
  TimePoint now() const override { return manual.now(); }
  WallTime wall_now() const override { return manual.wall_now() + offset; }
  Alarm after(Millis delay, std::function<void()> fire) override {
    return manual.after(delay, std::move(fire));
  }

  ManualClock manual;
  std::chrono::seconds offset{0};  // of the system's clock
};

class FakeSource final : public StapleSource {
 public:
  explicit FakeSource(Clock& clock) : clock_(clock) {}

  Task<StapleAnswer> fetch(CertificatePtr certificate) override {
    const std::string responder = certificate->ocsp_responder();
    asked.emplace_back(certificate->serial(), clock_.wall_now());
    const Busy busy(at_once_[""]);
    const Busy busy_there(at_once_[responder]);
    most_at_once = std::max(most_at_once, at_once_[""]);
    most_at_one = std::max(most_at_one, at_once_[responder]);
    const bool slow = hung.contains(responder);
    co_await sleep(clock_, slow ? Millis(1h) : takes);
    if (const auto own = answers.find(certificate->serial()); own != answers.end()) {
      co_return own->second;
    }
    if (const auto all = by_responder.find(responder); all != by_responder.end()) {
      co_return all->second;
    }
    co_return good(certificate->serial());
  }

  StapleAnswer good(const std::string& serial) const {
    Staple staple;
    staple.der = "staple of " + serial + " " + std::to_string(asked.size());
    staple.this_update = clock_.wall_now();
    staple.next_update = staple.this_update + life;
    StapleAnswer answer;
    answer.staple = std::make_shared<const Staple>(std::move(staple));
    return answer;
  }
  static StapleAnswer revoked(std::string reason) {
    StapleAnswer answer;
    answer.status = StapleAnswer::Status::kRevoked;
    answer.reason = std::move(reason);
    return answer;
  }
  size_t asked_about(const Certificate& certificate) const {
    return static_cast<size_t>(std::count_if(asked.begin(), asked.end(), [&](const auto& one) {
      return one.first == certificate.serial();
    }));
  }

  std::chrono::seconds life = 96h;
  Millis takes{50};
  std::map<std::string, Result<StapleAnswer>> answers;       // by serial
  std::map<std::string, Result<StapleAnswer>> by_responder;  // else
  std::set<std::string> hung;                                // responders
  std::vector<std::pair<std::string, WallTime>> asked;       // serial, when
  size_t most_at_once = 0, most_at_one = 0;

 private:
  struct Busy {
    explicit Busy(size_t& count_in) : count(count_in) { ++count; }
    ~Busy() { --count; }
    size_t& count;
  };
  Clock& clock_;
  std::map<std::string, size_t> at_once_;  // "": all
};

struct RecordedEvents final : EventSink {
  void tell(Event event) override { events.push_back(std::move(event)); }
  size_t count(std::string_view kind) const {
    return static_cast<size_t>(std::count_if(events.begin(), events.end(),
                                             [&](const Event& e) { return e.kind == kind; }));
  }
  std::vector<Event> events;
};

class StaplesTest : public testing::Test {
 protected:
  static constexpr const char* kResponder = "http://ocsp.test/";

  StaplesTest() {
    store.clock = &clock;
    store.delay = Millis(1);
  }
  // A process begins. What was in memory is gone.
  void start(Staples::Options options = {}) {
    staples.reset();
    cache = std::make_unique<CertificateCache>(CertificateCache::Limits());
    Staples::Parts parts{
        store,
        *cache,
        source,
        events,
        clock,
        log,
        [this](const ServerName& name, Slot slot, const CertificatePtr&,
               const std::string& reason) { told.emplace_back(name.text(), slot, reason); }};
    staples = std::make_unique<Staples>(options, std::move(parts));
    staples->start();
  }
  void advance(Millis by) { clock.manual.advance(by); }
  WallTime now() const { return clock.wall_now(); }

  static ServerName name_of(const std::string& text) { return *ServerName::parse(text); }
  CertificatePtr make(const std::string& name, const std::string& responder = kResponder) const {
    return ca.issue({name}, responder, now() - 1h, now() + 90 * 24h, key);
  }
  // Stored, and in use.
  CertificatePtr add(const std::string& name, const std::string& responder = kResponder,
                     Slot slot = Slot::kMain) {
    CertificatePtr made = make(name, responder);
    CertificateOrigin origin("ca");
    origin.slot = slot;
    store.set_certificate(name_of(name), made, origin);
    if (cache != nullptr) cache->put(name_of(name), made, {}, slot);
    if (staples != nullptr) staples->see(name_of(name), slot, made);
    return made;
  }
  StaplePtr stapled(const std::string& name, Slot slot = Slot::kMain) const {
    const CertificatePtr held = cache->find(name_of(name), slot);
    return held == nullptr ? nullptr : held->staple();
  }
  StapleRecord& row(const Certificate& certificate) {
    return store.staples.at(certificate.leaf_hash());
  }
  void all_fail(ErrorCode code = ErrorCode::kIo) {
    source.by_responder.insert_or_assign(kResponder, Error{code, "it fails"});
  }
  template <typename T>
  Result<T> finish(Task<T> task, Millis limit) {
    task.start();
    for (Millis passed{0}; !task.done() && passed < limit; passed += 100ms) advance(100ms);
    if (!task.done()) return Error{ErrorCode::kTimeout, "it is not done"};
    return std::move(task.outcome());
  }

  TestClock clock;
  FakeStore store;
  FakeSource source{clock};
  RecordedEvents events;
  Log log{STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9)};
  const test::OcspCa ca;
  const PrivateKey key = generate_p256_key();
  std::vector<std::tuple<std::string, Slot, std::string>> told;  // of revocations
  std::unique_ptr<CertificateCache> cache;
  std::unique_ptr<Staples> staples;
};

}  // namespace latchkey::staples_test
