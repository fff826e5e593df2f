#include "edge/configured.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "cache/pem.h"
#include "tests/support/fd.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using test::read_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
namespace fs = std::filesystem;

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// On a real loop and real files, but with a time of its own: a look happens when a test says so.
class ConfiguredTest : public testing::Test {
 protected:
  ConfiguredTest() : log_file(::open((folder / "log").c_str(), O_RDWR | O_CREAT | O_APPEND, 0600)) {
    log.set_rate_limit(false);
    config.folder = folder.path();
    fs::create_directory(folder / "live");
  }

  void configure_pair(const std::string& cert, const std::string& key) {
    config.certificates.push_back({.pair = CertificateFiles{cert, key}});
  }
  void configure_folder(const std::string& dir) { config.certificates.push_back({.dir = dir}); }
  void start() {
    configured = std::make_unique<Configured>(loop.uv(), clock, log,
                                              [this](std::vector<ConfiguredCertificate> all) {
                                                ++calls;
                                                served = std::move(all);
                                              });
    configured->set(config);
  }
  // One interval passes, with the look, and the reading, that it brings.
  void look() {
    clock.advance(500ms);
    loop.run_until([this] { return clock.pending() == 1; });
  }
  void look(int times) {
    while (times-- > 0) look();
  }

  // The files of a certificate, as certbot lays them out.
  void put(const std::string& lineage, const CertificatePtr& certificate) {
    fs::create_directories(folder / lineage);
    put_cert(lineage + "/fullchain.pem", certificate);
    put_key(lineage + "/privkey.pem", certificate);
  }
  void put_cert(const std::string& file, const CertificatePtr& certificate) {
    std::string pem;
    for (const std::string& der : certificate->chain_der()) pem += certificate_pem(der);
    replace(file, pem);
  }
  void put_key(const std::string& file, const CertificatePtr& certificate) {
    replace(file, pkcs8_pem(private_key_to_der(certificate->key())));
  }
  void replace(const std::string& file, const std::string& text) {
    test::write_text(folder / ".new", text);
    fs::rename(folder / ".new", folder / file);
  }
  // What certbot does: numbered files, and links that are turned to them one by one.
  void put_numbered(const std::string& name, int number, const CertificatePtr& certificate) {
    const std::string archive = "archive/" + name + "/";
    fs::create_directories(folder / archive);
    fs::create_directories(folder / ("live/" + name));
    put_cert(archive + "fullchain" + std::to_string(number) + ".pem", certificate);
    put_key(archive + "privkey" + std::to_string(number) + ".pem", certificate);
  }
  void turn(const std::string& name, const std::string& kind, int number) {
    const fs::path link = folder / ("live/" + name + "/" + kind + ".pem");
    fs::remove(link);
    fs::create_symlink("../../archive/" + name + "/" + kind + std::to_string(number) + ".pem",
                       link);
  }

  std::vector<std::string> serials() const {
    std::vector<std::string> out;
    out.reserve(served.size());
    for (const ConfiguredCertificate& one : served) out.push_back(one.certificate->serial());
    return out;
  }
  std::string logged() { return read_text(folder / "log"); }

  test::TempFolder folder;
  test::Fd log_file;
  Log log{log_file.get(), Log::Format::kText, LogLevel::kDebug};
  test::TestLoop loop;
  ManualClock clock;
  const TestCa ca;
  Config config;
  std::vector<ConfiguredCertificate> served;
  int calls = 0;
  std::unique_ptr<Configured> configured;
};

TEST_F(ConfiguredTest, APairIsServedFromTheStartOn) {
  const CertificatePtr a = ca.issue({"a.test", "b.test"});
  put(".", a);
  configure_pair("fullchain.pem", "privkey.pem");
  start();
  EXPECT_EQ(calls, 1);
  ASSERT_THAT(serials(), ElementsAre(a->serial()));
  EXPECT_EQ(served[0].source, (folder / "fullchain.pem").string());
  EXPECT_EQ(configured->size(), 1u);
  look(10);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(count(logged(), "configured_certificate:"), 1u);
}

TEST_F(ConfiguredTest, NothingConfiguredIsTold) {
  start();
  EXPECT_EQ(calls, 1);
  EXPECT_THAT(served, IsEmpty());
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(ConfiguredTest, AReplacedPairIsSwappedAtTheFirstQuietLook) {
  put("live/a", ca.issue({"a.test"}));
  configure_folder("live");
  start();
  const CertificatePtr fresh = ca.issue({"a.test"});
  put("live/a", fresh);
  look();
  EXPECT_EQ(calls, 1);
  look();
  EXPECT_EQ(calls, 2);
  EXPECT_THAT(serials(), ElementsAre(fresh->serial()));
  look(5);
  EXPECT_EQ(calls, 2);
}

// The race: the certificate is replaced at one moment, its key at another.
TEST_F(ConfiguredTest, ACertificateWhoseKeyComesLaterWaitsForIt) {
  const CertificatePtr old = ca.issue({"a.test"});
  put("live/a", old);
  configure_folder("live");
  start();
  const CertificatePtr fresh = ca.issue({"a.test"});
  put_cert("live/a/fullchain.pem", fresh);
  look(5);
  EXPECT_EQ(calls, 1);
  EXPECT_THAT(serials(), ElementsAre(old->serial()));
  EXPECT_EQ(count(logged(), "error configured_unusable:"), 1u);  // said once
  EXPECT_THAT(logged(), HasSubstr("does not belong to the private key"));
  EXPECT_THAT(logged(), HasSubstr("is served on"));
  put_key("live/a/privkey.pem", fresh);
  look(2);
  EXPECT_THAT(serials(), ElementsAre(fresh->serial()));
}

TEST_F(ConfiguredTest, AKeyThatComesFirstWaitsForItsCertificate) {
  const CertificatePtr old = ca.issue({"a.test"});
  put("live/a", old);
  configure_folder("live");
  start();
  const CertificatePtr fresh = ca.issue({"a.test"});
  put_key("live/a/privkey.pem", fresh);
  look(3);
  EXPECT_THAT(serials(), ElementsAre(old->serial()));
  put_cert("live/a/fullchain.pem", fresh);
  look(2);
  EXPECT_THAT(serials(), ElementsAre(fresh->serial()));
}

TEST_F(ConfiguredTest, APairThatIsWholeAtTheNextLookIsNotComplainedOf) {
  put("live/a", ca.issue({"a.test"}));
  configure_folder("live");
  start();
  const CertificatePtr fresh = ca.issue({"a.test"});
  put_cert("live/a/fullchain.pem", fresh);
  look();
  put_key("live/a/privkey.pem", fresh);
  look(2);
  EXPECT_THAT(serials(), ElementsAre(fresh->serial()));
  EXPECT_THAT(logged(), Not(HasSubstr("configured_unusable")));
}

// A write between the look and the reading: whatever was read, the next look sees the change.
TEST_F(ConfiguredTest, AChangeWhileItIsReadIsSeenByTheNextLook) {
  const CertificatePtr old = ca.issue({"a.test"});
  put("live/a", old);
  configure_folder("live");
  start();
  const CertificatePtr second = ca.issue({"a.test"}), third = ca.issue({"a.test"});
  put("live/a", second);
  look();
  clock.advance(500ms);  // the look is under way in the pool
  put_cert("live/a/fullchain.pem", third);
  loop.run_until([this] { return clock.pending() == 1; });
  EXPECT_EQ(serials().size(), 1u);
  put_key("live/a/privkey.pem", third);
  look(3);
  EXPECT_THAT(serials(), ElementsAre(third->serial()));
}

TEST_F(ConfiguredTest, CertbotsLinksAreTurnedOneByOne) {
  const CertificatePtr old = ca.issue({"a.test"}), fresh = ca.issue({"a.test"});
  put_numbered("a", 1, old);
  turn("a", "fullchain", 1);
  turn("a", "privkey", 1);
  test::write_text(folder / "live/README", "do not move");
  configure_folder("live");
  start();
  EXPECT_THAT(serials(), ElementsAre(old->serial()));
  put_numbered("a", 2, fresh);
  turn("a", "privkey", 2);
  look();
  turn("a", "fullchain", 2);
  look();
  EXPECT_THAT(serials(), ElementsAre(old->serial()));
  look();
  EXPECT_THAT(serials(), ElementsAre(fresh->serial()));
  EXPECT_THAT(logged(), Not(HasSubstr("error ")));
}

TEST_F(ConfiguredTest, ANewEntryOfAFolderIsServed) {
  configure_folder("live");
  start();
  EXPECT_THAT(served, IsEmpty());
  EXPECT_THAT(logged(), HasSubstr("holds no certificates"));
  put("live/a", ca.issue({"a.test"}));
  look(2);
  EXPECT_EQ(served.size(), 1u);
  put("live/b", ca.issue({"b.test"}));
  look(2);
  EXPECT_EQ(served.size(), 2u);
}

TEST_F(ConfiguredTest, PairsSideBySideAreFound) {
  const CertificatePtr a = ca.issue({"a.test"}), b = ca.issue({"b.test"});
  put_cert("live/a.crt", a);
  put_key("live/a.key", a);
  put_cert("live/b.pem", b);
  put_key("live/b.key", b);
  test::write_text(folder / "live/dhparam.pem", "x");
  test::write_text(folder / "live/lonely.key", "x");
  fs::create_directory(folder / "live/..data");
  configure_folder("live/");
  start();
  EXPECT_EQ(served.size(), 2u);
  EXPECT_EQ(count(logged(), "lonely.key has no certificate beside it"), 1u);
  look(5);
  EXPECT_EQ(count(logged(), "lonely.key"), 1u);
}

TEST_F(ConfiguredTest, AMountedSecretIsSwappedByItsLink) {
  // As Kubernetes mounts a Secret: tls.crt -> ..data/tls.crt, ..data -> a folder of each version.
  const CertificatePtr old = ca.issue({"a.test"}), fresh = ca.issue({"a.test"});
  for (const auto& [version, one] : {std::pair("..v1", old), std::pair("..v2", fresh)}) {
    const std::string dir = std::string("live/") + version;
    fs::create_directory(folder / dir);
    put_cert(dir + "/tls.crt", one);
    put_key(dir + "/tls.key", one);
  }
  fs::create_directory_symlink("..v1", folder / "live/..data");
  fs::create_symlink("..data/tls.crt", folder / "live/tls.crt");
  fs::create_symlink("..data/tls.key", folder / "live/tls.key");
  configure_folder("live");
  start();
  EXPECT_THAT(serials(), ElementsAre(old->serial()));
  fs::create_directory_symlink("..v2", folder / "live/..tmp");
  fs::rename(folder / "live/..tmp", folder / "live/..data");
  look(2);
  EXPECT_THAT(serials(), ElementsAre(fresh->serial()));
}

TEST_F(ConfiguredTest, AVanishedPairIsKeptAndWarnedOf) {
  put("live/a", ca.issue({"a.test"}));
  configure_folder("live");
  start();
  fs::remove(folder / "live/a/fullchain.pem");
  fs::remove(folder / "live/a/privkey.pem");
  look(5);
  EXPECT_EQ(served.size(), 1u);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(count(logged(), "warning configured_missing:"), 1u);
}

TEST_F(ConfiguredTest, ALineageThatIsGoneIsLetGo) {
  const CertificatePtr b = ca.issue({"b.test"});
  put("live/a", ca.issue({"a.test"}));
  put("live/b", b);
  configure_folder("live");
  start();
  fs::remove_all(folder / "live/a");
  look();
  EXPECT_EQ(served.size(), 2u);  // it may be moved back
  look();
  EXPECT_THAT(serials(), ElementsAre(b->serial()));
  EXPECT_THAT(logged(), HasSubstr("configured_released"));
}

TEST_F(ConfiguredTest, ALineageThatIsMovedAsideForAMomentStays) {
  const CertificatePtr fresh = ca.issue({"a.test"});
  put("live/a", ca.issue({"a.test"}));
  put("new", fresh);
  configure_folder("live");
  start();
  fs::rename(folder / "live/a", folder / "old");
  look();
  fs::rename(folder / "new", folder / "live/a");
  look(2);
  EXPECT_THAT(serials(), ElementsAre(fresh->serial()));
  EXPECT_THAT(logged(), Not(HasSubstr("configured_released")));
}

TEST_F(ConfiguredTest, OneOfTwoFilesSideBySideKeepsThePair) {
  const CertificatePtr a = ca.issue({"a.test"});
  put_cert("live/a.crt", a);
  put_key("live/a.key", a);
  configure_folder("live");
  start();
  fs::remove(folder / "live/a.crt");
  look(3);
  EXPECT_EQ(served.size(), 1u);
  EXPECT_THAT(logged(), HasSubstr("configured_missing"));
  fs::remove(folder / "live/a.key");
  look(2);
  EXPECT_THAT(served, IsEmpty());
}

TEST_F(ConfiguredTest, AFolderThatIsGoneTakesNothingDown) {
  put("live/a", ca.issue({"a.test"}));
  configure_folder("live");
  start();
  fs::rename(folder / "live", folder / "unmounted");
  look(5);
  EXPECT_EQ(served.size(), 1u);
  EXPECT_EQ(count(logged(), "live cannot be read"), 1u);
  fs::rename(folder / "unmounted", folder / "live");
  look(3);
  EXPECT_EQ(served.size(), 1u);
  EXPECT_EQ(calls, 1);
}

TEST_F(ConfiguredTest, ABrokenPairAtTheStartIsServedOnceItIsMended) {
  const CertificatePtr a = ca.issue({"a.test"});
  put("live/a", a);
  replace("live/a/privkey.pem", "nonsense");
  configure_folder("live");
  configure_pair("none.pem", "none.key");
  start();
  EXPECT_EQ(calls, 1);
  EXPECT_THAT(served, IsEmpty());
  EXPECT_THAT(logged(), HasSubstr("privkey.pem holds no private key in PEM; nothing is served"));
  EXPECT_THAT(logged(), HasSubstr("none.pem: No such file"));
  put_key("live/a/privkey.pem", a);
  look(2);
  EXPECT_THAT(serials(), ElementsAre(a->serial()));
}

TEST_F(ConfiguredTest, EachStateOfBrokenFilesIsSaidOnce) {
  put("live/a", ca.issue({"a.test"}));
  configure_folder("live");
  start();
  replace("live/a/fullchain.pem", "one");
  look(4);
  replace("live/a/fullchain.pem", "two");
  look(4);
  EXPECT_EQ(count(logged(), "error configured_unusable:"), 2u);
  clock.advance(10min);  // they are read again, in case that was it
  loop.run_until([this] { return clock.pending() == 1; });
  look(2);
  EXPECT_EQ(count(logged(), "error configured_unusable:"), 2u);
  EXPECT_EQ(served.size(), 1u);
}

TEST_F(ConfiguredTest, TheSameCertificateAgainIsNoChange) {
  const CertificatePtr a = ca.issue({"a.test"});
  put("live/a", a);
  configure_folder("live");
  start();
  put("live/a", a);
  look(4);
  EXPECT_EQ(calls, 1);
}

TEST_F(ConfiguredTest, AFileThatNeverRestsIsReadAfterFiveLooks) {
  put("live/a", ca.issue({"a.test"}));
  configure_folder("live");
  start();
  const CertificatePtr fresh = ca.issue({"a.test"});
  put("live/a", fresh);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(calls, 1);
    std::ofstream(folder / "live/a/privkey.pem", std::ios::app) << "\n";
    look();
  }
  EXPECT_THAT(serials(), ElementsAre(fresh->serial()));
}

TEST_F(ConfiguredTest, TheLastToEndOfAFolderAndTheLastOfTheConfigurationCount) {
  const auto now = TestCa::now();
  const CertificatePtr late = ca.issue({"a.test"}, now - 1h, now + 24h * 60);
  const CertificatePtr early = ca.issue({"a.test"}, now - 1h, now + 24h * 30);
  const CertificatePtr own = ca.issue({"a.test"}, now - 1h, now + 24h * 10);
  put("live/a", late);
  put("live/a-0001", early);
  put(".", own);
  configure_folder("live");
  configure_pair("fullchain.pem", "privkey.pem");
  start();
  EXPECT_THAT(serials(), ElementsAre(early->serial(), late->serial(), own->serial()));
}

TEST_F(ConfiguredTest, WhatHasExpiredOrSoonWillIsWarnedOfAndServed) {
  const auto now = clock.wall_now();
  put("live/expired", ca.issue({"a.test"}, now - 48h, now - 24h));
  put("live/soon", ca.issue({"b.test"}, now - 24h * 60, now + 24h * 6));
  put("live/good", ca.issue({"c.test"}, now - 24h * 60, now + 24h * 8));
  put("live/short",
      ca.issue({"d.test"}, now - 24h, now + 24h * 5));  // two thirds are left, and more
  configure_folder("live");
  start();
  EXPECT_EQ(served.size(), 4u);
  EXPECT_EQ(count(logged(), "warning configured_expired:"), 1u);
  EXPECT_EQ(count(logged(), "warning configured_expires:"), 1u);
  EXPECT_THAT(logged(), HasSubstr("soon/fullchain.pem expires soon"));
  // The good one comes to its last week, the soon one to its end.
  for (int hours = 0; hours < 24 * 7; hours += 1) {
    clock.advance(1h);
    loop.run_until([this] { return clock.pending() == 1; });
  }
  EXPECT_THAT(logged(), HasSubstr("good/fullchain.pem expires soon"));
  EXPECT_THAT(logged(), HasSubstr("soon/fullchain.pem has expired"));
  EXPECT_EQ(count(logged(), "soon/fullchain.pem has expired"), 1u);
  EXPECT_EQ(served.size(), 4u);
}

TEST_F(ConfiguredTest, AnotherConfigurationLetsGoWhatItDoesNotName) {
  const CertificatePtr a = ca.issue({"a.test"}), b = ca.issue({"b.test"});
  put("live/a", a);
  put("other/b", b);
  configure_folder("live");
  start();
  Config next = config;
  next.certificates = {{.dir = "other"}};
  configured->set(next);
  EXPECT_THAT(served, IsEmpty());
  look(2);
  EXPECT_THAT(serials(), ElementsAre(b->serial()));
  next.certificates.clear();
  configured->set(next);
  EXPECT_THAT(served, IsEmpty());
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(ConfiguredTest, ReloadsOfTheSameConfigurationChangeNothing) {
  put("live/a", ca.issue({"a.test"}));
  put(".", ca.issue({"b.test"}));
  configure_folder("live");
  configure_pair("fullchain.pem", "privkey.pem");
  start();
  for (int i = 0; i < 3; ++i) {
    fs::remove(folder / "fullchain.pem");  // also where its files are gone
    configured->set(config);
    look(2);
  }
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(served.size(), 2u);
}

TEST_F(ConfiguredTest, AReloadAtAnyMomentLosesNoChange) {
  put("live/a", ca.issue({"a.test"}));
  configure_folder("live");
  start();
  for (int turns = 0; turns < 8; ++turns) {
    const CertificatePtr fresh = ca.issue({"a.test"});
    put("live/a", fresh);
    look();
    clock.advance(500ms);  // looking, then reading
    for (int i = 0; i < turns; ++i) loop.turn();
    configured->set(config);
    look(3);
    EXPECT_THAT(serials(), ElementsAre(fresh->serial())) << turns;
  }
}

TEST_F(ConfiguredTest, ItMayGoAtEachWait) {
  put("live/a", ca.issue({"a.test"}));
  configure_folder("live");
  for (int wait = 0; wait < 3; ++wait) {
    start();
    put("live/a", ca.issue({"a.test"}));
    const int before = calls;
    if (wait > 0) {
      look();
      clock.advance(500ms);                        // looking
      for (int i = 1; i < wait; ++i) loop.turn();  // ... or reading
    }
    configured.reset();
    for (int i = 0; i < 20; ++i) loop.turn();
    EXPECT_EQ(clock.pending(), 0u);
    EXPECT_LE(calls, before + 1);
  }
}

TEST_F(ConfiguredTest, ManyPairsAreLookedAtLessOften) {
  // Not a promise in numbers: that a look over many does not lose any of them.
  for (int i = 0; i < 200; ++i) put("live/n" + std::to_string(i), ca.issue({"a.test"}));
  configure_folder("live");
  start();
  EXPECT_EQ(served.size(), 200u);
  put("live/n7", ca.issue({"b.test"}));
  for (int i = 0; i < 3; ++i) {
    clock.advance(10s);
    loop.run_until([this] { return clock.pending() == 1; });
  }
  EXPECT_EQ(calls, 2);
}

TEST_F(ConfiguredTest, FindPairsNamesTheFiles) {
  put("live/a", ca.issue({"a.test"}));
  configure_folder("live");
  configure_folder("none");
  configure_pair("x.pem", "x.key");
  std::vector<std::string> complaints;
  const auto pairs = Configured::find_pairs(config, complaints);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].key, folder / "live/a/privkey.pem");
  EXPECT_EQ(pairs[1].cert, folder / "x.pem");
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_THAT(complaints[0], HasSubstr("none cannot be read: No such file"));
}

}  // namespace
}  // namespace latchkey::edge
