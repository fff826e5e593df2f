#pragma once
#include <chrono>
#include <optional>

#include "acme/issuance.h"
#include "cache/failure.h"

// What an issuance that failed means; pure functions of its report.
namespace latchkey::acme {

// By the CA's own word; where that is missing, by the stage and the code.
FailureClass failure_class_of(const Error& error, const IssuanceReport& report);

// Does it make sense to prove the name in another way? Not where the CA objects to the name.
bool another_challenge_may_help(const IssuanceReport& report);

// Will nothing come of the order any more? Not where the CA could not be reached, told us to stay
// away, made no sense, or our own time limit ended it.
bool order_is_over(const IssuanceReport& report);
// Has it had its time? After a day an order that the CA still keeps waiting, or answers with its
// own errors, makes room for a new one. `age`: since it was made.
bool order_is_stuck(const Error& error, const IssuanceReport& report, std::chrono::seconds age);

// An order of an earlier life failed: would a new one do better? Not where the CA has looked at the
// name and refused it, or cannot be reached.
bool a_new_order_may_help(const Error& error, const IssuanceReport& report);

// What a CA says of its limits not by an HTTP status, but inside an order, is about the name.
std::optional<Throttle> throttle_of(const IssuanceReport& report, const ServerName& name);

}  // namespace latchkey::acme
