#include "base/subprocess.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>

#include "base/file.h"
#include "base/pending.h"
#include "base/uv.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxOutput = 2048;       // bytes that are kept of each stream
constexpr size_t kMaxLeftOver = 1 << 20;  // bytes that are read after its end
constexpr Millis kGrace = 2s;             // between SIGTERM and SIGKILL
constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Error failed(const std::string& what, int number) {
  return Error{ErrorCode::kIo, what + ": " + errno_text(number)};
}

// One descriptor, closed when it goes.
class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  OwnedFd(const OwnedFd&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// A file in memory, at its beginning: unlike a socket it can be opened as /dev/stdin, and unlike a
// pipe it has room for everything.
Result<int> input_of(const std::string& text) {
  OwnedFd file(::memfd_create("latchkey-input", MFD_CLOEXEC));
  if (file.get() < 0) return failed("memfd_create", errno);
  const ssize_t written = ::write(file.get(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) return failed("writing its input", errno);
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return failed("writing its input", errno);
  return file.release();
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

// Programs whose end nobody waits for: libuv reaps only those that it still has a handle of.
class Abandoned {
 public:
  static Abandoned& all() {
    static Abandoned* const one = new Abandoned;  // never destroyed: loops may outlive statics
    return *one;
  }

  void add(pid_t pid) {
    const std::lock_guard lock(mutex_);
    left_.push_back({pid, std::chrono::steady_clock::now() + kGrace});
  }
  // Those that have ended, and ends those that are deaf to SIGTERM.
  void reap() {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(left_, [&](const Left& one) {
      if (::waitpid(one.pid, nullptr, WNOHANG) != 0) return true;
      if (now >= one.kill_at) ::kill(-one.pid, SIGKILL);
      return false;
    });
  }

 private:
  struct Left {
    pid_t pid;
    std::chrono::steady_clock::time_point kill_at;
  };

  std::mutex mutex_;
  std::vector<Left> left_;  // guarded by mutex_; reaped at each start of another one
};

// One of the program's streams.
struct Output {
  // The end that the program writes to.
  Result<int> open(uv_loop_t& loop);
  void keep(const char* bytes, size_t count) {
    kept.append(bytes, std::min(count, kMaxOutput - kept.size()));
  }
  // What lies in the pipe. Not to its end: something that the program has started may keep it open.
  void read_left_over();

  static void on_room(uv_handle_t* handle, size_t, uv_buf_t* room) {
    auto* const self = static_cast<Output*>(handle->data);
    *room = uv_buf_init(self->buffer.data(), static_cast<unsigned>(self->buffer.size()));
  }
  static void on_bytes(uv_stream_t* stream, ssize_t count, const uv_buf_t* bytes) {
    auto* const self = static_cast<Output*>(stream->data);
    if (count > 0) self->keep(bytes->base, static_cast<size_t>(count));
    if (count < 0) uv_read_stop(stream);
  }

  UvPtr<uv_pipe_t> pipe;
  std::string kept;  // <= kMaxOutput
  std::array<char, 4096> buffer;
};

Result<int> Output::open(uv_loop_t& loop) {
  std::array<uv_file, 2> ends{};
  const int rc = uv_pipe(ends.data(), UV_NONBLOCK_PIPE, 0);
  if (rc != 0) return failed("pipe", -rc);
  OwnedFd ours(ends[0]), theirs(ends[1]);
  auto fresh = std::make_unique<uv_pipe_t>();
  uv_pipe_init(&loop, fresh.get(), 0);
  fresh->data = this;
  pipe.reset(fresh.release());
  const int opened = uv_pipe_open(pipe.get(), ours.get());
  if (opened != 0) return failed("pipe", -opened);
  ours.release();
  uv_read_start(reinterpret_cast<uv_stream_t*>(pipe.get()), &Output::on_room, &Output::on_bytes);
  return theirs.release();
}

void Output::read_left_over() {
  if (pipe == nullptr) return;
  uv_os_fd_t fd = -1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(pipe.get()), &fd) != 0) return;
  for (size_t left = kMaxLeftOver; left > 0;) {
    const ssize_t count = ::read(fd, buffer.data(), std::min(buffer.size(), left));
    if (count <= 0) return;
    keep(buffer.data(), static_cast<size_t>(count));
    left -= static_cast<size_t>(count);
  }
}

// A program that runs; lives in the frame of run_program().
class Run {
 public:
  Run(uv_loop_t& loop, Clock& clock, ProgramCall call)
      : loop_(loop), clock_(clock), call_(std::move(call)) {}
  ~Run() {
    if (process_ == nullptr || over_) return;
    const int pid = uv_process_get_pid(process_.get());
    if (pid <= 0) return;  // it was not started
    ::kill(-pid, SIGTERM);
    Abandoned::all().add(pid);
  }
  Run(const Run&) = delete;

  Result<> start();
  Pending<ProgramEnd>& ended() { return ended_; }

 private:
  Result<> spawn(std::array<int, 3> streams);
  Error not_started(int number) const;
  void time_is_up();
  void finish(int64_t code, int signal);

  uv_loop_t& loop_;
  Clock& clock_;
  ProgramCall call_;
  Output output_, errors_;
  UvPtr<uv_process_t> process_;
  Alarm limit_;
  bool too_late_ = false;
  bool over_ = false;  // reaped
  Pending<ProgramEnd> ended_;
};

Result<> Run::start() {
  Abandoned::all().reap();
  const auto input = input_of(call_.input);
  if (!input) return input.error();
  const OwnedFd standard_input(*input);
  const auto output = output_.open(loop_);
  if (!output) return output.error();
  const OwnedFd standard_output(*output);
  const auto errors = errors_.open(loop_);
  if (!errors) return errors.error();
  const OwnedFd standard_error(*errors);
  auto closed = close_all_on_exec();
  if (!closed) return closed;
  return spawn({*input, *output, *errors});
}

Result<> Run::spawn(std::array<int, 3> streams) {
  std::array<uv_stdio_container_t, 3> stdio{};
  for (size_t i = 0; i < streams.size(); ++i) {
    stdio[i].flags = UV_INHERIT_FD;
    stdio[i].data.fd = streams[i];
  }
  const char* const path = std::getenv("PATH");
  std::vector<std::string> environment;
  environment.reserve(call_.environment.size() + 1);
  environment.push_back(std::string("PATH=") + (path != nullptr ? path : kDefaultPath));
  for (const auto& [name, value] : call_.environment) environment.push_back(name + "=" + value);
  std::vector<char*> env;
  env.reserve(environment.size() + 1);
  for (std::string& one : environment) env.push_back(one.data());
  env.push_back(nullptr);
  std::vector<char*> args;
  args.reserve(call_.arguments.size() + 2);
  args.push_back(call_.path.data());
  for (std::string& one : call_.arguments) args.push_back(one.data());
  args.push_back(nullptr);

  uv_process_options_t options{};
  options.exit_cb = [](uv_process_t* process, int64_t code, int signal) {
    static_cast<Run*>(process->data)->finish(code, signal);
  };
  options.file = call_.path.c_str();
  options.args = args.data();
  options.env = env.data();
  options.flags = UV_PROCESS_DETACHED;  // what it starts is in its process group: one kill for all
  options.stdio_count = static_cast<int>(stdio.size());
  options.stdio = stdio.data();

  auto process = std::make_unique<uv_process_t>();
  const int rc = uv_spawn(&loop_, process.get(), &options);
  process->data = this;
  process_.reset(process.release());  // to be closed even where it was not started
  if (rc != 0) {
    over_ = true;
    return not_started(-rc);
  }
  limit_ = clock_.after(call_.timeout, [this] { time_is_up(); });
  return Unit{};
}

Error Run::not_started(int number) const {
  if (auto usable = check_program(call_.path); !usable) {
    return Error{ErrorCode::kIo, usable.error().message};
  }
  std::string why = call_.path + " cannot be run: " + errno_text(number);
  if (number == ENOENT) why += " (its interpreter, named in its first line, is missing)";
  return Error{ErrorCode::kIo, std::move(why)};
}

void Run::time_is_up() {
  const int pid = uv_process_get_pid(process_.get());
  ::kill(-pid, std::exchange(too_late_, true) ? SIGKILL : SIGTERM);
  limit_ = clock_.after(kGrace, [this] { time_is_up(); });
}

void Run::finish(int64_t code, int signal) {
  over_ = true;
  limit_.reset();
  // What it had started and was deaf to SIGTERM.
  if (too_late_) ::kill(-uv_process_get_pid(process_.get()), SIGKILL);
  output_.read_left_over();
  errors_.read_left_over();
  ProgramEnd end;
  end.status = signal != 0 ? -1 : static_cast<int>(code);
  end.signal = signal;
  end.timed_out = too_late_;
  end.limit = call_.timeout;
  end.output = trimmed(std::move(output_.kept));
  end.errors = trimmed(std::move(errors_.kept));
  ended_.resolve(std::move(end));  // which may end us
}

}  // namespace

Result<> close_all_on_exec() {
  if (::close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0) return Unit{};
  // An older kernel (or one that is only played).
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const int fd = std::atoi(entry.path().filename().c_str());
    if (fd > STDERR_FILENO) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  if (error) return Error{ErrorCode::kIo, "reading /proc/self/fd: " + error.message()};
  return Unit{};
}

Result<> check_program(const std::string& path) {
  const auto wrong = [&](const std::string& why) {
    return Error{ErrorCode::kInvalid, path + " " + why};
  };
  if (path.find('/') == std::string::npos) return wrong("must be named with its folder");
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return wrong("cannot be run: " + errno_text(errno));
  if (!S_ISREG(status.st_mode)) return wrong("is not a file");
  if (::access(path.c_str(), X_OK) != 0) {
    return wrong("cannot be run: " + errno_text(errno) + " (chmod +x makes a file a program)");
  }
  return Unit{};
}

std::string ProgramEnd::how() const {
  std::string text = timed_out ? "took over " + std::to_string(limit.count()) + " ms and " : "";
  if (signal != 0) return text + "was ended by signal " + std::to_string(signal);
  return text + "ended with code " + std::to_string(status);
}

std::string ProgramEnd::describe() const {
  const std::string first = errors.substr(0, errors.find('\n'));
  return first.empty() ? how() : how() + ": " + trimmed(first);
}

Task<ProgramEnd> run_program(uv_loop_t& loop, Clock& clock, ProgramCall call) {
  Run run(loop, clock, std::move(call));
  Result<> started = run.start();
  if (!started) co_return std::move(started).error();
  Pending<ProgramEnd>& ended = run.ended();  // named: g++ 12 would copy it
  Result<ProgramEnd> end = co_await ended;
  co_return end;
}

}  // namespace latchkey
