#pragma once
#include <atomic>
#include <list>
#include <thread>

#include "tests/support/tls_client.h"

namespace latchkey::test {

// Connections that say a byte now and then and never a whole request, a third of each kind: heads
// of HTTP/1.1, bodies of HTTP/1.1, bodies of HTTP/2. While this lives.
class SlowClients {
 public:
  SlowClients(const TlsOptions& options, size_t count);
  ~SlowClients();
  SlowClients(const SlowClients&) = delete;

  size_t connected() const { return connected_; }

 private:
  struct Client;
  void run();

  std::list<Client> clients_;
  size_t connected_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace latchkey::test
