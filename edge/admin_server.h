#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/loop.h"
#include "base/result.h"
#include "base/task.h"
#include "edge/admin_socket.h"

namespace latchkey::edge {

struct AdminRequest {
  std::string method;
  std::string path;   // without the query
  std::string query;  // without '?'
  std::string body;   // <= 16 MiB
};
struct AdminReply {
  int status = 200;
  std::string json{};       // one object; a newline is added
  std::string allow{};      // with 405: the methods that would do
  int64_t retry_after = 0;  // seconds, for the header; 0: none
};
using AdminHandler = std::function<Task<AdminReply>(AdminRequest)>;

// HTTP/1.1 on a UNIX socket (0600: the owner and root), on the control thread's loop. At most 64
// connections; beyond that new ones are closed. Who goes away drops the task that answers him; a
// handler that fails is answered with 500. Not to be destroyed from within a handler.
class AdminServer {
 public:
  // Makes the socket's folder (0700) if need be. A socket file that nobody listens on is replaced;
  // one that another process serves is an error. Errors name the path and the remedy.
  static Result<std::unique_ptr<AdminServer>> open(const std::string& path, Loop& loop,
                                                   AdminHandler handler, Log& log);
  // On a socket that listens already.
  static Result<std::unique_ptr<AdminServer>> adopt(AdminSocket socket, Loop& loop,
                                                    AdminHandler handler, Log& log);
  // Removes the socket file. Handlers that are under way are dropped.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;

  // Accepts no more, for now; connections stay.
  void pause();
  void resume();
  // Connections end with the answer that they wait for. Not from within a handler.
  void drain();
  // Accepts no more, ever: the socket is closed, and its file removed.
  void close();
  AdminSocket* socket();  // null: closed

 private:
  struct Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::edge
