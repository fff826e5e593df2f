// How orders and authorizations come along: time, restarts, failures of the store, requests at the
// same moment.

#include "tests/acme/authority_server_fixture.h"

namespace latchkey::acme {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AcmeServerStateTest : public AcmeServerFixture {
 protected:
  std::string status(const User& user, const std::string& at) {
    return text(post(user, at, ""), "status");
  }
  static std::vector<std::string> types_of(const HttpReply& authorization) {
    std::vector<std::string> types;
    for (const JsonValue& one : test::at(json(authorization), "challenges").items) {
      types.emplace_back(one.text_of("type"));
    }
    return types;
  }
  static std::string location(const HttpReply& reply) {
    return std::string(reply.header("location"));
  }
  // Begun, not awaited.
  Task<HttpReply> begin(const User& user, const std::string& at, const std::string& payload) {
    Task<HttpReply> task =
        server->handle(jose(at, user.key.sign(at, nonce(), user.kid, payload)), kClient);
    task.start();
    return task;
  }
};

TEST_F(AcmeServerStateTest, ANameAWildcardAndAnAddressHaveTheirChallenges) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test", "*.a.test", "192.0.2.7", "A.test"});
  EXPECT_EQ(3u, test::at(json(made), "identifiers").items.size());
  const HttpReply name = post(user, text(made, "authorizations.0"), "");
  const HttpReply wildcard = post(user, text(made, "authorizations.1"), "");
  const HttpReply address = post(user, text(made, "authorizations.2"), "");
  EXPECT_THAT(types_of(name), ElementsAre("http-01", "tls-alpn-01", "dns-01"));
  EXPECT_THAT(types_of(wildcard), ElementsAre("dns-01"));
  EXPECT_THAT(types_of(address), ElementsAre("http-01", "tls-alpn-01"));
  EXPECT_EQ("a.test", text(wildcard, "identifier.value"));
  EXPECT_TRUE(test::at(json(wildcard), "wildcard").boolean);
  EXPECT_EQ("ip", text(address, "identifier.type"));
}

TEST_F(AcmeServerStateTest, AWildcardIsProvenInTheDns) {
  const User user = sign_up();
  const HttpReply made = order(user, {"*.a.test"});
  const HttpReply authorization = post(user, text(made, "authorizations.0"), "");
  const std::string proof = text(authorization, "challenges.0.token") + "." + user.key.thumbprint();
  probes.records["_acme-challenge.a.test"] = {"other", base64url(sha256(proof))};
  post(user, text(authorization, "challenges.0.url"), "{}");
  EXPECT_EQ("valid", status(user, text(made, "authorizations.0")));
  const HttpReply finalized = post(user, text(made, "finalize"), finalization(csr("*.a.test")));
  EXPECT_EQ("valid", text(finalized, "status")) << finalized.body;
}

TEST_F(AcmeServerStateTest, AFailedProofEndsTheOrder) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  const std::string at = text(made, "authorizations.0");
  const std::string challenge = text(post(user, at, ""), "challenges.0.url");
  const HttpReply answered = post(user, challenge, "{}");
  EXPECT_EQ("<" + at + ">;rel=\"up\"", answered.header("link"));
  const HttpReply authorization = post(user, at, "");
  EXPECT_EQ("invalid", text(authorization, "status"));
  EXPECT_EQ(1u, test::at(json(authorization), "challenges").items.size());
  EXPECT_EQ("urn:ietf:params:acme:error:unauthorized",
            text(authorization, "challenges.0.error.type"));
  const HttpReply ended = post(user, location(made), "");
  EXPECT_EQ("invalid", text(ended, "status"));
  EXPECT_THAT(text(ended, "error.detail"), HasSubstr("a.test"));
  restart();
  EXPECT_EQ("invalid", status(user, location(made)));
}

TEST_F(AcmeServerStateTest, ALookThatARestartHasCutOffIsTakenUpByAPoll) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  probes.delay = Millis(20'000);
  const HttpReply answered = prove(user, made);
  EXPECT_EQ("processing", text(answered, "status"));
  EXPECT_EQ("1", answered.header("retry-after"));
  restart();
  probes.delay = Millis(5);
  EXPECT_EQ(1, probes.looks);
  EXPECT_EQ("valid", status(user, text(made, "authorizations.0")));
  EXPECT_EQ(2, probes.looks);
  EXPECT_EQ("ready", status(user, location(made)));
}

TEST_F(AcmeServerStateTest, APollOfTheOrderTakesItUp) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test", "b.test"});
  probes.delay = Millis(20'000);
  prove(user, made, 0);
  prove(user, made, 1);
  restart();
  probes.delay = Millis(5);
  EXPECT_EQ("1", post(user, location(made), "").header("retry-after"));
  clock.advance(Millis(10));
  EXPECT_EQ("ready", status(user, location(made)));
  EXPECT_EQ(4, probes.looks);
}

TEST_F(AcmeServerStateTest, APollWaitsASecondForALookAndSaysWhenToComeBack) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  probes.delay = Millis(1'500);
  prove(user, made);
  const TimePoint before = clock.now();
  const HttpReply first = post(user, text(made, "authorizations.0"), "");
  EXPECT_EQ("pending", text(first, "status"));
  EXPECT_EQ("1", first.header("retry-after"));
  EXPECT_EQ(Millis(1'000), clock.now() - before);
  const HttpReply second = post(user, text(made, "authorizations.0"), "");
  EXPECT_EQ("valid", text(second, "status"));
  EXPECT_EQ("", second.header("retry-after"));
}

TEST_F(AcmeServerStateTest, OrdersSurviveARestartAtEachState) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  restart();
  EXPECT_EQ("pending", status(user, location(made)));
  prove(user, made);
  restart();
  EXPECT_EQ("ready", status(user, location(made)));
  const HttpReply finalized = post(user, text(made, "finalize"), finalization(csr("a.test")));
  restart();
  EXPECT_EQ("valid", status(user, location(made)));
  EXPECT_EQ(200, post(user, text(finalized, "certificate"), "").status);
}

TEST_F(AcmeServerStateTest, AnOpenOrderExpires) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  prove(user, made);
  clock.advance(std::chrono::hours(4) - std::chrono::seconds(10));
  EXPECT_EQ("ready", status(user, location(made)));
  clock.advance(std::chrono::seconds(10));
  EXPECT_EQ("invalid", status(user, location(made)));
  EXPECT_EQ("expired", status(user, text(made, "authorizations.0")));
  EXPECT_EQ("orderNotReady",
            problem(post(user, text(made, "finalize"), finalization(csr("a.test")))));
}

TEST_F(AcmeServerStateTest, TheOrderAndItsCertificateAreStoredInOnePut) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  prove(user, made);
  const int before = store.order_puts;
  const HttpReply finalized = post(user, text(made, "finalize"), finalization(csr("a.test")));
  EXPECT_EQ("valid", text(finalized, "status"));
  EXPECT_EQ(before, store.order_puts);
  EXPECT_EQ(1, store.issued_puts);
  EXPECT_THAT(store.orders.begin()->second.document, HasSubstr(R"("s":"valid")"));
}

TEST_F(AcmeServerStateTest, ACertificateThatCannotBeStoredIsNotHandedOut) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  prove(user, made);
  store.full = Error{ErrorCode::kIo, "the disk is full"};
  const HttpReply failed = post(user, text(made, "finalize"), finalization(csr("a.test")));
  EXPECT_EQ(500, failed.status);
  EXPECT_EQ("serverInternal", problem(failed));
  EXPECT_THAT(failed.body, ::testing::Not(HasSubstr("disk")));
  store.full.reset();
  EXPECT_EQ("ready", status(user, location(made)));
  EXPECT_EQ("valid",
            text(post(user, text(made, "finalize"), finalization(csr("a.test"))), "status"));
}

TEST_F(AcmeServerStateTest, WhatCannotBeStoredIsTheServersFailureAndChangesNothing) {
  const AccountKey key = AccountKey::generate();
  store.full = Error{ErrorCode::kIo, "the disk is full"};
  EXPECT_EQ("serverInternal", problem(post(key, "", url("/new-account"), "{}")));
  store.full.reset();
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  store.full = Error{ErrorCode::kIo, "the disk is full"};
  EXPECT_EQ("serverInternal", problem(order(user, {"b.test"})));
  EXPECT_EQ("serverInternal", problem(post(user, user.kid, R"({"status":"deactivated"})")));
  EXPECT_EQ("serverInternal",
            problem(post(user, text(made, "authorizations.0"), R"({"status":"deactivated"})")));
  store.full.reset();
  EXPECT_EQ("pending", status(user, location(made)));
  EXPECT_EQ("valid", status(user, user.kid));
}

TEST_F(AcmeServerStateTest, TwoFinalizationsMakeOneCertificate) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  prove(user, made);
  const std::string at = text(made, "finalize");
  const std::string payload = finalization(csr("a.test"));
  store.hold_writes = true;
  Task<HttpReply> first = begin(user, at, payload);
  Task<HttpReply> second = begin(user, at, payload);
  ASSERT_TRUE(second.done());
  EXPECT_EQ("orderNotReady", problem(*second.outcome()));
  EXPECT_FALSE(first.done());
  Task<HttpReply> deactivated =
      begin(user, text(made, "authorizations.0"), R"({"status":"deactivated"})");
  ASSERT_TRUE(deactivated.done());
  EXPECT_EQ(503, deactivated.outcome()->status);
  store.hold_writes = false;
  store.release();
  ASSERT_TRUE(first.done());
  EXPECT_EQ("valid", text(*first.outcome(), "status"));
  EXPECT_EQ(1u, store.issued.size());
}

TEST_F(AcmeServerStateTest, AFinalizationGoesOnWhenItsRequestGoesAway) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  prove(user, made);
  store.hold_writes = true;
  Task<HttpReply> request = begin(user, text(made, "finalize"), finalization(csr("a.test")));
  Task<HttpReply> poll = begin(user, location(made), "");
  request = {};
  EXPECT_FALSE(poll.done());
  clock.advance(Millis(2'000));
  ASSERT_TRUE(poll.done());
  EXPECT_EQ("processing", text(*poll.outcome(), "status"));
  EXPECT_EQ("1", poll.outcome()->header("retry-after"));
  store.hold_writes = false;
  store.release();
  EXPECT_EQ("valid", status(user, location(made)));
}

TEST_F(AcmeServerStateTest, ARequestMayGoAwayAtEachWait) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  for (const char* const path : {"/new-order", "/new-account"}) {
    store.hold_writes = store.hold_reads = true;
    const AccountKey key = AccountKey::generate();
    const bool account = std::string_view(path) == "/new-account";
    const std::string at = url(path);
    for (size_t waits = 0; waits < 3; ++waits) {
      const std::string body = account
                                   ? key.sign(at, nonce(), "", "{}")
                                   : user.key.sign(at, nonce(), user.kid, order_for({"b.test"}));
      Task<HttpReply> task = server->handle(jose(at, body), kClient);
      task.start();
      for (size_t i = 0; i < waits; ++i) store.release();
      task = {};
      store.release();
    }
    store.hold_writes = store.hold_reads = false;
  }
  EXPECT_EQ("pending", status(user, location(made)));
}

TEST_F(AcmeServerStateTest, TwoRegistrationsOfAKeyMakeOneAccount) {
  const AccountKey key = AccountKey::generate();
  const std::string at = url("/new-account");
  store.hold_writes = true;
  Task<HttpReply> first = server->handle(jose(at, key.sign(at, nonce(), "", "{}")), kClient);
  Task<HttpReply> second = server->handle(jose(at, key.sign(at, nonce(), "", "{}")), kClient);
  first.start();
  second.start();
  store.hold_writes = false;
  store.release();
  ASSERT_TRUE(first.done() && second.done());
  EXPECT_EQ(201, first.outcome()->status);
  EXPECT_EQ(200, second.outcome()->status) << second.outcome()->body;
  EXPECT_EQ(location(*first.outcome()), location(*second.outcome()));
  EXPECT_EQ(1u, store.accounts.size());
}

TEST_F(AcmeServerStateTest, AnAccountsOrdersAreListedPageByPage) {
  options.trusting = true;
  restart();
  const User user = sign_up();
  const User other = sign_up();
  std::vector<std::string> made;
  made.reserve(501);
  for (int i = 0; i < 501; ++i) made.push_back(location(order(user, {"a.test"})));
  order(other, {"a.test"});
  const std::string at = text(post(user, user.kid, ""), "orders");
  const HttpReply page = post(user, at, "");
  EXPECT_EQ(500u, test::at(json(page), "orders").items.size());
  const std::string link(page.header("link"));
  ASSERT_THAT(link, HasSubstr("rel=\"next\""));
  const HttpReply last = post(user, link.substr(1, link.find('>') - 1), "");
  EXPECT_EQ(1u, test::at(json(last), "orders").items.size());
  EXPECT_THAT(std::string(last.header("link")), HasSubstr("index"));
}

TEST_F(AcmeServerStateTest, OrdersWithoutEndAreHeldOff) {
  const User user = sign_up();
  const std::string at = url("/new-order");
  HttpReply reply = get(url("/new-nonce"), "HEAD");
  int orders = -1;
  for (; orders < 11'000; ++orders) {
    const std::string fresh(reply.header("replay-nonce"));
    reply = send(jose(at, user.key.sign(at, fresh, user.kid, order_for({"a.test"}))));
    if (reply.status != 201) break;
  }
  EXPECT_EQ(9'999, orders);
  EXPECT_EQ(429, reply.status);
  EXPECT_EQ("rateLimited", problem(reply));
  EXPECT_EQ("1", reply.header("retry-after"));
  clock.advance(Millis(1'000));
  EXPECT_EQ(201, order(user, {"a.test"}).status);
}

TEST_F(AcmeServerStateTest, AnAccountHasABoundedNumberOfLooksUnderWay) {
  const User user = sign_up();
  const User other = sign_up();
  probes.delay = Millis(20'000);
  HttpReply answered;
  int looks = 0;
  for (int i = 0; i < 6 && answered.status != 429; ++i) {
    std::vector<std::string> names;
    names.reserve(100);
    for (int k = 0; k < 100; ++k) {
      names.push_back("n" + std::to_string(k) + ".o" + std::to_string(i) + ".test");
    }
    const HttpReply made = order(user, names);
    for (size_t k = 0; k < 100 && answered.status != 429; ++k, ++looks) {
      answered = prove(user, made, k);
    }
  }
  EXPECT_EQ(501, looks);
  EXPECT_EQ("rateLimited", problem(answered));
  EXPECT_EQ("processing", text(prove(other, order(other, {"a.test"})), "status"));
  clock.advance(Millis(30'000));
  EXPECT_EQ("processing", text(prove(user, order(user, {"a.test"})), "status"));
}

TEST_F(AcmeServerStateTest, ANameThatFailsAgainAndAgainIsHeldOff) {
  const User user = sign_up();
  HttpReply made;
  int orders = 0;
  for (; orders < 100; ++orders) {
    made = order(user, {"a.test"});
    if (made.status != 201) break;
    const HttpReply authorization = post(user, text(made, "authorizations.0"), "");
    post(user, text(authorization, "challenges.0.url"), "{}");
  }
  EXPECT_EQ(20, orders);
  EXPECT_EQ("rateLimited", problem(made));
  EXPECT_EQ(201, order(user, {"b.test"}).status);
  clock.advance(std::chrono::minutes(4));
  EXPECT_EQ(201, order(user, {"a.test"}).status);
}

TEST_F(AcmeServerStateTest, AnAddressMakesFewAccountsAnHour) {
  const auto make = [this](const std::string& client) {
    const AccountKey key = AccountKey::generate();
    const std::string at = url("/new-account");
    return send(jose(at, key.sign(at, nonce(), "", "{}")), client).status;
  };
  for (int i = 0; i < 500; ++i) ASSERT_EQ(201, make("2001:db8:0:1::" + std::to_string(i)));
  EXPECT_EQ(429, make("2001:db8:0:1::ffff"));
  EXPECT_EQ(429, make("2001:db8:0:1:a:b:c:d"));
  EXPECT_EQ(201, make("2001:db8:0:2::1"));
  EXPECT_EQ(201, make("192.0.2.1"));
  for (int i = 0; i < 500; ++i) ASSERT_EQ(201, make("::ffff:192.0.2.2"));
  EXPECT_EQ(429, make("192.0.2.2"));
  EXPECT_EQ(201, make("::ffff:192.0.2.3"));
  options.trusting = true;
  restart();
  for (int i = 0; i < 600; ++i) ASSERT_EQ(201, make("192.0.2.1"));
}

}  // namespace
}  // namespace latchkey::acme
