#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"

namespace latchkey {

// One process writes a state folder. Held while this lives; the kernel lets go of it when the
// process ends, however it ends.
class StateLock {
 public:
  // Makes the folder (0700) if it does not exist. Never waits: a second instance gets an error
  // (kIo) that names the folder, the first one's PID and what to do.
  static Result<StateLock> acquire(const std::filesystem::path& state_dir);
  // What another process held, whose descriptor we have inherited: ours from now on. Errors are
  // acquire()'s, also where it is another folder's.
  static Result<StateLock> take(const std::filesystem::path& state_dir, StateLock inherited);
  // Takes the descriptor, whatever it is.
  static StateLock adopt(int fd) { return StateLock(fd); }
  StateLock(StateLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  StateLock& operator=(StateLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~StateLock();

  // Writes our PID down: after a process that shared the lock has written its own.
  Result<> take_back(const std::filesystem::path& state_dir) const { return lock(state_dir); }

  // The locked descriptor: a process that inherits it (it is close-on-exec) shares the lock.
  int descriptor() const { return fd_; }

 private:
  explicit StateLock(int fd) : fd_(fd) {}
  Result<> lock(const std::filesystem::path& state_dir) const;
  Result<> note_holder(const std::filesystem::path& file) const;
  int fd_ = -1;
};

// What to tell the operator when the folder, or where it would be made, does not outlive the
// machine or the container (overlayfs, tmpfs); null if it does.
std::optional<std::string> volatile_filesystem_warning(const std::filesystem::path& path);

}  // namespace latchkey
