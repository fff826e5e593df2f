#pragma once
#include <signal.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {

// The floor or the origin, from when it says that it listens.
class BenchServer {
 public:
  explicit BenchServer(std::vector<std::string> args)
      : process_({.args = std::move(args), .env = {}, .output = folder_ / "log", .directory = {}}) {
    const auto line = process_.wait_for_line("listening on ", Millis(5000));
    if (!line) return;
    const std::string text = line->substr(line->rfind(':') + 1);
    std::from_chars(text.data(), text.data() + text.size(), port);
  }

  // What it ends with after SIGTERM; -1: it does not.
  int stop() {
    process_.signal(SIGTERM);
    const auto ended = process_.wait(Millis(5000));
    return ended ? ended->code : -1;
  }
  pid_t pid() const { return process_.pid(); }

  uint16_t port = 0;  // 0: it did not start

 private:
  TempFolder folder_;
  Process process_;
};

}  // namespace latchkey::test
