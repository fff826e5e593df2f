#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace latchkey::bench {

// Handshakes that begin by a clock, whatever becomes of the earlier ones: nobody who comes late is
// left out of the figures.
struct Stream {
  double rate = 0;  // a second
  std::function<std::string(size_t index)> name;
  // A ClientHello out of a mould, and only the first bytes of the answer are looked at: for names
  // that are refused. Else a whole TLS 1.3 handshake, without looking at the certificate.
  bool hello_only = false;
};

struct StreamResult {
  std::vector<double> ms;  // from the moment that was planned to the outcome; of all outcomes
  size_t finished = 0;     // handshakes
  size_t refused = 0;      // by an alert
  size_t failed = 0;       // cut off, timed out, or refused a connection
};

// Drives some streams against 127.0.0.1:port from the calling thread. Arrivals are random
// (exponential gaps) but the same in every run. Sources are spread over 127.0.0.0/8.
class OpenLoop {
 public:
  explicit OpenLoop(uint16_t port);
  ~OpenLoop();
  OpenLoop(const OpenLoop&) = delete;

  std::vector<StreamResult> run(const std::vector<Stream>& streams, std::chrono::seconds time);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// q from 0 to 1. REQUIRES: not empty.
double quantile(std::vector<double> values, double q);

}  // namespace latchkey::bench
