#include "edge/inherited_sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace latchkey::edge {
namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
constexpr int kMost = 4096;

std::string taken_out(const char* name) {
  const char* const value = std::getenv(name);
  std::string out = value != nullptr ? value : "";
  ::unsetenv(name);
  return out;
}

bool listens(int fd) {
  int on = 0, type = 0;
  socklen_t size = sizeof on;
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) != 0 || on == 0) return false;
  size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

bool has_purpose(const std::string& name) {
  return name == "https" || name == "http" || name == "admin";
}

bool is_tcp(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return false;
  return address.ss_family == AF_INET || address.ss_family == AF_INET6;
}

}  // namespace

std::string bound_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return "";
  if (storage.ss_family == AF_UNIX) {
    const auto& address = reinterpret_cast<const sockaddr_un&>(storage);
    constexpr size_t kPath = offsetof(sockaddr_un, sun_path);
    if (size <= kPath || address.sun_path[0] == '\0') return "";
    return {address.sun_path, ::strnlen(address.sun_path, size - kPath)};
  }
  const bool inet = storage.ss_family == AF_INET || storage.ss_family == AF_INET6;
  return inet ? ListenAddress::of(storage).text() : "";
}

InheritedSockets InheritedSockets::from_systemd() {
  const std::string pid = taken_out("LISTEN_PID"), count = taken_out("LISTEN_FDS");
  std::string names = taken_out("LISTEN_FDNAMES");
  InheritedSockets out;
  if (pid.empty() || std::atol(pid.c_str()) != ::getpid()) return out;
  const int fds = std::min(std::atoi(count.c_str()), kMost);
  for (int i = 0; i < fds; ++i) {
    const size_t colon = names.find(':');
    out.add(kFirst + i, names.substr(0, colon));
    names.erase(0, colon == std::string::npos ? colon : colon + 1);
  }
  return out;
}

bool InheritedSockets::add(int fd, std::string name) {
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return false;  // there is none
  Socket socket(fd);
  if (!listens(fd)) return false;
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return false;
  sockets_.push_back({std::move(socket), std::move(name)});
  return true;
}

std::vector<Socket> InheritedSockets::take(const ListenAddress& address) {
  std::vector<Socket> out;
  std::erase_if(sockets_, [&](Named& one) {
    const bool fits = is_tcp(one.socket.get()) && !has_purpose(one.name) &&
                      bound_address(one.socket.get()) == address.text();
    if (fits) out.push_back(std::move(one.socket));
    return fits;
  });
  return out;
}

std::vector<Socket> InheritedSockets::take_named(std::string_view name) {
  std::vector<Socket> out;
  std::erase_if(sockets_, [&](Named& one) {
    const bool fits = one.name == name && is_tcp(one.socket.get());
    if (fits) out.push_back(std::move(one.socket));
    return fits;
  });
  return out;
}

std::optional<InheritedSockets::Named> InheritedSockets::take_unix(const std::string& path) {
  const auto found = std::find_if(sockets_.begin(), sockets_.end(), [&](const Named& one) {
    if (is_tcp(one.socket.get())) return false;
    return one.name == "admin" || bound_address(one.socket.get()) == path;
  });
  if (found == sockets_.end()) return std::nullopt;
  std::optional<Named> out(std::move(*found));
  sockets_.erase(found);
  return out;
}

std::vector<std::string> InheritedSockets::left() const {
  std::vector<std::string> out;
  out.reserve(sockets_.size());
  for (const Named& one : sockets_) out.push_back(bound_address(one.socket.get()));
  return out;
}

}  // namespace latchkey::edge
