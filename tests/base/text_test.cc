#include "base/text.h"

#include <gtest/gtest.h>

namespace latchkey {
namespace {

TEST(TextTest, LowersTheLettersOfAsciiAndNothingElse) {
  std::string all, expected;
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    all += c;
    expected += i >= 'A' && i <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  EXPECT_EQ(lower(all), expected);
  EXPECT_EQ(lower(""), "");
}

TEST(TextTest, ComparesWithoutRegardToCase) {
  EXPECT_TRUE(same_text("Content-TYPE", "content-type"));
  EXPECT_TRUE(same_text("", ""));
  EXPECT_FALSE(same_text("content-typ", "content-type"));
  EXPECT_FALSE(same_text("@[`{", "`{@["));
  EXPECT_FALSE(same_text(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
}

TEST(TextTest, WritesTwoDigitsAByte) {
  EXPECT_EQ(to_hex(""), "");
  EXPECT_EQ(to_hex(std::string_view("\x00\x0f\xf0\xff", 4)), "000ff0ff");
}

TEST(TextTest, ReadsDigitsOfEitherCase) {
  std::string digits;
  for (int i = 0; i < 256; ++i) {
    const int value = hex_digit(static_cast<char>(i));
    if (value >= 0) digits += std::string(1, static_cast<char>(i)) + std::to_string(value) + " ";
  }
  EXPECT_EQ(digits,
            "00 11 22 33 44 55 66 77 88 99 A10 B11 C12 D13 E14 F15 a10 b11 c12 d13 e14 f15 ");
}

}  // namespace
}  // namespace latchkey
