// A CA that does each thing wrong at each of its resources, and some that only one can do wrong.
// Whatever it is: a clear line that names the resource, few requests, nothing offered any more, and
// as soon as the CA is well again a certificate comes.

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/acme/issuer_fixture.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// Between us and the CA: what sockets do, as CurlHttpClient tells it.
class BadNetwork final : public HttpClient {
 public:
  using Fault = std::function<Task<HttpReply>(BadNetwork&, HttpRequest)>;

  BadNetwork(Clock& c, HttpClient& n) : clock(c), next(n) {}

  Task<HttpReply> send(HttpRequest request) override {
    sent.push_back(clock.now());
    const bool hit = fault && request.url.find(part) != std::string::npos;
    return hit ? fault(*this, std::move(request)) : next.send(std::move(request));
  }

  static Task<HttpReply> hang(BadNetwork& self, HttpRequest request) {
    co_await sleep(self.clock, request.timeout);
    co_return Error{ErrorCode::kTimeout, request.url + ": no answer within 10000 ms"};
  }
  static Task<HttpReply> close(BadNetwork& self, HttpRequest request) {
    co_await sleep(self.clock, 1ms);
    co_return Error{ErrorCode::kIo, request.url + ": the connection was closed"};
  }
  static Task<HttpReply> endless(BadNetwork& self, HttpRequest request) {
    co_await sleep(self.clock, 1ms);
    co_return Error{ErrorCode::kProtocol, request.url + ": the answer is longer than 1 MiB"};
  }
  static Task<HttpReply> bad_nonce(BadNetwork& self, HttpRequest) {
    co_await sleep(self.clock, 1ms);
    co_return FakeAcmeServer::problem(400, "badNonce");
  }
  // The CA has done it, and we never hear of it.
  static Task<HttpReply> lose(BadNetwork& self, HttpRequest request) {
    const std::string url = request.url;
    co_await self.next.send(std::move(request));
    co_return Error{ErrorCode::kIo, url + ": the answer was cut off"};
  }

  Clock& clock;
  HttpClient& next;
  std::string part;
  Fault fault;
  std::vector<TimePoint> sent;
};

class HostileCaTest : public IssuerFixture {
 protected:
  HostileCaTest() { begin(); }

  // A new process; with a store that knows nothing where the account is what goes wrong.
  void begin(bool forget_account = false) {
    ca.intercept = nullptr;
    network.fault = nullptr;
    if (forget_account) store.accounts.clear();
    store.orders.clear();
    issuer.emplace(options, network, clock, store, challenges, log);
  }

  // The most requests in any 25 s.
  size_t most_requests() const {
    size_t most = 0;
    for (size_t i = 0; i < network.sent.size(); ++i) {
      const auto end =
          std::upper_bound(network.sent.begin(), network.sent.end(), network.sent[i] + 25s - 1ms);
      most = std::max(most, static_cast<size_t>(end - network.sent.begin()) - i);
    }
    return most;
  }

  struct Expected {
    FailureClass failure;
    std::string part;  // of the message
  };
  // The fault is set up. Fails as expected, in bounds; then the CA is well again.
  void expect_failure(const Expected& expected) {
    network.sent.clear();
    const TimePoint began = clock.now();
    const auto outcome = obtain();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(to_string(failure->failure), to_string(expected.failure)) << outcome.error().message;
    EXPECT_THAT(outcome.error().message, HasSubstr(expected.part));
    EXPECT_LT(outcome.error().message.size(), 2000u);
    EXPECT_EQ(outcome.error().message.find('\n'), std::string::npos);
    EXPECT_LE(clock.now() - began, 10min + 1s);
    EXPECT_LE(most_requests(), 20u);
    EXPECT_LE(network.sent.size(), 200u);
    EXPECT_TRUE(nothing_is_offered());
    EXPECT_EQ(clock.pending(), 0u);
    heal();
  }
  void heal() {
    ca.intercept = nullptr;
    network.fault = nullptr;
    ca.broken_rules.clear();
    IssuanceJob wanted = job();
    if (store.orders.contains(a)) wanted.pending = store.orders.at(a);
    wanted.failures = 1;
    const auto outcome = obtain(std::move(wanted));
    EXPECT_TRUE(outcome) << "the CA is well again: " << outcome.error().message;
    ca.broken_rules.clear();
  }

  BadNetwork network{clock, ca};
};

struct Place {
  const char* part;
  const char* url;
};
constexpr Place kResources[] = {
    {"/dir", "https://ca.test/dir"},
    {"/nonce", "HEAD https://ca.test/nonce"},
    {"/account", "POST https://ca.test/account"},
    {"/new-order", "POST https://ca.test/new-order"},
    {"/authz/", "https://ca.test/authz/"},
    {"/challenge/", "https://ca.test/challenge/"},
    {"/finalize/", "https://ca.test/finalize/"},
    {"/order/", "https://ca.test/order/"},
    {"/cert/", "https://ca.test/cert/"},
};

bool is(const Place& resource, const char* part) {
  return std::string(resource.part) == part;
}
// Its answers are data; those of the others may be empty, or are not looked at.
bool is_read(const Place& resource) {
  return !is(resource, "/nonce") && !is(resource, "/account") && !is(resource, "/challenge/");
}
std::string bare(const Place& resource) {
  const std::string url = resource.url;
  return url.substr(url.find("https"));
}

TEST_F(HostileCaTest, EveryResourceThatCannotBeReached) {
  const std::pair<const char*, BadNetwork::Fault> faults[] = {
      {"hang", BadNetwork::hang},
      {"close", BadNetwork::close},
      {"400 MiB", BadNetwork::endless},
      {"truncated", BadNetwork::lose},
  };
  for (const Place& resource : kResources) {
    for (const auto& [what, fault] : faults) {
      SCOPED_TRACE(std::string(resource.part) + ": " + what);
      begin(true);
      network.part = resource.part;
      network.fault = fault;
      expect_failure({FailureClass::kServerInternal, bare(resource)});
    }
  }
}

TEST_F(HostileCaTest, EveryResourceThatAnswersNonsense) {
  const std::pair<const char*, HttpReply> answers[] = {
      {"empty", FakeAcmeServer::json(200, "")},
      {"html", FakeAcmeServer::json(200, "<html>\n<p>hello")},
      {"garbage", FakeAcmeServer::json(200, "{\"status\":\"val")},
      {"no object", FakeAcmeServer::json(200, "[]")},
      {"nothing in it", FakeAcmeServer::json(200, "{}")},
      {"nulls", FakeAcmeServer::json(200, R"({"status":null,"newNonce":null,"newOrder":null,
          "authorizations":null,"finalize":null,"identifier":null,"challenges":null})")},
      {"other types", FakeAcmeServer::json(200, R"({"status":7,"newNonce":[],"newOrder":{},
          "authorizations":{"a":1},"finalize":[],"identifier":"a.test","challenges":true})")},
      {"deep", FakeAcmeServer::json(200, std::string(1 << 20, '['))},
      {"binary", FakeAcmeServer::json(200, std::string(1 << 10, '\0') + "\xff\xfe")},
  };
  for (const Place& resource : kResources) {
    if (!is_read(resource)) continue;
    for (const auto& [what, reply] : answers) {
      SCOPED_TRACE(std::string(resource.part) + ": " + what);
      begin(true);
      answer(resource.part, reply);
      const bool chain = is(resource, "/cert/");
      expect_failure(
          {chain ? FailureClass::kBadCertificate : FailureClass::kServerInternal, bare(resource)});
    }
  }
}

TEST_F(HostileCaTest, EveryResourceThatRefuses) {
  HttpReply redirect = FakeAcmeServer::json(302, "");
  redirect.headers.emplace_back("location", "http://169.254.169.254/latest/meta-data");
  HttpReply to_file = FakeAcmeServer::json(301, "");
  to_file.headers.emplace_back("location", "file:///etc/passwd");
  const struct {
    const char* what;
    HttpReply reply;
    FailureClass failure;
    const char* part;
  } answers[] = {
      {"redirect", redirect, FailureClass::kServerInternal,
       "http://169.254.169.254/latest/meta-data"},
      {"file", to_file, FailureClass::kServerInternal, "file:///etc/passwd"},
      {"404", FakeAcmeServer::json(404, "gone"), FailureClass::kServerInternal, "HTTP 404"},
      {"500", FakeAcmeServer::problem(500, "serverInternal"), FailureClass::kServerInternal,
       "HTTP 500"},
      {"503", throttled(503, ""), FailureClass::kServerInternal, "HTTP 503"},
      {"503 for an hour", throttled(503, "3600"), FailureClass::kServerInternal, "3600 s"},
      {"429", throttled(429, ""), FailureClass::kRateLimited, "HTTP 429"},
      {"429 for an hour", throttled(429, "3600"), FailureClass::kRateLimited, "3600 s"},
      {"429 for ever", throttled(429, "1"), FailureClass::kRateLimited, "HTTP 429"},
      {"bad nonces", FakeAcmeServer::problem(400, "badNonce"), FailureClass::kServerInternal,
       "badNonce"},
  };
  for (const Place& resource : kResources) {
    for (const auto& c : answers) {
      SCOPED_TRACE(std::string(resource.part) + ": " + c.what);
      begin(true);
      answer(resource.part, c.reply);
      // What comes before there is an order is the CA's trouble, whatever its words are.
      const bool early = is(resource, "/dir") || is(resource, "/nonce");
      FailureClass of = c.failure;
      if (early && c.reply.status == 503 && c.reply.header("retry-after") == "3600") {
        of = FailureClass::kRateLimited;  // by the code of the error
      }
      expect_failure({of, bare(resource)});
      begin(true);
      answer(resource.part, c.reply);
      EXPECT_THAT(error(), HasSubstr(c.part));
      ca.broken_rules.clear();
    }
  }
}

TEST_F(HostileCaTest, WhatNeverEnds) {
  begin();
  ca.validation_polls = 1'000'000;
  network.sent.clear();
  EXPECT_THAT(error(), HasSubstr("https://ca.test/authz/"));
  EXPECT_EQ(failure->failure, FailureClass::kTimeout);
  EXPECT_LE(most_requests(), 20u);

  begin();
  ca.validation_polls = 1;
  ca.processing_polls = 1'000'000;
  network.sent.clear();
  EXPECT_THAT(error(), HasSubstr("https://ca.test/order/"));
  EXPECT_EQ(failure->failure, FailureClass::kTimeout);
  EXPECT_LE(most_requests(), 20u);
  EXPECT_TRUE(store.orders.contains(a)) << "it may come yet";

  begin();
  ca.processing_polls = 1;
  ca.retry_after = "0";
  network.sent.clear();
  EXPECT_TRUE(obtain());
  ca.retry_after = "86400";
  EXPECT_THAT(error(), HasSubstr("come back in 86400 s"));
  EXPECT_EQ(failure->failure, FailureClass::kTimeout);
}

// Its nonces are never good, and an answer never brings one: each costs two requests.
TEST_F(HostileCaTest, NoncesThatAreNeverGood) {
  for (const Place& resource : kResources) {
    SCOPED_TRACE(resource.part);
    begin(true);
    network.part = resource.part;
    network.fault = BadNetwork::bad_nonce;
    const bool early = is(resource, "/dir") || is(resource, "/nonce");
    expect_failure({FailureClass::kServerInternal, early ? bare(resource) : "nonces in a row"});
  }
}

std::string order(const std::string& status, const std::string& members) {
  return R"({"status":")" + status + R"(",)" + members + "}";
}
const char* const kAuthorizations = R"("authorizations":["https://ca.test/authz/2"])";
const char* const kFinalize = R"("finalize":"https://ca.test/finalize/1")";

TEST_F(HostileCaTest, OrdersThatAreNone) {
  std::string many = R"("authorizations":["https://ca.test/authz/2")";
  for (int i = 0; i < 16; ++i) many += R"(,"https://ca.test/authz/2")";
  many += "]";
  const struct {
    const char* what;
    std::string body;
    const char* part;
  } orders[] = {
      {"unknown status", order("maybe", std::string(kAuthorizations) + "," + kFinalize), "maybe"},
      {"no proofs", order("pending", kFinalize), "authorizations is missing"},
      {"too many", order("pending", many + "," + kFinalize), "more than 16"},
      {"proof in a file",
       order("pending", std::string(R"("authorizations":["file:///etc/passwd"],)") + kFinalize),
       "file:///etc/passwd"},
      {"finalized elsewhere",
       order("pending", std::string(kAuthorizations) + R"(,"finalize":"http://10.0.0.1/")"),
       "http://10.0.0.1/"},
      {"a certificate without a URL",
       order("valid", std::string(kAuthorizations) + "," + kFinalize), "certificate"},
      {"a certificate in a file",
       order("valid", std::string(kAuthorizations) + "," + kFinalize +
                          R"(,"certificate":"file:///etc/passwd")"),
       "file:///etc/passwd"},
  };
  for (const auto& c : orders) {
    for (const char* part : {"/new-order", "/order/", "/finalize/"}) {
      SCOPED_TRACE(std::string(part) + ": " + c.what);
      begin();
      HttpReply reply = FakeAcmeServer::json(201, c.body);
      reply.headers.emplace_back("location", "https://ca.test/order/1");
      answer(part, reply);
      EXPECT_THAT(error(), HasSubstr(c.part));
      begin();
      answer(part, reply);
      expect_failure({FailureClass::kServerInternal, "the order https://ca.test/order/"});
    }
  }
}

TEST_F(HostileCaTest, AuthorizationsThatAreNone) {
  const auto authorization = [](const std::string& identifier, const std::string& challenge) {
    return FakeAcmeServer::json(200, R"({"status":"pending","identifier":)" + identifier +
                                         R"(,"challenges":[)" + challenge + "]}");
  };
  const std::string good = R"({"type":"dns","value":"a.test"})";
  const auto challenge = [](const std::string& url, const std::string& token) {
    return R"({"type":"http-01","status":"pending","url":")" + url + R"(","token":")" + token +
           R"("})";
  };
  const struct {
    HttpReply reply;
    const char* part;
  } cases[] = {
      {authorization(R"({"type":"dns","value":"b.test"})", ""), "not for a.test"},
      {authorization(R"({"type":"dns","value":""})", ""), "not for a.test"},
      {authorization(R"({"type":"email","value":"a.test"})", ""), "identifier"},
      {authorization(good, ""), "it offers none"},
      {authorization(good, challenge("file:///etc/passwd", "t")), "file:///etc/passwd"},
      {authorization(good, challenge("https://ca.test/challenge/1", "../../etc")), "token"},
      {authorization(good, challenge("https://ca.test/challenge/1", std::string(300, 'a'))),
       "token"},
      {authorization(good, challenge("https://ca.test/challenge/1", "")), "token"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.part);
    begin();
    answer("/authz/", c.reply);
    expect_failure({FailureClass::kServerInternal, c.part});
  }
}

TEST_F(HostileCaTest, AnOrderWithoutAUsableLocation) {
  for (const char* location :
       {"", "file:///etc/passwd", "http://10.0.0.1/order/1", "https://user@ca.test/order/1",
        "/order/1", "https://ca.test/order/1\r\nx: y"}) {
    SCOPED_TRACE(location);
    begin();
    HttpReply reply =
        FakeAcmeServer::json(201, order("pending", std::string(kAuthorizations) + "," + kFinalize));
    reply.headers.emplace_back("location", location);
    answer("/new-order", reply);
    expect_failure(
        {FailureClass::kServerInternal, "POST https://ca.test/new-order: Location: expected"});
  }
}

TEST_F(HostileCaTest, CertificatesThatAreNone) {
  const TestCa other("Other");
  const WallTime now = clock.wall_now();
  const auto chain_for = [&](const std::string& csr, const std::string& what) -> std::string {
    if (what == "other key") return other.issue_pem({"a.test"}, generate_p256_key());
    if (what == "expired") return other.issue_for_csr(csr, now - 48h, now - 24h);
    if (what == "future") return other.issue_for_csr(csr, now + 24h, now + 48h);
    if (what == "no issuer of its own") {
      return other.issue_for_csr(csr) + TestCa("Third").root_pem;
    }
    if (what == "oversized") {
      std::string chain = other.issue_for_csr(csr);
      while (chain.size() < (1u << 19)) chain += other.intermediate_pem;
      return chain;
    }
    if (what == "wrong name") {
      return other.issue_pem({"b.test"}, TestCa::public_key_of_csr(csr));
    }
    return "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  };
  for (const char* what : {"other key", "expired", "future", "no issuer of its own", "oversized",
                           "wrong name", "junk"}) {
    SCOPED_TRACE(what);
    begin();
    std::string csr;
    ca.intercept = [&](const HttpRequest& request, const std::string& payload) {
      std::optional<HttpReply> reply;
      if (request.url.find("/finalize/") != std::string::npos) {
        csr = *base64url_decode(parse_json(payload)->text_of("csr"));
      }
      if (request.url.find("/cert/") != std::string::npos) {
        reply = FakeAcmeServer::json(200, chain_for(csr, what));
      }
      return reply;
    };
    expect_failure({FailureClass::kBadCertificate, "refused before it was stored"});
  }
}

}  // namespace
}  // namespace latchkey::acme
