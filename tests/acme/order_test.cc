#include "acme/order.h"

#include <gtest/gtest.h>

#include "acme/challenge_choice.h"

namespace latchkey::acme {
namespace {

constexpr ChallengeType kTls = ChallengeType::kTlsAlpn01;
constexpr ChallengeType kHttp = ChallengeType::kHttp01;
constexpr ChallengeType kDns = ChallengeType::kDns01;
const std::vector<ChallengeType> kBoth{kTls, kHttp};

ServerName name(const char* text) {
  return *ServerName::parse(text);
}

ServerName wildcard(const char* text) {
  return *ServerName::parse_wildcard(text);
}

std::string order_json(std::string status, std::string more = "") {
  return R"({"status":")" + status +
         R"(","authorizations":["https://ca.test/z/1"],"finalize":"https://ca.test/f")" + more +
         "}";
}

TEST(Order, EveryStatusHasItsNextStep) {
  const auto step = [](std::string status, std::string more = "") {
    const auto order = Order::parse("https://ca.test/o/1", order_json(status, more));
    EXPECT_TRUE(order) << order.error().message;
    return next_step(*order);
  };
  EXPECT_EQ(std::get<Prove>(step("pending")).authorizations,
            std::vector<std::string>{"https://ca.test/z/1"});
  EXPECT_EQ(std::get<Finalize>(step("ready")).url, "https://ca.test/f");
  EXPECT_TRUE(std::holds_alternative<Poll>(step("processing")));
  EXPECT_EQ(std::get<Download>(step("valid", R"(,"certificate":"https://ca.test/c")")).url,
            "https://ca.test/c");
  const auto refused = std::get<GiveUp>(
      step("invalid", R"(,"error":{"type":"urn:ietf:params:acme:error:caa","detail":"no"})"));
  EXPECT_EQ(refused.why.message, "the CA refused the order https://ca.test/o/1: caa: no");
  EXPECT_TRUE(refused.problem->is("caa"));
  EXPECT_NE(std::get<GiveUp>(step("invalid")).why.message.find("does not say why"),
            std::string::npos);
}

TEST(Order, WhatIsNotAnOrderIsNamed) {
  std::string many = R"({"status":"pending","finalize":"https://ca.test/f","authorizations":[)";
  for (int i = 0; i < 40; ++i) many += R"("https://ca.test/z",)";
  many += R"("https://ca.test/z"]})";
  const std::pair<std::string, std::string> cases[] = {
      {"", "not JSON"},
      {"\"text\"", "expected a JSON object"},
      {"{}", "unknown order status \"\""},
      {order_json("shiny"), "unknown order status \"shiny\""},
      {R"({"status":"pending"})", "authorizations is missing"},
      {R"({"status":"pending","authorizations":[]})", "authorizations is missing"},
      {R"({"status":"pending","authorizations":"https://ca.test/z"})", "authorizations is missing"},
      {R"({"status":"pending","authorizations":[7]})", "authorizations: expected an https"},
      {R"({"status":"pending","authorizations":["http://ca.test/z"]})", "https://"},
      {R"({"status":"pending","authorizations":["https://ca.test/z"]})",
       "finalize: expected a URL"},
      {order_json("valid"), "certificate: expected a URL"},
      {order_json("pending").substr(0, 40), "not JSON"},
      {many, "more than 16 authorizations"},
  };
  for (const auto& [body, says] : cases) {
    const auto order = Order::parse("https://ca.test/o/1", body);
    ASSERT_FALSE(order) << body;
    EXPECT_NE(order.error().message.find(says), std::string::npos) << order.error().message;
    EXPECT_EQ(order.error().message.find("the order https://ca.test/o/1: "), 0u);
  }
}

std::string challenge_json(std::string type, std::string status, std::string more = "") {
  return R"({"type":")" + type + R"(","status":")" + status + R"(","url":"https://ca.test/c/)" +
         type + R"(","token":"tok_en-1")" + more + "}";
}

Authorization authorization(std::string status, std::string challenges,
                            std::string identifier = "a.test") {
  const auto parsed =
      Authorization::parse("https://ca.test/z/1",
                           R"({"status":")" + status + R"(","identifier":{"type":"dns","value":")" +
                               identifier + R"("},"challenges":[)" + challenges + "]}");
  EXPECT_TRUE(parsed) << parsed.error().message;
  return *parsed;
}

const std::string kAll = challenge_json("dns-01", "pending") + "," +
                         challenge_json("http-01", "pending") + "," +
                         challenge_json("tls-alpn-01", "pending");

TEST(Authorization, ThePreferredChallengeThatIsOfferedIsAnswered) {
  const auto answer = [](const std::string& challenges, const std::vector<ChallengeType>& types) {
    return std::get<Answer>(
               next_step(authorization("pending", challenges), name("a.test"), types, false))
        .challenge;
  };
  EXPECT_EQ(answer(kAll, kBoth).type, kTls);
  EXPECT_EQ(answer(kAll, kBoth).token, "tok_en-1");
  EXPECT_EQ(answer(kAll, {kHttp, kTls}).type, kHttp);
  EXPECT_EQ(answer(kAll, {kHttp}).url, "https://ca.test/c/http-01");
  EXPECT_EQ(answer(challenge_json("http-01", "pending"), kBoth).type, kHttp);
  EXPECT_EQ(answer(challenge_json("tls-alpn-01", "processing"), kBoth).type, kTls);
  EXPECT_EQ(answer(kAll, {kDns, kTls}).type, kDns);
  EXPECT_EQ(answer(kAll, {kDns, kTls}).url, "https://ca.test/c/dns-01");
}

TEST(Authorization, EveryOtherStateHasItsStep) {
  const auto step = [](const std::string& status, const std::string& challenges, bool answered) {
    return next_step(authorization(status, challenges), name("a.test"), kBoth, answered);
  };
  EXPECT_TRUE(std::holds_alternative<Proven>(step("valid", "", false)));
  EXPECT_TRUE(std::holds_alternative<Poll>(step("pending", kAll, true)));
  EXPECT_TRUE(std::holds_alternative<Poll>(
      step("pending",
           challenge_json("http-01", "valid") + "," + challenge_json("dns-01", "pending"), false)));
  const auto message = [&](const std::string& status, const std::string& challenges,
                           bool answered = false) {
    return std::get<GiveUp>(step(status, challenges, answered)).why.message;
  };
  const std::string failed = challenge_json(
      "http-01", "invalid",
      R"(,"error":{"type":"urn:ietf:params:acme:error:dns","detail":"NXDOMAIN","status":400})");
  EXPECT_EQ(message("invalid", failed),
            "the CA could not validate a.test by http-01: dns (HTTP 400): NXDOMAIN");
  EXPECT_EQ(message("pending", failed, true), message("invalid", failed));
  EXPECT_NE(message("invalid", "").find("does not say why"), std::string::npos);
  EXPECT_NE(message("deactivated", kAll).find("deactivated"), std::string::npos);
  EXPECT_NE(message("expired", kAll).find("expired"), std::string::npos);
  EXPECT_NE(message("revoked", kAll).find("revoked"), std::string::npos);
  EXPECT_NE(
      message("pending", challenge_json("dns-01", "pending")).find("it offers dns-01; we can"),
      std::string::npos);
  EXPECT_NE(message("pending", "").find("it offers none"), std::string::npos);
}

TEST(Authorization, OneForAnotherNameIsRefused) {
  for (const char* other : {"b.test", "", "*.a.test", "a.test/..", "1.2.3.4"}) {
    const auto step = next_step(authorization("valid", "", other), name("a.test"), kBoth, false);
    EXPECT_TRUE(std::holds_alternative<GiveUp>(step)) << other;
  }
  EXPECT_TRUE(std::holds_alternative<Proven>(
      next_step(authorization("valid", "", "A.Test"), name("a.test"), kBoth, false)));
}

TEST(Authorization, WhatIsNotOneIsNamed) {
  const auto body = [](std::string challenges) {
    return R"({"status":"pending","identifier":{"type":"dns","value":"a.test"},"challenges":[)" +
           challenges + "]}";
  };
  std::string many = kAll;
  for (int i = 0; i < 20; ++i) many += "," + challenge_json("dns-01", "pending");
  const std::pair<std::string, std::string> cases[] = {
      {"nonsense", "not JSON"},
      {"{}", "unknown authorization status"},
      {R"({"status":"pending"})", "expected an identifier"},
      {R"({"status":"pending","identifier":{"type":"email","value":"a@b"}})", "identifier"},
      {body(challenge_json("http-01", "odd")), "unknown challenge status"},
      {body(R"({"type":"http-01","status":"pending","token":"t"})"), "challenge's url"},
      {body(R"({"type":"http-01","status":"pending","url":"https://ca.test/c"})"), "token"},
      {body(R"({"type":"http-01","status":"pending","url":"https://ca.test/c","token":"../x"})"),
       "expected base64url, got \"../x\""},
      {body(R"({"type":"http-01","status":"pending","url":"https://ca.test/c","token":")" +
            std::string(300, 'a') + "\"}"),
       "token"},
      {body(many), "more than 16 challenges"},
  };
  for (const auto& [text, says] : cases) {
    const auto parsed = Authorization::parse("https://ca.test/z/1", text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message.find(says), std::string::npos) << parsed.error().message;
  }
}

// RFC 8555, 7.1.4.
TEST(Authorization, ThatOfAWildcardNamesItsSuffix) {
  const auto about = [](const std::string& identifier, const std::string& wild) {
    const auto parsed =
        Authorization::parse("https://ca.test/z/1", R"({"status":"valid",)" + wild +
                                                        R"("identifier":{"type":"dns","value":")" +
                                                        identifier + R"("},"challenges":[]})");
    EXPECT_TRUE(parsed) << parsed.error().message;
    return *parsed;
  };
  const auto proves = [&](const std::string& identifier, const std::string& wild,
                          const ServerName& ordered) {
    return std::holds_alternative<Proven>(
        next_step(about(identifier, wild), ordered, {kDns}, false));
  };
  const std::string yes = R"("wildcard":true,)";
  EXPECT_TRUE(proves("a.test", yes, wildcard("*.a.test")));
  EXPECT_TRUE(proves("A.test", yes, wildcard("*.a.test")));
  EXPECT_TRUE(proves("a.test", "", wildcard("*.a.test"))) << "the proof is the same";
  EXPECT_FALSE(proves("b.test", yes, wildcard("*.a.test")));
  EXPECT_FALSE(proves("x.a.test", yes, wildcard("*.a.test")));
  EXPECT_FALSE(proves("*.a.test", yes, wildcard("*.a.test")));
  EXPECT_FALSE(proves("test", yes, wildcard("*.a.test")));
  EXPECT_FALSE(proves("a.test", yes, name("a.test"))) << "that is another one";
  EXPECT_TRUE(proves("a.test", R"("wildcard":false,)", name("a.test")));
  EXPECT_TRUE(proves("a.test", R"("wildcard":"yes",)", name("a.test"))) << "not a boolean";
  const auto refused = next_step(about("b.test", yes), wildcard("*.a.test"), {kDns}, false);
  EXPECT_EQ(std::get<GiveUp>(refused).why.message,
            "the authorization https://ca.test/z/1 is for \"*.b.test\", not for *.a.test");
}

TEST(ChallengeChoice, AWildcardIsProvenByDnsAloneAndAnAddressNever) {
  const ServerName address = *ServerName::parse_ip("192.0.2.7");
  const ChallengeChoice all({kTls, kHttp, kDns});
  EXPECT_EQ(all.order_for(wildcard("*.a.test")), (std::vector{kDns}));
  EXPECT_EQ(all.order_for(address), (std::vector{kTls, kHttp}));
  EXPECT_EQ(all.order_for(name("a.test")), (std::vector{kTls, kHttp, kDns}));
  EXPECT_TRUE(ChallengeChoice({kTls, kHttp}).order_for(wildcard("*.a.test")).empty());
  EXPECT_TRUE(ChallengeChoice({kDns}).order_for(address).empty());
}

TEST(ChallengeChoice, DnsIsRememberedAndCountedLikeTheOthers) {
  ChallengeChoice choice({kTls, kHttp, kDns});
  choice.worked(name("a.test"), kDns);
  EXPECT_EQ(choice.order_for(name("a.test")), (std::vector{kDns, kTls, kHttp}));
  for (int i = 0; i < 20; ++i) choice.failed(name("x.test"), kTls);
  for (int i = 0; i < 20; ++i) choice.failed(name("x.test"), kHttp);
  EXPECT_EQ(choice.order_for(name("new.test")).front(), kDns);
}

TEST(ChallengeChoice, BeginsAsConfigured) {
  EXPECT_EQ(ChallengeChoice({kTls, kHttp}).order_for(name("a.test")), (std::vector{kTls, kHttp}));
  EXPECT_EQ(ChallengeChoice({kHttp, kTls}).order_for(name("a.test")), (std::vector{kHttp, kTls}));
  EXPECT_EQ(ChallengeChoice({kHttp}).order_for(name("a.test")), (std::vector{kHttp}));
}

TEST(ChallengeChoice, WhatWorkedForANameComesFirstForIt) {
  ChallengeChoice choice({kTls, kHttp});
  choice.worked(name("a.test"), kHttp);
  EXPECT_EQ(choice.order_for(name("a.test")).front(), kHttp);
  EXPECT_EQ(choice.order_for(name("b.test")).front(), kTls);
  choice.failed(name("a.test"), kHttp);
  choice.worked(name("a.test"), kTls);
  EXPECT_EQ(choice.order_for(name("a.test")).front(), kTls);
}

TEST(ChallengeChoice, WhatFailsForManyIsTriedLastForStrangersAndForgivenInTime) {
  ChallengeChoice choice({kTls, kHttp});
  for (int i = 0; i < 20; ++i) choice.failed(name("a.test"), kTls);
  EXPECT_EQ(choice.order_for(name("new.test")).front(), kHttp);
  for (int i = 0; i < 20; ++i) choice.failed(name("a.test"), kHttp);
  for (int i = 0; i < 300; ++i) choice.worked(name("b.test"), kTls);
  EXPECT_EQ(choice.order_for(name("new.test")).front(), kTls);
}

TEST(ChallengeChoice, ItsMemoryOfNamesIsBounded) {
  ChallengeChoice choice({kTls, kHttp});
  for (int i = 0; i < 30'000; ++i) {
    choice.worked(name(("n" + std::to_string(i) + ".test").c_str()), kHttp);
    if (i % 100 == 0) choice.failed(name("x.test"), kHttp);
    if (i % 100 == 0) choice.worked(name("x.test"), kTls);
  }
  EXPECT_EQ(choice.order_for(name("n29999.test")).front(), kHttp);
  EXPECT_EQ(choice.order_for(name("n1.test")).front(), kTls) << "forgotten";
}

TEST(Identifier, NamesAndAddressesAreOfTheirType) {  // RFC 8738
  EXPECT_EQ(identifier_of(name("a.test")), R"({"type":"dns","value":"a.test"})");
  EXPECT_EQ(identifier_of(*ServerName::parse_ip("2001:DB8:0::7")),
            R"({"type":"ip","value":"2001:db8::7"})");
  EXPECT_EQ(identifier_of(wildcard("*.a.test")), R"({"type":"dns","value":"*.a.test"})");
}

TEST(NextProofStep, AnAuthorizationIsForItsNameAndItsTypeOnly) {
  const auto step = [](const std::string& type, const std::string& value, const ServerName& about) {
    const auto parsed = Authorization::parse(
        "https://ca.test/authz/1", R"({"status":"valid","identifier":{"type":")" + type +
                                       R"(","value":")" + value + R"("},"challenges":[]})");
    return parsed && std::holds_alternative<Proven>(next_step(*parsed, about, {}, false));
  };
  const ServerName ip = *ServerName::parse_ip("2001:db8::7");
  EXPECT_TRUE(step("ip", "2001:db8::7", ip));
  EXPECT_TRUE(step("ip", "2001:0DB8::0007", ip)) << "the same address";
  EXPECT_FALSE(step("ip", "2001:db8::8", ip));
  EXPECT_FALSE(step("dns", "2001:db8::7", ip));
  EXPECT_FALSE(step("ip", "a.test", name("a.test")));
  EXPECT_TRUE(step("dns", "A.test.", name("a.test")));
}

}  // namespace
}  // namespace latchkey::acme
