#include "base/mailbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/loop.h"

namespace latchkey {
namespace {

TEST(MailboxTest, LettersOfOtherThreadsWakeTheLoopAndComeInTheirOrder) {
  constexpr int kLetters = 20'000, kThreads = 3;
  Loop loop;
  std::vector<std::vector<int>> read(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&read, t, address = loop.address()] {
      for (int i = 0; i < kLetters; ++i) {
        ASSERT_TRUE(address.post([&read, t, i] { read[static_cast<size_t>(t)].push_back(i); }));
        if (i % 1000 == 0) std::this_thread::yield();
      }
    });
  }
  loop.run_until([&] {
    return std::all_of(read.begin(), read.end(), [](auto& one) { return one.size() == kLetters; });
  });
  for (std::thread& thread : threads) thread.join();
  for (const auto& one : read) EXPECT_TRUE(std::is_sorted(one.begin(), one.end()));
}

// The bell is not read: each ring must be an event of its own, and none may be lost.
TEST(MailboxTest, EachLetterWakesALoopThatSleeps) {
  Loop loop, other;
  int left = 2000;
  std::function<void()> answer, ask;
  std::atomic<bool> done = false;
  answer = [&] { loop.address().post(ask); };
  ask = [&] {
    if (--left > 0) other.address().post(answer);
  };
  std::thread thread([&] { other.run_until([&] { return done.load(); }); });
  loop.address().post(ask);
  loop.run_until([&] { return left == 0; });
  done = true;
  other.address().post([] {});
  thread.join();
}

TEST(MailboxTest, ABareTurnOfLibuvDeliversThem) {
  Loop loop;
  int read = 0;
  for (int i = 1; i <= 3; ++i) {
    loop.address().post([&] { ++read; });
    uv_run(&loop.uv(), UV_RUN_NOWAIT);
    EXPECT_EQ(read, i);
  }
}

TEST(MailboxTest, ALetterThatALetterPostsComesATurnLater) {
  Loop loop;
  std::vector<int> read;
  loop.address().post([&] {
    loop.address().post([&] { read.push_back(3); });
    read.push_back(1);
  });
  loop.address().post([&] { read.push_back(2); });
  loop.run_until([&] { return !read.empty(); });
  EXPECT_EQ(read, (std::vector<int>{1, 2}));
  loop.run_until([&] { return read.size() == 3; });
  EXPECT_EQ(read.back(), 3);
}

TEST(MailboxTest, AClosedOneTakesNothingAndDropsWhatIsUnread) {
  std::optional<Loop> loop(std::in_place);
  const Mailbox::Address address = loop->address();
  const auto owned = std::make_shared<int>(7);
  // A letter's own end may post, too.
  struct Poster {
    explicit Poster(Mailbox::Address address) : to(std::move(address)) {}
    ~Poster() {
      EXPECT_FALSE(to.post([] {}));
    }
    const Mailbox::Address to;
  };
  EXPECT_TRUE(address.post([owned, poster = std::make_shared<Poster>(address)] {}));
  EXPECT_EQ(owned.use_count(), 2);
  loop.reset();
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_FALSE(address.post([] {}));
}

TEST(MailboxTest, ALetterMayEndTheMailbox) {
  Loop loop;
  auto mailbox = std::make_unique<Mailbox>(loop.uv());
  bool read = false;
  const Mailbox::Address address = mailbox->address();
  address.post([&] { mailbox.reset(); });
  address.post([&] { read = true; });
  loop.run_until([&] { return mailbox == nullptr; });
  EXPECT_FALSE(read);
  EXPECT_FALSE(address.post([] {}));
}

}  // namespace
}  // namespace latchkey
