#include "edge/admin_query.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/json.h"
#include "base/text.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxParameters = 20;

// Reads a text from the left.
class Reader {
 public:
  explicit Reader(std::string_view text) : left_(text) {}

  // Exactly so many digits, from `min` to `max`.
  bool digits(size_t count, int min, int max, int& out) {
    if (left_.size() < count) return false;
    out = 0;
    for (const char c : left_.substr(0, count)) {
      if (c < '0' || c > '9') return false;
      out = out * 10 + (c - '0');
    }
    left_.remove_prefix(count);
    return min <= out && out <= max;
  }
  bool one_of(std::string_view letters, char& out) {
    if (left_.empty() || letters.find(left_.front()) == std::string_view::npos) return false;
    out = left_.front();
    left_.remove_prefix(1);
    return true;
  }
  bool one_of(std::string_view letters) {
    char any = 0;
    return one_of(letters, any);
  }
  void skip_digits() {
    while (!left_.empty() && left_.front() >= '0' && left_.front() <= '9') left_.remove_prefix(1);
  }
  bool done() const { return left_.empty(); }

 private:
  std::string_view left_;
};

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::optional<WallTime> parse_time(std::string_view text) {
  Reader in(text);
  std::tm parts{};
  int year = 0, month = 0;
  if (!in.digits(4, 1970, 9999, year) || !in.one_of("-") || !in.digits(2, 1, 12, month) ||
      !in.one_of("-") || !in.digits(2, 1, 31, parts.tm_mday)) {
    return {};
  }
  parts.tm_year = year - 1900;
  parts.tm_mon = month - 1;
  std::tm midnight = parts;
  ::timegm(&midnight);
  if (midnight.tm_mday != parts.tm_mday) return {};  // February the 30th
  int away = 0;                                      // seconds east of Greenwich
  if (!in.done()) {
    if (!in.one_of("Tt ") || !in.digits(2, 0, 23, parts.tm_hour) || !in.one_of(":") ||
        !in.digits(2, 0, 59, parts.tm_min) || !in.one_of(":") ||
        !in.digits(2, 0, 60, parts.tm_sec)) {
      return {};
    }
    if (in.one_of(".")) {
      int any = 0;
      if (!in.digits(1, 0, 9, any)) return {};
      in.skip_digits();
    }
    char sign = 0;
    if (in.one_of("+-", sign)) {
      int hours = 0, minutes = 0;
      if (!in.digits(2, 0, 23, hours) || !in.one_of(":") || !in.digits(2, 0, 59, minutes)) {
        return {};
      }
      away = (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
    } else if (!in.one_of("Zz")) {
      return {};
    }
    if (!in.done()) return {};
  }
  const std::chrono::seconds since(::timegm(&parts) - away);
  return WallTime(since);
}

AdminQuery::AdminQuery(std::string_view query) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view item = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (item.empty()) continue;
    if (parameters_.size() == kMaxParameters) {
      complaint_ = "the query has more than 20 parameters";
      return;
    }
    const size_t equals = std::min(item.find('='), item.size());
    auto key = percent_decode(item.substr(0, equals));
    auto value = percent_decode(item.substr(std::min(equals + 1, item.size())));
    if (!key || !value) {
      complaint_ = "the query has a % without two hexadecimal digits behind it";
      return;
    }
    parameters_.push_back({*std::move(key), *std::move(value)});
  }
}

const std::string* AdminQuery::take(std::string_view key) {
  known_ += (known_.empty() ? "" : ", ") + std::string(key);
  const std::string* found = nullptr;
  for (Parameter& parameter : parameters_) {
    if (parameter.key != key) continue;
    if (found != nullptr) complain(key, "is there twice");
    parameter.read = true;
    found = &parameter.value;
  }
  return found;
}

void AdminQuery::complain(std::string_view key, const std::string& what) {
  if (complaint_.empty()) complaint_ = std::string(key) + ": " + what;
}

void AdminQuery::text(std::string_view key, size_t max, std::string& out) {
  const std::string* const value = take(key);
  if (value == nullptr) return;
  if (value->size() > max) complain(key, "longer than " + std::to_string(max) + " bytes");
  out = *value;
}

void AdminQuery::number(std::string_view key, size_t min, size_t max, size_t& out) {
  const std::string* const value = take(key);
  if (value == nullptr) return;
  size_t read = 0;
  const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), read);
  if (error == std::errc() && end == value->data() + value->size() && min <= read && read <= max) {
    out = read;
    return;
  }
  complain(key, "expected a number from " + std::to_string(min) + " to " + std::to_string(max) +
                    ", got " + json_quote(value->substr(0, 40)));
}

void AdminQuery::time(std::string_view key, std::optional<WallTime>& out) {
  const std::string* const value = take(key);
  if (value == nullptr) return;
  out = parse_time(*value);
  if (!out) {
    complain(key,
             "expected a time like 2026-03-01T12:00:00Z, got " + json_quote(value->substr(0, 40)));
  }
}

std::string AdminQuery::complaint() const {
  if (!complaint_.empty()) return complaint_;
  for (const Parameter& parameter : parameters_) {
    if (!parameter.read) {
      return "unknown parameter " + json_quote(parameter.key.substr(0, 40)) +
             (known_.empty() ? "" : "; there are: " + known_);
    }
  }
  return "";
}

}  // namespace latchkey::edge
