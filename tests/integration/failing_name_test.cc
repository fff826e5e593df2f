// A name whose validation always fails, and visitors who do not give up.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/support/ask_site.h"
#include "tests/support/client_hello.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"

namespace latchkey::test {
namespace {

// User and system time of the process, in ms.
double cpu_ms(Process& process) {
  std::ifstream in("/proc/" + std::to_string(process.pid()) + "/stat");
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) * 1000 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::string next_try(const Site& site, const std::string& name) {
  return at(site.edge.admin_json("GET", "/names/" + name), "failure.next_try").text;
}

TEST(FailingNameTest, IsTriedByTheScheduleWhateverItsVisitorsDoAndThroughRestarts) {
  const ReservedPort nobody;
  Site site(with_failing_challenges(nobody));
  ASSERT_TRUE(site.edge.start());
  const Stopwatch time;
  EXPECT_EQ(site.connect("bad.test").handshake().alert, alert::kInternalError);
  // Both challenge types, an order each; the next try is a minute away, give or take a fifth.
  EXPECT_EQ(site.pebble->failed_validations(), 2u);
  const std::string next = next_try(site, "bad.test");
  EXPECT_FALSE(next.empty());
  const auto failure = site.edge.admin_json("GET", "/names/bad.test");
  EXPECT_EQ(at(failure, "failure.count").number, 1);
  EXPECT_EQ(at(failure, "failure.class").text, "connection");
  EXPECT_FALSE(at(failure, "failure.message").text.empty());

  for (int start = 0; start <= 3; ++start) {
    const double before = cpu_ms(site.edge.process());
    constexpr int kVisits = 200;
    for (int i = 0; i < kVisits; ++i) {
      const auto answer = send_raw(site.https.number(), client_hello_for("bad.test"));
      ASSERT_EQ(answer.alert, alert::kInternalError);
    }
    const double each = (cpu_ms(site.edge.process()) - before) / kVisits;
    std::printf("%.2f ms CPU for each refused visitor\n", each);
    if (!kSanitized) {
      EXPECT_LT(each, 1.0);
    }
    ASSERT_LT(time.elapsed(), Millis(45'000)) << "too slow to tell anything";
    EXPECT_EQ(next_try(site, "bad.test"), next);
    EXPECT_EQ(site.pebble->failed_validations(), 2u);
    if (start == 1) {
      site.edge.kill_hard();
    } else {
      ASSERT_TRUE(site.edge.terminate());
    }
    ASSERT_TRUE(site.edge.start());
  }
  EXPECT_EQ(site.pebble->orders(), 2u);
  EXPECT_EQ(next_try(site, "bad.test"), next);
  // Others are not held up.
  EXPECT_TRUE(is_null(at(site.edge.admin_json("GET", "/names/good.test"), "failure")));
}

TEST(FailingNameTest, LaterTriesTakeOneOrderEach) {
  if (std::getenv("LATCHKEY_LONG") == nullptr) GTEST_SKIP() << "takes 75 s: tests/run --long";
  const ReservedPort nobody;
  Site site(with_failing_challenges(nobody));
  ASSERT_TRUE(site.edge.start());
  EXPECT_EQ(site.connect("bad.test").handshake().alert, alert::kInternalError);
  const auto failures = [&] { return site.pebble->failed_validations(); };
  EXPECT_EQ(failures(), 2u);
  EXPECT_TRUE(eventually(
      [&] {
        site.connect("bad.test");
        return failures() > 2;
      },
      Millis(90'000)));
  EXPECT_EQ(failures(), 3u);
  EXPECT_EQ(at(site.edge.admin_json("GET", "/names/bad.test"), "failure.count").number, 2);
}

}  // namespace
}  // namespace latchkey::test
