#include "edge/front/access_line.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "base/json.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxTarget = 8 << 10, kMaxText = 1 << 10;

std::string cut(std::string_view text, size_t max = kMaxText) {
  return std::string(text.substr(0, max));
}

std::string_view without_query(std::string_view url) {
  return url.substr(0, url.find_first_of("?#"));
}

std::string show_time(std::chrono::system_clock::time_point at) {
  using std::chrono::milliseconds;
  const auto millis = std::chrono::floor<milliseconds>(at.time_since_epoch()).count();
  const std::time_t seconds = millis / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 80> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(millis % 1000));
  return text.data();
}

std::string text_or_null(std::string_view text) {
  return text.empty() ? "null" : json_quote(text);
}

}  // namespace

AccessEntry::AccessEntry(const RequestHead& head, const ClientInfo& from, bool with_query)
    : id(head.id),
      client(head.client_address.empty() ? from.address : std::string_view(head.client_address)),
      method(cut(head.method)),
      host(cut(head.authority)),
      target(cut(with_query ? head.target : without_query(head.target), kMaxTarget)),
      user_agent(cut(head.headers.get("user-agent"))),
      referer(cut(with_query ? head.headers.get("referer")
                             : without_query(head.headers.get("referer")))),
      http(head.http2                ? "2"
           : head.minor_version == 0 ? "1.0"
                                     : "1.1"),
      tls(from.tls_version) {}

std::string AccessEntry::line(std::string_view how_it_ended, Millis duration,
                              const ExchangeNotes& notes) const {
  JsonObject out;
  out.text("time", show_time(began)).text("id", id).text("client", client);
  out.text("method", method).text("host", host).text("target", target);
  out.number("status", status);
  out.number("bytes_in", static_cast<int64_t>(bytes_in));
  out.number("bytes_out", static_cast<int64_t>(bytes_out));
  out.number("duration_ms", duration.count());
  out.raw("upstream", text_or_null(notes.upstream));
  const bool answered = notes.sent && notes.answered;
  out.raw("upstream_ms",
          answered ? std::to_string((*notes.answered - *notes.sent).count()) : "null");
  out.raw("tls", text_or_null(tls)).text("http", http);
  out.raw("user_agent", text_or_null(user_agent)).raw("referer", text_or_null(referer));
  out.text("end", how_it_ended);
  return out.str() + "\n";
}

}  // namespace latchkey::edge
