#include "ondemand/gate.h"

#include <gtest/gtest.h>

#include <optional>

#include "cache/certificate.h"
#include "tests/support/manual_clock.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

using CertificateGate = Gate<CertificatePtr>;

// An issuer that takes two seconds of the test's time, fails always, and counts its work.
class GateTest : public testing::Test {
 protected:
  Task<CertificatePtr> issue(ServerName name) {
    ++issued;
    co_await sleep(clock, 2s);
    Error no{ErrorCode::kDenied, "no " + name.text()};
    co_return no;
  }
  CertificateGate::Done put(std::optional<std::string>& out) {
    return [&out](const Result<CertificatePtr>& r) { out = r ? "yes" : r.error().message; };
  }

  ManualClock clock;
  int issued = 0;
  ServerName a = *ServerName::parse("a.test");
  ServerName b = *ServerName::parse("b.test");
  CertificateGate gate{[this](ServerName name) { return issue(std::move(name)); }, 2};
};

TEST_F(GateTest, WantsForOneNameShareOneIssuanceAndItsOutcome) {
  std::optional<std::string> first, second;
  gate.join(a, put(first));
  clock.advance(1999ms);
  gate.join(a, put(second));
  EXPECT_FALSE(first || second);
  clock.advance(1ms);
  EXPECT_EQ(first, "no a.test");
  EXPECT_EQ(second, "no a.test");
  EXPECT_EQ(issued, 1);
  EXPECT_EQ(gate.flights(), 0u);
}

TEST_F(GateTest, WhoJoinsFromACallbackStartsANewIssuance) {
  std::optional<std::string> second;
  gate.join(a, [&](const auto&) { gate.join(a, put(second)); });
  clock.advance(2s);
  EXPECT_EQ(issued, 2);
  clock.advance(2s);
  EXPECT_EQ(second, "no a.test");
}

TEST_F(GateTest, BeyondTheBoundTheNewestNameIsRefusedAtOnce) {
  std::optional<std::string> first, second, third;
  gate.join(a, put(first));
  gate.join(b, put(second));
  gate.join(*ServerName::parse("c.test"), put(third));
  EXPECT_EQ(third, "too many names are being looked up at once");
  std::optional<std::string> again;
  gate.join(a, put(again));  // joining costs no place
  clock.advance(2s);
  EXPECT_EQ(again, "no a.test");
}

TEST_F(GateTest, ShutdownCancelsWhatRuns) {
  std::optional<std::string> first;
  auto local = std::make_unique<CertificateGate>(
      [this](ServerName name) { return issue(std::move(name)); }, 9u);
  local->join(a, put(first));
  local.reset();
  EXPECT_EQ(clock.pending(), 0u);
  EXPECT_EQ(first, std::nullopt);
}

}  // namespace
}  // namespace latchkey
