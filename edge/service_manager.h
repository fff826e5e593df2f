#pragma once
#include <string>

#include "base/clock.h"

namespace latchkey::edge {

// What systemd is told: sd_notify(3), by datagrams to the socket that NOTIFY_SOCKET names. Without
// one nothing is said, and nothing that goes wrong stops anybody. Control thread.
class ServiceManager {
 public:
  explicit ServiceManager(Clock& clock);
  ServiceManager(const ServiceManager&) = delete;

  // The first ready() begins the watchdog's signs of life, where the unit asks for them
  // (WatchdogSec=): they come from the control thread's loop.
  void ready();
  void reloading();  // until the next ready()
  void stopping();
  // Another process is the service's main one from now on, and serves: it speaks for itself.
  void main_process(int pid);
  // It is no more; we are.
  void main_process_again();

 private:
  void tell(const std::string& state) const;
  void show_life();

  Clock& clock_;
  const std::string socket_;  // "": there is none
  const Millis watchdog_;     // 0: it is not wanted
  Alarm life_;
  bool silent_ = false;  // another process speaks
};

}  // namespace latchkey::edge
