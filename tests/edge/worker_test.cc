// A worker's handshakes, pages and port 80.
#include "tests/edge/worker_fixture.h"

namespace latchkey::edge {
namespace {

constexpr bool kBothVersions[] = {false, true};

TEST_F(WorkerTest, AParkingPageSaysWhatBecameOfTheName) {
  struct Case {
    Error why;
    int status;
    const char* retry_after;
    const char* text;
  };
  const Case cases[] = {
      {{ErrorCode::kDenied, "no"}, 404, "", "not served here"},
      {{ErrorCode::kThrottled, "later", 90'001ms}, 503, "91", "being prepared"},
      {{ErrorCode::kTimeout, "slow"}, 503, "10", "being prepared"},
      {{ErrorCode::kProtocol, "<b>secret</b>"}, 503, "60", "No certificate could be obtained"},
  };
  for (const Case& c : cases) {
    decide(a, c.why);
    TlsClient client(options("a.test"));
    EXPECT_EQ(client.handshake().alpn, "http/1.1");
    EXPECT_FALSE(client.handshake().verified) << "it is for another name";
    HttpConversation http(client);
    const HttpAnswer answer = http.get("any.test", "/x");
    EXPECT_EQ(answer.status, c.status);
    EXPECT_EQ(answer.header("retry-after"), c.retry_after);
    EXPECT_NE(answer.body.find(c.text), std::string::npos) << answer.body;
    EXPECT_EQ(answer.body.find("secret"), std::string::npos);
    EXPECT_TRUE(http.ended()) << "so that the next try is a new handshake";
  }
  EXPECT_EQ(upstream.requests(), 0u);
  EXPECT_EQ(counts.parking_pages.value(), 4u);
  EXPECT_EQ(counts.served.value(), 0u);
  EXPECT_EQ(counts.refused_name.value() + counts.refused_temporary.value(), 0u);
}

TEST_F(WorkerTest, WhoeverWaitedTooLongIsToldThatItIsPending) {
  const HttpAnswer answer = get("a.test");
  EXPECT_EQ(answer.status, 503);
  EXPECT_NE(answer.body.find("being prepared"), std::string::npos) << answer.body;
  EXPECT_EQ(counts.park_timeouts.value(), 1u);
  EXPECT_EQ(left, 1u);
  EXPECT_EQ(get("a.test").status, 503);
  EXPECT_EQ(left, 2u);
  EXPECT_EQ(back, 1u);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(wanted.size(), 1u) << "the question is still open";
}

TEST_F(WorkerTest, NoSessionLeadsFromAParkingPageToTheSiteOrBack) {
  for (const bool only_tls12 : kBothVersions) {
    auto how = options("a.test");
    how.only_tls12 = only_tls12;
    decide(a, Error{ErrorCode::kDenied, "no"});
    cache.erase(a);
    test::TlsSession of_page;
    {
      TlsClient client(how);
      EXPECT_EQ(HttpConversation(client).get("a.test").status, 404);
      of_page = client.session();
    }
    EXPECT_EQ(of_page, nullptr) << "no ticket is given at all";

    const CertificatePtr certificate = ca.issue({"a.test"});
    cache.put(a, certificate);
    how.session = of_page;
    test::TlsSession of_site;
    {
      TlsClient client(how);
      EXPECT_TRUE(client.handshake().verified);
      EXPECT_FALSE(client.handshake().resumed);
      EXPECT_EQ(HttpConversation(client).get("a.test").body, "routes");
      of_site = client.session();
    }
    ASSERT_NE(of_site, nullptr);
    how.session = of_site;
    {
      TlsClient client(how);
      EXPECT_TRUE(client.handshake().resumed) << "sessions do work";
      EXPECT_EQ(HttpConversation(client).get("a.test").body, "routes");
    }
    cache.erase(a);
    {
      TlsClient client(how);
      EXPECT_TRUE(client.handshake().done);
      EXPECT_FALSE(client.handshake().resumed);
      EXPECT_NE(client.handshake().serial, certificate->serial());
      EXPECT_EQ(HttpConversation(client).get("a.test").status, 404);
      EXPECT_EQ(client.session(), nullptr);
    }
  }
}

TEST_F(WorkerTest, NoSessionLeadsFromAnExpiredCertificateToTheFreshOneOrBack) {
  const CertificatePtr old = ca.issue({"a.test"}, TestCa::now() - 48h, TestCa::now() - 24h);
  for (const bool only_tls12 : kBothVersions) {
    auto how = options("a.test");
    how.only_tls12 = only_tls12;
    cache.put(a, ca.issue({"a.test"}));
    {
      TlsClient client(how);
      EXPECT_EQ(HttpConversation(client).get("a.test").body, "routes");
      how.session = client.session();
    }
    ASSERT_NE(how.session, nullptr);
    cache.put(a, old);
    decide(a, old);
    {
      TlsClient client(how);
      EXPECT_FALSE(client.handshake().resumed);
      EXPECT_EQ(client.handshake().serial, old->serial());
      EXPECT_EQ(HttpConversation(client).get("a.test").body, "routes") << "it is the site";
      EXPECT_EQ(client.session(), nullptr);
    }
    cache.put(a, ca.issue({"a.test"}));
    EXPECT_TRUE(TlsClient(how).handshake().verified);
    cache.erase(a);
  }
  EXPECT_EQ(counts.served_expired.value(), 2u);
}

TEST_F(WorkerTest, WithoutANameTheDefaultCertificateServesTheHostsThatItCovers) {
  auto how = options("");
  how.name = "default.test";
  TlsClient client(how);
  ASSERT_TRUE(client.handshake().verified) << client.handshake().error;
  HttpConversation http(client);
  EXPECT_EQ(http.get("default.test").body, "routes");
  EXPECT_EQ(http.get("x.default.test").body, "routes");
  EXPECT_EQ(http.get("a.test").status, 421);
  EXPECT_EQ(http.get("127.0.0.1").status, 421);

  // Its session is its own.
  cache.put(a, ca.issue({"a.test"}));
  auto named = options("a.test");
  named.session = client.session();
  ASSERT_NE(named.session, nullptr);
  EXPECT_FALSE(TlsClient(named).handshake().resumed);

  for (const char* literal : {"127.0.0.1", "[::1]"}) {
    EXPECT_EQ(TlsClient(options(literal)).handshake().alert, test::alert::kUnrecognizedName);
  }
  EXPECT_EQ(counts.default_certificate.value(), 1u);
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(wanted.empty());
}

TEST_F(WorkerTest, AFallbackIsReplacedForHandshakesToCome) {
  decide(a, Error{ErrorCode::kDenied, "no"});
  EXPECT_EQ(get("a.test").status, 404);
  auto how = options("");
  how.name = "default.test";
  test::TlsSession session;
  {
    TlsClient client(how);
    HttpConversation(client).get("default.test");
    session = client.session();
  }
  ASSERT_NE(session, nullptr);
  replace_fallback(nullptr);
  EXPECT_EQ(TlsClient(options("a.test")).handshake().alert, test::alert::kUnrecognizedName);
  how.session = session;
  EXPECT_EQ(TlsClient(how).handshake().alert, test::alert::kUnrecognizedName)
      << "a session opens nothing that a handshake would not";
}

TEST_F(WorkerTest, TheNewestGrantSaysWhereRequestsGo) {
  const auto answer_with = [](const char* body) {
    return [body](const test::Request&) { return test::Response{.body = body}; };
  };
  test::HttpServer one(answer_with("one")), two(answer_with("two"));
  const auto granting = [](const test::HttpServer& to) {
    Grant grant;
    grant.upstream = to.url();
    return NameExtras{.grant = std::make_shared<const Grant>(std::move(grant))};
  };
  const CertificatePtr both = ca.issue({"a.test", "b.test"});
  cache.put(a, both, granting(one));
  cache.put(*ServerName::parse("b.test"), both);
  TlsClient client(options("a.test"));
  HttpConversation http(client);
  EXPECT_EQ(http.get("a.test").body, "one");
  EXPECT_EQ(http.get("b.test").body, "routes") << "the other name of the certificate has none";
  cache.set_extras(a, granting(two));
  EXPECT_EQ(http.get("A.test:443").body, "two") << "on the same connection";
  cache.erase(a);
  EXPECT_EQ(http.get("a.test").body, "one") << "of the handshake, as nothing newer is known";
}

TEST_F(WorkerTest, WithoutANameAnAddressIsServedByItsOwnCertificate) {
  const ServerName address = *ServerName::parse_ip("127.0.0.1");
  auto how = options("");
  how.name = "127.0.0.1";
  cache.put(address, ca.issue({"127.0.0.1"}));
  EXPECT_FALSE(TlsClient(how).handshake().verified) << "the configured default goes before it";
  replace_fallback(nullptr);
  test::TlsSession session;
  {
    TlsClient client(how);
    ASSERT_TRUE(client.handshake().done) << client.handshake().error;
    HttpConversation http(client);
    EXPECT_EQ(http.get("127.0.0.1:" + std::to_string(port)).body, "routes");
    EXPECT_EQ(http.get("a.test").status, 421);
    session = client.session();
  }
  ASSERT_NE(session, nullptr);
  how.session = session;
  EXPECT_TRUE(TlsClient(how).handshake().resumed);
  cache.put(address, ca.issue({"127.0.0.1"}, TestCa::now() - 48h, TestCa::now() - 24h));
  EXPECT_EQ(TlsClient(how).handshake().alert, test::alert::kUnrecognizedName) << "it has expired";
  cache.erase(address);
  EXPECT_EQ(TlsClient(how).handshake().alert, test::alert::kUnrecognizedName);
  EXPECT_EQ(counts.address_certificate.value(), 2u);
  EXPECT_EQ(counts.default_certificate.value(), 1u);
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(wanted.empty());
  ASSERT_FALSE(used.empty());
  EXPECT_EQ(used.front(), "127.0.0.1");
}

TEST_F(WorkerTest, ANameWhoseCertificateIsLostIsProxiedOnPort80ByItsGrant) {
  test::HttpServer own([](const test::Request&) { return test::Response{.body = "own"}; });
  Grant grant;
  grant.upstream = own.url();
  const ServerName b = *ServerName::parse("b.test");
  const WallTime now = TestCa::now();
  cache.put(a, ca.issue({"a.test"}, now - 48h, now - 24h),
            {.grant = std::make_shared<const Grant>(std::move(grant))});
  {
    const std::lock_guard lock(mutex);
    states = {{a, NameState::kPlainOnly}, {b, NameState::kPlainOnly}};
    states[*ServerName::parse("c.test")] = NameState::kServed;
  }
  test::PlainClient client(http_port);
  HttpConversation http(client);
  EXPECT_EQ(http.get("a.test", "/x").body, "own");
  EXPECT_EQ(http.get("b.test", "/x").body, "routes");
  EXPECT_EQ(http.get("c.test", "/x").header("location"), "https://c.test/x");
  EXPECT_EQ(http.get("d.test", "/x").status, 404);
  EXPECT_EQ(http.exchange("POST /x HTTP/1.1\r\nHost: A.test\r\nContent-Length: 3\r\n\r\nabc").body,
            "own");
}

TEST_F(WorkerTest, NobodyIsAskedAboutAddressesThatStrangersName) {
  test::PlainClient client(http_port);
  HttpConversation http(client);
  EXPECT_EQ(http.get("203.0.113.7").status, 404);
  EXPECT_EQ(http.get("[2001:db8::7]").status, 404);
  {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(asked.empty());
    states[*ServerName::parse_ip("203.0.113.7")] = NameState::kServed;
  }
  cache.put(*ServerName::parse_ip("203.0.113.7"), ca.issue({"203.0.113.7"}));
  EXPECT_EQ(http.get("203.0.113.7").header("location"), "https://203.0.113.7/");
}

TEST_F(WorkerTest, DrainingWaitsForThoseWhoAreParked) {
  auto answer = std::async(std::launch::async, [this] { return get("a.test"); });
  ASSERT_TRUE(test::eventually([&] { return bounds.parked() == 1; }));
  std::promise<void> drained;
  worker->post([&](Worker& w) { w.drain(Worker::Drain::kSoon, [&] { drained.set_value(); }); });
  EXPECT_EQ(answer.get().status, 503);
  drained.get_future().wait();
  EXPECT_EQ(bounds.parked(), 0u);
}

}  // namespace
}  // namespace latchkey::edge
