// An authority in this process among the issuers: used where it is selected, and where there is
// nothing else.
#include <gtest/gtest.h>

#include "tests/ondemand/coordinator_fixture.h"

namespace latchkey {
namespace {

class EmbeddedIssuerTest : public OnDemandTest {};

TEST_F(EmbeddedIssuerTest, StandsInForNobody) {
  side->second.in_here = true;
  side->first.trouble = ca_trouble();
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(side->refused("a" + std::to_string(i) + ".listed.test"));
  }
  EXPECT_GT(side->first.orders, 0);
  EXPECT_EQ(side->second.orders, 0);
}

TEST_F(EmbeddedIssuerTest, IsNotPreferredWhereItStandsFirst) {
  side->first.in_here = true;
  EXPECT_FALSE(side->refused("a.listed.test"));
  EXPECT_EQ(side->first.orders, 0);
  EXPECT_EQ(side->second.orders, 1);
}

TEST_F(EmbeddedIssuerTest, TheFirstOneIsUsedWhereThereIsNothingElse) {
  side->first.in_here = side->second.in_here = true;
  EXPECT_FALSE(side->refused("a.listed.test"));
  EXPECT_EQ(side->first.orders, 1);
  side->first.trouble = ca_trouble();
  EXPECT_TRUE(side->refused("b.listed.test"));
  EXPECT_EQ(side->second.orders, 0) << "another root is another trust";
}

TEST_F(EmbeddedIssuerTest, IsUsedForNamesThatAreBoundToIt) {
  side->second.in_here = true;
  side->desk.bind(name_of("ca.listed.test"), "second");
  EXPECT_FALSE(side->refused("ca.listed.test"));
  EXPECT_EQ(side->second.orders, 1);
  EXPECT_EQ(side->first.orders, 0);
  side->second.trouble = ca_trouble();
  side->desk.bind(name_of("other.listed.test"), "second");
  EXPECT_TRUE(side->refused("other.listed.test"));
  EXPECT_EQ(side->first.orders, 0) << "nor does another stand in for it";
}

TEST_F(EmbeddedIssuerTest, IsUsedWhereAGrantSelectsIt) {
  side->second.in_here = true;
  http.body = R"({"issuer": "second"})";
  EXPECT_FALSE(side->refused("asked.example"));
  EXPECT_EQ(side->second.orders, 1);
  EXPECT_EQ(side->first.orders, 0);
}

TEST_F(EmbeddedIssuerTest, ItsWildcardsAreForThoseWhoSelectIt) {
  side->second.in_here = true;
  side->second.wildcards = true;
  EXPECT_FALSE(side->desk.proves_wildcards(nullptr));
  Grant grant;
  grant.issuer = "second";
  EXPECT_TRUE(side->desk.proves_wildcards(std::make_shared<const Grant>(grant)));
  side->first.in_here = true;
  EXPECT_FALSE(side->desk.proves_wildcards(nullptr)) << "the first one cannot";
  side->first.wildcards = true;
  EXPECT_TRUE(side->desk.proves_wildcards(nullptr));
}

TEST(EmbeddedBudgetTest, TheThrottleIsForCas) {
  Budget budget({{"ca", {}}, {"local", {}, false}}, Rate::of(1, std::chrono::hours(1)));
  const TimePoint now{std::chrono::hours(1)};
  const OrderPlan plan{*ServerName::parse("a.test"), "a.test"};
  EXPECT_TRUE(budget.take(0, plan, now));
  EXPECT_FALSE(budget.take(0, plan, now));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(budget.take(1, plan, now));
  budget.give_back(1, plan, Budget::Unused::kOrder);
  EXPECT_FALSE(budget.take(0, plan, now)) << "what another did not take does not come back to it";
}

}  // namespace
}  // namespace latchkey
