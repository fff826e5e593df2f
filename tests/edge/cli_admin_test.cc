#include "edge/cli_admin.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <mutex>
#include <thread>

#include "edge/admin_api.h"
#include "edge/admin_client.h"
#include "edge/cli_options.h"
#include "tests/edge/fake_steering.h"
#include "tests/support/fd.h"
#include "tests/support/temp_folder.h"

namespace latchkey::edge {
namespace {

// The process that the commands talk to: an admin server on a thread of its own.
class Served {
 public:
  using Answers = std::map<std::string, Result<std::string>>;

  using Pages = std::map<std::string, std::string>;

  Served(const std::string& path, Answers answers, Pages pages = {})
      : thread_([this, path, given = std::move(answers), listed = std::move(pages)] {
          serve(path, given, listed);
        }),
        address_(ready_.get_future().get()) {}
  ~Served() {
    address_.post([this] { loop_->stop(); });
    thread_.join();
  }
  Served(const Served&) = delete;

  // What was asked, once the server's thread is done with it.
  std::vector<std::string> calls() {
    std::promise<std::vector<std::string>> calls;
    address_.post([&] { calls.set_value(steering_->calls); });
    return calls.get_future().get();
  }

 private:
  void serve(const std::string& path, const Answers& answers, const Pages& pages) {
    Loop loop;
    FakeSteering steering;
    steering.answers = answers;
    steering.pages = pages;
    loop_ = &loop;
    steering_ = &steering;
    Log log(STDERR_FILENO, Log::Format::kText, LogLevel::kError);
    auto server = AdminServer::open(
        path, loop,
        [&](AdminRequest request) { return answer_admin(steering, std::move(request)); }, log);
    EXPECT_TRUE(server);
    ready_.set_value(loop.address());
    loop.run();
  }

  Loop* loop_ = nullptr;
  FakeSteering* steering_ = nullptr;
  std::promise<Mailbox::Address> ready_;
  std::thread thread_;
  Mailbox::Address address_;
};

class CliAdminTest : public testing::Test {
 protected:
  struct Ran {
    int code;
    std::string out, err;
  };
  Ran run(std::vector<std::string> words) {
    words.insert(words.begin(), "latchkey");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = run_admin_verb(static_cast<int>(argv.size()), argv.data());
    const std::string out = testing::internal::GetCapturedStdout();
    return {code, out, testing::internal::GetCapturedStderr()};
  }
  // The options may stand anywhere behind the command's word or words.
  Ran run_served(std::vector<std::string> words, Served::Answers answers = {},
                 Served::Pages pages = {}) {
    Served served(path, std::move(answers), std::move(pages));
    const size_t command = words.front() == "certs" || words.front() == "account" ? 2 : 1;
    words.insert(words.begin() + static_cast<std::ptrdiff_t>(command), {"--socket", path});
    const Ran ran = run(std::move(words));
    calls = served.calls();
    return ran;
  }

  test::TempFolder folder;
  const std::string path = (folder / "admin.sock").string();
  std::vector<std::string> calls;
};

TEST_F(CliAdminTest, ItsVerbsAreKnown) {
  for (const char* verb : {"status", "budget", "explain", "ask", "obtain", "retry", "reload",
                           "certs", "events", "account"}) {
    EXPECT_TRUE(is_admin_verb(verb)) << verb;
  }
  for (const char* second : {"list", "show", "roll-key"}) EXPECT_FALSE(is_admin_verb(second));
  EXPECT_FALSE(is_admin_verb("run"));
  EXPECT_FALSE(is_admin_verb(""));
}

TEST_F(CliAdminTest, StatusIsShownForReading) {
  const Ran ran = run_served({"status"});
  EXPECT_EQ(ran.code, kOk) << ran.err;
  EXPECT_EQ(ran.out, "state   ready\nuptime  2 h\n");
}

TEST_F(CliAdminTest, JsonIsShownAsItCame) {
  EXPECT_EQ(run_served({"status", "--json"}).out,
            "{\"state\":\"ready\",\"uptime_seconds\":7200}\n");
  const Ran ran = run_served({"obtain", "a.test", "--json"},
                             {{"obtain", Error{ErrorCode::kDenied, "not in the allowlist"}}});
  EXPECT_EQ(ran.code, kFailure);
  EXPECT_EQ(ran.out, "{\"error\":\"not in the allowlist\"}\n");
}

TEST_F(CliAdminTest, EachVerbReachesItsDeed) {
  EXPECT_EQ(run_served({"explain", "a.test"}).code, kOk);
  EXPECT_EQ(calls, std::vector<std::string>{"explain a.test"});
  EXPECT_EQ(run_served({"obtain", "A.test"}).code, kOk);
  EXPECT_EQ(calls, std::vector<std::string>{"obtain a.test"});
  EXPECT_EQ(run_served({"reload"}).code, kOk);
  EXPECT_EQ(calls, std::vector<std::string>{"reload"});
  EXPECT_EQ(run_served({"budget"}).code, kOk);
}

TEST_F(CliAdminTest, EachWordOfCertsEventsAndAccountReachesItsDeed) {
  struct Deed {
    std::vector<std::string> words;
    const char* call;
  };
  const Deed deeds[] = {
      {{"retry", "a.test"}, "retry a.test"},
      {{"certs", "show", "a.test"}, "show a.test"},
      {{"certs", "renew", "2001:db8::7"}, "renew 2001:db8::7"},
      {{"certs", "revoke", "a.test"}, "revoke a.test unspecified"},
      {{"certs", "revoke", "a.test", "--reason", "keyCompromise"}, "revoke a.test keyCompromise"},
      {{"certs", "evict", "192.0.2.7"}, "evict 192.0.2.7"},
      {{"events"}, "events all 100"},
      {{"events", "a.test", "--limit", "7"}, "events a.test 7"},
      {{"events", "2001:db8::7"}, "events 2001:db8::7 100"},
      {{"account", "list"}, "accounts"},
      {{"account", "roll-key", "my ca"}, "roll-key my ca"},
      {{"account", "deactivate", "ca"}, "deactivate ca"},
      {{"account", "reactivate", "ca"}, "reactivate ca"}};
  for (const Deed& deed : deeds) {
    const Ran ran = run_served(deed.words);
    EXPECT_EQ(ran.code, kOk) << deed.call << ": " << ran.err;
    EXPECT_EQ(calls, std::vector<std::string>{deed.call});
  }
}

TEST_F(CliAdminTest, TheListOfCertificatesGoesOnToItsEnd) {
  const auto page = [](const std::string& name, const std::string& next) {
    return R"({"certificates":[{"name":")" + name +
           R"(","issuer":"ca","next_look":null}],"next":)" + next + "}";
  };
  const Served::Pages pages{{"", page("a.test", "\"a.test\"")},
                            {"a.test", page("long.b.test", "\"long.b.test\"")},
                            {"long.b.test", page("z.test", "null")}};
  const Ran ran = run_served({"certs", "list", "--contains", "t e&"}, {}, pages);
  EXPECT_EQ(ran.code, kOk) << ran.err;
  EXPECT_EQ(ran.out,
            "a.test  ca      renews when visited\n"
            "long.b.test  ca      renews when visited\n"
            "z.test       ca      renews when visited\n");
  EXPECT_EQ(calls, (std::vector<std::string>{"list |t e&|500", "list a.test|t e&|500",
                                             "list long.b.test|t e&|500"}));
  // A page a line.
  EXPECT_EQ(run_served({"certs", "list", "--json"}, {}, pages).out,
            pages.at("") + "\n" + pages.at("a.test") + "\n" + pages.at("long.b.test") + "\n");
}

TEST_F(CliAdminTest, AnEmptyListAndABrokenOneAreSaid) {
  Ran ran = run_served({"certs", "list"}, {}, {{"", R"({"certificates":[],"next":null})"}});
  EXPECT_EQ(ran.code, kOk);
  EXPECT_EQ(ran.out, "No certificates.\n");
  ran = run_served({"certs", "list"}, {{"list", Error{ErrorCode::kIo, "disk"}}});
  EXPECT_EQ(ran.code, kFailure);
  EXPECT_EQ(ran.err, "disk\n");
  // It would never end.
  ran = run_served({"certs", "list"}, {},
                   {{"", R"({"certificates":[],"next":"a.test"})"},
                    {"a.test", R"({"certificates":[],"next":"a.test"})"}});
  EXPECT_EQ(ran.code, kFailure);
  EXPECT_EQ(ran.err, "the list does not go on behind a.test\n");
}

TEST_F(CliAdminTest, WhatExpiresSoonIsAskedForByATime) {
  const auto now = [] {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
  const int64_t before = now();
  EXPECT_EQ(run_served({"certs", "list", "--expires-within", "30d"}).code, kOk);
  ASSERT_EQ(calls.size(), 1U);
  const int64_t asked = std::stoll(calls[0].substr(calls[0].rfind('|') + 1)) - 30 * 86'400;
  EXPECT_GE(asked, before);
  EXPECT_LE(asked, now());
}

TEST_F(CliAdminTest, ARefusedRevocationSaysTheWords) {
  const Ran ran = run_served({"certs", "revoke", "a.test", "--reason", "bad"});
  EXPECT_EQ(ran.code, kFailure);
  EXPECT_NE(ran.err.find("keyCompromise, affiliationChanged"), std::string::npos) << ran.err;
}

TEST_F(CliAdminTest, AskExitsByTheVerdict) {
  const auto ask = [&](const std::string& verdict) {
    const std::string json =
        R"({"name":"a.test","source":"ask","reason":"it said so","verdict":")" + verdict + "\"}";
    return run_served({"ask", "a.test"}, {{"ask", json}});
  };
  EXPECT_EQ(ask("allowed").code, kOk);
  const Ran denied = ask("denied");
  EXPECT_EQ(denied.code, kFailure);
  EXPECT_EQ(denied.out, "a.test: denied: it said so (ask)\n");
  const Ran unknown = ask("unknown");
  EXPECT_EQ(unknown.code, kFailure);
  EXPECT_EQ(unknown.out, "a.test: unknown: it said so (ask)\n");
}

TEST_F(CliAdminTest, ObtainSaysTheFirstErrorWithItsRemedy) {
  const Ran ran = run_served(
      {"obtain", "a.test"},
      {{"obtain",
        Error{ErrorCode::kThrottled, "issuing a.test: \x1b[2Jthe CA said no", Millis(90'000)}}});
  EXPECT_EQ(ran.code, kFailure);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err, "issuing a.test: \\u001b[2Jthe CA said no\nTry again in 90 s.\n");
}

TEST_F(CliAdminTest, NamesAreJudgedByTheServer) {
  for (const char* name : {"a..test", "", "a/../b", "a b%", "b\xc3\xbc.test", "x:ask", "-x.test"}) {
    const Ran ran = run_served({"explain", "--", name});
    EXPECT_EQ(ran.code, kFailure) << name;
    EXPECT_NE(ran.err.find("server name: "), std::string::npos) << ran.err;
    EXPECT_TRUE(calls.empty());
  }
}

TEST_F(CliAdminTest, ABadConfigurationAtReloadIs78AndALineForEachMistake) {
  const Ran ran = run_served(
      {"reload"}, {{"reload", Error{ErrorCode::kInvalid, "my.json:3:7: a\nmy.json:4:1: b\n"}}});
  EXPECT_EQ(ran.code, kBadConfig);
  EXPECT_EQ(ran.err, "my.json:3:7: a\nmy.json:4:1: b\n");
  EXPECT_EQ(run_served({"reload"}, {{"reload", Error{ErrorCode::kIo, "disk"}}}).code, kFailure);
}

TEST_F(CliAdminTest, NobodyThereIsSaidClearly) {
  const std::string expected =
      "no latchkey answers at " + path + ": is it running? (--socket, --config)\n";
  Ran ran = run({"status", "--socket", path});
  EXPECT_EQ(ran.code, kFailure);
  EXPECT_EQ(ran.err, expected);
  test::write_text(path, "no socket");
  ran = run({"status", "--socket=" + path});
  EXPECT_EQ(ran.code, kFailure);
  EXPECT_EQ(ran.err, expected);
  ran = run({"status", "--socket", std::string(200, 'x')});
  EXPECT_EQ(ran.code, kFailure);
  EXPECT_NE(ran.err.find("200 bytes"), std::string::npos);
}

TEST_F(CliAdminTest, ASocketOfAnotherProgramIsSaidToo) {
  test::Fd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 8), 0);
  const std::string said = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  std::thread other([&] {
    for (int i = 0; i < 2; ++i) {  // the first one only knocks
      const test::Fd client(::accept(listener.get(), nullptr, nullptr));
      char buffer[1024];
      if (::recv(client.get(), buffer, sizeof buffer, 0) <= 0) continue;
      EXPECT_EQ(::send(client.get(), said.data(), said.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(said.size()));
    }
  });
  const Ran ran = run({"status", "--socket", path});
  other.join();
  EXPECT_EQ(ran.code, kFailure);
  EXPECT_NE(ran.err.find("is it latchkey's admin socket?"), std::string::npos) << ran.err;
}

TEST_F(CliAdminTest, WrongUseIsTwo) {
  const std::vector<std::vector<std::string>> wrong{{"explain"},
                                                    {"status", "a.test"},
                                                    {"ask", "a.test", "b.test"},
                                                    {"status", "--sockt"},
                                                    {"status", "--socket"},
                                                    {"status", "--json=1"},
                                                    {"certs"},
                                                    {"certs", "lst"},
                                                    {"certs", "show"},
                                                    {"certs", "list", "a.test"},
                                                    {"certs", "list", "--expires-within", "soon"},
                                                    {"certs", "renew", "a.test", "--reason", "x"},
                                                    {"events", "a.test", "b.test"},
                                                    {"events", "--limit", "0"},
                                                    {"events", "--limit", "7x"},
                                                    {"events", "--limit", "1001"},
                                                    {"account", "roll-key"},
                                                    {"account", "--json"},
                                                    {"status", "--socket", "a", "--config", "b"}};
  for (const auto& words : wrong) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.code, kUsage) << words.back();
    EXPECT_NE(ran.err.find("Try: latchkey help"), std::string::npos);
  }
}

TEST_F(CliAdminTest, TheConfigurationSaysWhereTheSocketIs) {
  const std::string config = (folder / "my.json").string();
  const auto write = [&](const std::string& admin) {
    test::write_text(config, "{\"admin\": {\"socket\": " + admin + "}, \"state_dir\": \"" +
                                 folder.path().string() +
                                 "\", \"on_demand\": {\"allow\": [\"a.test\"]}, \"issuers\": [{"
                                 "\"name\": \"x\", \"acme\": {\"directory\": \"https://ca.test/\","
                                 " \"accept_terms\": true}}], \"routes\": [{\"upstreams\": "
                                 "[\"http://127.0.0.1:1\"]}]}");
  };
  write("\"admin.sock\"");
  {
    const Served served(path, {});
    const Ran ran = run({"status", "--config", config});
    EXPECT_EQ(ran.code, kOk) << ran.err;
  }
  write("null");
  const Ran off = run({"status", "--config", config});
  EXPECT_EQ(off.code, kBadConfig);
  EXPECT_NE(off.err.find("admin.socket is null"), std::string::npos) << off.err;
  EXPECT_EQ(run({"status", "--config", (folder / "none.json").string()}).code, kBadConfig);
}

TEST_F(CliAdminTest, AnAnswerOfMebibytesIsRead) {
  const std::string long_text(3 << 20, 'x');
  const Ran ran =
      run_served({"explain", "a.test"}, {{"explain", "{\"says\":\"" + long_text + "\"}"}});
  EXPECT_EQ(ran.code, kOk) << ran.err;
  EXPECT_GT(ran.out.size(), long_text.size());
}

}  // namespace
}  // namespace latchkey::edge
