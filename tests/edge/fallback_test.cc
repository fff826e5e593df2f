#include "edge/fallback.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

class FallbackTest : public testing::Test {
 protected:
  FallbackTest() { config.folder = folder.path(); }

  void write_pair(const std::string& name, WallTime not_after = TestCa::now() + 24h) {
    const PrivateKey key = generate_p256_key();
    test::write_text(folder / (name + ".crt"),
                     ca.issue_pem({name}, TestCa::now() - 48h, not_after, key));
    test::write_text(folder / (name + ".key"), private_key_pem(key));
  }
  static CertificateFiles pair(const std::string& name) { return {name + ".crt", name + ".key"}; }
  // What is logged while `act` runs.
  template <typename Act>
  static std::string logged(Act act) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    {
      Log log(ends[1], Log::Format::kJson, LogLevel::kDebug);
      act(log);
    }
    ::close(ends[1]);
    std::string text(65536, '\0');
    const ssize_t n = ::read(ends[0], text.data(), text.size());
    ::close(ends[0]);
    text.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
    return text;
  }

  const TestCa ca;
  test::TempFolder folder;
  Config config;
};

TEST_F(FallbackTest, WithoutKeysThereIsNone) {
  const auto fallback = Fallback::load(config);
  ASSERT_TRUE(fallback);
  EXPECT_EQ((*fallback)->no_sni, nullptr);
  EXPECT_EQ((*fallback)->parking, nullptr);
}

TEST_F(FallbackTest, FilesAreReadBesideTheConfiguration) {
  write_pair("default.test");
  write_pair("parking.test");
  config.fallback.default_certificate = pair("default.test");
  config.fallback.parking_certificate = pair("parking.test");
  config.fallback.self_signed_parking = true;
  const auto fallback = Fallback::load(config);
  ASSERT_TRUE(fallback) << fallback.error().message;
  EXPECT_EQ((*fallback)->no_sni->names(), std::vector<std::string>{"default.test"});
  EXPECT_EQ((*fallback)->parking->names(), std::vector<std::string>{"parking.test"})
      << "a configured one goes before ours";
  EXPECT_EQ(logged([&](Log& log) { (*fallback)->warn_of_expired(log, TestCa::now()); }), "");
}

TEST_F(FallbackTest, TheSelfSignedOneParsesAndLastsForTenYears) {
  config.fallback.self_signed_parking = true;
  const auto fallback = Fallback::load(config);
  ASSERT_TRUE(fallback) << fallback.error().message;
  const Certificate& parking = *(*fallback)->parking;
  EXPECT_EQ(parking.names(), std::vector<std::string>{"parking.invalid"});
  EXPECT_EQ(parking.issuer(), "latchkey parking");
  EXPECT_TRUE(parking.valid_at(TestCa::now()));
  EXPECT_TRUE(parking.valid_at(TestCa::now() + 24h * 3650));
  EXPECT_FALSE(parking.valid_at(TestCa::now() + 24h * 3653));
}

TEST_F(FallbackTest, AMistakeNamesTheKeyAndTheFile) {
  write_pair("one.test");
  write_pair("two.test");
  const auto complaint = [&](const CertificateFiles& files) {
    config.fallback.default_certificate = files;
    const auto fallback = Fallback::load(config);
    return fallback ? "" : fallback.error().message;
  };
  const std::string missing = complaint({"none.crt", "one.test.key"});
  EXPECT_NE(missing.find("fallback.default_certificate: cert_file: "), std::string::npos)
      << missing;
  EXPECT_NE(missing.find((folder / "none.crt").string()), std::string::npos) << missing;
  const std::string no_key = complaint({"one.test.crt", "one.test.crt"});
  EXPECT_NE(no_key.find("key_file: " + (folder / "one.test.crt").string()), std::string::npos)
      << no_key;
  const std::string mixed = complaint({"one.test.crt", "two.test.key"});
  EXPECT_NE(mixed.find("cert_file: " + (folder / "one.test.crt").string()), std::string::npos)
      << mixed;
}

TEST_F(FallbackTest, AStartTakesWhatIsGoodAndSaysWhatIsNot) {
  write_pair("good.test");
  write_pair("other.test");
  config.fallback.default_certificate = {"good.test.crt", "other.test.key"};
  config.fallback.parking_certificate = pair("good.test");
  std::shared_ptr<const Fallback> usable;
  const auto load = [&](Log& log) { usable = Fallback::load_usable(config, log); };
  const std::string mixed = logged(load);
  EXPECT_EQ(usable->no_sni, nullptr);
  EXPECT_NE(usable->parking, nullptr);
  for (const std::string& part :
       {std::string("fallback_unusable"), std::string(R"("key":"fallback.default_certificate")"),
        (folder / "good.test.crt").string(), std::string("reload")}) {
    EXPECT_NE(mixed.find(part), std::string::npos) << part << " in " << mixed;
  }
  EXPECT_EQ(mixed.find("fallback.parking_certificate"), std::string::npos) << mixed;

  config.fallback.default_certificate = pair("good.test");
  config.fallback.parking_certificate = {"good.test.crt", "none.key"};
  const std::string missing = logged(load);
  EXPECT_NE(usable->no_sni, nullptr);
  EXPECT_EQ(usable->parking, nullptr);
  EXPECT_NE(missing.find(R"("file":")" + (folder / "none.key").string()), std::string::npos)
      << missing;
}

TEST_F(FallbackTest, AReloadIsToldAllThatIsBad) {
  config.fallback.default_certificate = pair("none");
  config.fallback.parking_certificate = pair("neither");
  const auto fallback = Fallback::load(config);
  ASSERT_FALSE(fallback);
  EXPECT_NE(fallback.error().message.find("fallback.default_certificate"), std::string::npos);
  EXPECT_NE(fallback.error().message.find("\nfallback.parking_certificate"), std::string::npos);
}

TEST_F(FallbackTest, AnExpiredOneIsServedWithAWarning) {
  write_pair("default.test", TestCa::now() - 24h);
  config.fallback.default_certificate = pair("default.test");
  const auto fallback = Fallback::load(config);
  ASSERT_TRUE(fallback) << fallback.error().message;
  const std::string said =
      logged([&](Log& log) { (*fallback)->warn_of_expired(log, TestCa::now()); });
  EXPECT_NE(said.find("fallback_expired"), std::string::npos) << said;
  EXPECT_NE(said.find("fallback.default_certificate"), std::string::npos) << said;
}

}  // namespace
}  // namespace latchkey::edge
