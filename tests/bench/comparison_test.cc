#include "bench/report/comparison.h"

#include <gmock/gmock.h>

namespace latchkey::bench {
namespace {

using ::testing::HasSubstr;

Row row_of(std::vector<double> ours, std::vector<double> theirs, std::optional<Target> target) {
  Row row{.id = "handshake_full", .title = "full handshake", .unit = "us", .cells = {}};
  row.cells.push_back({.server = "latchkey", .samples = std::move(ours)});
  row.cells.push_back({.server = "floor", .samples = std::move(theirs)});
  row.target = std::move(target);
  return row;
}

TEST(CellTest, KnowsItsMedianAndItsSpread) {
  const Cell odd{.server = "floor", .samples = {9, 1, 5}};
  EXPECT_EQ(odd.median(), 5);
  EXPECT_EQ(odd.low(), 1);
  EXPECT_EQ(odd.high(), 9);
  const Cell even{.server = "floor", .samples = {4, 1, 2, 100}};
  EXPECT_EQ(even.median(), 3);
}

TEST(RowTest, IsJudgedAgainstAnAbsoluteLimit) {
  const Target at_most{.limit = 4.6}, at_least{.limit = 4.6, .against = "", .at_least = true};
  EXPECT_EQ(row_of({4.6}, {}, at_most).verdict(), Verdict::kMet);
  EXPECT_EQ(row_of({4.61}, {}, at_most).verdict(), Verdict::kMissed);
  EXPECT_EQ(row_of({4.6}, {}, at_least).verdict(), Verdict::kMet);
  EXPECT_EQ(row_of({4.59}, {}, at_least).verdict(), Verdict::kMissed);
  EXPECT_EQ(row_of({0}, {}, Target{.limit = 0}).verdict(), Verdict::kMet) << "0 asks, at most 0";
}

TEST(RowTest, IsJudgedAgainstAFactorOfAnotherServer) {
  const Target at_most{.limit = 1.02, .against = "floor"};
  EXPECT_EQ(row_of({102}, {100}, at_most).verdict(), Verdict::kMet);
  EXPECT_EQ(row_of({103}, {100}, at_most).verdict(), Verdict::kMissed);
  EXPECT_EQ(row_of({90, 102, 500}, {1, 100, 101}, at_most).verdict(), Verdict::kMet) << "medians";
  const Target at_least{.limit = 0.97, .against = "floor", .at_least = true};
  EXPECT_EQ(row_of({97}, {100}, at_least).verdict(), Verdict::kMet);
  EXPECT_EQ(row_of({96}, {100}, at_least).verdict(), Verdict::kMissed);
}

TEST(RowTest, IsNotJudgedByWhatWasNotMeasured) {
  const Target target{.limit = 1.02, .against = "floor"};
  EXPECT_EQ(row_of({}, {100}, target).verdict(), Verdict::kNotMeasured);
  EXPECT_EQ(row_of({1}, {}, target).verdict(), Verdict::kNotMeasured);
  EXPECT_EQ(row_of({1}, {0}, target).verdict(), Verdict::kNotMeasured);
  EXPECT_EQ(row_of({1}, {100}, std::nullopt).verdict(), Verdict::kNotMeasured);
  Target absent = target;
  absent.against = "nginx";
  EXPECT_EQ(row_of({1}, {100}, absent).verdict(), Verdict::kNotMeasured);
  EXPECT_EQ(Row{}.verdict(), Verdict::kNotMeasured);
}

TEST(RowTest, HasRatiosWhereBothWereMeasured) {
  EXPECT_EQ(row_of({50}, {100}, {}).ratio_to("floor"), 0.5);
  EXPECT_EQ(row_of({50}, {100}, {}).ratio_to("nginx"), std::nullopt);
  EXPECT_EQ(row_of({50}, {0}, {}).ratio_to("floor"), std::nullopt);
  EXPECT_EQ(row_of({}, {100}, {}).ratio_to("floor"), std::nullopt);
}

Comparison full() {
  Comparison out;
  out.started = "2026-11-22T03:00:00Z";
  out.seconds = 512.25;
  out.machine = {{"cpu", "A \"CPU\""}, {"cores", "2"}};
  out.versions = {{"nginx", "1.22.1"}, {"caddy", "2.6.2"}};
  out.rows.push_back(row_of({1.0 / 3, 2}, {3}, Target{.limit = 1.02, .against = "floor"}));
  out.rows[0].note = "bound by X25519";
  out.rows[0].cells[0].rates = {8123.5, 1};
  out.rows[0].cells.push_back({.server = "caddy", .samples = {}, .rates = {}, .note = "cannot"});
  out.rows.push_back(Row{.id = "idle", .title = "idle", .unit = "KiB", .cells = {}});
  return out;
}

TEST(ComparisonTest, ComesBackFromJsonAsItWas) {
  const Comparison before = full();
  const std::string json = to_json(before);
  const auto after = parse_comparison(json);
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(to_json(*after), json);
  EXPECT_EQ(after->machine, before.machine);
  EXPECT_EQ(after->versions, before.versions);
  ASSERT_EQ(after->rows.size(), 2u);
  EXPECT_EQ(after->rows[0].note, "bound by X25519");
  EXPECT_EQ(after->rows[0].cells[0].samples, before.rows[0].cells[0].samples);
  EXPECT_EQ(after->rows[0].cells[0].rates, before.rows[0].cells[0].rates);
  EXPECT_EQ(after->rows[0].cells[2].note, "cannot");
  EXPECT_EQ(after->rows[0].target->against, "floor");
  EXPECT_EQ(after->rows[0].target->limit, 1.02);
  EXPECT_FALSE(after->rows[1].target);
}

TEST(ComparisonTest, SaysWhichMemberIsWrong) {
  const auto complaint = [](std::string json, std::string_view what, std::string_view with) {
    const size_t at = json.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    const auto parsed = parse_comparison(json.replace(at, what.size(), with));
    return parsed ? "accepted" : parsed.error().message;
  };
  const std::string json = to_json(full());
  EXPECT_EQ(complaint(json, "\"limit\":1.02", "\"limit\":\"1.02\""),
            "rows[0].target.limit: expected a number, got \"1.02\"");
  EXPECT_EQ(complaint(json, "\"server\":\"floor\"", "\"servant\":\"floor\""),
            "rows[0].cells[1].server: missing; expected a string");
  EXPECT_EQ(complaint(json, "\"id\":\"idle\"", "\"id\":\"idle\",\"color\":1"),
            "rows[1].color: unknown member");
  EXPECT_EQ(complaint(json, "[3]", "[3,null]"),
            "rows[0].cells[1].samples[1]: expected a number, got null");
  EXPECT_THAT(complaint(json, "compare/1", "compare/2"), HasSubstr("of another version"));
  EXPECT_THAT(complaint(json, "{", "{,"), HasSubstr("line 1, column 2"));
  EXPECT_FALSE(parse_comparison("[]"));
}

}  // namespace
}  // namespace latchkey::bench
