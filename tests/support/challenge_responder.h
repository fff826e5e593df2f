#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "acme/challenges.h"
#include "tests/support/fd.h"
#include "tests/support/http_server.h"

struct ssl_ctx_st;

namespace latchkey::test {

// Answers a CA's challenges from a ChallengeTable, on ports of its own: the least that a server
// must do. One connection at a time; each gets 5 s.
class ChallengeResponder {
 public:
  explicit ChallengeResponder(acme::ChallengeTable& challenges);
  ~ChallengeResponder();
  ChallengeResponder(const ChallengeResponder&) = delete;

  uint16_t tls_port() const { return tls_port_; }
  uint16_t http_port() const { return http_.port(); }

  // A port that refuses to answer, to make the CA's validation fail.
  std::atomic<bool> tls_broken = false;
  std::atomic<bool> http_broken = false;

 private:
  void serve_tls();
  Response answer_http(const Request& request);

  acme::ChallengeTable& challenges_;
  uint16_t tls_port_ = 0;
  Fd listener_;
  std::shared_ptr<ssl_ctx_st> context_;
  std::atomic<bool> stopping_ = false;
  HttpServer http_;
  std::thread tls_;  // the last: it uses all of the above
};

}  // namespace latchkey::test
