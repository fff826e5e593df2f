#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>

#include "base/json.h"
#include "tests/support/fd.h"
#include "tests/support/temp_folder.h"

namespace latchkey {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::SizeIs;

class LogTest : public testing::Test {
 protected:
  std::vector<std::string> lines() const {
    std::istringstream text(test::read_text(folder_ / "log"));
    std::vector<std::string> out;
    for (std::string line; std::getline(text, line);) out.push_back(line);
    return out;
  }
  // The lines as objects; a line that is none is a failure.
  std::vector<JsonValue> objects() const {
    std::vector<JsonValue> out;
    for (const std::string& line : lines()) {
      auto value = parse_json(line);
      EXPECT_TRUE(value.has_value()) << line;
      if (value) out.push_back(*std::move(value));
    }
    return out;
  }
  static int64_t number(const JsonValue& object, std::string_view key) {
    const JsonValue* found = object.find(key);
    return found == nullptr ? 0 : static_cast<int64_t>(found->number);
  }

 private:
  test::TempFolder folder_;

 protected:
  const test::Fd file_{::open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600)};
};

// What strangers may put into a name, a header or a CA's problem document.
const std::string kBytes[] = {
    "a\nb",
    "a\r\nlevel=error",
    "\"quoted\" and \\",
    "\x1b[31mred\x1b]0;title\x07",
    std::string("nul\0byte", 8),
    "\x7f",
    "\xff\xfe not UTF-8",
    "cut short \xe2\x82",
    "overlong \xc0\xaf",
    "half a pair \xed\xa0\x80",
    "\xe2\x80\xa8 a separator",
    "Zürich \xf0\x9f\x94\x92",
    "{\"event\":\"forged\"}",
    "",
};

TEST_F(LogTest, AJsonLineIsAnObjectWithItsFields) {
  Log log(file_.get(), Log::Format::kJson, LogLevel::kInfo);
  log.info("ready", "all listeners accept", {{"https", "127.0.0.1:443"}, {"workers", 2}});
  const auto all = objects();
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0].text_of("level"), "info");
  EXPECT_EQ(all[0].text_of("event"), "ready");
  EXPECT_EQ(all[0].text_of("message"), "all listeners accept");
  EXPECT_EQ(all[0].text_of("https"), "127.0.0.1:443");
  EXPECT_EQ(number(all[0], "workers"), 2);
  EXPECT_THAT(std::string(all[0].text_of("time")), MatchesRegex("....-..-..T..:..:..\\....Z"));
  EXPECT_EQ(all[0].find("suppressed"), nullptr);
}

TEST_F(LogTest, ATextLineQuotesOnlyWhatNeedsIt) {
  Log log(file_.get(), Log::Format::kText, LogLevel::kInfo);
  log.warning("slow", "it took long", {{"name", "a.test"}, {"why", "a b"}, {"ms", 70}, {"x", ""}});
  ASSERT_THAT(lines(), SizeIs(1));
  EXPECT_THAT(lines()[0], EndsWith("Z warning slow: it took long name=a.test why=\"a b\" ms=70 "
                                   "x=\"\""));
}

TEST_F(LogTest, NoByteOfAStrangerBreaksAJsonLine) {
  Log log(file_.get(), Log::Format::kJson, LogLevel::kInfo);
  log.set_rate_limit(false);
  for (const std::string& bytes : kBytes) log.info("said", bytes, {{"by", bytes}});
  const auto all = objects();
  ASSERT_THAT(all, SizeIs(std::size(kBytes)));
  for (const JsonValue& object : all) {
    EXPECT_EQ(object.text_of("event"), "said");
    EXPECT_EQ(object.text_of("message"), object.text_of("by"));
  }
  EXPECT_EQ(all[0].text_of("by"), "a\nb");
  EXPECT_EQ(all[11].text_of("by"), kBytes[11]);  // what is good UTF-8 stays as it is
}

TEST_F(LogTest, NoByteOfAStrangerBreaksATextLineOrMovesTheCursor) {
  Log log(file_.get(), Log::Format::kText, LogLevel::kInfo);
  log.set_rate_limit(false);
  for (const std::string& bytes : kBytes) log.info("said", bytes, {{"by", bytes}});
  const auto all = lines();
  ASSERT_THAT(all, SizeIs(std::size(kBytes)));
  for (const std::string& line : all) {
    EXPECT_THAT(line, HasSubstr(" info said: "));
    EXPECT_THAT(line, HasSubstr(" by="));
    EXPECT_TRUE(std::none_of(line.begin(), line.end(), [](char c) {
      return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
    })) << testing::PrintToString(line);
  }
}

TEST_F(LogTest, ShowsItsLevelAndWhatIsWorse) {
  Log log(file_.get(), Log::Format::kJson, LogLevel::kWarning);
  const auto write_all = [&] {
    log.debug("d", "");
    log.info("i", "");
    log.warning("w", "");
    log.error("e", "");
  };
  const auto events = [&] {
    std::vector<std::string> out;
    for (const JsonValue& object : objects()) out.emplace_back(object.text_of("event"));
    return out;
  };
  write_all();
  EXPECT_THAT(events(), ElementsAre("w", "e"));
  log.set_level(LogLevel::kError);
  write_all();
  EXPECT_THAT(events(), ElementsAre("w", "e", "e"));
  log.set_level(LogLevel::kDebug);
  write_all();
  EXPECT_THAT(events(), ElementsAre("w", "e", "e", "d", "i", "w", "e"));
}

class LogFormatTest : public LogTest, public testing::WithParamInterface<Log::Format> {};

// The limiter has no clock but the real one: 20 lines at once, then 2 for each second that goes by.
TEST_P(LogFormatTest, AnEventHasABudgetAndTellsWhatItLeftOut) {
  constexpr int64_t kCount = 1000;
  Log log(file_.get(), GetParam(), LogLevel::kInfo);
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < kCount; ++i) log.info("flood", "again", {{"n", i}});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const auto shown = static_cast<int64_t>(lines().size());
  EXPECT_GE(shown, 20);
  EXPECT_LE(shown, 21 + static_cast<int64_t>(2 * took.count()));

  log.info("other", "has a budget of its own");
  EXPECT_THAT(lines().back(), HasSubstr("other"));
  EXPECT_THAT(lines().back(), Not(HasSubstr("suppressed")));

  log.set_rate_limit(false);
  log.info("flood", "the last one");
  const auto all = lines();
  int64_t left_out = 0;
  for (const std::string& line : all) {
    const bool json = GetParam() == Log::Format::kJson;
    const std::string mark = json ? "\"suppressed\":" : " suppressed=";
    const size_t at = line.find(mark);
    if (at != std::string::npos) left_out += std::stoll(line.substr(at + mark.size()));
  }
  EXPECT_THAT(all.back(), HasSubstr("suppressed"));
  EXPECT_EQ(shown + left_out, kCount);
}

INSTANTIATE_TEST_SUITE_P(Formats, LogFormatTest,
                         testing::Values(Log::Format::kJson, Log::Format::kText),
                         [](const auto& test) {
                           return std::string(test.param == Log::Format::kJson ? "Json" : "Text");
                         });

TEST_F(LogTest, WhatItsLevelHidesCostsNoBudget) {
  Log log(file_.get(), Log::Format::kJson, LogLevel::kWarning);
  for (int i = 0; i < 100; ++i) log.info("event", "hidden");
  log.error("event", "shown");
  ASSERT_THAT(objects(), SizeIs(1));
  EXPECT_EQ(objects()[0].find("suppressed"), nullptr);
}

TEST_F(LogTest, LinesOfSeveralThreadsStayWhole) {
  Log log(file_.get(), Log::Format::kJson, LogLevel::kInfo);
  log.set_rate_limit(false);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&log, i] {
      const std::string filler(300, static_cast<char>('a' + i));
      for (int n = 0; n < 100; ++n) log.info("busy", filler, {{"n", n}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(objects(), SizeIs(400));
}

TEST_F(LogTest, AReaderThatHasStalledStopsNobodyAndLearnsThatItMissedSome) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const test::Fd reader(ends[0]);
  const test::Fd writer(ends[1]);
  Log log(writer.get(), Log::Format::kJson, LogLevel::kInfo);
  log.set_rate_limit(false);
  constexpr int64_t kCount = 2000;
  const std::string filler(200, 'x');
  for (int64_t i = 0; i < kCount; ++i) log.info("busy", filler);

  const auto read_what_is_there = [&reader] {
    std::string text;
    char piece[4096];
    pollfd ready{reader.get(), POLLIN, 0};
    while (::poll(&ready, 1, 0) == 1) {
      const ssize_t size = ::read(reader.get(), piece, sizeof piece);
      if (size <= 0) break;
      text.append(piece, static_cast<size_t>(size));
    }
    return text;
  };
  const std::string first = read_what_is_there();
  EXPECT_THAT(first, EndsWith("\n"));
  const int64_t shown = std::count(first.begin(), first.end(), '\n');
  EXPECT_LT(shown, kCount);
  log.info("busy", "it reads again");
  const auto last = parse_json(read_what_is_there());
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(number(*last, "suppressed"), kCount - shown);
}

TEST_F(LogTest, HostileTextStaysBelowWhatAPipeTakesWhole) {
  const std::string hostile(100'000, '\x01');
  for (const auto format : {Log::Format::kJson, Log::Format::kText}) {
    Log log(file_.get(), format, LogLevel::kInfo);
    log.info("hostile", hostile,
             {{"a", hostile},
              {"b", hostile},
              {"c", hostile},
              {"d", hostile},
              {"e", hostile},
              {"f", hostile},
              {"g", hostile},
              {"h", hostile}});
    EXPECT_LE(lines().back().size(), 4095u);
  }
}

TEST_F(LogTest, LongTextsAreCut) {
  Log log(file_.get(), Log::Format::kJson, LogLevel::kInfo);
  log.info("long", std::string(100'000, 'x'), {{"why", std::string(100'000, 'y')}});
  ASSERT_THAT(objects(), SizeIs(1));
  EXPECT_LT(lines()[0].size(), 4096u);  // PIPE_BUF: written whole or not at all
}

TEST_F(LogTest, AFullDiskStopsNobody) {
  const test::Fd full(::open("/dev/full", O_WRONLY));
  Log log(full.get(), Log::Format::kJson, LogLevel::kInfo);
  for (int i = 0; i < 10; ++i) log.error("event", "nobody reads it");
  EXPECT_THAT(lines(), IsEmpty());
}

}  // namespace
}  // namespace latchkey
