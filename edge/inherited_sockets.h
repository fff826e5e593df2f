#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "edge/listener.h"
#include "edge/socket.h"

namespace latchkey::edge {

// Listening sockets that this process was given at its start: by systemd's socket activation, or by
// the process whose place it takes (predecessor.h). Each is taken by what is to be listened on; the
// rest is closed.
class InheritedSockets {
 public:
  // What a socket is for, as systemd names it (FileDescriptorName=): "https", "http", "admin"; by
  // any other name it is for whoever listens on its address.
  struct Named {
    Socket socket;
    std::string name;
  };

  // sd_listen_fds(3): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, which are taken out of the
  // environment. Before there are threads.
  static InheritedSockets from_systemd();

  // Takes the descriptor, makes it non-blocking and close-on-exec. False: it is no listening
  // stream socket, and is closed.
  bool add(int fd, std::string name);

  // The TCP sockets that are bound to exactly that address and have no name of the three.
  std::vector<Socket> take(const ListenAddress& address);
  // The TCP sockets of that name.
  std::vector<Socket> take_named(std::string_view name);
  // The UNIX socket at the path, or called "admin".
  std::optional<Named> take_unix(const std::string& path);

  // The addresses of those that nobody has taken.
  std::vector<std::string> left() const;

 private:
  std::vector<Named> sockets_;  // as many as we were given
};

// The address that a socket is bound to: "127.0.0.1:443", "[::]:443", a UNIX socket's path; "" for
// others.
std::string bound_address(int fd);

}  // namespace latchkey::edge
