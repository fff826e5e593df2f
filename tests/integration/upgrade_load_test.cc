// 100 reloads and 5 upgrades under load: no request fails, no connection is cut.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "tests/support/eventually.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

constexpr int kReloads = 100;
constexpr int kUpgrades = 5;
constexpr size_t kSockets = 10;  // before the first, and as many more before each upgrade

// h2load, over and over, until it is told to end.
class Load {
 public:
  Load(std::filesystem::path folder, std::vector<std::string> args)
      : folder_(std::move(folder)), args_(std::move(args)), thread_([this] { run(); }) {}
  ~Load() { end(); }
  void end() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int runs() const { return runs_; }
  // The first run that did not go as it should; "" if all did.
  const std::string& trouble() const { return trouble_; }

 private:
  void run() {
    while (!over_ && trouble_.empty()) {
      Process::Options options;
      options.args = args_;
      options.output = folder_ / (args_.back() == "h1" ? "h1.log" : "h2.log");
      options.args.pop_back();
      const ProgramEnded ended = run_to_end(std::move(options));
      ++runs_;
      const bool well = ended.code == 0 &&
                        ended.output.find(" 0 failed, 0 errored, 0 timeout") != std::string::npos;
      if (!well) trouble_ = ended.output;
    }
  }

  const std::filesystem::path folder_;
  const std::vector<std::string> args_;
  std::atomic<bool> over_ = false;
  std::atomic<int> runs_ = 0;
  std::string trouble_;
  std::thread thread_;
};

class UpgradeLoadTest : public ::testing::Test {
 protected:
  struct Socket {
    explicit Socket(TlsOptions options) : client(std::move(options)), http(client) {}
    TlsClient client;
    HttpConversation http;
  };
  void open_sockets() {
    for (size_t i = 0; i < kSockets; ++i) {
      auto socket = std::make_unique<Socket>(site_.tls("a.test"));
      const auto answer = socket->http.exchange(
          "GET /socket HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
      ASSERT_EQ(answer.status, 101);
      sockets_.push_back(std::move(socket));
    }
  }
  // How many of them do not send back what they are sent.
  size_t cut() {
    size_t out = 0;
    for (const auto& socket : sockets_) {
      socket->client.write("\x81\x01");
      if (socket->http.read_exactly(2) != "\x81\x01") ++out;
    }
    return out;
  }
  std::string url() const {
    return "https://a.test:" + std::to_string(site_.https.number()) + "/page";
  }
  std::string to() const { return "127.0.0.1:" + std::to_string(site_.https.number()); }

  Site site_;
  std::vector<std::unique_ptr<Socket>> sockets_;
};

TEST_F(UpgradeLoadTest, NothingIsLostAndNothingIsCut) {
  site_.upstream.replace_handler([](const Request& request) {
    Response response;
    if (request.header("upgrade") == "websocket") {
      response.status = 101;
      response.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
      response.echo = true;
    }
    return response;
  });
  site_.edge.settings.log_level = "info";
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(site_.visit("a.test").handshake.verified);
  open_sockets();
  // HTTP/1.1 connections are kept: the client goes on where it is told to close. An HTTP/2 one of
  // h2load's fails what it had yet to send when it hears GOAWAY, so it sends all it has at once.
  Load h1(site_.folder.path(),
          {"h2load", "--h1", "-n", "2000", "-c", "8", "--connect-to", to(), url(), "h1"});
  Load h2(site_.folder.path(),
          {"h2load", "-n", "320", "-c", "10", "-m", "32", "--connect-to", to(), url(), "h2"});
  const Stopwatch time;
  for (int i = 0; i < kReloads; ++i) {
    if (i % 2 == 0) {
      ASSERT_EQ(site_.edge.reload(), "reloaded") << i;
    } else {
      ASSERT_EQ(site_.edge.admin("POST", "/config:reload").status, 200) << i;
    }
    if ((i + 1) % (kReloads / kUpgrades) != 0) continue;
    ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
    EXPECT_EQ(cut(), 0u) << i;
    open_sockets();
  }
  const Millis took = time.elapsed();
  EXPECT_TRUE(eventually([&] { return h1.runs() > 0 && h2.runs() > 0; }));
  h1.end();
  h2.end();
  EXPECT_EQ(h1.trouble(), "");
  EXPECT_EQ(h2.trouble(), "");
  EXPECT_EQ(cut(), 0u);
  EXPECT_EQ(site_.edge.replaced().size(), static_cast<size_t>(kUpgrades));
  for (const auto& old : site_.edge.replaced()) EXPECT_TRUE(old->running());  // for its sockets
  std::printf(
      "%d reloads and %d upgrades in %lld ms under %d runs of h2load over HTTP/1.1 (2000 "
      "requests each) and %d over HTTP/2 (320), %zu WebSockets open\n",
      kReloads, kUpgrades, static_cast<long long>(took.count()), h1.runs(), h2.runs(),
      sockets_.size());
  sockets_.clear();
  for (const auto& old : site_.edge.replaced()) EXPECT_TRUE(old->wait(Millis(20'000)));
}

}  // namespace
}  // namespace latchkey::test
