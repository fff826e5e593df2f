// Who may do what at the ACME server: accounts and their keys, bindings, revocations, renewals.

#include "acme/external_account.h"
#include "acme/renewal_info.h"
#include "tests/acme/authority_server_fixture.h"
#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

class AcmeServerRightsTest : public AcmeServerFixture {
 protected:
  static std::string revocation(const std::string& der) {
    return R"({"certificate":")" + base64url(der) + "\"}";
  }
  static std::string inner_payload(const std::string& account, const std::string& old_key) {
    return JsonObject().text("account", account).raw("oldKey", old_key).str();
  }
  bool is_revoked() { return store.issued.begin()->second.revoked_at.has_value(); }
};

TEST_F(AcmeServerRightsTest, AnAccountIsFoundReadChangedAndDeactivated) {
  const User user = sign_up();
  const HttpReply found = post(user.key, "", url("/new-account"), R"({"onlyReturnExisting":true})");
  EXPECT_EQ(200, found.status);
  EXPECT_EQ(user.kid, found.header("location"));
  const HttpReply changed = post(user, user.kid, R"({"contact":["mailto:ops@a.test"]})");
  EXPECT_EQ("mailto:ops@a.test", text(changed, "contact.0"));
  restart();
  const HttpReply read = post(user, user.kid, "");
  EXPECT_EQ("mailto:ops@a.test", text(read, "contact.0"));
  EXPECT_EQ("valid", text(read, "status"));
  EXPECT_EQ(user.kid + "/orders", text(read, "orders"));
  EXPECT_EQ("deactivated", text(post(user, user.kid, R"({"status":"deactivated"})"), "status"));
  restart();
  EXPECT_EQ(401, post(user, user.kid, "").status);
}

TEST_F(AcmeServerRightsTest, KeysOfAllKindsSignRequests) {
  const std::vector<PrivateKey> keys{generate_p256_key(), generate_p384_key(),
                                     generate_rsa_key(2048), generate_rsa_key(4096)};
  for (const PrivateKey& one : keys) {
    const AccountKey key = *AccountKey::from_key(one);
    const HttpReply made = post(key, "", url("/new-account"), "{}");
    ASSERT_EQ(201, made.status) << made.body;
    restart();
    const std::string kid(made.header("location"));
    EXPECT_EQ(200, post(key, kid, kid, "").status);
    EXPECT_EQ(key.thumbprint(),
              store.accounts.at({"local", kid.substr(kid.rfind('/') + 1)}).thumbprint);
  }
}

TEST_F(AcmeServerRightsTest, KeyChanges) {
  const User user = sign_up();
  const User other = sign_up();
  const std::string at = url("/key-change");
  const AccountKey next = AccountKey::generate();
  const std::string right = inner_payload(user.kid, user.key.jwk());
  const auto refused = [&](const AccountKey& inner_key, const std::string& inner_url,
                           const std::string& payload) {
    const HttpReply reply = post(user, at, inner_key.sign_inner(inner_url, payload));
    return std::to_string(reply.status) + " " + problem(reply);
  };
  EXPECT_EQ("400 malformed", refused(next, url("/new-account"), right));
  EXPECT_EQ("400 malformed", refused(next, at, "{}"));
  EXPECT_EQ("400 malformed", refused(next, at, inner_payload(other.kid, user.key.jwk())));
  EXPECT_EQ("400 malformed", refused(next, at, inner_payload(user.kid, other.key.jwk())));
  EXPECT_EQ("400 malformed", refused(next, at, inner_payload(user.kid, "{}")));
  // With a nonce, as if it were a request.
  const HttpReply nonced = post(user, at, next.sign(at, nonce(), "", right));
  EXPECT_EQ("malformed", problem(nonced));
  // By the old key, and in the name of another.
  const HttpReply taken = post(user, at, other.key.sign_inner(at, right));
  EXPECT_EQ(409, taken.status);
  EXPECT_EQ(other.kid, taken.header("location"));

  const HttpReply changed = post(user, at, next.sign_inner(at, right));
  EXPECT_EQ(200, changed.status) << changed.body;
  EXPECT_EQ(401, post(user, user.kid, "").status);
  EXPECT_EQ(200, post(next, user.kid, user.kid, "").status);
  restart();
  EXPECT_EQ(401, post(user, user.kid, "").status);
  EXPECT_EQ(200, post(next, user.kid, user.kid, "").status);
  EXPECT_EQ(user.kid, post(next, "", url("/new-account"), "{}").header("location"));
}

TEST_F(AcmeServerRightsTest, ExternalBindings) {
  options.eab_required = true;
  options.eab_keys = {{"kid-1", "one secret"}, {"kid-2", "another secret"}};
  restart();
  const std::string at = url("/new-account");
  const AccountKey key = AccountKey::generate();
  const AccountKey stranger = AccountKey::generate();
  const auto bound = [&](const std::string& binding) {
    return post(key, "", at, R"({"externalAccountBinding":)" + binding + "}");
  };
  const auto refused = [&](const std::string& binding) {
    const HttpReply reply = bound(binding);
    return std::to_string(reply.status) + " " + problem(reply);
  };
  EXPECT_TRUE(test::at(json(get(url("/directory"))), "meta.externalAccountRequired").boolean);
  EXPECT_EQ("externalAccountRequired", problem(post(key, "", at, "{}")));
  EXPECT_EQ("400 malformed", refused("{}"));
  EXPECT_EQ("400 malformed", refused("1"));
  const ExternalAccount external{"kid-1", "one secret"};
  EXPECT_EQ("401 unauthorized",
            refused(external_account_binding({"kid-3", "one secret"}, key, at)));
  EXPECT_EQ("401 unauthorized",
            refused(external_account_binding({"kid-2", "one secret"}, key, at)));
  EXPECT_EQ("400 malformed", refused(external_account_binding(external, stranger, at)));
  EXPECT_EQ("400 malformed", refused(external_account_binding(external, key, url("/new-order"))));
  // Signed as a request is.
  EXPECT_EQ("400 badSignatureAlgorithm", refused(key.sign_inner(at, key.jwk())));
  EXPECT_TRUE(store.accounts.empty());
  EXPECT_EQ(201, bound(external_account_binding(external, key, at)).status);
  EXPECT_NE(std::string::npos, store.accounts.begin()->second.document.find("kid-1"));
  // Who has an account needs no binding to find it.
  EXPECT_EQ(200, post(key, "", at, R"({"onlyReturnExisting":true})").status);
}

TEST_F(AcmeServerRightsTest, ACertificatesOwnKeyRevokesIt) {
  const User user = sign_up();
  const PrivateKey own = generate_p256_key();
  const std::string leaf = leaf_of(obtain(user, "a.test", own));
  const HttpReply reply =
      post(*AccountKey::from_key(own), "", url("/revoke-cert"), revocation(leaf));
  EXPECT_EQ(200, reply.status) << reply.body;
  EXPECT_TRUE(is_revoked());
}

TEST_F(AcmeServerRightsTest, AnotherAccountThatHasProvenAllNamesRevokesACertificate) {
  const User user = sign_up();
  const User other = sign_up();
  const HttpReply made = order(user, {"a.test"});
  prove(user, made);
  const std::string leaf = leaf_of(post(user, text(made, "finalize"), finalization(csr("a.test"))));
  EXPECT_EQ(403, post(other, url("/revoke-cert"), revocation(leaf)).status);
  const HttpReply wrong = order(other, {"b.test"});
  prove(other, wrong);
  EXPECT_EQ(403, post(other, url("/revoke-cert"), revocation(leaf)).status);
  const HttpReply right = order(other, {"a.test"});
  EXPECT_EQ(403, post(other, url("/revoke-cert"), revocation(leaf)).status);
  prove(other, right);
  EXPECT_FALSE(is_revoked());
  EXPECT_EQ(200, post(other, url("/revoke-cert"), revocation(leaf)).status);
  EXPECT_TRUE(is_revoked());
}

TEST_F(AcmeServerRightsTest, RenewalInfoIsForEverybody) {
  const User user = sign_up();
  const std::string leaf = leaf_of(obtain(user, "a.test"));
  const HttpReply reply = get(url("/renewal-info/" + renewal_id(leaf)));
  EXPECT_EQ(200, reply.status);
  const int again = std::stoi(std::string(reply.header("retry-after")));
  EXPECT_THAT(again,
              ::testing::AllOf(::testing::Ge(3'600), ::testing::Lt(4'000)));  // a life's 12th
  EXPECT_TRUE(RenewalInfo::parse("url", reply.body)) << reply.body;
  const std::string foreign = TestCa().issue({"a.test"})->chain_der().front();
  EXPECT_EQ(404, get(url("/renewal-info/" + renewal_id(foreign))).status);
  EXPECT_EQ(404, get(url("/renewal-info/AAAA")).status);
  EXPECT_EQ(404, get(url("/renewal-info/AAAA.BBBB.CCCC")).status);
}

TEST_F(AcmeServerRightsTest, WhoRenewsSaysWhatHeReplaces) {
  const User user = sign_up();
  const User other = sign_up();
  const std::string id = renewal_id(leaf_of(obtain(user, "a.test")));
  const auto replacing = [&](const User& who, const std::string& name) {
    std::string payload = order_for({name});
    payload.insert(payload.size() - 1, R"(,"replaces":")" + id + "\"");
    return post(who, url("/new-order"), payload);
  };
  EXPECT_EQ(403, replacing(other, "a.test").status);
  EXPECT_EQ(400, replacing(user, "b.test").status);
  const HttpReply made = replacing(user, "a.test");
  EXPECT_EQ(201, made.status) << made.body;
  EXPECT_EQ(id, text(made, "replaces"));
  const HttpReply twice = replacing(user, "a.test");
  EXPECT_EQ(409, twice.status);
  EXPECT_EQ("alreadyReplaced", problem(twice));
  // The order that was to replace it has come to nothing.
  post(user, text(made, "authorizations.0"), R"({"status":"deactivated"})");
  EXPECT_EQ(201, replacing(user, "a.test").status);
}

TEST_F(AcmeServerRightsTest, WhoReplacesWhatIsNotKnownAnyMoreGetsAnOrderAllTheSame) {
  const User user = sign_up();
  const std::string id = renewal_id(leaf_of(obtain(user, "a.test")));
  store.issued.clear();
  for (const std::string& unknown : {id, std::string("AAAA.AAAA"), std::string("AAAA")}) {
    std::string payload = order_for({"a.test"});
    payload.insert(payload.size() - 1, R"(,"replaces":")" + unknown + "\"");
    for (int i = 0; i < 2; ++i) {
      const HttpReply made = post(user, url("/new-order"), payload);
      EXPECT_EQ(201, made.status) << made.body;
      EXPECT_EQ("", text(made, "replaces"));
    }
  }
}

TEST_F(AcmeServerRightsTest, ASearchForTheRightToRevokeIsShort) {
  const User user = sign_up();
  const std::string leaf = leaf_of(obtain(user, "a.test"));
  const User other = sign_up();
  const auto prove_it = [&] { prove(other, order(other, {"a.test"})); };
  prove_it();
  clock.advance(Millis(1'000));  // the orders behind it have higher ids
  for (int i = 0; i < 100; ++i) order(other, {"b.test"});
  const int before = store.reads;
  EXPECT_EQ(403, post(other, url("/revoke-cert"), revocation(leaf)).status);
  EXPECT_LE(store.reads - before, 102);
  store.hold_reads = true;
  const std::string at = url("/revoke-cert");
  const std::string body = other.key.sign(at, nonce(), other.kid, revocation(leaf));
  Task<HttpReply> first = server->handle(jose(at, body), kClient);
  first.start();
  store.release(1);  // the certificate; the list of orders is next
  store.hold_reads = false;
  EXPECT_EQ(429, post(other, at, revocation(leaf)).status);
  store.release();
  ASSERT_TRUE(first.done());
  EXPECT_EQ(403, first.outcome()->status);
  clock.advance(Millis(1'000));
  prove_it();
  EXPECT_EQ(200, post(other, at, revocation(leaf)).status);
}

TEST_F(AcmeServerRightsTest, AlternateChainsAreLinked) {
  const User user = sign_up();
  const HttpReply finalized = obtain(user, "a.test");
  const std::string at = text(finalized, "certificate");
  const HttpReply chain = post(user, at, "");
  EXPECT_EQ(200, chain.status);
  EXPECT_EQ(404, post(user, at + "/9", "").status);
}

}  // namespace
}  // namespace latchkey::acme
