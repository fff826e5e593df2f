#include "base/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdio>
#include <ctime>
#include <map>
#include <mutex>

#include "base/json.h"

namespace latchkey {
namespace {

using SteadyClock = std::chrono::steady_clock;

// How much of a line's text and of each field is shown, in bytes before they are escaped. A line of
// up to eight fields fits in PIPE_BUF: as it is by kLong, whatever its bytes by kShort.
struct Cut {
  size_t text;
  size_t field;
};
constexpr Cut kLong{2000, 300};
constexpr Cut kShort{200, 40};

constexpr double kBurst = 20;
constexpr double kPerSecond = 2;

constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};

std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(
                          now - std::chrono::system_clock::from_time_t(seconds))
                          .count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[80];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(std::max<int64_t>(millis, 0)));
  return text;
}

// For people: no quotes where none are needed.
std::string plain_or_quoted(const std::string& value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
  });
  return plain ? value : json_quote(value);
}

// A text of our own that may quote untrusted bytes: stays on its line.
std::string one_line(std::string_view text) {
  const std::string quoted = json_quote(text);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

struct Log::State {
  struct Budget {
    double tokens = kBurst;
    SteadyClock::time_point at = SteadyClock::now();
    int64_t suppressed = 0;
  };

  // Takes a line's token. False: leave it out.
  bool take(std::string_view event, int64_t& suppressed) {
    auto found = budgets.find(event);
    if (found == budgets.end()) found = budgets.emplace(std::string(event), Budget()).first;
    Budget& budget = found->second;
    const auto now = SteadyClock::now();
    const std::chrono::duration<double> since = now - budget.at;
    budget.at = now;
    budget.tokens = std::min(kBurst, budget.tokens + since.count() * kPerSecond);
    if (limited && budget.tokens < 1) {
      ++budget.suppressed;
      return false;
    }
    budget.tokens -= 1;
    suppressed = std::exchange(budget.suppressed, 0);
    return true;
  }

  std::string format_line(LogLevel line_level, std::string_view event, std::string_view text,
                          Fields fields, int64_t suppressed, Cut cut) const {
    const std::string_view level_name = kLevels[static_cast<size_t>(line_level)];
    text = text.substr(0, cut.text);
    if (format == Format::kJson) {
      JsonObject out;
      out.text("time", timestamp()).text("level", level_name).text("event", event);
      out.text("message", text);
      for (const LogField& field : fields) {
        const std::string value = field.value.substr(0, cut.field);
        field.numeric ? out.raw(field.key, value) : out.text(field.key, value);
      }
      if (suppressed > 0) out.number("suppressed", suppressed);
      return out.str() + '\n';
    }
    std::string line = timestamp();
    line.append(" ").append(level_name).append(" ").append(event).append(": ");
    line += one_line(text);
    for (const LogField& field : fields) {
      line.append(" ").append(field.key).append("=");
      line += plain_or_quoted(field.value.substr(0, cut.field));
    }
    if (suppressed > 0) line += " suppressed=" + std::to_string(suppressed);
    return line + '\n';
  }

  int fd;
  Format format;
  std::atomic<LogLevel> level;
  std::mutex mutex;
  bool limited = true;                                 // guarded by mutex
  std::map<std::string, Budget, std::less<>> budgets;  // guarded by mutex; one per kind of event
};

Log::Log(int fd, Format format, LogLevel level) : state_(std::make_unique<State>()) {
  state_->fd = fd;
  state_->format = format;
  state_->level = level;
}
Log::~Log() = default;

void Log::set_level(LogLevel level) {
  state_->level = level;
}

void Log::set_rate_limit(bool on) {
  std::lock_guard lock(state_->mutex);
  state_->limited = on;
}

void Log::write(LogLevel level, std::string_view event, std::string_view text, Fields fields) {
  if (level < state_->level) return;
  std::lock_guard lock(state_->mutex);
  int64_t suppressed = 0;
  if (!state_->take(event, suppressed)) return;

  std::string line = state_->format_line(level, event, text, fields, suppressed, kLong);
  // Escaping can make six bytes of one.
  if (line.size() > PIPE_BUF) {
    line = state_->format_line(level, event, text, fields, suppressed, kShort);
  }
  // A reader that has stalled must not stop the server: what finds no room is left out and counted.
  // (A pipe that is writable has room for PIPE_BUF bytes.)
  pollfd room{state_->fd, POLLOUT, 0};
  const bool writable = ::poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0;
  if (!writable || ::write(state_->fd, line.data(), line.size()) < 0) {
    state_->budgets.find(event)->second.suppressed = suppressed + 1;
  }
}

}  // namespace latchkey
