#include "acme/order_runner.h"

#include <algorithm>
#include <utility>

#include "acme/chain_choice.h"
#include "acme/csr.h"
#include "acme/judge.h"
#include "acme/renewal_info.h"
#include "base/within.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxAlternates = 4;
// With a certificate in hand that does: whoever waits for it is not to wait in vain.
constexpr Millis kLookForOther{10'000};

Task<CertificatePtr> ended_after(Clock& clock, Millis limit, Task<CertificatePtr> task) {
  co_return co_await within(clock, limit, std::move(task));
}

Error cannot_go_on(const PendingOrder& order, std::string why) {
  return Error{ErrorCode::kNotFound, "the order " + order.url + " " + std::move(why)};
}

}  // namespace

Task<CertificatePtr> OrderRunner::run(const IssuanceJob& job, Try how, Allowance& allowance,
                                      IssuanceReport& report) {
  report.resumed = job.pending.has_value();
  report.stored = job.pending;
  const AccountPtr account = co_await find_account(allowance, report);
  const PrivateKey key = co_await find_key(job, account, report);

  OrderWishes wishes{profile_of(job), "", job.may_order_plain};
  if (how.replaces && job.predecessor != nullptr) {
    // Which account is ours may be known only since it was found above.
    if (job.predecessor_account == account->url) {
      wishes.replaces = renewal_id(*job.predecessor);
    } else if (!job.pending && job.may_order_plain && !job.may_order_plain()) {
      co_return Error{ErrorCode::kThrottled,
                      "the certificate to be replaced was ordered by another account, and there is "
                      "no budget for an order that is not its renewal"};
    }
  }
  std::string csr = make_csr(job.name, key, parts_.options.must_staple);
  IssuanceRequest request{job.name, std::move(how.types), std::move(csr), how.deadline,
                          parts_.options.first_poll};
  request.slow = job.slow;
  request.ordered = job.ordered;
  if (job.pending) {
    request.resume = job.pending->url;
  } else {
    PendingOrder made{job.name,
                      parts_.options.name,
                      parts_.options.directory,
                      account->url,
                      "",
                      private_key_to_der(key),
                      wishes.profile,
                      parts_.clock.wall_now(),
                      job.renewal || job.predecessor != nullptr,
                      job.slot};
    request.keep = [this, made, &report](std::string url) {
      return keep_order(made, std::move(url), report);
    };
  }

  AcmeCa ca(parts_.client, account, parts_.clock, parts_.log, parts_.counts, allowance, report,
            std::move(wishes));
  IssuanceParts parts{ca,        parts_.clock, parts_.challenges, parts_.options.dns,
                      allowance, parts_.log};
  Task<Chain> order = issue(parts, std::move(request), report);
  Result<Chain> chain = co_await std::move(order).result();
  if (!chain) {
    note_account_trouble(account, report);
    co_return std::move(chain).error();
  }
  co_return co_await judge_chain(ca, job.name, key, *std::move(chain), report);
}

Task<AccountPtr> OrderRunner::find_account(Allowance& allowance, IssuanceReport& report) {
  report.stage = "finding our account at the CA";
  if (parts_.accounts.url().empty()) co_await allowance.room_for(AcmeClient::kAccountRequests);
  const size_t before = parts_.client.account_requests();
  AccountOutcome outcome = co_await parts_.accounts.get();
  allowance.note(parts_.client.account_requests() - before);
  report.problem = std::move(outcome.problem);
  report.throttle = std::move(outcome.throttle);
  report.storage_failed = outcome.storage_failed;
  co_return std::move(outcome.account);
}

// A new one, or that of the order to go on with, which must be an order of ours.
Task<PrivateKey> OrderRunner::find_key(const IssuanceJob& job, AccountPtr account,
                                       IssuanceReport& report) {
  if (!job.pending) {
    report.stage = "making a key";
    co_return co_await keys_.make(known_key_type(job));
  }
  const PendingOrder& order = *job.pending;
  report.order_url = order.url;
  report.over = true;  // unless all is as it was
  if (order.directory != parts_.options.directory) {
    co_return cannot_go_on(order, "is of another CA, " + order.directory);
  }
  if (order.account != account->url) {
    co_return cannot_go_on(order, "is of another account, " + order.account);
  }
  Result<PrivateKey> key = private_key_from_der(order.key_der);
  if (!key) co_return cannot_go_on(order, "was stored with a key that cannot be read");
  report.over = false;
  co_return key;
}

std::string OrderRunner::known_key_type(const IssuanceJob& job) {
  if (job.slot == Slot::kRsa) return "rsa2048";
  if (KeyMaker::knows(job.key_type)) return job.key_type;
  parts_.log.warning("key_type_unknown",
                     "no key of type \"" + printable(job.key_type, 40) +
                         "\" can be made, only p256, p384 and rsa2048; making a p256",
                     {{"name", job.name.text()}});
  return "p256";
}

std::string OrderRunner::profile_of(const IssuanceJob& job) const {
  return job.profile.empty() ? parts_.options.profile : job.profile;
}

Task<> OrderRunner::keep_order(PendingOrder order, std::string url, IssuanceReport& report) {
  order.url = std::move(url);
  Task<> putting = parts_.store.put_order(order);
  co_await std::move(putting);
  report.stored = std::move(order);
  co_return Unit{};
}

void OrderRunner::note_account_trouble(const AccountPtr& account, IssuanceReport& report) {
  if (!report.problem) return;
  if (report.problem->is(problem_type::kAccountDoesNotExist)) {
    parts_.accounts.forget(account);
    report.account_gone = true;
  } else if (parts_.accounts.superseded(account)) {
    report.account_gone = report.problem->is(problem_type::kUnauthorized) ||
                          report.problem->is(problem_type::kMalformed);
  }
}

Task<CertificatePtr> OrderRunner::judge_chain(AcmeCa& ca, ServerName name, PrivateKey key,
                                              Chain chain, IssuanceReport& report) {
  report.judging = true;
  Result<Judged> found = judge(chain.pem, name, key, parts_.clock.wall_now());
  if (!found) co_return std::move(found).error().in(chain.url);
  const Judged judged = *std::move(found);
  const std::string& wanted = parts_.options.preferred_chain;
  if (!wanted.empty() && !ends_under(chain.pem, wanted)) {
    report.stage = "fetching other chains of the certificate";
    Task<CertificatePtr> looking = preferred_chain(ca, name, key, std::move(chain));
    Task<CertificatePtr> limited = ended_after(parts_.clock, kLookForOther, std::move(looking));
    const Result<CertificatePtr> preferred = co_await std::move(limited).result();
    if (preferred && *preferred != nullptr) co_return *preferred;
    warn(name, "the CA offers no usable chain that ends under \"" + printable(wanted, 80) +
                   "\"; taking its own choice");
  }
  for (const std::string& warning : judged.warnings) warn(name, warning);
  co_return judged.certificate;
}

// Null where there is none.
Task<CertificatePtr> OrderRunner::preferred_chain(AcmeCa& ca, ServerName name, PrivateKey key,
                                                  Chain chain) {
  const size_t count = std::min(chain.alternates.size(), kMaxAlternates);
  for (size_t i = 0; i < count; ++i) {
    Task<Chain> downloading = ca.download(chain.alternates[i]);
    const Result<Chain> other = co_await std::move(downloading).result();
    if (!other) {
      warn(name, "an alternate chain could not be had: " + other.error().message);
      continue;
    }
    if (!ends_under(other->pem, parts_.options.preferred_chain)) continue;
    const Result<Judged> judged = judge(other->pem, name, key, parts_.clock.wall_now());
    if (judged) {
      for (const std::string& warning : judged->warnings) warn(name, warning);
      co_return judged->certificate;
    }
    warn(name, "the alternate chain " + chain.alternates[i] + ": " + judged.error().message);
  }
  co_return CertificatePtr();
}

void OrderRunner::warn(const ServerName& name, const std::string& text) {
  parts_.log.warning("certificate_doubtful", text, {{"name", name.text()}});
}

}  // namespace latchkey::acme
