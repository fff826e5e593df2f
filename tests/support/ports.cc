#include "tests/support/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <random>

#include "base/check.h"

namespace latchkey::test {
namespace {

// An abstract UNIX address: taken by one process at a time, and given back by the kernel.
Fd lock_port(uint16_t port) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(fd);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1,
                              "latchkey-test-port-%u", static_cast<unsigned>(port));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return Fd();
  return fd;
}

Fd bind_port(uint16_t port, int type, bool reuse_port) {
  Fd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  CHECK(fd);
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse_port) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return Fd();
  return fd;
}

}  // namespace

ReservedPort::ReservedPort(Hold hold) {
  std::random_device random;
  std::uniform_int_distribution<int> pick(10'000, 29'999);
  for (int tries = 0; tries < 10'000; ++tries) {
    const auto port = static_cast<uint16_t>(pick(random));
    Fd lock = lock_port(port);
    if (!lock) continue;
    if (!bind_port(port, SOCK_STREAM, false) || !bind_port(port, SOCK_DGRAM, false)) continue;
    Fd bound;
    if (hold == Hold::kBound) {
      bound = bind_port(port, SOCK_STREAM, true);
      if (!bound) continue;
    }
    lock_ = std::move(lock);
    socket_ = std::move(bound);
    number_ = port;
    return;
  }
  CHECK(!"no free port from 10000 to 29999");
}

}  // namespace latchkey::test
