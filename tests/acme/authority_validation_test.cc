// The CA's look at a domain: what it accepts as proof, and what it says of everything else.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "acme/authority/redirect.h"
#include "acme/authority/validation.h"
#include "acme/base64url.h"
#include "acme/jws.h"
#include "tests/acme/scripted_probes.h"
#include "tests/support/manual_clock.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;

constexpr const char* kKeyAuthorization = "token-1.thumbprint-1";

Validation looking_at(const ServerName& name, ChallengeType type) {
  return {type, name, "token-1", kKeyAuthorization, 80, 443};
}
Validation looking_at(const std::string& name, ChallengeType type) {
  return looking_at(*ServerName::parse(name), type);
}

HttpReply answer(int status, std::string body, std::string location = "") {
  HttpReply reply;
  reply.status = status;
  reply.body = std::move(body);
  if (!location.empty()) reply.headers.emplace_back("location", std::move(location));
  return reply;
}

class ValidationTest : public ::testing::Test {
 protected:
  // Of a look that needs no time.
  ValidationResult result_of(Validation what) {
    Task<ValidationResult> task = validate(std::move(what), probes_, clock_);
    task.start();
    EXPECT_TRUE(task.done());
    EXPECT_TRUE(task.outcome());
    return *task.outcome();
  }
  ValidationResult by_http(const std::string& name = "a.test") {
    return result_of(looking_at(name, ChallengeType::kHttp01));
  }
  // Pages by URL; everything else is a 404.
  void pages(std::map<std::string, HttpReply> pages) {
    probes_.on_get = [pages = std::move(pages)](const std::string& url) -> Result<HttpReply> {
      const auto at = pages.find(url);
      return at != pages.end() ? at->second : answer(404, "not here");
    };
  }

  ManualClock clock_;
  ScriptedProbes probes_;
};

constexpr const char* kUrl = "http://a.test/.well-known/acme-challenge/token-1";

TEST_F(ValidationTest, AWebServerShowsTheKeyAuthorizationAndWhiteSpaceBehindItDoesNotMatter) {
  for (const char* behind : {"", "\n", "\r\n", " \t\n\n"}) {
    pages({{kUrl, answer(200, std::string(kKeyAuthorization) + behind)}});
    EXPECT_TRUE(by_http().valid);
  }
  for (const char* wrong : {" token-1.thumbprint-1", "token-1.thumbprint-10", "token-1", ""}) {
    pages({{kUrl, answer(200, wrong)}});
    const ValidationResult result = by_http();
    EXPECT_FALSE(result.valid);
    EXPECT_EQ(result.type, "unauthorized");
    EXPECT_NE(result.detail.find(kUrl), std::string::npos) << result.detail;
  }
}

TEST_F(ValidationTest, TheConfiguredPortAndAnAddressAreAskedAsAUrlNamesThem) {
  Validation what = looking_at("a.test", ChallengeType::kHttp01);
  what.http_port = 5002;
  static_cast<void>(result_of(what));
  what.name = *ServerName::parse_ip("2001:db8::1");
  static_cast<void>(result_of(what));
  what.name = *ServerName::parse_ip("192.0.2.1");
  what.http_port = 80;
  static_cast<void>(result_of(what));
  EXPECT_EQ(probes_.asked, (std::vector<std::string>{
                               "http://a.test:5002/.well-known/acme-challenge/token-1",
                               "http://[2001:db8::1]:5002/.well-known/acme-challenge/token-1",
                               "http://192.0.2.1/.well-known/acme-challenge/token-1"}));
}

TEST_F(ValidationTest, AWrongAnswerIsShownShortAndEscaped) {
  pages({{kUrl, answer(200, "<html>\x1b[31m\n" + std::string(10'000, 'x'))}});
  const ValidationResult result = by_http();
  EXPECT_EQ(result.type, "unauthorized");
  EXPECT_NE(result.detail.find("<html>"), std::string::npos) << result.detail;
  EXPECT_EQ(result.detail.find('\x1b'), std::string::npos);
  EXPECT_LT(result.detail.size(), 500u);
  pages({});
  EXPECT_NE(by_http().detail.find("404"), std::string::npos);
  EXPECT_EQ(by_http().type, "unauthorized");
}

TEST_F(ValidationTest, WhatARedirectLeadsToIsFollowedButNeverShown) {
  pages({{kUrl, answer(308, "", "https://a.test/.well-known/acme-challenge/token-1")},
         {"https://a.test/.well-known/acme-challenge/token-1",
          answer(301, "", "http://b.test:80/x?token=1#y")},
         {"http://b.test/x?token=1", answer(200, kKeyAuthorization)}});
  EXPECT_TRUE(by_http().valid);
  EXPECT_EQ(probes_.asked.size(), 3u);
  pages({{kUrl, answer(302, "", "/secret")},
         {"http://a.test/secret", answer(200, "the password of the metadata service")}});
  const ValidationResult result = by_http();
  EXPECT_EQ(result.type, "unauthorized");
  EXPECT_EQ(result.detail.find("password"), std::string::npos) << result.detail;
  // Not even whether somebody is there.
  std::set<std::string> details{result.type + result.detail};
  for (const HttpReply& other : {answer(404, "x"), answer(302, "", "ftp://inner/"), HttpReply{}}) {
    probes_.on_get = [&other](const std::string& url) -> Result<HttpReply> {
      if (url == kUrl) return answer(302, "", "/secret");
      if (other.status == 0) return Error{ErrorCode::kIo, "refused by 10.0.0.7"};
      return other;
    };
    const ValidationResult told = by_http();
    details.insert(told.type + told.detail);
  }
  EXPECT_EQ(details.size(), 1u);
}

TEST_F(ValidationTest, TenRedirectsAreFollowedAndNoMore) {
  probes_.on_get = [](const std::string& url) -> Result<HttpReply> {
    const size_t at = url.find("?n=");
    const int n = at == url.npos ? 0 : std::stoi(url.substr(at + 3));
    if (n == 10) return answer(200, kKeyAuthorization);
    return answer(302, "", "/next?n=" + std::to_string(n + 1));
  };
  EXPECT_TRUE(by_http().valid);
  EXPECT_EQ(probes_.asked.size(), 11u);
  probes_.on_get = [](const std::string& url) { return answer(302, "", url); };
  probes_.asked.clear();
  const ValidationResult result = by_http();
  EXPECT_EQ(result.type, "incorrectResponse");
  EXPECT_EQ(probes_.asked.size(), 11u);
}

TEST_F(ValidationTest, NothingToLookAtIsAProblemOfItsOwnKind) {
  const std::map<ErrorCode, std::string> types{{ErrorCode::kNotFound, "dns"},
                                               {ErrorCode::kTimeout, "connection"},
                                               {ErrorCode::kIo, "connection"},
                                               {ErrorCode::kProtocol, "incorrectResponse"}};
  for (const auto& [code, type] : types) {
    probes_.on_get = [code = code](const auto&) { return Error{code, "because"}; };
    const ValidationResult result = by_http();
    EXPECT_EQ(result.type, type);
    EXPECT_EQ(result.detail, "because");
  }
  probes_.on_tls = [](const auto&, auto) { return Error{ErrorCode::kProtocol, "no ALPN"}; };
  EXPECT_EQ(result_of(looking_at("a.test", ChallengeType::kTlsAlpn01)).type, "tls");
  probes_.on_txt = [](const auto&) { return Error{ErrorCode::kTimeout, "no answer"}; };
  EXPECT_EQ(result_of(looking_at("a.test", ChallengeType::kDns01)).type, "dns");
}

TEST_F(ValidationTest, AnyOneOfTheTxtRecordsProvesAName) {
  const std::string expected = base64url(sha256(kKeyAuthorization));
  std::vector<std::string> records{"other", expected, "\xff\x01"};
  probes_.on_txt = [&](const auto&) { return records; };
  EXPECT_TRUE(result_of(looking_at("a.test", ChallengeType::kDns01)).valid);
  EXPECT_EQ(probes_.asked, std::vector<std::string>{"_acme-challenge.a.test"});
  records = std::vector<std::string>(60, std::string(5000, '\xff'));
  ValidationResult result = result_of(looking_at("a.test", ChallengeType::kDns01));
  EXPECT_EQ(result.type, "unauthorized");
  EXPECT_NE(result.detail.find(expected), std::string::npos) << result.detail;
  EXPECT_NE(result.detail.find("and 57 more"), std::string::npos) << result.detail;
  EXPECT_LT(result.detail.size(), 1000u);
  records.clear();
  result = result_of(looking_at("a.test", ChallengeType::kDns01));
  EXPECT_EQ(result.type, "unauthorized");
  EXPECT_NE(result.detail.find("no TXT record"), std::string::npos) << result.detail;
  const auto address = *ServerName::parse_ip("192.0.2.1");
  EXPECT_FALSE(result_of(looking_at(address, ChallengeType::kDns01)).valid);
}

// Each answer takes its time.
class SlowProbes final : public Probes {
 public:
  explicit SlowProbes(Clock& clock) : clock_(clock) {}
  Task<HttpReply> get(std::string url) override {
    co_await sleep(clock_, 9s);
    co_return answer(302, "", url);
  }
  Task<std::string> acme_tls(ServerName, uint16_t) override {
    co_await sleep(clock_, 1h);
    co_return std::string();
  }
  Task<std::vector<std::string>> txt(std::string) override {
    co_await sleep(clock_, 1h);
    co_return std::vector<std::string>();
  }

 private:
  Clock& clock_;
};

TEST_F(ValidationTest, ItEndsIn30Seconds) {
  SlowProbes slow(clock_);
  for (const ChallengeType type :
       {ChallengeType::kHttp01, ChallengeType::kTlsAlpn01, ChallengeType::kDns01}) {
    Task<ValidationResult> task = validate(looking_at("a.test", type), slow, clock_);
    task.start();
    clock_.advance(29'999ms);
    EXPECT_FALSE(task.done());
    clock_.advance(1ms);
    ASSERT_TRUE(task.done());
    ASSERT_TRUE(task.outcome());
    EXPECT_FALSE(task.outcome()->valid);
    EXPECT_EQ(task.outcome()->type, type == ChallengeType::kDns01 ? "dns" : "connection");
    EXPECT_EQ(clock_.pending(), 0u);
  }
}

class RedirectTest : public ::testing::Test {
 protected:
  // "" where it is not followed.
  std::string leads(const std::string& location, const std::string& from = "http://a.test/x/y?z") {
    const RedirectRules rules{name, 8080, 8443};
    const auto url = follow_redirect(from, location, rules);
    EXPECT_TRUE(url || url.error().code == ErrorCode::kProtocol);
    EXPECT_LT(url ? 0u : url.error().message.size(), 500u);
    return url ? *url : "";
  }
  ServerName name = *ServerName::parse("a.test");
};

TEST_F(RedirectTest, GoesByRfc3986) {
  EXPECT_EQ(leads("https://b.test/p?q#f"), "https://b.test/p?q");
  EXPECT_EQ(leads("HTTPS://B.Test"), "https://b.test/");
  EXPECT_EQ(leads("http://b.test?q"), "http://b.test/?q");
  EXPECT_EQ(leads("//b.test:8443/p"), "http://b.test:8443/p");
  EXPECT_EQ(leads("/p"), "http://a.test/p");
  EXPECT_EQ(leads("p"), "http://a.test/x/p");
  EXPECT_EQ(leads("p/http://"), "http://a.test/x/p/http://");
  EXPECT_EQ(leads("?q"), "http://a.test/x/y?q");
  EXPECT_EQ(leads(""), "http://a.test/x/y?z");
  EXPECT_EQ(leads("p", "https://a.test/"), "https://a.test/p");
}

TEST_F(RedirectTest, LeadsToHostNamesAndFewPortsOnly) {
  EXPECT_EQ(leads("http://b.test:80/"), "http://b.test/");
  EXPECT_EQ(leads("http://b.test:443/"), "http://b.test:443/");
  EXPECT_EQ(leads("https://b.test:443/"), "https://b.test/");
  EXPECT_EQ(leads("https://b.test:8080/"), "https://b.test:8080/");
  for (const char* refused : {"http://b.test:22/",
                              "http://b.test:0/",
                              "http://b.test:/",
                              "http://b.test:443443/",
                              "http://b.test:-80/",
                              "http://192.0.2.1/",
                              "http://[2001:db8::1]/",
                              "http://[::1/",
                              "http://2130706433/",
                              "http://0x7f.1/",
                              "http:///",
                              "http://",
                              "http:b.test",
                              "ftp://b.test/",
                              "file:///etc/passwd",
                              "javascript:alert(1)",
                              "http://u@b.test/",
                              "http://u:p@b.test/",
                              "http://b test/",
                              "http://b.test/\r\nX: y",
                              "http://b.test\\@c/",
                              "http://b.test/\xff",
                              "http://-b.test/",
                              "http://b..test/",
                              "http://*.test/"}) {
    EXPECT_EQ(leads(refused), "") << refused;
  }
  EXPECT_EQ(leads("http://b.test/" + std::string(2000, 'x')), "");
}

TEST_F(RedirectTest, LeadsToAnAddressOnlyIfItIsTheOneThatIsAskedAbout) {
  name = *ServerName::parse_ip("2001:db8::1");
  EXPECT_EQ(leads("https://[2001:db8:0::1]:8443/"), "https://[2001:db8::1]:8443/");
  EXPECT_EQ(leads("https://[2001:db8::2]/"), "");
  name = *ServerName::parse_ip("192.0.2.1");
  EXPECT_EQ(leads("https://192.0.2.1/"), "https://192.0.2.1/");
  EXPECT_EQ(leads("https://192.0.2.2/"), "");
}

}  // namespace
}  // namespace latchkey::acme
