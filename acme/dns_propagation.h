#pragma once
#include <string>
#include <vector>

#include "acme/dns_view.h"
#include "base/clock.h"
#include "base/task.h"

namespace latchkey::acme {

struct PropagationLimits {
  Millis timeout{120'000};
  Millis poll{500};       // first; doubled up to 5 s
  std::string servers{};  // "192.0.2.1:53,...": each of these is asked; "": the zone's own
};

struct Propagation {
  // Empty: all showed it. Else who did not, with what was heard last: "ns1.a.test: no such record".
  std::string missing;
  bool complete() const { return missing.empty(); }
};

// Waits until each name server of the zone that `domain` is in shows the TXT record, at most for
// the time limit. A server is asked at all of its addresses in turn, so that it counts as reached
// where this machine has only one kind of them; one that cannot be reached is asked again. At most
// 16 servers with 4 addresses each. Never fails.
Task<Propagation> wait_for_record(DnsView& view, Clock& clock, PropagationLimits limits,
                                  std::string domain, std::string value);

}  // namespace latchkey::acme
