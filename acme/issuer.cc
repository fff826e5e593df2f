#include "acme/issuer.h"

#include <algorithm>
#include <utility>

#include "acme/account.h"
#include "acme/acme_ca.h"
#include "acme/ca_url.h"
#include "acme/challenge_choice.h"
#include "acme/client.h"
#include "acme/csr.h"
#include "acme/issuance.h"
#include "acme/judge.h"
#include "acme/key_maker.h"
#include "base/json.h"
#include "base/within.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;

constexpr Millis kObtainLimit = 10min;

// Where the CA's own word is missing, the stage and the code must do.
FailureClass failure_class_of(const Error& error, const IssuanceReport& report) {
  if (report.judging) return FailureClass::kBadCertificate;
  if (report.problem) return report.problem->failure_class();
  if (report.storage_failed) return FailureClass::kStorage;
  if (error.code == ErrorCode::kThrottled) return FailureClass::kRateLimited;
  if (error.code == ErrorCode::kTimeout) return FailureClass::kTimeout;
  if (error.code == ErrorCode::kInvalid) return FailureClass::kAccount;
  return FailureClass::kServerInternal;
}

// Does it make sense to prove the name in another way? Not where the CA objects to the name.
bool another_challenge_may_help(const IssuanceReport& report) {
  if (!report.proof_failed) return false;
  if (!report.problem) return true;
  const FailureClass failure = report.problem->failure_class();
  return failure != FailureClass::kCaa && failure != FailureClass::kRejectedIdentifier &&
         failure != FailureClass::kRateLimited;
}

Task<CertificatePtr> ended_after(Clock& clock, Millis limit, Task<CertificatePtr> task) {
  co_return co_await within(clock, limit, std::move(task));
}

// What a CA says of its limits not by an HTTP status, but inside an order, is about the name.
std::optional<Throttle> throttle_of(const IssuanceReport& report, const ServerName& name) {
  if (report.throttle || !report.problem) return report.throttle;
  if (report.problem->failure_class() != FailureClass::kRateLimited) return std::nullopt;
  const Throttle throttle = classify_throttle(Resource::kNewOrder, *report.problem, name.text());
  if (throttle.scope == LimitScope::kResource) return std::nullopt;
  return throttle;
}

std::string_view challenge_of(const IssuanceReport& report) {
  return report.answered ? to_string(*report.answered) : "none";
}

}  // namespace

struct AcmeIssuer::Impl {
  Impl(IssuerOptions o, HttpClient& http, Clock& c, Store& store, ChallengeTable& table, Log& l)
      : options(std::move(o)),
        clock(c),
        challenges(table),
        log(l),
        client(options.directory, http, clock, log, counts, options.pacer),
        accounts({options.email, options.accept_terms}, client, store, log),
        choice(options.challenges),
        keys(options.home) {}

  Task<> prepare();
  // obtain() in full: attempts, and what is learned from them.
  Task<CertificatePtr> obtain(IssuanceJob job);
  // One order, ended at the deadline.
  Task<CertificatePtr> within_limit(const IssuanceJob& job, std::vector<ChallengeType> types,
                                    TimePoint deadline, IssuanceReport& report);
  Task<CertificatePtr> attempt(const IssuanceJob& job, std::vector<ChallengeType> types,
                               TimePoint deadline, IssuanceReport& report);
  Task<AccountPtr> find_account(IssuanceReport& report);
  std::string known_key_type(const IssuanceJob& job);
  void learn(const IssuanceJob& job, const IssuanceReport& report);
  void tell_success(const ServerName& name, const IssuanceReport& report, const Certificate& leaf,
                    TimePoint began);
  void tell_failure(const IssuanceJob& job, const IssuanceReport& report, const Error& error,
                    TimePoint began);

  const IssuerOptions options;
  Clock& clock;
  ChallengeTable& challenges;
  Log& log;
  AcmeCounts counts;
  AcmeClient client;
  AccountKeeper accounts;
  ChallengeChoice choice;
  KeyMaker keys;
};

AcmeIssuer::AcmeIssuer(IssuerOptions options, HttpClient& http, Clock& clock, Store& store,
                       ChallengeTable& challenges, Log& log)
    : impl_(std::make_unique<Impl>(std::move(options), http, clock, store, challenges, log)) {}
AcmeIssuer::~AcmeIssuer() = default;

Task<CertificatePtr> AcmeIssuer::obtain(IssuanceJob job) {
  return impl_->obtain(std::move(job));
}
Task<CertificatePtr> AcmeIssuer::obtain(ServerName name, int failures) {
  IssuanceJob job{std::move(name), failures};
  return impl_->obtain(std::move(job));
}
Task<> AcmeIssuer::prepare() {
  return impl_->prepare();
}
const std::string& AcmeIssuer::name() const {
  return impl_->options.name;
}
const AcmeCounts& AcmeIssuer::counts() const {
  return impl_->counts;
}

Task<> AcmeIssuer::Impl::prepare() {
  co_await client.directory();  // opens the connection
  const AccountOutcome outcome = co_await accounts.get();
  co_await or_fail(outcome.account);
  co_return Unit{};
}

Task<CertificatePtr> AcmeIssuer::Impl::obtain(IssuanceJob job) {
  const TimePoint began = clock.now();
  const TimePoint deadline = began + kObtainLimit;
  std::vector<ChallengeType> types = choice.order_for(job.name);
  // Both types on the first try; each later one is a single order, and they take turns.
  bool fell_back = job.failures > 0;
  if (job.failures % 2 == 1) std::reverse(types.begin(), types.end());
  bool registered_anew = false;
  std::string earlier;  // what the first challenge came to
  const auto may_fall_back = [&](const IssuanceReport& report) {
    if (fell_back || types.empty() || !another_challenge_may_help(report)) return false;
    return !job.may_order_again || job.may_order_again();
  };
  for (;;) {
    IssuanceReport report;
    Task<CertificatePtr> order = within_limit(job, types, deadline, report);
    Result<CertificatePtr> certificate = co_await std::move(order).result();
    learn(job, report);
    if (report.slow) job.slow = nullptr;  // once is enough
    if (certificate) {
      tell_success(job.name, report, **certificate, began);
      co_return certificate;
    }
    const bool account_is_gone =
        report.problem && report.problem->is(problem_type::kAccountDoesNotExist);
    if (account_is_gone && !std::exchange(registered_anew, true)) continue;

    Error error = std::move(certificate).error().in(options.name + ": " + job.name.text());
    if (report.answered) std::erase(types, *report.answered);
    if (may_fall_back(report)) {
      fell_back = true;
      log.warning("challenge_failed", error.message,
                  {{"name", job.name.text()},
                   {"order", report.order_url},
                   {"challenge", challenge_of(report)},
                   {"next", to_string(types.front())}});
      earlier = std::move(error.message);
      continue;
    }
    if (!earlier.empty()) error.message += "; before that: " + earlier;
    tell_failure(job, report, error, began);
    co_return error;
  }
}

Task<CertificatePtr> AcmeIssuer::Impl::within_limit(const IssuanceJob& job,
                                                    std::vector<ChallengeType> types,
                                                    TimePoint deadline, IssuanceReport& report) {
  Task<CertificatePtr> order = attempt(job, std::move(types), deadline, report);
  const Millis left = std::max(deadline - clock.now(), Millis(0));
  Task<CertificatePtr> limited = ended_after(clock, left, std::move(order));
  Result<CertificatePtr> certificate = co_await std::move(limited).result();
  if (!certificate && clock.now() >= deadline) {
    co_return Error{ErrorCode::kTimeout, "no certificate within " + show_duration(kObtainLimit) +
                                             "; it was " + report.stage};
  }
  co_return certificate;
}

Task<AccountPtr> AcmeIssuer::Impl::find_account(IssuanceReport& report) {
  report.stage = "finding our account at the CA";
  AccountOutcome outcome = co_await accounts.get();
  report.problem = std::move(outcome.problem);
  report.throttle = std::move(outcome.throttle);
  report.storage_failed = outcome.storage_failed;
  co_return std::move(outcome.account);
}

Task<CertificatePtr> AcmeIssuer::Impl::attempt(const IssuanceJob& job,
                                               std::vector<ChallengeType> types, TimePoint deadline,
                                               IssuanceReport& report) {
  const AccountPtr account = co_await find_account(report);
  report.stage = "making a key";
  const PrivateKey key = co_await keys.make(known_key_type(job));
  IssuanceRequest request{job.name,   std::move(types),   make_csr(job.name, key),
                          deadline,   options.first_poll, job.slow,
                          job.ordered};
  AcmeCa ca(client, account, log, counts, report, job.profile);
  Task<std::string> order = issue(ca, clock, challenges, std::move(request), report);
  Result<std::string> chain = co_await std::move(order).result();
  if (!chain) {
    if (report.problem && report.problem->is(problem_type::kAccountDoesNotExist)) {
      accounts.forget(account);
    }
    co_return std::move(chain).error();
  }
  report.judging = true;
  const Judged judged = co_await or_fail(judge(*chain, job.name, key, clock.wall_now()));
  for (const std::string& warning : judged.warnings) {
    log.warning("certificate_doubtful", warning, {{"name", job.name.text()}});
  }
  co_return judged.certificate;
}

std::string AcmeIssuer::Impl::known_key_type(const IssuanceJob& job) {
  if (KeyMaker::knows(job.key_type)) return job.key_type;
  log.warning("key_type_unknown",
              "no key of type \"" + printable(job.key_type, 40) +
                  "\" can be made, only p256, p384 and rsa2048; making a p256",
              {{"name", job.name.text()}});
  return "p256";
}

void AcmeIssuer::Impl::learn(const IssuanceJob& job, const IssuanceReport& report) {
  if (!report.answered) return;
  if (report.proof_failed) {
    choice.failed(job.name, *report.answered);
    if (job.authorization_failed) job.authorization_failed();
  } else if (report.proven) {
    choice.worked(job.name, *report.answered);
  }
}

void AcmeIssuer::Impl::tell_success(const ServerName& name, const IssuanceReport& report,
                                    const Certificate& leaf, TimePoint began) {
  log.info("certificate_obtained", "certificate for " + name.text() + " from " + options.name,
           {{"name", name.text()},
            {"issuer", options.name},
            {"order", report.order_url},
            {"challenge", challenge_of(report)},
            {"serial", leaf.serial()},
            {"ms", static_cast<int64_t>((clock.now() - began).count())}});
}

void AcmeIssuer::Impl::tell_failure(const IssuanceJob& job, const IssuanceReport& report,
                                    const Error& error, TimePoint began) {
  counts.failures.add();
  const FailureClass failure = failure_class_of(error, report);
  log.error("order_failed", error.message,
            {{"name", job.name.text()},
             {"issuer", options.name},
             {"order", report.order_url},
             {"class", to_string(failure)},
             {"challenge", challenge_of(report)},
             {"ms", static_cast<int64_t>((clock.now() - began).count())}});
  if (!job.on_failure) return;
  const IssuanceFailure outcome{failure, error, report.problem, report.answered,
                                throttle_of(report, job.name)};
  job.on_failure(outcome);
}

}  // namespace latchkey::acme
