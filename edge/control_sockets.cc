// The listening sockets: what was handed to this process, and what is opened.
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "base/file.h"
#include "edge/control.h"

namespace latchkey::edge {
namespace {

Result<Socket> duplicate(int fd, const std::string& what) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return Error{ErrorCode::kIo, "listening on " + what + ": " + errno_text(errno)};
  return Socket(copy);
}

bool shares_its_port(int fd) {
  int on = 0;
  socklen_t size = sizeof on;
  return ::getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &size) == 0 && on != 0;
}

}  // namespace

// The first worker settles which ports a port 0 stands for. What is opened here is bound only:
// see start_listening().
Result<std::vector<Worker::Sockets>> Control::open_sockets(size_t workers) {
  std::vector<Worker::Sockets> out(workers);
  if (auto ok = open_all(config_.https, "https", &Worker::Sockets::https, out); !ok) {
    return ok.error();
  }
  if (auto ok = open_all(config_.http, "http", &Worker::Sockets::http, out); !ok) {
    return ok.error();
  }
  return out;
}

// Sockets that systemd calls by the list's name are all that is listened on.
Result<> Control::open_all(std::vector<std::string>& addresses, const char* name, SocketList list,
                           std::vector<Worker::Sockets>& out) {
  std::vector<Socket> named = origin_.sockets.take_named(name);
  const bool by_name = !named.empty();
  if (by_name) {
    addresses.clear();
    for (const Socket& socket : named) {
      const std::string text = bound_address(socket.get());
      if (std::count(addresses.begin(), addresses.end(), text) == 0) addresses.push_back(text);
    }
  }
  for (std::string& text : addresses) {
    auto address = ListenAddress::parse(text);
    if (!address) return std::move(address).error().in("listen");
    std::vector<Socket> given;
    if (!by_name) given = origin_.sockets.take(*address);
    for (Socket& socket : named) {
      if (socket.get() >= 0 && bound_address(socket.get()) == text) {
        given.push_back(std::move(socket));
      }
    }
    if (auto ok = spread(*address, std::move(given), by_name ? name : "-", list, out); !ok) {
      return ok;
    }
    text = address->text();
  }
  return Unit{};
}

// Each worker has one of the address at least; of those that were given each is somebody's, or the
// connections that the kernel puts there would wait for nobody. Workers for whom there is none
// open one; where that may not be (it is another user's socket, or shares its port with nobody),
// they share one.
Result<> Control::spread(ListenAddress& address, std::vector<Socket> given, const std::string& name,
                         SocketList list, std::vector<Worker::Sockets>& out) {
  const size_t sockets = given.size();
  const bool may_join = sockets == 0 || shares_its_port(given.front().get());
  std::vector<int> shared;  // the given ones; their owners are in `out`
  shared.reserve(sockets);
  for (size_t i = 0; i < std::max(sockets, out.size()); ++i) {
    Socket socket(-1);
    bool own = true;
    if (i < sockets) {
      socket = std::move(given[i]);
      shared.push_back(socket.get());
    } else {
      if (may_join) {
        auto fd = bind_listener(address);
        if (!fd && sockets == 0) return fd.error();
        if (fd) socket = Socket(*fd);
      }
      if (socket.get() < 0) {
        auto copy = duplicate(shared[i % sockets], address.text());
        if (!copy) return copy.error();
        socket = *std::move(copy);
        own = false;
      }
    }
    if (own) {
      auto kept = duplicate(socket.get(), address.text());
      if (!kept) return kept.error();
      kept_.push_back({*std::move(kept), list, name});
    }
    (out[i % out.size()].*list).push_back(std::move(socket));
  }
  return Unit{};
}

// Once workers are certain to come: until then what the kernel put into the queue of a socket of
// ours alone would be lost with us, while a predecessor serves.
Result<> Control::start_listening() {
  for (const Kept& kept : kept_) {
    if (auto listens = edge::start_listening(kept.socket.get()); !listens) return listens;
  }
  return Unit{};
}

// After stop_accepting(), when nobody has taken over, or nobody has any more: as spread() did it.
void Control::listen_again() {
  std::map<std::pair<bool, std::string>, std::vector<const Kept*>> groups;  // by list and address
  for (const Kept& kept : kept_) {
    const bool https = kept.list == &Worker::Sockets::https;
    groups[{https, bound_address(kept.socket.get())}].push_back(&kept);
  }
  std::vector<std::shared_ptr<Worker::Sockets>> sockets(workers_.size());
  for (auto& mine : sockets) mine = std::make_shared<Worker::Sockets>();
  for (const auto& [what, group] : groups) {
    for (size_t i = 0; i < std::max(group.size(), workers_.size()); ++i) {
      const Kept& kept = *group[i % group.size()];
      auto copy = duplicate(kept.socket.get(), what.second);
      if (!copy) {
        log_.error("accept_failed", copy.error().message);
        continue;
      }
      ((*sockets[i % sockets.size()]).*kept.list).push_back(*std::move(copy));
    }
  }
  for (size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->post([mine = sockets[i]](Worker& w) { w.listen(std::move(*mine)); });
  }
}

}  // namespace latchkey::edge
