// Starting, reloading, draining; the program's verbs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <future>

#include "tests/support/eventually.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(LifecycleTest, ReadyNamesTheRealAddresses) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  const auto ready = site.edge.events("ready");
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_EQ(ready[0].text_of("https"), "127.0.0.1:" + std::to_string(site.https.number()));
  EXPECT_EQ(ready[0].text_of("http"), "127.0.0.1:" + std::to_string(site.http.number()));
}

TEST(LifecycleTest, TermLetsWhatRunsFinish) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  ASSERT_TRUE(site.visit("a.test").handshake.verified);
  std::promise<void> arrived;
  site.upstream.replace_handler([&](const Request&) {
    arrived.set_value();
    Response response;
    response.delay = Millis(500);
    response.body = "finished";
    return response;
  });
  auto slow = std::async(std::launch::async, [&] { return site.visit("a.test"); });
  arrived.get_future().wait();
  const auto exit = site.edge.terminate();
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 0);
  const auto visit = slow.get();
  EXPECT_EQ(visit.answer.body, "finished");
  EXPECT_TRUE(visit.answer.complete);
  EXPECT_EQ(site.edge.count("drained"), 1u);
  EXPECT_EQ(site.edge.count("counts"), 1u);
  EXPECT_FALSE(connect_to(site.https.number(), Millis(1000)));
}

TEST(LifecycleTest, TermWithIdleConnectionsEndsAtOnce) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  TlsClient idle = site.connect("a.test");
  ASSERT_EQ(HttpConversation(idle).get("a.test").status, 200);
  const PlainClient silent(site.https.number());
  const Stopwatch time;
  const auto exit = site.edge.terminate();
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 0);
  EXPECT_LT(time.elapsed(), Millis(15'000));
}

TEST(LifecycleTest, ASecondTermEndsTheWait) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  std::promise<void> arrived;
  site.upstream.replace_handler([&](const Request&) {
    arrived.set_value();
    Response response;
    response.hang = true;
    return response;
  });
  TlsOptions options = site.tls("a.test");
  TlsClient client(options);
  client.write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  arrived.get_future().wait();
  EXPECT_FALSE(site.edge.terminate(Millis(300)));
  const Stopwatch time;
  EXPECT_TRUE(site.edge.terminate());
  EXPECT_LT(time.elapsed(), Millis(5000));
}

TEST(LifecycleTest, TheGraceBoundsTheWait) {
  Site site;
  site.edge.settings.shutdown_grace = "500ms";
  ASSERT_TRUE(site.edge.start());
  Response hang;
  hang.hang = true;
  site.upstream.replace_handler([hang](const Request&) { return hang; });
  TlsClient client = site.connect("a.test");
  client.write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return site.upstream.requests() == 1; }));
  const Stopwatch time;
  EXPECT_TRUE(site.edge.terminate());
  EXPECT_LT(time.elapsed(), Millis(10'000));
}

TEST(LifecycleTest, HupTakesAGoodConfigurationAndCutsNobodyOff) {
  Site site;
  site.edge.settings.allow = {"a.test"};
  ASSERT_TRUE(site.edge.start());
  TlsClient before = site.connect("a.test");
  HttpConversation http(before);
  EXPECT_EQ(http.get("a.test").status, 200);
  EXPECT_EQ(site.connect("b.test").handshake().alert, alert::kUnrecognizedName);

  const HttpServer other([](const Request&) {
    Response response;
    response.body = "the other one";
    return response;
  });
  site.edge.settings.allow = {"a.test", "b.test"};
  site.edge.settings.upstream = other.url();
  ASSERT_EQ(site.edge.reload(), "reloaded");
  EXPECT_EQ(http.get("a.test").body, "the other one");
  const auto visit = site.visit("b.test");  // its denial is not remembered any longer
  EXPECT_EQ(visit.answer.body, "the other one") << visit.handshake.error;
}

TEST(LifecycleTest, HupKeepsTheOldConfigurationWhenTheNewOneIsBad) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  for (const char* bad : {"{", "", "{\"lisen\": {}}", "[]"}) {
    EXPECT_EQ(site.edge.reload(bad), "reload_failed") << bad;
  }
  EXPECT_TRUE(site.edge.logged("reload_failed", "lisen"));
  EXPECT_EQ(site.visit("a.test").answer.status, 200);
  EXPECT_EQ(site.edge.reload(), "reloaded");
}

TEST(LifecycleTest, AllowFilesAreReadAgain) {
  Site site;
  const auto file = site.folder / "names.txt";
  write_text(file, "# names\na.test\nbad name!\n");
  site.edge.settings.allow = {};
  site.edge.settings.allow_files = {file.string()};
  ASSERT_TRUE(site.edge.start());
  EXPECT_TRUE(site.visit("a.test").handshake.verified);
  EXPECT_EQ(site.connect("b.test").handshake().alert, alert::kUnrecognizedName);
  EXPECT_TRUE(site.edge.logged("names.txt:3"));
  write_text(file, "b.test\n");
  ASSERT_EQ(site.edge.reload(), "reloaded");
  EXPECT_TRUE(site.visit("b.test").handshake.verified);
}

TEST(LifecycleTest, APortThatIsTakenIsNamed) {
  Site site;
  const HttpServer other([](const Request&) { return Response(); });
  site.edge.settings.https_port = other.port();
  site.edge.launch();
  const auto exit = site.edge.wait(Millis(10'000));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 1);
  EXPECT_TRUE(site.edge.logged(std::to_string(other.port()))) << site.edge.log();
}

class VerbTest : public ::testing::Test {
 protected:
  Edge::Outcome run(std::vector<std::string> args) { return Edge::run(folder_.path(), args); }
  std::string file(std::string_view text) {
    write_text(folder_ / "config.json", text);
    return (folder_ / "config.json").string();
  }

  TempFolder folder_;
};

TEST_F(VerbTest, VersionSaysWhatItIs) {
  const auto outcome = run({"version"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("latchkey"));
}

TEST_F(VerbTest, AVerbThatIsNoneIsAUsageError) {
  EXPECT_EQ(run({"dance"}).code, 2);
  EXPECT_EQ(run({}).code, 2);
  EXPECT_EQ(run({"run", "--no-such-flag"}).code, 2);
}

TEST_F(VerbTest, ValidateTellsAllMistakesWithTheirPlace) {
  EdgeSettings settings;
  settings.https_port = 8443;
  settings.state_dir = folder_ / "state";
  settings.allow = {"a.test"};
  settings.directory = "https://ca.test/dir";
  settings.upstream = "http://127.0.0.1:3000";
  EXPECT_EQ(run({"validate", "--config", file(settings.json())}).code, 0);

  const auto bad = run({"validate", "--config",
                        file("{\n  \"workers\": \"many\",\n  \"lisen\": {}, // a comment\n"
                             "  \"on_demand\": {\"park_timeout\": 5},\n}")});
  EXPECT_EQ(bad.code, 78);
  EXPECT_THAT(bad.output, AllOf(HasSubstr(":2:"), HasSubstr("workers"), HasSubstr(":3:"),
                                HasSubstr("listen"), HasSubstr("park_timeout")));
  EXPECT_EQ(run({"validate", "--config", (folder_ / "none.json").string()}).code, 78);
  EXPECT_EQ(run({"run", "--config", file("{}")}).code, 78);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "state"));
}

TEST_F(VerbTest, OnDemandWithoutAllowlistAndAskIsAnErrorThatNamesBoth) {
  EdgeSettings settings;
  settings.https_port = 8443;
  settings.state_dir = folder_ / "state";
  settings.directory = "https://ca.test/dir";
  settings.upstream = "http://127.0.0.1:3000";
  const auto outcome = run({"validate", "--config", file(settings.json())});
  EXPECT_EQ(outcome.code, 78);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("on_demand.allow"), HasSubstr("on_demand.ask")));
}

TEST_F(VerbTest, ConfigShowsWhatIsInEffect) {
  EdgeSettings settings;
  settings.https_port = 8443;
  settings.state_dir = folder_ / "state";
  settings.ask = "http://127.0.0.1:1/check?key=hunter2";
  settings.directory = "https://ca.test/dir";
  settings.upstream = "http://127.0.0.1:3000";
  const auto outcome = run({"config", "--config", file(settings.json())});
  EXPECT_EQ(outcome.code, 0);
  const auto shown = parse_json(outcome.output);
  ASSERT_TRUE(shown.has_value()) << outcome.output;
  EXPECT_NE(shown->find("on_demand"), nullptr);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("25s"), Not(HasSubstr("hunter2"))));
}

TEST_F(VerbTest, TheShortStartServes) {
  Site site;
  Process::Options options;
  const std::string https = "127.0.0.1:" + std::to_string(site.https.number());
  const std::string http = "127.0.0.1:" + std::to_string(site.http.number());
  options.args = {LATCHKEY_BINARY,
                  "run",
                  "--allow",
                  "a.test",
                  "--accept-terms",
                  "--upstream",
                  site.upstream.url(),
                  "--issuer-directory",
                  site.pebble->directory(),
                  "--issuer-ca-file",
                  site.pebble->ca_file().string(),
                  "--https",
                  https,
                  "--http",
                  http,
                  "--state-dir",
                  (folder_ / "state").string()};
  options.output = folder_ / "log";
  Process process(std::move(options));
  ASSERT_TRUE(process.wait_for_line("ready", Millis(20'000))) << process.output();
  EXPECT_EQ(site.visit("a.test").answer.body, "page of a.test /") << process.output();
}

}  // namespace
}  // namespace latchkey::test
