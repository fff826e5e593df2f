#include "edge/admin_query.h"

#include <gtest/gtest.h>

namespace latchkey::edge {
namespace {

int64_t seconds_of(std::string_view text) {
  const auto time = parse_time(text);
  return time ? time->time_since_epoch().count() : -1;
}

TEST(AdminQueryTest, TimesAreThoseOfRfc3339) {
  EXPECT_EQ(seconds_of("1970-01-01"), 0);
  EXPECT_EQ(seconds_of("2026-03-01T12:00:00Z"), 1772366400);
  EXPECT_EQ(seconds_of("2026-03-01t12:00:00z"), 1772366400);
  EXPECT_EQ(seconds_of("2026-03-01 12:00:00.25Z"), 1772366400);
  EXPECT_EQ(seconds_of("2026-03-01T13:30:00+01:30"), 1772366400);
  EXPECT_EQ(seconds_of("2026-03-01T10:00:00-02:00"), 1772366400);
  EXPECT_EQ(seconds_of("2024-02-29"), 1709164800);
  EXPECT_EQ(seconds_of("2016-12-31T23:59:60Z"), seconds_of("2017-01-01"));
}

TEST(AdminQueryTest, EverythingElseIsNoTime) {
  for (const char* text : {"",
                           "2026",
                           "2026-3-1",
                           "2026-13-01",
                           "2026-00-01",
                           "2026-02-30",
                           "2026-04-31",
                           "2025-02-29",
                           "2026-03-01T",
                           "2026-03-01T12:00Z",
                           "2026-03-01T12:00:00",
                           "2026-03-01T24:00:00Z",
                           "2026-03-01T12:60:00Z",
                           "2026-03-01T12:00:61Z",
                           "2026-03-01T12:00:00.Z",
                           "2026-03-01T12:00:00Zx",
                           "2026-03-01T12:00:00+1:00",
                           "2026-03-01T12:00:00+0100",
                           "1772366400",
                           "-026-03-01",
                           "1969-12-31",
                           "2026-03-01T12:00:00+24:00"}) {
    EXPECT_EQ(parse_time(text), std::nullopt) << text;
  }
}

TEST(AdminQueryTest, ParametersMayBeEncodedAndEmpty) {
  AdminQuery query("&a%3D=x%26y&b=&c&&");
  std::string a, b = "before", c = "before", d = "stays";
  query.text("a=", 10, a);
  query.text("b", 10, b);
  query.text("c", 10, c);
  query.text("d", 10, d);
  EXPECT_EQ(a, "x&y");
  EXPECT_EQ(b, "");
  EXPECT_EQ(c, "");
  EXPECT_EQ(d, "stays");
  EXPECT_EQ(query.complaint(), "");
}

TEST(AdminQueryTest, TheFirstMistakeIsSaid) {
  AdminQuery query("a=12345&b=x");
  std::string a;
  size_t b = 7;
  query.text("a", 4, a);
  query.number("b", 1, 9, b);
  EXPECT_EQ(query.complaint(), "a: longer than 4 bytes");
  EXPECT_EQ(b, 7U);
}

}  // namespace
}  // namespace latchkey::edge
