// HTTP/2 by the clients that people use: curl, and h2load's many streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/eventually.h"
#include "tests/support/site.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;

class Http2Test : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(site_.edge.start());
    write_text(site_.folder / "roots.pem", site_.pebble->roots());
  }
  std::string url(const std::string& path) const {
    return "https://a.test:" + std::to_string(site_.https.number()) + path;
  }
  ProgramEnded run(std::vector<std::string> args) {
    Process::Options options;
    options.args = std::move(args);
    options.output = site_.folder / "output";
    options.directory = site_.folder.path();
    return run_to_end(std::move(options));
  }
  ProgramEnded curl(std::vector<std::string> args) {
    std::vector<std::string> all{
        "curl",      "-sS",       "--cacert",
        "roots.pem", "--resolve", "a.test:" + std::to_string(site_.https.number()) + ":127.0.0.1"};
    all.insert(all.end(), args.begin(), args.end());
    return run(std::move(all));
  }

  Site site_;
};

TEST_F(Http2Test, IsWhatCurlPrefers) {
  const ProgramEnded ended = curl({"-w", " by HTTP/%{http_version}", url("/x?y")});
  ASSERT_EQ(ended.code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("page of a.test"));
  EXPECT_THAT(ended.output, HasSubstr("/x?y by HTTP/2"));
  EXPECT_EQ(site_.upstream.seen().front().header("via"), "2 latchkey");
  EXPECT_THAT(curl({"--http1.1", "-w", " by HTTP/%{http_version}", url("/")}).output,
              HasSubstr("by HTTP/1.1"));
}

TEST_F(Http2Test, CarriesLargeBodiesBothWaysWhole) {
  site_.upstream.replace_handler([](const Request& request) {
    Response response;
    response.body = request.body;
    response.chunked = true;
    return response;
  });
  std::string body;
  for (size_t i = 0; body.size() < 8 << 20; ++i) body += std::to_string(i) + "\n";
  write_text(site_.folder / "up", body);
  const ProgramEnded ended =
      curl({"--data-binary", "@up", "-o", "down", "-w", "%{http_version}", url("/")});
  ASSERT_EQ(ended.code, 0) << ended.output;
  EXPECT_EQ(ended.output, "2");
  EXPECT_TRUE(read_text(site_.folder / "down") == body);
}

TEST_F(Http2Test, ManyStreamsOfManyConnectionsAreAllAnswered) {
  const ProgramEnded ended = run({"h2load", "-n", "2000", "-c", "10", "-m", "32", "--connect-to",
                                  "127.0.0.1:" + std::to_string(site_.https.number()), url("/")});
  ASSERT_EQ(ended.code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("Application protocol: h2"));
  EXPECT_THAT(ended.output, HasSubstr("2000 succeeded, 0 failed, 0 errored, 0 timeout"));
}

// A drain cuts nobody: a slow answer arrives, and then the process ends.
TEST_F(Http2Test, ADrainLetsAnAnswerArrive) {
  ASSERT_TRUE(site_.visit("a.test").handshake.verified);
  site_.upstream.replace_handler([](const Request&) {
    Response response;
    response.body = "slow";
    response.delay = Millis(1'500);
    return response;
  });
  const size_t before = site_.upstream.requests();
  Process::Options options;
  options.args = {"curl",      "-sS",
                  "--cacert",  (site_.folder / "roots.pem").string(),
                  "--resolve", "a.test:" + std::to_string(site_.https.number()) + ":127.0.0.1",
                  url("/")};
  options.output = site_.folder / "slow";
  Process slow(std::move(options));
  ASSERT_TRUE(eventually([&] { return site_.upstream.requests() > before; }, Millis(20'000)));
  const auto ended = site_.edge.terminate();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->code, 0);
  const auto got = slow.wait(Millis(20'000));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->code, 0) << slow.output();
  EXPECT_THAT(slow.output(), HasSubstr("slow"));
}

}  // namespace
}  // namespace latchkey::test
