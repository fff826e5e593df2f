// What the operator does with an account.

#include "acme/account.h"
#include "tests/acme/account_fixture.h"

namespace latchkey::acme {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using AccountChangeTest = AccountFixture;

constexpr const char* kFirst = "https://ca.test/acct/1";
constexpr const char* kSecond = "https://ca.test/acct/2";

TEST_F(AccountChangeTest, ANewKeySignsFromThenOn) {
  const AccountPtr before = *get().account;
  const Result<> rolled = run(accounts->roll_key());
  ASSERT_TRUE(rolled) << error(rolled);
  const AccountPtr after = *get().account;
  EXPECT_EQ(after->url, before->url);
  EXPECT_NE(after->key.thumbprint(), before->key.thumbprint());
  EXPECT_TRUE(accounts->superseded(before));
  EXPECT_TRUE(works(after));
  EXPECT_FALSE(works(before)) << "who still signs with it must get() anew";
  EXPECT_EQ(record().key_der, after->key.to_der());
  EXPECT_EQ(record().next_key_der, "");
  restart();
  EXPECT_TRUE(works(*get().account));
  EXPECT_EQ(ca.requests["/account"], 1);
}

TEST_F(AccountChangeTest, ACrashAtAnyPointOfAChangeOfKeyLosesNeitherKeyNorAccount) {
  get();
  bool whole = false;
  for (int steps = 0; !whole; ++steps) {
    ASSERT_LT(steps, 200);
    Task<> task = accounts->roll_key();
    task.start();
    for (int i = 0; i < steps && !task.done(); ++i) clock.advance(Millis(1));
    whole = task.done();
    task = {};
    restart();
    const AccountOutcome found = get();
    ASSERT_TRUE(found.account) << steps << ": " << found.account.error().message;
    EXPECT_EQ((*found.account)->url, kFirst);
    EXPECT_TRUE(works(*found.account)) << steps;
    EXPECT_EQ(record().next_key_der, "") << steps;
  }
  EXPECT_EQ(ca.accounts_made, 1);
  EXPECT_GT(ca.key_changes, 1) << "also behind the CA's answer";
}

TEST_F(AccountChangeTest, WhoAskedForANewKeyMayGo) {
  get();
  Task<> task = accounts->roll_key();
  task.start();
  clock.advance(Millis(1));
  task = {};
  for (int i = 0; i < 100; ++i) clock.advance(Millis(1));
  EXPECT_EQ(ca.key_changes, 1);
  EXPECT_EQ(record().next_key_der, "");
  EXPECT_TRUE(works(*get().account));
}

TEST_F(AccountChangeTest, AnAnswerThatSaysNothingIsSettledWithTheCa) {
  const AccountPtr before = *get().account;
  ca.latency = Millis(1);
  // The CA takes the key; its answer is lost.
  bool taken = false;
  ca.intercept = [&](const HttpRequest& request, const std::string&) -> std::optional<HttpReply> {
    if (request.url != "https://ca.test/key-change" || taken) return std::nullopt;
    taken = true;
    const FakeAcmeServer::Intercept own = std::exchange(ca.intercept, nullptr);
    Task<HttpReply> really = ca.send(request);
    really.start();
    clock.advance(Millis(1));
    EXPECT_EQ(really.outcome()->status, 200);
    return FakeAcmeServer::problem(500, "serverInternal");
  };
  const Result<> rolled = run(accounts->roll_key());
  EXPECT_TRUE(rolled) << error(rolled);
  EXPECT_EQ(ca.key_changes, 1);
  EXPECT_TRUE(works(*get().account));
  EXPECT_NE((*get().account)->key.thumbprint(), before->key.thumbprint());
}

TEST_F(AccountChangeTest, AKeyThatTheCaRefusesIsDropped) {
  const AccountPtr before = *get().account;
  answer("/key-change", FakeAcmeServer::problem(409, "malformed", "that key is known"));
  EXPECT_THAT(error(run(accounts->roll_key())),
              AllOf(HasSubstr("that key is known"), HasSubstr("the one before stays")));
  EXPECT_EQ((*get().account)->key.thumbprint(), before->key.thumbprint());
  EXPECT_EQ(record().next_key_der, "");
}

TEST_F(AccountChangeTest, WhereNothingCanBeLearntBothKeysAreKeptAndTheNextRequestFindsOut) {
  get();
  ca.intercept = [](const HttpRequest& request, const std::string&) -> std::optional<HttpReply> {
    if (request.method != "POST") return std::nullopt;
    return FakeAcmeServer::json(502, "no");
  };
  EXPECT_THAT(error(run(accounts->roll_key())), HasSubstr("both are stored"));
  EXPECT_NE(record().next_key_der, "");
  ca.intercept = nullptr;
  EXPECT_TRUE(works(*get().account));
  EXPECT_EQ(record().next_key_der, "");
}

TEST_F(AccountChangeTest, AKeyThatCouldNotBeMadeTheAccountsIsNotLostByTheNextChange) {
  get();
  Task<> first = accounts->roll_key();
  first.start();
  while (ca.key_changes == 0) clock.advance(Millis(1));
  store.broken = Error{ErrorCode::kIo, "disk full"};
  for (int i = 0; i < 50; ++i) clock.advance(Millis(1));
  ASSERT_TRUE(first.done());
  store.broken.reset();
  // Another one, and a crash before the CA has heard of it.
  answer("/key-change", FakeAcmeServer::json(502, "no"));
  const std::string before = record().next_key_der;
  Task<> second = accounts->roll_key();
  second.start();
  while (record().next_key_der == before) clock.advance(Millis(1));
  second = {};
  ca.intercept = nullptr;
  restart();
  EXPECT_TRUE(works(*get().account));
  EXPECT_EQ(ca.accounts_made, 1);
}

TEST_F(AccountChangeTest, AKeyThatTheCaHasIsUsedAlsoWhenItCannotBeStored) {
  get();
  Task<> task = accounts->roll_key();
  task.start();
  while (ca.key_changes == 0) clock.advance(Millis(1));
  store.broken = Error{ErrorCode::kIo, "disk full"};
  for (int i = 0; i < 50; ++i) clock.advance(Millis(1));
  ASSERT_TRUE(task.done());
  EXPECT_THAT(error(task.outcome()), AllOf(HasSubstr("disk full"), HasSubstr("the next start")));
  EXPECT_TRUE(works(*get().account));
  store.broken.reset();
  restart();
  EXPECT_TRUE(works(*get().account));
  EXPECT_EQ(record().next_key_der, "");
}

TEST_F(AccountChangeTest, ACaWithoutKeyChangeSaysSo) {
  get();
  ca.intercept = [](const HttpRequest& request, const std::string&) -> std::optional<HttpReply> {
    if (!request.url.ends_with("/dir")) return std::nullopt;
    return FakeAcmeServer::json(200, R"({"newNonce":"https://ca.test/nonce",)"
                                     R"("newAccount":"https://ca.test/account",)"
                                     R"("newOrder":"https://ca.test/new-order"})");
  };
  restart();
  EXPECT_THAT(error(run(accounts->roll_key())), HasSubstr("no keyChange"));
}

TEST_F(AccountChangeTest, ADeactivatedAccountOrdersNothingUntilItIsReactivated) {
  const AccountPtr before = *get().account;
  ASSERT_TRUE(run(accounts->deactivate()));
  for (const bool again : {false, true}) {
    if (again) restart();
    const AccountOutcome outcome = get();
    ASSERT_FALSE(outcome.account);
    EXPECT_EQ(outcome.account.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(outcome.account.error().message, HasSubstr("latchkey account reactivate fake"));
  }
  EXPECT_FALSE(works(before)) << "the CA knows, too";
  const Result<> reactivated = run(accounts->reactivate());
  ASSERT_TRUE(reactivated) << error(reactivated);
  const AccountPtr after = *get().account;
  EXPECT_EQ(after->url, kSecond);
  EXPECT_NE(after->key.thumbprint(), before->key.thumbprint());
  EXPECT_TRUE(works(after));
  EXPECT_TRUE(lost.empty());
}

TEST_F(AccountChangeTest, ADeactivationHoldsAlsoWhenTheCaCannotBeTold) {
  const AccountPtr before = *get().account;
  answer("/acct/", FakeAcmeServer::json(502, "no"));
  EXPECT_THAT(error(run(accounts->deactivate())),
              AllOf(HasSubstr("nothing is ordered"), HasSubstr("could not be told")));
  EXPECT_THAT(url(), HasSubstr("deactivated"));
  ca.intercept = nullptr;
  EXPECT_TRUE(works(before));
  EXPECT_TRUE(run(accounts->deactivate()));
  EXPECT_FALSE(works(before));
  EXPECT_TRUE(run(accounts->deactivate())) << "once more does no harm";
}

TEST_F(AccountChangeTest, AnAccountThatWasDeactivatedElsewhereIsReplacedOnTheOperatorsWord) {
  get();
  EXPECT_THAT(error(run(accounts->reactivate())), HasSubstr("there is nothing to do"));
  ca.deactivate_accounts();
  EXPECT_THAT(error(run(accounts->status())), HasSubstr("account reactivate fake"));
  record().url.clear();
  restart();
  EXPECT_THAT(url(), HasSubstr("account reactivate fake"));
  ASSERT_TRUE(run(accounts->reactivate()));
  EXPECT_EQ(url(), kSecond);
}

TEST_F(AccountChangeTest, ADamagedKeyIsReplacedOnTheOperatorsWord) {
  get();
  record().key_der = "garbage";
  restart();
  ASSERT_TRUE(run(accounts->reactivate()));
  EXPECT_EQ(url(), kSecond);
}

// As the store has it where the sealed key does not open.
TEST_F(AccountChangeTest, ARowThatTheStoreCannotReadIsReplacedOnTheOperatorsWord) {
  get();
  restart();
  store.broken = Error{ErrorCode::kInvalid, "it is damaged"};
  EXPECT_FALSE(get().storage_failed) << "other issuers can do their work";
  Task<> task = accounts->reactivate();
  task.start();
  clock.advance(Millis(1));
  store.broken.reset();
  for (int i = 0; i < 50 && !task.done(); ++i) clock.advance(Millis(1));
  ASSERT_TRUE(task.done());
  EXPECT_TRUE(task.outcome()) << error(task.outcome());
  EXPECT_EQ(url(), kSecond);
}

TEST_F(AccountChangeTest, AReactivationKeepsTheBinding) {
  ca.external_accounts = {{"kid", "key"}};
  options.eab = ExternalAccount{"kid", "key"};
  restart();
  get();
  ASSERT_TRUE(run(accounts->deactivate()));
  ASSERT_TRUE(run(accounts->reactivate()));
  EXPECT_EQ(record().eab_kid, "kid");
  EXPECT_EQ(url(), kSecond);
}

TEST_F(AccountChangeTest, OneChangeAtATime) {
  get();
  Task<> first = accounts->roll_key();
  Task<> same = accounts->roll_key();
  Task<> other = accounts->deactivate();
  first.start();
  same.start();
  other.start();
  ASSERT_TRUE(other.done());
  EXPECT_THAT(error(other.outcome()), HasSubstr("a change of its key is under way"));
  for (int i = 0; i < 50; ++i) clock.advance(Millis(1));
  EXPECT_TRUE(first.done() && same.done());
  EXPECT_EQ(ca.key_changes, 1);
  EXPECT_TRUE(run(accounts->deactivate()));
}

TEST_F(AccountChangeTest, WhoWantsAnAccountDuringAChangeGetsWhatComesOfIt) {
  get();
  Task<> change = accounts->deactivate();
  change.start();
  clock.advance(Millis(2));
  Task<AccountOutcome> wanted = accounts->get();
  wanted.start();
  for (int i = 0; i < 50; ++i) clock.advance(Millis(1));
  ASSERT_TRUE(change.done() && wanted.done());
  EXPECT_THAT(error(wanted.outcome()->account), HasSubstr("deactivated"));
}

TEST_F(AccountChangeTest, TheStatusIsTheCasWordAndRegistersNothing) {
  Result<AccountStatus> status = run(accounts->status());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->url, "");
  EXPECT_EQ(ca.accounts_made, 0);
  get();
  status = run(accounts->status());
  ASSERT_TRUE(status) << error(status);
  EXPECT_EQ(status->directory, FakeAcmeServer::kDirectory);
  EXPECT_EQ(status->url, kFirst);
  EXPECT_EQ(status->status, "valid");
  EXPECT_THAT(status->contact, ElementsAre("mailto:a@ca.test"));
  ASSERT_TRUE(run(accounts->deactivate()));
  status = run(accounts->status());
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->deactivated);
  EXPECT_EQ(status->status, "deactivated");
}

TEST(AccountObject, WhatIsNoneIsAnError) {
  for (const char* bad : {"", "[]", "{}", "null", R"({"status":7})", R"({"status":""})"}) {
    const Result<AccountStatus> parsed = parse_account("https://ca.test/acct/1", bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_THAT(parsed.error().message, HasSubstr("https://ca.test/acct/1"));
  }
  const auto account = parse_account("u", R"({"status":"revoked","contact":[7,"mailto:a@b"]})");
  ASSERT_TRUE(account);
  EXPECT_EQ(account->status, "revoked");
}

}  // namespace
}  // namespace latchkey::acme
