#include "cache/secret_box.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/support/temp_folder.h"

namespace latchkey {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kKeyA = "latchkey-key-1 0a0b0c0d " + std::string(64, '1');
const std::string kKeyB = "latchkey-key-1 01020304 " + std::string(64, '2');

SecretBox box(const std::string& text) {
  auto made = SecretBox::from_text(text);
  EXPECT_TRUE(made.has_value()) << made.error().message;
  return *std::move(made);
}

TEST(SecretBoxTest, OpensWhatItSealed) {
  const SecretBox one = box(kKeyA);
  for (const size_t size : {0, 1, 16, 1000, 100'000}) {
    const std::string secret(size, 's');
    const std::string sealed = one.seal(secret, "certificate a.test");
    EXPECT_EQ(sealed.size(), size + 33);
    EXPECT_EQ(SecretBox::key_id_of(sealed), "0a0b0c0d");
    const auto opened = one.open(sealed, "certificate a.test");
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(*opened, secret);
  }
}

TEST(SecretBoxTest, NeverSealsTwiceAlike) {
  const SecretBox one = box(kKeyA);
  EXPECT_NE(one.seal("secret", "c"), one.seal("secret", "c"));
}

TEST(SecretBoxTest, RefusesWhatWasMovedAlteredOrCut) {
  const SecretBox one = box(kKeyA);
  const std::string sealed = one.seal("secret", "certificate a.test");
  EXPECT_FALSE(one.open(sealed, "certificate b.test").has_value());
  EXPECT_FALSE(one.open(sealed, "").has_value());
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string altered = sealed;
    altered[i] = static_cast<char>(altered[i] ^ 1);
    EXPECT_FALSE(one.open(altered, "certificate a.test").has_value()) << i;
    EXPECT_FALSE(one.open(sealed.substr(0, i), "certificate a.test").has_value()) << i;
  }
  EXPECT_FALSE(one.open(sealed + "x", "certificate a.test").has_value());
}

TEST(SecretBoxTest, AKeyIsChangedByPuttingANewOneFirst) {
  const std::string sealed = box(kKeyA).seal("secret", "c");
  const SecretBox both = box("# new\n" + kKeyB + "\n\n# old\r\n  " + kKeyA + "\r\n");
  EXPECT_EQ(both.key_id(), "01020304");
  EXPECT_EQ(*both.open(sealed, "c"), "secret");
  EXPECT_EQ(SecretBox::key_id_of(both.seal("x", "c")), "01020304");
  const auto lacking = box(kKeyB).open(sealed, "c");
  ASSERT_FALSE(lacking.has_value());
  EXPECT_THAT(lacking.error().message, HasSubstr("0a0b0c0d"));
}

TEST(SecretBoxTest, AMalformedKeyIsNamedByItsLineAndNotShown) {
  const std::string secret(64, '7');
  for (const std::string& line :
       {std::string("hello"), "latchkey-key-2 0a0b0c0d " + secret,
        "latchkey-key-1 0a0b0c0d " + secret + "7", "latchkey-key-1 0a0b " + secret,
        "latchkey-key-1 0a0b0c0d " + secret + " x", "latchkey-key-1 " + secret,
        "latchkey-key-1 0a0b0c0d " + std::string(64, 'x')}) {
    const auto made = SecretBox::from_text("# comment\n" + line);
    ASSERT_FALSE(made.has_value()) << line;
    EXPECT_THAT(made.error().message, HasSubstr("line 2"));
    EXPECT_THAT(made.error().message, Not(HasSubstr("77777")));
  }
  EXPECT_FALSE(SecretBox::from_text("").has_value());
  EXPECT_FALSE(SecretBox::from_text("# only a comment\n").has_value());
  std::string many;
  for (int i = 0; i < 17; ++i) many += kKeyA + "\n";
  EXPECT_FALSE(SecretBox::from_text(many).has_value());
}

class SecretBoxFileTest : public testing::Test {
 protected:
  test::TempFolder folder;
  const std::filesystem::path file = folder / "sub" / "encryption.key";
  const int log_fd = ::open((folder / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  Log log{log_fd, Log::Format::kJson, LogLevel::kDebug};
};

TEST_F(SecretBoxFileTest, AMadeKeyIsPrivateAnnouncedAndReadAgain) {
  const auto made = SecretBox::make(file, log);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  struct stat found {};
  ASSERT_EQ(::stat(file.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  const auto read = SecretBox::from_file(file);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read->open(made->seal("secret", "c"), "c"), "secret");
  const std::string logged = test::read_text(folder / "log");
  EXPECT_THAT(logged, HasSubstr("encryption_key_made"));
  EXPECT_THAT(logged, HasSubstr("back"));
  const std::string text = test::read_text(file);
  const std::string key = text.substr(text.size() - 65, 64);
  EXPECT_THAT(logged, Not(HasSubstr(key)));
}

TEST_F(SecretBoxFileTest, AKeyThatOthersMayReadIsRefusedWithTheRemedy) {
  ASSERT_TRUE(SecretBox::make(file, log).has_value());
  for (const mode_t mode : {0644, 0604, 0620, 0602}) {
    ::chmod(file.c_str(), mode);
    const auto read = SecretBox::from_file(file);
    ASSERT_FALSE(read.has_value()) << mode;
    EXPECT_THAT(read.error().message, HasSubstr("chmod 600"));
    EXPECT_THAT(read.error().message, HasSubstr(file.string()));
  }
  for (const mode_t mode : {0600, 0400, 0640}) {
    ::chmod(file.c_str(), mode);
    EXPECT_TRUE(SecretBox::from_file(file).has_value()) << mode;
  }
}

TEST_F(SecretBoxFileTest, AMissingOrHugeFileIsAnError) {
  const auto missing = SecretBox::from_file(file);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(SecretBox::from_file("/dev/zero").has_value());
  test::write_text(folder / "file", "x");
  EXPECT_FALSE(SecretBox::make(folder / "file" / "key", log).has_value());
}

}  // namespace
}  // namespace latchkey
