#include <gmock/gmock.h>

#include <cmath>

#include "bench/report/html.h"
#include "bench/report/html_page.h"
#include "bench/report/svg.h"
#include "tests/bench/sample_results.h"

namespace latchkey::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Reads markup as strictly as XML is read: every tag closed and in order, attributes quoted, and no
// bare & or <.
class MarkupCheck {
 public:
  explicit MarkupCheck(std::string_view page) : rest_(page) {}

  // What is wrong, with the text from there on; "" if nothing is.
  std::string problem() {
    take("<!DOCTYPE html>");
    while (!rest_.empty() && problem_.empty()) {
      text_until('<');
      if (!rest_.empty()) tag();
    }
    if (problem_.empty() && !open_.empty()) problem_ = "never closed: " + open_.back();
    return problem_;
  }

 private:
  bool take(std::string_view what) {
    const bool found = rest_.substr(0, what.size()) == what;
    if (found) rest_.remove_prefix(what.size());
    return found;
  }
  std::string name() {
    const size_t size =
        std::min(rest_.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789-"),
                 rest_.size());
    const std::string out(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return out;
  }
  void fail(const std::string& what) {
    if (problem_.empty()) problem_ = what + ": " + std::string(rest_.substr(0, 60));
  }
  void text_until(char end) {
    while (!rest_.empty() && rest_[0] != end && problem_.empty()) {
      if (rest_[0] == '<' || rest_[0] == '>') return fail("a bare bracket");
      if (rest_[0] != '&') {
        rest_.remove_prefix(1);
      } else if (!take("&amp;") && !take("&lt;") && !take("&gt;") && !take("&quot;") &&
                 !take("&#39;")) {
        return fail("a bare &");
      }
    }
  }
  void tag() {
    const bool closes = take("</");
    if (!closes) take("<");
    const std::string kind = name();
    if (kind.empty()) return fail("no tag");
    while (problem_.empty() && take(" ")) {
      if (name().empty() || !take("=\"")) return fail("no attribute");
      text_until('"');
      if (!take("\"")) return fail("no end of an attribute");
    }
    const bool whole = take("/");
    if (!take(">")) return fail("no end of a tag");
    if (closes) {
      if (open_.empty() || open_.back() != kind) return fail("closes nothing: " + kind);
      open_.pop_back();
    } else if (!whole) {
      open_.push_back(kind);
    }
  }

  std::string_view rest_;
  std::vector<std::string> open_;
  std::string problem_;
};

std::string malformed(const std::string& page) {
  return MarkupCheck(page).problem();
}

constexpr const char* kEvil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;\x01";

Measurement evil_measurement() {
  Measurement out = sample_measurement();
  out.scenario = out.target = out.started = kEvil;
  out.command = {kEvil};
  out.errors = {{kEvil, 3}};
  out.facts = {{kEvil, 3}};
  out.latency[kEvil].record(7, 100);
  return out;
}

Comparison evil_comparison() {
  Comparison out = sample_comparison();
  out.started = kEvil;
  out.machine = out.versions = {{kEvil, kEvil}};
  for (Row& row : out.rows) {
    row.id = row.title = row.unit = row.note = kEvil;
    if (row.target) row.target->against = kEvil;
    for (Cell& cell : row.cells) cell.note = kEvil;
    row.cells[0].server = kEvil;
  }
  return out;
}

TEST(HtmlTest, TheCheckOfTheseTestsFindsWhatIsWrong) {
  EXPECT_EQ(malformed("<p class=\"a\">x &amp; y<br/></p>"), "");
  EXPECT_NE(malformed("<p>"), "");
  EXPECT_NE(malformed("<p></b></p>"), "");
  EXPECT_NE(malformed("<p>&nbsp;</p>"), "");
  EXPECT_NE(malformed("<p a=b></p>"), "");
  EXPECT_NE(malformed("1 < 2"), "");
}

TEST(HtmlTest, BothReportsAreWellFormed) {
  EXPECT_EQ(malformed(html_report(sample_measurement())), "");
  EXPECT_EQ(malformed(html_report(sample_comparison())), "");
  EXPECT_EQ(malformed(html_report(Measurement{})), "");
  EXPECT_EQ(malformed(html_report(Comparison{})), "");
}

TEST(HtmlTest, WhatComesFromOutsideIsTextAndNothingElse) {
  for (const std::string& page :
       {html_report(evil_measurement()), html_report(evil_comparison())}) {
    EXPECT_EQ(malformed(page), "");
    EXPECT_THAT(page, Not(HasSubstr("<script")));
    EXPECT_THAT(page, Not(HasSubstr("<img")));
    EXPECT_THAT(page, Not(HasSubstr("\x01")));
    EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(1)"));
  }
  EXPECT_EQ(escape("a<b>&\"'\n"), "a&lt;b&gt;&amp;&quot;&#39; ");
}

TEST(HtmlTest, NothingIsFetchedAndNothingRuns) {
  for (const std::string& page :
       {html_report(sample_measurement()), html_report(sample_comparison())}) {
    EXPECT_THAT(page, HasSubstr("default-src &#39;none&#39;"));
    for (const char* never :
         {"<script", "<link", "<iframe", "@import", "url(", "http:", "https:"}) {
      EXPECT_THAT(page, Not(HasSubstr(never)));
    }
  }
}

TEST(HtmlTest, AComparisonShowsEachRowWithItsTargetVerdictAndNote) {
  const std::string page = html_report(sample_comparison());
  for (const char* title : {"full handshake", "resumed handshake", "the herd", "the order alone"}) {
    EXPECT_THAT(page, HasSubstr(std::string("<h3>") + title + "</h3>"));
  }
  EXPECT_THAT(page, HasSubstr("<h3>full handshake</h3><span class=\"verdict met\">met</span>"));
  EXPECT_THAT(page, HasSubstr("<span class=\"verdict missed\">missed</span>"));
  EXPECT_THAT(page, HasSubstr("<span class=\"verdict unmeasured\">not measured</span>"));
  EXPECT_THAT(page, HasSubstr("<span class=\"verdict none\">no target</span>"));
  EXPECT_THAT(page, HasSubstr("\u2264\u00a01.02\u00a0\u00d7\u00a0floor</b> = 113"));
  EXPECT_THAT(page, HasSubstr("<title>nginx: 256 \u00b5s of CPU, rounds 250\u2013260</title>"));
  EXPECT_THAT(page, HasSubstr("Caddy cannot do this"));
  EXPECT_THAT(page, HasSubstr("Bound by the kernel: perf says so"));
  EXPECT_THAT(page, HasSubstr("<dt>nginx</dt><dd>1.22.1</dd>"));
  EXPECT_THAT(page, HasSubstr("<dt>cpu</dt><dd>Some CPU</dd>"));
}

TEST(HtmlTest, AMeasurementShowsItsPlotsAndTheirFigures) {
  const std::string page = html_report(sample_measurement());
  EXPECT_THAT(page, HasSubstr("<title>latency by percentile</title>"));
  EXPECT_THAT(page, HasSubstr("<title>operations a second over time</title>"));
  EXPECT_THAT(page, HasSubstr("<title>latency over time</title>"));
  EXPECT_THAT(page, HasSubstr("<title>alert unrecognized_name: 9, 75 %</title>"));
  EXPECT_THAT(page, HasSubstr("<dd>4.49 KiB</dd>"));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
}

TEST(HtmlTest, ALongSoakStaysAPageThatOpens) {
  Measurement soak = sample_measurement();
  soak.series.clear();
  for (int i = 1; i <= 200'000; ++i) soak.series.push_back({double(i), 9000, 0, 900, 1700});
  EXPECT_LT(html_report(soak).size(), 100'000u);
}

TEST(ScaleTest, BeginsAndEndsAtRoundValues) {
  const Scale log = Scale::logarithmic(37, 4100);
  EXPECT_DOUBLE_EQ(log.ticks().front(), 20);
  EXPECT_NEAR(log.ticks().back(), 5000, 1e-6);
  EXPECT_EQ(log.place(20), 0);
  EXPECT_DOUBLE_EQ(log.place(5000), 1);
  EXPECT_EQ(log.place(1), 0);
  EXPECT_EQ(log.place(1e9), 1);
  EXPECT_EQ(Scale::logarithmic(5, 5).ticks().size(), 2u) << "one value is no axis";

  EXPECT_THAT(
      Scale::logarithmic(21, 1.9e6).ticks(),
      ::testing::ElementsAre(20, ::testing::DoubleNear(100, 0.01), ::testing::DoubleNear(1e3, 0.1),
                             ::testing::DoubleNear(1e4, 1), ::testing::DoubleNear(1e5, 10),
                             ::testing::DoubleNear(1e6, 100), ::testing::DoubleNear(2e6, 200)));

  const Scale linear = Scale::linear(8912);
  EXPECT_EQ(linear.ticks().front(), 0);
  EXPECT_EQ(linear.ticks().back(), 10'000);
  EXPECT_NEAR(linear.place(5000), 0.5, 1e-9);
  for (double high : {0.0, 1e-6, 0.7, 1.0, 3.0, 59.0, 1e12}) {
    const size_t ticks = Scale::linear(high).ticks().size();
    EXPECT_GE(ticks, 3u) << high;
    EXPECT_LE(ticks, 9u) << high;
  }
}

}  // namespace
}  // namespace latchkey::bench
