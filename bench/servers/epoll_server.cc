#include "bench/servers/epoll_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace latchkey::bench {
namespace {

constexpr int kBacklog = 4096;
constexpr int kPauseMs = 50;  // without room for one more descriptor

Result<sockaddr_in> parse_address(const std::string& text) {
  const Error bad{ErrorCode::kInvalid,
                  "--listen: expected an address like 127.0.0.1:8443, got \"" + text + "\""};
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return bad;
  sockaddr_in out{};
  out.sin_family = AF_INET;
  uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data() + colon + 1, end, port);
  if (error != std::errc() || at != end) return bad;
  if (inet_pton(AF_INET, text.substr(0, colon).c_str(), &out.sin_addr) != 1) return bad;
  out.sin_port = htons(port);
  return out;
}

Result<int> listen_on(const std::string& text) {
  auto address = parse_address(text);
  if (!address) return address.error();
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  // Connections inherit TCP_NODELAY.
  if (fd >= 0 && ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
      ::bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0 &&
      ::listen(fd, kBacklog) == 0) {
    return fd;
  }
  const int code = errno;
  if (fd >= 0) ::close(fd);
  return Error{ErrorCode::kIo,
               "listening on " + text + ": " + std::strerror(code) +
                   (code == EADDRINUSE ? "; stop what listens there or choose another port" : "")};
}

void announce(int fd) {
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
  char text[INET_ADDRSTRLEN] = "";
  inet_ntop(AF_INET, &bound.sin_addr, text, sizeof text);
  std::printf("listening on %s:%u\n", text, ntohs(bound.sin_port));
  std::fflush(stdout);
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int open_end_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  CHECK(sigprocmask(SIG_BLOCK, &ends, nullptr) == 0);
  const int fd = ::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
  CHECK(fd >= 0);
  return fd;
}

}  // namespace

ServedConnection::~ServedConnection() {
  ::close(fd_);
}

class EpollServer {
 public:
  EpollServer(int listener, const MakeConnection& make)
      : epoll_(::epoll_create1(EPOLL_CLOEXEC)), listener_(listener), make_(make) {
    CHECK(epoll_ >= 0);
    add(listener_, EPOLLIN | EPOLLET, &listener_);
    add(signals_, EPOLLIN, &signals_);
  }
  ~EpollServer() {
    ::close(signals_);
    ::close(listener_);
    ::close(epoll_);
  }
  EpollServer(const EpollServer&) = delete;

  void run() {
    std::array<epoll_event, 512> events;
    for (;;) {
      const int count = ::epoll_wait(epoll_, events.data(), events.size(), paused_ ? kPauseMs : -1);
      bool accept = std::exchange(paused_, false);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<size_t>(i)];
        if (event.data.ptr == &signals_) return;
        if (event.data.ptr == &listener_) {
          accept = true;
        } else {
          tell(*static_cast<ServedConnection*>(event.data.ptr), event.events);
        }
      }
      if (accept) accept_all();
    }
  }

 private:
  void add(int fd, uint32_t events, void* who) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = who;
    CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
  }

  void accept_all() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        add(fd, EPOLLIN | EPOLLRDHUP | EPOLLET, make_(fd).release());
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        if (!std::exchange(complained_, true)) {
          std::fprintf(stderr, "no connection can be accepted for now: %s; raise ulimit -n\n",
                       std::strerror(errno));
        }
        paused_ = true;
        return;
      }
      // ECONNABORTED and the like concern that one connection only.
    }
  }

  void tell(ServedConnection& connection, uint32_t events) {
    switch (connection.on_event(events)) {
      case ServedConnection::Next::kRead:
        return;
      case ServedConnection::Next::kEnd:
        delete &connection;
        return;
      case ServedConnection::Next::kWrite:
        break;
    }
    if (std::exchange(connection.watched_for_room_, true)) return;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = &connection;
    CHECK(::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd(), &event) == 0);
  }

  const int epoll_;
  int listener_;
  int signals_ = open_end_signals();
  const MakeConnection& make_;
  bool paused_ = false;
  bool complained_ = false;
};

Result<> serve(const std::string& address, const MakeConnection& make) {
  raise_descriptor_limit();
  auto listener = listen_on(address);
  if (!listener) return listener.error();
  EpollServer server(*listener, make);
  announce(*listener);
  server.run();
  return Unit{};
}

}  // namespace latchkey::bench
