#pragma once
#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "edge/socket.h"

namespace latchkey::edge {

// The listening UNIX socket of the admin API, and its file. Destroying it removes the file, if it
// is still ours.
class AdminSocket {
 public:
  // Makes the folder (0700) if it is missing. The file is 0600 from its first moment. One that
  // nobody listens on is replaced; one that is served, or that is no socket, is left alone (kIo).
  static Result<AdminSocket> open(const std::string& path);
  // One that listens already. `keep_file`: the file is somebody else's to remove.
  static AdminSocket adopt(const std::string& path, Socket socket, bool keep_file);
  AdminSocket(AdminSocket&& other) noexcept;
  ~AdminSocket();

  const std::string& path() const { return path_; }
  // Another descriptor of it (listening, non-blocking), for whoever takes it; -1 and errno if there
  // is none to be had.
  int duplicate() const;
  int descriptor() const { return fd_; }
  bool keeps_file() const { return keep_file_; }
  // Another process listens on it, too: as long as it does the file stays.
  void lend(bool on) { lent_ = on; }
  // Whether it can be reached by its path.
  bool has_file() const;

 private:
  AdminSocket(std::string path, int fd, dev_t device, ino_t inode)
      : path_(std::move(path)), fd_(fd), device_(device), inode_(inode) {}

  std::string path_;  // "": moved from
  int fd_;
  dev_t device_;  // of the file
  ino_t inode_;
  bool keep_file_ = false;
  bool lent_ = false;
};

// Whether somebody listens on that UNIX socket: 0, or the errno of connecting to it.
int knock(const std::string& path);

// What is wrong with the path of a UNIX socket; "" if nothing is.
std::string bad_socket_path(const std::string& path);

}  // namespace latchkey::edge
