#include "edge/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace latchkey::edge {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

// Half of what the unit says: sd_watchdog_enabled(3).
Millis watchdog_pause() {
  const std::string pid = variable("WATCHDOG_PID");
  if (!pid.empty() && std::atol(pid.c_str()) != ::getpid()) return Millis(0);
  const int64_t micros = std::atoll(variable("WATCHDOG_USEC").c_str());
  return Millis(micros > 0 ? (micros + 1999) / 2000 : 0);
}

}  // namespace

ServiceManager::ServiceManager(Clock& clock)
    : clock_(clock), socket_(variable("NOTIFY_SOCKET")), watchdog_(watchdog_pause()) {}

void ServiceManager::ready() {
  tell("READY=1");
  if (life_ == nullptr) show_life();
}

void ServiceManager::reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t micros = int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(micros));
}

void ServiceManager::stopping() {
  tell("STOPPING=1");
}

void ServiceManager::main_process(int pid) {
  // In one message: systemd may have heard READY=1 and WATCHDOG=1 from the new process before, when
  // that was not yet the one that it listens to; and a reload of ours may be under way.
  tell("MAINPID=" + std::to_string(pid) + "\nREADY=1" +
       (watchdog_ > Millis(0) ? "\nWATCHDOG=1" : ""));
  silent_ = true;
}

void ServiceManager::main_process_again() {
  silent_ = false;
  tell("MAINPID=" + std::to_string(::getpid()) + "\nREADY=1");
  show_life();
}

void ServiceManager::show_life() {
  if (watchdog_ <= Millis(0) || silent_) return;
  tell("WATCHDOG=1");
  life_ = clock_.after(watchdog_, [this] { show_life(); });
}

void ServiceManager::tell(const std::string& state) const {
  sockaddr_un to{};
  if (silent_ || socket_.empty() || socket_.size() >= sizeof to.sun_path) return;
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, socket_.data(), socket_.size());
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';  // an abstract name
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&to), size);
  ::close(fd);
}

}  // namespace latchkey::edge
