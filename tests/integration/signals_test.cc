// What the process is told by signals, and what it tells systemd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "tests/support/eventually.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;

// A visitor whose upstream never answers: nothing ends by itself.
class SignalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    site_.edge.settings.shutdown_grace = "10m";
    site_.upstream.replace_handler([](const Request&) {
      Response response;
      response.hang = true;
      return response;
    });
    ASSERT_TRUE(site_.edge.start());
    visitor_.emplace(site_.tls("a.test"));
    visitor_->write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    ASSERT_TRUE(eventually([&] { return site_.upstream.requests() == 1; }));
  }

  void expect_that_it_was_cut(const std::optional<Process::Exit>& exit, const Stopwatch& time) {
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->code, 0);
    EXPECT_LT(time.elapsed(), Millis(5000));
    EXPECT_EQ(site_.edge.count("drained"), 0u);
    EXPECT_EQ(site_.edge.count("drain_timeout"), 0u);
    EXPECT_EQ(site_.edge.count("counts"), 1u);
    EXPECT_EQ(HttpConversation(*visitor_).read_answer().status, 0);
  }

  Site site_;
  std::optional<TlsClient> visitor_;
};

TEST_F(SignalTest, IntEndsItAtOnce) {
  const Stopwatch time;
  const auto exit = site_.edge.interrupt();
  expect_that_it_was_cut(exit, time);
  EXPECT_EQ(site_.edge.count("draining"), 0u);
}

TEST_F(SignalTest, TermWaitsAndASecondOneEndsItAtOnce) {
  EXPECT_FALSE(site_.edge.terminate(Millis(0)));
  ASSERT_TRUE(site_.edge.wait_for("draining"));
  EXPECT_TRUE(site_.edge.running());
  EXPECT_EQ(site_.edge.admin("GET", "/healthz").status, 200);
  EXPECT_EQ(site_.edge.admin("GET", "/readyz").status, 503);
  const Stopwatch time;
  const auto exit = site_.edge.terminate();
  expect_that_it_was_cut(exit, time);
}

TEST_F(SignalTest, IntEndsADrainAtOnce) {
  EXPECT_FALSE(site_.edge.terminate(Millis(0)));
  ASSERT_TRUE(site_.edge.wait_for("draining"));
  const Stopwatch time;
  const auto exit = site_.edge.interrupt();
  expect_that_it_was_cut(exit, time);
}

// The socket that a service manager listens on. While this lives, what we start is told its name.
class NotifySocket {
 public:
  // As in sd_notify(3): a path, or "@name" for the abstract name.
  explicit NotifySocket(const std::string& name)
      : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    CHECK(name.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    CHECK(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~NotifySocket() { ::unsetenv("NOTIFY_SOCKET"); }
  NotifySocket(const NotifySocket&) = delete;

  // The next message; "" if none comes.
  std::string message(Millis limit = Millis(10'000)) {
    pollfd wait{fd_.get(), POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(limit.count())) != 1) return "";
    char text[256];
    const ssize_t size = ::recv(fd_.get(), text, sizeof text, 0);
    return size > 0 ? std::string(text, static_cast<size_t>(size)) : "";
  }

 private:
  const Fd fd_;
};

Site::Options without_ca() {
  Site::Options options;
  options.pebble = false;
  return options;
}

class NotifyTest : public ::testing::TestWithParam<bool> {};

TEST_P(NotifyTest, SystemdHearsThatItIsReadyAndThatItStops) {
  const TempFolder folder;
  const std::string path = (folder / "notify").string();
  const bool abstract = GetParam();
  NotifySocket systemd(abstract ? "@latchkey" + path : path);
  Site site(without_ca());
  site.edge.settings.directory = "https://127.0.0.1:1/dir";
  ASSERT_TRUE(site.edge.start());
  EXPECT_THAT(systemd.message(), HasSubstr("READY=1"));
  EXPECT_TRUE(connect_to(site.https.number(), Millis(1000)));
  ASSERT_TRUE(site.edge.terminate());
  EXPECT_THAT(systemd.message(), HasSubstr("STOPPING=1"));
  EXPECT_EQ(systemd.message(Millis(0)), "");
}

TEST_P(NotifyTest, ReloadsUpgradesAndSignsOfLife) {
  const TempFolder folder;
  const std::string path = (folder / "notify").string();
  const bool abstract = GetParam();
  NotifySocket systemd(abstract ? "@latchkey" + path : path);
  Site site(without_ca());
  site.edge.settings.directory = "https://127.0.0.1:1/dir";
  site.edge.settings.env = {{"WATCHDOG_USEC", "200000"}};
  ASSERT_TRUE(site.edge.start());
  const auto hears = [&](const std::string& part) {
    for (int i = 0; i < 1000; ++i) {
      const std::string message = systemd.message();
      if (message.empty() || message.find(part) != std::string::npos) return !message.empty();
    }
    return false;
  };
  EXPECT_TRUE(hears("READY=1"));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(hears("WATCHDOG=1"));
  ASSERT_EQ(site.edge.reload(), "reloaded");
  EXPECT_TRUE(hears("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_TRUE(hears("READY=1"));
  ASSERT_TRUE(site.edge.upgrade()) << site.edge.log();
  EXPECT_TRUE(hears("MAINPID=" + std::to_string(site.edge.pid()) + "\nREADY=1\nWATCHDOG=1"));
  EXPECT_TRUE(hears("WATCHDOG=1"));  // the new one's: the old one is silent
  ASSERT_TRUE(site.edge.terminate());
  EXPECT_TRUE(hears("STOPPING=1"));
}

TEST_P(NotifyTest, ThatTheOldProcessIsTheMainOneAgain) {
  const TempFolder folder;
  const std::string path = (folder / "notify").string();
  const bool abstract = GetParam();
  NotifySocket systemd(abstract ? "@latchkey" + path : path);
  Site site(without_ca());
  site.edge.settings.directory = "https://127.0.0.1:1/dir";
  ASSERT_TRUE(site.edge.start());
  PlainClient stays(site.http.number());
  ASSERT_GT(HttpConversation(stays).get("a.test").status, 0);
  ASSERT_TRUE(site.edge.upgrade()) << site.edge.log();
  site.edge.kill_the_new_one();
  const std::string expected = "MAINPID=" + std::to_string(site.edge.pid()) + "\nREADY=1";
  std::string heard;
  do {
    heard = systemd.message();
  } while (!heard.empty() && heard != expected);
  EXPECT_EQ(heard, expected) << site.edge.log();
}

INSTANTIATE_TEST_SUITE_P(Sockets, NotifyTest, ::testing::Bool(), [](const auto& test) {
  return std::string(test.param ? "AbstractName" : "Path");
});

TEST(NotifySocketTest, ASocketThatIsNotThereHindersNothing) {
  const TempFolder folder;
  ::setenv("NOTIFY_SOCKET", (folder / "nobody").c_str(), 1);
  Site site(without_ca());
  site.edge.settings.directory = "https://127.0.0.1:1/dir";
  EXPECT_TRUE(site.edge.start());
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(site.edge.terminate());
}

}  // namespace
}  // namespace latchkey::test
