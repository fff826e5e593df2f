#include "edge/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "edge/socket_address.h"
#include "edge/socket_options.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr int kBacklog = 4096;
constexpr int kAcceptsPerTurn = 64;  // then the connections get their turn
constexpr Millis kPause = 50ms;
constexpr Millis kComplaints = 10s;  // at most one in so long

bool fill(const ListenAddress& address, sockaddr_storage& out, socklen_t& size) {
  auto& v4 = reinterpret_cast<sockaddr_in&>(out);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
  if (inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<uint16_t>(address.port));
    size = sizeof v4;
    return true;
  }
  if (inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(static_cast<uint16_t>(address.port));
    size = sizeof v6;
    return true;
  }
  return false;
}

Error listen_error(const std::string& address, const char* what, int code) {
  std::string remedy;
  if (code == EADDRINUSE) remedy = "; another program listens there: stop it or choose a port";
  if (code == EACCES) remedy = "; ports below 1024 need CAP_NET_BIND_SERVICE or root";
  if (code == EADDRNOTAVAIL) remedy = "; this machine has no such address";
  return Error{ErrorCode::kIo,
               "listening on " + address + ": " + what + ": " + std::strerror(code) + remedy};
}

}  // namespace

Result<ListenAddress> ListenAddress::parse(const std::string& text) {
  const Error bad{
      ErrorCode::kInvalid,
      "expected an address and port like \"0.0.0.0:443\" or \"[::]:443\", got \"" + text + "\""};
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return bad;
  ListenAddress out;
  out.host = text.substr(0, colon);
  const bool brackets = out.host.starts_with('[') && out.host.ends_with(']');
  if (brackets) out.host = out.host.substr(1, out.host.size() - 2);
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data() + colon + 1, end, out.port);
  if (error != std::errc() || at != end || out.port < 0 || out.port > 65535) return bad;
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (!fill(out, storage, size) || (storage.ss_family == AF_INET6) != brackets) return bad;
  return of(storage);
}

ListenAddress ListenAddress::of(const sockaddr_storage& address) {
  const bool v6 = address.ss_family == AF_INET6;
  const void* const raw =
      v6 ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr)
         : &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  char text[INET6_ADDRSTRLEN] = "";
  CHECK(inet_ntop(address.ss_family, raw, text, sizeof text) != nullptr);
  ListenAddress out;
  out.host = text;
  // The port lies at the same place for both families.
  out.port = ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  return out;
}

std::string ListenAddress::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<int> bind_listener(ListenAddress& address) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  CHECK(fill(address, storage, size));
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const auto fail = [&](const char* what) {
    const int code = errno;
    if (fd >= 0) ::close(fd);
    return listen_error(address.text(), what, code);
  };
  if (fd < 0) return fail("socket");
  const int on = 1;
  if (::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    return fail("SO_REUSEPORT");
  }
  if (storage.ss_family == AF_INET6 &&
      ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) {
    return fail("IPV6_V6ONLY");
  }
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&storage), size) != 0) return fail("bind");
  if (address.port == 0) {
    size = sizeof storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
      return fail("getsockname");
    }
    // The port lies at the same place for both families.
    address.port = ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
  }
  return fd;
}

Result<> start_listening(int fd) {
  int on = 0;
  socklen_t size = sizeof on;
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on != 0) return Unit{};
  if (::listen(fd, kBacklog) == 0) return Unit{};
  const int code = errno;
  sockaddr_storage storage{};
  size = sizeof storage;
  const bool known = ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) == 0;
  return listen_error(known ? ListenAddress::of(storage).text() : "a socket", "listen", code);
}

Result<int> open_listener(ListenAddress& address) {
  auto fd = bind_listener(address);
  if (!fd) return fd;
  if (auto listens = start_listening(*fd); !listens) {
    ::close(*fd);
    return listens.error();
  }
  return fd;
}

Listener::Listener(uv_loop_t& loop, Clock& clock, Log& log, int fd, Callbacks callbacks)
    : clock_(clock), log_(log), fd_(fd), callbacks_(std::move(callbacks)), watch_(loop, fd, *this) {
  tune_connection(fd);  // Linux hands these options on to what is accepted
  watch_.want(SocketWatch::kReadable);
}

Listener::~Listener() {
  watch_.remove();  // a successor may hold the socket, too
  ::close(fd_);
}

void Listener::pause() {
  watch_.want(0);
  resume_ = clock_.after(kPause, [this] { watch_.want(SocketWatch::kReadable); });
}

void Listener::on_socket(uint8_t /*ready*/) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    if (!callbacks_.room()) {
      pause();
      return;
    }
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const int fd =
        ::accept4(fd_, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      callbacks_.on_connection(fd, address_text(from));
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return watch_.dry();
    if (errno == EINVAL) return pause();  // somebody has shut the socket down
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      if (clock_.now() >= complaint_at_) {
        complaint_at_ = clock_.now() + kComplaints;
        log_.error("accept_paused", std::string("no connection can be accepted for now: ") +
                                        std::strerror(errno) +
                                        "; raise the limit of open files (LimitNOFILE)");
      }
      pause();
      return;
    }
    // ECONNABORTED and the like concern that one connection only.
  }
}

}  // namespace latchkey::edge
