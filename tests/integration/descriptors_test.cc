// Out of descriptors: no spin, and whoever is known is served as soon as there is one.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <list>
#include <sstream>
#include <thread>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

constexpr double kMostOfACore = 0.6;

Site::Options without_pebble() {
  Site::Options options;
  options.pebble = false;
  return options;
}

class DescriptorsTest : public ::testing::Test {
 protected:
  DescriptorsTest() : site_(without_pebble()) { site_.edge.settings.directory = ca_.directory(); }

  // What the process has used of a core, in a while.
  double load(Millis during) {
    const double before = cpu_seconds();
    const Stopwatch time;
    std::this_thread::sleep_for(during);  // what is measured
    return (cpu_seconds() - before) * 1000 / static_cast<double>(time.elapsed().count());
  }
  double cpu_seconds() const {
    std::ifstream in("/proc/" + std::to_string(site_.edge.pid()) + "/stat");
    std::string line;
    std::getline(in, line);
    std::istringstream fields(line.substr(line.rfind(')') + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0, system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  size_t open_descriptors() const {
    const auto folder = "/proc/" + std::to_string(site_.edge.pid()) + "/fd";
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
  }
  // Clients that say nothing; most of them wait to be accepted.
  void fill(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      silent_.push_back(std::make_unique<PlainClient>(site_.https.number()));
    }
  }
  // How long a visit takes from the moment at which the silent ones leave.
  void expect_that_a_cached_name_is_served_when_they_leave() {
    silent_.clear();
    const Stopwatch time;
    TlsClient client(site_.tls("cached.test"));
    EXPECT_EQ(HttpConversation(client).get("cached.test").status, 200);
    std::printf("a cached name was served %lld ms after there were descriptors\n",
                static_cast<long long>(time.elapsed().count()));
    EXPECT_LT(time.elapsed(), Millis(5000));
  }

  ScriptedCa ca_;
  Site site_;
  std::list<std::unique_ptr<PlainClient>> silent_;
};

// The bound that follows from the limit: what is kept for the CA and the store is there.
TEST_F(DescriptorsTest, AnOrderComesToItsEndWhileClientsHoldAllThatIsTheirs) {
  site_.edge.settings.descriptors = 600;
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(site_.edge.logged("few_descriptors"));
  ASSERT_TRUE(site_.connect("cached.test").handshake().done);
  fill(600);
  ASSERT_TRUE(eventually([&] { return open_descriptors() > 180; }));
  const HttpAnswer wanted = site_.edge.admin("POST", "/names", "{\"name\": \"new.test\"}");
  EXPECT_EQ(wanted.status, 200) << wanted.body;
  EXPECT_TRUE(eventually([&] { return site_.edge.count("certificate_obtained", "new.test") > 0; }));
  const double used = load(Millis(2000));
  std::printf("%zu of 600 descriptors open, %.1f %% of a core\n", open_descriptors(), used * 100);
  EXPECT_LT(used, kMostOfACore);
  expect_that_a_cached_name_is_served_when_they_leave();
}

// The limit is taken away beneath it: accept() itself fails.
TEST_F(DescriptorsTest, NoneAreLeftAtAll) {
  if (kSanitized) {
    GTEST_SKIP()
        << "UBSan opens a pipe to see whether memory can be read, and says so when it cannot";
  }
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(site_.connect("cached.test").handshake().done);
  rlimit few{};
  ASSERT_EQ(::prlimit(site_.edge.pid(), RLIMIT_NOFILE, nullptr, &few), 0);
  few.rlim_cur = open_descriptors() + 40;
  ASSERT_EQ(::prlimit(site_.edge.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  fill(300);
  ASSERT_TRUE(site_.edge.wait_for("accept_paused"));
  const double used = load(Millis(2000));
  std::printf("out of descriptors: %.1f %% of a core, %zu lines of accept_paused\n", used * 100,
              site_.edge.count("accept_paused"));
  EXPECT_LT(used, kMostOfACore);
  EXPECT_LE(site_.edge.count("accept_paused"), 6u);  // two workers
  expect_that_a_cached_name_is_served_when_they_leave();
}

}  // namespace
}  // namespace latchkey::test
