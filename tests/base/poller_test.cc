// Both ways to turn the loop: Poller::run, and uv_run as the tests' loops do.
#include "base/poller.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

// One end is watched, the test holds the other one.
class Watched final : public SocketWatch::Owner {
 public:
  explicit Watched(Loop& loop) {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends_.data()), 0);
    watch = std::make_unique<SocketWatch>(loop.uv(), ends_[0], *this);
  }
  ~Watched() {
    watch.reset();
    ::close(ends_[0]);
    ::close(ends_[1]);
  }

  int fd() const { return ends_[0]; }
  int peer() const { return ends_[1]; }
  void say(const std::string& bytes) const {
    EXPECT_EQ(::send(ends_[1], bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  std::string read(size_t limit) const {
    std::string out(limit, '\0');
    const ssize_t n = ::recv(ends_[0], out.data(), limit, 0);
    out.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return out;
  }

  std::unique_ptr<SocketWatch> watch;
  std::vector<uint8_t> events;
  std::function<void()> on_event;

 private:
  void on_socket(uint8_t ready) override {
    events.push_back(ready);
    if (on_event) on_event();
  }

  std::array<int, 2> ends_{};
};

// True: by Poller::run, one turn of which ends with an alarm.
class PollerTest : public testing::TestWithParam<bool> {
 protected:
  void turns(int count) {
    for (int i = 0; i < count; ++i) {
      if (!GetParam()) {
        uv_run(&loop.uv(), UV_RUN_NOWAIT);
        continue;
      }
      const Alarm end = loop.clock().after(0ms, [this] { loop.stop(); });
      loop.run();
    }
  }

  Loop loop;
};

TEST_P(PollerTest, AnEventComesEachTurnUntilTheSocketIsDry) {
  Watched socket(loop);
  socket.watch->want(SocketWatch::kReadable);
  turns(2);
  EXPECT_TRUE(socket.events.empty());
  socket.say("abcd");
  socket.on_event = [&] { EXPECT_EQ(socket.read(1).size(), 1U); };
  turns(3);
  EXPECT_GE(socket.events.size(), 2U);
  socket.on_event = [&] {
    if (socket.read(8).size() < 8) socket.watch->short_read();
  };
  turns(2);
  socket.events.clear();
  turns(2);
  EXPECT_TRUE(socket.events.empty());
  socket.say("e");
  turns(2);
  EXPECT_EQ(socket.events, std::vector<uint8_t>{SocketWatch::kReadable});
}

TEST_P(PollerTest, WhatIsNotWantedWaits) {
  Watched socket(loop);
  socket.say("a");
  turns(3);
  EXPECT_TRUE(socket.events.empty());
  socket.on_event = [&] { socket.watch->want(0); };
  socket.watch->want(SocketWatch::kReadable | SocketWatch::kWritable);
  turns(3);
  EXPECT_EQ(socket.events, std::vector<uint8_t>{SocketWatch::kReadable | SocketWatch::kWritable});
}

TEST_P(PollerTest, AFullSocketIsWritableAgainWhenThePeerHasRead) {
  Watched socket(loop);
  const std::string much(1 << 20, 'x');
  for (int round = 0; round < 2; ++round) {
    while (::send(socket.fd(), much.data(), much.size(), 0) > 0) {
    }
    socket.watch->full();
    socket.watch->want(SocketWatch::kWritable);
    socket.events.clear();
    turns(3);
    EXPECT_TRUE(socket.events.empty());
    std::string sink(4 << 20, '\0');
    while (::recv(socket.peer(), sink.data(), sink.size(), 0) > 0) {
    }
    turns(2);
    EXPECT_FALSE(socket.events.empty());
    EXPECT_EQ(socket.events.back(), SocketWatch::kWritable);
  }
}

TEST_P(PollerTest, TheEndIsSeenThoughItCameWithTheLastBytes) {
  Watched socket(loop);
  socket.say("last");
  ::shutdown(socket.peer(), SHUT_RDWR);
  bool ended = false;
  socket.on_event = [&] {
    const std::string got = socket.read(100);
    ended = got.empty();
    if (ended) {
      socket.watch->want(0);
    } else {
      socket.watch->short_read();
    }
  };
  socket.watch->want(SocketWatch::kReadable);
  turns(4);
  EXPECT_TRUE(ended);
}

TEST_P(PollerTest, AHangUpIsToldToWhoDoesNotRead) {
  Watched socket(loop);
  socket.watch->want(SocketWatch::kHungUp);
  socket.say("bytes that nobody wants");
  turns(2);
  EXPECT_TRUE(socket.events.empty());
  ::shutdown(socket.peer(), SHUT_RDWR);
  socket.on_event = [&] { socket.watch->want(0); };
  turns(2);
  EXPECT_EQ(socket.events, std::vector<uint8_t>{SocketWatch::kHungUp});
}

TEST_P(PollerTest, ANudgeComesOnce) {
  Watched socket(loop);
  socket.watch->nudge();
  turns(3);
  EXPECT_EQ(socket.events, std::vector<uint8_t>{0});
  socket.watch->nudge();
  socket.watch->nudge(false);
  turns(2);
  EXPECT_EQ(socket.events.size(), 1U);
}

TEST_P(PollerTest, AnEventMayDestroyAnyWatch) {
  auto first = std::make_unique<Watched>(loop), second = std::make_unique<Watched>(loop);
  int events = 0;
  const auto destroy = [&] {
    ++events;
    first->watch.reset();
    second->watch.reset();
  };
  for (Watched* one : {first.get(), second.get()}) {
    one->on_event = destroy;
    one->watch->want(SocketWatch::kReadable);
    one->say("a");
  }
  turns(3);
  EXPECT_EQ(events, 1);
}

// A child process holds copies of our descriptors for a moment.
TEST_P(PollerTest, ASocketThatLivesOnElsewhereIsHeardNoMore) {
  Watched old(loop);
  const int copy = ::dup(old.fd());
  old.watch.reset();
  Watched fresh(loop);  // takes its place
  fresh.watch->want(SocketWatch::kReadable);
  old.say("for the copy");
  turns(3);
  EXPECT_TRUE(fresh.events.empty());
  ::close(copy);
}

TEST_P(PollerTest, ADescriptorMayBeHandedOnToAnotherWatch) {
  Watched first(loop);
  first.watch->want(SocketWatch::kReadable);
  first.say("a");
  turns(1);
  EXPECT_FALSE(first.events.empty());
  first.watch.reset();
  first.watch = nullptr;
  first.events.clear();

  class Second final : public SocketWatch::Owner {
   public:
    void on_socket(uint8_t ready) override { seen |= ready; }
    uint8_t seen = 0;
  } second;
  SocketWatch watch(loop.uv(), first.fd(), second);
  watch.want(SocketWatch::kReadable);
  turns(2);
  EXPECT_EQ(second.seen, SocketWatch::kReadable);  // of what had come before
  EXPECT_TRUE(first.events.empty());
}

TEST_P(PollerTest, WorkAtTheEndOfEachTurn) {
  int ends = 0;
  {
    const Poller::TurnEnd end(loop.uv(), [&] { ++ends; });
    turns(2);
    EXPECT_GE(ends, 2);
  }
  ends = 0;
  turns(1);
  EXPECT_EQ(ends, 0);
}

struct AtTheEnd final : Poller::Late::Owner {
  explicit AtTheEnd(std::function<void()> what) : work(std::move(what)) {}
  void on_late() override { work(); }
  const std::function<void()> work;
};

// Also when nothing else would bring another turn.
TEST_P(PollerTest, WhatIsAskedForTheTurnsEndComesOnceForEachAsking) {
  int times = 0;
  bool again = true;
  std::unique_ptr<Poller::Late> late, other;
  AtTheEnd first([&] {
    ++times;
    other.reset();
    if (std::exchange(again, false)) late->ask();
  });
  AtTheEnd second([&] { times += 100; });
  late = std::make_unique<Poller::Late>(Poller::of(loop.uv()), first);
  other = std::make_unique<Poller::Late>(Poller::of(loop.uv()), second);
  turns(2);
  EXPECT_EQ(times, 0);
  late->ask();
  late->ask();
  other->ask();  // and is called off by the first one's work
  turns(3);
  EXPECT_EQ(times, 2);
}

TEST_P(PollerTest, WorkForTheTurnsEndMayDestroyItself) {
  int times = 0;
  std::unique_ptr<Poller::Late> late;
  AtTheEnd once([&] {
    ++times;
    late.reset();
  });
  late = std::make_unique<Poller::Late>(Poller::of(loop.uv()), once);
  late->ask();
  turns(2);
  EXPECT_EQ(times, 1);
}

// What is removed may still stand in line.
TEST_P(PollerTest, NothingComesOfASocketThatWasRemoved) {
  Watched socket(loop);
  socket.watch->want(SocketWatch::kReadable | SocketWatch::kWritable);
  socket.watch->nudge();
  socket.watch->remove();
  socket.say("a");
  turns(3);
  EXPECT_TRUE(socket.events.empty());
}

INSTANTIATE_TEST_SUITE_P(Loops, PollerTest, testing::Bool(), [](const auto& turned) {
  return std::string(turned.param ? "Run" : "UvRun");
});

// libuv's own handles live under run(): letters, timers, and descriptors entered by a callback.
TEST(PollerRunTest, LibuvsHandlesHaveTheirTurn) {
  Loop loop;
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
  UvPtr<uv_poll_t> poll(new uv_poll_t);
  std::string order;
  struct Seen {
    std::string* order;
    Loop* loop;
  } seen{&order, &loop};
  const Alarm soon = loop.clock().after(1ms, [&] {
    order += "alarm ";
    ASSERT_EQ(uv_poll_init(&loop.uv(), poll.get(), ends[0]), 0);
    poll->data = &seen;
    uv_poll_start(poll.get(), UV_READABLE, [](uv_poll_t* handle, int, int) {
      const Seen& what = *static_cast<Seen*>(handle->data);
      *what.order += "poll";
      uv_poll_stop(handle);
      what.loop->stop();
    });
    loop.address().post([&] {
      order += "letter ";
      EXPECT_EQ(::send(ends[1], "a", 1, 0), 1);
    });
  });
  loop.run();
  EXPECT_EQ(order, "alarm letter poll");
  poll.reset();
  ::close(ends[0]);
  ::close(ends[1]);
}

// The last work of a turn may be what there was to wait for: then the loop does not wait.
TEST(PollerRunTest, MayBeStoppedAtTheEndOfATurn) {
  Loop loop;
  const Poller::TurnEnd end(loop.uv(), [&] { loop.stop(); });
  bool late = false;
  const Alarm guard = loop.clock().after(3s, [&] { late = true; });
  loop.run();
  loop.run();
  EXPECT_FALSE(late);
}

// Another watch's event may end the loop: those behind it in line have theirs when it goes on.
TEST(PollerRunTest, WhoStoodInLineWhenItStoppedComesFirst) {
  Loop loop;
  Watched first(loop), second(loop);
  std::string order;
  first.on_event = [&] {
    order += "first ";
    first.watch->want(0);
    loop.stop();
  };
  second.on_event = [&] {
    order += "second ";
    loop.stop();
  };
  first.watch->want(SocketWatch::kWritable);
  second.watch->want(SocketWatch::kWritable);
  loop.run();
  EXPECT_EQ(order, "first ");
  loop.run();
  EXPECT_EQ(order, "first second ");
}

TEST(PollerRunTest, MayBeStoppedAndRunAgain) {
  Loop loop;
  for (int i = 0; i < 3; ++i) {
    bool rang = false;
    const Alarm alarm = loop.clock().after(1ms, [&] {
      rang = true;
      loop.stop();
    });
    loop.run();
    EXPECT_TRUE(rang);
  }
}

}  // namespace
}  // namespace latchkey
