#include "edge/dns_hook.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/fd.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using test::read_text;
using ::testing::HasSubstr;

class DnsHookTest : public testing::Test {
 protected:
  DnsHookTest() : log_file(::open((folder / "log").c_str(), O_RDWR | O_CREAT | O_APPEND, 0600)) {
    log.set_rate_limit(false);
  }
  void program(const std::string& script) {
    const auto file = folder / "hook";
    test::write_text(file, "#!/bin/sh\nout=" + folder.path().string() + "\n" + script + "\n");
    ::chmod(file.c_str(), 0700);
    hook = std::make_unique<DnsHook>(DnsHook::Options{file.string(), 120s}, loop.uv(), clock, log);
  }
  std::string why(Task<> task) {
    const Result<> result = loop.finish(std::move(task));
    return result ? "" : result.error().message;
  }
  // Turnstiles open at the next turn.
  bool done(Task<>& task) {
    return loop.run_until([&] {
      clock.advance(0ms);
      return task.done();
    });
  }

  test::TempFolder folder;
  test::Fd log_file;
  Log log{log_file.get(), Log::Format::kText, LogLevel::kDebug};
  test::TestLoop loop;
  ManualClock clock;
  std::unique_ptr<DnsHook> hook;
};

TEST_F(DnsHookTest, TheProgramIsCalledAsLegoCallsIt) {
  program("echo \"$#|$1|$2|$3\" >> $out/calls");
  EXPECT_EQ(why(hook->publish("_acme-challenge.a.test", "v-1_x")), "");
  EXPECT_EQ(why(hook->withdraw("_acme-challenge.a.test", "v-1_x")), "");
  EXPECT_EQ(read_text(folder / "calls"),
            "3|present|_acme-challenge.a.test.|v-1_x\n3|cleanup|_acme-challenge.a.test.|v-1_x\n");
}

TEST_F(DnsHookTest, AFailureSaysWhatTheProgramSaid) {
  program("echo 'the zone is locked' >&2; echo 'more of it' >&2; exit 4");
  const std::string error = why(hook->publish("_acme-challenge.a.test", "v"));
  EXPECT_THAT(error, HasSubstr((folder / "hook").string() + " present _acme-challenge.a.test"));
  EXPECT_THAT(error, HasSubstr("ended with code 4: the zone is locked"));
  EXPECT_THAT(read_text(folder / "log"), HasSubstr("more of it"));
}

TEST_F(DnsHookTest, AProgramThatIsNotThereIsAnErrorWithItsName) {
  hook = std::make_unique<DnsHook>(DnsHook::Options{(folder / "none").string(), 1s}, loop.uv(),
                                   clock, log);
  EXPECT_THAT(why(hook->withdraw("_acme-challenge.a.test", "v")), HasSubstr("none cannot be run"));
}

TEST_F(DnsHookTest, OneCallAtATimeInTheirOrder) {
  program(
      "echo \"begin $3\" >> $out/calls; while [ ! -e $out/go$3 ]; do sleep 0.01; done; "
      "echo \"end $3\" >> $out/calls");
  Task<> first = hook->publish("a.test", "1");
  Task<> second = hook->publish("b.test", "2");
  Task<> third = hook->withdraw("c.test", "3");
  first.start();
  second.start();
  third.start();
  test::write_text(folder / "go2", "");
  test::write_text(folder / "go3", "");
  ASSERT_TRUE(loop.run_until([&] { return !read_text(folder / "calls").empty(); }));
  EXPECT_EQ(read_text(folder / "calls"), "begin 1\n");
  test::write_text(folder / "go1", "");
  ASSERT_TRUE(done(third));
  EXPECT_TRUE(second.done());
  EXPECT_EQ(read_text(folder / "calls"), "begin 1\nend 1\nbegin 2\nend 2\nbegin 3\nend 3\n");
}

TEST_F(DnsHookTest, AProgramThatHangsIsEndedAndTheNextCallGoesOn) {
  program("[ $3 = 2 ] || { echo > $out/up; exec sleep 1000; }");
  Task<> first = hook->publish("a.test", "1");
  Task<> second = hook->publish("a.test", "2");
  first.start();
  second.start();
  ASSERT_TRUE(loop.run_until([&] { return !read_text(folder / "up").empty(); }));
  clock.advance(120s);
  ASSERT_TRUE(done(second));
  EXPECT_TRUE(second.outcome());
  ASSERT_FALSE(first.outcome());
  EXPECT_EQ(first.outcome().error().code, ErrorCode::kTimeout);
  EXPECT_THAT(first.outcome().error().message, HasSubstr("took over 120000 ms"));
}

TEST_F(DnsHookTest, ACallMayBeDroppedAtEachWait) {
  program("[ $3 = 3 ] || { echo > $out/up; exec sleep 1000; }");
  Task<> running = hook->publish("a.test", "1");
  Task<> waiting = hook->publish("a.test", "2");
  Task<> last = hook->publish("a.test", "3");
  running.start();
  waiting.start();
  last.start();
  ASSERT_TRUE(loop.run_until([&] { return !read_text(folder / "up").empty(); }));
  waiting = {};
  running = {};
  ASSERT_TRUE(done(last));
  EXPECT_TRUE(last.outcome());
  EXPECT_EQ(clock.pending(), 0u);
}

}  // namespace
}  // namespace latchkey::edge
