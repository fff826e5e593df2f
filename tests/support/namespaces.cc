#include "tests/support/namespaces.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "tests/support/fd.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {
namespace {

bool enter(int kinds) {
  if (unshare(kinds) != 0) {
    const std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
    if (unshare(CLONE_NEWUSER | kinds) != 0) return false;
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", "0 " + uid + " 1");
    write_text("/proc/self/gid_map", "0 " + gid + " 1");
  }
  return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

bool bring_loopback_up() {
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", sizeof "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return ioctl(any.get(), SIOCSIFFLAGS, &request) == 0;
}

}  // namespace

bool enter_own_mounts() {
  return enter(CLONE_NEWNS);
}

bool enter_own_network() {
  return enter(CLONE_NEWNS | CLONE_NEWNET) && bring_loopback_up();
}

bool show_instead(const std::filesystem::path& path, const std::filesystem::path& file) {
  return mount(file.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0;
}

}  // namespace latchkey::test
