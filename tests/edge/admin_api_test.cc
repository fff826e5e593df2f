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
  AdminReply call(std::string method, std::string path, std::string body = "") {
    AdminRequest request;
    request.method = std::move(method);
    request.path = std::move(path);
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
  const std::vector<std::string> expected{"explain a.test", "ask a.test", "obtain a.test",
                                          "forget a.test", "reload"};
  EXPECT_EQ(steering.calls, expected);
}

TEST_F(AdminApiTest, AnotherMethodIsToldWhichWouldDo) {
  const std::pair<std::string, std::string> paths[] = {{"/status", "GET"},
                                                       {"/budget", "GET"},
                                                       {"/names", "POST"},
                                                       {"/names/a.test", "GET, DELETE"},
                                                       {"/names/a.test:ask", "POST"},
                                                       {"/names/a.test:obtain", "POST"},
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
       {"/", "/statu", "/status/", "/names/a.test/", "/names/a/b", "/config",
        "/names/a.test:revoke", "/names/a.test:", "/names/a.test:ask:ask", "*"}) {
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
       {"/names/", "/names/a..test", "/names/127.0.0.1", "/names/a%2", "/names/a%",
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
  for (const char* verb : {"obtain", "ask", "explain", "forget", "reload"}) {
    FakeSteering held;
    held.held_verb = verb;
    AdminRequest request;
    const std::string word = verb;
    request.method = word == "explain" ? "GET" : word == "forget" ? "DELETE" : "POST";
    request.path = word == "reload"                    ? "/config:reload"
                   : word == "obtain" || word == "ask" ? "/names/a.test:" + word
                                                       : "/names/a.test";
    {
      Task<AdminReply> task = answer_admin(held, std::move(request));
      task.start();
      EXPECT_FALSE(task.done());
      EXPECT_EQ(held.under_way, 1U) << verb;
    }
    EXPECT_EQ(held.dropped, 1U) << verb;
  }
}

}  // namespace
}  // namespace latchkey::edge
