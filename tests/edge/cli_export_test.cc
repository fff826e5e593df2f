#include "edge/cli_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "edge/cli_certs.h"
#include "edge/cli_options.h"
#include "edge/configured.h"
#include "tests/cache/store_fixture.h"

namespace latchkey::edge {
namespace {

using test::read_text;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

// The command beside a store that another process has open.
class CliExportTest : public StoreFixture {
 protected:
  int run_command(std::vector<std::string> args) {
    args.insert(args.begin(), {"latchkey", "certs", "export"});
    std::vector<char*> argv;
    argv.reserve(args.size());
    for (std::string& one : args) argv.push_back(one.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const auto code = run_certs_verb(static_cast<int>(argv.size()), argv.data());
    out = testing::internal::GetCapturedStdout();
    err = testing::internal::GetCapturedStderr();
    return code.value_or(-1);
  }
  int export_all(std::vector<std::string> names = {}) {
    names.insert(names.begin(), {"--to", dir.string(), "--state-dir", state.string()});
    return run_command(std::move(names));
  }
  std::string exported(const std::string& of) {
    const auto pair = read_pair({dir / of / "fullchain.pem", dir / of / "privkey.pem"});
    return pair ? (*pair)->serial() : pair.error().message;
  }

  const fs::path dir = folder / "out";
  std::string out, err;
};

TEST_F(CliExportTest, EverythingIsExportedWhileTheStoreIsOpen) {
  open();
  const CertificatePtr a = ca().issue({"a.test"}), b = ca().issue({"*.b.test"});
  put("a.test", a);
  put("*.b.test", b);
  EXPECT_EQ(export_all(), kOk) << err;
  EXPECT_THAT(out, HasSubstr("2 written, 0 as they were, 0 failed"));
  EXPECT_EQ(exported("a.test"), a->serial());
  EXPECT_EQ(exported("_.b.test"), b->serial());
  EXPECT_EQ(export_all(), kOk);
  EXPECT_THAT(out, HasSubstr("0 written, 2 as they were, 0 failed"));
  const CertificatePtr again = ca().issue({"a.test"});
  put("a.test", again);
  EXPECT_EQ(export_all(), kOk);
  EXPECT_EQ(exported("a.test"), again->serial());
}

TEST_F(CliExportTest, AStoreThatNobodyHasOpenIsReadToo) {
  open();
  const CertificatePtr a = ca().issue({"a.test"});
  put("a.test", a);
  store.reset();
  EXPECT_EQ(export_all(), kOk) << err;
  EXPECT_EQ(exported("a.test"), a->serial());
  open();  // nothing that it left behind is in the way
  EXPECT_EQ(found_serial("a.test"), a->serial());
}

TEST_F(CliExportTest, TheTwinIsExportedBesideIt) {
  open();
  const CertificatePtr main = ca().issue({"a.test"});
  const CertificatePtr twin =
      ca().issue({"a.test"}, TestCa::now() - std::chrono::hours(1),
                 TestCa::now() + std::chrono::hours(24), generate_rsa_key());
  put("a.test", main);
  CertificateOrigin origin("ca");
  origin.slot = Slot::kRsa;
  done(store->put_certificate(name("a.test"), twin, origin));
  EXPECT_EQ(export_all(), kOk);
  EXPECT_EQ(exported("a.test.rsa"), twin->serial());
  fs::remove_all(dir);
  EXPECT_EQ(export_all({"a.test"}), kOk);
  EXPECT_THAT(out, HasSubstr("2 written"));
  EXPECT_EQ(exported("a.test"), main->serial());
  EXPECT_EQ(exported("a.test.rsa"), twin->serial());
}

TEST_F(CliExportTest, OneOfManyThatFailsIsNamedAndTheRestIsWritten) {
  open();
  const CertificatePtr a = ca().issue({"a.test"});
  put("a.test", a);
  put("b.test", ca().issue({"b.test"}));
  fs::create_directories(dir);
  test::write_text(dir / "b.test", "in the way");
  EXPECT_EQ(export_all(), kFailure);
  EXPECT_THAT(out, HasSubstr("1 written, 0 as they were, 1 failed"));
  EXPECT_THAT(err, HasSubstr("b.test: "));
  EXPECT_EQ(exported("a.test"), a->serial());
}

TEST_F(CliExportTest, ANameThatIsNotStoredIsAFailure) {
  open();
  put("a.test", ca().issue({"a.test"}));
  EXPECT_EQ(export_all({"a.test", "c.test"}), kFailure);
  EXPECT_THAT(out, HasSubstr("1 written, 0 as they were, 1 failed"));
  EXPECT_THAT(err, HasSubstr("c.test: the store has no certificate for it"));
  EXPECT_FALSE(fs::exists(dir / "c.test"));
}

TEST_F(CliExportTest, AFolderWithoutAStoreIsAnErrorAndStaysEmpty) {
  const test::TempFolder empty;
  EXPECT_EQ(run_command({"--to", dir.string(), "--state-dir", empty.path().string()}), kFailure);
  EXPECT_THAT(err, HasSubstr(empty.path().string()));
  EXPECT_TRUE(fs::is_empty(empty.path()));
}

TEST_F(CliExportTest, WrongArgumentsAreSaid) {
  EXPECT_EQ(run_command({}), kUsage);
  EXPECT_THAT(err, HasSubstr("--to DIR is missing"));
  EXPECT_EQ(run_command({"--to", "x", "--state-dir", "y", "--config", "z"}), kUsage);
  EXPECT_EQ(run_command({"--to", "x", "not a name"}), kUsage);
  EXPECT_EQ(run_command({"--to", "x", "--config", (state / "none.json").string()}), kBadConfig);
}

}  // namespace
}  // namespace latchkey::edge
