// The order of the gate where ledger, ask and store disagree: a valid certificate that is stored is
// served whatever goes wrong, save what on_demand.denied says.
#include <gtest/gtest.h>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/stopped_store.h"

namespace latchkey::test {
namespace {

class GateOrdersTest : public ::testing::Test {
 protected:
  GateOrdersTest() : site_(without_pebble()) { site_.edge.settings.directory = ca_.directory(); }

  Handshake connect(const std::string& name) {
    TlsOptions options = site_.tls(name);
    options.roots = roots_;
    return TlsClient(options).handshake();
  }
  // Makes the CA fail the name for its own sake.
  void break_ca() {
    Response refused;
    refused.status = 403;
    refused.headers = {{"Content-Type", "application/problem+json"}, {"Replay-Nonce", "refused"}};
    refused.body = R"({"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no"})";
    ca_.misbehave("/newOrder", refused);
  }
  void deny() { site_.judge.judge_by(AskServer::deny_all()); }
  // A certificate that came into the store by another way, while the edge does not run.
  void import(const std::string& name) {
    ASSERT_TRUE(site_.edge.terminate());
    StoppedStore(site_.state_dir()).put(name, imported_ca_.issue({name}));
    roots_ = imported_ca_.root_pem;
  }

  ScriptedCa ca_;
  AskSite site_;
  const TestCa imported_ca_{"Imported"};
  std::string roots_ = ca_.roots();
};

TEST_F(GateOrdersTest, TheLedgerSaysWaitButACertificateIsStored) {
  break_ca();
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(connect("a.test").alert, alert::kInternalError);
  const auto failure = at(site_.edge.admin_json("GET", "/names/a.test"), "failure");
  EXPECT_EQ(at(failure, "class").text, "rejectedIdentifier");
  ASSERT_TRUE(site_.edge.terminate());
  {
    StoppedStore store(site_.state_dir());
    const auto row = store.find("a.test").failure;
    ASSERT_TRUE(row.has_value());
    store.put("a.test", imported_ca_.issue({"a.test"}));
    store.fail("a.test", *row);
  }
  roots_ = imported_ca_.root_pem;
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(connect("a.test").verified);
  EXPECT_EQ(ca_.requests("/newOrder"), 1u);
}

TEST_F(GateOrdersTest, TheAskDeniesButACertificateIsStoredAndDeniedSaysServe) {
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(connect("a.test").verified);
  deny();
  ASSERT_TRUE(site_.edge.terminate());
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(connect("a.test").verified);
  EXPECT_EQ(connect("b.test").alert, alert::kUnrecognizedName);
  EXPECT_TRUE(connect("a.test").verified);
}

TEST_F(GateOrdersTest, TheAskDeniesButACertificateIsStoredAndDeniedSaysRefuse) {
  site_.edge.settings.denied = "refuse";
  site_.edge.settings.ask_positive_ttl = "1s";
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(connect("a.test").verified);
  EXPECT_TRUE(connect("a.test").verified);
  // In memory: a visit that comes when the yes is old makes the policy look again.
  deny();
  EXPECT_TRUE(eventually([&] { return connect("a.test").alert == alert::kUnrecognizedName; }));
  // Stored, and not in memory.
  ASSERT_TRUE(site_.edge.terminate());
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(connect("a.test").alert, alert::kUnrecognizedName);
  EXPECT_EQ(ca_.requests("/newOrder"), 1u);
  // The endpoint's word is the last one: with its next yes the name is served as before.
  site_.judge.judge_by(AskServer::allow_all());
  EXPECT_EQ(site_.edge.admin("POST", "/names/a.test:ask").status, 200);
  EXPECT_TRUE(connect("a.test").verified);
  EXPECT_EQ(ca_.requests("/newOrder"), 1u);
}

TEST_F(GateOrdersTest, WithDeniedRefuseAnEndpointThatIsDownTakesNoNameDown) {
  site_.edge.settings.denied = "refuse";
  site_.edge.settings.ask_positive_ttl = "1s";
  site_.edge.settings.ask_timeout = "500ms";
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(connect("a.test").verified);
  ASSERT_TRUE(site_.edge.terminate());
  site_.judge.stop();
  ASSERT_TRUE(site_.edge.start());
  const Stopwatch time;
  while (time.elapsed() < Millis(2500)) ASSERT_TRUE(connect("a.test").verified);
}

TEST_F(GateOrdersTest, TheAskIsUnknownAndACertificateIsStored) {
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(connect("b.test").alert, -1);
  import("a.test");
  site_.judge.stop();
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(connect("a.test").verified);
  EXPECT_EQ(connect("new.test").alert, alert::kInternalError);
}

TEST_F(GateOrdersTest, RefusedBeforeThenObtainedInAnotherWay) {
  break_ca();
  ASSERT_TRUE(site_.edge.start());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(connect("a.test").alert, alert::kInternalError);
  EXPECT_EQ(ca_.requests("/newOrder"), 1u);
  ca_.behave();
  EXPECT_EQ(connect("a.test").alert, alert::kInternalError);  // the ledger says wait
  const auto obtained = site_.edge.admin("POST", "/names/a.test:obtain");
  EXPECT_EQ(obtained.status, 200) << obtained.body;
  EXPECT_TRUE(connect("a.test").verified);
  EXPECT_TRUE(is_null(at(site_.edge.admin_json("GET", "/names/a.test"), "failure")));
}

TEST_F(GateOrdersTest, DeniedBeforeThenImported) {
  deny();
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(connect("a.test").alert, alert::kUnrecognizedName);
  import("a.test");
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(connect("a.test").verified);
}

TEST_F(GateOrdersTest, DeniedBeforeThenListed) {
  deny();
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(connect("a.test").alert, alert::kUnrecognizedName);
  site_.edge.settings.allow = {"a.test"};
  EXPECT_EQ(site_.edge.reload(), "reloaded");
  EXPECT_TRUE(connect("a.test").verified);
}

}  // namespace
}  // namespace latchkey::test
