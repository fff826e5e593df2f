#include "edge/dns_hook.h"

#include <utility>

#include "base/subprocess.h"
#include "base/turnstile.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kMaxWait = 10min;  // behind other calls

}  // namespace

struct DnsHook::Impl {
  Impl(Options o, uv_loop_t& l, Clock& c, Log& g)
      : options(std::move(o)), loop(l), clock(c), log(g), door(c, 1) {}

  Task<> call(std::string act, std::string domain, std::string value);

  const Options options;
  uv_loop_t& loop;
  Clock& clock;
  Log& log;
  Turnstile door;  // its queue: one for each order that is under way
};

Task<> DnsHook::Impl::call(std::string act, std::string domain, std::string value) {
  const std::string what = "DNS hook " + options.program + " " + act + " " + domain;
  Task<Turnstile::Pass> entry = door.enter(kMaxWait);
  Result<Turnstile::Pass> pass = co_await std::move(entry).result();
  if (!pass) co_return std::move(pass).error().in(what);

  ProgramCall call;
  call.path = options.program;
  call.arguments.reserve(3);
  call.arguments.push_back(act);
  call.arguments.push_back(domain + ".");
  call.arguments.push_back(std::move(value));
  call.timeout = options.timeout;
  const TimePoint begin = clock.now();
  Task<ProgramEnd> program = run_program(loop, clock, std::move(call));
  Result<ProgramEnd> end = co_await std::move(program).result();
  if (!end) co_return std::move(end).error().in(what);
  if (!end->well()) {
    // The error has its first line only.
    if (!end->errors.empty()) log.warning("dns_hook_errors", end->errors, {{"domain", domain}});
    Error error{end->timed_out ? ErrorCode::kTimeout : ErrorCode::kIo, end->describe()};
    co_return std::move(error).in(what);
  }
  const std::string said = end->output.empty() ? end->errors : end->output;
  log.debug("dns_hook", what + " is done" + (said.empty() ? "" : ": " + said),
            {{"domain", domain}, {"ms", static_cast<int64_t>((clock.now() - begin).count())}});
  co_return Unit{};
}

DnsHook::DnsHook(Options options, uv_loop_t& loop, Clock& clock, Log& log)
    : impl_(std::make_unique<Impl>(std::move(options), loop, clock, log)) {}
DnsHook::~DnsHook() = default;

Task<> DnsHook::publish(std::string domain, std::string value) {
  return impl_->call("present", std::move(domain), std::move(value));
}

Task<> DnsHook::withdraw(std::string domain, std::string value) {
  return impl_->call("cleanup", std::move(domain), std::move(value));
}

}  // namespace latchkey::edge
