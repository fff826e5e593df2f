#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/check.h"
#include "base/text.h"
#include "tests/support/eventually.h"
#include "tests/support/fd.h"

extern char** environ;

namespace latchkey::test {
namespace {

// Our environment without proxies (everything is on loopback), and with what was asked for instead
// of what it has of the same name.
std::vector<std::string> environment(
    const std::vector<std::pair<std::string, std::string>>& additions) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced = std::any_of(additions.begin(), additions.end(),
                                      [&](const auto& one) { return one.first == name; });
    if (replaced) continue;
    if (!lower(name).ends_with("_proxy")) result.emplace_back(text);
  }
  for (const auto& [name, value] : additions) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

Process::Process(Options options) : output_(options.output) {
  Fd out(open(output_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  CHECK(out);
  output_start_ = static_cast<size_t>(lseek(out.get(), 0, SEEK_END));
  const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));

  std::vector<std::string> env = environment(options.env);
  const size_t own_pid = env.size();  // the entry that is made after fork
  if (!options.listen_fds.empty()) {
    env.push_back("LISTEN_PID=0000000000");
    env.push_back("LISTEN_FDS=" + std::to_string(options.listen_fds.size()));
    env.push_back("LISTEN_FDNAMES=" + options.listen_names);
  }
  const std::vector<char*> argv = pointers(options.args);
  const std::vector<char*> envp = pointers(env);
  const pid_t parent = getpid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // what it starts, and leaves behind
  pid_ = fork();
  CHECK(pid_ >= 0);
  if (pid_ == 0) {  // only calls that are safe after fork
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(126);
    dup2(null.get(), 0);
    dup2(out.get(), 1);
    dup2(out.get(), 2);
    if (own_pid < env.size()) {
      size_t at = env[own_pid].size();
      for (pid_t rest = getpid(); rest > 0; rest /= 10) {
        env[own_pid][--at] = static_cast<char>('0' + rest % 10);
      }
      for (int& fd : options.listen_fds) fd = fcntl(fd, F_DUPFD, 100);  // out of each other's way
      for (size_t i = 0; i < options.listen_fds.size(); ++i) {
        dup2(options.listen_fds[i], static_cast<int>(3 + i));
        close(options.listen_fds[i]);
      }
    }
    if (!options.directory.empty() && chdir(options.directory.c_str()) != 0) _exit(126);
    execvpe(argv[0], argv.data(), envp.data());
    _exit(127);
  }
}

Process::Process(pid_t pid, const Process& starter)
    : pid_(pid), output_(starter.output_), output_start_(starter.output_start_) {}

Process::~Process() {
  kill_hard();
}

bool Process::running() {
  return !wait(Millis(0));
}

void Process::signal(int number) {
  if (running()) kill(pid_, number);
}

std::optional<Process::Exit> Process::wait(Millis limit) {
  if (exit_) return exit_;
  const Fd handle(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!handle && errno == ESRCH) {  // its parent, another program of ours, has waited
    exit_ = Exit{};
    return exit_;
  }
  CHECK(handle);
  pollfd event{handle.get(), POLLIN, 0};
  if (poll(&event, 1, static_cast<int>(limit.count())) <= 0) return std::nullopt;
  int status = 0;
  if (waitpid(pid_, &status, 0) != pid_) {  // its parent, another program of ours, has waited
    exit_ = Exit{};
    return exit_;
  }
  exit_ = WIFSIGNALED(status) ? Exit{-1, WTERMSIG(status)} : Exit{WEXITSTATUS(status), 0};
  return exit_;
}

void Process::kill_hard() {
  signal(SIGKILL);
  while (!wait(Millis(1000))) {
  }
}

std::string Process::output() const {
  std::ifstream in(output_, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(output_start_));
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::vector<std::string> Process::lines() const {
  const std::string text = output();
  std::vector<std::string> result;
  for (size_t start = 0, end; (end = text.find('\n', start)) != std::string::npos;
       start = end + 1) {
    result.push_back(text.substr(start, end - start));
  }
  return result;
}

std::optional<std::string> Process::wait_for_line(const Match& match, Millis limit) {
  std::optional<std::string> found;
  bool ended = false;
  eventually(
      [&] {
        ended = !running();  // before looking: what it wrote last counts
        for (auto& line : lines()) {
          if (!match(line)) continue;
          found = std::move(line);
          return true;
        }
        return ended;
      },
      limit);
  return found;
}

std::optional<std::string> Process::wait_for_line(std::string_view part, Millis limit) {
  const auto contains = [part](std::string_view line) {
    return line.find(part) != std::string_view::npos;
  };
  return wait_for_line(contains, limit);
}

size_t Process::status_bytes(std::string_view key) const {
  std::ifstream in("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key)) return std::stoul(line.substr(key.size())) * 1024;
  }
  return 0;
}

ProgramEnded run_to_end(Process::Options options, Millis limit) {
  Process process(std::move(options));
  const auto exit = process.wait(limit);
  return {exit ? exit->code : -1, process.output()};
}

size_t Process::resident_bytes() const {
  return status_bytes("VmRSS:");
}

size_t Process::peak_resident_bytes() const {
  return status_bytes("VmHWM:");
}

}  // namespace latchkey::test
