#include <gmock/gmock.h>

#include <cmath>
#include <sstream>

#include "bench/report/format.h"
#include "bench/report/terminal.h"
#include "bench/report/text.h"
#include "tests/bench/sample_results.h"

namespace latchkey::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

std::string line_with(const std::string& text, std::string_view what) {
  for (const std::string& line : lines_of(text)) {
    if (line.find(what) != std::string::npos) return line;
  }
  return "no line with " + std::string(what);
}

TEST(FormatTest, WritesThreeDigitsThatCount) {
  EXPECT_EQ(figure(0), "0");
  EXPECT_EQ(figure(1), "1");
  EXPECT_EQ(figure(1.0 / 3), "0.333");
  EXPECT_EQ(figure(0.01234), "0.0123");
  EXPECT_EQ(figure(0.9999), "1.00");
  EXPECT_EQ(figure(5.894), "5.89");
  EXPECT_EQ(figure(13.46), "13.5");
  EXPECT_EQ(figure(110.6), "111");
  EXPECT_EQ(figure(1234.4), "1234");
  EXPECT_EQ(figure(12345.6), "12 346");
  EXPECT_EQ(figure(-1234567), "-1 234 567");
  EXPECT_EQ(figure(std::nan("")), "-");
  EXPECT_EQ(whole(1'234'567), "1 234 567");
  EXPECT_EQ(percent(0.00013), "0.0130 %");
}

TEST(FormatTest, PicksTheUnitThatFits) {
  EXPECT_EQ(duration(842).text(), "842 us");
  EXPECT_EQ(duration(999.4).text(), "999 us");
  EXPECT_EQ(duration(999.6).text(), "1.00 ms");
  EXPECT_EQ(duration(1240).text(), "1.24 ms");
  EXPECT_EQ(duration(3.21e6).text(), "3.21 s");
  EXPECT_EQ(duration(125e6).text(), "2 min 5 s");
  EXPECT_EQ(duration(7500e6).text(), "2 h 5 min");
  EXPECT_EQ(bytes(812).text(), "812 B");
  EXPECT_EQ(bytes(4600).text(), "4.49 KiB");
  EXPECT_EQ(bytes(1u << 20).text(), "1 MiB");
}

TEST(FormatTest, ReadsTheUnitOfAFactFromItsName) {
  EXPECT_EQ(fact("memory_per_connection", 4600).label, "memory per connection");
  EXPECT_EQ(fact("memory_per_connection", 4600).value.text(), "4.49 KiB");
  EXPECT_EQ(fact("first_us", 1234).label, "first");
  EXPECT_EQ(fact("first_us", 1234).value.text(), "1.23 ms");
  EXPECT_EQ(fact("names", 1000).value.text(), "1000");
}

TEST(FormatTest, WritesTheTimeOfARunForPeople) {
  EXPECT_EQ(when("2026-11-02T03:04:05Z"), "2 November 2026, 03:04 UTC");
  EXPECT_EQ(when("2026-11-02T03:04:05.678Z"), "2 November 2026, 03:04 UTC");
  EXPECT_EQ(when("2026-13-02T03:04:05Z"), "2026-13-02T03:04:05Z");
  EXPECT_EQ(when("2026-11-02T03:04:05+01:00"), "2026-11-02T03:04:05+01:00");
  EXPECT_EQ(when(""), "");
}

TEST(TerminalTest, WrapsBetweenWords) {
  EXPECT_THAT(wrap("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrap("abcdefghij", 4), ElementsAre("abcd", "efgh", "ij"));
  EXPECT_THAT(wrap("\u00e9\u00e9\u00e9 x", 3), ElementsAre("\u00e9\u00e9\u00e9", "x"));
  EXPECT_THAT(wrap("", 3), ElementsAre(""));
}

TEST(TerminalTest, ShowsNothingThatATerminalObeys) {
  EXPECT_EQ(printable("a\x1b[31mb\r\n\xc2\x9b"
                      "c\u00e9"),
            "a?[31mb???c\u00e9");
}

TEST(TextReportTest, OfAMeasurementSaysWhatWasMeasured) {
  const std::string text = text_report(sample_measurement());
  EXPECT_EQ(lines_of(text)[0],
            "handshake against 127.0.0.1:8443, 2.00 s from 22 November 2026, 03:04 UTC");
  EXPECT_THAT(line_with(text, "done"), HasSubstr("12 335, 6161 a second"));
  EXPECT_THAT(line_with(text, "failed"), HasSubstr("12 (0.0972 %)"));
  EXPECT_THAT(line_with(text, "unfinished"), HasSubstr("3, when the time was over"));
  EXPECT_THAT(line_with(text, "handshake  "), HasSubstr("123 ms"));
  EXPECT_THAT(line_with(text, "first byte"), HasSubstr("90 us"));
  EXPECT_EQ(line_with(text, "alert"), "           9  alert unrecognized_name");
  EXPECT_THAT(line_with(text, "of CPU an operation"), HasSubstr("111 us of CPU an operation"));
  EXPECT_THAT(text, HasSubstr("memory 11.7 MiB before, 14.2 MiB after"));
  EXPECT_THAT(line_with(text, "memory per connection"), HasSubstr("4.49 KiB"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text_report(sample_measurement(), Colours::kAnsi), HasSubstr("\x1b[1m12 335\x1b[0m"));
}

TEST(TextReportTest, OfAComparisonIsATable) {
  const std::string text = text_report(sample_comparison());
  EXPECT_THAT(lines_of(text)[0],
              ::testing::MatchesRegex(" +latchkey +floor +nginx +caddy +ratio  target +verdict"));
  EXPECT_THAT(line_with(text, "full handshake"),
              ::testing::MatchesRegex("full handshake +112 +111 +256 +- +1.01  "
                                      "<= 1.02 x floor +met"));
  EXPECT_THAT(text, HasSubstr("111-115"));
  EXPECT_THAT(text, HasSubstr("3600/s"));
  EXPECT_THAT(line_with(text, "resumed handshake"), HasSubstr("missed"));
  EXPECT_THAT(line_with(text, "the herd"), HasSubstr("not measured"));
  EXPECT_THAT(line_with(text, "the order alone"), Not(HasSubstr("measured")));
  EXPECT_EQ(line_with(text, "perf says so"), "    Bound by the kernel: perf says so");
  EXPECT_EQ(line_with(text, "nginx 1.22.1"), "    latchkey 0.1.0; nginx 1.22.1");
  EXPECT_THAT(line_with(text, "targets"),
              HasSubstr("1 of 3 targets met, 1 missed, 1 not measured; 8 min 32 s"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(TextReportTest, FitsATerminalWhateverTheTitlesAre) {
  Comparison wide = sample_comparison();
  wide.rows[0].title = std::string(100, 'x') + " " + std::string(100, 'y');
  wide.rows[0].note = std::string(500, 'n');
  for (const char* server : {"nginx built against BoringSSL", "haproxy", "caddy 2.11"}) {
    wide.rows[1].cells.push_back({.server = server, .samples = {12345.6, 98765.4}});
  }
  for (const std::string& line : lines_of(text_report(wide))) {
    EXPECT_LE(columns_of(line), 160u) << line;
    EXPECT_FALSE(!line.empty() && line.back() == ' ') << "\"" << line << "\"";
  }
}

TEST(TextReportTest, ShowsNothingThatATerminalObeys) {
  Comparison evil = sample_comparison();
  evil.rows[0].cells[0].server = "\x1b]0;x\x07";
  evil.rows[0].note = "\x1b[2J";
  evil.rows[0].title = "\x1b[2J";
  evil.rows[0].unit = "\x1b[2J";
  evil.rows[0].target->against = "\x1b]0;x\x07";
  evil.versions = {{"\x1b[2J", "\x1b[2J"}};
  evil.started = "\x1b[2J";
  EXPECT_THAT(text_report(evil), Not(HasSubstr("\x1b")));
  Measurement measured = sample_measurement();
  measured.scenario = measured.target = measured.started = "\x1b[2J";
  measured.errors = {{"\x1b[2J", 1}};
  measured.facts = {{"\x1b[2J", 1}};
  measured.latency["\x1b[2J"].record(1);
  EXPECT_THAT(text_report(measured), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace latchkey::bench
