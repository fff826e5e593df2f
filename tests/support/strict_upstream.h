#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/fd.h"
#include "tests/support/strict_http1.h"

namespace latchkey::test {

// An upstream on 127.0.0.1 and a thread of its own that reads as StrictReader does, answers each
// request by "ok" and remembers it. What it does not take it remembers as an error, and closes.
class StrictUpstream {
 public:
  StrictUpstream();
  ~StrictUpstream();
  StrictUpstream(const StrictUpstream&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // Since the last call.
  std::vector<StrictRequest> take_requests();
  std::vector<std::string> take_errors();
  size_t answered() const { return answered_; }  // ever

 private:
  struct Connection {
    Fd fd;
    StrictReader reader;
  };
  void run();
  bool serve(Connection& connection);

  Fd listener_, wake_;
  uint16_t port_ = 0;
  std::mutex mutex_;
  std::vector<StrictRequest> requests_;  // guarded by mutex_
  std::vector<std::string> errors_;      // guarded by mutex_
  std::atomic<size_t> answered_ = 0;
  std::thread thread_;  // the last: it uses all of the above
};

}  // namespace latchkey::test
