#include "ondemand/lane.h"

namespace latchkey {

std::string_view to_string(Lane lane) {
  switch (lane) {
    case Lane::kHandshake:
      return "handshake";
    case Lane::kUrgentRenewal:
      return "urgent renewal";
    case Lane::kRetry:
      return "retry";
    case Lane::kRenewal:
      return "renewal";
    case Lane::kPrefetch:
      return "prefetch";
  }
  return "";
}

}  // namespace latchkey
