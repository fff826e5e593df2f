// Requests of latchkey-bench, against the edge, Debian's nginx and the floor.
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <optional>

#include "tests/bench/bench_run.h"
#include "tests/bench/bench_server.h"
#include "tests/support/nginx.h"
#include "tests/support/ports.h"
#include "tests/support/site.h"
#include "tests/support/test_certificates.h"

namespace latchkey::test {
namespace {

using bench::Measurement;
using Words = std::vector<std::string>;

Words words(Words first, const Words& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

// A server with a certificate for proxy.test and the origin behind it.
class ProxyScenarioTest : public testing::Test {
 protected:
  ProxyScenarioTest() {
    const CertificatePtr certificate = ca.issue({"proxy.test"});
    std::ofstream(folder / "key.pem") << private_key_pem(certificate->key());
    std::ofstream(folder / "chain.pem") << ca.issue_pem({"proxy.test"}, certificate->key());
    std::ofstream(folder / "roots.pem") << ca.root_pem;
  }

  // `requests` of them, without any failure.
  Measurement ask(uint16_t port, uint64_t requests, const Words& more) {
    const Measurement out = run_bench(
        words({"proxy", "--target", "127.0.0.1:" + std::to_string(port), "--sni", "proxy.test",
               "--ca", folder / "roots.pem", "--count", std::to_string(requests)},
              more));
    EXPECT_EQ(out.done, requests);
    EXPECT_EQ(out.failed, 0u) << (out.errors.empty() ? "" : out.errors.begin()->first);
    EXPECT_EQ(out.started_operations, requests);
    EXPECT_EQ(out.latency.at("request").count(), requests);
    EXPECT_EQ(out.latency.at("first_byte").count(), requests);
    return out;
  }

  // All that is to work with every server. /N is answered with N bytes.
  void ask_in_all_ways(uint16_t port) {
    for (const char* const http : {"1", "2"}) {
      SCOPED_TRACE(std::string("HTTP/") + http);
      for (const uint64_t size : {0u, 1024u, 65536u, 1u << 20}) {
        const std::string bytes = std::to_string(size);
        const uint64_t requests = size > 100'000 ? 20 : 200;
        const Measurement out = ask(
            port, requests,
            {"--http", http, "--path", "/" + bytes, "--expect-bytes", bytes, "--connections", "4"});
        EXPECT_GE(out.bytes_in, requests * size);
      }
      ask(port, 20,
          {"--http", http, "--path", "/3", "--expect-bytes", "3", "--close", "--connections", "4"});
      const Measurement posts = ask(port, 20,
                                    {"--http", http, "--path", "/3", "--expect-bytes", "3",
                                     "--body", "100000", "--connections", "2"});
      EXPECT_GE(posts.bytes_out, 20u * 100'000);
      ask(port, 100,
          {"--http", http, "--path", "/9", "--rate", "1000", "--connections", "2", "--threads",
           "2"});
    }
    ask(port, 500,
        {"--http", "2", "--streams", "16", "--connections", "2", "--path", "/1024",
         "--expect-bytes", "1024"});
  }

  BenchServer origin{{LATCHKEY_BENCH_ORIGIN, "--listen", "127.0.0.1:0"}};
  TestCa ca;
  TempFolder folder;
};

TEST_F(ProxyScenarioTest, TheEdgeAnswersAll) {
  Site site({.pebble = false, .authority = true});
  site.edge.settings.certificates =
      "[" + EdgeSettings::files(folder / "chain.pem", folder / "key.pem") + "]";
  site.edge.settings.upstream = "http://127.0.0.1:" + std::to_string(origin.port);
  ASSERT_TRUE(site.edge.start());
  ask_in_all_ways(site.https.number());
  const Measurement measured =
      ask(site.https.number(), 100,
          {"--path", "/1", "--server-pid", std::to_string(site.edge.process().pid())});
  EXPECT_GT(measured.server->cpu_seconds, 0);
}

TEST_F(ProxyScenarioTest, NginxAnswersAll) {
  const ReservedPort port(ReservedPort::Hold::kFree);
  const std::string listen = "127.0.0.1:" + std::to_string(port.number());
  const Nginx nginx(folder / "nginx",
                    "upstream origin { server 127.0.0.1:" + std::to_string(origin.port) +
                        "; keepalive 16; }\nserver { listen " + listen +
                        " ssl http2; ssl_protocols TLSv1.3; ssl_certificate " +
                        (folder / "chain.pem").string() + "; ssl_certificate_key " +
                        (folder / "key.pem").string() +
                        "; location / { proxy_pass http://origin; proxy_http_version 1.1;"
                        " proxy_set_header Connection \"\"; } }\n");
  ask_in_all_ways(port.number());
}

TEST_F(ProxyScenarioTest, DoesWithoutTlsToo) {
  const std::string target = "127.0.0.1:" + std::to_string(origin.port);
  for (const Words& more : {Words{}, Words{"--close"}, Words{"--rate", "1000"}}) {
    const Measurement out =
        run_bench(words({"proxy", "--plain", "--target", target, "--path", "/1048576",
                         "--expect-bytes", "1048576", "--count", "20", "--connections", "2"},
                        more));
    EXPECT_EQ(out.done, 20u);
    EXPECT_EQ(out.failed, 0u);
    EXPECT_GE(out.bytes_in, 20u << 20);
  }
  EXPECT_NE(refusal_of_bench({"handshake", "--plain", "--target", target}).find("--plain"),
            std::string::npos);
  EXPECT_NE(
      refusal_of_bench({"proxy", "--plain", "--http", "2", "--target", target}).find("--plain"),
      std::string::npos);
}

TEST_F(ProxyScenarioTest, CountsAnswersThatAreNotGoodByTheirKind) {
  BenchServer floor({LATCHKEY_BENCH_FLOOR, "--listen", "127.0.0.1:0", "--cert",
                     folder / "chain.pem", "--key", folder / "key.pem", "--body", "5"});
  const Words command{"proxy",
                      "--target",
                      "127.0.0.1:" + std::to_string(floor.port),
                      "--sni",
                      "proxy.test",
                      "--count",
                      "10",
                      "--connections",
                      "2",
                      "--expect-bytes",
                      "6"};
  const Measurement out = run_bench(command, 1);
  EXPECT_EQ(out.done, 0u);
  EXPECT_EQ(out.failed, 10u);
  EXPECT_EQ(out.errors, (std::map<std::string, uint64_t>{{"answer of 5 bytes", 10}}));
}

TEST_F(ProxyScenarioTest, AStatusThatIsNoSuccessIsAFailure) {
  Site site({.pebble = false, .authority = true});
  site.edge.settings.certificates =
      "[" + EdgeSettings::files(folder / "chain.pem", folder / "key.pem") + "]";
  site.edge.settings.upstream = "http://127.0.0.1:" + std::to_string(origin.port);
  ASSERT_TRUE(site.edge.start());
  for (const char* const http : {"1", "2"}) {
    const Measurement out =
        run_bench({"proxy", "--target", "127.0.0.1:" + std::to_string(site.https.number()), "--sni",
                   "proxy.test", "--count", "10", "--connections", "2", "--http", http, "--path",
                   "/no-number"},
                  1);
    EXPECT_EQ(out.errors, (std::map<std::string, uint64_t>{{"status 400", 10}}));
  }
}

TEST_F(ProxyScenarioTest, FollowsAServerThatEndsItsConnections) {
  BenchServer floor({LATCHKEY_BENCH_FLOOR, "--listen", "127.0.0.1:0", "--cert",
                     folder / "chain.pem", "--key", folder / "key.pem", "--body", "70000",
                     "--close"});
  const Measurement out = ask(floor.port, 20, {"--connections", "2", "--expect-bytes", "70000"});
  EXPECT_GE(out.facts.at("connections_opened_anew"), 16);
  ask(floor.port, 20, {"--connections", "2", "--close"});
}

TEST_F(ProxyScenarioTest, SaysWhyItCannotBegin) {
  const ReservedPort nobody;
  const Words command{"proxy",   "--target",   "127.0.0.1:" + std::to_string(nobody.number()),
                      "--sni",   "proxy.test", "--quiet",
                      "--count", "1"};
  const TempFolder own;
  const ProgramEnded ended = run_to_end({.args = words({LATCHKEY_BENCH_BINARY}, command),
                                         .env = {},
                                         .output = own / "out",
                                         .directory = {}},
                                        Millis(10'000));
  EXPECT_EQ(ended.code, 1);
  EXPECT_NE(ended.output.find("connect refused"), std::string::npos) << ended.output;

  const std::string target = "127.0.0.1:1";
  EXPECT_NE(refusal_of_bench({"proxy", "--target", target, "--streams", "2"}).find("--http 2"),
            std::string::npos);
  EXPECT_NE(refusal_of_bench({"proxy", "--target", target, "--http", "3"}).find("1 or 2"),
            std::string::npos);
}

}  // namespace
}  // namespace latchkey::test
