#include "edge/exporter.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/configured.h"
#include "tests/support/fake_store.h"
#include "tests/support/fd.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using test::read_text;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

ServerName name(std::string_view text) {
  return text.starts_with("*.") ? *ServerName::parse_wildcard(text) : *ServerName::parse(text);
}

mode_t mode_of(const fs::path& file) {
  struct stat found {};
  EXPECT_EQ(::stat(file.c_str(), &found), 0) << file;
  return found.st_mode & 0777;
}

class ExportTest : public testing::Test {
 protected:
  // What lies there, read as a daemon would.
  std::string exported(const std::string& of) {
    const auto pair = read_pair({dir / of / "fullchain.pem", dir / of / "privkey.pem"});
    return pair ? (*pair)->serial() : pair.error().message;
  }

  test::TempFolder folder;
  const fs::path dir = folder / "export";
  const TestCa ca;
};

using ExportCertificateTest = ExportTest;

TEST_F(ExportCertificateTest, TheFilesAreNamedAsCertbotNamesThem) {
  const CertificatePtr a = ca.issue({"a.test"});
  const auto written = export_certificate(dir, name("a.test"), Slot::kMain, *a);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_TRUE(*written);
  EXPECT_EQ(exported("a.test"), a->serial());
  const std::string cert = read_text(dir / "a.test/cert.pem");
  const std::string chain = read_text(dir / "a.test/chain.pem");
  EXPECT_EQ(read_text(dir / "a.test/fullchain.pem"), cert + chain);
  EXPECT_EQ(chain, ca.intermediate_pem);
  EXPECT_EQ(mode_of(dir), 0700u);
  EXPECT_EQ(mode_of(dir / "a.test"), 0700u);
  EXPECT_EQ(mode_of(dir / "a.test/privkey.pem"), 0600u);
  EXPECT_EQ(mode_of(dir / "a.test/fullchain.pem"), 0644u);
}

TEST_F(ExportCertificateTest, WildcardsAndTwinsHaveFoldersOfTheirOwn) {
  const CertificatePtr wild = ca.issue({"*.a.test"}), twin = ca.issue({"a.test"});
  ASSERT_TRUE(export_certificate(dir, name("*.a.test"), Slot::kMain, *wild));
  ASSERT_TRUE(export_certificate(dir, name("a.test"), Slot::kRsa, *twin));
  EXPECT_EQ(exported("_.a.test"), wild->serial());
  EXPECT_EQ(exported("a.test.rsa"), twin->serial());
}

TEST_F(ExportCertificateTest, WhatIsTheSameIsLeftAlone) {
  const CertificatePtr a = ca.issue({"a.test"});
  ASSERT_TRUE(export_certificate(dir, name("a.test"), Slot::kMain, *a));
  struct stat before {
  }, after{};
  ::stat((dir / "a.test/fullchain.pem").c_str(), &before);
  int asked = 0;
  const auto again = export_certificate(dir, name("a.test"), Slot::kMain, *a, [&]() -> Result<> {
    ++asked;
    return Unit{};
  });
  ASSERT_TRUE(again);
  EXPECT_FALSE(*again);
  EXPECT_EQ(asked, 0);
  ::stat((dir / "a.test/fullchain.pem").c_str(), &after);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST_F(ExportCertificateTest, WhatIsNoFileIsReplacedAndHandsDownNothing) {
  fs::create_directories(dir / "a.test");
  ASSERT_EQ(::mkfifo((dir / "a.test/privkey.pem").c_str(), 0644), 0);  // reading would never end
  const CertificatePtr a = ca.issue({"a.test"});
  ASSERT_TRUE(export_certificate(dir, name("a.test"), Slot::kMain, *a));
  EXPECT_EQ(exported("a.test"), a->serial());
  EXPECT_EQ(mode_of(dir / "a.test/privkey.pem"), 0600u);
}

TEST_F(ExportCertificateTest, PermissionsThatSomebodyHasChosenStay) {
  ASSERT_TRUE(export_certificate(dir, name("a.test"), Slot::kMain, *ca.issue({"a.test"})));
  ::chmod((dir / "a.test").c_str(), 0750);
  ::chmod((dir / "a.test/privkey.pem").c_str(), 0640);
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::chown((dir / "a.test/privkey.pem").c_str(), 12, 34), 0);
  }
  ASSERT_TRUE(export_certificate(dir, name("a.test"), Slot::kMain, *ca.issue({"a.test"})));
  EXPECT_EQ(mode_of(dir / "a.test"), 0750u);
  EXPECT_EQ(mode_of(dir / "a.test/privkey.pem"), 0640u);
  if (!root) return;
  struct stat found {};
  ::stat((dir / "a.test/privkey.pem").c_str(), &found);
  EXPECT_EQ(found.st_uid, 12u);
  EXPECT_EQ(found.st_gid, 34u);
}

TEST_F(ExportCertificateTest, ACrashBetweenKeyAndChainIsMendedByTheNextExport) {
  const CertificatePtr old = ca.issue({"a.test"}), fresh = ca.issue({"a.test"});
  ASSERT_TRUE(export_certificate(dir, name("a.test"), Slot::kMain, *old));
  // As far as the crash let it come.
  test::write_text(dir / "a.test/privkey.pem", latchkey::private_key_pem(fresh->key()));
  EXPECT_THAT(exported("a.test"), HasSubstr("does not belong"));
  const auto mended = export_certificate(dir, name("a.test"), Slot::kMain, *fresh);
  ASSERT_TRUE(mended);
  EXPECT_TRUE(*mended);
  EXPECT_EQ(exported("a.test"), fresh->serial());
}

TEST_F(ExportCertificateTest, ErrorsNameTheFileAndLeaveNothingBehind) {
  fs::create_directories(dir / "a.test/fullchain.pem");  // cannot be replaced by a file
  const auto failed = export_certificate(dir, name("a.test"), Slot::kMain, *ca.issue({"a.test"}));
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("a.test/fullchain.pem"));
  for (const auto& entry : fs::directory_iterator(dir / "a.test")) {
    EXPECT_EQ(entry.path().extension(), ".pem") << entry.path();
  }
}

// On a real loop and real files, with a time of its own.
class ExporterTest : public ExportTest {
 protected:
  ExporterTest() : log_file(::open((folder / "log").c_str(), O_RDWR | O_CREAT | O_APPEND, 0600)) {
    log.set_rate_limit(false);
    config.dir = dir.string();
  }
  void hook(const std::string& script) {
    const auto file = folder / "hook";
    test::write_text(file, "#!/bin/sh\nout=" + folder.path().string() + "\n" + script + "\n");
    ::chmod(file.c_str(), 0700);
    HookConfig config_of;
    config_of.program = file.string();
    config.hook = config_of;
  }
  void start() {
    exporter = std::make_unique<Exporter>(config, store, loop.uv(), clock, log, 20);
    store.on_stored([this](const ServerName& of, Slot slot, const CertificatePtr& certificate) {
      if (exporter != nullptr) exporter->stored(of, slot, certificate);
    });
    exporter->start();
  }
  // A new certificate is stored, as an order's end does it.
  CertificatePtr put(std::string_view of, Slot slot = Slot::kMain) {
    const CertificatePtr fresh =
        slot == Slot::kRsa
            ? ca.issue({std::string(of)}, TestCa::now() - 1h, TestCa::now() + 24h, rsa)
            : ca.issue({std::string(of)});
    CertificateOrigin origin("ca");
    origin.slot = slot;
    EXPECT_TRUE(loop.finish(store.put_certificate(name(of), fresh, origin)));
    return fresh;
  }
  // What takes no time by the clock.
  bool settle() {
    return loop.run_until([&] {
      clock.advance(0ms);
      return exporter->idle();
    });
  }
  // Until nothing is left to do, but for no longer than `limit`.
  bool rest(Millis limit = 10s) {
    const TimePoint end = clock.now() + limit;
    while (settle() && !exporter->at_rest() && clock.now() < end) clock.advance(100ms);
    return settle() && exporter->at_rest();
  }
  bool written(std::string_view file) {
    return loop.run_until([&] { return !read_text(folder / file).empty(); });
  }
  std::string logged() { return read_text(folder / "log"); }

  test::Fd log_file;
  Log log{log_file.get(), Log::Format::kText, LogLevel::kDebug};
  test::TestLoop loop;
  ManualClock clock;
  FakeStore store;
  ExportConfig config;
  const PrivateKey rsa = generate_rsa_key();
  std::unique_ptr<Exporter> exporter;
};

TEST_F(ExporterTest, WhatIsMissingIsWrittenAtTheStart) {
  std::vector<CertificatePtr> all;
  all.reserve(105);
  for (int i = 0; i < 105; ++i) all.push_back(put("n" + std::to_string(i) + ".test"));
  const CertificatePtr twin = put("n7.test", Slot::kRsa), wild = put("*.w.test");
  start();
  ASSERT_TRUE(rest());
  for (int i = 0; i < 105; ++i) {
    EXPECT_EQ(exported("n" + std::to_string(i) + ".test"), all[static_cast<size_t>(i)]->serial());
  }
  EXPECT_EQ(exported("n7.test.rsa"), twin->serial());
  EXPECT_EQ(exported("_.w.test"), wild->serial());
  EXPECT_EQ(exporter->counts().written.value(), 107u);
}

TEST_F(ExporterTest, ARestartWritesNothingAgain) {
  put("a.test");
  start();
  ASSERT_TRUE(rest());
  start();
  ASSERT_TRUE(rest());
  EXPECT_EQ(exporter->counts().written.value(), 0u);
}

TEST_F(ExporterTest, WhatIsStoredIsWritten) {
  start();
  ASSERT_TRUE(rest());
  const CertificatePtr first = put("a.test");
  ASSERT_TRUE(rest());
  EXPECT_EQ(exported("a.test"), first->serial());
  put("a.test");
  const CertificatePtr last = put("a.test");
  ASSERT_TRUE(rest());
  EXPECT_EQ(exported("a.test"), last->serial());
}

TEST_F(ExporterTest, WhileHeldItWritesAndTellsNothing) {
  hook("cat >> $out/told");
  start();
  ASSERT_TRUE(rest());
  const CertificatePtr first = put("a.test");
  settle();
  exporter->hold();
  EXPECT_FALSE(exporter->busy());
  const CertificatePtr second = put("b.test");
  clock.advance(0ms);
  clock.advance(1h);
  EXPECT_EQ(exported("a.test"), first->serial());
  EXPECT_FALSE(fs::exists(dir / "b.test"));
  EXPECT_FALSE(fs::exists(folder / "told"));
  exporter->release();
  ASSERT_TRUE(rest());
  EXPECT_EQ(exported("b.test"), second->serial());
  EXPECT_TRUE(written("told"));
}

TEST_F(ExporterTest, StoppedItBeginsAnewLater) {
  start();
  ASSERT_TRUE(rest());
  exporter->hold();
  exporter->stop();
  put("a.test");
  clock.advance(1h);
  EXPECT_FALSE(fs::exists(dir / "a.test"));
  exporter->release();
  exporter->start();
  ASSERT_TRUE(rest());
  EXPECT_TRUE(fs::exists(dir / "a.test/fullchain.pem"));
}

TEST_F(ExporterTest, ACrashBetweenKeyAndChainIsMendedAtTheStart) {
  put("a.test");
  start();
  ASSERT_TRUE(rest());
  exporter.reset();
  const CertificatePtr fresh = put("a.test");
  test::write_text(dir / "a.test/privkey.pem", latchkey::private_key_pem(fresh->key()));
  start();
  ASSERT_TRUE(rest());
  EXPECT_EQ(exported("a.test"), fresh->serial());
}

TEST_F(ExporterTest, TheHookRunsOnceAfterABurst) {
  hook("cat >> $out/told; echo -- >> $out/told; env > $out/env");
  start();
  ASSERT_TRUE(rest());
  EXPECT_EQ(exporter->counts().hooks.value(), 0u);
  put("a.test");
  settle();
  clock.advance(1900ms);
  put("*.b.test");
  settle();
  clock.advance(1900ms);
  settle();
  EXPECT_EQ(read_text(folder / "told"), "");
  clock.advance(100ms);
  ASSERT_TRUE(rest());
  EXPECT_EQ(read_text(folder / "told"), "*.b.test\na.test\n--\n");
  EXPECT_THAT(read_text(folder / "env"), HasSubstr("LATCHKEY_EXPORT_DIR=" + dir.string()));
  EXPECT_FALSE(fs::exists(dir / ".hook-pending"));
}

TEST_F(ExporterTest, ABurstThatDoesNotEndIsToldOfAfterThirtySeconds) {
  hook("cat >> $out/told; echo -- >> $out/told");
  start();
  ASSERT_TRUE(rest());
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(exporter->counts().hooks.value(), 0u) << i;
    put("n" + std::to_string(i) + ".test");
    settle();
    clock.advance(1s);
    settle();
  }
  EXPECT_EQ(exporter->counts().hooks.value(), 1u);
  ASSERT_TRUE(rest());
}

TEST_F(ExporterTest, AHookThatFailsIsRunAgainWithTheSameNames) {
  hook("cat >> $out/told; [ -e $out/good ] || { echo 'no such unit' >&2; exit 5; }");
  start();
  put("a.test");
  rest(3s);
  EXPECT_EQ(read_text(folder / "told"), "a.test\n");
  EXPECT_THAT(logged(), HasSubstr("ended with code 5; run again in 1 min"));
  EXPECT_THAT(logged(), HasSubstr("no such unit"));
  put("b.test");
  rest(50s);
  EXPECT_EQ(read_text(folder / "told"), "a.test\n");
  test::write_text(folder / "good", "");
  ASSERT_TRUE(rest(20s));
  EXPECT_EQ(read_text(folder / "told"), "a.test\na.test\nb.test\n");
}

TEST_F(ExporterTest, WhatTheHookWasNotToldOfItIsToldAfterACrash) {
  hook("cat >> $out/told");
  start();
  put("a.test");
  put("b.test");
  settle();
  ASSERT_TRUE(loop.run_until([&] { return exporter->counts().written.value() == 2; }));
  exporter.reset();  // before the two seconds are over
  EXPECT_EQ(read_text(folder / "told"), "");
  start();
  ASSERT_TRUE(rest());
  EXPECT_EQ(exporter->counts().written.value(), 0u);
  EXPECT_EQ(read_text(folder / "told"), "a.test\nb.test\n");
  start();
  ASSERT_TRUE(rest());
  EXPECT_EQ(exporter->counts().hooks.value(), 0u);
}

TEST_F(ExporterTest, AHookThatCannotBeRunIsReported) {
  hook("exit 0");
  fs::remove(folder / "hook");
  start();
  put("a.test");
  rest(3s);
  EXPECT_THAT(logged(), HasSubstr("was not run: "));
  EXPECT_THAT(logged(), HasSubstr("No such file"));
  EXPECT_EQ(exporter->counts().hooks_failed.value(), 1u);
}

TEST_F(ExporterTest, WhatFailsIsTriedAgainAndStopsNothingElse) {
  fs::create_directories(dir);
  test::write_text(dir / "a.test", "in the way");
  start();
  put("a.test");
  const CertificatePtr b = put("b.test");
  rest(59s);
  EXPECT_EQ(exported("b.test"), b->serial());
  EXPECT_EQ(exporter->counts().failed.value(), 1u);
  EXPECT_THAT(logged(), HasSubstr("export_failed"));
  EXPECT_THAT(logged(), HasSubstr("is no folder"));
  rest(2s);
  EXPECT_EQ(exporter->counts().failed.value(), 2u);  // after a minute
  rest(118s);
  EXPECT_EQ(exporter->counts().failed.value(), 2u);
  fs::remove(dir / "a.test");
  const CertificatePtr a = put("a.test");
  ASSERT_TRUE(rest(121s));  // after two more
  EXPECT_EQ(exported("a.test"), a->serial());
}

TEST_F(ExporterTest, AStoreThatFailsIsReadAgain) {
  const CertificatePtr a = put("a.test");
  store.broken = Error{ErrorCode::kIo, "the disk is gone"};
  start();
  rest(30s);
  EXPECT_THAT(logged(), HasSubstr("the disk is gone"));
  store.broken.reset();
  ASSERT_TRUE(rest(61s));
  EXPECT_EQ(exported("a.test"), a->serial());
}

TEST_F(ExporterTest, AFloodIsBoundedAndNothingIsLost) {
  start();
  ASSERT_TRUE(rest());
  const CertificatePtr one = ca.issue({"a.test"});
  for (int i = 0; i < 60; ++i) {  // in one turn of the loop
    Task<> putting = store.put_certificate(name("n" + std::to_string(i) + ".test"), one, "ca");
    putting.start();
  }
  ASSERT_TRUE(rest());
  for (int i = 0; i < 60; ++i) {
    EXPECT_TRUE(fs::exists(dir / ("n" + std::to_string(i) + ".test") / "fullchain.pem")) << i;
  }
}

// What is stored while the store is being listed.
TEST_F(ExporterTest, AFloodDuringTheFirstLookLosesNothing) {
  store.clock = &clock;
  store.delay = 10ms;
  start();
  const CertificatePtr one = ca.issue({"a.test"});
  std::vector<Task<>> puts;
  puts.reserve(60);
  for (int i = 0; i < 60; ++i) {
    puts.push_back(store.put_certificate(name("n" + std::to_string(i) + ".test"), one, "ca"));
    puts.back().start();
  }
  ASSERT_TRUE(loop.run_until([&] {
    clock.advance(1ms);
    return exporter->at_rest() && puts.back().done();
  }));
  for (int i = 0; i < 60; ++i) {
    EXPECT_TRUE(fs::exists(dir / ("n" + std::to_string(i) + ".test") / "fullchain.pem")) << i;
  }
}

TEST_F(ExporterTest, ItMayGoAtEachWait) {
  hook("echo x > $out/up; exec sleep 1000");
  for (int wait = 0; wait < 6; ++wait) {
    fs::remove_all(dir);
    fs::remove(folder / "up");
    store.clock = nullptr;
    put("a.test");
    store.clock = &clock;
    store.delay = 10ms;
    start();
    for (int i = 0; i < wait; ++i) {
      for (int turns = 0; turns < 10; ++turns) loop.turn();
      clock.advance(i < 4 ? 10ms : 3s);
    }
    if (wait == 5) {
      ASSERT_TRUE(written("up"));
    }
    exporter.reset();
    for (int turns = 0; turns < 10; ++turns) loop.turn();
    EXPECT_EQ(clock.pending(), 0u) << wait;
  }
}

}  // namespace
}  // namespace latchkey::edge
