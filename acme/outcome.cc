#include "acme/outcome.h"

namespace latchkey::acme {
namespace {

constexpr std::chrono::hours kOrderTime{24};  // CAs give one about a week

// An answer that is no ACME: of something in between, or of a CA that has lost its way.
bool is_no_acme(const Problem& problem) {
  return problem.type.empty() && problem.failure_class() == FailureClass::kOther;
}

}  // namespace

FailureClass failure_class_of(const Error& error, const IssuanceReport& report) {
  if (report.judging) return FailureClass::kBadCertificate;
  if (report.problem && is_no_acme(*report.problem)) return FailureClass::kServerInternal;
  if (report.problem) return report.problem->failure_class();
  if (report.unprovable) return FailureClass::kOther;
  if (report.storage_failed) return FailureClass::kStorage;
  if (report.unpublished) return FailureClass::kDns;
  if (error.code == ErrorCode::kThrottled) return FailureClass::kRateLimited;
  if (error.code == ErrorCode::kTimeout) return FailureClass::kTimeout;
  if (error.code == ErrorCode::kInvalid) return FailureClass::kAccount;
  return FailureClass::kServerInternal;
}

bool another_challenge_may_help(const IssuanceReport& report) {
  if (!report.proof_failed) return false;
  if (!report.problem) return true;
  const FailureClass failure = report.problem->failure_class();
  return failure != FailureClass::kCaa && failure != FailureClass::kRejectedIdentifier &&
         failure != FailureClass::kRateLimited;
}

bool order_is_over(const IssuanceReport& report) {
  if (report.over || report.judging) return true;
  if (!report.problem) return false;
  const int status = report.problem->status;
  return status / 100 == 4 && status != 408 && status != 429;
}

bool order_is_stuck(const Error& error, const IssuanceReport& report, std::chrono::seconds age) {
  if (!report.resumed || report.order_url.empty() || age < kOrderTime) return false;
  if (!report.problem) return error.code == ErrorCode::kTimeout;
  return report.problem->status / 100 == 5 && !report.throttle;
}

bool a_new_order_may_help(const Error& error, const IssuanceReport& report) {
  if (!report.resumed || report.proof_failed) return false;
  if (!report.problem) return order_is_over(report) || error.code == ErrorCode::kProtocol;
  switch (report.problem->failure_class()) {
    case FailureClass::kCaa:
    case FailureClass::kRejectedIdentifier:
    case FailureClass::kRateLimited:
    case FailureClass::kUserActionRequired:
      return false;
    default:
      return order_is_over(report);
  }
}

std::optional<Throttle> throttle_of(const IssuanceReport& report, const ServerName& name) {
  if (report.throttle || !report.problem) return report.throttle;
  if (report.problem->failure_class() != FailureClass::kRateLimited) return std::nullopt;
  const Throttle throttle = classify_throttle(Resource::kNewOrder, *report.problem, name.text());
  if (throttle.scope == LimitScope::kResource) return std::nullopt;
  return throttle;
}

}  // namespace latchkey::acme
