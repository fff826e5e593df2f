#include "edge/hook_program.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <list>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/uv.h"
#include "edge/event_json.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxQueued = 1000;  // about 1 KiB each, 9 KiB at most
constexpr size_t kMaxRunning = 4;
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

// No program that is started from here on has any descriptor that we have now, also those that a
// library opened without a thought for that.
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

// A file in memory, at its beginning: unlike a socket it can be opened as /dev/stdin, and unlike a
// pipe it has room for everything.
Result<int> input_of(const std::string& text) {
  OwnedFd file(::memfd_create("latchkey-event", MFD_CLOEXEC));
  if (file.get() < 0) return failed("memfd_create", errno);
  const ssize_t written = ::write(file.get(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) return failed("writing its input", errno);
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return failed("writing its input", errno);
  return file.release();
}

std::string how_it_ended(int64_t code, int signal) {
  if (signal != 0) return "was ended by signal " + std::to_string(signal);
  return "ended with code " + std::to_string(code);
}

}  // namespace

// One of the program's streams.
struct HookProgram::Output {
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

Result<int> HookProgram::Output::open(uv_loop_t& loop) {
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

void HookProgram::Output::read_left_over() {
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

struct HookProgram::Run {
  explicit Run(Impl& impl) : owner(impl) {}

  Impl& owner;
  std::string kind, name;
  Output output, errors;
  UvPtr<uv_process_t> process;  // null: it was not started
  Alarm limit;
  bool too_late = false;
};

struct HookProgram::Impl {
  struct Waiting {
    std::string kind, name, json;
  };

  Impl(HookConfig c, uv_loop_t& l, Clock& k, Log& g, Counts& n)
      : config(std::move(c)), loop(l), clock(k), log(g), counts(n) {}

  void add(const Event& event);
  void pump_later() {
    if (pumping == nullptr) pumping = clock.after(Millis(0), [this] { pump(); });
  }
  void pump();
  Result<> start(Run& run, const std::string& json);
  Result<> spawn(Run& run, std::array<int, 3> streams);
  void time_is_up(Run& run);
  static void on_exit(uv_process_t* process, int64_t code, int signal);
  void finish(Run& run, int64_t code, int signal);
  void report(const Run& run, const std::string& what) {
    counts.failed.add();
    log.warning("hook_failed", config.program + " " + what,
                {{"kind", run.kind}, {"name", run.name}});
  }
  void log_output(const Run& run);

  const HookConfig config;
  uv_loop_t& loop;
  Clock& clock;
  Log& log;
  Counts& counts;

  EventIds ids;
  std::deque<Waiting> waiting;  // <= kMaxQueued, the oldest first
  std::list<Run> runs;          // <= kMaxRunning
  Alarm pumping;
};

void HookProgram::Impl::add(const Event& event) {
  if (waiting.size() >= kMaxQueued) {
    waiting.pop_front();
    counts.dropped.add();
    log.error("hook_dropped", "too many events wait for the hook: the oldest are dropped");
  }
  waiting.push_back({event.kind, event.name, event_json(event, ids.next()) + "\n"});
  pump_later();
}

void HookProgram::Impl::pump() {
  const Alarm running = std::move(pumping);
  while (runs.size() < kMaxRunning && !waiting.empty()) {
    Waiting next = std::move(waiting.front());
    waiting.pop_front();
    Run& run = runs.emplace_back(*this);
    run.kind = std::move(next.kind);
    run.name = std::move(next.name);
    const Result<> started = start(run, next.json);
    if (started) {
      counts.started.add();
    } else {
      report(run, "could not be started: " + started.error().message);
      runs.pop_back();
    }
  }
}

Result<> HookProgram::Impl::start(Run& run, const std::string& json) {
  const auto input = input_of(json);
  if (!input) return input.error();
  const OwnedFd standard_input(*input);
  const auto output = run.output.open(loop);
  if (!output) return output.error();
  const OwnedFd standard_output(*output);
  const auto errors = run.errors.open(loop);
  if (!errors) return errors.error();
  const OwnedFd standard_error(*errors);
  auto closed = close_all_on_exec();
  if (!closed) return closed;
  return spawn(run, {*input, *output, *errors});
}

Result<> HookProgram::Impl::spawn(Run& run, std::array<int, 3> streams) {
  std::array<uv_stdio_container_t, 3> stdio{};
  for (size_t i = 0; i < streams.size(); ++i) {
    stdio[i].flags = UV_INHERIT_FD;
    stdio[i].data.fd = streams[i];
  }
  const char* const path = std::getenv("PATH");
  std::array<std::string, 3> environment{
      std::string("PATH=") + (path != nullptr ? path : kDefaultPath), "LATCHKEY_EVENT=" + run.kind,
      "LATCHKEY_NAME=" + run.name};
  std::array<char*, 4> env{environment[0].data(), environment[1].data(), environment[2].data(),
                           nullptr};
  std::string program = config.program;
  std::array<char*, 2> args{program.data(), nullptr};

  uv_process_options_t options{};
  options.exit_cb = &Impl::on_exit;
  options.file = program.c_str();
  options.args = args.data();
  options.env = env.data();
  options.flags = UV_PROCESS_DETACHED;  // what it starts is in its process group: one kill for all
  options.stdio_count = static_cast<int>(stdio.size());
  options.stdio = stdio.data();

  auto process = std::make_unique<uv_process_t>();
  const int rc = uv_spawn(&loop, process.get(), &options);
  process->data = &run;
  run.process.reset(process.release());  // to be closed even where it was not started
  if (rc != 0) return failed(config.program, -rc);
  run.limit = clock.after(config.timeout, [this, &run] { time_is_up(run); });
  return Unit{};
}

void HookProgram::Impl::time_is_up(Run& run) {
  const int pid = uv_process_get_pid(run.process.get());
  ::kill(-pid, std::exchange(run.too_late, true) ? SIGKILL : SIGTERM);
  run.limit = clock.after(kGrace, [this, &run] { time_is_up(run); });
}

void HookProgram::Impl::on_exit(uv_process_t* process, int64_t code, int signal) {
  auto* const run = static_cast<Run*>(process->data);
  run->owner.finish(*run, code, signal);
}

void HookProgram::Impl::finish(Run& run, int64_t code, int signal) {
  // What it had started and was deaf to SIGTERM.
  if (run.too_late) ::kill(-uv_process_get_pid(run.process.get()), SIGKILL);
  run.output.read_left_over();
  run.errors.read_left_over();
  log_output(run);
  if (run.too_late) {
    report(run, "took over " + std::to_string(config.timeout.count()) + " ms and " +
                    how_it_ended(code, signal));
  } else if (code != 0 || signal != 0) {
    report(run, how_it_ended(code, signal));
  }
  runs.remove_if([&](const Run& one) { return &one == &run; });
  pump_later();
}

void HookProgram::Impl::log_output(const Run& run) {
  const auto trimmed = [](std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
  };
  const std::string output = trimmed(run.output.kept);
  const std::string errors = trimmed(run.errors.kept);
  if (!output.empty()) log.debug("hook_output", output, {{"kind", run.kind}, {"name", run.name}});
  if (!errors.empty()) log.warning("hook_errors", errors, {{"kind", run.kind}, {"name", run.name}});
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

HookProgram::HookProgram(HookConfig config, uv_loop_t& loop, Clock& clock, Log& log)
    : impl_(std::make_unique<Impl>(std::move(config), loop, clock, log, counts_)) {}

HookProgram::~HookProgram() {
  for (const Run& run : impl_->runs) ::kill(-uv_process_get_pid(run.process.get()), SIGTERM);
}

void HookProgram::tell(const Event& event) {
  const std::vector<std::string>& kinds = impl_->config.kinds;
  const bool wanted =
      kinds.empty() || std::find(kinds.begin(), kinds.end(), event.kind) != kinds.end();
  if (wanted) impl_->add(event);
}

size_t HookProgram::queued() const {
  return impl_->waiting.size();
}
size_t HookProgram::running() const {
  return impl_->runs.size();
}

}  // namespace latchkey::edge
