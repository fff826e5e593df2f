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
  std::string output{};  // its first 2 KiB of each
  std::string errors{};

  bool well() const { return status == 0 && !timed_out; }
  // "ended with status 3: <first line of its errors>"
  std::string describe() const;
};

// Runs a program to its end: in a session of its own, with no descriptor of ours. When its time is
// up it gets SIGTERM, with whatever it has started, and SIGKILL 2 s later. Dropping the task sends
// SIGTERM at once, and nobody waits. Errors: it could not be started (named, with the remedy). One
// loop's thread.
Task<ProgramEnd> run_program(uv_loop_t& loop, Clock& clock, ProgramCall call);

}  // namespace latchkey
