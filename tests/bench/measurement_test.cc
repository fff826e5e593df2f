#include "bench/report/measurement.h"

#include <gmock/gmock.h>

#include "tests/bench/sample_results.h"

namespace latchkey::bench {
namespace {

using ::testing::HasSubstr;

std::string complaint(std::string json, std::string_view what, std::string_view with) {
  const size_t at = json.find(what);
  EXPECT_NE(at, std::string::npos) << what << " is not in " << json;
  const auto parsed = parse_measurement(json.replace(at, what.size(), with));
  return parsed ? "accepted" : parsed.error().message;
}

TEST(MeasurementTest, ComesBackFromJsonAsItWas) {
  const Measurement before = sample_measurement();
  const std::string json = to_json(before);
  const auto after = parse_measurement(json);
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(to_json(*after), json);

  const Histogram& handshake = after->latency.at("handshake");
  EXPECT_EQ(handshake.buckets(), before.latency.at("handshake").buckets());
  EXPECT_EQ(handshake.count(), before.latency.at("handshake").count());
  EXPECT_EQ(handshake.min(), before.latency.at("handshake").min());
  EXPECT_EQ(handshake.max(), before.latency.at("handshake").max());
  EXPECT_EQ(handshake.mean(), before.latency.at("handshake").mean());
  EXPECT_EQ(after->command, before.command);
  EXPECT_EQ(after->errors, before.errors);
  EXPECT_EQ(after->facts, before.facts);
  EXPECT_EQ(after->seconds, before.seconds);
  EXPECT_EQ(after->bytes_in, before.bytes_in) << "more than a double holds";
  ASSERT_TRUE(after->server);
  EXPECT_EQ(after->server->cpu_seconds, before.server->cpu_seconds);
  EXPECT_EQ(after->server->rss_after, before.server->rss_after);
  ASSERT_EQ(after->series.size(), before.series.size());
  EXPECT_EQ(after->series[1].p99_us, before.series[1].p99_us);
}

TEST(MeasurementTest, WithNothingInItComesBackToo) {
  const auto after = parse_measurement(to_json(Measurement{}));
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_FALSE(after->server);
  EXPECT_TRUE(after->latency.empty());
  EXPECT_EQ(after->rate(), 0);
}

TEST(MeasurementTest, LeavesOutFactsThatAreNoNumbers) {
  Measurement odd;
  odd.facts = {{"ratio", 0.0 / 0.0}, {"size", 7}};
  const auto after = parse_measurement(to_json(odd));
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->facts, (std::map<std::string, double>{{"size", 7}}));
}

TEST(MeasurementTest, SaysWhichMemberIsWrong) {
  const std::string json = to_json(sample_measurement());
  EXPECT_EQ(complaint(json, "\"failed\":12", "\"failed\":-12"),
            "failed: expected a count, got -12");
  EXPECT_EQ(complaint(json, "\"failed\":12", "\"failed\":1.5"),
            "failed: expected a count, got 1.5");
  EXPECT_EQ(complaint(json, "\"failed\":12", "\"fialed\":12"), "failed: missing; expected a count");
  EXPECT_EQ(complaint(json, "\"failed\":12", "\"failed\":12,\"x\":0"), "x: unknown member");
  EXPECT_EQ(complaint(json, "\"in\":", "\"inn\":"), "bytes.in: missing; expected a count");
  EXPECT_EQ(complaint(json, "\"alert unrecognized_name\":9", "\"alert unrecognized_name\":\"9\""),
            "errors.alert unrecognized_name: expected a count, got \"9\"");
  EXPECT_EQ(complaint(json, "\"at\":2", "\"at\":null"),
            "series[1].at: expected a number, got null");
  EXPECT_EQ(complaint(json, "\"buckets\":[[", "\"buckets\":[7,["),
            "latency_us.first_byte.buckets: expected [upper, count], got 7");
  EXPECT_THAT(complaint(json, "\"buckets\":[[", "\"buckets\":[[1,3],["),
              HasSubstr("latency_us.first_byte: count is "));
  EXPECT_THAT(complaint(json, "latchkey-bench/1", "latchkey-bench/2"),
              HasSubstr("schema: expected \"latchkey-bench/1\", got \"latchkey-bench/2\""));
  EXPECT_EQ(parse_measurement("7").error().message, "the document: expected an object, got 7");
}

}  // namespace
}  // namespace latchkey::bench
