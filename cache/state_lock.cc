#include "cache/state_lock.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/file.h"

namespace latchkey {
namespace {

namespace fs = std::filesystem;

// Who holds the lock, as it wrote itself down: " (PID 123)", or "" if it has not yet.
std::string holder(int fd) {
  std::array<char, 32> text{};
  const ssize_t n = ::pread(fd, text.data(), text.size() - 1, 0);
  std::string pid;
  for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; ++i) pid += text[i];
  return pid.empty() ? "" : " (PID " + pid + ")";
}

}  // namespace

Result<StateLock> StateLock::acquire(const fs::path& state_dir) {
  if (auto made = make_private_folder(state_dir); !made) return std::move(made).error();
  const fs::path file = state_dir / "lock";
  StateLock lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.fd_ < 0) {
    return Error{ErrorCode::kIo, "cannot open " + file.string() + ": " + errno_text(errno) +
                                     "; the state folder must be ours to write"};
  }
  if (auto locked = lock.lock(state_dir); !locked) return locked.error();
  return lock;
}

Result<> StateLock::lock(const fs::path& state_dir) const {
  const fs::path file = state_dir / "lock";
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return Error{ErrorCode::kIo, "cannot lock " + file.string() + ": " + errno_text(errno)};
    }
    return Error{ErrorCode::kIo, "the state folder " + state_dir.string() +
                                     " is in use by another instance" + holder(fd_) +
                                     "; stop that one first, or give this one a state_dir of "
                                     "its own"};
  }
  return note_holder(file);
}

Result<> StateLock::note_holder(const fs::path& file) const {
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd_, 0) != 0 ||
      ::pwrite(fd_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return Error{ErrorCode::kIo, "cannot write " + file.string() + ": " + errno_text(errno)};
  }
  return Unit{};
}

Result<StateLock> StateLock::take(const fs::path& state_dir, StateLock inherited) {
  struct stat ours {
  }, there{};
  const bool same = ::fstat(inherited.fd_, &ours) == 0 &&
                    ::stat((state_dir / "lock").c_str(), &there) == 0 &&
                    ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
  if (!same) return acquire(state_dir);
  // The other one's lock is ours already; should it not have had it, we have to get it.
  if (auto locked = inherited.lock(state_dir); !locked) return locked.error();
  return inherited;
}

StateLock::~StateLock() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<std::string> volatile_filesystem_warning(const fs::path& path) {
  std::error_code ignored;
  fs::path at = fs::absolute(path, ignored).lexically_normal();
  struct statfs found {};
  while (::statfs(at.c_str(), &found) != 0) {
    if (errno != ENOENT || at == at.parent_path()) return std::nullopt;
    at = at.parent_path();
  }
  const char* kind = nullptr;
  switch (static_cast<unsigned long>(found.f_type)) {  // NOLINT: as statfs has it
    case OVERLAYFS_SUPER_MAGIC:
      kind = "overlayfs, and goes with the container";
      break;
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
      kind = "a file system in memory, and goes with the next start of the machine";
      break;
    default:
      return std::nullopt;
  }
  return path.string() + " is on " + kind +
         ": every certificate and ACME account would be obtained again, against the CA's limits; "
         "put it on a volume that stays";
}

}  // namespace latchkey
