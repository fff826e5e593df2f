#include "edge/upgrade.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/subprocess.h"

namespace latchkey::edge {
namespace {

constexpr Millis kEndTime{5'000};

// What is about one process only.
constexpr std::array<std::string_view, 5> kNotPassedOn = {
    "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "WATCHDOG_PID=", "LATCHKEY_UPGRADE="};

std::vector<std::string> environment(const std::vector<Upgrade::Passed>& sockets) {
  std::vector<std::string> out;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view text(*one);
    const bool ours = std::any_of(kNotPassedOn.begin(), kNotPassedOn.end(),
                                  [&](std::string_view name) { return text.starts_with(name); });
    if (!ours) out.emplace_back(text);
  }
  std::string names;
  for (const auto& socket : sockets) names += (names.empty() ? "" : ":") + socket.name;
  out.push_back(std::string(Upgrade::kVariable) + "=" + names);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::string on_the_path(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::error_code ignored;
    const auto file = std::filesystem::absolute(std::filesystem::path(folder) / name, ignored);
    if (check_program(file.string())) return file.string();
  }
  return "";
}

}  // namespace

Program Program::of_this_process(int argc, char** argv) {
  Program out;
  out.arguments.assign(argv, argv + argc);
  std::error_code failed;
  const std::string name = argc > 0 ? argv[0] : "";
  if (name.find('/') != std::string::npos) {
    out.file = std::filesystem::absolute(name, failed).lexically_normal().string();
  } else {
    out.file = on_the_path(name);
  }
  if (out.file.empty() || !check_program(out.file)) {
    out.file = std::filesystem::read_symlink("/proc/self/exe", failed).string();
  }
  return out;
}

Upgrade::Upgrade(Hooks hooks, Loop& loop, Log& log, Millis limit)
    : hooks_(std::move(hooks)), loop_(loop), log_(log), limit_(limit) {}

Upgrade::~Upgrade() {
  if (step_ != Step::kReplaced && pid_ > 0 && !ended_) ::kill(pid_, SIGKILL);
}

void Upgrade::begin(const Program& program, int lock, const std::vector<Passed>& sockets) {
  log_.info("upgrade_begins", "a new process is started that is to take over",
            {{"program", program.file}});
  auto ends = HandoverChannel::make();
  Result<> started = ends ? Result<>(Unit{}) : Result<>(ends.error());
  if (ends) {
    started = spawn(program, ends->second.get(), lock, sockets);
    channel_ = std::make_unique<HandoverChannel>(std::move(ends->first));
  }
  if (!started) {
    loop_.address().post([this, alive = std::weak_ptr(alive_), why = started.error().message] {
      if (!alive.expired()) fail(why);
    });
    return;
  }
  channel_->listen(loop_.uv(),
                   {[this](const std::string& message) { hear(message); }, [this] { hear_end(); }});
  enter(Step::kStarting);
}

Result<> Upgrade::spawn(const Program& program, int channel, int lock,
                        const std::vector<Passed>& sockets) {
  if (auto usable = check_program(program.file); !usable) return usable;
  if (auto closed = close_all_on_exec(); !closed) return closed;
  std::vector<uv_stdio_container_t> stdio;
  const auto pass = [&stdio](int fd) {
    uv_stdio_container_t& one = stdio.emplace_back();
    one.flags = UV_INHERIT_FD;
    one.data.fd = fd;
  };
  stdio.reserve(sockets.size() + kSockets);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, channel, lock}) pass(fd);
  for (const Passed& socket : sockets) pass(socket.fd);
  std::vector<std::string> env = environment(sockets), arguments = program.arguments;
  const std::vector<char*> env_pointers = pointers(env), argument_pointers = pointers(arguments);

  uv_process_options_t options{};
  options.exit_cb = [](uv_process_t* process, int64_t code, int signal) {
    auto* const self = static_cast<Upgrade*>(process->data);
    self->ended_ = true;
    self->how_ = signal != 0 ? "it was ended by signal " + std::to_string(signal)
                             : "it ended with code " + std::to_string(code);
    if (self->step_ == Step::kFailed) return self->conclude();
    if (self->step_ != Step::kReplaced) return self->fail("");
    self->told_to_ = code == 0 && signal == 0;
    self->look_whether_gone();
  };
  options.file = program.file.c_str();
  options.args = const_cast<char**>(argument_pointers.data());
  options.env = const_cast<char**>(env_pointers.data());
  options.stdio_count = static_cast<int>(stdio.size());
  options.stdio = stdio.data();
  auto process = std::make_unique<uv_process_t>();
  const int rc = uv_spawn(&loop_.uv(), process.get(), &options);
  process->data = this;
  process_.reset(process.release());  // to be closed even where it was not started
  if (rc != 0) {
    return Error{ErrorCode::kIo, program.file + " cannot be run: " + errno_text(-rc)};
  }
  pid_ = uv_process_get_pid(process_.get());
  return Unit{};
}

void Upgrade::enter(Step step) {
  step_ = step;
  alarm_ = loop_.clock().after(limit_, [this] {
    fail("it was not ready within upgrade_timeout (" + std::to_string(limit_.count()) + " ms)");
  });
}

void Upgrade::hear(const std::string& message) {
  // The hooks call back at any time, but not when this has gone on without them.
  const auto once = [this](Step from, Step to, const char* word) {
    return [this, alive = std::weak_ptr(alive_), from, to, word] {
      if (alive.expired() || step_ != from) return;
      enter(to);
      channel_->send(word);
    };
  };
  if (step_ == Step::kStarting && message == "prepared") {
    step_ = Step::kHolding;  // that has a limit of its own
    alarm_.reset();
    hooks_.hold_orders(once(Step::kHolding, Step::kOpening, "go"));
  } else if (step_ == Step::kOpening && message == "ready") {
    enter(Step::kStopping);
    hooks_.stop_accepting(once(Step::kStopping, Step::kAccepting, "accept"));
  } else if (step_ == Step::kAccepting && message.starts_with("accepting")) {
    alarm_.reset();
    step_ = Step::kReplaced;
    hooks_.replaced(pid_, message == "accepting admin");
  } else if (step_ == Step::kReplaced) {
    take_news(message);
  } else if (step_ != Step::kFailed) {
    fail("it said \"" + message + "\" out of turn");
  }
}

// It is about to end, which says more.
void Upgrade::hear_end() {
  if (step_ == Step::kReplaced) {
    channel_.reset();
    return look_whether_gone();
  }
  if (step_ == Step::kFailed || ended_) return;
  alarm_ = loop_.clock().after(kEndTime, [this] { fail("it has closed its end of the channel"); });
}

// It has to have ended before we go on: the store is either's.
void Upgrade::fail(const std::string& why) {
  if (step_ == Step::kFailed) return;
  step_ = Step::kFailed;
  alarm_.reset();
  why_ = why;
  if (pid_ > 0 && !ended_) {
    ::kill(pid_, SIGKILL);
    return;
  }
  loop_.address().post([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) conclude();
  });
}

// May destroy this.
void Upgrade::conclude() {
  log_.error("upgrade_failed", "this process serves on; the new one did not get ready: " +
                                   (why_.empty() ? how_ : why_));
  const auto failed = hooks_.failed;
  failed();
}

void Upgrade::want(const ServerName& name, Slot slot, Done done) {
  const uint64_t id = ++next_want_;
  const std::string message = "want " + std::to_string(id) + " " +
                              std::to_string(static_cast<int>(slot)) + " " + name.text();
  if (over_ || (channel_ != nullptr && !channel_->send(message))) {
    return done(Error{ErrorCode::kThrottled, "the process that has taken over does not answer"});
  }
  wants_.emplace(id, std::move(done));
}

// See Predecessor.
void Upgrade::take_news(const std::string& message) {
  constexpr std::string_view kClosed = "closed ";
  if (message.starts_with(kClosed)) return hooks_.closed(message.substr(kClosed.size()));
  if (message != "leaving") return take_answer(message);
  left_ = true;
  hooks_.left();
}

// Both have to be known: its end, and all that it has said before.
void Upgrade::look_whether_gone() {
  if (!ended_ || channel_ != nullptr) return;
  if (!left_ && !told_to_) {
    log_.error("successor_ended", "the process that took over has died: " + how_,
               {{"successor", int64_t{pid_}}});
    return hooks_.died();
  }
  if (!left_) hooks_.left();
  drop_wants();
}

// "got ID", or "got ID CODE RETRY_AFTER TEXT"
void Upgrade::take_answer(const std::string& message) {
  std::istringstream words(message);
  std::string got;
  uint64_t id = 0;
  int code = 0;
  int64_t retry_after = 0;
  if (!(words >> got >> id) || got != "got") return;
  auto want = wants_.extract(id);
  if (want.empty()) return;
  const Done done = std::move(want.mapped());
  if (!(words >> code >> retry_after)) return done(Unit{});
  std::string text;
  std::getline(words >> std::ws, text);
  done(Error{static_cast<ErrorCode>(code), std::move(text), Millis(retry_after)});
}

void Upgrade::drop_wants() {
  over_ = true;
  const auto wants = std::exchange(wants_, {});
  const Error gone{ErrorCode::kThrottled, "the process that has taken over has ended"};
  for (const auto& [id, done] : wants) done(gone);
}

}  // namespace latchkey::edge
