#include "edge/reloader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "tests/support/fd.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ReloaderTest : public testing::Test {
 protected:
  ReloaderTest() {
    config_.folder = folder_.path();
    test::write_text(folder_ / "names.txt", "a.test\n");
    config_.on_demand.allow_files = {"names.txt"};
  }

  Reloader& reloader() {
    if (!reloader_) {
      Reloader::Hooks hooks;
      hooks.reread = [this] { return on_disk_; };
      hooks.apply = [this](const Reloader::Snapshot& snapshot) {
        ++applied_;
        certificates_ = snapshot.config.certificates.size();
        challenge_route_ = snapshot.challenge_route;
      };
      hooks.apply_allowlist = [this](std::shared_ptr<const Allowlist> list) {
        lists_.push_back(std::move(list));
      };
      on_disk_ = config_;
      reloader_ = std::make_unique<Reloader>(config_, std::move(hooks), loop_.loop(), log_);
    }
    return *reloader_;
  }
  Reloader::Told tell(std::optional<Result<Reloaded>>& into) {
    return [&into](const Result<Reloaded>& outcome) { into = outcome; };
  }
  Result<Reloaded> reload() {
    std::optional<Result<Reloaded>> outcome;
    reloader().reload(tell(outcome));
    loop_.run_until([&] { return outcome.has_value(); });
    return *outcome;
  }
  // ... that is refused.
  void expect_refused(std::string_view why) {
    const int before = applied_;
    const auto outcome = reload();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(outcome.error().message, HasSubstr(why));
    EXPECT_EQ(applied_, before);
  }
  std::string logged() const {
    return test::read_text("/proc/self/fd/" + std::to_string(log_file_.get()));
  }

  test::TempFolder folder_;
  test::TestLoop loop_;
  test::Fd log_file_{memfd_create("log", MFD_CLOEXEC)};
  Log log_{log_file_.get(), Log::Format::kJson, LogLevel::kDebug};
  Config config_;  // what the process begins with
  Result<Config> on_disk_ = Error{};
  int applied_ = 0;
  size_t certificates_ = 0;
  std::shared_ptr<const RoutingTable> challenge_route_;
  std::vector<std::shared_ptr<const Allowlist>> lists_;  // for changes of files
  std::unique_ptr<Reloader> reloader_;
};

TEST_F(ReloaderTest, WhateverIsBadAboutTheConfigurationIsTheOperatorsToMend) {
  reloader();
  on_disk_ = Error{ErrorCode::kNotFound, "my.json: no such file"};
  expect_refused("my.json");
  on_disk_ = config_;
  on_disk_->on_demand.allow_files = {"gone.txt"};
  expect_refused("gone.txt");
  on_disk_ = config_;
  on_disk_->fallback.default_certificate = CertificateFiles{"none.crt", "none.key"};
  expect_refused("none.crt");
  on_disk_ = config_;
  on_disk_->on_demand.ask.emplace().token_file = "no-token";
  expect_refused("no-token");
  on_disk_ = config_;
  on_disk_->issuers.emplace_back().ca_file = "no-ca.pem";
  expect_refused("no-ca.pem");
  on_disk_ = config_;
  EXPECT_TRUE(reload());
  EXPECT_EQ(applied_, 1);
}

TEST_F(ReloaderTest, WithoutAFileThereIsNothingToRead) {
  Reloader shortly(config_, Reloader::Hooks(), loop_.loop(), log_);
  std::optional<Result<Reloaded>> outcome;
  shortly.reload(tell(outcome));
  ASSERT_TRUE(outcome && !*outcome);
  EXPECT_EQ(outcome->error().code, ErrorCode::kNotFound);
}

TEST_F(ReloaderTest, ARotatedFileThatOnlyAStartReadsIsNamed) {
  test::write_text(folder_ / "token", "first-secret\n");
  test::write_text(folder_ / "ca.pem", "-----BEGIN CERTIFICATE-----\n");
  config_.on_demand.ask.emplace().token_file = "token";
  Config::Issuer& issuer = config_.issuers.emplace_back();
  issuer.name = "own";
  issuer.ca_file = "ca.pem";
  EXPECT_THAT(reloader().needs_restart(), IsEmpty());
  EXPECT_THAT(reload()->needs_restart, IsEmpty());

  test::write_text(folder_ / "token", "other-secret\n");
  EXPECT_THAT(reload()->needs_restart, ElementsAre("on_demand.ask.token_file"));
  test::write_text(folder_ / "ca.pem", "-----BEGIN CERTIFICATE-----\nanother\n");
  const std::vector<std::string> both{"issuers[own].acme.ca_file", "on_demand.ask.token_file"};
  EXPECT_EQ(reload()->needs_restart, both);
  EXPECT_EQ(reloader().needs_restart(), both);
  EXPECT_THAT(logged(), HasSubstr("issuers[own].acme.ca_file,on_demand.ask.token_file"));
  EXPECT_THAT(logged(), Not(HasSubstr("secret")));

  test::write_text(folder_ / "token", "first-secret\n");  // back again
  test::write_text(folder_ / "other.pem", "-----BEGIN CERTIFICATE-----\n");
  on_disk_->issuers[0].ca_file = "other.pem";
  EXPECT_THAT(reload()->needs_restart, ElementsAre("issuers"));
}

TEST_F(ReloaderTest, ConfiguredCertificatesAndTheChallengeUpstreamAreTaken) {
  reloader();
  on_disk_->certificates.push_back({.pair = {}, .dir = "live"});
  on_disk_->challenge_upstream = "http://127.0.0.1:8888";
  const auto outcome = reload();
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->took_effect, ElementsAre("certificates", "challenge_upstream"));
  EXPECT_THAT(outcome->needs_restart, IsEmpty());
  EXPECT_EQ(certificates_, 1u);
  ASSERT_NE(challenge_route_, nullptr);
  EXPECT_EQ(challenge_route_->find("x.test", "/")->group->origins.front().text(), "127.0.0.1:8888");
  on_disk_->challenge_upstream.reset();
  ASSERT_TRUE(reload());
  EXPECT_EQ(challenge_route_, nullptr);
}

TEST_F(ReloaderTest, ATsigSecretThatWasRotatedIsNamed) {
  test::write_text(folder_ / "tsig", "c2VjcmV0");
  std::filesystem::permissions(
      folder_ / "tsig", std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  DnsConfig::Rfc2136& dns = config_.dns.emplace().rfc2136.emplace();
  dns.server = "192.0.2.1:53";
  dns.key_name = "acme";
  dns.secret_file = "tsig";
  reloader();
  test::write_text(folder_ / "tsig", "b3RoZXJzZWNyZXQ=");
  EXPECT_THAT(reload()->needs_restart, ElementsAre("dns.rfc2136.secret_file"));
  test::write_text(folder_ / "tsig", "not base64!");
  expect_refused("dns.rfc2136.secret_file");
}

TEST_F(ReloaderTest, AFilesChangeIsNotLostToAReloadThatFails) {
  reloader().files_changed();
  test::write_text(folder_ / "names.txt", "a.test\nb.test\n");
  reloader().files_changed();  // queued behind the first
  on_disk_->on_demand.allow_files = {"gone.txt"};
  std::optional<Result<Reloaded>> outcome;
  reloader().reload(tell(outcome));  // ... and served together with this one's
  loop_.run_until([&] { return outcome && lists_.size() == 2; });
  EXPECT_FALSE(*outcome);
  EXPECT_EQ(applied_, 0);
  EXPECT_EQ(lists_.back()->size(), 2u);
}

TEST_F(ReloaderTest, AFilesChangeDuringAReloadIsTakenAfterIt) {
  std::optional<Result<Reloaded>> outcome;
  reloader().reload(tell(outcome));
  test::write_text(folder_ / "names.txt", "a.test\nb.test\n");
  reloader().files_changed();
  loop_.run_until([&] { return outcome && lists_.size() == 1; });
  EXPECT_TRUE(*outcome);
  EXPECT_EQ(lists_.back()->size(), 2u);
}

}  // namespace
}  // namespace latchkey::edge
