#include "acme/acme_ca.h"

#include <utility>

#include "acme/base64url.h"
#include "acme/ca_url.h"
#include "base/json.h"

namespace latchkey::acme {

AcmeCa::AcmeCa(AcmeClient& client, AccountPtr account, Log& log, AcmeCounts& counts,
               IssuanceReport& report, std::string profile)
    : client_(client),
      account_(std::move(account)),
      log_(log),
      counts_(counts),
      report_(report),
      profile_(std::move(profile)) {}

std::string AcmeCa::order_request(const ServerName& name, const Directory& directory) const {
  const std::string identifier = JsonObject().text("type", "dns").text("value", name.text()).str();
  JsonObject payload;
  payload.raw("identifiers", "[" + identifier + "]");
  if (profile_.empty()) return payload.str();
  if (directory.has_profile(profile_)) {
    payload.text("profile", profile_);
  } else {
    log_.warning("profile_unknown",
                 "the CA does not offer the certificate profile \"" + printable(profile_, 80) +
                     "\"; ordering without one",
                 {{"name", name.text()}, {"directory", client_.directory_url()}});
  }
  return payload.str();
}

Task<Order> AcmeCa::new_order(ServerName name) {
  const DirectoryPtr directory = co_await client_.directory();
  const std::string payload = order_request(name, *directory);
  about_ = name.text();
  const AcmeReply reply = co_await post(Resource::kNewOrder, directory->new_order, payload);
  const std::string url =
      co_await or_fail(check_ca_url(reply.request + ": Location", reply.location));
  counts_.orders.add();
  log_.info("order_started", "order " + url, {{"name", name.text()}, {"order", url}});
  Order order = co_await or_fail(Order::parse(url, reply.body));
  order.retry_after = reply.retry_after;
  co_return order;
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
  co_await post(Resource::kChallenge, challenge_url, empty_object);
  co_return Unit{};
}

Task<Order> AcmeCa::finalize(std::string order_url, std::string url, std::string csr) {
  const std::string payload = JsonObject().text("csr", base64url(csr)).str();
  const AcmeReply reply = co_await post(Resource::kFinalize, url, payload);
  Order order = co_await or_fail(Order::parse(order_url, reply.body));
  order.retry_after = reply.retry_after;
  co_return order;
}

Task<std::string> AcmeCa::download(std::string url) {
  AcmeReply reply = co_await fetch(Resource::kCertificate, url);
  co_return std::move(reply.body);
}

std::string AcmeCa::key_authorization(const std::string& token) const {
  return token + "." + account_->key.thumbprint();
}

Task<AcmeReply> AcmeCa::post(Resource resource, std::string url, std::string payload) {
  AcmeRequest request{resource, account_->key, account_->url, url, payload, about_};
  AcmeReply reply = co_await client_.post(std::move(request));
  co_return accepted(std::move(reply));
}

Task<AcmeReply> AcmeCa::fetch(Resource resource, std::string url) {
  AcmeRequest request{resource, account_->key, account_->url, url, "", about_};
  AcmeReply reply = co_await client_.fetch(std::move(request));
  co_return accepted(std::move(reply));
}

Result<AcmeReply> AcmeCa::accepted(AcmeReply reply) {
  if (!reply.problem) return reply;
  report_.problem = reply.problem;
  report_.throttle = reply.throttle;
  return reply.error();
}

}  // namespace latchkey::acme
