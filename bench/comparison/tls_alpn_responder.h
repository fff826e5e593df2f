#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "acme/challenges.h"
#include "tests/support/fd.h"

struct ssl_ctx_st;

namespace latchkey::bench {

// The least that answers tls-alpn-01: one connection after the other, on a thread of its own, with
// the certificate that is pending for the SNI.
class TlsAlpnResponder {
 public:
  // A port whose reservation we share.
  TlsAlpnResponder(acme::ChallengeTable& challenges, uint16_t port);
  ~TlsAlpnResponder();
  TlsAlpnResponder(const TlsAlpnResponder&) = delete;

 private:
  void run();
  void answer(int fd);

  test::Fd listener_;
  std::shared_ptr<ssl_ctx_st> context_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace latchkey::bench
