#include "edge/admin_api.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "tests/edge/fake_steering.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using testing::Test;

class AdminApiTest : public Test {
 protected:
  // `path`: with its query, if any.
  AdminReply call(std::string method, std::string path, std::string body = "") {
    AdminRequest request;
    request.method = std::move(method);
    const size_t question = path.find('?');
    if (question != std::string::npos) request.query = path.substr(question + 1);
    request.path = path.substr(0, question);
    request.body = std::move(body);
    Task<AdminReply> task = answer_admin(steering, std::move(request));
    task.start();
    EXPECT_TRUE(task.done());
    EXPECT_TRUE(parse_json(task.outcome()->json)) << task.outcome()->json;
    return *std::move(task.outcome());
  }
  std::string error_of(const AdminReply& reply) {
    const auto json = parse_json(reply.json);
    return std::string(json->text_of("error"));
  }

  FakeSteering steering;
};

TEST_F(AdminApiTest, EachPathLeadsToItsDeed) {
  EXPECT_EQ(call("GET", "/status").json, FakeSteering::kStatus);
  EXPECT_EQ(call("GET", "/budget").json, steering.budget());
  EXPECT_EQ(call("GET", "/names/a.test").status, 200);
  EXPECT_EQ(call("POST", "/names/a.test:ask").status, 200);
  EXPECT_EQ(call("POST", "/names/a.test:obtain").status, 200);
  EXPECT_EQ(call("DELETE", "/names/a.test").status, 200);
  EXPECT_EQ(call("POST", "/config:reload").status, 200);
  EXPECT_EQ(call("GET", "/names").status, 200);
  EXPECT_EQ(call("GET", "/names/a.test/certificate").status, 200);
  EXPECT_EQ(call("GET", "/names/a.test/events").status, 200);
  EXPECT_EQ(call("GET", "/events").status, 200);
  for (const char* verb : {"renew", "revoke", "evict", "retry"}) {
    EXPECT_EQ(call("POST", std::string("/names/a.test:") + verb).status, 200);
  }
  EXPECT_EQ(call("GET", "/accounts").status, 200);
  for (const char* verb : {"roll-key", "deactivate", "reactivate"}) {
    EXPECT_EQ(call("POST", std::string("/accounts/my%20ca:") + verb).status, 200);
  }
  const std::vector<std::string> expected{"explain a.test",
                                          "ask a.test",
                                          "obtain a.test",
                                          "forget a.test",
                                          "reload",
                                          "list ||100",
                                          "show a.test",
                                          "events a.test 100",
                                          "events all 100",
                                          "renew a.test",
                                          "revoke a.test unspecified",
                                          "evict a.test",
                                          "retry a.test",
                                          "accounts",
                                          "roll-key my ca",
                                          "deactivate my ca",
                                          "reactivate my ca"};
  EXPECT_EQ(steering.calls, expected);
}

TEST_F(AdminApiTest, AuthoritiesAreShownAndRotated) {
  EXPECT_EQ(call("GET", "/authorities").status, 200);
  EXPECT_EQ(call("GET", "/authorities:root").status, 200);
  EXPECT_EQ(call("GET", "/authorities:root?issuer=my%20ca").status, 200);
  EXPECT_EQ(call("POST", "/authorities:rotate").status, 200);
  EXPECT_EQ(call("POST", "/authorities:rotate", R"({"issuer": "local", "root": true})").status,
            200);
  const std::vector<std::string> expected{"authorities", "roots", "roots my ca", "rotate",
                                          "rotate-root local"};
  EXPECT_EQ(steering.calls, expected);
  for (const char* bad : {"[]", "{\"root\": 1}", "{\"issuer\": true}", "{\"x\": 1}", "{"}) {
    EXPECT_EQ(call("POST", "/authorities:rotate", bad).status, 400) << bad;
  }
  EXPECT_EQ(call("GET", "/authorities:root?name=x").status, 400);
  EXPECT_EQ(call("POST", "/authorities").status, 405);
  EXPECT_EQ(call("GET", "/authorities:rotate").status, 405);
  EXPECT_EQ(call("GET", "/authorities/local").status, 404);
  EXPECT_EQ(steering.calls.size(), expected.size());
}

TEST_F(AdminApiTest, AnotherMethodIsToldWhichWouldDo) {
  const std::pair<std::string, std::string> paths[] = {{"/status", "GET"},
                                                       {"/budget", "GET"},
                                                       {"/names", "GET, POST"},
                                                       {"/names/a.test", "GET, DELETE"},
                                                       {"/names/a.test:ask", "POST"},
                                                       {"/names/a.test:obtain", "POST"},
                                                       {"/names/a.test:renew", "POST"},
                                                       {"/names/a.test:revoke", "POST"},
                                                       {"/names/a.test:evict", "POST"},
                                                       {"/names/a.test:retry", "POST"},
                                                       {"/names/a.test/certificate", "GET"},
                                                       {"/names/a.test/events", "GET"},
                                                       {"/events", "GET"},
                                                       {"/accounts", "GET"},
                                                       {"/accounts/ca:roll-key", "POST"},
                                                       {"/config:reload", "POST"}};
  for (const auto& [path, allow] : paths) {
    for (const char* method : {"GET", "POST", "DELETE", "PUT", "HEAD", "PATCH"}) {
      const bool fits =
          (", " + allow + ",").find(std::string(" ") + method + ",") != std::string::npos;
      if (fits) continue;
      const AdminReply reply = call(method, path);
      EXPECT_EQ(reply.status, 405) << method << " " << path;
      EXPECT_EQ(reply.allow, allow);
    }
  }
  EXPECT_TRUE(steering.calls.empty());
}

TEST_F(AdminApiTest, OtherPathsAreNotThere) {
  for (const char* path :
       {"/", "/statu", "/status/", "/names/a.test/", "/names/a/b", "/config", "/names/a.test:revok",
        "/names/a.test:", "/names/a.test:ask:ask", "/names/a.test:ask/events",
        "/names/a.test/certificate/", "/names/2001:db8::g", "/events/", "/accounts/",
        "/accounts/ca", "/accounts/ca:burn", "*"}) {
    for (const char* method : {"GET", "POST"}) {
      EXPECT_EQ(call(method, path).status, 404) << path;
    }
  }
  EXPECT_TRUE(steering.calls.empty());
}

TEST_F(AdminApiTest, NamesAreDecodedAndParsedOnce) {
  call("GET", "/names/Shop%2eEXAMPLE.test.");
  call("GET", "/names/%61_b.test");
  EXPECT_EQ(steering.calls,
            (std::vector<std::string>{"explain shop.example.test", "explain a_b.test"}));
}

TEST_F(AdminApiTest, ABadNameIsSaidAndGoesNoFurther) {
  for (const char* path :
       {"/names/", "/names/a..test", "/names/127.0.0.256", "/names/a%2", "/names/a%",
        "/names/a%zz.test", "/names/a%2fb", "/names/a%00.test", "/names/%3aask"}) {
    const AdminReply reply = call("GET", path);
    EXPECT_EQ(reply.status, 400) << path;
    EXPECT_NE(error_of(reply), "");
  }
  EXPECT_EQ(error_of(call("GET", "/names/a..test")), "a..test: server name: an empty label");
  EXPECT_LT(call("GET", "/names/" + std::string(8000, 'x')).json.size(), 300U);
  EXPECT_TRUE(steering.calls.empty());
}

TEST_F(AdminApiTest, NamesThatAreToGetACertificateFollowTheConfiguredRule) {
  steering.rules.underscore = false;
  const AdminReply obtained = call("POST", "/names/a_b.test:obtain");
  EXPECT_EQ(obtained.status, 400);
  EXPECT_NE(error_of(obtained).find("on_demand.underscore"), std::string::npos);
  EXPECT_EQ(call("POST", "/names", R"(["a_b.test"])").status, 400);
  EXPECT_EQ(call("POST", "/names", R"(["a_b.test", "ab.test"])").status, 200);
  EXPECT_EQ(steering.prefetch_names, std::vector<std::string>{"ab.test"});
  EXPECT_TRUE(steering.calls.empty());
  // What there is of an earlier configuration can be looked at, and deleted.
  EXPECT_EQ(call("GET", "/names/a_b.test").status, 200);
  EXPECT_EQ(call("POST", "/names/a_b.test:ask").status, 200);
  EXPECT_EQ(call("DELETE", "/names/a_b.test").status, 200);
}

TEST_F(AdminApiTest, AddressesAreNamesHere) {
  for (const char* path : {"/names/192.0.2.7", "/names/2001:db8::7", "/names/2001%3Adb8%3A%3A7",
                           "/names/2001:db8::7/events", "/names/2001:DB8:0::7/certificate"}) {
    EXPECT_EQ(call("GET", path).status, 200) << path;
  }
  EXPECT_EQ(call("POST", "/names/2001:db8::7:renew").status, 200);
  EXPECT_EQ(call("POST", "/names/192.0.2.7:evict").status, 200);
  EXPECT_EQ(steering.calls,
            (std::vector<std::string>{"explain 192.0.2.7", "explain 2001:db8::7",
                                      "explain 2001:db8::7", "events 2001:db8::7 100",
                                      "show 2001:db8::7", "renew 2001:db8::7", "evict 192.0.2.7"}));
  // On demand they are nothing.
  EXPECT_EQ(call("POST", "/names", R"(["192.0.2.7"])").status, 400);
}

TEST_F(AdminApiTest, TheListTakesWhatItIsToldToLookFor) {
  call("GET",
       "/names?after=B.test&contains=SHOP&limit=1000&expires_before=1970-01-02T00:00:10%2B00:00");
  call("GET", "/names?limit=1&&expires_before=1970-01-02");
  call("GET", "/events?limit=7&name=A.test");
  call("GET", "/names/a.test/events?limit=1000");
  EXPECT_EQ(steering.calls,
            (std::vector<std::string>{"list b.test|shop|1000|86410", "list ||1|86400",
                                      "events a.test 7", "events a.test 1000"}));
}

TEST_F(AdminApiTest, AQueryThatIsNotUnderstoodIsRefused) {
  const std::pair<const char*, const char*> queries[] = {
      {"/names?limit=0", "limit: expected a number from 1 to 1000, got \"0\""},
      {"/names?limit=1001", "limit: expected a number"},
      {"/names?limit=-1", "limit: expected a number"},
      {"/names?limit=1x", "limit: expected a number"},
      {"/names?limit=", "limit: expected a number"},
      {"/names?limit=99999999999999999999999", "limit: expected a number"},
      {"/names?limit=1&limit=2", "limit: is there twice"},
      {"/names?expires_before=soon", "expires_before: expected a time like 2026-03-01T12:00:00Z"},
      {"/names?expires_before=2026-02-29T00:00:00Z", "expires_before: expected"},
      {"/names?contain=a", "unknown parameter \"contain\"; there are: after, contains, limit"},
      {"/names?contains=%g1", "two hexadecimal digits"},
      {"/events?name=a..test", "a..test: server name: an empty label"},
      {"/names/a.test/events?name=b.test", "unknown parameter \"name\"; there are: limit"}};
  for (const auto& [path, error] : queries) {
    const AdminReply reply = call("GET", path);
    EXPECT_EQ(reply.status, 400) << path;
    EXPECT_NE(error_of(reply).find(error), std::string::npos) << path << ": " << error_of(reply);
  }
  EXPECT_EQ(call("GET", "/names?contains=" + std::string(254, 'x')).status, 400);
  std::string many = "/names?";
  for (int i = 0; i < 21; ++i) many += "a=1&";
  EXPECT_NE(error_of(call("GET", many)).find("more than 20"), std::string::npos);
  EXPECT_TRUE(steering.calls.empty());
}

TEST_F(AdminApiTest, AReasonOfRevocationIsOneOfRfc5280) {
  for (const char* body : {"", "{}", R"({"reason": "unspecified"})"}) {
    call("POST", "/names/a.test:revoke", body);
    EXPECT_EQ(steering.calls.back(), "revoke a.test unspecified") << body;
  }
  call("POST", "/names/a.test:revoke", R"({"reason": "keyCompromise"})");
  EXPECT_EQ(steering.calls.back(), "revoke a.test keyCompromise");
  steering.calls.clear();
  for (const char* body :
       {R"({"reason": "KeyCompromise"})", R"({"reason": ""})", R"({"reason": 1})",
        R"({"reasn": "x"})", R"({"reason": "superseded", "also": 1})", "[]", "\"keyCompromise\"",
        "{", R"({"reason": "cACompromise"})"}) {
    EXPECT_EQ(call("POST", "/names/a.test:revoke", body).status, 400) << body;
  }
  EXPECT_EQ(error_of(call("POST", "/names/a.test:revoke", R"({"reason": "x"})")),
            "reason: expected one of unspecified, keyCompromise, affiliationChanged, superseded, "
            "cessationOfOperation, got \"x\"");
  EXPECT_TRUE(steering.calls.empty());
}

TEST_F(AdminApiTest, ErrorsBecomeStatuses) {
  const std::pair<ErrorCode, int> codes[] = {
      {ErrorCode::kInvalid, 400},   {ErrorCode::kDenied, 409},  {ErrorCode::kNotFound, 404},
      {ErrorCode::kThrottled, 503}, {ErrorCode::kTimeout, 502}, {ErrorCode::kIo, 502},
      {ErrorCode::kProtocol, 502}};
  for (const auto& [code, status] : codes) {
    steering.answers.insert_or_assign("obtain", Error{code, "the \"cause\"\nand remedy"});
    const AdminReply reply = call("POST", "/names/a.test:obtain");
    EXPECT_EQ(reply.status, status);
    EXPECT_EQ(reply.json, R"({"error":"the \"cause\"\nand remedy"})");
    EXPECT_EQ(reply.retry_after, 0);
  }
}

TEST_F(AdminApiTest, WhenToComeBackIsRoundedUp) {
  steering.answers.insert_or_assign("obtain", Error{ErrorCode::kThrottled, "full", 1001ms});
  const AdminReply reply = call("POST", "/names/a.test:obtain");
  EXPECT_EQ(reply.json, R"({"error":"full","retry_after":2})");
  EXPECT_EQ(reply.retry_after, 2);
}

TEST_F(AdminApiTest, AListOfNamesComesInFourForms) {
  for (const char* body :
       {R"({"name": "a.test"})", R"({"names": ["a.test"]})", R"("a.test")", R"(["A.test."])"}) {
    const AdminReply reply = call("POST", "/names", body);
    EXPECT_EQ(reply.status, 200) << body;
    EXPECT_EQ(reply.json, R"({"taken":1,"complaint":"","bad":{"count":0,"first":[]}})");
    EXPECT_EQ(steering.prefetch_names, std::vector<std::string>{"a.test"});
  }
}

TEST_F(AdminApiTest, WhatIsNoListIsRefused) {
  for (const char* body :
       {"", "{", "{}", "[]", "1", "null", "true", R"({"names": "a.test"})",
        R"({"name": ["a.test"]})", R"({"name": 1})", R"({"domain": "a.test"})", R"({"names": []})",
        "[\"a.test\",]", R"({"name": "a.test", "names": []})", "[\"\xff\"]"}) {
    const AdminReply reply = call("POST", "/names", body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_NE(error_of(reply), "") << body;
  }
  EXPECT_TRUE(steering.prefetch_names.empty());
}

TEST_F(AdminApiTest, BadNamesLoseNoOthers) {
  std::string body = R"(["a.test", 7, {"x": []}, "b..test", )";
  for (int i = 0; i < 30; ++i) body += "\"-" + std::to_string(i) + "\", ";
  body += R"("c.test"])";
  const AdminReply reply = call("POST", "/names", body);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(steering.prefetch_names, (std::vector<std::string>{"a.test", "c.test"}));
  const auto json = parse_json(reply.json);
  const JsonValue& bad = *json->find("bad");
  EXPECT_EQ(bad.find("count")->number, 33);
  const auto& first = bad.find("first")->items;
  ASSERT_EQ(first.size(), 20U);
  EXPECT_EQ(first[0].text_of("name"), "7");
  EXPECT_EQ(first[2].text_of("name"), "b..test");
  EXPECT_EQ(first[2].text_of("error"), "server name: an empty label");
}

TEST_F(AdminApiTest, NothingButBadNamesIsAnErrorOfTheCaller) {
  const AdminReply reply = call("POST", "/names", R"(["a..test"])");
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(parse_json(reply.json)->find("bad")->find("count")->number, 1);
  EXPECT_TRUE(steering.prefetch_names.empty());
}

TEST_F(AdminApiTest, AFullQueueSaysSo) {
  steering.prefetched = {0, "the queue is full"};
  AdminReply reply = call("POST", "/names", R"(["a.test"])");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(error_of(reply), "the queue is full");
  steering.prefetched = {1, "the queue is full"};
  reply = call("POST", "/names", R"(["a.test", "b.test"])");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(parse_json(reply.json)->text_of("complaint"), "the queue is full");
}

TEST_F(AdminApiTest, AHundredThousandNamesAreTakenAndOneMoreIsNot) {
  std::string body = "[\"n.test\"";
  for (int i = 1; i < 100'000; ++i) body += ",\"n" + std::to_string(i) + ".test\"";
  EXPECT_EQ(call("POST", "/names", body + "]").status, 200);
  EXPECT_EQ(steering.prefetch_names.size(), 100'000U);
  steering.prefetch_names.clear();
  EXPECT_EQ(call("POST", "/names", body + ",\"x.test\"]").status, 413);
  EXPECT_TRUE(steering.prefetch_names.empty());
}

TEST_F(AdminApiTest, DroppingTheAnswerDropsTheDeedAtItsWait) {
  struct Deed {
    const char *verb, *method, *path;
  };
  const Deed deeds[] = {{"obtain", "POST", "/names/a.test:obtain"},
                        {"ask", "POST", "/names/a.test:ask"},
                        {"renew", "POST", "/names/a.test:renew"},
                        {"revoke", "POST", "/names/a.test:revoke"},
                        {"evict", "POST", "/names/a.test:evict"},
                        {"retry", "POST", "/names/a.test:retry"},
                        {"explain", "GET", "/names/a.test"},
                        {"forget", "DELETE", "/names/a.test"},
                        {"show", "GET", "/names/a.test/certificate"},
                        {"events", "GET", "/names/a.test/events"},
                        {"events", "GET", "/events"},
                        {"list", "GET", "/names"},
                        {"accounts", "GET", "/accounts"},
                        {"roll-key", "POST", "/accounts/ca:roll-key"},
                        {"reload", "POST", "/config:reload"}};
  for (const Deed& deed : deeds) {
    FakeSteering held;
    held.held_verb = deed.verb;
    AdminRequest request;
    request.method = deed.method;
    request.path = deed.path;
    {
      Task<AdminReply> task = answer_admin(held, std::move(request));
      task.start();
      EXPECT_FALSE(task.done());
      EXPECT_EQ(held.under_way, 1U) << deed.path;
    }
    EXPECT_EQ(held.dropped, 1U) << deed.path;
  }
}

}  // namespace
}  // namespace latchkey::edge
