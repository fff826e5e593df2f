#include "acme/dns_propagation.h"

#include <gmock/gmock.h>

#include "tests/acme/fake_dns.h"

namespace latchkey::acme {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using namespace std::chrono_literals;

const std::string kDomain = "_acme-challenge.www.a.test";

class DnsPropagationTest : public testing::Test {
 protected:
  DnsPropagationTest() {
    dns.name_servers["a.test"] = {"ns1.a.test", "ns2.b.test"};
    dns.hosts["ns1.a.test"] = {"192.0.2.1"};
    dns.hosts["ns2.b.test"] = {"192.0.2.2", "2001:db8::2"};
    limits.timeout = 60s;
  }
  Task<Propagation> wait() { return wait_for_record(view, clock, limits, kDomain, "value"); }
  void publish() { dns.texts[kDomain].emplace("value", clock.now()); }

  ManualClock clock;
  FakeDns dns{clock};
  FakeDns::View view{dns};
  PropagationLimits limits;
};

TEST_F(DnsPropagationTest, IsOverWhenAllNameServersShowTheRecord) {
  publish();
  auto task = wait();
  task.start();
  clock.advance(0s);
  ASSERT_TRUE(task.done());
  EXPECT_TRUE(task.outcome()->complete());
  const std::pair<std::string, std::string> first("192.0.2.1:53", kDomain);
  const std::pair<std::string, std::string> second("192.0.2.2:53,[2001:db8::2]:53", kDomain);
  EXPECT_THAT(dns.questions, AllOf(testing::Contains(first), testing::Contains(second)));
}

TEST_F(DnsPropagationTest, WaitsForTheSlowestAndAsksItAtAGrowingPace) {
  publish();
  dns.lag["192.0.2.2:53,[2001:db8::2]:53"] = 30s;
  auto task = wait();
  task.start();
  clock.advance(29s);
  EXPECT_FALSE(task.done());
  clock.advance(5s);
  ASSERT_TRUE(task.done());
  EXPECT_TRUE(task.outcome()->complete());
  // 0, 0.5, 1.5, 3.5, 7.5, 12.5, ... 32.5; three for the zone, one for the other server.
  EXPECT_EQ(dns.questions.size(), 3u + 1u + 10u);
}

TEST_F(DnsPropagationTest, EndsAtItsTimeLimitAndSaysWhoIsMissing) {
  dns.texts[kDomain].emplace("other", clock.now());
  dns.broken.insert("192.0.2.1:53");
  auto task = wait();
  task.start();
  clock.advance(59s);
  EXPECT_FALSE(task.done());
  clock.advance(1s);
  ASSERT_TRUE(task.done());
  EXPECT_THAT(task.outcome()->missing,
              AllOf(HasSubstr("ns1.a.test: resolving"), HasSubstr("ns2.b.test: only other TXT")));
}

TEST_F(DnsPropagationTest, AServerThatComesBackCounts) {
  publish();
  dns.broken.insert("192.0.2.1:53");
  dns.hosts.erase("ns2.b.test");
  auto task = wait();
  task.start();
  clock.advance(10s);
  dns.broken.clear();
  clock.advance(10s);
  EXPECT_FALSE(task.done());
  dns.hosts["ns2.b.test"] = {"192.0.2.2"};
  clock.advance(5s);
  ASSERT_TRUE(task.done());
  EXPECT_TRUE(task.outcome()->complete());
}

TEST_F(DnsPropagationTest, TheZoneMayBeHardToFind) {
  publish();
  dns.broken.insert("a.test");
  auto task = wait();
  task.start();
  clock.advance(20s);
  dns.broken.clear();
  clock.advance(5s);
  ASSERT_TRUE(task.done());
  EXPECT_TRUE(task.outcome()->complete());

  dns.broken.insert("a.test");
  auto lost = wait();
  lost.start();
  clock.advance(60s);
  ASSERT_TRUE(lost.done());
  EXPECT_THAT(lost.outcome()->missing, HasSubstr("looking for the name servers of a.test"));

  dns.name_servers.clear();
  dns.broken.clear();
  auto none = wait();
  none.start();
  clock.advance(0s);
  ASSERT_TRUE(none.done());
  EXPECT_THAT(none.outcome()->missing, HasSubstr("no name servers"));
}

TEST_F(DnsPropagationTest, GivenServersAreAskedAlone) {
  publish();
  limits.servers = "127.0.0.1:10053, [::1]:10053";
  dns.lag["[::1]:10053"] = 1s;
  auto task = wait();
  task.start();
  clock.advance(0s);
  EXPECT_FALSE(task.done());
  clock.advance(2s);
  ASSERT_TRUE(task.done());
  EXPECT_TRUE(task.outcome()->complete());
  for (const auto& [servers, name] : dns.questions) {
    EXPECT_THAT(servers, HasSubstr(":10053"));
    EXPECT_THAT(servers, Not(HasSubstr(",")));
    EXPECT_EQ(name, kDomain);
  }
}

TEST_F(DnsPropagationTest, TheNumberOfServersIsBounded) {
  publish();
  dns.name_servers["a.test"].clear();
  for (int i = 0; i < 40; ++i) {
    const std::string host = "ns" + std::to_string(i) + ".a.test";
    dns.name_servers["a.test"].push_back(host);
    dns.hosts[host] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"};
  }
  auto task = wait();
  task.start();
  clock.advance(0s);
  ASSERT_TRUE(task.done());
  EXPECT_EQ(dns.questions.size(), 3u + 16u);
  EXPECT_EQ(dns.questions.back().first, "192.0.2.1:53,192.0.2.2:53,192.0.2.3:53,192.0.2.4:53");
}

TEST_F(DnsPropagationTest, IsCancelledAtEachWait) {
  dns.delay = 100ms;
  publish();
  dns.lag["192.0.2.1:53"] = 3s;
  for (Millis at{0};; at += 50ms) {
    auto task = wait();
    task.start();
    clock.advance(at);
    if (task.done()) break;
    task = {};
    EXPECT_EQ(clock.pending(), 0u) << at.count();
    ASSERT_LT(at, 60s);
    publish();
    dns.texts.clear();
    publish();
  }
}

}  // namespace
}  // namespace latchkey::acme
