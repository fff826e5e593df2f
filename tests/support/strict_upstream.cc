#include "tests/support/strict_upstream.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <list>
#include <utility>

#include "base/check.h"

namespace latchkey::test {

StrictUpstream::StrictUpstream()
    : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      wake_(eventfd(0, EFD_CLOEXEC)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  CHECK(bind(listener_.get(), generic, size) == 0 && listen(listener_.get(), 100) == 0);
  CHECK(getsockname(listener_.get(), generic, &size) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

StrictUpstream::~StrictUpstream() {
  CHECK(eventfd_write(wake_.get(), 1) == 0);
  thread_.join();
}

std::vector<StrictRequest> StrictUpstream::take_requests() {
  const std::lock_guard lock(mutex_);
  return std::exchange(requests_, {});
}

std::vector<std::string> StrictUpstream::take_errors() {
  const std::lock_guard lock(mutex_);
  return std::exchange(errors_, {});
}

void StrictUpstream::run() {
  std::list<Connection> open;
  for (;;) {
    std::vector<pollfd> polled{{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    for (const auto& connection : open) polled.push_back({connection.fd.get(), POLLIN, 0});
    if (poll(polled.data(), polled.size(), -1) < 0) continue;
    if (polled[0].revents != 0) return;
    auto at = polled.begin() + 2;
    for (auto it = open.begin(); it != open.end(); ++at) {
      it = at->revents == 0 || serve(*it) ? std::next(it) : open.erase(it);
    }
    if (polled[1].revents == 0) continue;
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd) open.push_back({std::move(fd), {}});
  }
}

// False: it is to be closed.
bool StrictUpstream::serve(Connection& connection) {
  char buffer[16384];
  const ssize_t n = recv(connection.fd.get(), buffer, sizeof buffer, 0);
  if (n <= 0) return false;
  connection.reader.add({buffer, static_cast<size_t>(n)});
  constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  while (auto request = connection.reader.next()) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(*std::move(request));
    }
    ++answered_;
    if (send(connection.fd.get(), kOk.data(), kOk.size(), MSG_NOSIGNAL) < 0) return false;
  }
  if (connection.reader.error().empty()) return true;
  const std::lock_guard lock(mutex_);
  errors_.push_back(connection.reader.error());
  return false;
}

}  // namespace latchkey::test
