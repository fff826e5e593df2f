#include "edge/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>

#include "base/json.h"
#include "edge/event_json.h"
#include "tests/support/fake_store.h"
#include "tests/support/manual_clock.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Event event_of(std::string text) {
  Event event;
  event.kind = event_kind::kObtained;
  event.text = std::move(text);
  return event;
}

class EventLogTest : public testing::Test {
 protected:
  EventLogTest() {
    store.clock = &clock;
    store.delay = 1ms;
    make({});
  }
  void make(std::vector<EventLog::Listener> listeners) {
    events = std::make_unique<EventLog>(store, std::move(listeners), clock, log);
  }
  void tell(std::string text) { events->tell(event_of(std::move(text))); }
  std::vector<std::string> stored() {
    std::vector<std::string> texts;
    texts.reserve(store.events.size());
    for (const Event& event : store.events) texts.push_back(event.text);
    return texts;
  }

  ManualClock clock;
  Log log{STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9)};
  FakeStore store;
  std::unique_ptr<EventLog> events;
};

TEST_F(EventLogTest, WhatIsToldIsStoredALittleLater) {
  tell("1");
  tell("2");
  EXPECT_THAT(stored(), IsEmpty());
  clock.advance(50ms);
  EXPECT_THAT(stored(), ElementsAre("1", "2"));
  EXPECT_EQ(store.event_puts, 1);
  EXPECT_EQ(events->counts().told.value(), 2u);
  EXPECT_EQ(events->counts().written.value(), 2u);
}

TEST_F(EventLogTest, TimesAreFilledInWhereTheyAreNotSet) {
  tell("now");
  Event old = event_of("old");
  old.at = clock.wall_now() - 1h;
  old.keep_until = clock.wall_now() + 24h;
  events->tell(old);
  clock.advance(50ms);
  ASSERT_EQ(store.events.size(), 2u);
  const WallTime now = clock.wall_now();
  EXPECT_EQ(store.events[0].at, now);
  EXPECT_EQ(store.events[0].keep_until, now + std::chrono::hours(24 * 270));
  EXPECT_EQ(store.events[1].at, now - 1h);
  EXPECT_EQ(store.events[1].keep_until, now + 24h);
}

TEST_F(EventLogTest, ListenersHearOfEveryEventInOrder) {
  std::vector<std::string> heard;
  make({[&](const Event& event) { heard.push_back("first " + event.text); },
        [&](const Event& event) { heard.push_back("second " + event.text); }});
  tell("1");
  tell("2");
  EXPECT_THAT(heard, ElementsAre("first 1", "second 1", "first 2", "second 2"));
}

TEST_F(EventLogTest, ManyEventsGoByTwoHundredAtATime) {
  for (int i = 0; i < 450; ++i) tell(std::to_string(i));
  clock.advance(50ms);
  EXPECT_EQ(store.events.size(), 450u);
  EXPECT_EQ(store.event_puts, 3);
  EXPECT_EQ(store.events.back().text, "449");
}

TEST_F(EventLogTest, WhatComesDuringAWriteGoesWithTheNext) {
  store.delay = 1s;
  tell("1");
  clock.advance(500ms);
  tell("2");
  tell("3");
  EXPECT_EQ(store.event_puts, 1);
  clock.advance(2s);
  EXPECT_EQ(store.event_puts, 2);
  EXPECT_THAT(stored(), ElementsAre("1", "2", "3"));
}

TEST_F(EventLogTest, AStoreThatFailsIsTriedAgainMoreAndMoreSeldom) {
  store.full = Error{ErrorCode::kIo, "no space left"};
  tell("1");
  clock.advance(10min);
  const int tries = store.event_puts;
  EXPECT_GE(tries, 10);
  EXPECT_LE(tries, 18);
  tell("2");
  clock.advance(59s);
  EXPECT_LE(store.event_puts, tries + 1);
  store.full.reset();
  clock.advance(61s);
  EXPECT_THAT(stored(), ElementsAre("1", "2"));
  EXPECT_EQ(events->counts().dropped.value(), 0u);
}

TEST_F(EventLogTest, TenThousandWaitThenTheOldestGo) {
  store.full = Error{ErrorCode::kIo, "no space left"};
  for (int i = 0; i < 10'010; ++i) tell(std::to_string(i));
  clock.advance(30s);
  tell("the last");
  EXPECT_EQ(events->counts().dropped.value(), 11u);
  store.full.reset();
  clock.advance(2min);
  ASSERT_EQ(store.events.size(), 10'000u);
  EXPECT_EQ(store.events.front().text, "11");
  EXPECT_EQ(store.events.back().text, "the last");
}

TEST_F(EventLogTest, WhatIsBeingWrittenIsNotDropped) {
  store.delay = 1s;
  for (int i = 0; i < 10'000; ++i) tell(std::to_string(i));
  clock.advance(500ms);  // 0 to 199 are under way
  tell("one more");
  store.delay = 1ms;
  clock.advance(5s);
  ASSERT_EQ(store.events.size(), 10'000u);
  EXPECT_EQ(store.events[199].text, "199");
  EXPECT_EQ(store.events[200].text, "201");
}

TEST_F(EventLogTest, AFlushIsDoneWhenWhatWasToldIsInTheTable) {
  Task<> idle = events->flush();
  idle.start();
  EXPECT_TRUE(idle.done());

  for (int i = 0; i < 250; ++i) tell(std::to_string(i));
  Task<> flush = events->flush();
  flush.start();
  clock.advance(21ms);
  EXPECT_FALSE(flush.done());  // a part only
  clock.advance(5ms);
  EXPECT_TRUE(flush.done());
  EXPECT_EQ(store.events.size(), 250u);
}

TEST_F(EventLogTest, AFlushDoesNotWaitForWhatIsToldLater) {
  store.delay = 10ms;
  tell("1");
  Task<> flush = events->flush();
  flush.start();
  clock.advance(25ms);
  tell("2");
  clock.advance(6ms);
  EXPECT_TRUE(flush.done());
  EXPECT_THAT(stored(), ElementsAre("1"));
}

TEST_F(EventLogTest, AFlushDoesNotWaitForAStoreThatFails) {
  store.full = Error{ErrorCode::kIo, "no space left"};
  tell("1");
  Task<> first = events->flush();
  first.start();
  clock.advance(30ms);
  EXPECT_TRUE(first.done());
  Task<> second = events->flush();
  second.start();
  EXPECT_TRUE(second.done());
}

TEST_F(EventLogTest, AnOrderlyEndLosesNothing) {
  store.clock = nullptr;  // accepted is as good as done, as with a real store
  for (int i = 0; i < 450; ++i) tell(std::to_string(i));
  events.reset();  // at once, before the write was due
  EXPECT_EQ(store.events.size(), 450u);
  EXPECT_EQ(store.event_puts, 3);
}

TEST_F(EventLogTest, AnEndDuringAWriteStoresNothingTwice) {
  store.delay = 1s;
  tell("1");
  clock.advance(500ms);  // a real store has it by now
  tell("2");
  store.clock = nullptr;
  events.reset();
  EXPECT_THAT(stored(), ElementsAre("2"));
}

TEST_F(EventLogTest, AnEndDuringAPauseOffersEverythingOnceMore) {
  store.full = Error{ErrorCode::kIo, "no space left"};
  tell("1");
  clock.advance(50ms);
  store.full.reset();
  store.clock = nullptr;
  events.reset();
  EXPECT_THAT(stored(), ElementsAre("1"));
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(EventLogTest, WhoFlushesMayGoWhileItWaits) {
  store.delay = 1s;
  tell("1");
  {
    Task<> flush = events->flush();
    flush.start();
    clock.advance(500ms);
  }
  clock.advance(5s);
  EXPECT_THAT(stored(), ElementsAre("1"));
}

Task<> flush_and_end(std::unique_ptr<EventLog>& events) {
  co_await events->flush();
  events.reset();
  co_return Unit{};
}

TEST_F(EventLogTest, ItMayGoWhenAFlushIsDone) {
  tell("1");
  Task<> ending = flush_and_end(events);
  ending.start();
  clock.advance(50ms);
  EXPECT_TRUE(ending.done());
  EXPECT_EQ(events, nullptr);
}

TEST(EventBoundsTest, TextIsOneLineAndKeepsItsQuotes) {
  Event event = event_of("it said \"a\\b\"\nand\x1b[31m left \xff\xc3\xa9");
  EXPECT_EQ(bounded(event).text, "it said \"a\\b\"\\nand\\u001b[31m left \\u00ff\xc3\xa9");
}

TEST(EventBoundsTest, LongTextIsCutBetweenCharacters) {
  for (size_t lead = 0; lead < 4; ++lead) {
    std::string text(lead, 'x');
    while (text.size() < 5000) text += "\xf0\x9f\x94\x91";  // four bytes
    const std::string cut = bounded(event_of(text)).text;
    EXPECT_LE(cut.size(), 2048u);
    EXPECT_GT(cut.size(), 2044u);
    EXPECT_EQ((cut.size() - lead) % 4, 0u);
    EXPECT_EQ(text.substr(0, cut.size()), cut);
  }
  EXPECT_EQ(bounded(event_of(std::string(5000, '\n'))).text.size(), 2048u);
  EXPECT_EQ(bounded(event_of(std::string(2048, 'x'))).text, std::string(2048, 'x'));
}

TEST(EventBoundsTest, DetailsAreAnObjectOnOneLine) {
  Event event = event_of("x");
  event.details = "{\n  \"a\": [1.50, \"b\"]\n}";
  EXPECT_EQ(bounded(event).details, R"({"a":[1.50,"b"]})");
}

TEST(EventBoundsTest, DetailsThatAreNoGoodAreStillAnObject) {
  for (const std::string& bad :
       {std::string("[1]"), std::string("{\"a\":"), "{\"a\":\"" + std::string(5000, '\x01') + "\"}",
        "{\"a\":\"" + std::string(5000, 'x') + "\"}", std::string(3000, '"')}) {
    Event event = event_of("x");
    event.details = bad;
    const std::string details = bounded(event).details;
    EXPECT_LE(details.size(), 4096u);
    const auto value = parse_json(details);
    ASSERT_TRUE(value) << details;
    EXPECT_EQ(value->text_of("cut").substr(0, 3), bad.substr(0, 3));
  }
}

TEST(EventIdsTest, AreInOrderAndOfOneProcess) {
  EventIds ids, others;
  const std::string first = ids.next(), second = ids.next();
  EXPECT_EQ(first.substr(0, 16), second.substr(0, 16));
  EXPECT_EQ(first.substr(16), "-1");
  EXPECT_EQ(second.substr(16), "-2");
  EXPECT_NE(others.next().substr(0, 16), first.substr(0, 16));
}

}  // namespace
}  // namespace latchkey::edge
