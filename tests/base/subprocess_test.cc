#include "base/subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include "tests/support/eventually.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;
using test::read_text;
using ::testing::HasSubstr;

// On a real loop, but with a time of its own. What hooks rely on beside is in hook_program_test.
class SubprocessTest : public testing::Test {
 protected:
  // A shell script that has "$out" to write to.
  ProgramCall script(const std::string& text) {
    const auto file = folder / "program";
    test::write_text(file, "#!/bin/sh\nout=" + folder.path().string() + "\n" + text + "\n");
    ::chmod(file.c_str(), 0700);
    ProgramCall call;
    call.path = file.string();
    return call;
  }
  Result<ProgramEnd> run(ProgramCall call) {
    return loop.finish(run_program(loop.uv(), clock, std::move(call)));
  }
  ProgramEnd end_of(ProgramCall call) {
    auto end = run(std::move(call));
    EXPECT_TRUE(end) << (end ? "" : end.error().message);
    return end ? *end : ProgramEnd{};
  }
  std::string refusal(ProgramCall call) {
    const auto end = run(std::move(call));
    EXPECT_FALSE(end);
    return end ? "" : end.error().message;
  }
  pid_t pid_in(const char* file) {
    loop.run_until([&] { return read_text(folder / file).ends_with('\n'); });
    return std::stoi(read_text(folder / file));
  }
  static bool runs(pid_t pid) {
    const std::string status = read_text("/proc/" + std::to_string(pid) + "/stat");
    return !status.empty() && status.find(") Z") == std::string::npos;
  }
  static bool is_there(pid_t pid) {  // also as a zombie
    return !read_text("/proc/" + std::to_string(pid) + "/stat").empty();
  }

  test::TempFolder folder;
  test::TestLoop loop;
  ManualClock clock;
};

TEST_F(SubprocessTest, ItGetsArgumentsEnvironmentAndInput) {
  ProgramCall call = script("echo \"$#:$1:$2:$KEY\"; cat; env | wc -l >&2");
  call.arguments = {"one two", ""};
  call.environment.emplace_back("KEY", "a value");
  call.input = "typed";
  const ProgramEnd end = end_of(std::move(call));
  EXPECT_TRUE(end.well());
  EXPECT_EQ(end.output, "2:one two::a value\ntyped");
  EXPECT_LE(std::stoi(end.errors), 4);  // PATH, KEY; the shell's own PWD, and _
}

TEST_F(SubprocessTest, AMebibyteOfInputIsNoTrouble) {
  ProgramCall call = script("wc -c");
  call.input = std::string(1 << 20, 'x');
  EXPECT_EQ(end_of(std::move(call)).output, "1048576");
}

TEST_F(SubprocessTest, AFailureIsDescribedWithTheFirstLineOfItsErrors) {
  const ProgramEnd end = end_of(script("echo 'no such zone' >&2; echo more >&2; exit 3"));
  EXPECT_FALSE(end.well());
  EXPECT_EQ(end.status, 3);
  EXPECT_EQ(end.how(), "ended with code 3");
  EXPECT_EQ(end.describe(), "ended with code 3: no such zone");
  EXPECT_EQ(end_of(script("exit 1")).describe(), "ended with code 1");
}

TEST_F(SubprocessTest, ADeathIsNoGoodEnd) {
  const ProgramEnd end = end_of(script("kill -9 $$"));
  EXPECT_FALSE(end.well());
  EXPECT_EQ(end.signal, 9);
  EXPECT_EQ(end.describe(), "was ended by signal 9");
}

TEST_F(SubprocessTest, ATimeLimitIsAFailureAlsoWhenItEndsWell) {
  ProgramCall call = script("trap 'exit 0' TERM; echo > $out/up; while :; do sleep 0.01; done");
  call.timeout = 5s;
  Task<ProgramEnd> task = run_program(loop.uv(), clock, std::move(call));
  task.start();
  ASSERT_TRUE(loop.run_until([&] { return !read_text(folder / "up").empty(); }));
  clock.advance(5s);
  ASSERT_TRUE(loop.run_until([&] { return task.done(); }));
  ASSERT_TRUE(task.outcome());
  EXPECT_FALSE(task.outcome()->well());
  EXPECT_EQ(task.outcome()->how(), "took over 5000 ms and ended with code 0");
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(SubprocessTest, WhatCannotBeStartedIsAnErrorWithTheRemedy) {
  ProgramCall call;
  call.path = (folder / "missing").string();
  EXPECT_EQ(refusal(call), call.path + " cannot be run: No such file or directory");
  call = script("exit 0");
  ::chmod(call.path.c_str(), 0600);
  EXPECT_THAT(refusal(call), HasSubstr("chmod +x"));
  test::write_text(call.path, "#!/no/such/shell\n");
  ::chmod(call.path.c_str(), 0700);
  EXPECT_THAT(refusal(call), HasSubstr("interpreter"));
}

TEST_F(SubprocessTest, DroppingItEndsTheProgramAndTheNextStartReapsIt) {
  Task<ProgramEnd> task =
      run_program(loop.uv(), clock, script("echo $$ > $out/pid; exec sleep 1000"));
  task.start();
  const pid_t pid = pid_in("pid");
  task = {};
  EXPECT_TRUE(test::eventually([&] { return !runs(pid); }));
  EXPECT_EQ(clock.pending(), 0u);
  EXPECT_TRUE(end_of(script("exit 0")).well());
  EXPECT_FALSE(is_there(pid));
}

TEST_F(SubprocessTest, WhatIsDroppedAndDeafIsKilledByALaterStart) {
  Task<ProgramEnd> task = run_program(
      loop.uv(), clock, script("trap '' TERM; echo $$ > $out/pid; while :; do sleep 0.01; done"));
  task.start();
  const pid_t pid = pid_in("pid");
  task = {};
  EXPECT_TRUE(test::eventually([&] {
    end_of(script("exit 0"));
    return !is_there(pid);
  }));
}

TEST_F(SubprocessTest, DroppingItBeforeItStartsStartsNothing) {
  { Task<ProgramEnd> task = run_program(loop.uv(), clock, script("echo > $out/started")); }
  end_of(script("exit 0"));
  EXPECT_EQ(read_text(folder / "started"), "");
}

TEST_F(SubprocessTest, ManyRunAtOnce) {
  std::vector<Task<ProgramEnd>> tasks;
  tasks.reserve(20);
  for (int i = 0; i < 20; ++i) {
    ProgramCall call;
    call.path = "/bin/echo";
    call.arguments.push_back(std::to_string(i));
    tasks.push_back(run_program(loop.uv(), clock, std::move(call)));
    tasks.back().start();
  }
  for (int i = 0; i < 20; ++i) {
    Task<ProgramEnd>& one = tasks[static_cast<size_t>(i)];
    ASSERT_TRUE(loop.run_until([&] { return one.done(); }));
    EXPECT_EQ(one.outcome()->output, std::to_string(i));
  }
}

}  // namespace
}  // namespace latchkey
