#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cache/certificate.h"
#include "cache/event.h"
#include "cache/failure.h"
#include "cache/renewal.h"
#include "ondemand/budget.h"
#include "ondemand/order_queue.h"
#include "policy/verdict.h"

namespace latchkey::edge {

// Pieces of the admin API's answers, as docs/admin-api.md has them.

std::string iso_time(WallTime at);  // "2026-03-01T12:00:00Z"
// In quotes; null for what never was (1970) or never will be (WallTime::max()).
std::string time_json(WallTime at);
int64_t whole_seconds(Millis span);                            // rounded up; never below 0
std::string json_list(const std::vector<std::string>& texts);  // of strings

// null for none; wherever it says "or null".
std::string grant_json(const GrantPtr& grant);
// Without the braces' name: {"verdict": ..., "source": ..., "reason": ..., ...}.
std::string decision_json(const Decision& decision, std::optional<WallTime> asked, WallTime now);
std::string certificate_json(const CertificatePtr& certificate, bool in_memory, bool stored,
                             WallTime now);
std::string failure_json(const FailureRecord* failure, WallTime now);

// A row of the list of certificates.
std::string info_json(const CertificateInfo& info, WallTime now);
// The plan and what it goes by, for one certificate.
std::string renewal_json(const std::optional<CertificateInfo>& info, WallTime now);
// Without its key.
std::string order_json(const std::optional<PendingOrder>& order);
std::string events_json(const std::vector<Event>& events);
// Everything about the certificate, its chain in PEM included, never its key. `info`: of it, where
// it is stored. `twin`: the JSON of the name's second one.
std::string full_certificate_json(const Certificate& certificate,
                                  const std::optional<CertificateInfo>& info, bool in_memory,
                                  const std::string& twin, WallTime now);

// The buckets of one issuer, or ("") our own. `with_issuer`: each says whose it is.
std::string buckets_json(const std::vector<Budget::View>& views, const std::string& issuer);
std::string buckets_json(const std::vector<Budget::View>& views);
std::string queue_json(const OrderQueue::View& view);

}  // namespace latchkey::edge
