// The scenarios of latchkey-bench but for requests, against the edge with its embedded authority.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/bench/bench_run.h"
#include "tests/support/ports.h"
#include "tests/support/site.h"
#include "tests/support/test_certificates.h"

namespace latchkey::test {
namespace {

using bench::Measurement;
using testing::HasSubstr;
using Words = std::vector<std::string>;

// Names under test are served, and those among them that begin with "denied" refused.
class LoadScenariosTest : public testing::Test {
 protected:
  LoadScenariosTest() : site(with_authority()) {
    site.edge.settings.allow = {};
    site.edge.settings.ask = site.ask_url();
    site.edge.settings.per_registered_domain = "null";
    started = site.edge.start();
  }
  void SetUp() override { ASSERT_TRUE(started); }

  static Site::Options with_authority() {
    Site::Options options;
    options.authority = true;
    return options;
  }

  Measurement run(Words words, const Words& more = {}, int status = 0) {
    words.insert(words.end(), {"--target", "127.0.0.1:" + std::to_string(site.https.number()),
                               "--server-pid", std::to_string(site.edge.pid())});
    words.insert(words.end(), more.begin(), more.end());
    return run_bench(std::move(words), status);
  }

  int64_t orders() {
    EXPECT_TRUE(site.edge.terminate());
    return site.edge.final_count("orders");
  }

  Site site;
  bool started = false;
};

TEST_F(LoadScenariosTest, FullHandshakesAreCountedAndNeverResumed) {
  const Measurement out = run({"handshake", "--sni", "a.test", "--count", "200"});
  EXPECT_EQ(out.scenario, "handshake");
  EXPECT_EQ(out.done, 200u);
  EXPECT_EQ(out.started_operations, 200u);
  EXPECT_EQ(out.failed, 0u);
  EXPECT_EQ(out.resumed, 0u);
  EXPECT_EQ(out.latency.at("handshake").count(), 200u);
  EXPECT_TRUE(out.errors.empty());
  ASSERT_TRUE(out.server);
  EXPECT_GT(out.server_cpu_us_per_operation(), 0);
  EXPECT_GT(out.server->rss_before, 1u << 20);
  EXPECT_EQ(site.ask.requests(), 1u);
}

TEST_F(LoadScenariosTest, ResumedHandshakesAreAllResumed) {
  for (const char* const version : {"1.3", "1.2"}) {
    const Measurement out = run({"handshake", "--resume", "--sni-range", "a%d.test", "--names", "5",
                                 "--count", "100", "--tls", version});
    EXPECT_EQ(out.done, 100u) << version;
    EXPECT_EQ(out.failed, 0u) << version;
    EXPECT_EQ(out.resumed, 100u) << version;
  }
}

TEST_F(LoadScenariosTest, EachWayToEndAConnectionCountsTheSame) {
  for (const char* const how : {"close-notify", "fin", "reset"}) {
    const Measurement out = run({"handshake", "--sni", "a.test", "--count", "50", "--end", how});
    EXPECT_EQ(out.done, 50u) << how;
    EXPECT_TRUE(out.errors.empty()) << how << ": " << out.errors.begin()->first;
  }
}

TEST_F(LoadScenariosTest, ThreadsAndSourcesShareTheWork) {
  const Measurement out = run({"handshake", "--sni-range", "a%d.test", "--names", "7", "--count",
                               "101", "--threads", "2", "--sources", "3"});
  EXPECT_EQ(out.done, 101u);
  EXPECT_EQ(out.failed, 0u);
}

TEST_F(LoadScenariosTest, AnOpenLoopBeginsAsManyAsWerePlanned) {
  const Measurement out = run({"handshake", "--sni", "a.test", "--rate", "200", "--arrivals",
                               "even", "--duration", "1", "--warmup", "0.2"});
  EXPECT_NEAR(static_cast<double>(out.started_operations), 200, 1);
  EXPECT_EQ(out.latency.at("handshake").count(), out.started_operations);
  EXPECT_EQ(out.failed, 0u);
  EXPECT_EQ(out.seconds, 1);
}

TEST_F(LoadScenariosTest, CertificatesAreVerifiedOnDemand) {
  std::ofstream(site.folder / "roots.pem") << site.roots();
  std::ofstream(site.folder / "others.pem") << TestCa("other").root_pem;
  const Words words = {"handshake", "--sni", "a.test", "--count", "5"};
  EXPECT_EQ(run(words, {"--ca", site.folder / "roots.pem"}).done, 5u);
  const Measurement others = run(words, {"--ca", site.folder / "others.pem"}, 1);
  EXPECT_EQ(others.failed, 5u);
  EXPECT_EQ(others.errors.begin()->first, "tls certificate_verify_failed");
}

TEST_F(LoadScenariosTest, FailuresHaveTheNamesOfTheirAlerts) {
  const Measurement out = run({"handshake", "--sni", "denied.test", "--count", "20"}, {}, 1);
  EXPECT_EQ(out.done, 0u);
  EXPECT_EQ(out.failed, 20u);
  EXPECT_EQ(out.errors, (std::map<std::string, uint64_t>{{"alert unrecognized_name", 20}}));
}

TEST_F(LoadScenariosTest, DeniedNamesAreDoneWhenTheAlertComes) {
  const Measurement out =
      run({"deny", "--sni-range", "denied%d.test", "--names", "30", "--repeat", "3"});
  EXPECT_EQ(out.done, 90u);
  EXPECT_EQ(out.failed, 0u);
  EXPECT_EQ(out.facts.at("alert unrecognized_name"), 90);
  EXPECT_EQ(out.latency.at("refusal").count(), 90u);
  for (const char* const round : {"round_1", "round_2", "round_3"}) {
    EXPECT_EQ(out.latency.at(round).count(), 30u) << round;
  }
  EXPECT_EQ(site.ask.requests(), 30u);  // in the first round
}

TEST_F(LoadScenariosTest, ANameThatIsServedIsNoDeniedOne) {
  const Measurement out = run({"deny", "--sni", "a.test", "--count", "3"}, {}, 1);
  EXPECT_EQ(out.done, 0u);
  EXPECT_EQ(out.errors.at("served, though expected to be refused"), 3u);
}

TEST_F(LoadScenariosTest, AHerdIsServedByOneQuestionAndOneOrder) {
  const Measurement out = run({"herd", "--count", "200"});
  EXPECT_EQ(out.done, 200u);
  EXPECT_EQ(out.failed, 0u);
  EXPECT_EQ(out.latency.at("handshake").count(), 200u);
  EXPECT_EQ(site.ask.requests(), 1u);
  EXPECT_EQ(orders(), 1);
}

TEST_F(LoadScenariosTest, OnboardedNamesAreNew) {
  EXPECT_EQ(run({"onboard", "--count", "20"}).done, 20u);
  EXPECT_EQ(run({"onboard", "--count", "10", "--rate", "200"}).done, 10u);
  EXPECT_EQ(orders(), 30);
}

TEST_F(LoadScenariosTest, AFloodIsCountedApart) {
  const Measurement out =
      run({"flood", "--sni-range", "a%d.test", "--names", "5", "--rate", "100", "--flood-rate",
           "100", "--flood-sni", "denied%s.test", "--duration", "1.2", "--warmup", "0.1"});
  EXPECT_EQ(out.failed, 0u);
  EXPECT_EQ(out.latency.at("handshake").count(), out.started_operations);
  EXPECT_LT(out.latency.at("handshake_first_second").count(), out.started_operations);
  EXPECT_GT(out.latency.at("handshake_first_second").count(), 0u);
  const auto refused = static_cast<uint64_t>(out.facts.at("unknown alert unrecognized_name"));
  EXPECT_GT(refused, 0u);
  EXPECT_EQ(out.latency.at("unknown").count(), refused);
}

TEST_F(LoadScenariosTest, AFloodMayComeAtOnce) {
  const Measurement out = run({"flood", "--sni", "a.test", "--rate", "50", "--flood-count", "30",
                               "--duration", "0.5", "--warmup", "0.1"});
  EXPECT_EQ(out.failed, 0u);
  EXPECT_EQ(out.facts.at("unknown served"), 30);
  EXPECT_EQ(out.latency.at("unknown").count(), 30u);
}

TEST_F(LoadScenariosTest, IdleConnectionsAreOpenAtTheEnd) {
  for (const Words& more : {Words{}, Words{"--request"}, Words{"--request", "--http", "2"}}) {
    Words words = {"idle", "--sni", "a.test", "--count", "100", "--settle", "0.1"};
    const Measurement out = run(std::move(words), more);
    EXPECT_EQ(out.done, 100u);
    EXPECT_EQ(out.facts.at("connections"), 100);
    EXPECT_EQ(out.facts.count("closed_while_idle"), 0u);
    EXPECT_GT(out.facts.at("memory_before"), 1e6);
    EXPECT_GT(out.facts.count("memory_per_connection"), 0u);
  }
}

TEST_F(LoadScenariosTest, ASoakTellsDrifts) {
  const Measurement out = run({"soak", "--sni-range", "a%d.test", "--names", "5", "--rate", "200",
                               "--duration", "1.5", "--warmup", "0.1", "--interval", "0.1"});
  EXPECT_EQ(out.failed, 0u) << out.errors.begin()->first;
  EXPECT_GT(out.latency.at("handshake").count(), 50u);
  EXPECT_GT(out.latency.at("request").count(), 50u);
  EXPECT_GE(out.series.size(), 14u);
  EXPECT_EQ(out.facts.count("drift_rss_percent"), 1u);
  EXPECT_EQ(out.facts.count("drift_p99_percent"), 1u);
}

TEST(LoadProgramTest, AServerThatIsNotThereRefuses) {
  const ReservedPort port;
  const Measurement out =
      run_bench({"handshake", "--target", "127.0.0.1:" + std::to_string(port.number()), "--sni",
                 "a.test", "--count", "5"},
                1);
  EXPECT_EQ(out.errors, (std::map<std::string, uint64_t>{{"connect refused", 5}}));
}

TEST(LoadProgramTest, AnotherMachineIsNoTargetUnlessItIsOnesOwn) {
  const std::string said = refusal_of_bench({"handshake", "--target", "192.0.2.1:443"});
  EXPECT_THAT(said, HasSubstr("192.0.2.1:443, which is not this machine"));
  EXPECT_THAT(said, HasSubstr("--i-own-this-target"));
}

TEST(LoadProgramTest, AWrongCommandLineIsExplained) {
  const Words target = {"--target", "127.0.0.1:1"};
  const auto refusal = [&](Words words) {
    words.insert(words.end(), target.begin(), target.end());
    return refusal_of_bench(std::move(words));
  };
  EXPECT_THAT(refusal({}), HasSubstr("expected a scenario (handshake, herd, "));
  EXPECT_THAT(refusal({"handshakes"}), HasSubstr("no scenario \"handshakes\"; there are: "));
  EXPECT_THAT(refusal_of_bench({"handshake"}),
              HasSubstr("--target: expected a server's HOST:PORT"));
  EXPECT_THAT(refusal_of_bench({"handshake", "--target", "localhost"}),
              HasSubstr("--target: expected HOST:PORT"));
  EXPECT_THAT(refusal_of_bench({"handshake", "--target", "localhost:0"}),
              HasSubstr("--target: expected a port from 1 to 65535"));
  EXPECT_THAT(refusal({"handshake", "--groups", "X25518"}), HasSubstr("--groups: expected names"));
  EXPECT_THAT(refusal({"handshake", "--ca", "/nowhere.pem"}),
              HasSubstr("--ca: expected a readable"));
  EXPECT_THAT(refusal({"handshake", "--resume", "--sni-random", "%s.test"}),
              HasSubstr("--resume: expected names that come again"));
  EXPECT_THAT(refusal({"handshake", "--threads", "4", "--count", "3"}),
              HasSubstr("--threads: expected at most as many as --count, got 4"));
  EXPECT_THAT(refusal({"deny"}), HasSubstr("deny: expected names that the server refuses"));
  EXPECT_THAT(refusal({"herd", "--rate", "5"}), HasSubstr("herd: expected --count"));
  EXPECT_THAT(refusal({"onboard", "--sni", "a.test"}), HasSubstr("onboard: expected many names"));
  EXPECT_THAT(refusal({"flood"}), HasSubstr("flood: expected names that the server has"));
  EXPECT_THAT(refusal({"flood", "--sni", "a.test", "--flood-count", "900000"}),
              HasSubstr("--flood-count: expected at most "));
  EXPECT_THAT(refusal({"flood", "--sni", "a.test", "--flood-count", "10", "--warmup", "6"}),
              HasSubstr("--warmup: expected at most 5 s with --flood-count"));
  EXPECT_THAT(refusal({"idle", "--count", "100000000"}), HasSubstr("--count: expected at most"));
  EXPECT_THAT(refusal({"soak", "--count", "5"}), HasSubstr("soak: expected --duration"));
}

}  // namespace
}  // namespace latchkey::test
