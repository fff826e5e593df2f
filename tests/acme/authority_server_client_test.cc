// Our own ACME client at our own ACME server, in one process.

#include "acme/issuer.h"
#include "acme/renewal_info.h"
#include "base/text.h"
#include "tests/acme/authority_server_fixture.h"
#include "tests/acme/fake_prover.h"
#include "tests/support/fake_store.h"

namespace latchkey::acme {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The network between them: takes a millisecond each way.
class InProcess final : public HttpClient {
 public:
  InProcess(Clock& clock, std::unique_ptr<AcmeServer>& server) : clock_(clock), server_(server) {}

  int requests = 0;
  std::vector<int> statuses;

  Task<HttpReply> send(HttpRequest request) override {
    ++requests;
    co_await sleep(clock_, Millis(1));
    for (auto& [name, value] : request.headers) name = lower(name);
    const std::string client = "192.0.2.1";
    HttpReply reply = co_await server_->handle(std::move(request), client);
    statuses.push_back(reply.status);
    co_await sleep(clock_, Millis(1));
    co_return reply;
  }

 private:
  Clock& clock_;
  std::unique_ptr<AcmeServer>& server_;
};

class AcmeServerClientTest : public AcmeServerFixture {
 protected:
  AcmeServerClientTest() {
    client_options.name = "local";
    client_options.directory = url("/directory");
    probes.table = &challenges;
    probes.delay = Millis(3);
    client_store.clock = &clock;
    restart_client();
  }
  void restart_client() {
    client_options.dns = &dns;
    issuer.emplace(client_options, http, clock, client_store, challenges, log);
  }

  template <typename T>
  Result<T> run(Task<T> task) {
    task.start();
    for (int i = 0; i < 300'000 && !task.done(); ++i) clock.advance(Millis(1));
    if (!task.done()) return Error{ErrorCode::kTimeout, "the test gave up"};
    return std::move(task.outcome());
  }
  Result<CertificatePtr> obtain(const std::string& name, CertificatePtr predecessor = nullptr) {
    IssuanceJob job{name.starts_with("*.")       ? *ServerName::parse_wildcard(name)
                    : ServerName::parse_ip(name) ? *ServerName::parse_ip(name)
                                                 : *ServerName::parse(name)};
    job.predecessor = std::move(predecessor);
    job.predecessor_account = issuer->account_url();
    job.on_failure = [this](const IssuanceFailure& f) { failure = f; };
    return run(issuer->obtain(std::move(job)));
  }

  ChallengeTable challenges;
  FakeProver dns{clock};
  FakeStore client_store;
  InProcess http{clock, server};
  IssuerOptions client_options;
  std::optional<IssuanceFailure> failure;
  std::optional<AcmeIssuer> issuer;
};

TEST_F(AcmeServerClientTest, OurClientHasACertificateByTlsAlpn01) {
  const auto certificate = obtain("a.test");
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_THAT((*certificate)->names(), ElementsAre("a.test"));
  EXPECT_EQ(1, probes.looks);
  EXPECT_EQ(1u, store.issued.size());
  EXPECT_EQ(2u, (*certificate)->chain_der().size());
}

TEST_F(AcmeServerClientTest, OurClientHasACertificateByHttp01AndForAnAddress) {
  client_options.challenges = {ChallengeType::kHttp01};
  restart_client();
  ASSERT_TRUE(obtain("a.test"));
  const auto address = obtain("192.0.2.7");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_THAT((*address)->names(), ElementsAre("192.0.2.7"));
}

TEST_F(AcmeServerClientTest, AnOrderTakesFewRequests) {
  ASSERT_TRUE(obtain("a.test"));
  http.requests = 0;
  ASSERT_TRUE(obtain("b.test"));
  EXPECT_LE(http.requests, 8);
}

TEST_F(AcmeServerClientTest, ARenewalReplacesItsPredecessorOnce) {
  const auto first = obtain("a.test");
  ASSERT_TRUE(first) << first.error().message;
  http.statuses.clear();
  ASSERT_TRUE(obtain("a.test", *first));
  EXPECT_THAT(http.statuses, ::testing::Not(::testing::Contains(::testing::Ge(400))));
  ASSERT_TRUE(obtain("a.test", *first));  // left out of a second try
  EXPECT_THAT(http.statuses, ::testing::Contains(409));
}

TEST_F(AcmeServerClientTest, RenewalInfoAndRevocation) {
  const auto certificate = obtain("a.test");
  ASSERT_TRUE(certificate) << certificate.error().message;
  const auto before = run(issuer->renewal_info(*certificate));
  ASSERT_TRUE(before) << before.error().message;
  EXPECT_GT(before->window.start, clock.wall_now());
  EXPECT_LT(before->window.end, (*certificate)->not_after());
  ASSERT_TRUE(run(issuer->revoke(*certificate, RevocationReason::kSuperseded)));
  EXPECT_EQ(4, store.issued.begin()->second.reason);
  ASSERT_TRUE(store.issued.begin()->second.revoked_at);
  const auto after = run(issuer->renewal_info(*certificate));
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_LE(after->window.end, clock.wall_now());
  EXPECT_TRUE(run(issuer->revoke(*certificate, RevocationReason::kSuperseded)));
}

TEST_F(AcmeServerClientTest, TheAccountsKeyIsChanged) {
  ASSERT_TRUE(obtain("a.test"));
  const std::string before = store.accounts.begin()->second.thumbprint;
  const auto rolled = run(issuer->roll_key());
  ASSERT_TRUE(rolled) << rolled.error().message;
  EXPECT_NE(before, store.accounts.begin()->second.thumbprint);
  EXPECT_EQ(1u, store.accounts.size());
  restart_client();
  EXPECT_TRUE(obtain("b.test"));
}

TEST_F(AcmeServerClientTest, ADeactivatedAccountOrdersNothing) {
  ASSERT_TRUE(obtain("a.test"));
  ASSERT_TRUE(run(issuer->deactivate()));
  EXPECT_FALSE(obtain("b.test"));
  ASSERT_TRUE(run(issuer->reactivate()));
  EXPECT_TRUE(obtain("b.test"));
  EXPECT_EQ(2u, store.accounts.size());
}

TEST_F(AcmeServerClientTest, AnAccountIsBoundToAnExternalOneWhereThatIsRequired) {
  options.eab_required = true;
  options.eab_keys = {{"kid-1", "a secret of thirty-two bytes or so"}};
  restart();
  EXPECT_FALSE(obtain("a.test"));
  client_options.eab = ExternalAccount{"kid-1", "a secret of another kind"};
  client_store.accounts.clear();
  restart_client();
  EXPECT_FALSE(obtain("a.test"));
  EXPECT_TRUE(store.accounts.empty());
  client_options.eab = ExternalAccount{"kid-1", "a secret of thirty-two bytes or so"};
  client_store.accounts.clear();
  restart_client();
  const auto certificate = obtain("a.test");
  EXPECT_TRUE(certificate) << certificate.error().message;
}

TEST_F(AcmeServerClientTest, AnOrderGoesOnAfterTheServersRestart) {
  client_options.challenges = {ChallengeType::kHttp01};
  restart_client();
  ASSERT_TRUE(obtain("a.test"));
  probes.delay = Millis(60'000);  // the look is cut off by the restart
  Task<CertificatePtr> task = issuer->obtain(IssuanceJob{*ServerName::parse("b.test")});
  task.start();
  for (int i = 0; i < 2'500; ++i) clock.advance(Millis(1));
  ASSERT_FALSE(task.done());
  // The client is between two polls.
  for (int i = 0; i < 5'000 && probes.looks < 2; ++i) clock.advance(Millis(1));
  task = {};
  probes.delay = Millis(1);
  restart();
  const auto certificate = obtain("b.test");
  EXPECT_TRUE(certificate) << certificate.error().message;
}

TEST_F(AcmeServerClientTest, ARefusedNameIsTheClientsFailure) {
  EXPECT_FALSE(obtain("denied.test"));
  ASSERT_TRUE(failure && failure->problem);
  EXPECT_EQ("rejectedIdentifier", failure->problem->type);
  EXPECT_EQ(FailureClass::kRejectedIdentifier, failure->problem->failure_class());
}

TEST_F(AcmeServerClientTest, AProofThatCannotBeSeenSaysWhy) {
  probes.table = nullptr;
  EXPECT_FALSE(obtain("a.test"));
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->error.message, HasSubstr("connection refused"));
}

TEST_F(AcmeServerClientTest, InTrustingModeNobodyIsLookedAt) {
  options.trusting = true;
  probes.table = nullptr;
  restart();
  client_options.challenges.push_back(ChallengeType::kDns01);
  restart_client();
  EXPECT_TRUE(obtain("a.test"));
  EXPECT_TRUE(obtain("*.a.test"));
  EXPECT_EQ(0, probes.looks);
}

}  // namespace
}  // namespace latchkey::acme
