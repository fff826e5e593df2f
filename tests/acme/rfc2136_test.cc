// Updates of Debian's bind9, and of servers that break the protocol.

#include "acme/rfc2136.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <optional>

#include "tests/support/name_server.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey::acme {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using namespace std::chrono_literals;
using Options = Rfc2136Records::Options;

class Rfc2136Test : public testing::Test {
 protected:
  static test::NameServer::Options zones() {
    test::NameServer::Options options;
    options.zones = {
        {"a.test", ""}, {"sub.a.test", ""}, {"b.test", "delegated NS ns.elsewhere.test.\n"}};
    return options;
  }
  void start(test::NameServer::Options with = zones()) {
    server.emplace(folder / "named", std::move(with));
    options.server = server->address();
    options.key_name = server->key_name();
    options.algorithm = server->algorithm();
    options.secret = server->secret();
  }
  Result<> publish(const std::string& domain, const std::string& value) {
    Rfc2136Records records(options, loop.uv(), *clock, log);
    return loop.finish(records.publish(domain, value));
  }
  Result<> withdraw(const std::string& domain, const std::string& value) {
    Rfc2136Records records(options, loop.uv(), *clock, log);
    return loop.finish(records.withdraw(domain, value));
  }
  // Of a publication at _acme-challenge.a.test.
  std::string complaint(ErrorCode code) { return complaint(code, "_acme-challenge.a.test"); }
  std::string complaint(ErrorCode code, const std::string& domain) {
    const auto result = publish(domain, "v");
    if (result) return "";
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_THAT(result.error().message, AllOf(HasSubstr(options.server), HasSubstr(domain)));
    EXPECT_THAT(result.error().message, Not(HasSubstr(server->secret_base64())));
    return result.error().message;
  }

  test::TempFolder folder;
  std::optional<test::NameServer> server;
  test::TestLoop loop;
  Clock* clock = &loop.clock();
  Log log{open("/dev/null", O_WRONLY | O_CLOEXEC), Log::Format::kText, LogLevel::kDebug};
  Options options;
};

TEST_F(Rfc2136Test, ARecordIsPublishedAndWithdrawn) {
  start();
  const std::string domain = "_acme-challenge.x.a.test";
  ASSERT_EQ(complaint(ErrorCode::kIo, domain), "");
  EXPECT_THAT(server->txt(domain), ElementsAre("v"));
  ASSERT_TRUE(publish(domain, "v"));  // once more
  ASSERT_TRUE(publish("_ACME-challenge.X.a.test.", "w"));
  EXPECT_THAT(server->txt(domain), ElementsAre("v", "w"));
  ASSERT_TRUE(withdraw(domain, "v"));
  EXPECT_THAT(server->txt(domain), ElementsAre("w"));
  ASSERT_TRUE(withdraw(domain, "v"));
  ASSERT_TRUE(withdraw(domain, "w"));
  EXPECT_THAT(server->txt(domain), IsEmpty());
}

TEST_F(Rfc2136Test, EveryAlgorithmSigns) {
  for (const char* algorithm :
       {"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"}) {
    test::NameServer::Options with = zones();
    with.algorithm = algorithm;
    server.reset();
    std::filesystem::remove_all(folder / "named");
    start(with);
    EXPECT_EQ(complaint(ErrorCode::kIo), "") << algorithm;
    EXPECT_THAT(server->txt("_acme-challenge.a.test"), ElementsAre("v"));
  }
}

TEST_F(Rfc2136Test, TheZoneIsFoundOrGiven) {
  start();
  ASSERT_TRUE(publish("x.y.z.a.test", "v"));
  ASSERT_TRUE(publish("x.sub.a.test", "w"));
  ASSERT_TRUE(publish("a.test", "v"));
  options.zone = "A.test.";
  ASSERT_TRUE(publish("given.a.test", "v"));
  EXPECT_THAT(server->txt("x.y.z.a.test"), ElementsAre("v"));
  EXPECT_THAT(server->txt("x.sub.a.test"), ElementsAre("w"));
  EXPECT_THAT(server->txt("given.a.test"), ElementsAre("v"));
}

TEST_F(Rfc2136Test, AZoneThatTheServerDoesNotHave) {
  start();
  EXPECT_THAT(complaint(ErrorCode::kInvalid, "_acme-challenge.c.test"),
              AllOf(HasSubstr("not authoritative"), HasSubstr("primary")));
  options.zone = "c.test";
  EXPECT_THAT(complaint(ErrorCode::kInvalid, "_acme-challenge.c.test"),
              AllOf(HasSubstr("NOTAUTH"), HasSubstr("zone c.test"), HasSubstr("dns.rfc2136.zone")));
  EXPECT_THAT(complaint(ErrorCode::kInvalid, "_acme-challenge.a.test"),
              HasSubstr("not in the zone c.test"));
}

TEST_F(Rfc2136Test, KeysThatTheServerDoesNotTake) {
  start();
  const Options good = options;
  options.secret = "something else";
  EXPECT_THAT(complaint(ErrorCode::kInvalid),
              AllOf(HasSubstr("BADSIG"), HasSubstr("secret"), HasSubstr(server->key_name())));
  EXPECT_THAT(complaint(ErrorCode::kInvalid), Not(HasSubstr("something else")));
  options = good;
  options.key_name = "unknown";
  EXPECT_THAT(complaint(ErrorCode::kInvalid),
              AllOf(HasSubstr("BADKEY"), HasSubstr("\"unknown\""), HasSubstr("hmac-sha256")));
  options = good;
  options.algorithm = "hmac-sha512";
  EXPECT_THAT(complaint(ErrorCode::kInvalid), HasSubstr("BADKEY"));
  options = good;
  options.key_name = "";
  EXPECT_THAT(complaint(ErrorCode::kInvalid),
              AllOf(HasSubstr("REFUSED"), HasSubstr("without a key"), HasSubstr("a.test")));
}

// A clock of another time.
class WrongClock final : public Clock {
 public:
  WrongClock(Clock& right, std::chrono::seconds by) : right_(right), by_(by) {}
  TimePoint now() const override { return right_.now(); }
  WallTime wall_now() const override { return right_.wall_now() + by_; }
  Alarm after(Millis delay, std::function<void()> fire) override {
    return right_.after(delay, std::move(fire));
  }

 private:
  Clock& right_;
  const std::chrono::seconds by_;
};

TEST_F(Rfc2136Test, ClocksThatDifferAreTheRemedy) {
  start();
  WrongClock late(loop.clock(), -1000s);
  clock = &late;
  EXPECT_THAT(complaint(ErrorCode::kInvalid),
              AllOf(HasSubstr("BADTIME"), HasSubstr("100"), HasSubstr("NTP")));
}

TEST_F(Rfc2136Test, AServerThatIsNotThere) {
  start();
  server->stop();
  EXPECT_THAT(complaint(ErrorCode::kIo), HasSubstr("connecting: connection refused"));
  server->start();
  EXPECT_EQ(complaint(ErrorCode::kIo), "");
  options.timeout = 100ms;
  server->freeze();
  EXPECT_THAT(complaint(ErrorCode::kTimeout), HasSubstr("100 ms"));
  server->thaw();
}

TEST_F(Rfc2136Test, OptionsAreChecked) {
  options.server = "127.0.0.1:53";
  EXPECT_TRUE(Rfc2136Records::check(options));
  for (const char* bad : {"", "127.0.0.1", "ns.test:53", "::1:53", "[::1]", "127.0.0.1:0",
                          "127.0.0.1:70000", "127.0.0.1:5x", "[127.0.0.1]:53"}) {
    options.server = bad;
    const auto checked = Rfc2136Records::check(options);
    ASSERT_FALSE(checked) << bad;
    EXPECT_THAT(checked.error().message, HasSubstr("\"192.0.2.1:53\""));
    EXPECT_FALSE(publish("a.test", "v"));
  }
  options.server = "[::1]:53";
  options.key_name = "key";
  EXPECT_FALSE(Rfc2136Records::check(options));  // no secret
  options.secret = "s";
  EXPECT_TRUE(Rfc2136Records::check(options));
  options.algorithm = "HMAC-SHA256";
  EXPECT_TRUE(Rfc2136Records::check(options));
  options.algorithm = "hmac-md5";
  EXPECT_FALSE(Rfc2136Records::check(options));
  options.algorithm = "hmac-sha256";
  options.zone = "a..test";
  EXPECT_FALSE(Rfc2136Records::check(options));
}

TEST_F(Rfc2136Test, ATaskMayBeDroppedAtAnyMoment) {
  start();
  Rfc2136Records records(options, loop.uv(), *clock, log);
  bool ended = false;
  for (int turns = 0; !ended; ++turns) {
    auto task = records.publish("_acme-challenge.a.test", "v" + std::to_string(turns));
    task.start();
    for (int i = 0; i < turns && !task.done(); ++i) loop.turn();
    ended = task.done();
    ASSERT_LT(turns, 10'000);
  }
  EXPECT_EQ(complaint(ErrorCode::kIo), "");
}

}  // namespace
}  // namespace latchkey::acme
