#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace latchkey {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// One value of a log line. Untrusted bytes are welcome: they are escaped.
struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(std::string_view k, int64_t v) : key(k), value(std::to_string(v)), numeric(true) {}
  LogField(std::string_view k, int v) : LogField(k, static_cast<int64_t>(v)) {}
  LogField(std::string_view k, size_t v) : LogField(k, static_cast<int64_t>(v)) {}

  std::string_view key;
  std::string value;
  bool numeric = false;
};

// The log: one line an event, JSON or text, to one descriptor. Any thread may write. An event is
// a fixed word ("order_failed"); each event has a budget of lines (20 at once, then 2 a second),
// and what was left out is counted in "suppressed" on its next line. Never give it a secret.
class Log {
 public:
  enum class Format { kText, kJson };

  Log(int fd, Format format, LogLevel level);
  ~Log();
  Log(const Log&) = delete;

  using Fields = std::initializer_list<LogField>;
  void debug(std::string_view event, std::string_view text, Fields fields = {}) {
    write(LogLevel::kDebug, event, text, fields);
  }
  void info(std::string_view event, std::string_view text, Fields fields = {}) {
    write(LogLevel::kInfo, event, text, fields);
  }
  void warning(std::string_view event, std::string_view text, Fields fields = {}) {
    write(LogLevel::kWarning, event, text, fields);
  }
  void error(std::string_view event, std::string_view text, Fields fields = {}) {
    write(LogLevel::kError, event, text, fields);
  }

  void set_level(LogLevel level);
  // For unbounded events that the operator asked for (an operation's own verbs, tests).
  void set_rate_limit(bool on);

 private:
  struct State;

  void write(LogLevel level, std::string_view event, std::string_view text, Fields fields);

  std::unique_ptr<State> state_;
};

}  // namespace latchkey
