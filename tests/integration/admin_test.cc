// The admin API and the commands that speak it, against a running edge.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;

class AdminTest : public ::testing::Test {
 protected:
  AdminTest() : site_(without_pebble()) {
    site_.edge.settings.directory = ca_.directory();
    site_.judge.judge_by([](const std::string& name) {
      Response response;
      if (name.starts_with("denied")) response.status = 403;
      return response;
    });
  }
  void SetUp() override { ASSERT_TRUE(site_.edge.start()); }

  bool served(const std::string& name) { return site_.connect(name).handshake().done; }
  JsonValue explain(const std::string& name) {
    return site_.edge.admin_json("GET", "/names/" + name);
  }

  ScriptedCa ca_;
  AskSite site_;
};

TEST_F(AdminTest, StatusCounts) {
  EXPECT_TRUE(served("a.test"));
  EXPECT_TRUE(served("a.test"));
  EXPECT_EQ(site_.alert_for("denied.test"), alert::kUnrecognizedName);
  JsonValue status;
  EXPECT_TRUE(eventually([&] {  // a client is done before the server knows
    status = site_.edge.admin_json("GET", "/status");
    return at(status, "handshakes.served").number == 2;
  }));
  EXPECT_EQ(at(status, "state").text, "ready");
  EXPECT_EQ(at(status, "pid").number, site_.edge.pid());
  EXPECT_EQ(at(status, "handshakes.refused_name").number, 1);
  EXPECT_EQ(at(status, "cache.certificates").number, 1);
  EXPECT_EQ(at(status, "store.health").text, "ok");
  EXPECT_EQ(at(status, "policy.ask.health").text, "ok");
  const auto command = site_.edge.command({"status"});
  EXPECT_EQ(command.code, 0) << command.output;
  EXPECT_THAT(command.output, HasSubstr(std::to_string(site_.edge.pid())));
}

TEST_F(AdminTest, TheSocketIsItsOwnersAndGoesWithTheProcess) {
  const auto socket = site_.edge.settings.admin_socket;
  struct stat info {};
  ASSERT_EQ(stat(socket.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_TRUE(site_.edge.terminate());
  EXPECT_FALSE(std::filesystem::exists(socket));
  const auto command = site_.edge.command({"status"});
  EXPECT_EQ(command.code, 1);
  EXPECT_THAT(command.output, HasSubstr(socket.string()));
}

TEST_F(AdminTest, ASocketThatAKilledProcessLeftIsReplaced) {
  site_.edge.kill_hard();
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(site_.edge.admin("GET", "/status").status, 200);
}

TEST_F(AdminTest, ExplainTellsServedFromDeniedFromFailingFromNew) {
  EXPECT_TRUE(served("good.test"));
  const auto good = explain("good.test");
  EXPECT_EQ(at(good, "verdict.verdict").text, "allowed");
  EXPECT_TRUE(at(good, "certificate.in_memory").boolean);
  EXPECT_TRUE(at(good, "certificate.stored").boolean);
  EXPECT_EQ(at(good, "certificate.serial").text, site_.connect("good.test").handshake().serial);
  EXPECT_TRUE(is_null(at(good, "failure")));

  EXPECT_EQ(site_.alert_for("denied.test"), alert::kUnrecognizedName);
  const auto denied = explain("denied.test");
  EXPECT_EQ(at(denied, "verdict.verdict").text, "denied");
  EXPECT_TRUE(is_null(at(denied, "certificate")));

  Response trouble;
  trouble.status = 500;
  ca_.misbehave("/newOrder", trouble);
  EXPECT_EQ(site_.alert_for("failing.test"), alert::kInternalError);
  const auto failing = explain("failing.test");
  EXPECT_EQ(at(failing, "failure.class").text, "serverInternal");
  EXPECT_GT(at(failing, "failure.next_try_in_seconds").number, 0);

  const size_t asked = site_.judge.asked();
  const auto unknown = explain("new.test");
  EXPECT_EQ(at(unknown, "verdict.verdict").text, "unknown");
  EXPECT_FALSE(at(unknown, "says").text.empty());
  EXPECT_EQ(site_.judge.asked(), asked);  // nobody is asked
  for (const char* name : {"good.test", "denied.test", "failing.test", "new.test"}) {
    const auto command = site_.edge.command({"explain", name});
    EXPECT_EQ(command.code, 0) << command.output;
    EXPECT_THAT(command.output, HasSubstr(name));
  }
}

TEST_F(AdminTest, AskAsksWhateverIsRemembered) {
  EXPECT_EQ(site_.alert_for("denied.test"), alert::kUnrecognizedName);
  EXPECT_EQ(site_.edge.command({"ask", "denied.test"}).code, 1);
  EXPECT_EQ(site_.judge.asked("denied.test"), 2u);
  site_.judge.judge_by(AskServer::allow_all());
  const auto command = site_.edge.command({"ask", "denied.test"});
  EXPECT_EQ(command.code, 0) << command.output;
  EXPECT_THAT(command.output, HasSubstr("allowed"));
  EXPECT_TRUE(served("denied.test"));
  EXPECT_EQ(site_.judge.asked("denied.test"), 3u);
}

TEST_F(AdminTest, ObtainPrintsTheFirstErrorAndTriesWhateverTheLedgerSays) {
  Response trouble;
  trouble.status = 500;
  ca_.misbehave("/newOrder", trouble);
  const auto failed = site_.edge.command({"obtain", "a.test"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.output, HasSubstr("500"));
  ca_.behave();
  const auto command = site_.edge.command({"obtain", "a.test"});
  EXPECT_EQ(command.code, 0) << command.output;
  EXPECT_TRUE(served("a.test"));
  EXPECT_EQ(ca_.orders("a.test"), 1u);
  EXPECT_EQ(site_.edge.command({"obtain", "denied.test"}).code, 1);
  EXPECT_EQ(site_.edge.admin("POST", "/names/denied.test:obtain").status, 409);
}

TEST_F(AdminTest, DeleteEndsAName) {
  EXPECT_TRUE(served("a.test"));
  const auto first = site_.connect("a.test").handshake().serial;
  const auto gone = site_.edge.admin_json("DELETE", "/names/a.test");
  EXPECT_EQ(at(gone, "certificates").number, 1);
  EXPECT_EQ(StoreFile(site_.database()).certificates(), 0u);
  EXPECT_TRUE(is_null(at(explain("a.test"), "certificate")));
  // The endpoint still allows it: the next visitor gets another one.
  EXPECT_TRUE(served("a.test"));
  EXPECT_NE(site_.connect("a.test").handshake().serial, first);
  site_.judge.judge_by(AskServer::deny_all());
  site_.edge.admin_json("DELETE", "/names/a.test");
  EXPECT_EQ(site_.alert_for("a.test"), alert::kUnrecognizedName);
  const auto nothing = site_.edge.admin_json("DELETE", "/names/never.test");
  EXPECT_EQ(at(nothing, "certificates").number, 0);
}

TEST_F(AdminTest, ReloadTellsItsOutcome) {
  site_.edge.settings.allow = {"listed.test"};
  site_.edge.settings.max_orders = 7;
  write_text(site_.edge.config_file(), site_.edge.settings.json());
  const auto command = site_.edge.command({"reload"});
  EXPECT_EQ(command.code, 0) << command.output;
  EXPECT_THAT(command.output, HasSubstr("max_orders"));  // needs a restart
  site_.judge.judge_by(AskServer::deny_all());
  EXPECT_TRUE(served("listed.test"));

  write_text(site_.edge.config_file(), R"({"workres": 2})");
  const auto answer = site_.edge.admin("POST", "/config:reload");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("workres"));
  EXPECT_TRUE(served("listed.test"));
  std::filesystem::remove(site_.edge.config_file());
  const auto gone = site_.edge.admin("POST", "/config:reload");
  EXPECT_EQ(gone.status, 400);
  EXPECT_THAT(gone.body, HasSubstr(site_.edge.config_file().string()));
}

TEST_F(AdminTest, BudgetShowsTheLimitsAndWhatIsLeft) {
  ASSERT_TRUE(site_.edge.terminate());
  site_.edge.settings.limits = JsonObject().raw("orders", EdgeSettings::rate(10, "1h")).str();
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(served("a.test"));
  EXPECT_TRUE(served("b.test"));
  const auto orders = [&] {
    const auto budget = site_.edge.admin_json("GET", "/budget");
    for (const auto& limit : at(budget, "issuers.0.limits").items) {
      if (limit.text_of("kind") == "orders") return limit;
    }
    return JsonValue();
  };
  EXPECT_EQ(at(orders(), "burst").number, 10);
  EXPECT_EQ(at(orders(), "tokens").number, 8);
  ASSERT_TRUE(site_.edge.terminate());
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(eventually([&] { return at(orders(), "tokens").number == 8; }));  // it is remembered
  EXPECT_EQ(site_.edge.command({"budget"}).code, 0);
}

TEST_F(AdminTest, WhatIsWrongIsSaid) {
  EXPECT_EQ(site_.edge.admin("GET", "/names/not..a..name").status, 400);
  EXPECT_EQ(site_.edge.admin("POST", "/names", "{").status, 400);
  EXPECT_EQ(site_.edge.admin("GET", "/nothing").status, 404);
  EXPECT_EQ(site_.edge.admin("POST", "/status").status, 405);
  EXPECT_EQ(site_.edge.command({"explain", "a..b"}).code, 1);
  EXPECT_EQ(site_.edge.admin("GET", "/status").status, 200);
}

}  // namespace
}  // namespace latchkey::test
