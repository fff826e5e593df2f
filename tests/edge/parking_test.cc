#include "edge/parking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "tests/support/manual_clock.h"

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
  ManualClock clock;
  Parking parking{bounds, clock, writer()};
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
  Parking other(narrow, clock, writer());
  FakeHandshake c1(other, a), c2(other, b), c3(other, b, "198.51.100.1");
  EXPECT_EQ(c2.broken, Bound::kPerPrefix);
  EXPECT_EQ(take_letters(), (Letters{"want a.test", "want b.test"})) << "c2 asks for nothing";
}

TEST_F(ParkingTest, TwoWorkersShareTheBounds) {
  Parking second(bounds, clock, writer());
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

// Many handshakes of one name, and the turns in which they hear.
class HerdTest : public ParkingTest {
 protected:
  using Herd = std::vector<std::unique_ptr<FakeHandshake>>;
  static constexpr size_t kAtOnce = Parking::kAtOnce;

  Herd herd(const ServerName& name, size_t count) {
    Herd out;
    while (out.size() < count) out.push_back(std::make_unique<FakeHandshake>(parking_, name));
    return out;
  }
  static size_t heard(const Herd& herd) {
    return static_cast<size_t>(std::count_if(
        herd.begin(), herd.end(), [](const auto& h) { return h != nullptr && h->heard; }));
  }
  void turn() { clock.advance(Millis(1)); }

  ParkingBounds wide{{.total = 1000, .per_name = 1000, .per_prefix = 1000}};
  Parking parking_{wide, clock, writer()};
};

TEST_F(HerdTest, HearsInTurnsAndGivesItsPlacesBackAsItDoes) {
  const Herd all = herd(a, 2 * kAtOnce + 5);
  parking_.resume(a, no);
  EXPECT_EQ(heard(all), kAtOnce);
  EXPECT_EQ(wide.parked(), kAtOnce + 5);
  clock.advance(Millis(0));
  EXPECT_EQ(heard(all), kAtOnce) << "the same turn";
  turn();
  EXPECT_EQ(heard(all), 2 * kAtOnce);
  turn();
  EXPECT_EQ(heard(all), all.size());
  for (const auto& handshake : all) EXPECT_EQ(handshake->heard, "no");
  EXPECT_EQ(wide.parked(), 0u);
  turn();
  EXPECT_EQ(clock.pending(), 0u);
  EXPECT_EQ(take_letters(), Letters{"want a.test"});
}

TEST_F(HerdTest, WhoLeavesBeforeItHearsIsGoneWithoutALetter) {
  Herd all = herd(a, 3 * kAtOnce);
  parking_.resume(a, no);
  for (size_t i = kAtOnce; i < 2 * kAtOnce; ++i) all[i].reset();
  EXPECT_EQ(wide.parked(), kAtOnce);
  turn();
  EXPECT_EQ(heard(all), 2 * kAtOnce);
  Herd others = herd(b, 2 * kAtOnce);
  turn();
  parking_.resume(b, no);
  others.clear();
  EXPECT_EQ(wide.parked(), 0u);
  turn();
  turn();
  EXPECT_EQ(clock.pending(), 0u);
  EXPECT_EQ(take_letters(), (Letters{"want a.test", "want b.test"}));
}

TEST_F(HerdTest, WhoParksMeanwhileAsksAnewAndHearsTheNewAnswer) {
  const Herd all = herd(a, 2 * kAtOnce);
  parking_.resume(a, no);
  take_letters();
  FakeHandshake later(parking_, a);
  EXPECT_EQ(take_letters(), Letters{"want a.test"});
  turn();
  EXPECT_EQ(heard(all), 2 * kAtOnce);
  EXPECT_EQ(later.heard, std::nullopt);
  parking_.resume(a, Error{ErrorCode::kTimeout, "late"});
  turn();
  EXPECT_EQ(later.heard, "late");
  EXPECT_EQ(wide.parked(), 0u);
}

TEST_F(HerdTest, ANameWithFewDoesNotWaitForOneWithMany) {
  const Herd many = herd(a, 5 * kAtOnce);
  const Herd few = herd(b, 2);
  parking_.resume(a, no);
  parking_.resume(b, Error{ErrorCode::kTimeout, "late"});
  EXPECT_EQ(heard(few), 0u) << "this turn is full";
  turn();
  EXPECT_EQ(heard(few), 2u);
  EXPECT_EQ(heard(many), 2 * kAtOnce - 2);
  EXPECT_EQ(few[0]->heard, "late");
  EXPECT_EQ(many[0]->heard, "no");
  for (int i = 0; i < 4; ++i) turn();
  EXPECT_EQ(heard(many), many.size());
}

TEST_F(HerdTest, OneMayEndTheRestOrParkAgainAsItHears) {
  Herd all = herd(a, 2 * kAtOnce);
  std::unique_ptr<FakeHandshake> again;
  all[kAtOnce]->then = [&] {
    for (size_t i = kAtOnce + 1; i < all.size(); ++i) all[i].reset();
    again = std::make_unique<FakeHandshake>(parking_, a);
  };
  parking_.resume(a, no);
  take_letters();
  turn();
  EXPECT_EQ(heard(all), kAtOnce + 1);
  EXPECT_EQ(take_letters(), Letters{"want a.test"});
  EXPECT_EQ(again->heard, std::nullopt);
  parking_.resume(a, no);
  EXPECT_EQ(again->heard, "no");
  EXPECT_EQ(wide.parked(), 0u);
}

TEST_F(HerdTest, AnEndOfItAllInTheMiddleLeavesNoAlarm) {
  auto own = std::make_unique<Parking>(wide, clock, writer());
  Herd all;
  while (all.size() < 2 * kAtOnce) all.push_back(std::make_unique<FakeHandshake>(*own, a));
  own->resume(a, no);
  all.clear();
  own.reset();
  EXPECT_EQ(clock.pending(), 0u);
  turn();
  EXPECT_EQ(wide.parked(), 0u);
}

}  // namespace
}  // namespace latchkey::edge
