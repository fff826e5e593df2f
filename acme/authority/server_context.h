#pragma once
#include <chrono>
#include <optional>
#include <string>

#include "acme/authority/rate_limit.h"
#include "acme/authority/server.h"
#include "acme/authority/server_account.h"
#include "acme/authority/server_orders.h"
#include "acme/authority/server_problem.h"
#include "acme/authority/server_routes.h"

namespace latchkey::acme {

// Bounds against abuse. In trusting mode (load tests) those of rate are off.
struct ServerLimits {
  // Of one address, or one /64.
  RateLimit accounts{500, std::chrono::hours(1), 100'000};
  // Of an account: identifiers in new orders. An open order ends after kOrderLife, so at most
  // 50,000 identifiers of it are open at once.
  RateLimit identifiers{10'000, std::chrono::hours(1), 100'000};
  // Of an account and a name: validations that failed.
  RateLimit failures{20, std::chrono::hours(1), 100'000};
  // Of an account: certificate requests that were refused; each has cost a verification.
  RateLimit bad_csrs{100, std::chrono::hours(1), 100'000};
  // Of an account: searches of its orders for the right to revoke another's certificate.
  RateLimit searches{60, std::chrono::hours(1), 100'000};
  // In all; beyond it no new one is made.
  static constexpr size_t kMaxAccounts = 1'000'000;
};

// An order that is not finalized, and its authorizations, end then: by hand, and for records that
// take their time to be seen in the DNS, it is enough.
inline constexpr std::chrono::hours kOrderLife{4};
// A valid order is kept so long behind that, for who asks for it again, and because its
// authorizations allow a revocation.
inline constexpr std::chrono::hours kValidOrderLife{24};

// What the parts of the server share.
struct ServerContext {
  ServerContext(AcmeServerOptions o, Authority& a, AuthorityStore& s, Probes& p, Clock& c, Log& l)
      : options(std::move(o)),
        authority(a),
        store(s),
        probes(p),
        clock(c),
        log(l),
        accounts(a.options().name, s),
        orders(a.options().name, s, c) {}

  const std::string& name() const { return authority.options().name; }

  const AcmeServerOptions options;
  Authority& authority;
  AuthorityStore& store;
  Probes& probes;
  Clock& clock;
  Log& log;
  ServerLimits limits{};
  ServerAccounts accounts;
  ServerOrders orders;
  // By serial, so that who fetches what he has just been given costs no read. As it was issued:
  // says nothing of revocation. <= 2 KiB each.
  Lru<IssuedCertificate> issued{5'000, SIZE_MAX};
};

// A signed request whose signature, nonce and URL are right.
struct ServerCall {
  ServerRoute route;
  std::string url;
  std::string client;  // its address
  std::string payload;
  ServerAccountPtr account{};   // null: the request introduced its key itself
  std::optional<JwsKey> key{};  // then

  bool is_read() const { return payload.empty(); }  // POST-as-GET
};

// What is answered: the body of a problem is made where all answers end.
using ServerAnswer = Judged<HttpReply>;

HttpReply json_reply(int status, std::string body);
void set_header(HttpReply& reply, std::string name, std::string value);
// "<URL>;rel="up"".
void add_link(HttpReply& reply, std::string_view url, std::string_view relation);

}  // namespace latchkey::acme
