#include "edge/admin_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/file.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr int kBacklog = 64;

// REQUIRES: bad_socket_path() has nothing against it.
sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int unix_socket() {
  return ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

Error failed(const std::string& path, const std::string& why) {
  return Error{ErrorCode::kIo, "admin socket " + path + ": " + why};
}

// What lies at the path must not be in the way.
Result<> clear(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return Unit{};
    return failed(path, errno_text(errno));
  }
  if (!S_ISSOCK(found.st_mode)) {
    return failed(path, "a file that is no socket lies there: remove it, or choose another path");
  }
  switch (const int why = knock(path)) {
    case 0:
    case EAGAIN:  // so busy that its queue is full
      return failed(path,
                    "another process answers there: is latchkey running already? Stop it, or give "
                    "this one another admin.socket");
    case ENOENT:
      return Unit{};
    case ECONNREFUSED:
      if (::unlink(path.c_str()) == 0 || errno == ENOENT) return Unit{};
      return failed(path, "cannot remove what an earlier process left: " + errno_text(errno));
    default:
      return failed(path, "cannot tell who listens there: " + errno_text(why));
  }
}

}  // namespace

std::string bad_socket_path(const std::string& path) {
  if (path.empty()) return "the path is empty";
  if (path.find('\0') != std::string::npos) return "the path has a zero byte";
  if (path.size() > kMaxPath) {
    return "the path has " + std::to_string(path.size()) + " bytes; a UNIX socket's may have " +
           std::to_string(kMaxPath) + ": choose a shorter one";
  }
  return "";
}

int knock(const std::string& path) {
  const int fd = unix_socket();
  if (fd < 0) return errno;
  const sockaddr_un address = address_of(path);
  int why = 0;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) why = errno;
  ::close(fd);
  return why;
}

Result<AdminSocket> AdminSocket::open(const std::string& path) {
  if (const std::string bad = bad_socket_path(path); !bad.empty()) return failed(path, bad);
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) {
    if (auto made = make_private_folder(folder); !made) {
      return failed(path,
                    made.error().message +
                        "; choose an admin.socket where this user may write, or make it null");
    }
  }
  if (auto free = clear(path); !free) return std::move(free).error();

  const int fd = unix_socket();
  if (fd < 0) return failed(path, errno_text(errno));
  const auto fail = [&](const std::string& doing) {
    const int why = errno;
    ::close(fd);
    return failed(path, doing + ": " + errno_text(why));
  };
  // Linux makes the file with the descriptor's mode: nobody else can connect at any moment, and no
  // umask has to change under the other threads.
  if (::fchmod(fd, 0600) != 0) return fail("fchmod");
  const sockaddr_un address = address_of(path);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail("bind");
  }
  struct stat made {};
  const bool there = ::lstat(path.c_str(), &made) == 0;
  if (!there || (made.st_mode & 0177) != 0 || ::listen(fd, kBacklog) != 0) {
    const Error error = fail(
        there && (made.st_mode & 0177) != 0 ? "the file system gave it to others, too" : "listen");
    ::unlink(path.c_str());
    return error;
  }
  return AdminSocket(path, fd, made.st_dev, made.st_ino);
}

AdminSocket::AdminSocket(AdminSocket&& other) noexcept
    : path_(std::exchange(other.path_, "")),
      fd_(std::exchange(other.fd_, -1)),
      device_(other.device_),
      inode_(other.inode_),
      keep_file_(other.keep_file_),
      lent_(other.lent_) {}

AdminSocket AdminSocket::adopt(const std::string& path, Socket socket, bool keep_file) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) found = {};
  AdminSocket out(path, socket.release(), found.st_dev, found.st_ino);
  out.keep_file_ = keep_file;
  return out;
}

AdminSocket::~AdminSocket() {
  if (fd_ >= 0) ::close(fd_);
  if (!path_.empty() && !keep_file_ && !lent_ && has_file()) ::unlink(path_.c_str());
}

bool AdminSocket::has_file() const {
  struct stat found {};
  return ::lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_;
}

int AdminSocket::duplicate() const {
  return ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
}

}  // namespace latchkey::edge
