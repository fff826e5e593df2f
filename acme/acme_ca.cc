#include "acme/acme_ca.h"

#include <array>
#include <utility>

#include "acme/base64url.h"
#include "acme/ca_url.h"
#include "acme/link_header.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

constexpr Millis kPatience{30'000};

// May a CA mean `replaces` by this? RFC 9773, 5 has 409 alreadyReplaced; there are CAs that say
// malformed, unauthorized or notFound. What is clearly about something else costs no second try.
bool may_be_about_replaces(const Problem& problem) {
  using namespace problem_type;
  if (problem.status / 100 != 4 || problem.status == 429 || problem.status == 408) return false;
  constexpr std::array<std::string_view, 8> kElse{kAccountDoesNotExist,
                                                  kUserActionRequired,
                                                  kRejectedIdentifier,
                                                  kUnsupportedIdentifier,
                                                  kRateLimited,
                                                  kExternalAccountRequired,
                                                  kCaa,
                                                  kDns};
  for (const std::string_view type : kElse) {
    if (problem.is(type)) return false;
  }
  return true;
}

std::string order_payload(const ServerName& name, const std::string& profile,
                          const std::string& replaces) {
  JsonObject payload;
  payload.raw("identifiers", "[" + identifier_of(name) + "]");
  if (!profile.empty()) payload.text("profile", profile);
  if (!replaces.empty()) payload.text("replaces", replaces);
  return payload.str();
}

// How long to wait before the one other try; nullopt: there is none.
std::optional<Millis> short_wait(const Result<AcmeReply>& reply) {
  Millis wait{0};
  if (reply) {
    if (!reply->throttle) return std::nullopt;
    wait = reply->throttle->wait;
  } else {
    if (reply.error().code != ErrorCode::kThrottled) return std::nullopt;
    wait = reply.error().retry_after;
  }
  return wait > Millis(0) && wait <= kPatience ? std::optional(wait) : std::nullopt;
}

}  // namespace

AcmeCa::AcmeCa(AcmeClient& client, AccountPtr account, Clock& clock, Log& log, AcmeCounts& counts,
               Allowance& allowance, IssuanceReport& report, OrderWishes wishes)
    : client_(client),
      account_(std::move(account)),
      clock_(clock),
      log_(log),
      counts_(counts),
      allowance_(allowance),
      report_(report),
      wishes_(std::move(wishes)) {}

std::string AcmeCa::known_profile(const ServerName& name, const Directory& directory) const {
  if (wishes_.profile.empty() || directory.has_profile(wishes_.profile)) return wishes_.profile;
  log_.warning("profile_unknown",
               "the CA does not offer the certificate profile \"" + printable(wishes_.profile, 80) +
                   "\"; ordering without one",
               {{"name", name.text()}, {"directory", client_.directory_url()}});
  return "";
}

Result<> AcmeCa::leave_replaces_out(const ServerName& name, const std::string& why) {
  report_.replaces_refused = true;
  log_.info("replaces_refused",
            "the CA does not count the order as a renewal, ordering without that: " + why,
            {{"name", name.text()}, {"directory", client_.directory_url()}});
  if (!wishes_.may_order_plain || wishes_.may_order_plain()) return Unit{};
  return Error{ErrorCode::kThrottled, "the CA does not count the order as a renewal (" + why +
                                          "), and there is no budget for another one"};
}

// As a renewal first, where it is one.
Task<AcmeReply> AcmeCa::order(ServerName name, DirectoryPtr directory) {
  const std::string profile = known_profile(name, *directory);
  if (!wishes_.replaces.empty() && !directory->renewal_info.empty()) {
    const std::string payload = order_payload(name, profile, wishes_.replaces);
    AcmeRequest asking = request(Resource::kNewOrder, directory->new_order, payload);
    AcmeReply reply = co_await client_.post(std::move(asking));
    if (!reply.problem) {
      report_.replaces = true;
      co_return reply;
    }
    if (!may_be_about_replaces(*reply.problem)) co_return accepted(std::move(reply));
    co_await or_fail(leave_replaces_out(name, reply.problem->describe()));
  } else if (!wishes_.replaces.empty()) {
    co_await or_fail(leave_replaces_out(name, "it offers no renewalInfo"));
  }
  const std::string payload = order_payload(name, profile, "");
  co_return co_await post(Resource::kNewOrder, directory->new_order, payload);
}

Task<Order> AcmeCa::new_order(ServerName name) {
  const DirectoryPtr directory = co_await client_.directory(&allowance_);
  about_ = name.text();
  const AcmeReply reply = co_await order(name, directory);
  const std::string url =
      co_await or_fail(check_ca_url(reply.request + ": Location", reply.location));
  report_.order_url = url;  // it costs, whatever the body says
  counts_.orders.add();
  log_.info("order_started", "order " + url,
            {{"name", name.text()}, {"order", url}, {"replaces", report_.replaces ? "yes" : "no"}});
  Order made = co_await or_fail(Order::parse(url, reply.body));
  made.retry_after = reply.retry_after;
  co_return made;
}

Task<Order> AcmeCa::fetch_order(std::string url) {
  const AcmeReply reply = co_await fetch(Resource::kOrder, url);
  Order order = co_await or_fail(Order::parse(url, reply.body));
  order.retry_after = reply.retry_after;
  co_return order;
}

Task<Authorization> AcmeCa::fetch_authorization(std::string url) {
  const AcmeReply reply = co_await fetch(Resource::kAuthorization, url);
  Authorization authorization = co_await or_fail(Authorization::parse(url, reply.body));
  authorization.retry_after = reply.retry_after;
  co_return authorization;
}

Task<> AcmeCa::accept(std::string challenge_url) {
  const std::string empty_object = "{}";
  co_await post_patiently(Resource::kChallenge, challenge_url, empty_object);
  co_return Unit{};
}

Task<Order> AcmeCa::finalize(std::string order_url, std::string url, std::string csr) {
  const std::string payload = JsonObject().text("csr", base64url(csr)).str();
  const AcmeReply reply = co_await post_patiently(Resource::kFinalize, url, payload);
  Result<Order> parsed = Order::parse(order_url, reply.body);
  if (!parsed) co_return std::move(parsed).error().in(reply.request);
  Order order = *std::move(parsed);
  order.retry_after = reply.retry_after;
  co_return order;
}

Task<Chain> AcmeCa::download(std::string url) {
  AcmeReply reply = co_await fetch(Resource::kCertificate, url);
  Chain chain{std::move(url), std::move(reply.body), alternate_links(reply.links)};
  co_return chain;
}

std::string AcmeCa::key_authorization(const std::string& token) const {
  return token + "." + account_->key.thumbprint();
}

AcmeRequest AcmeCa::request(Resource resource, std::string url, std::string payload) {
  return AcmeRequest{resource,           account_->key, account_->url, std::move(url),
                     std::move(payload), about_,        &allowance_};
}

Task<AcmeReply> AcmeCa::post(Resource resource, std::string url, std::string payload) {
  AcmeRequest posting = request(resource, std::move(url), std::move(payload));
  AcmeReply reply = co_await client_.post(std::move(posting));
  co_return accepted(std::move(reply));
}

Task<AcmeReply> AcmeCa::post_patiently(Resource resource, std::string url, std::string payload) {
  AcmeRequest posting = request(resource, url, payload);
  Task<AcmeReply> first = client_.post(std::move(posting));
  Result<AcmeReply> reply = co_await std::move(first).result();
  if (const std::optional<Millis> wait = short_wait(reply)) {
    co_await sleep(clock_, *wait);
    co_return co_await post(resource, std::move(url), std::move(payload));
  }
  if (!reply) co_return reply;
  co_return accepted(*std::move(reply));
}

Task<AcmeReply> AcmeCa::fetch(Resource resource, std::string url) {
  AcmeRequest fetching = request(resource, std::move(url), "");
  AcmeReply reply = co_await client_.fetch(std::move(fetching));
  co_return accepted(std::move(reply));
}

Result<AcmeReply> AcmeCa::accepted(AcmeReply reply) {
  if (!reply.problem) return reply;
  report_.problem = reply.problem;
  report_.throttle = reply.throttle;
  return reply.error();
}

}  // namespace latchkey::acme
