#include "edge/hook_program.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "base/json.h"
#include "tests/support/fd.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using test::read_text;
using ::testing::HasSubstr;
using ::testing::Not;

// On a real loop, but with a time of its own.
class HookProgramTest : public testing::Test {
 protected:
  HookProgramTest() {
    // Made here, inherited by whoever does not take care.
    log_file = test::Fd(::open((folder / "log").c_str(), O_RDWR | O_CREAT | O_APPEND, 0600));
    log = std::make_unique<Log>(log_file.get(), Log::Format::kText, LogLevel::kDebug);
    log->set_rate_limit(false);
  }

  // A shell script that has "$out" to write to.
  void program(const std::string& script) {
    const auto file = folder / "hook";
    test::write_text(file, "#!/bin/sh\nout=" + folder.path().string() + "\n" + script + "\n");
    ::chmod(file.c_str(), 0700);
    config.program = file.string();
    make();
  }
  void make() { hook = std::make_unique<HookProgram>(config, loop.uv(), clock, *log); }
  void tell(std::string_view text = "x", std::string_view kind = event_kind::kObtained) {
    Event event;
    event.at = WallTime(std::chrono::seconds(1'700'000'000));
    event.kind = kind;
    event.name = "a.test";
    event.text = text;
    hook->tell(event);
    clock.advance(0ms);
  }
  bool ended() {
    return loop.run_until([&] {
      clock.advance(0ms);
      return hook->running() + hook->queued() == 0;
    });
  }
  bool written(std::string_view file, std::string_view part = "") {
    return loop.run_until([&] {
      const std::string text = read_text(folder / file);
      return !text.empty() && text.find(part) != std::string::npos;
    });
  }
  std::string logged() { return read_text(folder / "log"); }

  test::TempFolder folder;
  test::Fd log_file;
  std::unique_ptr<Log> log;
  test::TestLoop loop;
  ManualClock clock;
  HookConfig config;
  std::unique_ptr<HookProgram> hook;
};

TEST_F(HookProgramTest, TheProgramIsGivenTheEvent) {
  program("cat > $out/input; env > $out/env; echo $# > $out/args");
  tell("it \"works\"");
  ASSERT_TRUE(ended());
  const std::string input = read_text(folder / "input");
  EXPECT_TRUE(input.ends_with("}\n"));
  const auto event = parse_json(input);
  ASSERT_TRUE(event) << input;
  EXPECT_EQ(event->text_of("kind"), "certificate_obtained");
  EXPECT_EQ(event->text_of("text"), "it \"works\"");
  EXPECT_EQ(event->text_of("at"), "2023-11-14T22:13:20Z");
  EXPECT_EQ(read_text(folder / "args"), "0\n");
  const std::string env = read_text(folder / "env");
  EXPECT_THAT(env, HasSubstr("LATCHKEY_EVENT=certificate_obtained\n"));
  EXPECT_THAT(env, HasSubstr("LATCHKEY_NAME=a.test\n"));
  EXPECT_THAT(env, HasSubstr("PATH=/"));
  EXPECT_THAT(env, Not(HasSubstr("HOME=")));
  EXPECT_EQ(hook->counts().started.value(), 1u);
  EXPECT_EQ(hook->counts().failed.value(), 0u);
}

TEST_F(HookProgramTest, TheStandardStreamsCanBeOpenedByName) {
  program("cat /dev/stdin > $out/input; echo bad > /dev/stderr; echo good > /dev/stdout");
  tell();
  ASSERT_TRUE(ended());
  EXPECT_THAT(read_text(folder / "input"), HasSubstr("\"a.test\""));
  EXPECT_THAT(logged(), HasSubstr("debug hook_output: good"));
  EXPECT_THAT(logged(), HasSubstr("warning hook_errors: bad"));
}

TEST_F(HookProgramTest, NoDescriptorOfOursIsInherited) {
  const test::Fd listener(::socket(AF_INET, SOCK_STREAM, 0));  // no SOCK_CLOEXEC
  struct stat socket {};
  ASSERT_EQ(::fstat(listener.get(), &socket), 0);
  test::write_text(folder / "store", "secret");
  const test::Fd store(::open((folder / "store").c_str(), O_RDWR));
  ASSERT_EQ(::fcntl(store.get(), F_GETFD), 0);
  program("ls -l /proc/$$/fd > $out/fds");
  tell();
  ASSERT_TRUE(ended());
  const std::string fds = read_text(folder / "fds");
  EXPECT_THAT(fds, HasSubstr(" 0 -> "));
  EXPECT_THAT(fds, HasSubstr("/hook"));  // the shell reads its script
  EXPECT_THAT(fds, Not(HasSubstr("socket:[" + std::to_string(socket.st_ino) + "]")));
  EXPECT_THAT(fds, Not(HasSubstr("socket:")));
  EXPECT_THAT(fds, Not(HasSubstr("/store")));
  EXPECT_THAT(fds, Not(HasSubstr("/log")));
  EXPECT_THAT(fds, Not(HasSubstr("anon_inode")));
}

TEST_F(HookProgramTest, SignalsAreAsAProgramExpectsThem) {
  ::signal(SIGPIPE, SIG_IGN);  // as the server has it
  program("yes | head -n 1 > $out/first; grep -E 'Sig(Ign|Blk)' /proc/self/status > $out/signals");
  tell();
  ASSERT_TRUE(ended());
  const std::string signals = read_text(folder / "signals");
  EXPECT_THAT(signals, HasSubstr("SigIgn:\t0000000000000000"));
  EXPECT_THAT(signals, HasSubstr("SigBlk:\t0000000000000000"));
}

TEST_F(HookProgramTest, AProgramThatDoesNotReadIsFine) {
  program("exit 0");
  tell(std::string(2000, 'x'));
  ASSERT_TRUE(ended());
  EXPECT_EQ(hook->counts().failed.value(), 0u);
}

TEST_F(HookProgramTest, AFailureIsReportedWithItsCodeAndNotTriedAgain) {
  program("echo x >> $out/runs; echo 'no such host' >&2; exit 3");
  tell();
  ASSERT_TRUE(ended());
  clock.advance(1h);
  EXPECT_EQ(read_text(folder / "runs"), "x\n");
  EXPECT_EQ(hook->counts().failed.value(), 1u);
  EXPECT_THAT(logged(), HasSubstr("warning hook_failed: " + config.program + " ended with code 3"));
  EXPECT_THAT(logged(), HasSubstr("hook_errors: no such host"));
}

TEST_F(HookProgramTest, ADeathIsReportedWithItsSignal) {
  program("kill -9 $$");
  tell();
  ASSERT_TRUE(ended());
  EXPECT_THAT(logged(), HasSubstr("was ended by signal 9"));
}

TEST_F(HookProgramTest, AProgramThatIsNotThereIsReported) {
  config.program = (folder / "missing").string();
  make();
  tell();
  ASSERT_TRUE(ended());
  EXPECT_EQ(hook->counts().failed.value(), 1u);
  EXPECT_EQ(hook->counts().started.value(), 0u);
  EXPECT_THAT(logged(), HasSubstr("could not be started: "));
  EXPECT_THAT(logged(), HasSubstr("No such file"));
}

TEST_F(HookProgramTest, MuchOutputIsReadAndMostlyForgotten) {
  program("head -c 1000000 /dev/zero | tr '\\0' a; head -c 1000000 /dev/zero | tr '\\0' b >&2");
  tell();
  ASSERT_TRUE(ended());
  const std::string text = logged();
  EXPECT_THAT(text, HasSubstr("hook_output: aaaa"));
  EXPECT_THAT(text, HasSubstr("hook_errors: bbbb"));
  EXPECT_LT(text.size(), 5000u);
}

TEST_F(HookProgramTest, WhatItLeavesRunningIsNotWaitedFor) {
  program("echo bye; sleep 1000 & echo $! > $out/pid");
  tell();
  ASSERT_TRUE(ended());
  EXPECT_THAT(logged(), HasSubstr("hook_output: bye"));
  const pid_t left = std::stoi(read_text(folder / "pid"));
  EXPECT_EQ(::kill(left, SIGKILL), 0);
}

TEST_F(HookProgramTest, ATimeLimitEndsTheProgramAndWhatItStarted) {
  config.timeout = 30s;
  program("sleep 1000 & echo $! > $out/pid; wait");
  tell();
  ASSERT_TRUE(written("pid", "\n"));
  const pid_t child = std::stoi(read_text(folder / "pid"));
  clock.advance(29s);
  EXPECT_EQ(::kill(child, 0), 0);
  clock.advance(1s);
  ASSERT_TRUE(ended());
  EXPECT_THAT(logged(), HasSubstr("took over 30000 ms and was ended by signal 15"));
  EXPECT_TRUE(loop.run_until([&] {  // gone, or nobody has reaped it yet
    const std::string status = read_text("/proc/" + std::to_string(child) + "/stat");
    return status.empty() || status.find(") Z") != std::string::npos;
  }));
}

TEST_F(HookProgramTest, AProgramThatIsDeafIsKilledTwoSecondsLater) {
  program("trap '' TERM; echo > $out/deaf; while :; do sleep 0.01; done");
  tell();
  ASSERT_TRUE(loop.run_until([&] { return !read_text(folder / "deaf").empty(); }));
  clock.advance(config.timeout);
  for (int i = 0; i < 20; ++i) loop.turn();
  EXPECT_EQ(hook->running(), 1u);
  clock.advance(2s);
  ASSERT_TRUE(ended());
  EXPECT_THAT(logged(), HasSubstr("was ended by signal 9"));
}

TEST_F(HookProgramTest, FourRunAtOnce) {
  program("echo x >> $out/started; while [ ! -e $out/go ]; do sleep 0.01; done");
  for (int i = 0; i < 6; ++i) tell();
  EXPECT_EQ(hook->running(), 4u);
  EXPECT_EQ(hook->queued(), 2u);
  ASSERT_TRUE(written("started", "x\nx\nx\nx\n"));
  EXPECT_EQ(read_text(folder / "started").size(), 8u);
  test::write_text(folder / "go", "go");
  ASSERT_TRUE(ended());
  EXPECT_EQ(read_text(folder / "started").size(), 12u);
}

TEST_F(HookProgramTest, TheQueueIsBoundedAndTheOldestGo) {
  program("exit 0");
  Event event;
  event.kind = event_kind::kObtained;
  for (int i = 0; i < 1010; ++i) hook->tell(event);
  EXPECT_EQ(hook->queued(), 1000u);
  EXPECT_EQ(hook->counts().dropped.value(), 10u);
  EXPECT_EQ(hook->running(), 0u);  // never from within tell()
}

TEST_F(HookProgramTest, OnlyTheKindsThatWereAskedForRunIt) {
  config.kinds = {"certificate_revoked"};
  program("echo $LATCHKEY_EVENT >> $out/kinds");
  tell("x", event_kind::kObtained);
  tell("x", event_kind::kRevoked);
  ASSERT_TRUE(ended());
  EXPECT_EQ(read_text(folder / "kinds"), "certificate_revoked\n");
}

TEST_F(HookProgramTest, ItMayGoWhileAProgramRuns) {
  program(
      "exec 2> /dev/null; trap 'echo ended > $out/end; exit' TERM; echo > $out/started; while :; "
      "do sleep 0.01; done");
  tell();
  ASSERT_TRUE(loop.run_until([&] { return !read_text(folder / "started").empty(); }));
  hook.reset();
  EXPECT_TRUE(written("end"));
  clock.advance(1h);
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(HookProgramTest, CheckSaysWhyAProgramCannotBeRun) {
  program("exit 0");
  EXPECT_TRUE(check_program(config.program));
  const auto why = [](const std::string& path) {
    const Result<> checked = check_program(path);
    return checked ? std::string() : checked.error().message;
  };
  EXPECT_THAT(why((folder / "missing").string()), HasSubstr("No such file"));
  EXPECT_THAT(why(folder.path().string()), HasSubstr("is not a file"));
  EXPECT_THAT(why("sh"), HasSubstr("with its folder"));
  ::chmod(config.program.c_str(), 0600);
  EXPECT_THAT(why(config.program), HasSubstr("chmod +x"));
}

}  // namespace
}  // namespace latchkey::edge
