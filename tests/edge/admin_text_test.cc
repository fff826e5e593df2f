#include "edge/admin_text.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace latchkey::edge {
namespace {

// The JSON block under that heading of the API's document: what people read there is what we show.
JsonValue documented(const std::string& heading) {
  std::ifstream in(std::filesystem::path(LATCHKEY_SOURCE_DIR) / "docs/admin-api.md");
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const std::string begin = "## " + heading + "\n```json\n";
  const size_t at = text.find(begin);
  EXPECT_NE(at, std::string::npos) << heading;
  const size_t from = at + begin.size();
  auto json = parse_json(std::string_view(text).substr(from, text.find("\n```", from) - from));
  EXPECT_TRUE(json) << heading << ": " << json.error().message;
  return json ? *std::move(json) : JsonValue();
}

JsonValue json(std::string_view text) {
  return *parse_json(text);
}

TEST(AdminTextTest, TheDocumentedStatus) {
  EXPECT_EQ(
      status_text(documented("GET /status")),
      "version      0.3.0\n"
      "pid          812\n"
      "state        ready\n"
      "started      2026-03-01T12:00:00Z\n"
      "uptime       24 h\n"
      "config       file /etc/latchkey/latchkey.json, loaded 2026-03-01T12:00:00Z\n"
      "workers      2\n"
      "connections  812\n"
      "parked       3\n"
      "handshakes   9210 accepted, 9000 served, 12 challenges, 150 refused name, "
      "4 refused version, 10 refused temporary, 61 parked, 1 park timeouts, 0 park overflows, "
      "0 overflows total, 0 overflows name, 0 overflows prefix, 0 parking pages, "
      "0 default certificate, 0 address certificate, 0 served expired, 0 verified clients, 0 "
      "refused clients, 12 hello timeouts, 38 failed\n"
      "tls          7100 compressed, 412 compressed quickly, 380 compressed well, "
      "19880000 bytes before, 14100000 bytes sent, 798000 bytes kept\n"
      "limits       61 http2 resets, 0 http2 made resets, 3 http2 settings, 940 http2 pings, "
      "0 http2 empty frames, 2 http2 tiny windows, 310 http2 priorities, "
      "0 http2 other frames, 0 http2 calmed, 1 http2 broken, 7 malformed heads, "
      "1 large heads, 4 slow heads, 0 slow bodies, 2 slow readers\n"
      "requests     91022 served, 0 rate limited, 31877 compressed, 0 compression busy, "
      "0 access log dropped\n"
      "issuance     40 orders, 30 obtained, 8 renewed, 2 failed, 311 from store, 150 denied, "
      "4 unknown, 6 too early, 90 refused again, 0 new names over limit, 0 expired served, "
      "0 self signed served\n"
      "cache        412 certificates, 100000 max certificates, 1211392 bytes, "
      "536870912 max bytes\n"
      "store        health ok\n"
      "policy       3 allowlist entries, ask health ok, url http://127.0.0.1:8000/check, "
      "191 calls, 37 allowed, 150 denied, 4 unknown, 0 not asked, 0 bad answers\n"
      "names        3 in flight, 4 failing, 0 prefetch\n"
      "renewals     2 due, next due 2026-03-02T12:04:11Z, 2 looking, 61 looked, 8 renewed, "
      "1 failed, 0 denied, 3 unseen, 120 polls, 1 poll failures\n"
      "orders       3 running, 3 pending\n"
      "events       52 told, 0 waiting, 0 dropped, webhook 1 queued, 50 delivered, "
      "2 retried, 0 given up, 0 dropped\n");
}

TEST(AdminTextTest, TheDocumentedBudget) {
  EXPECT_EQ(budget_text(documented("GET /budget")),
            "letsencrypt: ok\n"
            "  orders              269 of 270 left\n"
            "  domain example.com  3 of 45 left\n"
            "our own limits\n"
            "  new names example.net  49 of 50 left\n"
            "orders: 20 running, 1 slow\n"
            "  handshake       2 waiting, the oldest for 1 s\n"
            "  urgent renewal  0 waiting\n"
            "  retry           0 waiting\n"
            "  renewal         5 waiting, the oldest for 40 s\n"
            "  prefetch        120 waiting, the oldest for 60 min\n"
            "  ahead           4000 names wait to be queued\n");
}

TEST(AdminTextTest, WhatIsHeldAndWhatIsEmptySaysForHowLong) {
  EXPECT_EQ(budget_text(json(R"({"issuers":[{"name":"le","health":"failing","held_for_seconds":3540,
      "limits":[{"kind":"requests","key":"newOrder","tokens":0,"burst":0,"next_in_seconds":0,
      "held_for_seconds":3540},{"kind":"orders","key":"","tokens":0,"burst":270,
      "next_in_seconds":40,"held_for_seconds":0}]}]})")),
            "le: failing, no orders for 59 min\n"
            "  requests newOrder  held for 59 min by the CA's Retry-After\n"
            "  orders             0 of 270 left, the next in 40 s\n");
}

TEST(AdminTextTest, TheDocumentedName) {
  EXPECT_EQ(explain_text(documented("GET /names/{n}")),
            "shop.example.com\n"
            "  It is served from memory, by a certificate that is valid until "
            "2026-05-30T10:59:59Z.\n"
            "\n"
            "  policy       allowed: the ask endpoint answered 200 (ask remembered, 2 min old, "
            "holds for 58 min)\n"
            "  granted      upstream http://10.0.0.7:3000, tenant acme-inc, key type p256\n"
            "  certificate  04a1b2 from CN=E7,O=Let's Encrypt,C=US\n"
            "  valid        2026-03-01T11:00:00Z to 2026-05-30T10:59:59Z\n"
            "  names        shop.example.com\n"
            "  key          p256\n"
            "  staple       good from 2026-03-01T10:00:00Z to 2026-03-08T10:00:00Z\n"
            "  kept         in memory and in the store\n"
            "  renewal      renews in 60 d, 2026-04-30T05:12:09Z\n"
            "  window       2026-04-29T11:00:00Z to 2026-05-01T11:00:00Z\n"
            "  next look    2026-03-01T17:59:41Z\n"
            "  last used    2026-03-01T12:00:00Z\n"
            "  failed       connection, 3 times in a row since 2026-03-01T12:00:00Z\n"
            "  because      …\n"
            "  next try     2026-03-02T13:51:00Z, in 24 h\n"
            "  under way    an order, lane: handshake\n"
            "  order        https://acme-v02.api.letsencrypt.org/acme/order/1/2 since "
            "2026-03-01T11:59:58Z\n"
            "  budget\n"
            "    letsencrypt domain example.com  3 of 45 left\n"
            "  events\n"
            "    2026-03-01T11:00:02Z  certificate_obtained  letsencrypt  valid until "
            "2026-05-30T10:59:59Z\n");
}

TEST(AdminTextTest, AnUnknownNameIsShort) {
  EXPECT_EQ(explain_text(json(R"({"name":"a.test","says":"It is asked for.",
      "verdict":{"verdict":"unknown","source":"no_endpoint","reason":"nobody was asked"},
      "allowlist":null,"certificate":null,"failure":null,"in_flight":null,"budget":[]})")),
            "a.test\n  It is asked for.\n\n  policy       unknown: nobody was asked (no endpoint)\n"
            "  certificate  none\n");
}

TEST(AdminTextTest, WhatIsNotInTheStoreIsSaidWhenItFails) {
  const std::string shown = explain_text(json(R"({"name":"a.test","store_error":"disk full"})"));
  EXPECT_NE(shown.find("  store        disk full\n"), std::string::npos) << shown;
}

TEST(AdminTextTest, TheDocumentedListOfCertificates) {
  CertificateTable table;
  EXPECT_EQ(table.page(documented("GET /names")),
            "shop.example.com  letsencrypt  p256          expires in 90 d  renews in 60 d       "
            "used 2026-03-01\n"
            "old.example.com   zerossl      rsa2048 twin  expired 2 d ago  renews when visited  "
            "used 2025-12-20\n");
}

TEST(AdminTextTest, PagesOfAListKeepTheirColumns) {
  CertificateTable table;
  const auto page = [&](const std::string& name, const std::string& more) {
    return table.page(json(R"({"certificates":[{"name":")" + name +
                           R"(","next_look":"2026-03-01T17:59:41Z",)" + more + "}]}"));
  };
  EXPECT_EQ(page("long.example.test", R"("renew_in_seconds":-5,"expires_in_seconds":600)"),
            "long.example.test      expires in 10 min  renewal due\n");
  EXPECT_EQ(page("a.test", R"("denied_since":"2026-03-01T12:00:00Z","issuer":"ca")"),
            "a.test             ca                       denied since 2026-03-01T12:00:00Z\n");
  EXPECT_EQ(page("b.test", R"("renew_in_seconds":null,"expires_in_seconds":-7200)"),
            "b.test                   expired 2 h ago    never renews\n");
  EXPECT_EQ(table.page(json(R"({"certificates":[]})")), "");
}

TEST(AdminTextTest, TheDocumentedCertificate) {
  EXPECT_EQ(certificate_text(documented("GET /names/{n}/certificate")),
            "name       shop.example.com\n"
            "names      shop.example.com\n"
            "serial     04a1b2\n"
            "key        p256\n"
            "sha256     9f86d081884c7d65\n"
            "made by    CN=E7,O=Let's Encrypt,C=US\n"
            "issuer     letsencrypt\n"
            "account    https://acme-v02.api.letsencrypt.org/acme/acct/1\n"
            "valid      2026-03-01T11:00:00Z to 2026-05-30T10:59:59Z, expires in 90 d\n"
            "responder  http://e7.o.example.org\n"
            "staple     good from 2026-03-01T10:00:00Z to 2026-03-08T10:00:00Z\n"
            "renewal    renews in 60 d, 2026-04-30T05:12:09Z\n"
            "next look  2026-04-30T05:12:09Z\n"
            "last used  2026-03-01T12:00:00Z\n"
            "\n"
            "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n");
}

TEST(AdminTextTest, ATwinAndAStapleThatEndedAreShown) {
  EXPECT_EQ(certificate_text(json(R"({"key_type":"rsa2048","slot":"rsa","staple":{"good":false,
      "this_update":"2026-03-01T10:00:00Z","next_update":"2026-03-08T10:00:00Z"},
      "twin":{"key_type":"rsa2048","serial":"0a","not_after":"2026-05-30T10:59:59Z"}})")),
            "key     rsa2048, for clients that cannot do ECDSA\n"
            "staple  ended: from 2026-03-01T10:00:00Z to 2026-03-08T10:00:00Z\n"
            "twin    rsa2048 0a, valid until 2026-05-30T10:59:59Z\n");
  EXPECT_EQ(certificate_text(json(R"({"ocsp_responder":"http://o.test","staple":null})")),
            "responder  http://o.test\nstaple     none\n");
}

TEST(AdminTextTest, TheDocumentedEventsTheNewestLast) {
  EXPECT_EQ(events_text(documented("GET /events")),
            "2026-03-01T11:00:00Z  budget_low      letsencrypt                   20 orders left\n"
            "2026-03-01T12:00:00Z  renewal_failed  shop.example.com letsencrypt  dns: NXDOMAIN\n");
  EXPECT_EQ(events_text(json(R"({"events":[]})")), "No events.\n");
}

TEST(AdminTextTest, TheDocumentedAccounts) {
  EXPECT_EQ(accounts_text(documented("GET /accounts")),
            "letsencrypt: valid\n"
            "  account    https://acme-v02.api.letsencrypt.org/acme/acct/1\n"
            "  directory  https://acme-v02.api.letsencrypt.org/directory\n"
            "  contact    mailto:ops@example.com\n"
            "zerossl: asking https://acme.zerossl.com/v2/DV90: no connection\n"
            "  directory  https://acme.zerossl.com/v2/DV90\n");
  EXPECT_EQ(accounts_text(json(R"({"accounts":[{"issuer":"a","url":"","status":""},
      {"issuer":"b","url":"https://ca.test/1","status":"","deactivated":true,"eab_kid":"kid-1"}]})")),
            "a: not registered yet\n"
            "b: deactivated, by the operator\n"
            "  account           https://ca.test/1\n"
            "  external account  kid-1\n");
}

TEST(AdminTextTest, ADeedIsSaidBehindItsNameOrIssuer) {
  EXPECT_EQ(deed_text(json(R"({"name":"a.test","issuer":"ca","says":"Done."})")),
            "a.test\n  Done.\n");
  EXPECT_EQ(deed_text(json(R"({"issuer":"ca","says":"Done."})")), "ca\n  Done.\n");
}

TEST(AdminTextTest, FieldsOfAnotherShapeHarmNothing) {
  for (
      const char* text :
      {"{}",
       R"({"name":1,"verdict":[],"certificate":"x","failure":7,"budget":{},"in_flight":true})",
       R"({"issuers":[1,"x",{"limits":{}}],"own":3,"queue":[]})",
       R"({"queue":{"waiting":{"a":"b"},"oldest_seconds":[]}})",
       R"({"failure":{},"certificate":{},"verdict":{},"in_flight":{}})",
       R"({"renewal":{"window":7},"order":{},"events":[1,{}],"accounts":[2,{}],"pem":"\n","names":3})",
       R"({"renewal":3,"order":[],"events":{},"accounts":"x","pem":4})"}) {
    const JsonValue value = json(text);
    for (const auto show : {status_text, budget_text, explain_text, obtain_text, ask_text,
                            reload_text, deed_text, certificate_text, events_text, accounts_text}) {
      const std::string shown = show(value);
      EXPECT_TRUE(shown.empty() || shown.ends_with('\n')) << text;
    }
  }
}

TEST(AdminTextTest, StrangersBytesMoveNoCursor) {
  EXPECT_EQ(printable("a\x1b[2J\nb\"\\c\xff"), "a\\u001b[2J\\nb\"\\c\\u00ff");
  const std::string shown = explain_text(
      json(R"({"name":"a\u001b","says":"\u001b[31m","failure":{"class":"x\r","message":"\u009b\n"},
      "verdict":{"verdict":"\b","grant":{"\u0007":"\u001b"}},"budget":[{"kind":"\u001b","burst":1}]})"));
  for (const char c : shown) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
  EXPECT_EQ(shown.find("\xc2\x9b"), std::string::npos);
}

TEST(AdminTextTest, SpansHaveTheUnitThatSaysMost) {
  EXPECT_EQ(span_text(0), "0 s");
  EXPECT_EQ(span_text(119), "119 s");
  EXPECT_EQ(span_text(120), "2 min");
  EXPECT_EQ(span_text(7199), "120 min");
  EXPECT_EQ(span_text(7200), "2 h");
  EXPECT_EQ(span_text(172'800), "2 d");
}

TEST(AdminTextTest, TheDocumentedReload) {
  EXPECT_EQ(reload_text(documented("POST /config:reload")),
            "The configuration was read anew.\n"
            "took effect        routes, on_demand.allow\n"
            "needs restart      workers\n"
            "allowlist entries  1204\n");
}

}  // namespace
}  // namespace latchkey::edge
