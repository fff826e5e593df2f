#include "acme/acme_ca.h"

#include <utility>

#include "acme/base64url.h"
#include "acme/ca_url.h"
#include "base/json.h"

namespace latchkey::acme {

AcmeCa::AcmeCa(AcmeClient& client, AccountPtr account, Log& log, AcmeCounts& counts,
               IssuanceReport& report)
    : client_(client), account_(std::move(account)), log_(log), counts_(counts), report_(report) {}

Task<Order> AcmeCa::new_order(ServerName name) {
  const DirectoryPtr directory = co_await client_.directory();
  const std::string identifier = JsonObject().text("type", "dns").text("value", name.text()).str();
  const std::string payload = JsonObject().raw("identifiers", "[" + identifier + "]").str();
  const AcmeReply reply = co_await post(directory->new_order, payload);
  const std::string url =
      co_await or_fail(check_ca_url(reply.request + ": Location", reply.location));
  counts_.orders.add();
  log_.info("order_started", "order " + url, {{"name", name.text()}, {"order", url}});
  Order order = co_await or_fail(Order::parse(url, reply.body));
  order.retry_after = reply.retry_after;
  co_return order;
}

Task<Order> AcmeCa::fetch_order(std::string url) {
  const AcmeReply reply = co_await fetch(url);
  Order order = co_await or_fail(Order::parse(url, reply.body));
  order.retry_after = reply.retry_after;
  co_return order;
}

Task<Authorization> AcmeCa::fetch_authorization(std::string url) {
  const AcmeReply reply = co_await fetch(url);
  Authorization authorization = co_await or_fail(Authorization::parse(url, reply.body));
  authorization.retry_after = reply.retry_after;
  co_return authorization;
}

Task<> AcmeCa::accept(std::string challenge_url) {
  const std::string empty_object = "{}";
  co_await post(challenge_url, empty_object);
  co_return Unit{};
}

Task<Order> AcmeCa::finalize(std::string order_url, std::string url, std::string csr) {
  const std::string payload = JsonObject().text("csr", base64url(csr)).str();
  const AcmeReply reply = co_await post(url, payload);
  Order order = co_await or_fail(Order::parse(order_url, reply.body));
  order.retry_after = reply.retry_after;
  co_return order;
}

Task<std::string> AcmeCa::download(std::string url) {
  AcmeReply reply = co_await fetch(url);
  co_return std::move(reply.body);
}

std::string AcmeCa::key_authorization(const std::string& token) const {
  return token + "." + account_->key.thumbprint();
}

Task<AcmeReply> AcmeCa::post(std::string url, std::string payload) {
  AcmeReply reply = co_await client_.post(account_->key, account_->url, url, payload);
  co_return accepted(std::move(reply));
}

Task<AcmeReply> AcmeCa::fetch(std::string url) {
  AcmeReply reply = co_await client_.fetch(account_->key, account_->url, url);
  co_return accepted(std::move(reply));
}

Result<AcmeReply> AcmeCa::accepted(AcmeReply reply) {
  if (!reply.problem) return reply;
  report_.problem = reply.problem;
  return reply.error();
}

}  // namespace latchkey::acme
