#include "edge/control_steering.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "tests/support/fd.h"
#include "tests/support/json_path.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using test::at;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

ServerName name_of(std::string_view text) {
  return *ServerName::parse(text, {.underscore = true});
}

class ControlSteeringTest : public testing::Test {
 protected:
  ControlSteeringTest() {
    config_.folder = folder_.path();
    config_.state_dir = "state";
    config_.on_demand.allow = {"*.test"};
  }

  ControlSteering& steering() {
    if (!steering_) {
      auto plane = ControlPlane::open(config_, loop_.loop(), cache_, challenges_, log_);
      EXPECT_TRUE(plane) << plane.error().message;
      plane_ = *std::move(plane);
      ControlSteering::Parts parts{.loop = loop_.loop(),
                                   .plane = *plane_,
                                   .config = config_,
                                   .counts = counts_,
                                   .connections = connections_,
                                   .parking = parking_,
                                   .process = [] { return ControlSteering::Process(); },
                                   .reload = [](Reloader::Told) {}};
      steering_ = std::make_unique<ControlSteering>(std::move(parts));
    }
    return *steering_;
  }
  void store(std::string_view name, const std::string& certified) {
    steering();
    ASSERT_TRUE(loop_.finish(
        plane_->store().put_certificate(name_of(name), ca_.issue({certified}), "test")));
  }
  JsonValue forget(std::string_view name) {
    const auto text = loop_.finish(steering().forget(name_of(name)));
    EXPECT_TRUE(text) << text.error().message;
    return *parse_json(*text);
  }

  const TestCa ca_;
  test::TempFolder folder_;
  test::TestLoop loop_;
  Log log_{STDERR_FILENO, Log::Format::kJson, LogLevel::kError};
  CertificateCache cache_{{100, 1 << 20}};
  acme::ChallengeTable challenges_;
  HandshakeCounts counts_;
  std::atomic<size_t> connections_{0};
  ParkingBounds parking_{{10, 10, 10}};
  Config config_;
  std::unique_ptr<ControlPlane> plane_;
  std::unique_ptr<ControlSteering> steering_;
};

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
