#include "bench/load/recorder.h"

#include <gtest/gtest.h>

#include "bench/load/drift.h"

namespace latchkey::bench {
namespace {

using namespace std::chrono_literals;

const Time kBegin = Time{} + 1000s;

class RecorderTest : public testing::Test {
 protected:
  explicit RecorderTest(bool open_loop = false) : window(open_loop, 1s) {
    window.begin_at(kBegin);
    window.end_at(kBegin + 10s);
  }
  // From `from` to `to`, in milliseconds since the window began.
  void done(int from, int to) {
    recorder.started(kBegin + from * 1ms);
    recorder.done(kBegin + from * 1ms, kBegin + to * 1ms, recorder.latency("handshake"));
  }
  void failed(int from, int to, std::string_view kind) {
    recorder.started(kBegin + from * 1ms);
    recorder.failed(kBegin + from * 1ms, kBegin + to * 1ms, kind);
  }
  Measurement merged() const {
    Measurement out;
    out.seconds = 10;
    Recorder::merge({&recorder}, out);
    return out;
  }

  Window window;
  Recorder recorder{window, "handshake"};
};

class OpenLoopRecorderTest : public RecorderTest {
 protected:
  OpenLoopRecorderTest() : RecorderTest(true) {}
};

TEST_F(RecorderTest, CountsWhatEndsWithinTheWindow) {
  done(-500, -10);     // of the warm-up
  done(-10, 100);      // ends within
  done(9'900, 9'990);  // wholly within
  done(9'990, 10'010);
  failed(20, 30, "reset");
  failed(9'990, 10'000, "reset");
  const Measurement out = merged();
  EXPECT_EQ(out.done, 2u);
  EXPECT_EQ(out.failed, 1u);
  EXPECT_EQ(out.errors, (std::map<std::string, uint64_t>{{"reset", 1}}));
  EXPECT_EQ(out.latency.at("handshake").count(), 2u);
  EXPECT_EQ(out.latency.at("handshake").max(), 110'000u);
}

TEST_F(OpenLoopRecorderTest, LatenciesAreOfWhatWasPlannedInTheWindowHoweverLateItEnds) {
  done(-10, 100);
  done(9'000, 10'500);
  failed(9'500, 10'600, "timeout");
  const Measurement out = merged();
  EXPECT_EQ(out.started_operations, 2u);
  EXPECT_EQ(out.done, 1u);  // the first; the second one ended too late for the server's CPU time
  EXPECT_EQ(out.latency.at("handshake").count(), 1u);
  EXPECT_EQ(out.latency.at("handshake").max(), 1'500'000u);
  EXPECT_EQ(out.errors.at("timeout"), 1u);
}

TEST_F(RecorderTest, TheSeriesHasASliceForEachInterval) {
  done(0, 20);
  done(0, 1'020);
  failed(1'500, 1'600, "reset");
  done(3'000, 3'001);
  const Measurement out = merged();
  ASSERT_EQ(out.series.size(), 4u);
  EXPECT_EQ(out.series[0].at, 1);
  EXPECT_EQ(out.series[0].done, 1u);
  EXPECT_NEAR(out.series[0].p50_us, 20'000, 20);
  EXPECT_EQ(out.series[1].failed, 1u);
  EXPECT_EQ(out.series[2].done, 0u);
  EXPECT_EQ(out.series[3].done, 1u);
}

TEST_F(RecorderTest, RecordersMergeToOneMeasurement) {
  Recorder other(window, "handshake");
  other.done(kBegin, kBegin + 5ms, other.latency("handshake"));
  other.failed(kBegin, kBegin + 5ms, "reset");
  done(0, 10);
  failed(0, 10, "reset");
  Measurement out;
  out.seconds = 10;
  Recorder::merge({&recorder, &other}, out);
  EXPECT_EQ(out.done, 2u);
  EXPECT_EQ(out.errors.at("reset"), 2u);
  EXPECT_EQ(out.latency.at("handshake").count(), 2u);
  ASSERT_EQ(out.series.size(), 1u);
  EXPECT_EQ(out.series[0].done, 2u);
}

TEST_F(RecorderTest, NamesTheMostFrequentFailureAtOnce) {
  EXPECT_EQ(recorder.main_failure(), "");
  failed(-10, -5, "timeout");
  failed(-10, -5, "reset");
  failed(-10, -5, "reset");
  EXPECT_EQ(recorder.main_failure(), "reset");
  EXPECT_EQ(recorder.live_failed(), 3u);
}

TEST(DriftTest, ComparesTheLastFifthWithTheSecond) {
  EXPECT_EQ(drift_percent({1, 2, 3, 4}), std::nullopt);
  EXPECT_NEAR(*drift_percent({1, 100, 100, 100, 110}), 10, 1e-9);
  EXPECT_NEAR(*drift_percent({1, 1, 100, 200, 7, 7, 7, 7, 75, 75}), -50, 1e-9);
  EXPECT_EQ(drift_percent({0, 0, 0, 0, 5}), std::nullopt);
}

}  // namespace
}  // namespace latchkey::bench
