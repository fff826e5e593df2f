#pragma once
#include <uv.h>

#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"

namespace latchkey {

// That the program can be run: a regular file, named with its folder, that we may execute. The
// error names it and the remedy.
Result<> check_program(const std::string& path);

// No program that is started from here on has any descriptor that we have now, also those that a
// library opened without a thought for that.
Result<> close_all_on_exec();

struct ProgramCall {
  std::string path;
  std::vector<std::string> arguments{};
  std::vector<std::pair<std::string, std::string>> environment{};  // beside PATH; nothing else
  std::string input{};                                             // on its standard input
  Millis timeout{30'000};
};

struct ProgramEnd {
  int status = -1;  // of exit(); -1: a signal
  int signal = 0;
  bool timed_out = false;
  Millis limit{0};       // that it had
  std::string output{};  // its first 2 KiB of each, without the last line's end
  std::string errors{};

  bool well() const { return status == 0 && !timed_out; }
  // "ended with code 3", "was ended by signal 9", "took over 30000 ms and was ended by signal 15"
  std::string how() const;
  // The same, and the first line of its errors: "ended with code 3: no such zone".
  std::string describe() const;
};

// Runs a program to its end: in a session of its own, with no descriptor of ours. When its time is
// up it gets SIGTERM, with whatever it has started, and SIGKILL 2 s later. Dropping the task sends
// SIGTERM at once, and nobody waits. Errors: it could not be started (named, with the remedy). One
// loop's thread.
Task<ProgramEnd> run_program(uv_loop_t& loop, Clock& clock, ProgramCall call);

}  // namespace latchkey
