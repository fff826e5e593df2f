#include "acme/issuer.h"

#include <algorithm>
#include <utility>

#include "acme/account.h"
#include "acme/certificate_requests.h"
#include "acme/challenge_choice.h"
#include "acme/client.h"
#include "acme/order_runner.h"
#include "acme/outcome.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

Task<CertificatePtr> ended_by(Clock& clock, const Deadline& deadline, Task<CertificatePtr> task) {
  co_return co_await before(clock, deadline, std::move(task));
}

std::vector<ChallengeType> done_challenges(const IssuerOptions& options) {
  std::vector<ChallengeType> types = options.challenges;
  if (options.dns == nullptr) std::erase(types, ChallengeType::kDns01);
  return types;
}

// No challenge that is configured can prove such a name.
Error unprovable(const ServerName& name, const IssuerOptions& options) {
  const std::string challenges = "issuers[].acme.challenges of " + options.name;
  std::string why = name.text() + ": ";
  if (!name.is_wildcard()) {
    why += "there is no way to prove it: put \"http-01\" or \"tls-alpn-01\" into " + challenges;
    if (!name.is_ip()) why += ", or say in the section `dns` how records are made for \"dns-01\"";
  } else {
    why += "a wildcard is proven by DNS-01 alone: put \"dns-01\" into " + challenges +
           ", and say in the section `dns` how records are made";
  }
  return Error{ErrorCode::kInvalid, std::move(why)}.in(options.name);
}

std::string_view challenge_of(const IssuanceReport& report) {
  return report.answered ? to_string(*report.answered) : "none";
}

AccountKeeper::Options account_options(const IssuerOptions& options) {
  AccountKeeper::Options out;
  out.email = options.email;
  out.accept_terms = options.accept_terms;
  out.issuer = options.name;
  out.eab = options.eab;
  out.account_lost = options.account_lost;
  return out;
}

// What obtain() knows beyond one order.
struct Course {
  Course(IssuanceJob j, Clock& clock)
      : job(std::move(j)), began(clock.now()), deadline(began), allowance(clock) {}

  bool may_order_again() const { return !job.may_order_again || job.may_order_again(); }

  IssuanceJob job;
  const TimePoint began;
  Deadline deadline;
  Allowance allowance;
  std::vector<ChallengeType> types{};  // left to us, the preferred one first
  bool fell_back = false;              // to the other challenge; at most once
  bool account_renewed = false;        // at most once
  bool replaces = true;                // not refused yet
  std::string earlier{};               // what came of the orders before
};

}  // namespace

struct AcmeIssuer::Impl {
  Impl(IssuerOptions o, HttpClient& http, Clock& c, Store& s, ChallengeTable& table, Log& l)
      : options(std::move(o)),
        clock(c),
        store(s),
        log(l),
        client(options.directory, http, clock, log, counts, options.pacer),
        accounts(account_options(options), client, store, log),
        certificates(client, accounts, log),
        choice(done_challenges(options)),
        runner({options, client, accounts, store, table, clock, counts, log}) {}

  Task<> prepare();
  // obtain() in full: orders, and what is learned from them.
  Task<CertificatePtr> obtain(IssuanceJob job);
  // One order, ended at the deadline.
  Task<CertificatePtr> within_limit(Course& course, IssuanceReport& report);
  // After one that failed: nothing, where another one is to be tried; else the error to end with.
  Task<> next(Course& course, IssuanceReport& report, Error error);
  bool is_stuck(const IssuanceJob& job, const IssuanceReport& report, const Error& error);
  void learn(const IssuanceJob& job, const IssuanceReport& report);
  Task<> forget_order(ServerName name, Slot slot);
  void tell_success(const ServerName& name, const IssuanceReport& report, const Certificate& leaf,
                    TimePoint began);
  void tell_failure(const IssuanceJob& job, const IssuanceReport& report, const Error& error,
                    TimePoint began);

  const IssuerOptions options;
  Clock& clock;
  Store& store;
  Log& log;
  AcmeCounts counts;
  AcmeClient client;
  AccountKeeper accounts;
  CertificateRequests certificates;
  ChallengeChoice choice;
  OrderRunner runner;
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
bool AcmeIssuer::proves_wildcards() const {
  const std::vector<ChallengeType> types = done_challenges(impl_->options);
  return std::find(types.begin(), types.end(), ChallengeType::kDns01) != types.end();
}
std::string AcmeIssuer::account_url() const {
  return impl_->accounts.url();
}
Task<> AcmeIssuer::roll_key() {
  return impl_->accounts.roll_key();
}
Task<> AcmeIssuer::deactivate() {
  return impl_->accounts.deactivate();
}
Task<> AcmeIssuer::reactivate() {
  return impl_->accounts.reactivate();
}
Task<AccountStatus> AcmeIssuer::account_status() {
  return impl_->accounts.status();
}
Task<> AcmeIssuer::revoke(CertificatePtr certificate, RevocationReason reason) {
  return impl_->certificates.revoke(std::move(certificate), reason);
}
Task<RenewalInfo> AcmeIssuer::renewal_info(CertificatePtr certificate) {
  return impl_->certificates.renewal_info(std::move(certificate));
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

Task<CertificatePtr> AcmeIssuer::Impl::obtain(IssuanceJob wanted) {
  Course course(std::move(wanted), clock);
  const IssuanceJob& job = course.job;
  course.types = choice.order_for(job.name);
  if (course.types.empty()) {
    IssuanceReport nothing;
    Error error = unprovable(job.name, options);
    nothing.unprovable = true;
    tell_failure(job, nothing, error, course.began);
    co_return error;
  }
  // Two types on the first try; each later one is a single order, and they take turns.
  course.fell_back = job.failures > 0;
  const size_t turn = static_cast<size_t>(job.failures) % course.types.size();
  std::rotate(course.types.begin(), course.types.begin() + static_cast<ptrdiff_t>(turn),
              course.types.end());
  for (;;) {
    IssuanceReport report;
    Task<CertificatePtr> order = within_limit(course, report);
    Result<CertificatePtr> certificate = co_await std::move(order).result();
    learn(job, report);
    if (certificate) {
      tell_success(job.name, report, **certificate, course.began);
      co_return certificate;
    }
    const bool once_more = report.account_gone && !course.account_renewed;
    Error error = std::move(certificate).error().in(options.name + ": " + job.name.text());
    const bool over = order_is_over(report) || is_stuck(job, report, error);
    if (report.stored && over && !once_more) co_await forget_order(job.name, job.slot);
    Task<> going_on = next(course, report, std::move(error));
    Result<> goes_on = co_await std::move(going_on).result();
    if (goes_on) continue;
    Error last = std::move(goes_on).error();
    if (!course.earlier.empty()) last.message += "; before that: " + course.earlier;
    tell_failure(job, report, last, course.began);
    co_return last;
  }
}

Task<CertificatePtr> AcmeIssuer::Impl::within_limit(Course& course, IssuanceReport& report) {
  OrderRunner::Try how{course.types, course.deadline, course.replaces};
  Task<CertificatePtr> order = runner.run(course.job, std::move(how), course.allowance, report);
  Task<CertificatePtr> limited = ended_by(clock, course.deadline, std::move(order));
  Result<CertificatePtr> certificate = co_await std::move(limited).result();
  if (!certificate && clock.now() >= course.deadline.at()) {
    const std::string limit = show_duration(course.deadline.limit());
    co_return Error{ErrorCode::kTimeout,
                    "no certificate within " + limit + "; it was " + report.stage};
  }
  co_return certificate;
}

Task<> AcmeIssuer::Impl::next(Course& course, IssuanceReport& report, Error error) {
  IssuanceJob& job = course.job;
  const bool resumed = job.pending.has_value();
  job.pending.reset();                  // each order is gone on with at most once
  if (report.slow) job.slow = nullptr;  // once is enough
  if (report.replaces_refused) course.replaces = false;

  const auto no_budget = [&](std::string_view why) {
    report.problem.reset();
    report.throttle.reset();
    report.judging = report.storage_failed = false;
    return Error{ErrorCode::kThrottled, error.message + "; " + std::string(why) +
                                            ", and there is no budget for another one"};
  };
  if (report.account_gone && !std::exchange(course.account_renewed, true)) {
    job.pending = report.stored;  // of an account with another URL it is given up then
    co_return Unit{};
  }
  // Who was not here to answer learns nothing of the name from the refusal.
  const bool away = report.refused_away && job.failures == 0;
  if (resumed && (away || a_new_order_may_help(error, report))) {
    log.info("order_abandoned",
             "making a new order, the earlier one came to nothing: " + error.message,
             {{"name", job.name.text()}, {"order", report.order_url}});
    if (!course.may_order_again()) co_return no_budget("the earlier order came to nothing");
    co_return Unit{};
  }
  if (report.answered) std::erase(course.types, *report.answered);
  const bool other_type = !course.fell_back && !course.types.empty() &&
                          another_challenge_may_help(report) && course.may_order_again();
  if (!other_type) co_return error;
  course.fell_back = true;
  log.warning("challenge_failed", error.message,
              {{"name", job.name.text()},
               {"order", report.order_url},
               {"challenge", challenge_of(report)},
               {"next", to_string(course.types.front())}});
  course.earlier = std::move(error.message);
  co_return Unit{};
}

// It is then forgotten, and the next try makes a new one: this one's time may be over.
bool AcmeIssuer::Impl::is_stuck(const IssuanceJob& job, const IssuanceReport& report,
                                const Error& error) {
  if (!job.pending || !order_is_stuck(error, report, clock.wall_now() - job.pending->made)) {
    return false;
  }
  log.warning("order_given_up",
              "the CA has not come to an end with the order in a day; the next try makes a new one",
              {{"name", job.name.text()}, {"order", report.order_url}});
  return true;
}

Task<> AcmeIssuer::Impl::forget_order(ServerName name, Slot slot) {
  Task<> deleting = store.delete_order(name, slot);
  const Result<> deleted = co_await std::move(deleting).result();
  if (!deleted) {  // the next try finds that nothing comes of it
    log.warning("order_not_forgotten", deleted.error().message, {{"name", name.text()}});
  }
  co_return Unit{};
}

void AcmeIssuer::Impl::learn(const IssuanceJob& job, const IssuanceReport& report) {
  if (report.dns_failed) choice.failed(job.name, ChallengeType::kDns01);
  if (!report.answered) return;
  if (report.proof_failed) {
    if (!report.refused_away) choice.failed(job.name, *report.answered);
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
            {"resumed", report.resumed ? "yes" : "no"},
            {"serial", leaf.serial()},
            {"ms", (clock.now() - began).count()}});
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
             {"stage", report.stage},
             {"ms", (clock.now() - began).count()}});
  if (!job.on_failure) return;
  const IssuanceFailure outcome{failure, error, report.problem, report.answered,
                                throttle_of(report, job.name)};
  job.on_failure(outcome);
}

}  // namespace latchkey::acme
