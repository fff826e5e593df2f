#include "base/server_name.h"

#include <gtest/gtest.h>

namespace latchkey {
namespace {

std::string parsed(std::string_view text, ServerNameRules rules = {}) {
  auto name = ServerName::parse(text, rules);
  return name ? name->text() : "!" + name.error().message;
}

TEST(ServerNameTest, LowersCaseAndDropsOneTrailingDot) {
  EXPECT_EQ(parsed("Shop.Example.COM."), "shop.example.com");
  EXPECT_EQ(parsed("localhost"), "localhost");
  EXPECT_EQ(parsed("xn--bcher-kva.example"), "xn--bcher-kva.example");
}

TEST(ServerNameTest, RefusesEveryUncleanForm) {
  const std::string long_label(64, 'a');
  std::string long_name = "a";
  while (long_name.size() <= 253) long_name += ".a";
  using namespace std::string_view_literals;
  for (std::string_view bad : {""sv,
                               "."sv,
                               ".."sv,
                               "a..b"sv,
                               ".a.test"sv,
                               "a.test.."sv,
                               "a b.test"sv,
                               "a\0b.test"sv,
                               "a\n.test"sv,
                               "-a.test"sv,
                               "a-.test"sv,
                               "a_b.test"sv,
                               "127.0.0.1"sv,
                               "1.2.3"sv,
                               "::1"sv,
                               "[::1]"sv,
                               "0x7f.0x1"sv,
                               "example.123"sv,
                               "b\xc3\xbc"
                               "cher.example"sv,
                               "ab--c.test"sv,
                               "xn--.test"sv,
                               "xn--a-ecp.test\x80"sv,
                               "xn--\xff.test"sv,
                               "*.test"sv,
                               "a/b.test"sv,
                               "a%2e.test"sv,
                               "a:443"sv,
                               "xn--zzzzzzzzzzzzzz.test"sv,
                               std::string_view(long_label),
                               std::string_view(long_name)}) {
    EXPECT_FALSE(ServerName::parse(bad)) << bad;
  }
}

TEST(ServerNameTest, AcceptsTheLongestName) {
  std::string name(63, 'a');
  name += "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(61, 'd');
  ASSERT_EQ(name.size(), 253u);
  EXPECT_EQ(parsed(name), name);
  EXPECT_EQ(parsed(name + "."), name);
}

TEST(ServerNameTest, UnderscoresAreAnOption) {
  EXPECT_FALSE(ServerName::parse("a_b.test"));
  EXPECT_EQ(parsed("a_b.test", {.underscore = true}), "a_b.test");
}

TEST(ServerNameTest, KnowsItsParent) {
  EXPECT_EQ(ServerName::parse("a.b.test")->parent(), "b.test");
  EXPECT_EQ(ServerName::parse("a.b.test")->labels(), 3u);
  EXPECT_EQ(ServerName::parse("test")->parent(), "");
}

}  // namespace
}  // namespace latchkey
