// Finding, registering, binding and losing an account.

#include "acme/account.h"

#include "tests/acme/account_fixture.h"

namespace latchkey::acme {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using AccountTest = AccountFixture;

constexpr const char* kFirst = "https://ca.test/acct/1";
constexpr const char* kSecond = "https://ca.test/acct/2";

TEST_F(AccountTest, ItIsRegisteredOnceAndFoundAgainByAllWhoAsk) {
  EXPECT_EQ(accounts->url(), "");
  Task<AccountOutcome> one = accounts->get();
  Task<AccountOutcome> two = accounts->get();
  one.start();
  two.start();
  for (int i = 0; i < 100; ++i) clock.advance(Millis(1));
  ASSERT_TRUE(one.done() && two.done());
  EXPECT_EQ(*one.outcome()->account, *two.outcome()->account);
  EXPECT_EQ(accounts->url(), kFirst);
  restart();
  EXPECT_EQ(url(), kFirst);
  EXPECT_EQ(ca.requests["/account"], 1);
  EXPECT_THAT(lost, IsEmpty());
}

TEST_F(AccountTest, AKeyWithoutUrlIsLookedUpBeforeItIsRegistered) {
  EXPECT_EQ(url(), kFirst);
  record().url.clear();  // the answer was lost in a crash
  ca.meta = R"({"termsOfService":"https://ca.test/tos"})";
  restart();
  EXPECT_EQ(url(), kFirst) << "no terms need be accepted for what exists";
  EXPECT_EQ(record().url, kFirst);
  EXPECT_EQ(ca.accounts_made, 1);
}

TEST_F(AccountTest, ACrashAtAnyPointOfTheRegistrationMakesNoSecondAccount) {
  for (int steps = 0; steps < 40; ++steps) {
    Task<AccountOutcome> task = accounts->get();
    task.start();
    for (int i = 0; i < steps; ++i) clock.advance(Millis(1));
    task = {};
    restart();
    ASSERT_THAT(url(), HasSubstr("https://ca.test/acct/")) << steps;
    EXPECT_EQ(ca.accounts_made, steps + 1);
    store.accounts.clear();
    restart();
  }
}

TEST_F(AccountTest, AnAccountThatTheCaHasLostIsRegisteredAnewWithItsKeyAndTold) {
  const AccountPtr before = *get().account;
  ca.forget_accounts();
  accounts->forget(before);
  EXPECT_TRUE(accounts->superseded(before));
  const AccountPtr after = *get().account;
  EXPECT_EQ(after->url, kSecond);
  EXPECT_EQ(after->key.thumbprint(), before->key.thumbprint());
  EXPECT_THAT(lost, ElementsAre(kFirst));
  accounts->forget(before);
  EXPECT_EQ(url(), kSecond) << "what was forgotten is forgotten";
  EXPECT_TRUE(works(after));
}

TEST_F(AccountTest, ALossIsToldOnceHoweverOftenTheRegistrationFails) {
  const AccountPtr before = *get().account;
  ca.forget_accounts();
  ca.meta = R"({"externalAccountRequired":true})";
  restart();
  accounts->forget(*get().account);
  EXPECT_THAT(url(), HasSubstr("external account binding"));
  EXPECT_THAT(url(), HasSubstr("external account binding"));
  EXPECT_THAT(lost, ElementsAre(kFirst));
}

TEST_F(AccountTest, AnAccountThatTheCaDisownedByMistakeIsFoundAgain) {
  const AccountPtr before = *get().account;
  accounts->forget(before);
  EXPECT_EQ(url(), kFirst);
  EXPECT_THAT(lost, IsEmpty());
}

TEST_F(AccountTest, TheExternalAccountIsBoundByAnHmacOverTheKey) {
  ca.meta = R"({"externalAccountRequired":true})";
  ca.external_accounts["kid-1"] = "a secret of the CA";
  options.eab = ExternalAccount{"kid-1", "a secret of the CA"};
  restart();
  EXPECT_EQ(url(), kFirst);
  EXPECT_EQ(record().eab_kid, "kid-1");
}

TEST_F(AccountTest, ACaThatWantsABindingWithNoneConfiguredIsAClearError) {
  ca.meta = R"({"externalAccountRequired":true})";
  const AccountOutcome outcome = get();
  ASSERT_FALSE(outcome.account);
  EXPECT_EQ(outcome.account.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(outcome.account.error().message,
              AllOf(HasSubstr("issuers[].acme.eab with kid and hmac_key_file"),
                    HasSubstr("the issuer fake")));
  EXPECT_EQ(ca.requests["/account"], 0);
}

TEST_F(AccountTest, ABindingThatIsRefusedNamesTheKidAndNeverTheKey) {
  ca.external_accounts["kid-1"] = "right";
  options.eab = ExternalAccount{"kid-1", "wrong-secret"};
  restart();
  const AccountOutcome outcome = get();
  ASSERT_FALSE(outcome.account);
  EXPECT_EQ(outcome.account.error().code, ErrorCode::kInvalid)
      << "the account's fault, not a name's";
  EXPECT_FALSE(outcome.problem);
  EXPECT_THAT(outcome.account.error().message,
              AllOf(HasSubstr("kid \"kid-1\""), HasSubstr("hmac_key_file"),
                    Not(HasSubstr("wrong-secret"))));
  options.eab->hmac_key = "right";
  restart();
  EXPECT_EQ(url(), kFirst);
}

TEST_F(AccountTest, AnotherKidMakesAnotherAccountWithAnotherKey) {
  ca.external_accounts = {{"one", "1"}, {"two", "2"}};
  options.eab = ExternalAccount{"one", "1"};
  restart();
  const AccountPtr before = *get().account;
  options.eab = ExternalAccount{"two", "2"};
  restart();
  const AccountPtr after = *get().account;
  EXPECT_EQ(after->url, kSecond);
  EXPECT_NE(after->key.thumbprint(), before->key.thumbprint());
  EXPECT_EQ(record().eab_kid, "two");
  EXPECT_EQ(record().next_key_der, "");
  restart();
  EXPECT_EQ(url(), kSecond);
  options.eab.reset();
  restart();
  EXPECT_EQ(url(), kSecond) << "a binding that is not mentioned any more stays";
}

TEST_F(AccountTest, AnotherKidThatIsRefusedLeavesTheAccountWhereItWas) {
  ca.external_accounts = {{"one", "1"}};
  options.eab = ExternalAccount{"one", "1"};
  restart();
  EXPECT_EQ(url(), kFirst);
  options.eab = ExternalAccount{"mistyped", "1"};
  restart();
  EXPECT_THAT(url(), HasSubstr("kid \"mistyped\""));
  EXPECT_THAT(url(), HasSubstr("kid \"mistyped\""));
  options.eab = ExternalAccount{"one", "1"};
  restart();
  EXPECT_EQ(url(), kFirst);
  EXPECT_EQ(ca.accounts_made, 1);
}

TEST_F(AccountTest, ACrashAtAnyPointOfTheMoveToAnotherKidLosesNothing) {
  ca.external_accounts = {{"one", "1"}, {"two", "2"}};
  for (int steps = 0; steps < 30; ++steps) {
    ca.forget_accounts();
    store.accounts.clear();
    options.eab = ExternalAccount{"one", "1"};
    restart();
    const AccountPtr before = *get().account;
    const int made = ca.accounts_made;
    options.eab = ExternalAccount{"two", "2"};
    restart();
    Task<AccountOutcome> task = accounts->get();
    task.start();
    for (int i = 0; i < steps; ++i) clock.advance(Millis(1));
    task = {};
    restart();
    const AccountOutcome after = get();
    ASSERT_TRUE(after.account) << steps << after.account.error().message;
    EXPECT_NE((*after.account)->url, before->url);
    EXPECT_TRUE(works(*after.account));
    EXPECT_EQ(record().eab_kid, "two");
    EXPECT_EQ(ca.accounts_made, made + 1) << "a kid may be good for one account only";
  }
}

TEST_F(AccountTest, ADamagedKeyIsAnErrorThatSaysWhatHelps) {
  EXPECT_EQ(url(), kFirst);
  record().key_der = "garbage";
  restart();
  EXPECT_THAT(url(), AllOf(HasSubstr("from a backup"), HasSubstr("account reactivate fake")));
}

TEST_F(AccountTest, AnAccountWithAnRsaKeyThatWasBroughtAlongIsUsed) {
  const AccountKey key = *AccountKey::from_key(generate_rsa2048_key());
  record() = {FakeAcmeServer::kDirectory, kFirst, key.to_der()};
  EXPECT_EQ(url(), kFirst);
}

// It was brought along; what it is bound to nobody has said.
TEST_F(AccountTest, AnAccountWithoutAKidIsUsedAsItIsWhileTheCaKnowsIt) {
  ca.external_accounts = {{"one", "1"}};
  options.eab = ExternalAccount{"one", "1"};
  restart();
  const AccountPtr before = *get().account;
  record().eab_kid.clear();
  ca.external_accounts = {{"two", "2"}};
  options.eab = ExternalAccount{"two", "2"};
  restart();
  EXPECT_EQ(url(), kFirst);
  EXPECT_TRUE(works(*get().account));
  EXPECT_EQ(ca.accounts_made, 1);
  EXPECT_EQ((*get().account)->key.thumbprint(), before->key.thumbprint());

  ca.forget_accounts();
  accounts->forget(*get().account);
  EXPECT_EQ(url(), kSecond) << "bound, with its own key";
  EXPECT_EQ((*get().account)->key.thumbprint(), before->key.thumbprint());
  EXPECT_EQ(record().eab_kid, "two");
}

// ... of some clients not even the account's URL comes along.
TEST_F(AccountTest, AKeyThatWasBroughtAlongLeadsToItsAccount) {
  ca.external_accounts = {{"one", "1"}};
  options.eab = ExternalAccount{"one", "1"};
  restart();
  EXPECT_EQ(url(), kFirst);
  record().url.clear();
  record().eab_kid.clear();
  restart();
  EXPECT_EQ(url(), kFirst);
  EXPECT_EQ(ca.accounts_made, 1);
  EXPECT_EQ(record().url, kFirst);
}

TEST_F(AccountTest, WhatTheStoreCannotDoIsItsFault) {
  store.broken = Error{ErrorCode::kIo, "disk on fire"};
  const AccountOutcome outcome = get();
  EXPECT_TRUE(outcome.storage_failed);
  EXPECT_FALSE(outcome.account);
}

TEST_F(AccountTest, TermsThatChangedAreWorkForAPerson) {
  EXPECT_EQ(url(), kFirst);
  HttpReply reply = FakeAcmeServer::problem(403, "userActionRequired", "terms have changed");
  reply.headers.emplace_back(
      "link",
      R"(<https://ca.test/tos/2>;rel="terms-of-service", <https://ca.test/dir>;rel="index")");
  answer("/acct/", reply);
  AcmeRequest request{Resource::kAccount, (*get().account)->key, kFirst, kFirst};
  const Result<AcmeReply> answered = run(client->post(std::move(request)));
  ASSERT_TRUE(answered && answered->problem);
  EXPECT_EQ(answered->problem->failure_class(), FailureClass::kUserActionRequired);
  EXPECT_THAT(answered->error().message,
              AllOf(HasSubstr("a person must act"), HasSubstr("https://ca.test/tos/2")));
}

}  // namespace
}  // namespace latchkey::acme
