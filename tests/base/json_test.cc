#include "base/json.h"

#include <gtest/gtest.h>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

TEST(JsonTest, ParsesATree) {
  auto value = parse_json(R"({"a": [1, -2.5e3, true, null, "x\u00e9"], "b": {"c": "d"}})");
  ASSERT_TRUE(value) << value.error().message;
  const JsonValue* a = value->find("a");
  ASSERT_NE(a, nullptr);
  ASSERT_EQ(a->items.size(), 5u);
  EXPECT_EQ(a->items[0].text, "1");
  EXPECT_EQ(a->items[1].number, -2500);
  EXPECT_TRUE(a->items[2].boolean);
  EXPECT_EQ(a->items[4].text, "xé");
  EXPECT_EQ(value->find("b")->text_of("c"), "d");
  EXPECT_EQ(value->text_of("missing"), "");
}

TEST(JsonTest, RefusesWhatIsNotJson) {
  EXPECT_FALSE(parse_json(""));
  EXPECT_FALSE(parse_json("{"));
  EXPECT_FALSE(parse_json("{} x"));
  EXPECT_FALSE(parse_json("{\"a\": 1,}"));
  EXPECT_FALSE(parse_json("// no\n{}"));
  EXPECT_FALSE(parse_json("{\"a\": 1, \"a\": 2}"));
  EXPECT_FALSE(parse_json("\"\xff\""));
  EXPECT_FALSE(parse_json(std::string(100'000, '[')));
  std::string many = "{\"k\": 0";
  for (int i = 0; i < 100'000; ++i) many += ", \"k" + std::to_string(i) + "\": 0";
  EXPECT_FALSE(parse_json(many + "}"));  // at once
  EXPECT_TRUE(parse_json("// yes\n{\"a\": [1,],}", JsonDialect::kConfig));
}

TEST(JsonTest, QuotesAnyBytesIntoOneValidLine) {
  EXPECT_EQ(json_quote("a\"b\\c\n\x01\x7f\xff é"), "\"a\\\"b\\\\c\\n\\u0001\\u007f\\u00ff é\"");
  EXPECT_EQ(json_quote("\xc2\x9b"), "\"\\u009b\"");
  EXPECT_TRUE(parse_json(json_quote("\xf0\x9f\x98\x80 \xed\xa0\x80 \xc0\x80")));
}

TEST(SectionTest, ListsEveryMistakeWithItsPlaceAndPath) {
  const std::string text =
      "{\n  \"workers\": \"many\",\n  \"acme\": {\"directory\": 7},\n  \"lisen\": \"x\",\n"
      "  \"wait\": \"2 parsecs\", \"room\": \"5MB\",\n  \"mode\": \"c\"\n}";
  auto value = parse_json(text);
  ASSERT_TRUE(value);
  ConfigErrors errors("my.json", text);
  {
    Section top(*value, "", errors);
    int64_t workers = 1;
    std::string word;
    Millis wait{};
    uint64_t room = 0;
    size_t mode = 0;
    top.integer("workers", 1, 1024, workers);
    top.text("listen", word);
    top.duration("wait", 1ms, 24h, wait);
    top.size("room", 1, 1 << 20, room);
    top.choice("mode", {"a", "b"}, mode);
    Section acme = top.section("acme");
    acme.text("directory", word, "an https:// URL");
    Section absent = top.section("absent");
    absent.text("x", word);
  }
  EXPECT_EQ(
      errors.messages(),
      "my.json:2:14: workers: expected an integer from 1 to 1024, got \"many\"\n"
      "my.json:5:11: wait: expected a duration from \"1ms\" to \"1d\" (units ms, s, m, h, d), "
      "got \"2 parsecs\"\n"
      "my.json:5:32: room: expected a size from 1 to 1048576 bytes, like \"512MiB\", got "
      "\"5MB\"\n"
      "my.json:6:11: mode: expected one of \"a\", \"b\", got \"c\"\n"
      "my.json:3:25: acme.directory: expected an https:// URL, got 7\n"
      "my.json:4:12: lisen: unknown key; did you mean \"listen\"?\n");
}

TEST(SectionTest, ComplaintsKeepPasswordsAndKeys) {
  const std::string text = R"({"a": "ftp://u:s3?c@ret@h", "b": ["x://h?k=s3cret"], "c": "s3cret@h",
                               "d": {"url": "http://u:s3cret@h"}, "e": "http://u:s3cret@h"})";
  const auto value = parse_json(text);
  ASSERT_TRUE(value);
  ConfigErrors errors("my.json", text);
  {
    const auto never = [](std::string_view) { return false; };
    Section top(*value, "", errors);
    std::string out;
    std::optional<std::string> maybe;
    std::vector<std::string> list;
    int64_t number = 0;
    top.text("a", out, "a URL", never);
    top.texts("b", list, "URLs", never);
    top.optional_text("c", maybe, "a URL", never);
    top.text("d", out, "a URL", never);
    top.integer("e", 0, 1, number);
  }
  EXPECT_EQ(errors.messages().find("cret"), std::string::npos) << errors.messages();
  EXPECT_NE(errors.messages().find("e: expected an integer from 0 to 1, got \"http://...@h\""),
            std::string::npos)
      << errors.messages();
}

TEST(SectionTest, ReadsDurationsAndSizes) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("60d"), Millis(24h * 60));
  EXPECT_EQ(parse_duration("2"), std::nullopt);
  EXPECT_EQ(parse_duration("99999999999999999999d"), std::nullopt);
  EXPECT_EQ(show_duration(90s), "90s");
  EXPECT_EQ(show_duration(2h), "2h");
  EXPECT_EQ(parse_size("512MiB"), 512u << 20);
  EXPECT_EQ(parse_size("-1"), std::nullopt);
}

}  // namespace
}  // namespace latchkey
