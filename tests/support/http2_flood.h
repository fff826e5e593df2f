#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/tls_client.h"

namespace latchkey::test {

// What a hostile client of HTTP/2 says: connection upon connection, each with all of `frames`, as
// computed once.
struct Abuse {
  std::string name;
  std::string frames;  // behind the greeting
  size_t units = 0;    // that are in them: resets, pings
  bool ends = true;    // the server ends the connection; else it answers each unit
};

namespace abuse {
Abuse resets(size_t units);         // CVE-2023-44487
Abuse made_resets(size_t units);    // CVE-2025-8671: the server is made to reset
Abuse continuations(size_t units);  // CVE-2024-27316
Abuse pings(size_t units);
Abuse settings(size_t units);
Abuse empty_data(size_t units);
Abuse tiny_windows(size_t units);
Abuse unknown_frames(size_t units);
Abuse header_bombs(size_t units);  // small heads that unpack to large ones
std::vector<Abuse> all(size_t units);
}  // namespace abuse

// Clients that go on with it until this ends, or have sent `at_most` units, from so many threads.
class Http2Flood {
 public:
  // `rate`: connections a second of all of them; 0: as fast as they can.
  Http2Flood(const TlsOptions& options, Abuse abuse, size_t threads, uint64_t at_most = UINT64_MAX,
             double rate = 0);
  ~Http2Flood();
  Http2Flood(const Http2Flood&) = delete;

  void wait();  // until `at_most` was sent
  uint64_t units() const { return units_; }
  size_t connections() const { return connections_; }
  size_t ended() const { return ended_; }  // by the server, as they should be

 private:
  void run(TlsOptions options, size_t index, size_t threads);

  const Abuse abuse_;
  const uint64_t at_most_;
  const double rate_;
  std::atomic<uint64_t> units_ = 0;
  std::atomic<size_t> connections_ = 0, ended_ = 0;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> threads_;
};

// A client that asks for a page so many times a second, by the clock and not by the answers, over
// one connection of HTTP/1.1, while this lives; once at least.
class PoliteClient {
 public:
  PoliteClient(const TlsOptions& options, double rate);
  ~PoliteClient();
  PoliteClient(const PoliteClient&) = delete;

  struct Figures {
    size_t answered = 0, failed = 0;
    std::vector<double> ms;  // from the moment that was planned
    double at(double quantile) const;
  };
  Figures stop();

 private:
  void run(const TlsOptions& options, double rate);

  std::atomic<bool> stopping_ = false;
  Figures figures_;
  std::thread thread_;
};

}  // namespace latchkey::test
