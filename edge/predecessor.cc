#include "edge/predecessor.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "base/fault_point.h"
#include "edge/upgrade.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxText = 512;  // of an error that goes over

std::string taken_out(const char* name) {
  const char* const value = std::getenv(name);
  std::string out = value != nullptr ? value : "";
  ::unsetenv(name);
  return out;
}

bool is_channel(int fd) {
  int domain = 0, type = 0;
  socklen_t size = sizeof domain;
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return false;
  size = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return false;
  return domain == AF_UNIX && type == SOCK_SEQPACKET;
}

}  // namespace

std::unique_ptr<Predecessor> Predecessor::from_environment(InheritedSockets& sockets) {
  std::string names = taken_out(Upgrade::kVariable);
  if (names.empty()) return nullptr;
  if (!is_channel(Upgrade::kChannel)) return nullptr;  // the variable is somebody's joke
  for (const int fd : {Upgrade::kChannel, Upgrade::kLock}) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return nullptr;
  }
  for (int fd = Upgrade::kSockets; !names.empty(); ++fd) {
    const size_t colon = names.find(':');
    sockets.add(fd, names.substr(0, colon));
    names.erase(0, colon == std::string::npos ? colon : colon + 1);
  }
  return std::unique_ptr<Predecessor>(
      new Predecessor(Socket(Upgrade::kChannel), Socket(Upgrade::kLock)));
}

// One that has died leaves everything to us; only the end of what it says tells that it has.
Result<> Predecessor::tell(const char* what, std::string_view answer, Millis limit) {
  static_cast<void>(channel_.send(what));
  const auto said = channel_.wait(limit);
  if (!said && said.error().code == ErrorCode::kIo) return Unit{};
  if (!said) return said.error();
  fault_point("upgrade." + *said);  // "upgrade.go", "upgrade.accept"
  if (*said == answer) return Unit{};
  return Error{ErrorCode::kProtocol, "the process that is to be replaced said \"" + *said + "\""};
}

void Predecessor::serve(Loop& loop, ServerNameRules rules, Want want) {
  rules_ = rules;
  want_ = std::move(want);
  channel_.listen(loop.uv(),
                  {[this](const std::string& message) { hear(message); }, [this] { wanted_ = 0; }});
}

// "want ID SLOT NAME"; the answer is "got ID", or "got ID CODE RETRY_AFTER TEXT".
void Predecessor::hear(const std::string& message) {
  char id[32] = "", name[256] = "";
  int slot = 0;
  if (std::sscanf(message.c_str(), "want %31s %d %255s", id, &slot, name) != 3) return;
  ++wanted_;
  const auto answer = [this, id = std::string(id),
                       alive = std::weak_ptr(alive_)](const Error* why) {
    if (alive.expired()) return;
    if (wanted_ > 0) --wanted_;
    std::string out = "got " + id;
    if (why != nullptr) {
      out += " " + std::to_string(static_cast<int>(why->code)) + " " +
             std::to_string(why->retry_after.count()) + " " + why->message.substr(0, kMaxText);
    }
    channel_.send(std::move(out));
  };
  const auto parsed = ServerName::parse(name, rules_);
  if (!parsed) return answer(&parsed.error());
  want_(*parsed, slot == static_cast<int>(Slot::kRsa) ? Slot::kRsa : Slot::kMain, answer);
}

}  // namespace latchkey::edge
