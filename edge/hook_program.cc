#include "edge/hook_program.h"

#include <algorithm>
#include <deque>
#include <list>
#include <utility>
#include <vector>

#include "edge/event_json.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxQueued = 1000;  // about 1 KiB each, 9 KiB at most
constexpr size_t kMaxRunning = 4;

}  // namespace

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
  Task<> run(Waiting event);
  void report(const Waiting& event, const std::string& what) {
    counts.failed.add();
    log.warning("hook_failed", config.program + " " + what,
                {{"kind", event.kind}, {"name", event.name}});
  }

  const HookConfig config;
  uv_loop_t& loop;
  Clock& clock;
  Log& log;
  Counts& counts;

  EventIds ids;
  std::deque<Waiting> waiting;  // <= kMaxQueued, the oldest first
  size_t running = 0;           // <= kMaxRunning
  std::list<Task<>> runs;       // those, and some that are over
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
  const Alarm now = std::move(pumping);
  runs.remove_if([](const Task<>& one) { return one.done(); });
  while (running < kMaxRunning && !waiting.empty()) {
    Waiting next = std::move(waiting.front());
    waiting.pop_front();
    runs.push_back(run(std::move(next)));
    ++running;
    runs.back().start();
  }
}

Task<> HookProgram::Impl::run(Waiting event) {
  ProgramCall call;
  call.path = config.program;
  call.environment.emplace_back("LATCHKEY_EVENT", event.kind);
  call.environment.emplace_back("LATCHKEY_NAME", event.name);
  call.input = std::move(event.json);
  call.timeout = config.timeout;
  Task<ProgramEnd> program = run_program(loop, clock, std::move(call));
  const Result<ProgramEnd> end = co_await std::move(program).result();
  --running;
  pump_later();
  if (!end) {
    report(event, "could not be started: " + end.error().message);
    co_return Unit{};
  }
  counts.started.add();
  const std::string &output = end->output, &errors = end->errors;
  if (!output.empty()) {
    log.debug("hook_output", output, {{"kind", event.kind}, {"name", event.name}});
  }
  if (!errors.empty()) {
    log.warning("hook_errors", errors, {{"kind", event.kind}, {"name", event.name}});
  }
  if (!end->well()) report(event, end->how());
  co_return Unit{};
}

HookProgram::HookProgram(HookConfig config, uv_loop_t& loop, Clock& clock, Log& log)
    : impl_(std::make_unique<Impl>(std::move(config), loop, clock, log, counts_)) {}

HookProgram::~HookProgram() = default;

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
  return impl_->running;
}

}  // namespace latchkey::edge
