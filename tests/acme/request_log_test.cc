// What is told of the requests to a CA, and what never is.

#include <cstdio>
#include <string>

#include "acme/base64url.h"
#include "tests/acme/issuer_fixture.h"

namespace latchkey::acme {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class RequestLogTest : public IssuerFixture {
 protected:
  // The log of an issuance, all of it.
  std::string lines(LogLevel level) {
    std::FILE* const file = std::tmpfile();
    {
      Log all(fileno(file), Log::Format::kText, level);
      all.set_rate_limit(false);
      issuer.emplace(options, ca, clock, store, challenges, all);
      EXPECT_TRUE(obtain());
      issuer.reset();
    }
    std::fseek(file, 0, SEEK_END);
    std::string text(static_cast<size_t>(std::ftell(file)), '\0');
    std::rewind(file);
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
  }
};

TEST_F(RequestLogTest, EveryRequestHasItsLineAndOrdersAndAuthorizationsTheirTimes) {
  const std::string text = lines(LogLevel::kInfo);
  EXPECT_THAT(text, HasSubstr("acme_request: GET https://ca.test/dir status=200 ms=1"));
  EXPECT_THAT(text, HasSubstr("acme_request: HEAD https://ca.test/nonce status=200 ms=1"));
  EXPECT_THAT(text, HasSubstr("acme_request: POST https://ca.test/new-order status=201 ms=1"));
  EXPECT_THAT(text, HasSubstr("order_started: order https://ca.test/order/1"));
  EXPECT_THAT(text, HasSubstr("authorization_valid: authorization https://ca.test/authz/2"));
  EXPECT_THAT(text, HasSubstr("order_finalized: order https://ca.test/order/1"));
  EXPECT_THAT(text, HasSubstr("certificate_obtained: certificate for a.test from fake"));
  size_t count = 0;
  for (size_t at = 0; (at = text.find("acme_request: ", at)) != std::string::npos; ++at) ++count;
  size_t sent = 0;
  for (const auto& [kind, requests] : ca.requests) sent += static_cast<size_t>(requests);
  EXPECT_EQ(count, sent);
  EXPECT_THAT(text, Not(HasSubstr("acme_answer"))) << "bodies at debug only";
}

TEST_F(RequestLogTest, ARejectedNonceIsNoNewsButForDebugging) {
  ASSERT_TRUE(obtain());
  ca.reject_nonces = 2;
  EXPECT_THAT(lines(LogLevel::kInfo), Not(HasSubstr("status=400")));
  ca.reject_nonces = 2;
  EXPECT_THAT(lines(LogLevel::kDebug), HasSubstr("status=400"));
}

TEST_F(RequestLogTest, BodiesHoldNoSecrets) {
  options.eab = ExternalAccount{"kid-1", "an hmac key"};
  ca.external_accounts["kid-1"] = "an hmac key";
  const std::string text = lines(LogLevel::kDebug);
  EXPECT_THAT(text, HasSubstr("acme_answer"));
  EXPECT_THAT(text, HasSubstr("acme_payload: POST https://ca.test/new-order"));
  EXPECT_THAT(text, Not(HasSubstr("acme_payload: POST https://ca.test/account")));
  const std::string secrets[] = {"token2",
                                 "nonce1",
                                 "an hmac key",
                                 base64url("an hmac key"),
                                 "signature",
                                 "PRIVATE",
                                 base64url(store.accounts.begin()->second.key_der).substr(60, 40),
                                 base64url(store.orders.at(a).key_der).substr(60, 40)};
  for (const std::string& secret : secrets) EXPECT_THAT(text, Not(HasSubstr(secret)));
}

}  // namespace
}  // namespace latchkey::acme
