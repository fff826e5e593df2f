#include "edge/parking.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

namespace latchkey::edge {
namespace {

class FakeHandshake final : public Parked {
 public:
  FakeHandshake(Parking& parking, ServerName name) : parking_(parking), name_(std::move(name)) {
    parked = parking_.park(name_, *this);
  }
  ~FakeHandshake() {
    if (parked) parking_.leave(name_, *this);
  }
  void resume(const Result<CertificatePtr>& outcome) override {
    parked = false;
    heard = outcome ? "certificate" : outcome.error().message;
    if (then) then();
  }

  bool parked = false;
  std::optional<std::string> heard;
  std::function<void()> then;

 private:
  Parking& parking_;
  const ServerName name_;
};

class ParkingTest : public testing::Test {
 protected:
  ServerName a = *ServerName::parse("a.test");
  ServerName b = *ServerName::parse("b.test");
  Error no{ErrorCode::kDenied, "no"};
  std::atomic<size_t> total{0};
  std::vector<std::string> wanted;
  Parking parking{{.total = 4, .per_name = 3}, total, [this](const ServerName& name) {
                    wanted.push_back(name.text());
                  }};
};

TEST_F(ParkingTest, OnlyTheFirstForANameAsksAndAllHear) {
  FakeHandshake first(parking, a), second(parking, a), other(parking, b);
  EXPECT_EQ(wanted, (std::vector<std::string>{"a.test", "b.test"}));
  parking.resume(a, no);
  EXPECT_EQ(first.heard, "no");
  EXPECT_EQ(second.heard, "no");
  EXPECT_EQ(other.heard, std::nullopt);
  EXPECT_EQ(total, 1u);
}

TEST_F(ParkingTest, WhoLeavesIsForgottenAndTheQuestionStays) {
  { FakeHandshake gone(parking, a); }
  EXPECT_EQ(total, 0u);
  FakeHandshake next(parking, a);
  EXPECT_EQ(wanted.size(), 1u);
  parking.resume(a, no);
  EXPECT_EQ(next.heard, "no");
  FakeHandshake later(parking, a);
  EXPECT_EQ(wanted.size(), 2u);
}

TEST_F(ParkingTest, BothBoundsRefuseTheNewest) {
  FakeHandshake a1(parking, a), a2(parking, a), a3(parking, a), a4(parking, a);
  EXPECT_TRUE(a3.parked);
  EXPECT_FALSE(a4.parked);
  FakeHandshake b1(parking, b), b2(parking, b);
  EXPECT_TRUE(b1.parked);
  EXPECT_FALSE(b2.parked);
  parking.resume(a, no);
  EXPECT_EQ(total, 1u);
}

TEST_F(ParkingTest, AHandshakeMayEndAnotherOrParkAgainWhenItHears) {
  auto second = std::make_unique<FakeHandshake>(parking, b);
  FakeHandshake first(parking, a);
  auto doomed = std::make_unique<FakeHandshake>(parking, a);
  std::unique_ptr<FakeHandshake> again;
  first.then = [&] {
    doomed.reset();
    again = std::make_unique<FakeHandshake>(parking, a);
  };
  parking.resume(a, no);
  EXPECT_EQ(wanted.size(), 3u);
  parking.resume(a, no);
  EXPECT_EQ(again->heard, "no");
  parking.resume(b, no);
  EXPECT_EQ(total, 0u);
}

}  // namespace
}  // namespace latchkey::edge
