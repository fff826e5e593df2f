#include "edge/http/body_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>

#include "edge/http/read_buffer.h"
#include "edge/http/spare_buffers.h"
#include "tests/edge/fake_transport.h"

namespace latchkey::edge {
namespace {

using testing::ElementsAre;

std::string_view in_read_buffer(std::string_view bytes, size_t at = 0) {
  const auto buffer = read_buffer().subspan(at);
  std::copy(bytes.begin(), bytes.end(), buffer.begin());
  return {buffer.data(), bytes.size()};
}

std::string letters(size_t size) {
  std::string out;
  for (size_t i = 0; i < size; ++i) out += static_cast<char>('a' + i % 23);
  return out;
}

TEST(BodyQueueTest, AHeadAndItsBodyLeaveInOnePiece) {
  const std::string body = letters(20'000);
  for (const bool lent : {false, true}) {
    FakeTransport transport;
    Outbox out(transport);
    BodyQueue queue;
    lent ? queue.lend(in_read_buffer(body)) : queue.append(body);
    out.gathered() += "head:";
    queue.move(16'000, out);
    EXPECT_THAT(transport.writes, ElementsAre(16'005));
    out.gathered() += "head:";
    queue.move(4'000, out);
    out.flush();
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(transport.sent, "head:" + body.substr(0, 16'000) + "head:" + body.substr(16'000));
  }
}

TEST(BodyQueueTest, HeadsThatFindNoRoomGoAhead) {
  const std::string body = letters(20'000);
  const std::string heads = letters(1'000);
  FakeTransport transport;
  Outbox out(transport);
  BodyQueue queue;
  queue.append(body);
  out.put(heads);
  queue.move(body.size(), out);
  EXPECT_THAT(transport.writes, ElementsAre(1'000, 20'000));
  EXPECT_EQ(transport.sent, heads + body);
}

TEST(BodyQueueTest, WhatIsLentIsKeptWhereItDoesNotGo) {
  const std::string body = letters(40'000);
  FakeTransport transport;
  transport.room = 10'000;
  Outbox out(transport);
  BodyQueue queue;
  queue.lend(in_read_buffer(body));
  out.gathered() += "head:";
  queue.move(16'000, out);
  queue.keep();
  EXPECT_EQ(queue.size(), 24'000u);
  in_read_buffer(std::string(50'000, '#'));
  transport.room = SIZE_MAX;
  out.flush();
  queue.move(24'000, out);
  out.flush();
  EXPECT_EQ(transport.sent, "head:" + body);
}

TEST(BodyQueueTest, OnlyTheReadBufferHasRoomInFront) {
  const std::string elsewhere = letters(20'000);
  EXPECT_EQ(room_before(elsewhere), 0u);
  EXPECT_EQ(room_before(in_read_buffer("x")), ReadBuffer::kRoom);
  EXPECT_EQ(room_before(in_read_buffer("x", 100)), ReadBuffer::kRoom + 100);
  FakeTransport transport;
  Outbox out(transport);
  BodyQueue queue;
  queue.lend(elsewhere);  // which is to stay as it is
  out.gathered() += "head:";
  queue.move(elsewhere.size(), out);
  EXPECT_EQ(transport.sent, "head:" + elsewhere);
  EXPECT_EQ(elsewhere, letters(20'000));
}

// Whatever comes and goes, it is the same bytes in the same order.
TEST(BodyQueueTest, NothingIsLostOrDoubled) {
  std::mt19937 random(7);
  const auto up_to = [&](size_t most) {
    return std::uniform_int_distribution<size_t>(0, most)(random);
  };
  const std::string source = letters(66'000);
  FakeTransport transport;
  Outbox out(transport);
  BodyQueue queue;
  std::string expected;
  for (int i = 0; i < 3'000; ++i) {
    transport.room = up_to(3) == 0 ? up_to(20'000) : SIZE_MAX;
    const std::string piece = source.substr(up_to(22), up_to(i % 7 == 0 ? 60'000 : 3'000));
    const bool lend = up_to(1) == 0;
    if (lend) {
      queue.lend(in_read_buffer(piece, up_to(1'000)));
    } else {
      queue.append(piece);
    }
    expected += piece;
    while (!queue.empty() && up_to(4) != 0 && !out.full()) {
      if (up_to(1) == 0) out.put({});
      queue.move(std::min(queue.size(), 1 + up_to(16'384)), out);
    }
    if (lend) queue.keep();
  }
  transport.room = SIZE_MAX;
  while (!queue.empty()) queue.move(std::min<size_t>(queue.size(), 16'384), out);
  out.flush();
  EXPECT_TRUE(transport.sent == expected);
}

TEST(SpareBuffersTest, AreUsedAgainAndBounded) {
  std::string buffer(5'000, 'x');
  const char* const at = buffer.data();
  give_back(buffer);
  EXPECT_EQ(buffer.capacity(), std::string().capacity());
  const std::string again = take_spare_buffer(100);
  EXPECT_EQ(again.data(), at);
  EXPECT_TRUE(again.empty());
  std::string huge(1 << 20, 'x');
  give_back(huge);
  size_t spares = 0;
  for (int i = 0; i < 100; ++i) {
    std::string large(100'000, 'x');
    give_back(large);
  }
  while (take_spare_buffer(100'000).capacity() > 15) ++spares;
  EXPECT_EQ(spares, 8u);
}

}  // namespace
}  // namespace latchkey::edge
