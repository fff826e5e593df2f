#include "policy/ask_answer.h"

#include <gtest/gtest.h>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

AskAnswer parse(std::string_view body, std::string_view type = "") {
  return parse_ask_answer(body, type);
}

TEST(AskAnswerTest, EveryKeyIsRead) {
  const AskAnswer answer = parse(
      R"({"ttl": 300, "upstream": "http://10.0.0.7:3000", "tenant": "acme-inc", "issuer": "le",
          "profile": "shortlived", "key_type": "p384", "wildcard": true})",
      "application/json");
  EXPECT_EQ(answer.complaint, "");
  EXPECT_TRUE(answer.says_something);
  EXPECT_EQ(answer.ttl, 300s);
  const Grant expected{"http://10.0.0.7:3000", "acme-inc", "le", "shortlived", "p384", true};
  EXPECT_EQ(answer.grant, expected);
}

TEST(AskAnswerTest, WhatIsNoObjectSaysNothing) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"", "application/json"},
      {" \r\n", "application/json"},
      {"ok", "text/plain"},
      {"ok", ""},
      {"<html>{</html>", "text/html"},
      {"true", "application/json"},
      {"\"ok\"", "application/json; charset=utf-8"},
      {"null", "application/json"},
      {"{}", "application/json"},
      {R"({"id": 17, "user": {"name": "x"}})", "application/json"},
      {R"({"ttl": null, "upstream": null, "wildcard": null})", "application/json"},
  };
  for (const auto& [body, type] : cases) {
    const AskAnswer answer = parse(body, type);
    EXPECT_EQ(answer.complaint, "") << body;
    EXPECT_FALSE(answer.says_something) << body;
    EXPECT_EQ(answer.grant, Grant{}) << body;
    EXPECT_FALSE(answer.ttl) << body;
  }
}

TEST(AskAnswerTest, WhatWasMeantAsOneIsAComplaint) {
  const std::pair<const char*, const char*> cases[] = {
      {"ok", "application/json"},
      {"ok", "Application/JSON;charset=utf-8"},
      {"ok", "application/problem+json"},
      {"{\"ttl\": 3", ""},  // cut off
      {"{\"ttl\": 3, \"ttl\": 4}", ""},
      {"{ttl: 3}", "text/plain"},
      {"[{\"ttl\": 3}]", ""},
      {"{\"ttl\": 1e999}", ""},  // no double
      {"{\"ttl\": 3} {}", ""},
      {"{\"tenant\": \"\xff\"}", ""},
  };
  for (const auto& [body, type] : cases) {
    const AskAnswer answer = parse(body, type);
    EXPECT_NE(answer.complaint, "") << body;
    EXPECT_FALSE(answer.says_something) << body;
    EXPECT_EQ(answer.grant, Grant{}) << body;
  }
  const std::string deep(10'000, '[');
  EXPECT_NE(parse(deep).complaint, "");
}

TEST(AskAnswerTest, TheTtlIsANumberOfSeconds) {
  const std::pair<const char*, Millis> good[] = {{"0", 0s},         {"1.5", 1500ms}, {"300", 300s},
                                                 {"2592000", 720h}, {"3e2", 300s},   {"-0", 0s}};
  for (const auto& [text, ttl] : good) {
    const AskAnswer answer = parse("{\"ttl\": " + std::string(text) + "}");
    EXPECT_EQ(answer.ttl, ttl) << text;
    EXPECT_EQ(answer.complaint, "") << text;
  }
  for (const char* text : {"-1", "2592001", "1e300", "-1e300", "\"300\"", "true", "[]", "{}"}) {
    const AskAnswer answer = parse("{\"tenant\": \"t\", \"ttl\": " + std::string(text) + "}");
    EXPECT_FALSE(answer.ttl) << text;
    EXPECT_NE(answer.complaint.find("ttl: expected a number of seconds"), std::string::npos);
    EXPECT_EQ(answer.grant.tenant, "t") << "the others count";
  }
}

TEST(AskAnswerTest, AnUpstreamIsAPlainHttpUrl) {
  const std::string longest = "http://" + std::string(261, 'a');
  for (const std::string& url :
       {std::string("http://a"), std::string("http://[::1]:80/"), longest, std::string()}) {
    const AskAnswer answer = parse("{\"upstream\": \"" + url + "\"}");
    EXPECT_EQ(answer.grant.upstream, url);
    EXPECT_EQ(answer.complaint, "") << url;
  }
  for (const std::string& url :
       {std::string("ftp://a.test"), std::string("http://"), std::string("http://u:p@a.test"),
        std::string("http://a.test/x"), std::string("http://a.test?x"), std::string("http:///"),
        std::string("10.0.0.7:3000"), std::string("HTTP://a"), std::string("http://a b"),
        std::string("http://a\\n"), std::string("http://a\\u0000"),
        std::string("http://\\u00e4.test"), std::string("http://a:0"), std::string("http://a:b"),
        longest + "a"}) {
    const AskAnswer answer = parse("{\"upstream\": \"" + url + "\", \"tenant\": \"t\"}");
    EXPECT_EQ(answer.grant.upstream, kUnusableUpstream) << url;
    EXPECT_NE(answer.complaint.find("upstream: expected an http://"), std::string::npos) << url;
    EXPECT_EQ(answer.grant.tenant, "t");
    EXPECT_TRUE(answer.says_something);
  }
}

TEST(AskAnswerTest, AnUpstreamThatIsNoTextIsNotForgotten) {
  for (const char* wrong : {"7", "true", "[]", "{}", R"(["http://u:s3cret@h"])",
                            R"({"url": "http://h?key=s3cret"})", R"("http://u:s3?cret@h")"}) {
    const AskAnswer answer = parse("{\"upstream\": " + std::string(wrong) + "}");
    EXPECT_EQ(answer.grant.upstream, kUnusableUpstream) << wrong;
    EXPECT_NE(answer.complaint.find("or a group's name"), std::string::npos);
    EXPECT_EQ(answer.complaint.find("cret"), std::string::npos) << answer.complaint;
  }
}

TEST(AskAnswerTest, WordsAreShortAndCleanAndKeyTypesKnown) {
  const std::string longest(256, 'x');
  for (const char* key : {"tenant", "issuer", "profile"}) {
    const std::string before = "{\"" + std::string(key) + "\": ";
    EXPECT_EQ(parse(before + "\"" + longest + "\"}").complaint, "");
    EXPECT_EQ(parse(before + "\"\u00fcber & co\"}").complaint, "");
    for (const std::string& bad :
         {"\"" + longest + "x\"", std::string("\"a\\u0007b\""), std::string("\"\\u007f\""),
          std::string("7"), std::string("[\"a\"]")}) {
      const AskAnswer answer = parse(before + bad + "}");
      EXPECT_NE(answer.complaint.find(std::string(key) + ": expected"), std::string::npos) << bad;
      EXPECT_EQ(answer.grant, Grant{}) << bad;
    }
  }
  for (const char* type : {"p256", "p384", "rsa2048"}) {
    EXPECT_EQ(parse("{\"key_type\": \"" + std::string(type) + "\"}").grant.key_type, type);
  }
  for (const char* type : {"\"P256\"", "\"ed25519\"", "256"}) {
    const AskAnswer answer = parse("{\"key_type\": " + std::string(type) + "}");
    EXPECT_EQ(answer.grant.key_type, "");
    EXPECT_NE(answer.complaint, "");
  }
  EXPECT_NE(parse("{\"wildcard\": \"yes\"}").complaint, "");
  EXPECT_FALSE(parse("{\"wildcard\": false}").grant.wildcard);
  EXPECT_TRUE(parse("{\"wildcard\": false}").says_something);
}

TEST(AskAnswerTest, AComplaintIsBoundedAndKeepsSecrets) {
  std::string body = R"({"ttl": "soon", "upstream": "https://user:s3cret@h.test")";
  for (const char* key : {"tenant", "issuer", "profile", "key_type"}) {
    body += ", \"" + std::string(key) + "\": \"" + std::string(3000, 'x') + "\"";
  }
  const AskAnswer answer = parse(body + "}");
  EXPECT_LE(answer.complaint.size(), 1024u);
  EXPECT_EQ(answer.complaint.find("s3cret"), std::string::npos) << answer.complaint;
  EXPECT_EQ(answer.complaint.find("ttl: expected a number of seconds from 0 to 2592000, got "
                                  "\"soon\"; upstream: expected"),
            0u)
      << answer.complaint;
}

TEST(CacheControlTest, SaysHowLongAnAnswerHolds) {
  const std::pair<const char*, std::optional<Millis>> cases[] = {
      {"", std::nullopt},
      {"public", std::nullopt},
      {"max-age=60", 60s},
      {"max-age=0", std::nullopt},
      {"Max-Age=60", 60s},
      {"private, max-age=60, must-revalidate", 60s},
      {"max-age=60,max-age=70", 60s},
      {",, max-age = 60 ,", 60s},
      {"max-age=\"60\"", 60s},
      {"max-age=99999999999999999999", 720h},
      {"max-age=2592001", 720h},
      {"max-age", std::nullopt},
      {"max-age=", std::nullopt},
      {"max-age=-1", std::nullopt},
      {"max-age=1.5", std::nullopt},
      {"max-age=x", std::nullopt},
      {"s-maxage=60", std::nullopt},
      {"x-max-age=60", std::nullopt},
      {"ext=\"a, max-age=5\", max-age=60", 60s},
      {"ext=\"a\\\", max-age=5\", max-age=60", 60s},
      {"ext=\"a, max-age=5", std::nullopt},
      {"no-store", std::nullopt},
      {"no-cache, private", std::nullopt},
      {"max-age=60, no-store", 60s},
      {"must-revalidate, max-age=0", std::nullopt},
      {"no-cache=\"set-cookie\", max-age=60", 60s},
  };
  for (const auto& [value, age] : cases) EXPECT_EQ(cache_control_max_age(value), age) << value;
}

}  // namespace
}  // namespace latchkey
