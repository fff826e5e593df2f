// Fifty ways in which a CA can fail those who wait for it: what it costs, what is said, and that
// it is over when the CA is well again.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <thread>

#include "tests/support/ask_server.h"
#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using std::chrono::hours;

constexpr Millis kParkTimeout{5000};
constexpr size_t kMaxRequests = 20;              // while a visitor waits
constexpr size_t kMaxGrowth = size_t{16} << 20;  // of the process, for all faults of a group

struct Fault {
  std::string what;
  std::string path{};  // of the resource that answers so
  Response response{};
  ScriptedCa::Sign sign{};  // or: what certificates are made of
  ScriptedCa::Stall stall = ScriptedCa::Stall::kNone;
};

using Faults = std::vector<Fault>;

const char* const kResources[] = {"/directory", "/newNonce",      "/newAccount",
                                  "/newOrder",  "/authorization", "/challenge",
                                  "/order",     "/finalize",      "/certificate"};

Response body(std::string text, int status = 200) {
  Response response;
  response.status = status;
  response.body = std::move(text);
  response.headers = {{"Replay-Nonce", "some"}, {"Content-Type", "application/json"}};
  return response;
}

Faults at_each_resource(const std::string& what, const Response& response) {
  Faults faults;
  for (const char* path : kResources) faults.push_back({what + " at " + path, path, response});
  return faults;
}

Faults hangs() {
  Response hang;
  hang.hang = true;
  return at_each_resource("a hang", hang);
}

Faults closes() {
  Response close;
  close.cut_after = 0;
  return at_each_resource("a closed connection", close);
}

Faults truncations() {
  Response cut = body(R"({"status":"valid","newNonce":")" + std::string(1000, 'x'));
  cut.cut_after = 400;
  Faults faults = at_each_resource("a truncated answer", cut);
  faults[1].response.cut_after = 20;  // of a HEAD there is no body
  return faults;
}

Faults lies() {
  const auto own = [](const TestCa& ca, std::string_view csr, const TestCa::Names& names) {
    return ca.issue_pem(names, TestCa::public_key_of_csr(csr));
  };
  const auto dated = [](hours from, hours to) {
    return [from, to](const TestCa& ca, std::string_view csr) {
      return ca.issue_for_csr(csr, TestCa::now() + from, TestCa::now() + to);
    };
  };
  const auto text = [](std::string pem) {
    return [pem](const TestCa&, std::string_view) { return pem; };
  };
  const auto add = [](const std::string& what, ScriptedCa::Sign sign) {
    return Fault{.what = what, .path = {}, .response = {}, .sign = std::move(sign)};
  };
  return {
      add("another name",
          [own](const TestCa& ca, std::string_view csr) { return own(ca, csr, {"other.test"}); }),
      add("a name too many",
          [own](const TestCa& ca, std::string_view csr) {
            return own(ca, csr, {TestCa::names_of_csr(csr)[0], "bank.test"});
          }),
      add("another key",
          [](const TestCa& ca, std::string_view csr) {
            return ca.issue_pem(TestCa::names_of_csr(csr), generate_p256_key());
          }),
      add("an expired one", dated(-hours(48), -hours(24))),
      add("one for the future", dated(hours(24), hours(48))),
      add("an inverted life", dated(hours(48), -hours(48))),
      add("an intermediate only",
          [](const TestCa& ca, std::string_view) { return ca.intermediate_pem; }),
      add("a chain in the wrong order",
          [](const TestCa& ca, std::string_view csr) {
            const std::string chain = ca.issue_for_csr(csr);
            return ca.intermediate_pem + chain.substr(0, chain.find("-----BEGIN", 1));
          }),
      add("somebody else's intermediate",
          [](const TestCa& ca, std::string_view csr) {
            const std::string chain = ca.issue_for_csr(csr);
            return chain.substr(0, chain.find("-----BEGIN", 1)) +
                   TestCa("Stranger").intermediate_pem;
          }),
      add("junk PEM", text("-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n"
                           "-----END CERTIFICATE-----\n")),
      add("no PEM", text("certificate: yes")),
      add("nothing", text("")),
  };
}

Faults bodies() {
  Response huge = body("");
  huge.headers.emplace_back("Content-Length", std::to_string(400u << 20));
  huge.endless = true;
  Response endless = body("");
  endless.endless = true;
  const std::string nulls =
      R"({"newNonce":null,"newAccount":null,"newOrder":null,"status":null,"authorizations":null,)"
      R"("challenges":null,"finalize":null,"certificate":null,"identifiers":null})";
  return {{"400 MiB at /directory", "/directory", huge},
          {"400 MiB at /order", "/order", huge},
          {"400 MiB at /certificate", "/certificate", huge},
          {"an endless body at /newOrder", "/newOrder", endless},
          {"an endless body at /authorization", "/authorization", endless},
          {"garbage at /directory", "/directory", body("}{ \xff\xfe")},
          {"garbage at /newOrder", "/newOrder", body("}{ \xff\xfe", 201)},
          {"garbage at /order", "/order", body("}{ \xff\xfe")},
          {"nulls at /directory", "/directory", body(nulls)},
          {"nulls at /newOrder", "/newOrder", body(nulls, 201)},
          {"nulls at /authorization", "/authorization", body(nulls)},
          {"nulls at /order", "/order", body(nulls)},
          {"an empty 200 at /newOrder", "/newOrder", body("")},
          {"an empty 200 at /newAccount", "/newAccount", body("")},
          {"an empty 200 at /certificate", "/certificate", body("")},
          {"deep nesting at /order", "/order", body(std::string(100'000, '['))}};
}

// `elsewhere`: a URL that nobody may ask for.
Faults redirects(const std::string& elsewhere) {
  const auto to = [](const std::string& location) {
    Response response = body("", 302);
    response.headers.emplace_back("Location", location);
    return response;
  };
  const std::string urls = R"({"status":"valid","newNonce":"URL","newAccount":"URL",)"
                           R"("newOrder":"URL","authorizations":["URL"],"finalize":"URL",)"
                           R"("certificate":"URL","identifiers":[]})";
  const auto naming = [urls](const std::string& url) {
    std::string text = urls;
    for (size_t at; (at = text.find("URL")) != std::string::npos;) text.replace(at, 3, url);
    return body(text);
  };
  return {{"a redirect at /directory", "/directory", to(elsewhere)},
          {"a redirect at /newOrder", "/newOrder", to(elsewhere)},
          {"a redirect at /order", "/order", to(elsewhere)},
          {"a redirect at /certificate", "/certificate", to(elsewhere)},
          {"a redirect to a file", "/certificate", to("file:///etc/passwd")},
          {"files in the directory", "/directory", naming("file:///etc/passwd")},
          {"gopher in the order", "/order", naming("gopher://127.0.0.1:1/x")},
          {"a stranger's address in the order", "/order", naming("http://192.0.2.1/x")}};
}

Faults stalls() {
  Response bad_nonce = ScriptedCa::problem(400, "badNonce", "not that one");
  Fault pending{.what = "pending for ever"}, processing{.what = "processing for ever"};
  pending.stall = ScriptedCa::Stall::kPending;
  processing.stall = ScriptedCa::Stall::kProcessing;
  Faults faults{
      pending,
      processing,
      {"no challenges", "/authorization",
       body(R"({"status":"pending","identifier":{"type":"dns","value":"x"},"challenges":[]})")},
      {"an invalid order", "/order", body(R"({"status":"invalid"})")},
      {"a status that is none", "/order", body(R"({"status":"perhaps"})")}};
  for (const char* path : {"/newAccount", "/newOrder", "/finalize"}) {
    faults.push_back({std::string("badNonce for ever at ") + path, path, bad_nonce});
  }
  return faults;
}

Response busy(int status, const char* retry_after) {
  Response response = ScriptedCa::problem(status, "rateLimited", "too many requests");
  if (retry_after != nullptr) response.headers.emplace_back("Retry-After", retry_after);
  return response;
}

Faults throttles() {
  Response no_nonce = busy(503, "2");
  std::erase_if(no_nonce.headers, [](const auto& field) { return field.first == "Replay-Nonce"; });
  return {{"429 and 2 s at /newOrder", "/newOrder", busy(429, "2")},
          {"429 and 2 s at /finalize", "/finalize", busy(429, "2")},
          {"503 at /directory", "/directory", busy(503, nullptr)},
          {"503 and 2 s at /newNonce", "/newNonce", no_nonce},
          {"503 at /order", "/order", busy(503, nullptr)},
          {"503 and 2 s at /order", "/order", busy(503, "2")},
          {"500 at /newOrder", "/newOrder", body("oops", 500)},
          {"500 at /certificate", "/certificate", body("oops", 500)}};
}

// A CA for each fault and one without; which name goes where, the ask endpoint says.
class HostileCaTest : public ::testing::Test {
 protected:
  HostileCaTest() : site_(without_pebble()) {}

  void start(Faults faults) {
    faults_ = std::move(faults);
    ScriptedCa::Options with_challenges;
    with_challenges.challenges = true;
    good_ = std::make_unique<ScriptedCa>(with_challenges);
    std::string issuers;
    for (size_t i = 0; i < faults_.size(); ++i) {
      cas_.push_back(std::make_unique<ScriptedCa>(with_challenges));
      if (faults_[i].sign) cas_[i]->sign_by(faults_[i].sign);
      cas_[i]->stall(faults_[i].stall);
      if (!faults_[i].path.empty()) cas_[i]->misbehave(faults_[i].path, faults_[i].response);
      issuers += EdgeSettings::issuer("ca" + std::to_string(i), cas_[i]->directory()) + ",";
    }
    EdgeSettings& settings = site_.edge.settings;
    settings.issuers = issuers;
    settings.directory = good_->directory();
    settings.allow = {};
    settings.ask = judge_.url();
    settings.park_timeout = std::to_string(kParkTimeout.count()) + "ms";
    settings.max_orders = 40;
    settings.log_level = "info";
    judge_.judge_by([](const std::string& domain) {
      // "n7.test" goes to "ca7", all else to "test".
      Response response;
      const std::string issuer =
          domain[0] == 'n' ? "ca" + domain.substr(1, domain.find('.') - 1) : "test";
      response.body = JsonObject().text("issuer", issuer).str();
      return response;
    });
    ASSERT_TRUE(site_.edge.start());
    const Handshake cached = visit_good();
    ASSERT_TRUE(cached.verified) << cached.error;
  }

  static std::string name(size_t i) { return "n" + std::to_string(i) + ".test"; }
  Handshake visit_good() {
    TlsOptions client = site_.tls("good.test");
    client.roots = good_->roots();
    return TlsClient(client).handshake();
  }
  bool is_served(size_t i) {
    TlsOptions client = site_.tls(name(i));
    client.roots = cas_[i]->roots();
    return TlsClient(client).handshake().verified;
  }
  size_t requests(size_t i) const { return cas_[i]->server().requests(); }

  // A visitor for each name, all at once, while the cached name goes on being visited.
  void expect_bounded_cost() {
    std::vector<size_t> before;
    for (size_t i = 0; i < faults_.size(); ++i) before.push_back(requests(i));
    const size_t resident = site_.edge.process().resident_bytes();
    std::vector<size_t> asked(faults_.size());
    std::atomic<bool> over = false;
    auto others = std::async(std::launch::async, [&] {
      while (!over) {
        const Handshake cached = visit_good();
        EXPECT_TRUE(cached.verified) << cached.error;
        EXPECT_LT(cached.took, Millis(kSanitized ? 3000 : 1000));
        std::this_thread::sleep_for(Millis(50));
      }
    });
    const auto handshakes = site_.swarm(faults_.size(), name);
    for (size_t i = 0; i < faults_.size(); ++i) asked[i] = requests(i) - before[i];
    over = true;
    others.get();

    size_t peak = 0;
    for (size_t i = 0; i < faults_.size(); ++i) {
      const auto& what = faults_[i].what;
      std::printf("%-40s %5d ms, %2zu requests\n", what.c_str(),
                  static_cast<int>(handshakes[i].took.count()), asked[i]);
      EXPECT_FALSE(handshakes[i].done) << what;
      EXPECT_EQ(handshakes[i].alert, alert::kInternalError) << what << handshakes[i].error;
      EXPECT_LT(handshakes[i].took, kParkTimeout + Millis(1500)) << what;
      EXPECT_LE(asked[i], kMaxRequests) << what;
    }
    peak = site_.edge.process().peak_resident_bytes();
    std::printf("resident: %zu KiB more\n", (peak - std::min(peak, resident)) >> 10);
    if (!kSanitized) {
      EXPECT_LT(peak, resident + kMaxGrowth);
    }
  }

  // `help`: the operator says "try again", over and over.
  void expect_healing(bool help, Millis limit) {
    for (const auto& ca : cas_) ca->behave();
    const Stopwatch time;
    std::vector<size_t> ill;
    for (size_t i = 0; i < faults_.size(); ++i) ill.push_back(i);
    while (!ill.empty() && time.elapsed() < limit) {
      if (help) {
        for (const size_t i : ill) site_.edge.admin("POST", "/names/" + name(i) + ":retry");
      }
      std::this_thread::sleep_for(Millis(500));
      std::erase_if(ill, [&](size_t i) {
        if (!is_served(i)) return false;
        std::printf("%-40s healed after %d ms\n", faults_[i].what.c_str(),
                    static_cast<int>(time.elapsed().count()));
        return true;
      });
    }
    for (const size_t i : ill) {
      ADD_FAILURE() << faults_[i].what << ": not served again\n"
                    << site_.edge.admin("GET", "/names/" + name(i)).body;
    }
  }

  // One line about each name's failure, which says whose it was.
  void expect_clear_lines() {
    for (size_t i = 0; i < faults_.size(); ++i) {
      const auto lines = site_.edge.events("issuance_failed");
      size_t about = 0;
      for (const JsonValue& line : lines) {
        if (line.text_of("name") != name(i)) continue;
        if (++about == 1) {
          std::printf("%s: %s\n", faults_[i].what.c_str(),
                      std::string(line.text_of("message")).c_str());
        }
      }
      EXPECT_GE(about, 1u) << faults_[i].what;
    }
  }

  void go_through(Faults faults) {
    ASSERT_NO_FATAL_FAILURE(start(std::move(faults)));
    expect_bounded_cost();
    // What hangs is given up after ten seconds, or a minute where there is more than one try.
    expect_healing(true, Millis(60'000));
    for (const auto& ca : cas_) EXPECT_EQ(ca->server().requests("/elsewhere"), 0u);
    EXPECT_TRUE(site_.edge.terminate());
  }

  Faults faults_;
  AskServer judge_;
  std::unique_ptr<ScriptedCa> good_;
  std::vector<std::unique_ptr<ScriptedCa>> cas_;  // by fault
  Site site_;
};

TEST_F(HostileCaTest, ThatHangs) {
  go_through(hangs());
}
TEST_F(HostileCaTest, ThatCloses) {
  go_through(closes());
}
TEST_F(HostileCaTest, ThatCutsOff) {
  go_through(truncations());
}
TEST_F(HostileCaTest, ThatLies) {
  go_through(lies());
}
TEST_F(HostileCaTest, ThatTalksNonsense) {
  go_through(bodies());
}
TEST_F(HostileCaTest, ThatStalls) {
  go_through(stalls());
}
TEST_F(HostileCaTest, ThatThrottles) {
  go_through(throttles());
}

TEST_F(HostileCaTest, ThatSendsUsElsewhere) {
  HttpServer elsewhere([](const Request&) { return Response(); });
  go_through(redirects(elsewhere.url("/elsewhere")));
  EXPECT_EQ(elsewhere.requests(), 0u);
}

// Nobody helps: the ledger's first step is a minute, a fifth more or less.
TEST_F(HostileCaTest, IsForgivenByItself) {
  Response hang;
  hang.hang = true;
  Response close;
  close.cut_after = 0;
  Faults faults = lies();
  faults.resize(6);
  faults.push_back({"a hang at /newOrder", "/newOrder", hang});
  faults.push_back({"a hang at /finalize", "/finalize", hang});
  faults.push_back({"a closed connection at /newOrder", "/newOrder", close});
  faults.push_back({"a closed connection at /directory", "/directory", close});
  faults.push_back({"429 at /newOrder", "/newOrder", busy(429, nullptr)});
  faults.push_back({"429 and words at /newOrder", "/newOrder", busy(429, "in a while")});
  faults.push_back({"429 and a negative time", "/newOrder", busy(429, "-5")});
  faults.push_back({"500 at /certificate", "/certificate", body("oops", 500)});
  ASSERT_NO_FATAL_FAILURE(start(std::move(faults)));
  expect_bounded_cost();
  std::this_thread::sleep_for(Millis(6000));  // what hangs is given up
  expect_clear_lines();
  expect_healing(false, Millis(85'000));
}

}  // namespace
}  // namespace latchkey::test
