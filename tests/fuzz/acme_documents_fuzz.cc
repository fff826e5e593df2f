// Whatever a CA sends as an order, an authorization, a problem, an account or a directory: what is
// taken from it is bounded, and its URLs and tokens may be used as they are.

#include <cstdint>
#include <cstdlib>

#include "acme/account_status.h"
#include "acme/base64url.h"
#include "acme/ca_url.h"
#include "acme/directory.h"
#include "acme/order.h"

namespace {

using namespace latchkey;
using namespace latchkey::acme;

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_line(std::string_view text, size_t max) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') return false;
  }
  return text.size() <= max;
}

void check(const Problem& problem) {
  require(is_line(problem.describe(), 16 << 10));
  require(problem.type.size() <= 2048 && problem.detail.size() <= 2048);
  require(problem.subproblems.size() <= 16);
}

void check_url(const std::string& url) {
  require(check_ca_url("it", url).has_value());
}

void check_order(std::string_view text) {
  const Result<Order> order = Order::parse("https://ca.test/order/1", text);
  if (!order) return;
  require(!order->authorizations.empty() && order->authorizations.size() <= 16);
  for (const std::string& url : order->authorizations) check_url(url);
  check_url(order->finalize);
  if (order->status == OrderStatus::kValid) check_url(order->certificate);
  if (order->problem) check(*order->problem);
  next_step(*order);
}

void check_authorization(std::string_view text) {
  const Result<Authorization> authorization = Authorization::parse("https://ca.test/a/1", text);
  if (!authorization) return;
  require(authorization->challenges.size() <= kChallengeTypes);
  require(is_line(authorization->identifier, 310) && is_line(authorization->offered, 16 * 50));
  for (const Challenge& challenge : authorization->challenges) {
    check_url(challenge.url);
    require(is_base64url(challenge.token) && challenge.token.size() <= 256);
    if (challenge.problem) check(*challenge.problem);
  }
  const std::vector<ChallengeType> types{ChallengeType::kTlsAlpn01, ChallengeType::kHttp01,
                                         ChallengeType::kDns01};
  const Result<ServerName> name = ServerName::parse("a.test");
  const Result<ServerName> wildcard = ServerName::parse_wildcard("*.a.test");
  for (const bool answered : {false, true}) {
    const ProofStep of_name = next_step(*authorization, *name, types, answered);
    const ProofStep of_wildcard = next_step(*authorization, *wildcard, types, answered);
    // One that says it is a wildcard's proves no name.
    require(!authorization->wildcard || std::holds_alternative<GiveUp>(of_name));
    require(!authorization->is_ip || std::holds_alternative<GiveUp>(of_wildcard));
  }
}

void check_directory(std::string_view text) {
  const Result<Directory> directory = Directory::parse("https://ca.test/dir", text);
  if (!directory) return;
  check_url(directory->new_nonce);
  check_url(directory->new_account);
  check_url(directory->new_order);
  require(directory->profiles.size() <= 32 && directory->terms_of_service.size() <= 2048);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(parse_problem(400, text));
  check_order(text);
  check_authorization(text);
  check_directory(text);
  const Result<AccountStatus> account = parse_account("https://ca.test/acct/1", text);
  if (account) {
    require(is_line(account->status, 50) && account->contact.size() <= 16);
    for (const std::string& contact : account->contact) require(is_line(contact, 1100));
  }
  return 0;
}
