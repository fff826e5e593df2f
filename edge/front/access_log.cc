#include "edge/front/access_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <utility>

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr size_t kWorthwhile = 64 << 10;
constexpr auto kLinger = 100ms;  // for more lines to write in one go
constexpr int64_t kTellEvery = 10;
constexpr int kRoomPollMs = 200;
constexpr auto kLastWords = 2s;

bool is_stream(const std::string& file) {
  return file == "stdout" || file == "stderr";
}

Error cannot_open(const std::string& file, int error) {
  return {ErrorCode::kInvalid, "access_log.file: cannot open " + file + ": " +
                                   std::strerror(error) +
                                   "; name a file in a folder that the process may write to, or "
                                   "\"stdout\""};
}

// O_NONBLOCK: opening a pipe that nobody reads fails instead of waiting.
int open_file(const std::string& file) {
  if (file == "stdout") return ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
  if (file == "stderr") return ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  return ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
}

bool is_regular(int fd) {
  struct stat about {};
  return ::fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

int64_t steady_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

uint64_t lines_in(std::string_view bytes) {
  return static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
}

}  // namespace

Result<std::unique_ptr<AccessLog>> AccessLog::open(const std::string& file, Log& log,
                                                   Counter& dropped) {
  const int fd = open_file(file);
  if (fd < 0) return cannot_open(file, errno);
  return std::unique_ptr<AccessLog>(new AccessLog(file, fd, log, dropped));
}

AccessLog::AccessLog(std::string file, int fd, Log& log, Counter& dropped)
    : file_(std::move(file)),
      log_(log),
      dropped_(dropped),
      fd_(fd),
      regular_(is_regular(fd)),
      told_at_(steady_seconds() - kTellEvery),
      thread_([this] { work(); }) {}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  thread_.join();
  ::close(fd_);
}

void AccessLog::write(std::string_view line) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kMaxWaiting) {
      losses_.fetch_add(1, std::memory_order_relaxed);
      dropped_.add();
      return;
    }
    first = waiting_.empty();
    waiting_.append(line);
    if (waiting_.size() >= kWorthwhile && waiting_.size() - line.size() < kWorthwhile) first = true;
  }
  if (first) wake_.notify_one();
}

void AccessLog::reopen() {
  if (is_stream(file_)) return;
  {
    const std::lock_guard lock(mutex_);
    reopen_ = true;
  }
  wake_.notify_one();
}

void AccessLog::work() {
  std::string writing;
  for (;;) {
    bool anew = false;
    {
      std::unique_lock lock(mutex_);
      const auto urgent = [this] { return reopen_ || closing_; };
      wake_.wait(lock, [&] { return urgent() || !waiting_.empty(); });
      wake_.wait_for(lock, kLinger, [&] { return urgent() || waiting_.size() >= kWorthwhile; });
      if (closing_ && waiting_.empty()) return;
      anew = std::exchange(reopen_, false);
      writing.clear();
      if (writing.capacity() > 4 * kWorthwhile) writing.shrink_to_fit();
      writing.swap(waiting_);
    }
    if (anew) open_anew();
    write_out(writing);
    tell_of_losses();
  }
}

// Whole lines go, or are counted as lost.
void AccessLog::write_out(std::string_view bytes) {
  const auto began = std::chrono::steady_clock::now();
  if (torn_ && ::write(fd_, "\n", 1) == 1) torn_ = false;
  while (!bytes.empty()) {
    if (!regular_ && !wait_for_room()) {
      last_error_ = "nobody reads it";
      tell_of_losses();
      if (!closing_ || std::chrono::steady_clock::now() - began < kLastWords) continue;
      break;
    }
    // A pipe with room takes PIPE_BUF bytes without waiting.
    const size_t size = regular_ ? bytes.size() : std::min<size_t>(bytes.size(), PIPE_BUF);
    const ssize_t written = ::write(fd_, bytes.data(), size);
    if (written > 0) {
      torn_ = bytes[static_cast<size_t>(written) - 1] != '\n';
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR && errno != EAGAIN) {
      last_error_ = std::strerror(errno);
      break;
    }
  }
  const uint64_t lost = lines_in(bytes);
  if (lost == 0) return;
  losses_.fetch_add(lost, std::memory_order_relaxed);
  dropped_.add(lost);
}

bool AccessLog::wait_for_room() const {
  pollfd room{fd_, POLLOUT, 0};
  return ::poll(&room, 1, kRoomPollMs) > 0;
}

void AccessLog::open_anew() {
  const int fd = open_file(file_);
  if (fd < 0) {
    log_.error("access_log_reopen_failed", cannot_open(file_, errno).message);
    return;
  }
  ::close(std::exchange(fd_, fd));
  regular_ = is_regular(fd);
}

void AccessLog::tell_of_losses() {
  if (losses_.load(std::memory_order_relaxed) == 0 || steady_seconds() - told_at_ < kTellEvery) {
    return;
  }
  told_at_ = steady_seconds();
  log_.warning("access_log_dropped",
               "lines of the access log were dropped: the file does not take them, or not fast "
               "enough",
               {{"file", file_},
                {"lines", static_cast<int64_t>(losses_.exchange(0, std::memory_order_relaxed))},
                {"error", last_error_}});
  last_error_.clear();
}

}  // namespace latchkey::edge
