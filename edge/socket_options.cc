#include "edge/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace latchkey::edge {
namespace {

constexpr int kIdle = 60;      // seconds of silence before the first probe
constexpr int kInterval = 15;  // seconds between probes
constexpr int kProbes = 4;
constexpr unsigned kUnacknowledged = 120'000;  // ms that sent bytes may wait

}  // namespace

void tune_connection(int fd) {
  // Each is a help, none is needed: a socket that refuses one (in tests, of another family) works.
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kIdle, sizeof kIdle);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kInterval, sizeof kInterval);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof kProbes);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledged, sizeof kUnacknowledged);
}

}  // namespace latchkey::edge
