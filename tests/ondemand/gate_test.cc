#include "ondemand/gate.h"

#include <gtest/gtest.h>

#include <optional>

#include "cache/certificate.h"
#include "tests/support/manual_clock.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

using CertificateGate = Gate<CertificatePtr>;
constexpr Lane kHandshake = Lane::kHandshake;

// An issuer that takes two seconds of the test's time, fails always, and counts its work.
class GateTest : public testing::Test {
 protected:
  Task<CertificatePtr> issue(ServerName name, Want& want) {
    ++issued;
    wanted = &want;
    co_await sleep(clock, 2s);
    Error no{ErrorCode::kDenied, "no " + name.text()};
    co_return no;
  }
  CertificateGate::Done put(std::optional<std::string>& out) {
    return [&out](const Result<CertificatePtr>& r) { out = r ? "yes" : r.error().message; };
  }

  ManualClock clock;
  int issued = 0;
  Want* wanted = nullptr;  // of the newest issuance
  ServerName a = *ServerName::parse("a.test");
  ServerName b = *ServerName::parse("b.test");
  CertificateGate gate{[this](ServerName name, Want& want) { return issue(std::move(name), want); },
                       2};
};

TEST_F(GateTest, WantsForOneNameShareOneIssuanceAndItsOutcome) {
  std::optional<std::string> first, second;
  gate.join(a, kHandshake, put(first));
  clock.advance(1999ms);
  gate.join(a, kHandshake, put(second));
  EXPECT_FALSE(first || second);
  clock.advance(1ms);
  EXPECT_EQ(first, "no a.test");
  EXPECT_EQ(second, "no a.test");
  EXPECT_EQ(issued, 1);
  EXPECT_EQ(gate.flights(), 0u);
}

TEST_F(GateTest, WhoJoinsFromACallbackStartsANewIssuance) {
  std::optional<std::string> second;
  gate.join(a, kHandshake, [&](const auto&) { gate.join(a, kHandshake, put(second)); });
  clock.advance(2s);
  EXPECT_EQ(issued, 2);
  clock.advance(2s);
  EXPECT_EQ(second, "no a.test");
}

TEST_F(GateTest, BeyondTheBoundTheNewestNameIsRefusedAtOnce) {
  std::optional<std::string> first, second, third;
  gate.join(a, kHandshake, put(first));
  gate.join(b, kHandshake, put(second));
  gate.join(*ServerName::parse("c.test"), kHandshake, put(third));
  EXPECT_EQ(third, "too many names are being looked up at once");
  std::optional<std::string> again;
  gate.join(a, kHandshake, put(again));  // joining costs no place
  clock.advance(2s);
  EXPECT_EQ(again, "no a.test");
}

TEST_F(GateTest, AnIssuanceIsAsUrgentAsTheMostUrgentOfThoseWhoWait) {
  std::optional<std::string> first, second;
  gate.join(a, Lane::kPrefetch, put(first));
  EXPECT_EQ(wanted->lane(), Lane::kPrefetch);
  gate.join(a, Lane::kRenewal, put(second));
  EXPECT_EQ(wanted->lane(), Lane::kRenewal);
  gate.join(a, kHandshake, [](const auto&) {});
  gate.join(a, kHandshake, [](const auto&) {});
  EXPECT_EQ(wanted->lane(), kHandshake);
  gate.visitor_left(a);
  EXPECT_EQ(wanted->lane(), kHandshake);
  gate.visitor_left(a);
  EXPECT_EQ(wanted->lane(), Lane::kRenewal);
  gate.visitor_left(a);  // one too many changes nothing
  gate.visitor_back(a);
  gate.visitor_left(a, &gate);  // nor does one who has no part in it
  EXPECT_EQ(wanted->lane(), kHandshake);
  gate.visitor_left(a);
  gate.visitor_back(a);
  EXPECT_EQ(wanted->lane(), kHandshake);
  clock.advance(2s);
  EXPECT_EQ(first, "no a.test");
  gate.visitor_left(a);  // late letters find nothing
  gate.visitor_back(a);
  EXPECT_EQ(gate.find(a), nullptr);
}

TEST_F(GateTest, HalfOfTheRoomIsForThoseWhoWaitAtADoor) {
  std::optional<std::string> first, second;
  gate.join(a, Lane::kPrefetch, put(first));
  gate.join(b, Lane::kPrefetch, put(second));
  EXPECT_EQ(second, "too many names are being looked up at once");
  gate.join(b, kHandshake, [](const auto&) {});
  EXPECT_EQ(gate.flights(), 2u);
}

TEST_F(GateTest, WhatIsCalledOffEndsAtOnceAndTheNextOneStartsAfresh) {
  std::optional<std::string> first, second;
  gate.join(a, kHandshake, put(first));
  clock.advance(1s);
  EXPECT_TRUE(gate.call_off(a, Error{ErrorCode::kThrottled, "deleted"}));
  EXPECT_EQ(first, "deleted");
  EXPECT_EQ(clock.pending(), 0u);
  gate.join(a, kHandshake, put(second));
  clock.advance(2s);
  EXPECT_EQ(second, "no a.test");
  EXPECT_EQ(issued, 2);
}

TEST_F(GateTest, ALateWordOfAnEarlierVisitorKeepsNobody) {
  gate.join(a, Lane::kPrefetch, [](const auto&) {});
  gate.visitor_back(a, &clock);
  EXPECT_EQ(wanted->lane(), Lane::kPrefetch);
}

TEST_F(GateTest, ShutdownCancelsWhatRuns) {
  std::optional<std::string> first;
  auto local = std::make_unique<CertificateGate>(
      [this](ServerName name, Want& want) { return issue(std::move(name), want); }, 9u);
  local->join(a, kHandshake, put(first));
  local.reset();
  EXPECT_EQ(clock.pending(), 0u);
  EXPECT_EQ(first, std::nullopt);
}

}  // namespace
}  // namespace latchkey
