#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "edge/http/message.h"
#include "edge/http/stream.h"

namespace latchkey::edge {

// What the access log tells of one request.
struct AccessEntry {
  // What is known at its beginning. No header but the two that it names is looked at: cookies and
  // credentials stay out. Long texts are cut: the target at 8 KiB, the others at 1 KiB.
  AccessEntry(const RequestHead& head, const ClientInfo& client, bool with_query);

  // As one line of JSON, its end included: <= 100 KiB, and a few hundred bytes of most requests.
  std::string line(std::string_view how_it_ended, Millis duration,
                   const ExchangeNotes& notes) const;

  std::chrono::system_clock::time_point began = std::chrono::system_clock::now();
  std::string id, client, method, host, target, user_agent, referer;
  std::string_view http, tls;
  int status = 0;                        // 0: nothing was answered
  uint64_t bytes_in = 0, bytes_out = 0;  // of the bodies, as they crossed the wire
};

}  // namespace latchkey::edge
