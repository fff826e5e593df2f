#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cache/certificate.h"
#include "cache/failure.h"
#include "ondemand/budget.h"
#include "ondemand/order_queue.h"
#include "policy/verdict.h"

namespace latchkey::edge {

// Pieces of the admin API's answers, as docs/admin-api.md has them.

std::string iso_time(WallTime at);                             // "2026-03-01T12:00:00Z"
int64_t whole_seconds(Millis span);                            // rounded up; never below 0
std::string json_list(const std::vector<std::string>& texts);  // of strings

// null for none; wherever it says "or null".
std::string grant_json(const GrantPtr& grant);
// Without the braces' name: {"verdict": ..., "source": ..., "reason": ..., ...}.
std::string decision_json(const Decision& decision, std::optional<WallTime> asked, WallTime now);
std::string certificate_json(const CertificatePtr& certificate, bool in_memory, bool stored);
std::string failure_json(const FailureRecord* failure, WallTime now);

// The buckets of one issuer, or ("") our own. `with_issuer`: each says whose it is.
std::string buckets_json(const std::vector<Budget::View>& views, const std::string& issuer);
std::string buckets_json(const std::vector<Budget::View>& views);
std::string queue_json(const OrderQueue::View& view);

}  // namespace latchkey::edge
