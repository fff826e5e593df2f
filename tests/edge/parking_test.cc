#include "edge/parking.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

namespace latchkey::edge {
namespace {

using Bound = ParkingBounds::Bound;

class FakeHandshake final : public Parked {
 public:
  FakeHandshake(Parking& parking, ServerName name, const char* source = "192.0.2.1")
      : parking_(parking), name_(std::move(name)) {
    broken = parking_.park(name_, SourcePrefix::of(source), *this);
    parked = !broken;
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
  std::optional<Bound> broken;
  std::optional<std::string> heard;
  std::function<void()> then;

 private:
  Parking& parking_;
  const ServerName name_;
};

class ParkingTest : public testing::Test {
 protected:
  using Letters = std::vector<std::string>;
  Letters take_letters() { return std::exchange(letters, {}); }
  Parking::Letters writer() {
    const auto write = [this](const char* word) {
      return [this, word](const ServerName& name) { letters.push_back(word + name.text()); };
    };
    return {write("want "), write("left "), write("back ")};
  }

  ServerName a = *ServerName::parse("a.test");
  ServerName b = *ServerName::parse("b.test");
  Error no{ErrorCode::kDenied, "no"};
  ParkingBounds bounds{{.total = 4, .per_name = 3, .per_prefix = 4}};
  Letters letters;
  Parking parking{bounds, writer()};
};

TEST_F(ParkingTest, OnlyTheFirstForANameAsksAndAllHear) {
  FakeHandshake first(parking, a), second(parking, a), other(parking, b);
  EXPECT_EQ(take_letters(), (Letters{"want a.test", "want b.test"}));
  parking.resume(a, no);
  EXPECT_EQ(first.heard, "no");
  EXPECT_EQ(second.heard, "no");
  EXPECT_EQ(other.heard, std::nullopt);
  EXPECT_EQ(bounds.parked(), 1u);
  EXPECT_TRUE(letters.empty());
}

TEST_F(ParkingTest, OneLetterSaysThatTheLastHasLeftAndOneThatSomebodyIsBack) {
  {
    FakeHandshake first(parking, a);
    { FakeHandshake second(parking, a); }
    EXPECT_EQ(take_letters(), Letters{"want a.test"});
  }
  EXPECT_EQ(take_letters(), Letters{"left a.test"});
  EXPECT_EQ(bounds.parked(), 0u);
  {
    FakeHandshake third(parking, a), fourth(parking, a);
    EXPECT_EQ(take_letters(), Letters{"back a.test"});
  }
  EXPECT_EQ(take_letters(), Letters{"left a.test"});
  FakeHandshake next(parking, a);
  EXPECT_EQ(take_letters(), Letters{"back a.test"});
  parking.resume(a, no);
  EXPECT_EQ(next.heard, "no");
  FakeHandshake later(parking, a);
  EXPECT_EQ(take_letters(), Letters{"want a.test"});
}

TEST_F(ParkingTest, AnOutcomeThatNobodyWaitsForAnyMoreEndsTheQuestion) {
  { FakeHandshake gone(parking, a); }
  parking.resume(a, no);
  EXPECT_EQ(take_letters(), (Letters{"want a.test", "left a.test"}));
  parking.resume(a, no);
  { FakeHandshake later(parking, a); }
  EXPECT_EQ(take_letters(), (Letters{"want a.test", "left a.test"}));
}

TEST_F(ParkingTest, TheNewestIsRefusedOverABoundAndLeavesNothingBehind) {
  FakeHandshake a1(parking, a), a2(parking, a), a3(parking, a), a4(parking, a);
  EXPECT_TRUE(a3.parked);
  EXPECT_EQ(a4.broken, Bound::kPerName);
  {
    FakeHandshake b1(parking, b), b2(parking, b);
    EXPECT_TRUE(b1.parked);
    EXPECT_EQ(b2.broken, Bound::kTotal);
  }
  parking.resume(a, no);
  EXPECT_EQ(bounds.parked(), 0u);
  take_letters();
  ParkingBounds narrow{{.total = 9, .per_name = 9, .per_prefix = 1}};
  Parking other(narrow, writer());
  FakeHandshake c1(other, a), c2(other, b), c3(other, b, "198.51.100.1");
  EXPECT_EQ(c2.broken, Bound::kPerPrefix);
  EXPECT_EQ(take_letters(), (Letters{"want a.test", "want b.test"})) << "c2 asks for nothing";
}

TEST_F(ParkingTest, TwoWorkersShareTheBounds) {
  Parking second(bounds, writer());
  FakeHandshake a1(parking, a), a2(second, a), a3(second, a), a4(parking, a);
  EXPECT_EQ(a4.broken, Bound::kPerName);
  EXPECT_EQ(take_letters(), (Letters{"want a.test", "want a.test"})) << "one each";
}

TEST_F(ParkingTest, AHandshakeMayEndAnotherOrParkAgainWhenItHears) {
  auto second = std::make_unique<FakeHandshake>(parking, b);
  FakeHandshake first(parking, a);
  auto doomed = std::make_unique<FakeHandshake>(parking, a);
  std::unique_ptr<FakeHandshake> again;
  first.then = [&] {
    again = std::make_unique<FakeHandshake>(parking, a);
    doomed.reset();
  };
  take_letters();
  parking.resume(a, no);
  EXPECT_EQ(take_letters(), Letters{"want a.test"})
      << "the doomed one belonged to the old question, so nobody has left the new one";
  parking.resume(a, no);
  EXPECT_EQ(again->heard, "no");
  parking.resume(b, no);
  EXPECT_EQ(bounds.parked(), 0u);
  EXPECT_TRUE(letters.empty());
}

}  // namespace
}  // namespace latchkey::edge
