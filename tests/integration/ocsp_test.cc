// Staples for the certificates of a CA that has an OCSP responder, good and bad ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/ocsp_responder.h"
#include "tests/support/openssl_client.h"
#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

using std::chrono::seconds;

constexpr Millis kSoon{30'000};
constexpr int kKeyCompromise = 1, kSuperseded = 4, kPrivilegeWithdrawn = 9;

// Pebble names the responder in its leaves, and the responder has the key of its intermediate.
class OcspTest : public ::testing::Test {
 protected:
  OcspTest() : site_(with(port_)) { bring_up(); }

  static Site::Options with(const ReservedPort& port) {
    Site::Options options;
    options.ocsp_responder = "http://127.0.0.1:" + std::to_string(port.number()) + "/ocsp";
    return options;
  }
  void bring_up() {
    responder_.emplace(OcspCa(site_.pebble->intermediate(), site_.pebble->intermediate_key()),
                       port_.number());
  }
  Handshake visit(const std::string& name = "a.test") {
    Handshake handshake = site_.connect(name).handshake();
    EXPECT_TRUE(handshake.verified) << handshake.error;
    return handshake;
  }
  bool is_stapled(const std::string& name = "a.test") {
    return eventually([&] { return !visit(name).staple.empty(); }, kSoon);
  }
  // The first visit of a new name, and what it is served with from now on.
  Handshake obtain(const std::string& name = "a.test") {
    visit(name);
    EXPECT_TRUE(is_stapled(name)) << site_.edge.log();
    return visit(name);
  }
  std::string stored_staples() {
    const auto rows =
        StoreFile(site_.database()).query("SELECT count(*) FROM staple WHERE der IS NOT NULL");
    return rows.empty() ? "" : rows[0];
  }

  ReservedPort port_;
  Site site_;
  std::optional<OcspResponder> responder_;
};

TEST_F(OcspTest, AGoodAnswerIsStapledAndOpensslShowsIt) {
  ASSERT_TRUE(site_.edge.start());
  const Handshake before = visit();
  ASSERT_TRUE(is_stapled()) << site_.edge.log();
  EXPECT_EQ(visit().serial, before.serial);
  const ProgramEnded client =
      openssl_client(site_.folder.path(), site_.https.number(), "a.test", {"-status"});
  EXPECT_EQ(client.code, 0) << client.output;
  EXPECT_NE(client.output.find("OCSP Response Status: successful (0x0)"), std::string::npos)
      << client.output;
  EXPECT_NE(client.output.find("Cert Status: good"), std::string::npos) << client.output;

  // Who does not ask for one does not get one.
  TlsOptions plain = site_.tls("a.test");
  plain.want_staple = false;
  EXPECT_EQ(TlsClient(plain).handshake().staple, "");
  // Nobody asks twice for an answer that is good for an hour.
  std::this_thread::sleep_for(seconds(2));
  EXPECT_EQ(responder_->requests(), 1u);
}

TEST_F(OcspTest, ItIsRefreshedAtHalfOfItsLifeAndNobodyIsWithoutMeanwhile) {
  constexpr seconds kLife(16);
  responder_->set_life(kLife);
  ASSERT_TRUE(site_.edge.start());
  const std::string first = obtain().staple;
  const Stopwatch time;
  std::set<std::string> seen;
  size_t without = 0;
  while (time.elapsed() < 2 * kLife) {
    const Handshake handshake = visit();
    if (handshake.staple.empty()) ++without;
    seen.insert(handshake.staple);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  std::printf("%zu staples and %zu requests in %d s, each good for %d s\n", seen.size(),
              responder_->requests(), static_cast<int>(2 * kLife.count()),
              static_cast<int>(kLife.count()));
  EXPECT_EQ(without, 0u);
  EXPECT_GE(seen.size(), 3u);
  EXPECT_LE(responder_->requests(), 8u);
}

TEST_F(OcspTest, TheStapleIsThereAfterARestartWhileTheResponderIsDown) {
  ASSERT_TRUE(site_.edge.start());
  const std::string staple = obtain().staple;
  ASSERT_TRUE(site_.edge.terminate());
  responder_.reset();
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(visit().staple, staple);  // the very first
  EXPECT_EQ(visit().staple, staple);
}

TEST_F(OcspTest, AStapleThatExpiresIsDroppedAndDeleted) {
  responder_->set_life(seconds(12));
  ASSERT_TRUE(site_.edge.start());
  obtain();
  EXPECT_TRUE(eventually([&] { return stored_staples() == "1"; }));
  responder_->set_mode(OcspMode::kServerError);
  EXPECT_TRUE(eventually([&] { return visit().staple.empty(); }, kSoon));
  EXPECT_TRUE(eventually([&] { return stored_staples() == "0"; }, kSoon));
  ASSERT_TRUE(site_.edge.terminate());
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(visit().staple, "");
}

TEST_F(OcspTest, ARenewalIsSwappedInWithAStapleOfItsOwn) {
  ASSERT_TRUE(site_.edge.start());
  const Handshake first = obtain();
  responder_->set_delay(Millis(1500));
  site_.edge.admin("POST", "/names/a.test:renew");
  size_t without = 0;
  EXPECT_TRUE(eventually(
      [&] {
        const Handshake now = visit();
        if (now.staple.empty()) ++without;
        return now.serial != first.serial;
      },
      kSoon));
  EXPECT_EQ(without, 0u);
  EXPECT_FALSE(visit().staple.empty());
}

TEST_F(OcspTest, WhereItIsSwitchedOffNobodyIsAsked) {
  site_.edge.settings.ocsp = false;
  ASSERT_TRUE(site_.edge.start());
  visit();
  std::this_thread::sleep_for(seconds(2));
  EXPECT_EQ(visit().staple, "");
  EXPECT_EQ(responder_->requests(), 0u);
}

TEST(NoOcspTest, ACertificateThatNamesNoResponderHasNoStapleAndNoRow) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  EXPECT_TRUE(site.connect("a.test").handshake().verified);
  EXPECT_EQ(site.connect("a.test").handshake().staple, "");
  EXPECT_EQ(StoreFile(site.database()).query("SELECT count(*) FROM staple"),
            std::vector<std::string>{"0"});
}

// --- Responders that are no help.

struct Bad {
  const char* name;
  OcspMode mode;
};

class BadResponderTest : public OcspTest, public ::testing::WithParamInterface<Bad> {
 protected:
  double median_ms(size_t count) {
    std::vector<double> took;
    took.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      const auto start = std::chrono::steady_clock::now();
      visit();
      const std::chrono::duration<double, std::milli> span =
          std::chrono::steady_clock::now() - start;
      took.push_back(span.count());
    }
    std::nth_element(took.begin(), took.begin() + static_cast<long>(count / 2), took.end());
    return took[count / 2];
  }
};

TEST_P(BadResponderTest, NothingIsStapledAndHandshakesAreNotSlower) {
  constexpr size_t kHandshakes = 200;
  site_.edge.settings.ocsp = false;
  ASSERT_TRUE(site_.edge.start());
  visit();
  const double without = median_ms(kHandshakes);
  ASSERT_TRUE(site_.edge.terminate());

  responder_->set_mode(GetParam().mode);
  site_.edge.settings.ocsp = true;
  ASSERT_TRUE(site_.edge.start());
  visit();
  visit("new.test");  // the first visit does not wait for it either
  ASSERT_TRUE(eventually([&] { return responder_->requests() >= 2; }, kSoon));
  const double with = median_ms(kHandshakes);
  std::printf("median handshake %.3f ms, without the responder %.3f ms: ratio %.2f\n", with,
              without, with / without);
  EXPECT_LT(with, 5 * without + 20);
  EXPECT_EQ(visit().staple, "");
  EXPECT_EQ(visit("new.test").staple, "");
  EXPECT_EQ(stored_staples(), "0");
  EXPECT_LE(responder_->requests(), 6u);
}

INSTANTIATE_TEST_SUITE_P(
    With, BadResponderTest,
    ::testing::Values(Bad{"Hang", OcspMode::kHang}, Bad{"Reset", OcspMode::kReset},
                      Bad{"ServerError", OcspMode::kServerError},
                      Bad{"Malformed", OcspMode::kMalformed},
                      Bad{"Truncated", OcspMode::kTruncated},
                      Bad{"WrongSerial", OcspMode::kWrongSerial},
                      Bad{"Expired", OcspMode::kExpired}, Bad{"Future", OcspMode::kFuture},
                      Bad{"UnauthorizedDelegate", OcspMode::kUnauthorizedDelegate},
                      Bad{"Stranger", OcspMode::kStranger}, Bad{"Unknown", OcspMode::kUnknown},
                      Bad{"TryLater", OcspMode::kTryLater}),
    [](const auto& test) { return std::string(test.param.name); });

// --- Revoked.

TEST_F(OcspTest, ACompromisedKeyIsReplacedAtOnceAndNeverSeenAgain) {
  responder_->set_life(seconds(12));
  ASSERT_TRUE(site_.edge.start());
  const Handshake first = obtain();
  responder_->set_reason(kKeyCompromise);
  responder_->set_mode(first.serial, OcspMode::kRevoked);
  Handshake second;
  ASSERT_TRUE(eventually(
      [&] {
        second = visit();
        return second.serial != first.serial;
      },
      kSoon))
      << site_.edge.log();
  EXPECT_NE(second.public_key, first.public_key);
  EXPECT_TRUE(is_stapled());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(visit().serial, second.serial);
  EXPECT_EQ(site_.pebble->orders(), 2u);
  EXPECT_TRUE(site_.edge.logged("keyCompromise", "a.test"));

  ASSERT_TRUE(site_.edge.terminate());
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(visit().serial, second.serial);
  EXPECT_EQ(site_.pebble->orders(), 2u);
}

TEST_F(OcspTest, OneThatWasRevokedForAnotherReasonIsServedUntilItHasASuccessor) {
  responder_->set_life(seconds(12));
  ASSERT_TRUE(site_.edge.start());
  const Handshake first = obtain();
  responder_->set_reason(kSuperseded);
  responder_->set_mode(first.serial, OcspMode::kRevoked);
  Handshake second;
  ASSERT_TRUE(eventually(
      [&] {
        second = visit();  // each of them is served
        return second.serial != first.serial;
      },
      kSoon))
      << site_.edge.log();
  EXPECT_NE(second.public_key, first.public_key);
  std::this_thread::sleep_for(seconds(2));
  EXPECT_EQ(visit().serial, second.serial);
  EXPECT_EQ(site_.pebble->orders(), 2u);
}

// A responder that has lost its mind, or a CA that has: the first is replaced at once, no second.
class RevokedAgainTest : public OcspTest, public ::testing::WithParamInterface<int> {};

TEST_P(RevokedAgainTest, ACaThatRevokesWhateverItIssuesIsNotAskedForOneAfterTheOther) {
  responder_->set_reason(GetParam());
  responder_->set_mode(OcspMode::kRevoked);
  ASSERT_TRUE(site_.edge.start());
  visit();
  const Stopwatch time;
  while (time.elapsed() < seconds(10)) {
    site_.connect("a.test");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  std::printf("%zu orders in ten seconds\n", site_.pebble->orders());
  EXPECT_GE(site_.pebble->orders(), 2u);
  EXPECT_LE(site_.pebble->orders(), 3u);
}

INSTANTIATE_TEST_SUITE_P(For, RevokedAgainTest, ::testing::Values(kKeyCompromise, kSuperseded),
                         [](const auto& test) {
                           return test.param == kSuperseded ? "Superseded" : "KeyCompromise";
                         });

TEST(RevokedNameTest, WhereThePrivilegeWasWithdrawnThePolicyIsAskedFirst) {
  const ReservedPort port;
  Site::Options options;
  options.ocsp_responder = "http://127.0.0.1:" + std::to_string(port.number()) + "/ocsp";
  AskSite site(options);
  OcspResponder responder(OcspCa(site.pebble->intermediate(), site.pebble->intermediate_key()),
                          port.number());
  responder.set_life(seconds(12));
  ASSERT_TRUE(site.edge.start());
  const Handshake first = site.connect("a.test").handshake();
  ASSERT_TRUE(first.verified) << first.error;
  ASSERT_TRUE(eventually([&] { return !site.connect("a.test").handshake().staple.empty(); }));
  const size_t asked = site.judge.asked("a.test");
  site.judge.judge_by(AskServer::deny_all());
  responder.set_reason(kPrivilegeWithdrawn);
  responder.set_mode(first.serial, OcspMode::kRevoked);
  EXPECT_TRUE(eventually([&] { return site.judge.asked("a.test") > asked; }, kSoon))
      << site.edge.log();
  std::this_thread::sleep_for(seconds(2));
  EXPECT_EQ(site.pebble->orders(), 1u);
  EXPECT_TRUE(site.edge.logged("privilegeWithdrawn", "a.test"));
}

// --- OpenSSL's own CA and responder, for a certificate that the operator has configured.

class RealResponderTest : public ::testing::Test {
 protected:
  RealResponderTest() : site_(without_pebble()) {
    const std::string url = "http://127.0.0.1:" + std::to_string(port_.number());
    write_text(file("leaf.ext"), "subjectAltName=DNS:a.test\nauthorityInfoAccess=OCSP;URI:" + url +
                                     "\nbasicConstraints=CA:FALSE\n");
    run({"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
         "-days", "30", "-subj", "/CN=OpenSSL Root"});
    run({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
         "leaf.key", "-out", "leaf.csr", "-subj", "/CN=a.test"});
    run({"x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial",
         "0x1234ABCD", "-days", "20", "-extfile", "leaf.ext", "-out", "leaf.pem"});
    write_text(file("chain.pem"), read_text(file("leaf.pem")) + read_text(file("ca.pem")));
    site_.edge.settings.directory = "http://127.0.0.1:1/directory";
    site_.edge.settings.certificates =
        "[" + EdgeSettings::files(file("chain.pem"), file("leaf.key")) + "]";
  }
  std::filesystem::path file(const char* name) { return folder_ / name; }
  void run(const std::vector<std::string>& arguments) {
    const ProgramEnded ended = openssl(folder_.path(), arguments);
    ASSERT_EQ(ended.code, 0) << ended.output;
  }
  // `status`: "V" or "R".
  Process respond(const std::string& status) {
    const bool revoked = status == "R";
    write_text(file("index.txt"), status + "\t491231235959Z\t" +
                                      (revoked ? "260101000000Z,superseded" : "") +
                                      "\t1234ABCD\tunknown\t/CN=a.test\n");
    Process::Options options;
    options.args = {"openssl",  "ocsp",      "-port", std::to_string(port_.number()),
                    "-index",   "index.txt", "-CA",   "ca.pem",
                    "-rsigner", "ca.pem",    "-rkey", "ca.key",
                    "-nmin",    "5",         "-text"};
    options.output = file("ocsp.log");
    options.directory = folder_.path();
    return Process(std::move(options));
  }
  Handshake visit() {
    TlsOptions client = site_.tls("a.test");
    client.roots = read_text(file("ca.pem"));
    return TlsClient(client).handshake();
  }

  TempFolder folder_;
  ReservedPort port_{ReservedPort::Hold::kFree};
  Site site_;
};

TEST_F(RealResponderTest, ItsAnswerIsStapledAndOpensslVerifiesIt) {
  Process responder = respond("V");
  ASSERT_TRUE(responder.wait_for_line("waiting for OCSP client connections", kSoon))
      << responder.output();
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(eventually([&] { return !visit().staple.empty(); }, kSoon))
      << site_.edge.log() << responder.output();
  write_text(file("staple.der"), visit().staple);
  const ProgramEnded checked =
      openssl(folder_.path(), {"ocsp", "-respin", "staple.der", "-issuer", "ca.pem", "-cert",
                               "leaf.pem", "-CAfile", "ca.pem", "-no_nonce"});
  EXPECT_EQ(checked.code, 0) << checked.output;
  EXPECT_NE(checked.output.find("Response verify OK"), std::string::npos) << checked.output;
  EXPECT_NE(checked.output.find("leaf.pem: good"), std::string::npos) << checked.output;
  const ProgramEnded client =
      openssl_client(folder_.path(), site_.https.number(), "a.test", {"-status"});
  EXPECT_NE(client.output.find("Cert Status: good"), std::string::npos) << client.output;
}

TEST_F(RealResponderTest, WhatTheOperatorHasConfiguredIsServedAlsoWhenItIsRevoked) {
  Process responder = respond("R");
  ASSERT_TRUE(responder.wait_for_line("waiting for OCSP client connections", kSoon))
      << responder.output();
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(site_.edge.wait_for("configured_certificate_revoked", 1, kSoon))
      << site_.edge.log() << responder.output();
  EXPECT_TRUE(visit().verified);
  EXPECT_EQ(visit().staple, "");
}

}  // namespace
}  // namespace latchkey::test
