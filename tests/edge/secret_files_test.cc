#include "edge/secret_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "acme/base64url.h"
#include "base/file.h"
#include "tests/support/temp_folder.h"

namespace latchkey::edge {
namespace {

class SecretFilesTest : public testing::Test {
 protected:
  std::filesystem::path write(std::string_view bytes, mode_t mode = 0600) {
    const auto file = folder / "secret";
    EXPECT_TRUE(write_file_atomic(file, bytes, mode));
    EXPECT_EQ(::chmod(file.c_str(), mode), 0);
    return file;
  }
  test::TempFolder folder;
};

TEST_F(SecretFilesTest, ASecretIsTheFileWithoutItsLineEnds) {
  EXPECT_EQ(*read_secret(write("s3cret")), "s3cret");
  EXPECT_EQ(*read_secret(write("s3cret\r\n\n")), "s3cret");
  EXPECT_EQ(*read_secret(write("two words\nand lines\n", 0640)), "two words\nand lines");
  EXPECT_EQ(read_secret(write(std::string(4096, 'x')))->size(), 4096u);
}

TEST_F(SecretFilesTest, WhatOthersMayReadIsRefusedAndNothingIsQuoted) {
  for (const mode_t mode : {0644, 0604, 0602, 0666}) {
    const auto secret = read_secret(write("s3cret", mode));
    ASSERT_FALSE(secret);
    EXPECT_NE(secret.error().message.find("chmod o-rw"), std::string::npos);
    EXPECT_EQ(secret.error().message.find("s3cret"), std::string::npos);
  }
}

TEST_F(SecretFilesTest, WhatIsNoSecretIsRefused) {
  EXPECT_EQ(read_secret(write("")).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(read_secret(write("\n")).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(read_secret(write(std::string(4097, 'x'))).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(read_secret(folder / "gone").error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(read_secret(folder / "."));
  const auto pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_FALSE(read_secret(pipe)) << "and nobody waits for its writer";
}

TEST_F(SecretFilesTest, AnEabKeyIsBase64Url) {
  const std::string key("\x00\xff\xfe key of a CA", 14);
  EXPECT_EQ(*read_eab_key(write(acme::base64url(key) + "\n")), key);
  EXPECT_EQ(*read_eab_key(write(acme::base64url(key) + "==\n")), key);
  const auto wrong = read_eab_key(write("s3cret with blanks"));
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("base64url"), std::string::npos);
  EXPECT_EQ(wrong.error().message.find("s3cret"), std::string::npos);
  EXPECT_FALSE(read_eab_key(write("==")));
}

TEST_F(SecretFilesTest, ATsigKeyIsBase64) {
  const std::string key("\xfb\xff\xbe\x00 secret", 11);
  EXPECT_EQ(*read_tsig_key(write("+/++ACBzZWNyZXQ=\n")), key);
  EXPECT_EQ(*read_tsig_key(write("+/++ACBzZWNyZXQ")), key);
  for (const char* wrong :
       {"-_--ACBzZWNyZXQ=", "key \"acme\" { secret \"+/++\"; };", "====", "+"}) {
    const auto read = read_tsig_key(write(wrong));
    ASSERT_FALSE(read) << wrong;
    EXPECT_NE(read.error().message.find("is not base64"), std::string::npos);
    EXPECT_EQ(read.error().message.find("ACBz"), std::string::npos);
  }
}

TEST_F(SecretFilesTest, TheKeyOfAnUnusableFileIsNamed) {
  Config config;
  config.folder = folder / ".";
  EXPECT_TRUE(check_secret_files(config));
  write("c2VjcmV0");
  config.issuers.emplace_back().name = "zerossl";
  config.issuers[0].eab = EabConfig{"kid", "secret"};
  config.webhook.emplace().secret_file = "secret";
  EXPECT_TRUE(check_secret_files(config));
  DnsConfig::Rfc2136& dns = config.dns.emplace().rfc2136.emplace();
  EXPECT_TRUE(check_secret_files(config));
  dns.secret_file = "secret";
  EXPECT_TRUE(check_secret_files(config));
  dns.secret_file = "gone";
  EXPECT_NE(check_secret_files(config).error().message.find("dns.rfc2136.secret_file"),
            std::string::npos);
  dns.secret_file = "secret";
  config.webhook->secret_file = "gone";
  EXPECT_NE(check_secret_files(config).error().message.find("events.webhook.secret_file"),
            std::string::npos);
  config.issuers[0].eab->hmac_key_file = "gone";
  EXPECT_NE(check_secret_files(config).error().message.find("issuer zerossl: acme.eab"),
            std::string::npos);
}

}  // namespace
}  // namespace latchkey::edge
