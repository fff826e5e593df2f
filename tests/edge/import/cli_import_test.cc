#include "edge/cli_import.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "base/log.h"
#include "base/loop.h"
#include "cache/sqlite_store.h"
#include "cache/state_lock.h"
#include "edge/admin_api.h"
#include "edge/cli_options.h"
#include "tests/edge/fake_steering.h"
#include "tests/edge/import/trees.h"
#include "tests/support/run_task.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

// The process that is imported into.
class Served {
 public:
  Served(std::string path, Result<std::string> answer)
      : thread_([this, socket = std::move(path), said = std::move(answer)] {
          Loop loop;
          FakeSteering steering;
          steering.answers.insert_or_assign("import", said);
          Log log(STDERR_FILENO, Log::Format::kText, LogLevel::kError);
          auto server = AdminServer::open(
              socket, loop,
              [&](AdminRequest request) { return answer_admin(steering, std::move(request)); },
              log);
          EXPECT_TRUE(server);
          loop_ = &loop;
          ready_.set_value(loop.address());
          loop.run();
          calls = steering.calls.size();
        }),
        address_(ready_.get_future().get()) {}
  ~Served() { stop(); }
  Served(const Served&) = delete;

  void stop() {
    if (!thread_.joinable()) return;
    address_.post([this] { loop_->stop(); });
    thread_.join();
  }

  size_t calls = 0;  // once it is stopped

 private:
  Loop* loop_ = nullptr;
  std::promise<Mailbox::Address> ready_;
  std::thread thread_;
  Mailbox::Address address_;
};

class CliImportTest : public testing::Test {
 protected:
  CliImportTest() { add_lineage(tree_, "a.test", make_pair_of(ca_, {"a.test"})); }

  struct Ran {
    int code;
    std::string out, err;
  };
  Ran run(std::vector<std::string> words) {
    words.insert(words.begin(), {"latchkey", "import"});
    std::vector<char*> argv;
    argv.reserve(words.size());
    for (std::string& word : words) argv.push_back(word.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = run_import_verb(static_cast<int>(argv.size()), argv.data());
    const std::string out = testing::internal::GetCapturedStdout();
    return {code, out, testing::internal::GetCapturedStderr()};
  }
  Ran import(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {tree_.string(), "--state-dir", state_.string()});
    return run(std::move(more));
  }
  // Of a name in the store; nullopt: there is none.
  std::optional<CertificateInfo> info_of(std::string_view name) {
    Loop loop;
    Log log(STDERR_FILENO, Log::Format::kText, LogLevel::kError);
    SqliteStore::Options options;
    options.database = state_ / "latchkey.db";
    options.encryption_key_file = state_ / "encryption.key";
    auto store = SqliteStore::open(std::move(options), loop.address(), log);
    EXPECT_TRUE(store) << store.error().message;
    const auto record = test::run(loop, (*store)->find_name(*ServerName::parse(name), Slot::kMain));
    EXPECT_TRUE(record);
    return record ? record->info : std::nullopt;
  }

  const TestCa ca_;
  test::TempFolder folder_;
  const fs::path tree_ = folder_ / "letsencrypt", state_ = folder_ / "state";
};

TEST_F(CliImportTest, WithoutAProcessTheStoreIsWritten) {
  const Ran ran = import();
  EXPECT_EQ(ran.code, kOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("1 certificate: 1 taken."));
  ASSERT_TRUE(info_of("a.test"));
  EXPECT_EQ(info_of("a.test")->issuer, "imported");
  EXPECT_THAT(import().out, HasSubstr("1 already there"));
}

TEST_F(CliImportTest, TheIssuerIsTheConfigurations) {
  add_certbot_account(tree_, generate_rsa_key());
  const fs::path config = folder_ / "latchkey.json";
  test::write_text(config, std::string(R"({"state_dir": "state", "admin": {"socket": "a.sock"},
      "on_demand": {"allow": ["*.test"]}, "routes": [{"upstreams": ["http://127.0.0.1:1"]}],
      "issuers": [{"name": "mine", "acme": {"directory": ")") +
                               kDirectory + R"(", "accept_terms": true}}]})");
  const Ran ran = run({"--config", config.string(), tree_.string()});
  EXPECT_EQ(ran.code, kOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("1 ACME account: 1 taken."));
  ASSERT_TRUE(info_of("a.test"));
  EXPECT_EQ(info_of("a.test")->issuer, "mine");
  EXPECT_EQ(info_of("a.test")->account, kAccountUrl);
}

TEST_F(CliImportTest, ADryRunMakesNothing) {
  const Ran ran = import({"--dry-run"});
  EXPECT_EQ(ran.code, kOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("1 would be taken"));
  EXPECT_FALSE(fs::exists(state_));
  EXPECT_EQ(import().code, kOk);
  EXPECT_THAT(import({"--dry-run"}).out, HasSubstr("1 already there"));
}

TEST_F(CliImportTest, DamageIsAnExitCode) {
  fs::remove(tree_ / "live/a.test/privkey.pem");
  const Ran ran = import();
  EXPECT_EQ(ran.code, kFailure);
  EXPECT_THAT(ran.out, HasSubstr("privkey.pem: No such file or directory"));
}

// A batch that comes to nothing is done at once.
TEST_F(CliImportTest, AnAccountThatIsDamagedIsNotTheEndOfTheWorld) {
  add_certbot_account(tree_, generate_rsa_key());
  write_file(certbot_account_folder(tree_, "0123abcd") / "private_key.json", R"({"kty": "RSA"})");
  for (const char* const outcome : {"1 certificate: 1 taken.", "1 certificate: 1 already there."}) {
    const Ran ran = import();
    EXPECT_EQ(ran.code, kFailure) << ran.err;
    EXPECT_THAT(ran.out, HasSubstr(outcome));
    EXPECT_THAT(ran.out, HasSubstr("1 ACME account: 1 damaged."));
  }
}

TEST_F(CliImportTest, ALockedFolderNamesWhoHasIt) {
  fs::create_directories(state_);
  const auto lock = StateLock::acquire(state_);
  ASSERT_TRUE(lock);
  const Ran ran = import();
  EXPECT_EQ(ran.code, kFailure);
  EXPECT_THAT(ran.err, HasSubstr(std::to_string(::getpid())));
}

TEST_F(CliImportTest, AProcessThatRunsIsSentTheBatches) {
  fs::create_directories(state_);
  Served served(
      state_ / "admin.sock",
      std::string(R"({"certificates":[{"outcome":"kept","what":"a.test"}],"accounts":[]})"));
  const Ran ran = import();
  EXPECT_EQ(ran.code, kOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("1 newer kept"));
  EXPECT_FALSE(fs::exists(state_ / "latchkey.db"));
  const Ran named = run({"--socket", (state_ / "admin.sock").string(), tree_.string()});
  EXPECT_EQ(named.code, kOk) << named.err;
  served.stop();
  EXPECT_EQ(served.calls, 2u);
}

TEST_F(CliImportTest, WhatTheProcessRefusesEndsIt) {
  fs::create_directories(state_);
  for (const auto& answer : {Result<std::string>(Error{ErrorCode::kIo, "the disk is full"}),
                             Result<std::string>("{}")}) {
    const Served served(state_ / "admin.sock", answer);
    const Ran ran = import();
    EXPECT_EQ(ran.code, kFailure);
    EXPECT_THAT(ran.out, HasSubstr("Not all was looked at"));
    EXPECT_THAT(ran.out + ran.err, Not(HasSubstr("PRIVATE")));
  }
}

TEST_F(CliImportTest, AWrongCommandLineIsAnExitCodeOfItsOwn) {
  const std::string tree = tree_.string();
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {tree, "--format", "tar"},
                                                {tree, "--frob"},
                                                {tree, "--config", "x", "--state-dir", "y"},
                                                {"--state-dir", "x"}}) {
    EXPECT_EQ(run(words).code, kUsage);
  }
  EXPECT_EQ(run({tree, "--config", (folder_ / "none.json").string()}).code, kBadConfig);
  EXPECT_EQ(run({tree, "--socket", (folder_ / "none.sock").string()}).code, kFailure);
}

}  // namespace
}  // namespace latchkey::edge
