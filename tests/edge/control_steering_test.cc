#include "edge/control_steering.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/edge/control_steering_fixture.h"
#include "tests/support/fd.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using test::at;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(ControlSteeringTest, ForgettingANameDeletesItsCertificate) {
  store("a.test", "a.test");
  const auto gone = forget("a.test");
  EXPECT_EQ(at(gone, "certificates").number, 1);
  EXPECT_THAT(at(gone, "says").text, AllOf(HasSubstr("All about it is deleted"),
                                           HasSubstr("the next visitor gets a new certificate")));
  EXPECT_EQ(at(forget("a.test"), "certificates").number, 0);
}

TEST_F(ControlSteeringTest, AWildcardThatStillCoversAForgottenNameIsSaid) {
  store("a.shop.test", "*.shop.test");
  const auto gone = forget("b.shop.test");
  EXPECT_EQ(at(gone, "certificates").number, 0);
  EXPECT_THAT(at(gone, "says").text, AllOf(HasSubstr("wildcard"), Not(HasSubstr("All about it"))));
}

TEST_F(ControlSteeringTest, ARefusedNameIsSaidToBeRefusedWhateverCoversIt) {
  config_.on_demand.allow = {"other.test"};
  config_.on_demand.refuse_denied = true;
  store("a.shop.test", "*.shop.test");
  EXPECT_THAT(at(forget("b.shop.test"), "says").text, HasSubstr("refused from now on"));
}

TEST_F(ControlSteeringTest, TheRulesOfNamesAreTheConfigurations) {
  EXPECT_FALSE(steering().name_rules().underscore);
  config_.on_demand.underscore = true;
  EXPECT_TRUE(steering().name_rules().underscore);
}

// An endpoint that takes questions and never answers.
TEST_F(ControlSteeringTest, ThoseWhoWaitForCertificatesLeaveRoomForOthers) {
  const test::Fd silent(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(silent.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::getsockname(silent.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  ASSERT_EQ(::listen(silent.get(), 64), 0);
  config_.on_demand.allow.clear();
  auto& ask = config_.on_demand.ask.emplace();
  ask.url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
  ask.timeout = 60s;
  steering();

  std::vector<Task<std::string>> waiting;
  const auto all_wait = [&] { return plane_->certificates().flights() == waiting.size(); };
  for (int i = 0; i < 48; ++i) {
    waiting.push_back(steering().obtain(name_of("a" + std::to_string(i) + ".example")));
    waiting.back().start();
  }
  ASSERT_TRUE(loop_.run_until(all_wait));
  const auto refused = loop_.finish(steering().obtain(name_of("b.example")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kThrottled);
  waiting.pop_back();  // one goes away
  Task<std::string> another = steering().obtain(name_of("c.example"));
  another.start();
  loop_.run_until([&] { return plane_->certificates().find(name_of("c.example")) != nullptr; });
}

}  // namespace
}  // namespace latchkey::edge
