#include "base/retry_after.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <string>

namespace latchkey {
namespace {

constexpr std::chrono::seconds kLongest = std::chrono::hours(24);

std::optional<Millis> until_http_date(const std::string& text, WallTime now) {
  std::tm broken{};
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &broken);
  if (end == nullptr || *end != '\0') return std::nullopt;
  const WallTime then(std::chrono::seconds(timegm(&broken)));
  return std::clamp(then - now, std::chrono::seconds(0), kLongest);
}

}  // namespace

std::optional<Millis> parse_retry_after(std::string_view text, WallTime now) {
  if (text.empty()) return std::nullopt;
  if (text.find_first_not_of("0123456789") != text.npos) {
    return until_http_date(std::string(text), now);
  }
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc()) return kLongest;
  return std::min(std::chrono::seconds(seconds), kLongest);
}

}  // namespace latchkey
