// Ask endpoints that are slow, down or wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/eventually.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

class BadAskTest : public ::testing::Test {
 protected:
  void start(const std::string& timeout = "") {
    site_.edge.settings.allow = {};
    site_.edge.settings.ask = site_.ask_url();
    site_.edge.settings.ask_timeout = timeout;
    ASSERT_TRUE(site_.edge.start());
  }
  void answer(const Response& response) {
    site_.ask.replace_handler([response](const Request&) { return response; });
  }
  int alert_for(const std::string& name) {
    const TlsClient client = site_.connect(name);
    EXPECT_FALSE(client.handshake().done);
    return client.handshake().alert;
  }

  Site site_;
};

TEST_F(BadAskTest, ASlowOneIsWaitedFor) {
  start();
  Response slow;
  slow.delay = Millis(1000);
  answer(slow);
  EXPECT_TRUE(site_.visit("a.test").handshake.verified);
}

TEST_F(BadAskTest, AHangingOneIsGivenUpAndIsNoDenial) {
  start("500ms");
  Response hang;
  hang.hang = true;
  answer(hang);
  const Stopwatch time;
  EXPECT_EQ(alert_for("a.test"), alert::kInternalError);
  EXPECT_LT(time.elapsed(), Millis(5000));
  EXPECT_GE(site_.edge.count("ask_failed"), 1u);
  answer(Response());
  EXPECT_TRUE(site_.visit("a.test").handshake.verified);  // it was never taken for a denial
}

TEST_F(BadAskTest, ItsAnswersMeanWhatTheContractSays) {
  start();
  int number = 0;
  for (const int status : {200, 204, 299}) {
    Response response;
    response.status = status;
    answer(response);
    const std::string name = "s" + std::to_string(++number) + ".test";
    EXPECT_TRUE(site_.visit(name).handshake.verified) << status;
  }
  for (const int status : {400, 403, 404, 410, 418, 451}) {
    Response response;
    response.status = status;
    answer(response);
    const std::string name = "s" + std::to_string(++number) + ".test";
    EXPECT_EQ(alert_for(name), alert::kUnrecognizedName) << status;
  }
  for (const int status : {301, 302, 401, 405, 407, 408, 425, 429, 500, 503}) {
    Response response;
    response.status = status;
    response.headers = {{"Location", site_.ask.url("/elsewhere")}};
    answer(response);
    const std::string name = "s" + std::to_string(++number) + ".test";
    EXPECT_EQ(alert_for(name), alert::kInternalError) << status;
  }
  EXPECT_EQ(site_.ask.requests("/elsewhere"), 0u);
  EXPECT_EQ(site_.pebble->orders(), 3u);
}

TEST_F(BadAskTest, TheNameIsAddedToTheExistingQuery) {
  site_.edge.settings.ask = site_.ask.url("/check?key=1");
  site_.edge.settings.allow = {};
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(site_.visit("a.test").handshake.verified);
  EXPECT_EQ(site_.ask.seen().at(0).target, "/check?key=1&domain=a.test");
}

TEST_F(BadAskTest, HugeAndEndlessBodiesAreNotReadToTheEnd) {
  start();
  Response huge;
  huge.body = std::string(20u << 20, 'h');
  answer(huge);
  EXPECT_TRUE(site_.visit("huge.test").handshake.verified);
  Response endless;
  endless.endless = true;
  answer(endless);
  EXPECT_TRUE(site_.visit("endless.test").handshake.verified);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(site_.edge.process().peak_resident_bytes(), 100u << 20);
#endif
}

TEST_F(BadAskTest, GarbageAndResetsAreNoDenial) {
  start();
  Response garbage;
  garbage.raw = "HTTP/9.9 whatever\r\n\r\n";
  answer(garbage);
  EXPECT_EQ(alert_for("a.test"), alert::kInternalError);
  garbage.raw = std::string(100'000, '\0');
  answer(garbage);
  EXPECT_EQ(alert_for("b.test"), alert::kInternalError);
  Response reset;
  reset.reset = true;
  answer(reset);
  EXPECT_EQ(alert_for("c.test"), alert::kInternalError);
  answer(Response());
  for (const char* name : {"a.test", "b.test", "c.test"}) {
    EXPECT_TRUE(site_.visit(name).handshake.verified) << name;
  }
}

TEST_F(BadAskTest, OneThatIsDownIsSaidSoWithTheRemedy) {
  const ReservedPort refuses;
  site_.edge.settings.allow = {};
  site_.edge.settings.ask = "http://127.0.0.1:" + std::to_string(refuses.number()) + "/check";
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(alert_for("a.test"), alert::kInternalError);
  EXPECT_TRUE(site_.edge.logged("ask_failed", std::to_string(refuses.number())));
  const HttpServer back([](const Request&) { return Response(); }, refuses.number());
  EXPECT_TRUE(site_.visit("a.test").handshake.verified);
}

TEST_F(BadAskTest, NoMoreQuestionsAtOnceThanConfigured) {
  site_.edge.settings.ask_max_concurrent = 4;
  start("10s");
  Response slow;
  slow.status = 403;
  slow.delay = Millis(50);
  answer(slow);
  const auto handshakes =
      site_.swarm(40, [](size_t i) { return "q" + std::to_string(i) + ".test"; });
  for (const auto& h : handshakes) EXPECT_EQ(h.alert, alert::kUnrecognizedName) << h.error;
  EXPECT_EQ(site_.ask.requests(), 40u);
  EXPECT_LE(site_.ask.most_at_once(), 4u);
}

}  // namespace
}  // namespace latchkey::test
