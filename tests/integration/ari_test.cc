// A CA that says when it wants its certificates renewed (RFC 9773), well and badly.
#include <gtest/gtest.h>

#include <thread>

#include "base/check.h"
#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/stopped_store.h"

namespace latchkey::test {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

ScriptedCa::Options knowing_ari() {
  ScriptedCa::Options options;
  options.renewal_info = true;
  return options;
}

// From now.
ScriptedCa::Advice window(seconds start, seconds end) {
  const WallTime now = TestCa::now();
  return {ScriptedCa::time_text(now + start), ScriptedCa::time_text(now + end)};
}

const seconds kFar = hours(24 * 40);  // of 90 days

class AriTest : public ::testing::Test {
 protected:
  AriTest() : site_(without_pebble()) { site_.edge.settings.directory = ca_.directory(); }

  Handshake visit(const std::string& name = "a.test") {
    TlsOptions client = site_.tls(name);
    client.roots = ca_.roots();
    return TlsClient(client).handshake();
  }
  // Of what is stored for it when the edge has ended.
  CertificateInfo stored(const std::string& name = "a.test") {
    EXPECT_TRUE(site_.edge.terminate());
    StoppedStore store(site_.state_dir());
    auto record = store.find(name);
    CHECK(record.info);
    return *std::move(record.info);
  }
  // A while in which nothing is to happen.
  static void wait_and_see() { std::this_thread::sleep_for(seconds(2)); }
  // It is renewed when two thirds of its life have passed, as without such a CA.
  static void expect_by_life(const CertificateInfo& info) {
    const auto life = info.end - info.not_before;
    EXPECT_GT(info.plan.renew_at, info.not_before + life * 6 / 10);
    EXPECT_LT(info.plan.renew_at, info.not_before + life * 7 / 10);
  }

  ScriptedCa ca_{knowing_ari()};
  Site site_;
};

TEST_F(AriTest, AWindowThatHasPassedMeansNow) {
  ca_.advise({window(-hours(2), -hours(1)), window(kFar, kFar + hours(24))});
  ASSERT_TRUE(site_.edge.start());
  const Handshake first = visit();
  ASSERT_TRUE(first.verified) << first.error;
  ASSERT_TRUE(eventually([&] { return visit().serial != first.serial; }));
  wait_and_see();
  const auto wishes = ca_.wishes();
  ASSERT_EQ(wishes.size(), 2u);
  EXPECT_EQ(wishes[0].replaces, "");
  ASSERT_FALSE(ca_.polls().empty());
  EXPECT_EQ(wishes[1].replaces, ca_.polls()[0]);
  EXPECT_EQ(ca_.polls().size(), 2u);  // once each
}

TEST_F(AriTest, AFarWindowIsWaitedForAndItsInstantIsChosenOnce) {
  const auto far = window(kFar, kFar + hours(24));
  ca_.advise({far});
  ASSERT_TRUE(site_.edge.start());
  const Handshake first = visit();
  ASSERT_TRUE(first.verified) << first.error;
  ASSERT_TRUE(eventually([&] { return !ca_.polls().empty(); }));
  wait_and_see();
  const CertificateInfo info = stored();
  const WallTime now = TestCa::now();
  EXPECT_GE(info.plan.renew_at, now + kFar - seconds(60));
  EXPECT_LE(info.plan.renew_at, now + kFar + hours(24));
  EXPECT_GT(info.plan.poll_at, now + hours(4));  // Retry-After: 6 h

  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(visit().serial, first.serial);
  wait_and_see();
  EXPECT_EQ(stored().plan.renew_at, info.plan.renew_at);
  EXPECT_EQ(ca_.polls().size(), 1u);
  EXPECT_EQ(ca_.wishes().size(), 1u);
}

TEST_F(AriTest, AWindowThatIsNoneLeavesItToTheCertificatesLife) {
  ca_.advise({window(-hours(1), -hours(2)),
              window(hours(1), hours(1)),
              {"soon", "later"},
              {"", ""},
              window(hours(24 * 100), hours(24 * 101))});  // behind its end
  ASSERT_TRUE(site_.edge.start());
  const std::vector<std::string> names{"inverted.test", "zero.test", "words.test", "empty.test",
                                       "behind.test"};
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_TRUE(visit(names[i]).verified) << names[i];
    EXPECT_TRUE(eventually([&] { return ca_.polls().size() == i + 1; })) << names[i];
  }
  wait_and_see();
  EXPECT_EQ(ca_.wishes().size(), names.size());
  EXPECT_EQ(ca_.polls().size(), names.size());
  ASSERT_TRUE(site_.edge.terminate());
  StoppedStore store(site_.state_dir());
  for (const auto& name : names) {
    const auto record = store.find(name);
    ASSERT_TRUE(record.info.has_value()) << name;
    expect_by_life(*record.info);
  }
}

class BadRenewalInfoTest : public AriTest,
                           public ::testing::WithParamInterface<std::pair<const char*, Response>> {
};

TEST_P(BadRenewalInfoTest, ChangesNothingAndIsNotAskedForAllTheTime) {
  ca_.misbehave("/renewalInfo", GetParam().second);
  ASSERT_TRUE(site_.edge.start());
  const Handshake first = visit();
  ASSERT_TRUE(first.verified) << first.error;
  EXPECT_TRUE(eventually([&] { return !ca_.polls().empty(); }));
  wait_and_see();
  EXPECT_EQ(visit().serial, first.serial);
  EXPECT_LE(ca_.polls().size(), 2u);
  EXPECT_EQ(ca_.wishes().size(), 1u);
  expect_by_life(stored());
}

std::vector<std::pair<const char*, Response>> bad_answers() {
  std::vector<std::pair<const char*, Response>> all;
  const auto add = [&](const char* name) -> Response& {
    return all.emplace_back(name, Response()).second;
  };
  add("Empty");
  add("ServerError").status = 500;
  add("NotFound").status = 404;
  add("Redirect").status = 302;
  all.back().second.headers = {{"Location", "http://127.0.0.1:1/"}};
  add("Garbage").body = "}{";
  add("Nulls").body = R"({"suggestedWindow":null,"explanationURL":null})";
  add("Endless").endless = true;
  add("Hang").hang = true;
  add("Reset").reset = true;
  all.emplace_back("RateLimited", ScriptedCa::rate_limited(3600));
  return all;
}

INSTANTIATE_TEST_SUITE_P(With, BadRenewalInfoTest, ::testing::ValuesIn(bad_answers()),
                         [](const auto& test) { return std::string(test.param.first); });

TEST_F(AriTest, WhereReplacesIsRefusedTheOrderIsMadeWithoutIt) {
  ca_.advise({window(-hours(2), -hours(1)), window(kFar, kFar + hours(24))});
  ca_.refuse_replacements();
  ASSERT_TRUE(site_.edge.start());
  const Handshake first = visit();
  ASSERT_TRUE(first.verified) << first.error;
  EXPECT_TRUE(eventually([&] { return visit().serial != first.serial; }));
  const auto wishes = ca_.wishes();
  ASSERT_EQ(wishes.size(), 3u);
  EXPECT_FALSE(wishes[1].replaces.empty());
  EXPECT_TRUE(wishes[2].replaces.empty());
  EXPECT_EQ(ca_.orders("a.test"), 2u);
  EXPECT_EQ(site_.edge.count("renewal_failed"), 0u);
}

// Whatever a CA says: it does not make us ask it for one certificate after the other.
TEST_F(AriTest, ACaThatWantsEveryCertificateRenewedAtOnceIsNotObeyedForEver) {
  ca_.advise({window(-hours(2), -hours(1))});
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(visit().verified);
  std::this_thread::sleep_for(seconds(10));
  std::printf("%zu orders in ten seconds\n", ca_.orders("a.test"));
  EXPECT_LE(ca_.orders("a.test"), 5u);
  EXPECT_TRUE(visit().verified);
}

TEST_F(AriTest, TheExplanationIsPassedOn) {
  auto advice = window(-hours(2), -hours(1));
  advice.explanation_url = "https://ca.test/why-now";
  ca_.advise({advice, window(kFar, kFar + hours(24))});
  ASSERT_TRUE(site_.edge.start());
  const Handshake first = visit();
  ASSERT_TRUE(first.verified) << first.error;
  EXPECT_TRUE(eventually([&] { return visit().serial != first.serial; }));
  EXPECT_TRUE(site_.edge.logged("https://ca.test/why-now")) << site_.edge.log();
}

TEST(ProfileTest, IsAskedForWhereTheCaHasIt) {
  ScriptedCa::Options options;
  options.profiles = {"classic", "shortlived"};
  ScriptedCa ca(options);
  Site site(without_pebble());
  site.edge.settings.directory = ca.directory();
  site.edge.settings.profile = "shortlived";
  ASSERT_TRUE(site.edge.start());
  TlsOptions client = site.tls("a.test");
  client.roots = ca.roots();
  EXPECT_TRUE(TlsClient(client).handshake().verified);
  ASSERT_EQ(ca.wishes().size(), 1u);
  EXPECT_EQ(ca.wishes()[0].profile, "shortlived");
}

}  // namespace
}  // namespace latchkey::test
