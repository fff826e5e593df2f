#include "edge/upstream/balancer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

#include "tests/support/fd.h"
#include "tests/support/manual_clock.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using Place = Located::Place;

class BalancerTest : public testing::Test {
 protected:
  void make(Group group) {
    balancer = std::make_shared<Balancer>(context, std::make_shared<const Group>(std::move(group)));
  }
  static Group named(std::vector<std::string> urls) {
    Group group;
    for (const std::string& url : urls) group.origins.push_back(*parse_upstream(url));
    return group;
  }
  // The ports of all servers.
  std::vector<int> ports() const {
    std::vector<int> out;
    for (const ServerPtr& server : balancer->servers()) out.push_back(server->endpoint->port);
    return out;
  }
  ServerPtr one(uint16_t port) const {
    for (const ServerPtr& server : balancer->servers()) {
      if (server->endpoint->port == port) return server;
    }
    return nullptr;
  }
  void answer(const std::string& host, Result<Located> found) {
    auto question = questions.extract(host);
    ASSERT_FALSE(question.empty()) << host;
    question.mapped()(std::move(found));
    clock.advance(0ms);
  }

  void fail(Server& server) {
    clock.advance(1ms);
    balancer->failed(server, "x");
    balancer->failed(server, "with the same connection");
  }

  ManualClock clock;
  Log log{STDERR_FILENO, Log::Format::kText, LogLevel::kError};
  std::map<std::string, std::function<void(Result<Located>)>> questions;
  size_t asked = 0;
  BalancerContext context{clock, log,
                          [this](const Origin& origin, std::function<void(Result<Located>)> done) {
                            ++asked;
                            questions[origin.host] = std::move(done);
                            return std::make_shared<int>(0);
                          }};
  std::shared_ptr<Balancer> balancer;
};

TEST_F(BalancerTest, AddressesNeedNoQuestion) {
  make(named({"http://127.0.0.1:1", "http://[::1]:2"}));
  EXPECT_TRUE(balancer->ready());
  EXPECT_EQ(ports(), (std::vector<int>{1, 2}));
  EXPECT_EQ(asked, 0u);
  EXPECT_EQ(one(2)->endpoint->host, "[::1]:2");
}

TEST_F(BalancerTest, TheFirstRequestsWaitForDnsAndNoneAfterThem) {
  make(named({"http://a.test:1"}));
  EXPECT_FALSE(balancer->ready());
  EXPECT_FALSE(balancer->ready());
  EXPECT_EQ(asked, 1u) << "one question for all";
  int woken = 0;
  const auto first = balancer->wait([&] { ++woken; });
  {
    const auto gone = balancer->wait([&] { woken += 100; });
  }
  answer("a.test", Located{{{"192.0.2.1", 1}, {"192.0.2.2", 1}}, 20s});
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(ports(), (std::vector<int>{1, 1}));
  clock.advance(19s);
  EXPECT_TRUE(balancer->ready());
  EXPECT_EQ(asked, 1u);
  clock.advance(1s);
  EXPECT_TRUE(balancer->ready()) << "what has run out serves while it is asked again";
  EXPECT_EQ(asked, 2u);
  answer("a.test", Located{{{"192.0.2.1", 1}}, 20s});
  clock.advance(51s);
  EXPECT_FALSE(balancer->ready()) << "but not what has run out long ago";
  clock.advance(1s);
  EXPECT_TRUE(balancer->ready()) << "unless DNS says nothing";
  EXPECT_EQ(asked, 3u);
}

TEST_F(BalancerTest, ServersThatStayKeepWhatIsKnownOfThem) {
  make(named({"http://a.test:1"}));
  EXPECT_FALSE(balancer->ready());
  answer("a.test", Located{{{"192.0.2.1", 1}, {"192.0.2.2", 1}}, 5s});
  const ServerPtr kept = balancer->servers()[1];
  clock.advance(5s);
  EXPECT_TRUE(balancer->ready());
  answer("a.test", Located{{{"192.0.2.3", 1}, {"192.0.2.2", 1}, {"192.0.2.2", 1}}, 5s});
  ASSERT_EQ(balancer->servers().size(), 2u);
  EXPECT_EQ(balancer->servers()[1], kept);
  EXPECT_EQ(balancer->servers()[0]->endpoint->address, "192.0.2.3");
  EXPECT_TRUE(balancer->servers()[0]->since) << "it has just come: it warms up";
}

TEST_F(BalancerTest, DnsThatIsDownTakesNobodyDown) {
  make(named({"http://a.test:1"}));
  EXPECT_FALSE(balancer->ready());
  answer("a.test", Error{ErrorCode::kTimeout, "no answer"});
  EXPECT_TRUE(balancer->ready()) << "nobody waits for the next question";
  EXPECT_EQ(balancer->choose("", {}), nullptr);
  EXPECT_EQ(balancer->trouble(), "no answer");
  EXPECT_EQ(asked, 1u);
  clock.advance(2s);
  EXPECT_FALSE(balancer->ready());
  answer("a.test", Located{{{"192.0.2.1", 1}}, 1s});
  clock.advance(1s);
  for (int i = 0; i < 100; ++i) {
    if (balancer->ready()) {
      EXPECT_NE(balancer->choose("", {}), nullptr);
    }
    if (!questions.empty()) answer("a.test", Error{ErrorCode::kTimeout, "no answer"});
    clock.advance(1s);
  }
  EXPECT_TRUE(balancer->ready());
  EXPECT_NE(balancer->choose("", {}), nullptr) << "the last known server";
  EXPECT_LE(asked, 60u);
}

TEST_F(BalancerTest, ServicesHaveTheirOwnPortsWeightsAndTiers) {
  make(named({"srv+http://_http._tcp.a.test"}));
  EXPECT_FALSE(balancer->ready());
  answer("_http._tcp.a.test",
         Located{{{"192.0.2.1", 81, 3, 0, "x.test"}, {"192.0.2.2", 82, 1, 10, "y.test"}}, 5s});
  EXPECT_EQ(one(81)->weight, 3u);
  EXPECT_EQ(one(81)->endpoint->host, "x.test:81");
  EXPECT_EQ(one(82)->tier, 10u);
  EXPECT_EQ(balancer->choose("", {})->endpoint->port, 81);
}

TEST_F(BalancerTest, WhoFailsAgainAndAgainIsEjectedForLongerEachTime) {
  Group group = named({"http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"});
  group.ejection = Ejection{.failures = 3, .time = 10s};
  make(std::move(group));
  const ServerPtr bad = one(1);
  for (int i = 0; i < 2; ++i) fail(*bad);
  balancer->succeeded(*bad);
  for (int i = 0; i < 2; ++i) fail(*bad);
  EXPECT_TRUE(bad->well(clock.now())) << "not in a row";
  fail(*bad);
  EXPECT_FALSE(bad->well(clock.now()));
  balancer->succeeded(*bad);  // one that had begun before
  clock.advance(9'999ms);
  EXPECT_FALSE(bad->well(clock.now()));
  clock.advance(1ms);
  EXPECT_TRUE(bad->well(clock.now()));
  fail(*bad);
  EXPECT_FALSE(bad->well(clock.now())) << "one failure is enough now";
  clock.advance(19'999ms);
  EXPECT_FALSE(bad->well(clock.now())) << "twice as long";
  clock.advance(1ms);
  balancer->succeeded(*bad);
  for (int i = 0; i < 2; ++i) fail(*bad);
  EXPECT_TRUE(bad->well(clock.now()));
}

TEST_F(BalancerTest, NeverMoreThanHalfAreEjected) {
  for (const auto& [count, most] : std::map<int, int>{{1, 0}, {2, 1}, {3, 1}, {4, 2}}) {
    std::vector<std::string> urls;
    for (int i = 1; i <= count; ++i) urls.push_back("http://127.0.0.1:" + std::to_string(i));
    make(named(urls));
    for (const ServerPtr& server : balancer->servers()) {
      for (int i = 0; i < 10; ++i) fail(*server);
    }
    int out = 0;
    for (const ServerPtr& server : balancer->servers()) out += server->well(clock.now()) ? 0 : 1;
    EXPECT_EQ(out, most) << count;
  }
}

TEST_F(BalancerTest, HealthChecksTakeDownAndBringBack) {
  Group group = named({"http://127.0.0.1:1", "http://127.0.0.1:2"});
  group.health = HealthCheck{.fall = 3, .rise = 2};
  make(std::move(group));
  const ServerPtr server = one(1);
  const auto check = [&](bool well) {
    balancer->checked(*server, well, "x");
    return server->well(clock.now());
  };
  EXPECT_TRUE(check(false));
  EXPECT_TRUE(check(false));
  EXPECT_TRUE(check(true));
  EXPECT_TRUE(check(false));
  EXPECT_TRUE(check(false));
  EXPECT_FALSE(check(false));
  EXPECT_FALSE(check(true));
  EXPECT_FALSE(check(false));
  EXPECT_FALSE(check(true));
  EXPECT_TRUE(check(true));
  EXPECT_TRUE(server->since) << "it warms up";
}

}  // namespace
}  // namespace latchkey::edge
