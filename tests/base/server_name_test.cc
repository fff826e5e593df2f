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

TEST(ServerNameTest, AWildcardIsAStarBeforeAName) {
  const auto wild = ServerName::parse_wildcard("*.B.Test.");
  ASSERT_TRUE(wild.has_value());
  EXPECT_EQ(wild->text(), "*.b.test");
  EXPECT_TRUE(wild->is_wildcard());
  EXPECT_FALSE(wild->is_ip());
  EXPECT_EQ(wild->labels(), 3u);
  EXPECT_EQ(wild->parent(), "b.test");
  EXPECT_EQ(wild->wildcard(), std::nullopt);
  EXPECT_TRUE(ServerName::parse_wildcard("*.test").has_value());
  EXPECT_FALSE(ServerName::parse_wildcard("*.a_b.test"));
  EXPECT_TRUE(ServerName::parse_wildcard("*.a_b.test", {.underscore = true}).has_value());
  for (const std::string_view bad : {"", "*", "*.", "*..test", "a.test", "**.test", "*.*.test",
                                     "x*.test", ".*.test", "*.192.0.2.7", "*.::1", " *.test"}) {
    EXPECT_FALSE(ServerName::parse_wildcard(bad)) << bad;
  }
  EXPECT_FALSE(ServerName::parse("*.b.test")) << "strangers cannot say one";
}

TEST(ServerNameTest, KnowsTheWildcardThatCoversIt) {
  const ServerName name = *ServerName::parse("a.b.test");
  EXPECT_FALSE(name.is_wildcard());
  EXPECT_EQ(name.wildcard(), *ServerName::parse_wildcard("*.b.test"));
  EXPECT_EQ(ServerName::parse("test")->wildcard(), std::nullopt);
  EXPECT_EQ(ServerName::parse_ip("192.0.2.7")->wildcard(), std::nullopt);
  EXPECT_EQ(ServerName::parse_ip("2001:db8::7")->wildcard(), std::nullopt);
}

TEST(ServerNameTest, AWildcardHasNoMoreBytesThanAName) {
  std::string suffix(63, 'a');
  suffix += "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(59, 'd');
  ASSERT_EQ(suffix.size(), 251u);
  ASSERT_TRUE(ServerName::parse_wildcard("*." + suffix).has_value());
  EXPECT_FALSE(ServerName::parse_wildcard("*.d" + suffix));
  EXPECT_EQ(ServerName::parse("x." + suffix)->wildcard()->text(), "*." + suffix);
}

}  // namespace
}  // namespace latchkey
