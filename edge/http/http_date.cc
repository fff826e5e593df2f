#include "edge/http/http_date.h"

#include <array>
#include <ctime>

namespace latchkey::edge {

const std::string& http_date(const Clock& clock) {
  // Asked for with each response, made once a second.
  thread_local WallTime at{};
  thread_local std::string text;
  const WallTime now = clock.wall_now();
  if (now != at || text.empty()) {
    static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                         "Thu", "Fri", "Sat"};
    static constexpr std::array<const char*, 12> kMonths = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char buffer[64];
    const size_t size = std::strftime(buffer, sizeof buffer, "---, %d --- %Y %H:%M:%S GMT", &parts);
    text.assign(buffer, size);
    text.replace(0, 3, kDays[static_cast<size_t>(parts.tm_wday)]);
    text.replace(8, 3, kMonths[static_cast<size_t>(parts.tm_mon)]);
    at = now;
  }
  return text;
}

}  // namespace latchkey::edge
