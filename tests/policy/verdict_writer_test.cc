#include "policy/verdict_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/fake_store.h"
#include "tests/support/fd.h"
#include "tests/support/manual_clock.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class VerdictWriterTest : public testing::Test {
 protected:
  VerdictWriterTest() {
    store.clock = &clock;
    store.delay = 10ms;
  }

  static ServerName name(std::string_view text) { return *ServerName::parse(text); }
  static ServerName numbered(int i) { return name("n" + std::to_string(i) + ".test"); }
  static VerdictRecord yes(std::string upstream = "") {
    VerdictRecord record;
    record.grant.upstream = std::move(upstream);
    return record;
  }
  std::string logged() const {
    std::string text(100'000, '\0');
    const ssize_t n = pread(log_file.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
  }

  test::Fd log_file{memfd_create("log", MFD_CLOEXEC)};
  Log log{log_file.get(), Log::Format::kJson, LogLevel::kDebug};
  ManualClock clock;
  FakeStore store;
  std::vector<std::string> lost;
  std::optional<VerdictWriter> writer{
      std::in_place, 3u, store, log,
      [this](const ServerName& which) { lost.push_back(which.text()); }};
};

TEST_F(VerdictWriterTest, WritesOneAtATimeInOrder) {
  for (int i = 0; i < 4; ++i) writer->put(numbered(i), yes());
  EXPECT_EQ(store.verdict_puts, 1);
  clock.advance(10ms);
  EXPECT_EQ(store.verdict_puts, 2);
  EXPECT_EQ(store.verdicts.count(numbered(0)), 1u);
  clock.advance(1s);
  EXPECT_EQ(store.verdicts.size(), 4u);
  writer->put(numbered(5), yes());
  clock.advance(10ms);
  EXPECT_EQ(store.verdicts.size(), 5u);
}

TEST_F(VerdictWriterTest, OfANameOnlyTheNewestStateIsWritten) {
  writer->put(name("a.test"), yes("http://1"));  // under way
  writer->put(name("a.test"), yes("http://2"));
  writer->put(name("a.test"), yes("http://3"));
  EXPECT_EQ(writer->waiting(), 1u);
  clock.advance(1s);
  EXPECT_EQ(store.verdict_puts, 2);
  EXPECT_EQ(store.verdicts.at(name("a.test")).grant.upstream, "http://3");
  writer->put(name("b.test"), yes());
  writer->put(name("a.test"), yes("http://4"));
  writer->remove(name("a.test"));
  clock.advance(1s);
  EXPECT_EQ(store.verdicts.count(name("a.test")), 0u);
}

TEST_F(VerdictWriterTest, WhatFindsNoRoomIsLostAndSaid) {
  for (int i = 0; i < 6; ++i) writer->put(numbered(i), yes());
  EXPECT_EQ(lost, (std::vector<std::string>{"n4.test", "n5.test"}));
  EXPECT_NE(logged().find("verdict_lost"), std::string::npos);
  clock.advance(1s);
  EXPECT_EQ(store.verdicts.size(), 4u);
}

TEST_F(VerdictWriterTest, ADeletionTakesTheRoomOfAPut) {
  store.verdicts[name("gone.test")] = yes();
  for (int i = 0; i < 4; ++i) writer->put(numbered(i), yes());
  writer->remove(name("gone.test"));
  EXPECT_EQ(writer->waiting(), 3u);
  EXPECT_EQ(lost, std::vector<std::string>{"n1.test"});
  clock.advance(1s);
  EXPECT_EQ(store.verdicts.count(name("gone.test")), 0u);
  EXPECT_EQ(store.verdicts.size(), 3u);
}

TEST_F(VerdictWriterTest, DeletionsAreBoundedToo) {
  for (int i = 0; i < 6; ++i) writer->remove(numbered(i));
  EXPECT_EQ(writer->waiting(), 3u);
  EXPECT_EQ(lost, (std::vector<std::string>{"n4.test", "n5.test"}));
}

TEST_F(VerdictWriterTest, WhatIsDroppedIsNotWritten) {
  for (int i = 0; i < 3; ++i) writer->put(numbered(i), yes());
  EXPECT_TRUE(writer->drop(numbered(1)));
  EXPECT_FALSE(writer->drop(numbered(1)));
  EXPECT_FALSE(writer->drop(numbered(0))) << "it is under way";
  clock.advance(1s);
  EXPECT_EQ(store.verdicts.size(), 2u);
}

TEST_F(VerdictWriterTest, AFailureIsSaidOnceAndTheOthersAreTriedAllTheSame) {
  log.set_rate_limit(false);
  store.full = Error{ErrorCode::kIo, "the disk is full"};
  for (int i = 0; i < 3; ++i) writer->put(numbered(i), yes());
  clock.advance(1s);
  EXPECT_EQ(store.verdict_puts, 3);
  EXPECT_EQ(lost.size(), 3u);
  const auto said = [this] {
    const std::string text = logged();
    size_t count = 0;
    for (size_t at = text.find("verdict_not_stored"); at != text.npos;
         at = text.find("verdict_not_stored", at + 1)) {
      ++count;
    }
    return count;
  };
  EXPECT_EQ(said(), 1u) << logged();
  EXPECT_NE(logged().find("the disk is full"), std::string::npos);
  store.full.reset();
  writer->put(numbered(7), yes());
  clock.advance(1s);
  EXPECT_EQ(store.verdicts.size(), 1u);
  store.full = Error{ErrorCode::kIo, "the disk is full again"};
  writer->put(numbered(8), yes());
  clock.advance(1s);
  EXPECT_EQ(said(), 2u);
}

TEST_F(VerdictWriterTest, ItMayGoAtAnyTime) {
  for (int i = 0; i < 3; ++i) writer->put(numbered(i), yes());
  writer.reset();
  EXPECT_EQ(clock.pending(), 0u);
  clock.advance(1s);
  EXPECT_EQ(store.verdicts.size(), 0u);
  EXPECT_TRUE(lost.empty());
}

TEST_F(VerdictWriterTest, AnOrderlyEndLosesNothing) {
  store.verdicts[numbered(9)] = yes();
  for (int i = 0; i < 3; ++i) writer->put(numbered(i), yes());
  writer->remove(numbered(9));
  store.clock = nullptr;  // accepted is as good as done, as with a real store
  writer.reset();
  EXPECT_FALSE(store.verdicts.contains(numbered(9)));
  EXPECT_GE(store.verdicts.size(), 2u);  // the first was under way
}

TEST_F(VerdictWriterTest, ADeleteThatFailedIsTriedAgainWhenTheStoreWorks) {
  store.verdicts[numbered(9)] = yes();
  store.broken = Error{ErrorCode::kIo, "the disk is gone"};
  writer->remove(numbered(9));
  EXPECT_TRUE(writer->removing(numbered(9)));
  clock.advance(1s);
  EXPECT_TRUE(writer->removing(numbered(9)));
  store.broken.reset();
  writer->put(numbered(1), yes());
  clock.advance(1s);
  EXPECT_FALSE(writer->removing(numbered(9)));
  EXPECT_FALSE(store.verdicts.contains(numbered(9)));
}

TEST_F(VerdictWriterTest, ADeleteThatFailedDoesNotUndoALaterYes) {
  store.broken = Error{ErrorCode::kIo, "the disk is gone"};
  writer->remove(numbered(8));
  writer->remove(numbered(9));
  clock.advance(10ms);
  writer->put(numbered(9), yes("http://late"));  // the delete is under way
  clock.advance(10ms);
  EXPECT_TRUE(writer->removing(numbered(8)));
  EXPECT_FALSE(writer->removing(numbered(9)));
  store.broken.reset();
  writer->put(numbered(8), yes("http://later"));  // the delete has failed
  EXPECT_FALSE(writer->removing(numbered(8)));
  clock.advance(1s);
  EXPECT_EQ(store.verdicts.size(), 2u);
  EXPECT_EQ(store.verdicts.at(numbered(9)).grant.upstream, "http://late");
  EXPECT_EQ(store.verdicts.at(numbered(8)).grant.upstream, "http://later");
}

TEST_F(VerdictWriterTest, AllDeletesThatFailedAreTriedAgainAndAtTheEndToo) {
  for (int i = 0; i < 3; ++i) store.verdicts[numbered(i)] = yes();
  store.broken = Error{ErrorCode::kIo, "the disk is gone"};
  for (int i = 0; i < 3; ++i) writer->remove(numbered(i));
  clock.advance(1s);
  const int before = store.writes;
  writer->put(numbered(9), yes());
  clock.advance(1s);
  EXPECT_EQ(store.writes, before + 1) << "not all of them with every change, while it is broken";
  store.broken.reset();
  writer->put(numbered(9), yes());
  clock.advance(1s);
  EXPECT_EQ(store.verdicts.size(), 1u);

  store.verdicts[numbered(0)] = yes();
  store.broken = Error{ErrorCode::kIo, "the disk is gone again"};
  writer->remove(numbered(0));
  clock.advance(1s);
  store.broken.reset();
  store.clock = nullptr;
  writer.reset();
  EXPECT_EQ(store.verdicts.count(numbered(0)), 0u);
}

TEST_F(VerdictWriterTest, WhoeverSeesToTheRowEndsADeleteThatFailed) {
  store.broken = Error{ErrorCode::kIo, "the disk is gone"};
  writer->remove(numbered(0));
  clock.advance(1s);
  writer->drop(numbered(0));
  EXPECT_FALSE(writer->removing(numbered(0)));
}

}  // namespace
}  // namespace latchkey
