// Certificates, events and accounts as the operator sees and changes them, in a control plane with
// a store on disk and a CA on loopback.
#include <gmock/gmock.h>

#include <optional>

#include "edge/steering_json.h"
#include "tests/edge/control_steering_fixture.h"
#include "tests/support/scripted_ca.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using test::at;
using test::is_null;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class SteeredCertificatesTest : public ControlSteeringTest {
 protected:
  SteeredCertificatesTest() {
    Config::Issuer issuer;
    issuer.name = "test";
    issuer.directory = scripted_.directory();
    issuer.accept_terms = true;
    config_.issuers.push_back(issuer);
  }

  void keep_in_memory(std::string_view name) {
    steering();
    cache_.put(name_of(name), record_of(name).certificate);
  }
  std::string text_of(Task<std::string> deed) {
    const auto text = loop_.finish(std::move(deed));
    EXPECT_TRUE(text) << text.error().message;
    return text ? *text : "";
  }

  test::ScriptedCa scripted_;
};

TEST_F(SteeredCertificatesTest, TheListHasPages) {
  for (const char* name : {"c.test", "a.test", "b.test"}) store(name, name);
  CertificateQuery query;
  query.limit = 2;
  const JsonValue first = said(steering().list_certificates(query));
  EXPECT_EQ(at(first, "certificates.0.name").text, "a.test");
  EXPECT_EQ(at(first, "certificates.1.name").text, "b.test");
  ASSERT_EQ(at(first, "next").text, "b.test");
  query.after = "b.test";
  const JsonValue second = said(steering().list_certificates(query));
  EXPECT_EQ(at(second, "certificates").items.size(), 1U);
  EXPECT_EQ(at(second, "certificates.0.name").text, "c.test");
  EXPECT_TRUE(is_null(at(second, "next")));
  query.after = "c.test";
  EXPECT_TRUE(at(said(steering().list_certificates(query)), "certificates").items.empty());
}

TEST_F(SteeredCertificatesTest, ARowOfTheListSaysHowLongItLives) {
  store("a.test", "a.test");
  const JsonValue list = said(steering().list_certificates({}));
  const JsonValue row = at(list, "certificates.0");
  EXPECT_EQ(at(row, "issuer").text, "test");
  EXPECT_EQ(at(row, "key_type").text, "p256");
  EXPECT_EQ(at(row, "slot").text, "main");
  EXPECT_NE(at(row, "serial").text, "");
  EXPECT_NEAR(at(row, "expires_in_seconds").number, 90 * 86'400, 60);
  EXPECT_NEAR(at(row, "renew_in_seconds").number, 60 * 86'400, 3 * 86'400);
  EXPECT_TRUE(is_null(at(row, "denied_since")));
}

TEST_F(SteeredCertificatesTest, OnlyWhatIsLookedForIsListed) {
  store("shop.a.test", "shop.a.test");
  store("b.test", "b.test");
  CertificateQuery query;
  query.contains = "shop";
  const JsonValue found = said(steering().list_certificates(query));
  EXPECT_EQ(at(found, "certificates").items.size(), 1U);
  query = {};
  query.ends_before = loop_.clock().wall_now();
  EXPECT_TRUE(at(said(steering().list_certificates(query)), "certificates").items.empty());
}

TEST_F(SteeredCertificatesTest, ACertificateIsShownInFullButForItsKey) {
  store("a.test", "a.test");
  const std::string text = text_of(steering().show_certificate(name_of("a.test")));
  EXPECT_THAT(text, Not(HasSubstr("PRIVATE")));
  const JsonValue shown = *parse_json(text);
  EXPECT_EQ(at(shown, "names.0").text, "a.test");
  EXPECT_EQ(at(shown, "issuer").text, "test");
  EXPECT_EQ(at(shown, "sha256").text.size(), 64U);
  EXPECT_FALSE(at(shown, "in_memory").boolean);
  const CertificatePtr stored = record_of("a.test").certificate;
  const auto read = Certificate::from_pem(at(shown, "pem").text, stored->key());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ((*read)->chain_der(), stored->chain_der());
  keep_in_memory("a.test");
  EXPECT_TRUE(at(said(steering().show_certificate(name_of("a.test"))), "in_memory").boolean);
}

TEST_F(SteeredCertificatesTest, ATwinIsListedAndShownBesideItsCertificate) {
  store("a.test", "a.test");
  EXPECT_TRUE(is_null(at(said(steering().show_certificate(name_of("a.test"))), "twin")));
  const WallTime now = TestCa::now();
  const CertificatePtr twin = ca_.issue({"a.test"}, now - 1h, now + 24h, generate_rsa_key());
  CertificateOrigin origin("test");
  origin.slot = Slot::kRsa;
  ASSERT_TRUE(loop_.finish(plane_->store().put_certificate(name_of("a.test"), twin, origin)));
  const JsonValue shown = said(steering().show_certificate(name_of("a.test")));
  EXPECT_EQ(at(shown, "slot").text, "main");
  EXPECT_EQ(at(shown, "key_type").text, "p256");
  EXPECT_EQ(at(shown, "twin.key_type").text, "rsa2048");
  EXPECT_EQ(at(shown, "twin.serial").text, twin->serial());
  EXPECT_FALSE(at(shown, "twin.in_memory").boolean);
  std::vector<std::string> slots;
  for (const JsonValue& row : at(said(steering().list_certificates({})), "certificates").items) {
    slots.push_back(at(row, "slot").text + " " + at(row, "key_type").text);
  }
  EXPECT_THAT(slots, testing::UnorderedElementsAre("main p256", "rsa rsa2048"));
}

TEST_F(SteeredCertificatesTest, AStapleIsShownWithItsTimes) {
  steering();
  auto staple = std::make_shared<Staple>();
  staple->der = "der";
  staple->this_update = TestCa::now() - 1h;
  staple->next_update = TestCa::now() + 1h;
  cache_.put(name_of("own.test"), ca_.issue({"own.test"})->with_staple(staple));
  const JsonValue shown = said(steering().show_certificate(name_of("own.test")));
  EXPECT_TRUE(at(shown, "staple.good").boolean);
  EXPECT_EQ(at(shown, "staple.next_update").text, iso_time(staple->next_update));
  cache_.put(name_of("own.test"), ca_.issue({"own.test"}));
  EXPECT_TRUE(is_null(at(said(steering().show_certificate(name_of("own.test"))), "staple")));
}

TEST_F(SteeredCertificatesTest, WhatIsOnlyInMemoryIsShownWithoutWhatOnlyTheStoreKnows) {
  steering();
  cache_.put(name_of("own.test"), ca_.issue({"own.test"}));
  const JsonValue shown = said(steering().show_certificate(name_of("own.test")));
  EXPECT_FALSE(at(shown, "stored").boolean);
  EXPECT_TRUE(is_null(at(shown, "renewal")));
  EXPECT_NE(at(shown, "pem").text, "");
}

TEST_F(SteeredCertificatesTest, WhereThereIsNoCertificateItIsSaid) {
  const Error none = refusal(steering().show_certificate(name_of("a.test")));
  EXPECT_EQ(none.code, ErrorCode::kNotFound);
  EXPECT_THAT(none.message, HasSubstr("a.test"));
  EXPECT_EQ(refusal(steering().renew(name_of("a.test"))).code, ErrorCode::kNotFound);
  EXPECT_EQ(refusal(steering().revoke(name_of("a.test"), "unspecified")).code,
            ErrorCode::kNotFound);
}

TEST_F(SteeredCertificatesTest, ExplainTellsThePlanTheOrderAndTheEventsButNoKey) {
  store("a.test", "a.test");
  PendingOrder order{.name = name_of("a.test"),
                     .issuer = "test",
                     .directory = scripted_.directory(),
                     .account = "https://ca.test/account",
                     .url = "https://ca.test/order/7",
                     .key_der = private_key_to_der(generate_p256_key()),
                     .made = loop_.clock().wall_now()};
  const std::string key = order.key_der;
  ASSERT_TRUE(loop_.finish(plane_->store().put_order(std::move(order))));
  for (int i = 0; i < 12; ++i) {
    Event event;
    event.kind = event_kind::kRenewed;
    event.name = "a.test";
    event.text = "the " + std::to_string(i) + "th";
    event.details = R"({"serial":"7"})";
    plane_->events().tell(std::move(event));
  }
  const std::string text = text_of(steering().explain(name_of("a.test")));
  EXPECT_EQ(text.find(key.substr(0, 16)), std::string::npos);
  const JsonValue known = *parse_json(text);
  EXPECT_EQ(at(known, "renewal.issuer").text, "test");
  EXPECT_GT(at(known, "renewal.renew_in_seconds").number, 0);
  EXPECT_EQ(at(known, "order.url").text, "https://ca.test/order/7");
  EXPECT_FALSE(is_null(at(known, "order.made")));
  EXPECT_EQ(at(known, "events").items.size(), 10U);
  EXPECT_EQ(at(known, "events.0.text").text, "the 11th");
  EXPECT_EQ(at(known, "events.0.details.serial").text, "7");
  EXPECT_TRUE(is_null(at(known, "store_error")));
}

TEST_F(SteeredCertificatesTest, ARenewalReplacesAGoodCertificateWithANewKey) {
  store("a.test", "a.test");
  keep_in_memory("a.test");
  const CertificatePtr before = record_of("a.test").certificate;
  const JsonValue renewed = said(steering().renew(name_of("a.test")));
  EXPECT_THAT(at(renewed, "says").text, StartsWith("It is served"));
  const CertificatePtr after = record_of("a.test").certificate;
  EXPECT_NE(after->serial(), before->serial());
  EXPECT_NE(private_key_to_der(after->key()), private_key_to_der(before->key()));
  EXPECT_EQ(at(renewed, "certificate.serial").text, after->serial());
  EXPECT_EQ(cache_.find(name_of("a.test"))->serial(), after->serial());
  EXPECT_THAT(kinds("a.test"), Contains(event_kind::kRenewed));
}

TEST_F(SteeredCertificatesTest, AnExpiredCertificateIsReplacedWhileTheOperatorWaits) {
  steering();
  const WallTime now = TestCa::now();
  const auto old = ca_.issue({"a.test"}, now - std::chrono::hours(48), now - 1h);
  ASSERT_TRUE(loop_.finish(plane_->store().put_certificate(name_of("a.test"), old, "test")));
  const JsonValue obtained = said(steering().obtain(name_of("a.test")));
  EXPECT_NE(at(obtained, "certificate.serial").text, old->serial());
  EXPECT_FALSE(record_of("a.test").certificate->expired_at(now));
}

TEST_F(SteeredCertificatesTest, ARevokedCertificateGoesEverywhereAndAnotherOneComes) {
  store("a.test", "a.test");
  keep_in_memory("a.test");
  const CertificatePtr before = record_of("a.test").certificate;
  const JsonValue done = said(steering().revoke(name_of("a.test"), "keyCompromise"));
  EXPECT_EQ(at(done, "serial").text, before->serial());
  EXPECT_EQ(at(done, "reason").text, "keyCompromise");
  EXPECT_TRUE(at(done, "new_one").boolean);
  const auto revoked = scripted_.revocations();
  ASSERT_EQ(revoked.size(), 1U);
  EXPECT_EQ(revoked[0].certificate, before->chain_der().front());
  EXPECT_EQ(revoked[0].reason, 1);

  ASSERT_TRUE(loop_.run_until([&] { return cache_.find(name_of("a.test")) != nullptr; }));
  const CertificatePtr after = record_of("a.test").certificate;
  ASSERT_NE(after, nullptr);
  EXPECT_NE(after->serial(), before->serial());
  EXPECT_NE(private_key_to_der(after->key()), private_key_to_der(before->key()));
  EXPECT_THAT(kinds("a.test"), Contains(event_kind::kRevoked));
}

TEST_F(SteeredCertificatesTest, WhatARenewalHasBroughtMeanwhileStays) {
  store("a.test", "a.test");
  const CertificatePtr before = record_of("a.test").certificate;
  Task<std::string> revoking = steering().revoke(name_of("a.test"), "superseded");
  revoking.start();
  ASSERT_TRUE(loop_.run_until([&] { return scripted_.requests("/directory") > 0; }));
  const CertificatePtr after = ca_.issue({"a.test"});
  Task<> renewing = plane_->store().put_certificate(name_of("a.test"), after, "test");
  renewing.start();
  ASSERT_TRUE(loop_.run_until([&] { return revoking.done(); }));
  ASSERT_TRUE(revoking.outcome()) << revoking.outcome().error().message;
  EXPECT_THAT(*revoking.outcome(), HasSubstr("A renewal has brought another one meanwhile"));
  EXPECT_EQ(scripted_.revocations().at(0).certificate, before->chain_der().front());
  ASSERT_NE(record_of("a.test").certificate, nullptr);
  EXPECT_EQ(record_of("a.test").certificate->serial(), after->serial());
  EXPECT_EQ(scripted_.orders("a.test"), 0U);
}

TEST_F(SteeredCertificatesTest, NoOtherOneComesForANameThatPolicyDenies) {
  store("a.test", "a.test");
  std::vector<Allowlist::BadLine> bad;
  plane_->replace_allowlist(*Allowlist::load({"other.test"}, {}, bad));
  const JsonValue done = said(steering().revoke(name_of("a.test"), "cessationOfOperation"));
  EXPECT_FALSE(at(done, "new_one").boolean);
  EXPECT_EQ(record_of("a.test").certificate, nullptr);
  EXPECT_EQ(scripted_.revocations().at(0).reason, 5);
  EXPECT_EQ(scripted_.orders("a.test"), 0U);
}

TEST_F(SteeredCertificatesTest, WhatTheCaDoesNotRevokeStays) {
  store("a.test", "a.test");
  keep_in_memory("a.test");
  scripted_.misbehave("/revokeCert",
                      test::ScriptedCa::problem(403, "unauthorized", "not your certificate"));
  const Error why = refusal(steering().revoke(name_of("a.test"), "superseded"));
  EXPECT_THAT(why.message,
              AllOf(HasSubstr("a.test"), HasSubstr("test"), HasSubstr("not your certificate")));
  EXPECT_NE(record_of("a.test").certificate, nullptr);
  EXPECT_NE(cache_.find(name_of("a.test")), nullptr);
  EXPECT_THAT(kinds("a.test"), Not(Contains(event_kind::kRevoked)));
}

TEST_F(SteeredCertificatesTest, AnIssuerThatIsConfiguredNoMoreIsNamed) {
  store("a.test", "a.test", "former");
  const Error why = refusal(steering().revoke(name_of("a.test"), "unspecified"));
  EXPECT_EQ(why.code, ErrorCode::kNotFound);
  EXPECT_THAT(why.message, AllOf(HasSubstr("\"former\""), HasSubstr("(test are)")));
  EXPECT_NE(record_of("a.test").certificate, nullptr);
}

TEST_F(SteeredCertificatesTest, AWildcardIsRevokedByTheNameThatItIsStoredFor) {
  store("a.shop.test", "*.shop.test");
  const Error why = refusal(steering().revoke(name_of("b.shop.test"), "unspecified"));
  EXPECT_EQ(why.code, ErrorCode::kNotFound);
  EXPECT_THAT(why.message, HasSubstr("revoke a.shop.test"));
  EXPECT_TRUE(scripted_.revocations().empty());
}

TEST_F(SteeredCertificatesTest, ATwinIsRevokedWithItsCertificateAndBothComeAnew) {
  store("a.test", "a.test");
  const WallTime now = TestCa::now();
  const CertificatePtr twin = ca_.issue({"a.test"}, now - 1h, now + 24h, generate_rsa_key());
  CertificateOrigin origin("test");
  origin.slot = Slot::kRsa;
  const ServerName name = name_of("a.test");
  ASSERT_TRUE(loop_.finish(plane_->store().put_certificate(name, twin, origin)));
  said(steering().revoke(name, "keyCompromise"));
  EXPECT_EQ(scripted_.revocations().size(), 2U);
  ASSERT_TRUE(loop_.run_until([&] {
    const CertificatePtr rsa = cache_.find(name, Slot::kRsa);
    return cache_.find(name) != nullptr && rsa != nullptr && rsa->serial() != twin->serial();
  }));
}

TEST_F(SteeredCertificatesTest, ARevocationGoesOnWhenWhoAskedForItLeaves) {
  store("a.test", "a.test");
  keep_in_memory("a.test");
  const std::string before = record_of("a.test").certificate->serial();
  {
    Task<std::string> revoking = steering().revoke(name_of("a.test"), "superseded");
    revoking.start();
    ASSERT_FALSE(revoking.done());
  }
  ASSERT_TRUE(loop_.run_until([&] {
    const CertificatePtr now = cache_.find(name_of("a.test"));
    return now != nullptr && now->serial() != before;
  }));
  EXPECT_EQ(scripted_.revocations().size(), 1U);
}

TEST_F(SteeredCertificatesTest, SixteenRevocationsAreUnderWayAtMost) {
  scripted_.hang();
  std::vector<Task<std::string>> waiting;
  for (int i = 0; i < 17; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    store(name, name);
    waiting.push_back(steering().revoke(name_of(name), "superseded"));
    waiting.back().start();
  }
  ASSERT_TRUE(loop_.run_until([&] { return waiting.back().done(); }));
  EXPECT_EQ(waiting.back().outcome().error().code, ErrorCode::kThrottled);
  for (int i = 0; i < 16; ++i) EXPECT_FALSE(waiting[i].done());
}

TEST_F(SteeredCertificatesTest, TheProcessMayEndAtEachWaitOfARevocation) {
  for (int turns = 0; turns < 16; ++turns) {
    const std::string name = "n" + std::to_string(turns) + ".test";
    store(name, name);
    Task<std::string> revoking = steering().revoke(name_of(name), "superseded");
    revoking.start();
    for (int i = 0; i < turns; ++i) loop_.turn();
    revoking = {};
    end();
  }
}

TEST_F(SteeredCertificatesTest, EvictionEmptiesMemoryOnly) {
  store("a.test", "a.test");
  keep_in_memory("a.test");
  const JsonValue done = said(steering().evict(name_of("a.test")));
  EXPECT_TRUE(at(done, "evicted").boolean);
  EXPECT_THAT(at(done, "says").text, HasSubstr("The next visit reads the store"));
  EXPECT_EQ(cache_.find(name_of("a.test")), nullptr);
  EXPECT_NE(record_of("a.test").certificate, nullptr);
  EXPECT_FALSE(at(said(steering().evict(name_of("a.test"))), "evicted").boolean);
}

TEST_F(SteeredCertificatesTest, RetryForgetsFailuresAndGetsTheCertificateInTheBackground) {
  steering();
  ASSERT_TRUE(loop_.finish(plane_->ledger().failed(name_of("a.test"), FailureClass::kDns,
                                                   {ErrorCode::kProtocol, "NXDOMAIN"}, "test")));
  const JsonValue done = said(steering().retry(name_of("a.test")));
  EXPECT_TRUE(at(done, "failure").boolean);
  EXPECT_THAT(at(done, "says").text, HasSubstr("in the background"));
  ASSERT_TRUE(loop_.run_until([&] { return cache_.find(name_of("a.test")) != nullptr; }));
  EXPECT_FALSE(at(said(steering().retry(name_of("a.test"))), "failure").boolean);
}

TEST_F(SteeredCertificatesTest, RetryOfARenewalThatIsDueIsTriedAtOnce) {
  store("a.test", "a.test");
  CertificateInfo info = *record_of("a.test").info;
  EXPECT_THAT(at(said(steering().retry(name_of("a.test"))), "says").text, HasSubstr("not due"));
  info.plan.renew_at = loop_.clock().wall_now() - 1h;
  info.plan.look_at = loop_.clock().wall_now() + 24h;
  ASSERT_TRUE(loop_.finish(plane_->store().put_plan(info.id, info.plan)));
  EXPECT_THAT(at(said(steering().retry(name_of("a.test"))), "says").text, HasSubstr("at once"));
  EXPECT_LE(record_of("a.test").info->plan.look_at, loop_.clock().wall_now());
}

TEST_F(SteeredCertificatesTest, WhatPolicyDeniesIsNotRetried) {
  const Error why = refusal(steering().retry(name_of("a.example")));
  EXPECT_EQ(why.code, ErrorCode::kDenied);
  EXPECT_THAT(why.message, HasSubstr("a.example"));
}

TEST_F(SteeredCertificatesTest, AddressesAreObtainedOnlyWhereTheConfigurationListsThem) {
  const ServerName address = *ServerName::parse_ip("192.0.2.7");
  for (const Error& why :
       {refusal(steering().obtain(address)), refusal(steering().retry(address))}) {
    EXPECT_EQ(why.code, ErrorCode::kDenied);
    EXPECT_THAT(why.message, AllOf(HasSubstr("192.0.2.7"), HasSubstr("managed")));
  }
}

TEST_F(SteeredCertificatesTest, EventsOfANameAndOfAll) {
  store("a.test", "a.test");
  forget("a.test");
  const JsonValue mine = said(steering().events(name_of("a.test"), 10));
  ASSERT_EQ(at(mine, "events").items.size(), 1U);
  EXPECT_EQ(at(mine, "events.0.kind").text, event_kind::kForgotten);
  EXPECT_TRUE(is_null(at(mine, "events.0.details")));
  EXPECT_TRUE(at(said(steering().events(name_of("b.test"), 10)), "events").items.empty());
  EXPECT_EQ(at(said(steering().events({}, 1)), "events").items.size(), 1U);
}

TEST_F(SteeredCertificatesTest, AccountsAreShownAlsoWhereTheCaSaysNothing) {
  Config::Issuer dead = config_.issuers.front();
  dead.name = "dead";
  dead.directory = "http://127.0.0.1:1/directory";
  config_.issuers.push_back(dead);
  said(steering().obtain(name_of("a.test")));
  scripted_.misbehave("*", test::ScriptedCa::problem(403, "unauthorized", "closed for today"));
  const JsonValue accounts = said(steering().accounts());
  ASSERT_EQ(at(accounts, "accounts").items.size(), 2U);
  EXPECT_EQ(at(accounts, "accounts.0.issuer").text, "test");
  EXPECT_THAT(at(accounts, "accounts.0.error").text, HasSubstr("closed for today"));
  EXPECT_THAT(at(accounts, "accounts.0.url").text, HasSubstr("/account"));
  EXPECT_EQ(at(accounts, "accounts.0.directory").text, scripted_.directory());
  EXPECT_EQ(at(accounts, "accounts.1.issuer").text, "dead");
  EXPECT_TRUE(is_null(at(accounts, "accounts.1.error")));
  EXPECT_EQ(at(accounts, "accounts.1.url").text, "");  // it was never asked
  EXPECT_EQ(at(accounts, "accounts.1.directory").text, dead.directory);
}

TEST_F(SteeredCertificatesTest, WhoLeavesDoesNotWaitForAccounts) {
  scripted_.hang();
  {
    Task<std::string> looking = steering().accounts();
    looking.start();
    for (int i = 0; i < 3; ++i) loop_.turn();
  }
  end();
}

TEST_F(SteeredCertificatesTest, AnIssuerThatIsNotThereIsSaidWithThoseThatAre) {
  const Error why = refusal(steering().change_account("tset", Steering::AccountAct::kRollKey));
  EXPECT_EQ(why.code, ErrorCode::kNotFound);
  EXPECT_EQ(why.message, "no issuer is called \"tset\"; there are: test");
}

TEST_F(SteeredCertificatesTest, AnAccountsActThatFailsNamesTheIssuerAndIsNoEvent) {
  said(steering().obtain(name_of("a.test")));
  scripted_.misbehave("*", test::ScriptedCa::problem(503, "serverInternal", "closed"));
  const Error why = refusal(steering().change_account("test", Steering::AccountAct::kDeactivate));
  EXPECT_THAT(why.message, StartsWith("issuer test: "));
  EXPECT_THAT(kinds(""), Not(Contains(event_kind::kAccountChanged)));
}

TEST_F(SteeredCertificatesTest, StatusCountsWhatIsDueAndUnderWay) {
  store("a.test", "a.test");
  CertificateInfo info = *record_of("a.test").info;
  info.plan.look_at = loop_.clock().wall_now() + 24h;
  ASSERT_TRUE(loop_.finish(plane_->store().put_plan(info.id, info.plan)));
  JsonValue status = said(steering().status());
  EXPECT_EQ(at(status, "renewals.due").number, 0);
  EXPECT_FALSE(is_null(at(status, "renewals.next_due")));
  EXPECT_EQ(at(status, "orders.pending").number, 0);
  EXPECT_EQ(at(status, "events.waiting").number, 0);
  EXPECT_TRUE(is_null(at(status, "events.webhook")));
  EXPECT_EQ(at(status, "store.health").text, "ok");
  info.plan.look_at = loop_.clock().wall_now() - 1h;
  ASSERT_TRUE(loop_.finish(plane_->store().put_plan(info.id, info.plan)));
  status = said(steering().status());
  EXPECT_EQ(at(status, "renewals.due").number, 1);
}

}  // namespace
}  // namespace latchkey::edge
