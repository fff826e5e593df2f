#pragma once
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace latchkey::test {

// A program that runs while this lives. It dies with us, even when we are killed; whatever is left
// of it when this goes is killed. Make it on the test's main thread.
class Process {
 public:
  struct Options {
    std::vector<std::string> args;  // the program first
    std::vector<std::pair<std::string, std::string>> env;
    std::filesystem::path output;  // stdout and stderr are appended to it
    std::filesystem::path directory;
    // Listening sockets, as systemd hands them over: LISTEN_FDS and so on.
    std::vector<int> listen_fds{};
    std::string listen_names{};
  };
  struct Exit {
    int code = -1;   // or
    int signal = 0;  // what killed it
  };

  explicit Process(Options options);
  // A program that another one of ours has started: it becomes ours when that one ends. Its output
  // is where that one's is.
  Process(pid_t pid, const Process& starter);
  ~Process();
  Process(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number);
  // Null if it still runs after `limit`.
  std::optional<Exit> wait(Millis limit);
  void kill_hard();  // SIGKILL, and waits

  // What it wrote since it was started.
  std::string output() const;
  std::vector<std::string> lines() const;
  using Match = std::function<bool(std::string_view line)>;
  // The first line that matches, once there is one; null when the program ends without it, or
  // when the limit has passed.
  std::optional<std::string> wait_for_line(const Match& match, Millis limit);
  std::optional<std::string> wait_for_line(std::string_view part, Millis limit);

  size_t resident_bytes() const;       // now
  size_t peak_resident_bytes() const;  // since its start

 private:
  size_t status_bytes(std::string_view key) const;

  pid_t pid_ = -1;
  std::filesystem::path output_;
  size_t output_start_ = 0;
  std::optional<Exit> exit_;
};

struct ProgramEnded {
  int code = -1;  // -1: it had to be killed, or was
  std::string output;
};
// Runs a program to its end.
ProgramEnded run_to_end(Process::Options options, Millis limit = Millis(60'000));

}  // namespace latchkey::test
