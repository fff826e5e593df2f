// What the ACME server stores while requests go away, writes wait or fail, and looks are under way.

#include "tests/acme/authority_server_fixture.h"
#include "tests/acme/odd_csr.h"

namespace latchkey::acme {
namespace {

class AcmeServerStoringTest : public AcmeServerFixture {
 protected:
  static constexpr const char* kDeactivated = R"({"status":"deactivated"})";

  std::string status(const User& user, const std::string& at) {
    return text(post(user, at, ""), "status");
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
  void release(bool fail = false) {
    if (fail) store.full = Error{ErrorCode::kIo, "the disk is full"};
    store.hold_writes = false;
    store.release();
    store.full.reset();
  }
};

TEST_F(AcmeServerStoringTest, ADeactivationHoldsAlsoWhenItsRequestGoesAway) {
  const User user = sign_up();
  store.hold_writes = true;
  Task<HttpReply> task = begin(user, user.kid, kDeactivated);
  EXPECT_FALSE(task.done());
  task = {};
  // Nor can a change that knows nothing of it undo it.
  EXPECT_EQ(503, post(user, user.kid, R"({"contact":["mailto:a@a.test"]})").status);
  release();
  EXPECT_EQ(401, post(user, user.kid, "").status);
  restart();
  EXPECT_EQ(401, post(user, user.kid, "").status);
}

TEST_F(AcmeServerStoringTest, AKeyChangeHoldsAlsoWhenItsRequestGoesAway) {
  const User user = sign_up();
  const User changed{AccountKey::generate(), user.kid};
  const std::string at = url("/key-change");
  const std::string inner =
      JsonObject().text("account", user.kid).raw("oldKey", user.key.jwk()).str();
  store.hold_writes = true;
  Task<HttpReply> task = begin(user, at, changed.key.sign_inner(at, inner));
  EXPECT_FALSE(task.done());
  task = {};
  release();
  EXPECT_NE(200, post(user, user.kid, "").status);
  EXPECT_EQ(200, post(changed, user.kid, "").status);
}

TEST_F(AcmeServerStoringTest, AChangeThatCouldNotBeStoredIsNone) {
  const User user = sign_up();
  for (const bool gone : {false, true}) {
    store.hold_writes = true;
    Task<HttpReply> task = begin(user, user.kid, kDeactivated);
    if (gone) task = {};
    release(true);
    if (!gone) {
      EXPECT_EQ(500, task.outcome()->status);
    }
    EXPECT_EQ("valid", status(user, user.kid));
  }
  EXPECT_EQ("deactivated", text(post(user, user.kid, kDeactivated), "status"));
}

TEST_F(AcmeServerStoringTest, AnAuthorizationsDeactivationThatCouldNotBeStoredIsNone) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  for (const bool gone : {false, true}) {
    store.hold_writes = true;
    Task<HttpReply> task = begin(user, text(made, "authorizations.0"), kDeactivated);
    if (gone) task = {};
    release(true);
    if (!gone) {
      EXPECT_EQ(500, task.outcome()->status);
    }
    EXPECT_EQ("pending", status(user, location(made)));
  }
  store.hold_writes = true;
  Task<HttpReply> task = begin(user, text(made, "authorizations.0"), kDeactivated);
  task = {};
  release();
  EXPECT_EQ("invalid", status(user, location(made)));
}

// The first of two puts fails, while the second waits behind it: nobody may read what the second
// is about to replace.
TEST_F(AcmeServerStoringTest, AnOrderIsReadAnewWhenItsLastPutIsDone) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test", "b.test"});
  probes.delay = Millis(20'000);
  store.hold_writes = true;
  Task<HttpReply> looked_at =
      begin(user, text(post(user, text(made, "authorizations.0"), ""), "challenges.0.url"), "{}");
  Task<HttpReply> withdrawn = begin(user, text(made, "authorizations.1"), kDeactivated);
  EXPECT_EQ(2u, store.held());
  store.full = Error{ErrorCode::kIo, "the disk is full"};
  store.release(1);
  store.full.reset();
  ASSERT_TRUE(looked_at.done());
  EXPECT_EQ(500, looked_at.outcome()->status);
  EXPECT_EQ(500, post(user, text(made, "authorizations.0"), kDeactivated).status);
  release();
  ASSERT_TRUE(withdrawn.done());
  EXPECT_EQ("deactivated", text(*withdrawn.outcome(), "status"));
  EXPECT_EQ("invalid", status(user, location(made)));
}

TEST_F(AcmeServerStoringTest, ALookFromBeforeAFailureCannotUndoACertificate) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test", "b.test"});
  probes.delay = Millis(20'000);
  EXPECT_EQ("processing", text(prove(user, made, 0), "status"));
  store.hold_writes = true;
  const std::string challenge =
      text(post(user, text(made, "authorizations.1"), ""), "challenges.0.url");
  Task<HttpReply> answered = begin(user, challenge, "{}");
  release(true);
  ASSERT_TRUE(answered.done());
  EXPECT_EQ(500, answered.outcome()->status);
  probes.delay = Millis(0);
  EXPECT_EQ("valid", status(user, text(made, "authorizations.0")));
  EXPECT_EQ("valid", text(prove(user, made, 1), "status"));
  EXPECT_EQ("ready", status(user, location(made)));
  OddCsr request;
  request.names = {"a.test", "b.test"};
  const std::string csr = request.signed_by(generate_p256_key());
  const HttpReply finalized = post(user, text(made, "finalize"), finalization(csr));
  EXPECT_EQ("valid", text(finalized, "status")) << finalized.body;
  clock.advance(Millis(30'000));
  EXPECT_EQ("valid", status(user, location(made)));
  restart();
  EXPECT_EQ("valid", status(user, location(made)));
}

TEST_F(AcmeServerStoringTest, ALookWhoseOutcomeCouldNotBeStoredIsTakenUpAgain) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  probes.delay = Millis(10);
  for (int i = 0; i < 3; ++i) {
    store.hold_writes = false;
    if (i == 0) {
      prove(user, made);
    } else {
      Task<HttpReply> poll = begin(user, text(made, "authorizations.0"), "");
    }
    store.full = Error{ErrorCode::kIo, "the disk is full"};
    clock.advance(Millis(10));
    store.full.reset();
  }
  EXPECT_EQ(3, probes.looks);
  EXPECT_EQ("valid", status(user, text(made, "authorizations.0")));
  EXPECT_EQ(4, probes.looks);
  EXPECT_EQ("ready", status(user, location(made)));
}

TEST_F(AcmeServerStoringTest, WhatIsNotOnDiskYetIsNotShownNorCertified) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  probes.delay = Millis(10);
  prove(user, made);
  store.hold_writes = true;
  clock.advance(Millis(10));
  ASSERT_EQ(1u, store.held());
  const std::string payload = finalization(csr("a.test"));
  Task<HttpReply> poll = begin(user, location(made), "");
  Task<HttpReply> authorization = begin(user, text(made, "authorizations.0"), "");
  Task<HttpReply> late = begin(user, text(made, "finalize"), payload);
  EXPECT_FALSE(poll.done() || authorization.done() || late.done());
  clock.advance(Millis(2'000));
  ASSERT_TRUE(late.done());
  EXPECT_EQ(503, late.outcome()->status);
  EXPECT_EQ("1", late.outcome()->header("retry-after"));
  Task<HttpReply> finalized = begin(user, text(made, "finalize"), payload);
  EXPECT_FALSE(finalized.done());
  release();
  ASSERT_TRUE(finalized.done());
  EXPECT_EQ("valid", text(*finalized.outcome(), "status"));
}

TEST_F(AcmeServerStoringTest, AnAccountHasItsShareOfTheLooks) {
  const User user = sign_up();
  const User other = sign_up();
  probes.delay = Millis(20'000);
  std::vector<std::string> challenges;
  challenges.reserve(504);
  for (int i = 0; i < 6; ++i) {
    std::vector<std::string> names;
    names.reserve(84);
    for (int n = 0; n < 84; ++n) names.push_back("n" + std::to_string(n) + ".test");
    const HttpReply made = order(user, names);
    for (int n = 0; n < 84; ++n) {
      const std::string at = text(made, "authorizations." + std::to_string(n));
      challenges.push_back(text(post(user, at, ""), "challenges.0.url"));
    }
  }
  for (size_t i = 0; i < 500; ++i) {
    ASSERT_EQ("processing", text(post(user, challenges[i], "{}"), "status"));
  }
  const HttpReply refused = post(user, challenges[500], "{}");
  EXPECT_EQ(429, refused.status);
  EXPECT_EQ("5", refused.header("retry-after"));
  EXPECT_EQ("processing", text(prove(other, order(other, {"a.test"})), "status"));
  clock.advance(Millis(20'000));
  EXPECT_EQ("processing", text(post(user, challenges[500], "{}"), "status"));
}

TEST_F(AcmeServerStoringTest, FewRequestsWaitForAnOrder) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  probes.delay = Millis(500);
  prove(user, made);
  const std::string at = text(made, "authorizations.0");
  std::vector<Task<HttpReply>> polls;
  polls.reserve(8);
  for (int i = 0; i < 8; ++i) {
    polls.push_back(begin(user, at, ""));
    EXPECT_FALSE(polls.back().done());
  }
  Task<HttpReply> ninth = begin(user, at, "");
  ASSERT_TRUE(ninth.done());
  EXPECT_EQ("pending", text(*ninth.outcome(), "status"));
  EXPECT_EQ("1", ninth.outcome()->header("retry-after"));
  clock.advance(Millis(500));
  for (Task<HttpReply>& poll : polls) {
    ASSERT_TRUE(poll.done());
    EXPECT_EQ("valid", text(*poll.outcome(), "status"));
  }
}

}  // namespace
}  // namespace latchkey::acme
