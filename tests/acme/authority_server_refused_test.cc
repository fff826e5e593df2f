// Requests that are signed as they should be and ask for what cannot be had.

#include <functional>

#include "tests/acme/authority_server_fixture.h"
#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

class AcmeServerRefusedTest : public AcmeServerFixture {
 protected:
  struct Row {
    const char* what;
    int status;
    const char* type;
    std::string at;
    std::string payload;
  };
  void check(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      SCOPED_TRACE(row.what);
      const HttpReply reply = post(user, row.at, row.payload);
      EXPECT_EQ(row.status, reply.status) << reply.body;
      EXPECT_EQ(row.type, problem(reply)) << reply.body;
    }
  }
  static std::string identifiers(const std::string& list) {
    return R"({"identifiers":)" + list + "}";
  }
  // An order that is ready.
  HttpReply ready(const std::string& name) {
    HttpReply made = order(user, {name});
    prove(user, made);
    return made;
  }
  static std::string revocation(const std::string& der, const std::string& more = "") {
    return R"({"certificate":")" + base64url(der) + "\"" + more + "}";
  }

  User user = sign_up();
};

TEST_F(AcmeServerRefusedTest, Orders) {
  const std::string at = url("/new-order");
  std::string many = "[";
  for (int i = 0; i < 101; ++i) {
    many += (i == 0 ? "" : ",") + (R"({"type":"dns","value":"n)" + std::to_string(i) + ".test\"}");
  }
  many += "]";
  check({
      {"an empty payload", 400, "malformed", at, ""},
      {"no object", 400, "malformed", at, "[]"},
      {"no JSON", 400, "malformed", at, "{\"identifiers\""},
      {"no identifiers", 400, "malformed", at, "{}"},
      {"none in the list", 400, "malformed", at, identifiers("[]")},
      {"identifiers that are no list", 400, "malformed", at, identifiers("{}")},
      {"an identifier that is a string", 400, "malformed", at, identifiers("[\"a.test\"]")},
      {"an identifier without a type", 400, "malformed", at,
       identifiers(R"([{"value":"a.test"}])")},
      {"more than a hundred", 400, "malformed", at, identifiers(many)},
      {"another type", 400, "unsupportedIdentifier", at,
       identifiers(R"([{"type":"email","value":"a@a.test"}])")},
      {"an address as a name", 400, "malformed", at,
       identifiers(R"([{"type":"dns","value":"192.0.2.7"}])")},
      {"a name as an address", 400, "malformed", at,
       identifiers(R"([{"type":"ip","value":"a.test"}])")},
      {"a space in a name", 400, "malformed", at,
       identifiers(R"([{"type":"dns","value":"a b.test"}])")},
      {"an empty name", 400, "malformed", at, identifiers(R"([{"type":"dns","value":""}])")},
      {"a star in the middle", 400, "malformed", at,
       identifiers(R"([{"type":"dns","value":"a.*.test"}])")},
      {"a star alone", 400, "malformed", at, identifiers(R"([{"type":"dns","value":"*"}])")},
      {"two stars", 400, "malformed", at, identifiers(R"([{"type":"dns","value":"*.*.test"}])")},
      {"notBefore", 400, "malformed", at,
       R"({"identifiers":[{"type":"dns","value":"a.test"}],"notBefore":"2030-01-01T00:00:00Z"})"},
      {"notAfter", 400, "malformed", at,
       R"({"identifiers":[{"type":"dns","value":"a.test"}],"notAfter":"2030-01-01T00:00:00Z"})"},
      {"a name that is not allowed", 403, "rejectedIdentifier", at, order_for({"denied.test"})},
      {"replaces what is no identifier", 400, "malformed", at,
       R"({"identifiers":[{"type":"dns","value":"a.test"}],"replaces":7})"},
  });
}

TEST_F(AcmeServerRefusedTest, AnOrderForANameThatIsNotAllowedAnyMore) {
  bool allowed = true;
  options.allows = [&allowed](const ServerName&) { return allowed; };
  restart();
  const HttpReply made = ready("a.test");
  const std::string payload = finalization(csr("a.test"));
  allowed = false;
  const HttpReply refused = post(user, text(made, "finalize"), payload);
  EXPECT_EQ(403, refused.status);
  EXPECT_EQ("rejectedIdentifier", problem(refused));
  EXPECT_EQ("a.test", text(refused, "subproblems.0.identifier.value"));
  EXPECT_TRUE(store.issued.empty());
  allowed = true;
  EXPECT_EQ("valid", text(post(user, text(made, "finalize"), payload), "status"));
}

TEST_F(AcmeServerRefusedTest, WhatIsNullIsLeftOut) {
  const AccountKey key = AccountKey::generate();
  const HttpReply account = post(key, "", url("/new-account"),
                                 R"({"contact":null,"externalAccountBinding":null,)"
                                 R"("onlyReturnExisting":null,"termsOfServiceAgreed":null})");
  EXPECT_EQ(201, account.status) << account.body;
  EXPECT_EQ(200, post(user, user.kid, R"({"status":null,"contact":null})").status);
  const HttpReply made = post(user, url("/new-order"),
                              R"({"identifiers":[{"type":"dns","value":"a.test"}],)"
                              R"("notBefore":null,"notAfter":null,"replaces":null})");
  EXPECT_EQ(201, made.status) << made.body;
}

TEST_F(AcmeServerRefusedTest, CertificateRequestsWithoutEndAreHeldOff) {
  const HttpReply made = ready("a.test");
  const std::string at = text(made, "finalize");
  const std::string other = finalization(csr("b.test"));
  for (int i = 0; i < 100; ++i) ASSERT_EQ("badCSR", problem(post(user, at, other)));
  EXPECT_EQ("rateLimited", problem(post(user, at, other)));
  clock.advance(std::chrono::minutes(1));
  EXPECT_EQ("valid", text(post(user, at, finalization(csr("a.test"))), "status"));
}

TEST_F(AcmeServerRefusedTest, EachIdentifierThatWillNotDoIsNamed) {
  const HttpReply denied = post(user, url("/new-order"), order_for({"a.test", "denied.test"}));
  EXPECT_EQ("denied.test", text(denied, "subproblems.0.identifier.value"));
  EXPECT_EQ("urn:ietf:params:acme:error:rejectedIdentifier", text(denied, "subproblems.0.type"));
  EXPECT_TRUE(test::is_null(test::at(json(denied), "subproblems.1")));
  const HttpReply bad =
      post(user, url("/new-order"),
           identifiers(R"([{"type":"x","value":"a"},{"type":"dns","value":"b b"},)"
                       R"({"type":"dns","value":"ok.test"}])"));
  EXPECT_EQ("urn:ietf:params:acme:error:unsupportedIdentifier", text(bad, "subproblems.0.type"));
  EXPECT_EQ("b b", text(bad, "subproblems.1.identifier.value"));
}

TEST_F(AcmeServerRefusedTest, CertificateRequests) {
  const HttpReply made = ready("a.test");
  const std::string at = text(made, "finalize");
  const PrivateKey own = *private_key_from_der(user.key.to_der());
  std::string forged = csr("a.test");
  forged.back() = static_cast<char>(forged.back() ^ 1);
  std::string cut = csr("a.test");
  cut.resize(cut.size() - 1);
  check({
      {"no CSR", 400, "malformed", at, "{}"},
      {"an empty one", 400, "malformed", at, R"({"csr":""})"},
      {"no base64url", 400, "malformed", at, R"({"csr":"%%"})"},
      {"no PKCS#10", 400, "badCSR", at, finalization("nothing")},
      {"a cut one", 400, "badCSR", at, finalization(cut)},
      {"bytes behind it", 400, "badCSR", at, finalization(csr("a.test") + "x")},
      {"another name", 400, "badCSR", at, finalization(csr("b.test"))},
      {"its wildcard", 400, "badCSR", at, finalization(csr("*.a.test"))},
      {"an address", 400, "badCSR", at, finalization(csr("192.0.2.7"))},
      {"a signature that is wrong", 400, "badCSR", at, finalization(forged)},
      {"the account's key", 400, "badCSR", at, finalization(csr("a.test", own))},
      {"a short RSA key", 400, "badCSR", at, finalization(csr("a.test", generate_rsa_key(1024)))},
  });
  EXPECT_EQ(200, post(user, at, finalization(csr("a.test"))).status);
  check({{"one that is valid already", 403, "orderNotReady", at, finalization(csr("a.test"))}});
}

TEST_F(AcmeServerRefusedTest, WhatIsNotReadyIsNotFinalized) {
  const HttpReply made = order(user, {"a.test", "b.test"});
  const std::string at = text(made, "finalize");
  check({{"a pending one", 403, "orderNotReady", at, finalization(csr("a.test"))}});
  prove(user, made, 0);
  check({{"a half proven one", 403, "orderNotReady", at, finalization(csr("a.test"))}});
  prove(user, made, 1);
  check({{"a CSR for one of both", 400, "badCSR", at, finalization(csr("a.test"))}});
}

TEST_F(AcmeServerRefusedTest, WhatIsAnothersIsNotShown) {
  const HttpReply made = order(user, {"a.test"});
  const std::string authorization = text(made, "authorizations.0");
  const std::string challenge = text(post(user, authorization, ""), "challenges.0.url");
  const HttpReply finalized = obtain(user, "b.test");
  const std::string id = user.kid.substr(user.kid.rfind('/') + 1);
  const std::string certificate = text(finalized, "certificate");
  const std::string leaf = leaf_of(finalized);
  const std::string owner = user.kid;
  user = sign_up();
  check({
      {"an order", 403, "unauthorized", std::string(made.header("location")), ""},
      {"an authorization", 403, "unauthorized", authorization, ""},
      {"its deactivation", 403, "unauthorized", authorization, R"({"status":"deactivated"})"},
      {"a challenge", 403, "unauthorized", challenge, "{}"},
      {"a finalization", 403, "unauthorized", text(made, "finalize"), finalization(csr("a.test"))},
      {"a certificate", 403, "unauthorized", certificate, ""},
      {"a revocation", 403, "unauthorized", url("/revoke-cert"), revocation(leaf)},
      {"an account", 403, "unauthorized", owner, ""},
      {"a list", 403, "unauthorized", url("/account/" + id + "/orders"), ""},
      {"an order that is none", 404, "malformed", url("/order/00"), ""},
      {"an authorization that is none", 404, "malformed", url("/authorization/00/0"), ""},
      {"a certificate that is none", 404, "malformed", url("/certificate/00"), ""},
  });
}

TEST_F(AcmeServerRefusedTest, Answers) {
  const HttpReply made = order(user, {"a.test"});
  const std::string authorization = text(made, "authorizations.0");
  const std::string challenge = text(post(user, authorization, ""), "challenges.0.url");
  check({
      {"an authorization beyond the last", 404, "malformed",
       authorization.substr(0, authorization.size() - 1) + "1", ""},
      {"another status", 400, "malformed", authorization, R"({"status":"valid"})"},
      {"an answer that is a list", 400, "malformed", challenge, "[]"},
      {"a challenge of another type", 404, "malformed",
       challenge.substr(0, challenge.rfind('/')) + "/dns-02", "{}"},
      {"a payload to an order", 400, "malformed", std::string(made.header("location")), "{}"},
      {"a payload to a certificate", 400, "malformed", url("/certificate/00"), "{}"},
  });
  EXPECT_EQ(200, post(user, authorization, R"({"status":"deactivated"})").status);
  check({{"one that was deactivated", 400, "malformed", challenge, "{}"},
         {"twice", 400, "malformed", authorization, R"({"status":"deactivated"})"}});
  EXPECT_EQ("invalid", text(post(user, std::string(made.header("location")), ""), "status"));
}

TEST_F(AcmeServerRefusedTest, Accounts) {
  const std::string at = user.kid;
  std::string many = R"({"contact":[)";
  for (int i = 0; i < 11; ++i) many += (i == 0 ? "" : ",") + std::string(R"("mailto:a@a.test")");
  check({
      {"contacts that are no list", 400, "malformed", at, R"({"contact":"mailto:a@a.test"})"},
      {"a contact that is a number", 400, "malformed", at, R"({"contact":[1]})"},
      {"a telephone", 400, "unsupportedContact", at, R"({"contact":["tel:+1"]})"},
      {"two addresses", 400, "invalidContact", at, R"({"contact":["mailto:a@a.test,b@a.test"]})"},
      {"header fields", 400, "invalidContact", at, R"({"contact":["mailto:a@a.test?subject=x"]})"},
      {"no address", 400, "invalidContact", at, R"({"contact":["mailto:a"]})"},
      {"too many", 400, "invalidContact", at, many + "]}"},
      {"another status", 400, "malformed", at, R"({"status":"revoked"})"},
      {"a keyChange that is no JWS", 400, "malformed", url("/key-change"), "{}"},
  });
  const HttpReply unknown_key =
      post(AccountKey::generate(), "", url("/new-account"), R"({"onlyReturnExisting":true})");
  EXPECT_EQ(400, unknown_key.status);
  EXPECT_EQ("accountDoesNotExist", problem(unknown_key));
  EXPECT_EQ("malformed", problem(post(AccountKey::generate(), "", url("/new-account"),
                                      R"({"onlyReturnExisting":1})")));
  EXPECT_EQ(200, post(user, at, R"({"status":"deactivated"})").status);
  check({{"a deactivated one", 401, "unauthorized", url("/new-order"), order_for({"a.test"})}});
  const HttpReply again = post(user.key, "", url("/new-account"), "{}");
  EXPECT_EQ(401, again.status);
  EXPECT_EQ("unauthorized", problem(again));
}

TEST_F(AcmeServerRefusedTest, Revocations) {
  const std::string at = url("/revoke-cert");
  const std::string leaf = leaf_of(obtain(user, "a.test"));
  std::string forged = leaf;
  forged.back() = static_cast<char>(forged.back() ^ 1);
  const std::string foreign = TestCa().issue({"a.test"})->chain_der().front();
  check({
      {"no certificate", 400, "malformed", at, "{}"},
      {"nothing that is one", 400, "malformed", at, revocation("nothing")},
      {"another CA's", 404, "malformed", at, revocation(foreign)},
      {"a forged one", 404, "malformed", at, revocation(forged)},
      {"a reason that is not a subscriber's", 400, "badRevocationReason", at,
       revocation(leaf, R"(,"reason":2)")},
      {"a reason that is none", 400, "badRevocationReason", at,
       revocation(leaf, R"(,"reason":"1")")},
  });
  const HttpReply by_key = post(AccountKey::generate(), "", at, revocation(leaf));
  EXPECT_EQ(403, by_key.status);
  EXPECT_EQ("unauthorized", problem(by_key));
  EXPECT_EQ(200, post(user, at, revocation(leaf, R"(,"reason":4)")).status);
  check({{"a revoked one", 400, "alreadyRevoked", at, revocation(leaf)}});
}

}  // namespace
}  // namespace latchkey::acme
