// What is done around each request: ids, trusted proxies, the access log, compression, limits,
// pages and redirects, by a real edge.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/eventually.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class FrontTest : public ::testing::Test {
 protected:
  void start(std::vector<std::pair<std::string, std::string>> keys) {
    site_.edge.settings.keys = std::move(keys);
    ASSERT_TRUE(site_.edge.start());
  }
  HttpAnswer send(const std::string& lines, const std::string& target = "/",
                  const std::string& name = "a.test") {
    TlsClient client = site_.connect(name);
    EXPECT_TRUE(client.handshake().verified) << client.handshake().error;
    return HttpConversation(client).exchange("GET " + target + " HTTP/1.1\r\nHost: " + name +
                                             "\r\n" + lines + "\r\n");
  }
  std::vector<JsonValue> lines_of(const std::filesystem::path& file, size_t count) {
    std::vector<JsonValue> out;
    EXPECT_TRUE(eventually([&] {
      out.clear();
      std::ifstream in(file);
      for (std::string line; std::getline(in, line);) {
        const auto json = parse_json(line);
        if (json) out.push_back(*json);
      }
      return out.size() >= count;
    })) << read(file);
    return out;
  }
  Site site_;
};

TEST_F(FrontTest, TheAccessLogFollowsLogrotate) {
  const auto file = site_.folder / "access.log";
  start({{"access_log", R"({"file": ")" + file.string() + R"("})"},
         {"request_id", R"({"to_client": true})"}});
  const HttpAnswer answer = send("X-Request-Id: mine\r\nUser-Agent: a\"b\r\n", "/first?q=1");
  const auto lines = lines_of(file, 1);
  const JsonValue& line = lines.back();
  EXPECT_EQ(line.text_of("target"), "/first?q=1");
  EXPECT_EQ(line.text_of("client"), "127.0.0.1");
  EXPECT_EQ(line.text_of("user_agent"), "a\"b");
  EXPECT_EQ(line.text_of("tls"), "TLSv1.3");
  EXPECT_EQ(line.text_of("upstream"), "127.0.0.1:" + std::to_string(site_.upstream.port()));
  EXPECT_EQ(line.find("bytes_out")->number, static_cast<double>(answer.body.size()));
  EXPECT_EQ(line.text_of("end"), "complete");
  EXPECT_EQ(line.text_of("id"), answer.header("x-request-id"));
  EXPECT_EQ(site_.upstream.seen().back().header("x-request-id"), answer.header("x-request-id"));
  EXPECT_NE(answer.header("x-request-id"), "mine");

  const auto moved = site_.folder / "access.log.1";
  std::filesystem::rename(file, moved);
  site_.edge.signal(SIGHUP);
  ASSERT_TRUE(site_.edge.wait_for("reloaded"));
  send("", "/second");
  EXPECT_EQ(lines_of(file, 1).back().text_of("target"), "/second");
  EXPECT_THAT(read(moved), Not(HasSubstr("/second")));
  ASSERT_TRUE(site_.edge.terminate());
}

TEST_F(FrontTest, OneBelievesTheProxiesThatOneTrusts) {
  start({{"trusted_proxies", R"(["127.0.0.0/8"])"}, {"forwarded", "true"}});
  send("X-Forwarded-For: 203.0.113.9\r\nX-Request-Id: abc\r\n");
  const Request request = site_.upstream.seen().back();
  EXPECT_EQ(request.header("x-forwarded-for"), "203.0.113.9, 127.0.0.1");
  EXPECT_EQ(request.header("x-request-id"), "abc");
  EXPECT_EQ(request.header("forwarded"), "for=127.0.0.1;host=\"a.test\";proto=https");
  site_.edge.settings.keys = {};
  site_.edge.reload();
  ASSERT_TRUE(eventually([&] {
    send("X-Forwarded-For: 203.0.113.9\r\n");
    return site_.upstream.seen().back().header("x-forwarded-for") == "127.0.0.1";
  }));
}

TEST_F(FrontTest, CurlGetsWhatItCanUnpack) {
  std::string page;
  for (int i = 0; i < 20'000; ++i) page += "<li>line " + std::to_string(i) + "</li>\n";
  site_.upstream.replace_handler([page](const Request&) {
    Response response;
    response.headers = {{"Content-Type", "text/html"}};
    response.body = page;
    return response;
  });
  start({{"compression", "{}"}});
  ASSERT_EQ(send("").body.size(), page.size());
  for (const std::string coding : {"br", "gzip"}) {
    const auto out = site_.folder / coding;
    const std::string port = std::to_string(site_.https.number());
    Process::Options options;
    options.args = {"curl",
                    "-sSk",
                    "--compressed",
                    "-H",
                    "Accept-Encoding: " + coding,
                    "-D",
                    "-",
                    "-o",
                    out.string(),
                    "--resolve",
                    "a.test:" + port + ":127.0.0.1",
                    "https://a.test:" + port + "/"};
    options.output = site_.folder / (coding + ".log");
    options.directory = site_.folder.path();
    const ProgramEnded curl = run_to_end(std::move(options));
    EXPECT_THAT(curl.output, HasSubstr("content-encoding: " + coding));
    EXPECT_TRUE(read(out) == page);
  }
}

TEST_F(FrontTest, WhoAsksTooOftenGetsAPageOfTheOperators) {
  std::ofstream(site_.folder / "slow.html") << "<p>Slowly, please.";
  start({{"rate_limit", R"({"requests": 1, "per": "1h", "burst": 2})"},
         {"error_pages", R"({"429": ")" + (site_.folder / "slow.html").string() + R"("})"}});
  EXPECT_EQ(send("").status, 200);
  EXPECT_EQ(send("").status, 200);
  const HttpAnswer refused = send("");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.body, "<p>Slowly, please.");
  EXPECT_GT(std::stoi(refused.header("retry-after")), 3000);
  const JsonValue status = site_.edge.admin_json("GET", "/status");
  EXPECT_EQ(status.find("requests")->find("rate_limited")->number, 1);
}

TEST_F(FrontTest, ARouteMaySendClientsElsewhere) {
  site_.edge.settings.routes = R"([{"hosts": ["*"], "upstreams": ["http://127.0.0.1:)" +
                               std::to_string(site_.upstream.port()) +
                               R"("]}, {"hosts": ["www.a.test"],
      "redirect": {"to": "https://a.test{path}{query}", "status": 301}}])";
  start({});
  const HttpAnswer answer = send("", "/p?x=1", "www.a.test");
  EXPECT_EQ(answer.status, 301);
  EXPECT_EQ(answer.header("location"), "https://a.test/p?x=1");
  EXPECT_EQ(send("").status, 200);
}

TEST_F(FrontTest, AnUpstreamThatIsDownGetsTheOperatorsPageUntilItChanges) {
  std::ofstream(site_.folder / "down.html") << "<p>Back soon.";
  site_.edge.settings.upstream = "http://127.0.0.1:1";
  start({{"error_pages", R"({"default": ")" + (site_.folder / "down.html").string() + R"("})"}});
  const HttpAnswer answer = send("");
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.body, "<p>Back soon.");
  std::ofstream(site_.folder / "down.html") << "<p>Later.";
  site_.edge.reload();
  EXPECT_TRUE(eventually([&] { return send("").body == "<p>Later."; }));
  EXPECT_EQ(send("Accept: application/json\r\n").body, "<p>Later.");
}

}  // namespace
}  // namespace latchkey::test
