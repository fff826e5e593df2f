// Certificates in files, for other daemons: nginx for one.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/text.h"
#include "tests/support/eventually.h"
#include "tests/support/nginx.h"
#include "tests/support/openssl_client.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

constexpr Millis kLimit{30'000};

class ExportTest : public ::testing::Test {
 protected:
  std::filesystem::path files() const { return site_.folder / "export"; }
  Handshake visit(const std::string& name, uint16_t port) {
    TlsOptions client = site_.tls(name);
    client.port = port;
    return TlsClient(client).handshake();
  }
  std::string serial(const std::string& name) { return visit(name, site_.https.number()).serial; }
  mode_t mode(const std::filesystem::path& file) const {
    struct stat info {};
    return stat(file.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }
  // OpenSSL's word on the serial number and that the key belongs to it.
  std::string exported_serial(const std::string& folder) {
    const auto dir = files() / folder;
    const auto shown = openssl(site_.folder.path(),
                               {"x509", "-in", (dir / "cert.pem").string(), "-noout", "-serial"});
    std::string text = shown.output.substr(shown.output.find('=') + 1);
    text.erase(std::remove(text.begin(), text.end(), '\n'), text.end());
    text = lower(text);
    const auto of_certificate = openssl(
        site_.folder.path(), {"x509", "-in", (dir / "cert.pem").string(), "-noout", "-pubkey"});
    const auto of_key =
        openssl(site_.folder.path(), {"pkey", "-in", (dir / "privkey.pem").string(), "-pubout"});
    EXPECT_EQ(of_certificate.output, of_key.output);
    return text;
  }

  Site site_;
};

TEST_F(ExportTest, TheVerbWritesWhatIsStoredWhileTheEdgeRunsAndAfterwards) {
  ASSERT_TRUE(site_.edge.start());
  for (const char* name : {"a.test", "b.test"}) {
    ASSERT_TRUE(visit(name, site_.https.number()).verified);
  }
  const auto one = site_.edge.command({"certs", "export", "--to", files().string(), "a.test"});
  EXPECT_EQ(one.code, 0) << one.output;
  EXPECT_EQ(exported_serial("a.test"), serial("a.test"));
  EXPECT_FALSE(std::filesystem::exists(files() / "b.test"));
  EXPECT_EQ(mode(files() / "a.test"), 0700u);
  EXPECT_EQ(mode(files() / "a.test/privkey.pem"), 0600u);
  EXPECT_EQ(read_text(files() / "a.test/fullchain.pem"),
            read_text(files() / "a.test/cert.pem") + read_text(files() / "a.test/chain.pem"));

  const std::string b = serial("b.test");
  ASSERT_TRUE(site_.edge.terminate());
  const auto all = site_.edge.command({"certs", "export", "--to", files().string()});
  EXPECT_EQ(all.code, 0) << all.output;
  EXPECT_EQ(exported_serial("b.test"), b);
  const auto unknown =
      site_.edge.command({"certs", "export", "--to", files().string(), "unknown.test"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.output.find("unknown.test"), std::string::npos) << unknown.output;
}

TEST_F(ExportTest, NginxServesWhatIsExportedAndItsRenewalIsTaken) {
  const ReservedPort port(ReservedPort::Hold::kFree);
  const auto hook = site_.folder / "deploy", told = site_.folder / "told";
  const auto pid_file = site_.folder / "nginx/nginx.pid";
  write_text(hook, "#!/bin/sh\ncat >> " + told.string() + "\n[ ! -e " + pid_file.string() +
                       " ] || kill -HUP $(cat " + pid_file.string() + ")\n");
  std::filesystem::permissions(hook, std::filesystem::perms::owner_all);
  site_.edge.settings.export_to =
      JsonObject()
          .text("dir", files().string())
          .raw("hook", JsonObject().text("program", hook.string()).str())
          .str();
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(visit("a.test", site_.https.number()).verified);
  const auto chain = files() / "a.test/fullchain.pem";
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(chain); }, kLimit))
      << site_.edge.log();
  EXPECT_TRUE(eventually([&] { return read_text(told) == "a.test\n"; }, kLimit))
      << read_text(told) << site_.edge.log();

  const Nginx nginx(site_.folder / "nginx",
                    "server { listen 127.0.0.1:" + std::to_string(port.number()) +
                        " ssl; ssl_certificate " + chain.string() + "; ssl_certificate_key " +
                        (files() / "a.test/privkey.pem").string() + "; }\n");
  const Handshake first = visit("a.test", port.number());
  EXPECT_TRUE(first.verified) << first.error;
  EXPECT_EQ(first.serial, serial("a.test"));

  const auto renewed = site_.edge.admin("POST", "/names/a.test:renew");
  EXPECT_EQ(renewed.status, 200) << renewed.body;
  EXPECT_NE(serial("a.test"), first.serial);
  Handshake second;
  EXPECT_TRUE(eventually(
      [&] {
        second = visit("a.test", port.number());
        return second.serial == serial("a.test");
      },
      kLimit))
      << nginx.log() << site_.edge.log();
  EXPECT_TRUE(second.verified) << second.error;
}

TEST_F(ExportTest, WhatIsMissingIsWrittenAtTheStart) {
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(visit("a.test", site_.https.number()).verified);
  ASSERT_TRUE(site_.edge.terminate());
  site_.edge.settings.export_to = JsonObject().text("dir", files().string()).str();
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(
      eventually([&] { return std::filesystem::exists(files() / "a.test/fullchain.pem"); }, kLimit))
      << site_.edge.log();
  EXPECT_EQ(exported_serial("a.test"), serial("a.test"));
}

}  // namespace
}  // namespace latchkey::test
