#include "acme/renewal_info.h"

#include <algorithm>
#include <optional>

#include "acme/ca_url.h"
#include "acme/problem.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

constexpr int kMaxFraction = 32;  // digits of a second's fraction; beyond nine they say nothing

// Reads an RFC 3339 date-time from the left.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  bool take(char upper) {
    if (rest_.empty() || (rest_.front() != upper && rest_.front() != (upper | 32))) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Exactly `count` digits that make a number from `min` to `max`.
  std::optional<int> number(size_t count, int min, int max) {
    if (rest_.size() < count) return std::nullopt;
    int value = 0;
    for (const char c : rest_.substr(0, count)) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(count);
    return value >= min && value <= max ? std::optional(value) : std::nullopt;
  }
  // Some digits, as milliseconds.
  std::optional<int> fraction() {
    int millis = 0;
    int digits = 0;
    for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; ++digits) {
      if (digits == kMaxFraction) return std::nullopt;
      if (digits < 3) millis = millis * 10 + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    for (int i = digits; i < 3; ++i) millis *= 10;
    return digits > 0 ? std::optional(millis) : std::nullopt;
  }

 private:
  std::string_view rest_;
};

std::optional<std::chrono::sys_days> read_date(Reader& reader) {
  const auto year = reader.number(4, 1970, 9999);
  if (!year || !reader.take('-')) return std::nullopt;
  const auto month = reader.number(2, 1, 12);
  if (!month || !reader.take('-')) return std::nullopt;
  const auto day = reader.number(2, 1, 31);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

std::optional<Millis> read_time_of_day(Reader& reader) {
  const auto hour = reader.number(2, 0, 23);
  if (!hour || !reader.take(':')) return std::nullopt;
  const auto minute = reader.number(2, 0, 59);
  if (!minute || !reader.take(':')) return std::nullopt;
  const auto second = reader.number(2, 0, 60);  // a leap second is the next one
  if (!second) return std::nullopt;
  Millis time =
      std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second);
  if (!reader.take('.')) return time;
  const auto millis = reader.fraction();
  if (!millis) return std::nullopt;
  return time + Millis(*millis);
}

std::optional<Millis> read_offset(Reader& reader) {
  if (reader.take('Z')) return Millis(0);
  const bool west = reader.take('-');
  if (!west && !reader.take('+')) return std::nullopt;
  const auto hours = reader.number(2, 0, 23);
  if (!hours || !reader.take(':')) return std::nullopt;
  const auto minutes = reader.number(2, 0, 59);
  if (!minutes) return std::nullopt;
  const Millis offset = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
  return west ? -offset : offset;
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  Reader reader(text);
  const auto date = read_date(reader);
  if (!date || !(reader.take('T') || reader.take(' '))) return std::nullopt;
  const auto time = read_time_of_day(reader);
  if (!time) return std::nullopt;
  const auto offset = read_offset(reader);
  if (!offset || !reader.done()) return std::nullopt;
  return std::chrono::time_point_cast<WallTime::duration>(*date + *time - *offset);
}

Result<WallTime> read_end(const JsonValue& window, const char* key) {
  const std::string_view text = window.text_of(key);
  const std::optional<WallTime> time = parse_rfc3339(text);
  if (time) return *time;
  return Error{ErrorCode::kProtocol, "suggestedWindow." + std::string(key) +
                                         ": expected a date like 2026-01-02T04:00:00Z, got \"" +
                                         printable(text, 60) + "\""};
}

Result<RenewalInfo> read(const JsonValue& value) {
  const JsonValue* window = value.find("suggestedWindow");
  if (window == nullptr || !window->is(JsonValue::Kind::kObject)) {
    return Error{ErrorCode::kProtocol, "suggestedWindow is missing"};
  }
  RenewalInfo info;
  const Result<WallTime> start = read_end(*window, "start");
  if (!start) return start.error();
  const Result<WallTime> end = read_end(*window, "end");
  if (!end) return end.error();
  info.window = {*start, *end};
  if (*end <= *start) {
    return Error{ErrorCode::kProtocol,
                 "suggestedWindow: its end (" + printable(window->text_of("end"), 60) +
                     ") is not after its start (" + printable(window->text_of("start"), 60) + ")"};
  }
  // Only shown to people: one that is no good is left out.
  const Result<std::string> page = check_ca_url("explanationURL", value.text_of("explanationURL"));
  if (page) info.explanation_url = *page;
  return info;
}

}  // namespace

Result<RenewalInfo> RenewalInfo::parse(std::string_view url, std::string_view body) {
  const std::string where = "the renewal information " + std::string(url);
  const Result<JsonValue> value = parse_json(body);
  if (!value) {
    return Error{ErrorCode::kProtocol, where + ": not JSON: " + value.error().message};
  }
  Result<RenewalInfo> info = read(*value);
  if (!info) return std::move(info).error().in(where);
  return info;
}

}  // namespace latchkey::acme
