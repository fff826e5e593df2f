#pragma once
#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "tests/support/fd.h"

namespace latchkey::test {

// Bytes that follow from their place, so that bodies of any size need not be kept.
class Pattern {
 public:
  static constexpr size_t kPeriod = 65'521;  // a prime: no buffer's size divides it

  explicit Pattern(uint64_t at = 0) : at_(at) {}
  // The next bytes, at most so many, at least one.
  std::string_view next(size_t at_most);
  // False: these are not the next.
  bool check(std::string_view bytes);
  uint64_t at() const { return at_; }

 private:
  uint64_t at_;
};

// An upstream on 127.0.0.1 for bodies, a thread for each connection. GET /N is answered by N bytes
// of the pattern; a POST of the pattern by how many bytes came, or by "wrong at N".
class BodyUpstream {
 public:
  BodyUpstream();
  ~BodyUpstream();
  BodyUpstream(const BodyUpstream&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // While it holds, it reads nothing of bodies.
  void hold(bool on) { hold_ = on; }
  uint64_t sent() const { return sent_; }
  uint64_t received() const { return received_; }  // of bodies

 private:
  void accept_all();
  void serve(int fd);
  bool send_body(int fd, uint64_t size);

  Fd listener_;
  uint16_t port_ = 0;
  std::atomic<bool> hold_ = false, stopping_ = false;
  std::atomic<uint64_t> sent_ = 0, received_ = 0;
  std::mutex mutex_;
  std::list<Fd> open_;              // guarded by mutex_
  std::list<std::thread> threads_;  // guarded by mutex_
  std::thread acceptor_;
};

}  // namespace latchkey::test
