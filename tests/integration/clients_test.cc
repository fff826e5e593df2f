// The clients that people use, through the edge to the servers that they use: curl, h2load, Node's
// HTTP/2 and Chromium; nginx and Node.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/base64.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "tests/support/nginx.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;

class ClientsTest : public ::testing::Test {
 protected:
  // A Node server; "" when it does not start.
  std::string start_node() {
    Process::Options options;
    options.args = {"node", LATCHKEY_SOURCE_DIR "/tests/support/node/server.js"};
    options.output = site_.folder / "node.log";
    node_.emplace(std::move(options));
    const auto line = node_->wait_for_line("port ", Millis(20'000));
    return line ? "http://127.0.0.1:" + line->substr(5) : "";
  }
  // The same by HTTP/2 without TLS.
  std::string start_node_http2() {
    if (start_node().empty()) return "";
    const auto line = node_->wait_for_line("h2c ", Millis(1'000));
    return line ? "h2c://127.0.0.1:" + line->substr(4) : "";
  }
  std::string start_nginx() {
    const ReservedPort port(ReservedPort::Hold::kFree);
    const auto root = site_.folder / "pages";
    std::filesystem::create_directories(root);
    for (size_t i = 0; large_.size() < 8 << 20; ++i) large_ += std::to_string(i) + "\n";
    write_text(root / "page", "a page of nginx");
    write_text(root / "large", large_);
    nginx_.emplace(site_.folder / "nginx",
                   "server { listen 127.0.0.1:" + std::to_string(port.number()) + "; root " +
                       root.string() + "; }\n");
    return "http://127.0.0.1:" + std::to_string(port.number());
  }
  void start_edge(const std::string& upstream) {
    ASSERT_NE(upstream, "");
    site_.edge.settings.upstream = upstream;
    ASSERT_TRUE(site_.edge.start());
    write_text(site_.folder / "roots.pem", site_.pebble->roots());
  }

  std::string port() const { return std::to_string(site_.https.number()); }
  std::string url(const std::string& path) const { return "https://a.test:" + port() + path; }
  ProgramEnded run(std::vector<std::string> args) {
    Process::Options options;
    options.args = std::move(args);
    options.output = site_.folder / "output";
    options.directory = site_.folder.path();
    return run_to_end(std::move(options));
  }
  ProgramEnded curl(std::vector<std::string> args) {
    std::vector<std::string> all{"curl",      "-sS",       "--cacert",
                                 "roots.pem", "--resolve", "a.test:" + port() + ":127.0.0.1"};
    all.insert(all.end(), args.begin(), args.end());
    return run(std::move(all));
  }
  void expect_h2load() {
    const ProgramEnded ended = run({"h2load", "-n", "3000", "-c", "10", "-m", "32", "--connect-to",
                                    "127.0.0.1:" + port(), url("/page")});
    EXPECT_EQ(ended.code, 0) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("Application protocol: h2"));
    EXPECT_THAT(ended.output, HasSubstr("3000 succeeded, 0 failed, 0 errored, 0 timeout"));
  }
  ProgramEnded node_client(const std::string& what) {
    return run(
        {"node", LATCHKEY_SOURCE_DIR "/tests/support/node/client.js", port(), "roots.pem", what});
  }
  // By what Chromium knows a key that it is to trust: the hash of it.
  std::string key_hash() {
    const std::string key = site_.connect("a.test").handshake().public_key;
    std::array<uint8_t, SHA256_DIGEST_LENGTH> hash{};
    SHA256(reinterpret_cast<const uint8_t*>(key.data()), key.size(), hash.data());
    std::array<uint8_t, 45> text{};
    const size_t size = EVP_EncodeBlock(text.data(), hash.data(), hash.size());
    return {reinterpret_cast<const char*>(text.data()), size};
  }

  Site site_;
  std::string large_;
  std::optional<Nginx> nginx_;
  std::optional<Process> node_;
};

TEST_F(ClientsTest, CurlAndH2loadGetPagesOfNginx) {
  start_edge(start_nginx());
  for (const char* version : {"--http1.1", "--http2"}) {
    SCOPED_TRACE(version);
    EXPECT_EQ(curl({version, url("/page")}).output, "a page of nginx");
    EXPECT_EQ(curl({version, "-o", "got", "-w", "%{http_code}", url("/large")}).output, "200");
    EXPECT_TRUE(read_text(site_.folder / "got") == large_);
    EXPECT_EQ(curl({version, "-r", "5-9", url("/large")}).output, large_.substr(5, 5));
    EXPECT_THAT(curl({version, "-I", url("/large")}).output,
                HasSubstr(std::to_string(large_.size())));
    EXPECT_EQ(curl({version, "-o", "/dev/null", "-w", "%{http_code}", url("/missing")}).output,
              "404");
  }
  expect_h2load();
}

TEST_F(ClientsTest, CurlAndH2loadGetPagesOfNode) {
  start_edge(start_node());
  std::string body;
  for (size_t i = 0; body.size() < 8 << 20; ++i) body += std::to_string(i) + "\n";
  write_text(site_.folder / "up", body);
  for (const char* version : {"--http1.1", "--http2"}) {
    SCOPED_TRACE(version);
    EXPECT_EQ(curl({version, url("/x?y")}).output, "page /x?y");
    const auto ended = curl({version, "--data-binary", "@up", "-o", "got", url("/echo")});
    EXPECT_EQ(ended.code, 0) << ended.output;
    EXPECT_TRUE(read_text(site_.folder / "got") == body);
  }
  expect_h2load();
}

TEST_F(ClientsTest, AnExchangeInTheShapeOfGrpcGoesBothWaysAtOnceAndEndsInTrailers) {
  start_edge(start_node());
  const auto ended = node_client("grpc");
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("status 200 application/grpc, 100031 bytes, grpc-status 0, "
                                      "100031 bytes"));
}

TEST_F(ClientsTest, BothGoByHttp2ToAnUpstreamThatSpeaksIt) {
  start_edge(start_node_http2());
  std::string body;
  for (size_t i = 0; body.size() < 8 << 20; ++i) body += std::to_string(i) + "\n";
  write_text(site_.folder / "up", body);
  for (const char* version : {"--http1.1", "--http2"}) {
    SCOPED_TRACE(version);
    EXPECT_EQ(curl({version, url("/x?y")}).output, "page /x?y");
    const auto ended = curl({version, "--data-binary", "@up", "-o", "got", url("/echo")});
    EXPECT_EQ(ended.code, 0) << ended.output;
    EXPECT_TRUE(read_text(site_.folder / "got") == body);
  }
  expect_h2load();
  const auto ended = node_client("grpc");
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("status 200 application/grpc, 100031 bytes, grpc-status 0, "
                                      "100031 bytes"));
}

TEST_F(ClientsTest, AWebSocketOfNodesIsCarriedOverHttp2) {
  start_edge(start_node());
  const auto ended = node_client("socket");
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("status 200 ..via 2 latchkey..abc.."));
}

// A page, its requests and its WebSocket, which Chromium carries over the HTTP/2 connection that it
// has (RFC 8441).
TEST_F(ClientsTest, ChromiumShowsAPageAndTalksToItsWebSocket) {
  if (run({"sh", "-c", "command -v chromium"}).code != 0) {
    GTEST_SKIP() << "chromium is not installed: cmake/install-dependencies.sh test";
  }
  start_edge(start_node());
  Process::Options options;
  options.args = {"chromium",
                  "--headless",
                  "--no-sandbox",
                  "--disable-gpu",
                  "--disable-dev-shm-usage",
                  "--disable-background-networking",
                  "--no-first-run",
                  "--no-proxy-server",
                  "--remote-debugging-port=0",
                  "--user-data-dir=" + (site_.folder / "chromium").string(),
                  "--host-resolver-rules=MAP a.test 127.0.0.1, MAP * ~NOTFOUND",
                  "--ignore-certificate-errors-spki-list=" + key_hash(),
                  url("/browser")};
  options.env = {{"HOME", site_.folder.path().string()}};
  options.output = site_.folder / "chromium.log";
  Process chromium(std::move(options));
  const auto report = node_->wait_for_line("report ", Millis(60'000));
  ASSERT_TRUE(report) << chromium.output();
  EXPECT_EQ(*report,
            "report page by h2, echo true, many true, socket via 2 latchkey hello 100000, closed "
            "1000");
  const JsonValue status = site_.edge.admin_json("GET", "/status");
  const JsonValue* const tls = status.find("tls");
  ASSERT_NE(tls, nullptr);
  EXPECT_GE(tls->find("compressed")->number, 1) << "Chromium takes compressed certificates";
  chromium.signal(SIGTERM);
  chromium.wait(Millis(10'000));
}

}  // namespace
}  // namespace latchkey::test
