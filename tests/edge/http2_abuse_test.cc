// Clients that abuse HTTP/2, by the names under which that became known. Each is told to calm down,
// or cut off, after a bounded amount of it, and counted by its kind.
#include <gmock/gmock.h>

#include "tests/edge/http2_session_fixture.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using Client = Http2TestClient;

constexpr uint8_t kEndsAll = NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM;
// GET https / of a.test, and nothing that changes the table.
constexpr std::string_view kBlock =
    "\x82\x87\x84\x01\x06"
    "a.test";

std::string big_endian(uint32_t number) {
  std::string out;
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(number >> shift);
  return out;
}

// A connection whose client only says bytes, and is told nothing but that it ends.
class Http2AbuseTest : public Http2SessionTest {
 protected:
  void SetUp() override {
    on_end = nullptr;
    open();
  }
  void say_raw(std::string_view bytes) {
    transport.say(bytes);
    for (int i = 0; i < 3; ++i) {
      clock.advance(Millis(0));
      transport.deliver();
    }
    take_answers();
  }
  void wait(Millis time) {
    clock.advance(time);
    take_answers();
  }
  void take_answers() {
    heard += std::exchange(transport.sent, {});
    while (heard.size() >= 9) {  // RFC 9113, 4.1
      const auto at = [this](size_t i) { return static_cast<uint8_t>(heard[i]); };
      const size_t size = at(0) << 16U | at(1) << 8U | at(2);
      if (heard.size() < 9 + size) return;
      if (at(3) == NGHTTP2_GOAWAY && at(16) != NGHTTP2_NO_ERROR) goaway = at(16);
      heard.erase(0, 9 + size);
    }
  }
  void expect_end() {
    wait(context.limits.linger_time + 1s);
    EXPECT_EQ(ends, 1);
    EXPECT_TRUE(streams.empty()) << "nothing is being answered any more";
  }

  std::string heard;
  std::optional<int> goaway;  // the error
};

std::string get(uint32_t id) {
  return Client::raw(NGHTTP2_HEADERS, kEndsAll, id, kBlock);
}
// Whose body is to come.
std::string post(uint32_t id, std::string_view fields = {}) {
  return Client::raw(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id,
                     "\x83" + std::string(kBlock.substr(1)).append(fields));
}

// ---- floods

struct Flood {
  const char* name;                 // of the test
  std::string (*say)(uint32_t id);  // said again and again; `id`: a new stream's each time
  IdleFrame kind;                   // as what it is counted
};

const Flood kFloods[] = {
    {"Cve2023_44487_RapidReset",
     [](uint32_t id) {
       return get(id) + Client::raw(NGHTTP2_RST_STREAM, 0, id, big_endian(NGHTTP2_CANCEL));
     },
     IdleFrame::kReset},
    {"Cve2025_8671_MadeYouResetByAWindowThatOverflows",
     [](uint32_t id) {
       return get(id) + Client::raw(NGHTTP2_WINDOW_UPDATE, 0, id, big_endian(0x7fffffff));
     },
     IdleFrame::kMadeReset},
    {"Cve2025_8671_MadeYouResetByABodyThatIsTooLong",
     [](uint32_t id) {
       return post(id, std::string("\x0f\x0d\x01", 3) + "1") +
              Client::raw(NGHTTP2_DATA, 0, id, "22");
     },
     IdleFrame::kMadeReset},
    {"Cve2025_8671_MadeYouResetByTrailersThatDoNotEnd",
     [](uint32_t id) {
       return post(id) + Client::raw(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id,
                                     std::string("\0\1x\1y", 5));
     },
     IdleFrame::kMadeReset},
    {"Cve2019_9511_DataDribble",
     [](uint32_t) { return Client::raw(NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(1)); },
     IdleFrame::kTinyWindow},
    {"Cve2019_9512_PingFlood", [](uint32_t) { return Client::raw(NGHTTP2_PING, 0, 0, "12345678"); },
     IdleFrame::kPing},
    {"Cve2019_9513_ResourceLoop",
     [](uint32_t id) {
       return Client::raw(NGHTTP2_PRIORITY, 0, id, big_endian(id + 2) + 'w') +
              Client::raw(NGHTTP2_PRIORITY, 0, id, big_endian(0x80000000) + 'w');
     },
     IdleFrame::kPriority},
    {"Cve2019_9514_ResetFlood",
     [](uint32_t id) { return Client::raw(NGHTTP2_HEADERS, kEndsAll, id, "\x82"); },  // no path
     IdleFrame::kMadeReset},
    {"Cve2019_9515_SettingsFlood",
     [](uint32_t) {
       return Client::raw(NGHTTP2_SETTINGS, 0, 0, std::string("\0\4", 2) + big_endian(65535));
     },
     IdleFrame::kSettings},
    {"Cve2019_9516_FieldsOfNoLength",
     [](uint32_t id) {
       return Client::raw(NGHTTP2_HEADERS, kEndsAll, id,
                          std::string(kBlock) + std::string(30, '\0'));
     },
     IdleFrame::kMadeReset},
    {"Cve2019_9518_EmptyFrames",
     [](uint32_t id) {
       std::string out = post(id);
       for (int i = 0; i < 10; ++i) out += Client::raw(NGHTTP2_DATA, 0, id, "");
       return out + Client::raw(NGHTTP2_RST_STREAM, 0, id, big_endian(NGHTTP2_CANCEL));
     },
     IdleFrame::kEmpty},
    {"UnknownFrames", [](uint32_t) { return Client::raw(0x77, 0, 0, ""); }, IdleFrame::kOther},
};

class Http2Flood : public Http2AbuseTest, public testing::WithParamInterface<Flood> {};

TEST_P(Http2Flood, IsBounded) {
  uint32_t round = 0;
  while (!goaway && ++round < 3'000) {
    say_raw(GetParam().say(2 * round - 1));
    ASSERT_LE(streams.size(), context.limits.http2.streams);
  }
  EXPECT_EQ(goaway, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_EQ(counts.calmed.value(), 1u);
  EXPECT_EQ(counts.broken.value(), 0u);
  EXPECT_LE(round, 1'001 + context.limits.http2.streams);
  EXPECT_GE(counts.value(GetParam().kind), 500u);
  expect_end();
}

INSTANTIATE_TEST_SUITE_P(, Http2Flood, testing::ValuesIn(kFloods),
                         [](const auto& flood) { return std::string(flood.param.name); });

// ---- what ends the connection at once

struct Break {
  const char* name;
  std::string (*say)();
};

const Break kBreaks[] = {
    {"Cve2024_27316_ContinuationFlood",
     [] {
       std::string out = Client::raw(NGHTTP2_HEADERS, 0, 1, "\x82\x87\x84");
       for (int i = 0; i < 100; ++i) {
         out += Client::raw(NGHTTP2_CONTINUATION, 0, 1, std::string(1000, '\x82'));
       }
       return out;
     }},
    {"Cve2019_9518_EmptyContinuations",
     [] {
       std::string out = Client::raw(NGHTTP2_HEADERS, 0, 1, "");
       for (int i = 0; i < 100; ++i) out += Client::raw(NGHTTP2_CONTINUATION, 0, 1, "");
       return out;
     }},
    {"Cve2025_8671_MadeYouResetByAWindowOfZero",
     [] { return get(1) + Client::raw(NGHTTP2_WINDOW_UPDATE, 0, 1, big_endian(0)); }},
    {"Cve2025_8671_MadeYouResetByHeadersOfARequestThatWasWhole",
     [] { return get(1) + Client::raw(NGHTTP2_HEADERS, kEndsAll, 1, kBlock); }},
    {"Cve2025_8671_MadeYouResetByDataOfARequestThatWasWhole",
     [] { return get(1) + Client::raw(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "x"); }},
    {"Cve2025_8671_MadeYouResetByAPriorityOfWrongLength",
     [] { return get(1) + Client::raw(NGHTTP2_PRIORITY, 0, 1, "1234"); }},
    {"Cve2025_8671_MadeYouResetByMoreStreamsThanAgreed",
     [] {
       std::string out;
       for (uint32_t i = 0; i <= Http2Limits().streams; ++i) out += get(2 * i + 1);
       return out;
     }},
    {"Cve2019_9515_ManySettingsAtOnce",
     [] {
       std::string entries;
       for (int i = 0; i < 2'000; ++i) entries += std::string("\0\4", 2) + big_endian(65535);
       return Client::raw(NGHTTP2_SETTINGS, 0, 0, entries);
     }},
    {"HpackTableLargerThanAgreed",
     [] {
       return Client::raw(NGHTTP2_HEADERS, kEndsAll, 1, "\x3f\xe1\xff\x03" + std::string(kBlock));
     }},
    {"HpackIndexOfNothing",
     [] { return Client::raw(NGHTTP2_HEADERS, kEndsAll, 1, "\xff\xff\xff\x03"); }},
    {"HpackIntegerWithoutEnd",
     [] { return Client::raw(NGHTTP2_HEADERS, kEndsAll, 1, std::string(10, '\xff')); }},
    {"AFrameThatIsTooLarge",
     [] { return Client::raw(NGHTTP2_DATA, 0, 1, std::string(20'000, 'x')); }},
    {"AWindowOfTheConnectionThatOverflows",
     [] { return Client::raw(NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(0x7fffffff)); }},
};

class Http2Break : public Http2AbuseTest, public testing::WithParamInterface<Break> {};

TEST_P(Http2Break, EndsTheConnection) {
  say_raw(GetParam().say());
  EXPECT_EQ(counts.broken.value(), 1u);
  EXPECT_EQ(counts.calmed.value(), 0u);
  expect_end();
}

INSTANTIATE_TEST_SUITE_P(, Http2Break, testing::ValuesIn(kBreaks),
                         [](const auto& one) { return std::string(one.param.name); });

// ---- what is held in memory

// A client that opens its windows and does not read (CVE-2019-9517), or never opens them.
class Http2Hoarding : public Http2AbuseTest {
 protected:
  void SetUp() override {
    Http2AbuseTest::SetUp();
    on_end = [this](ResponseStream& to) {
      ResponseHead head;
      head.status = 200;
      head.body.kind = Body::Kind::kChunked;
      to.send_head(head);
      while (!to.full()) {
        to.send_body(std::string(8 << 10, 'x'));
        said += 8 << 10;
      }
    };
  }
  void ask_for_all() {
    std::string all;
    for (uint32_t i = 0; i < context.limits.http2.streams; ++i) {
      const std::string path = "/" + std::to_string(i);
      all += Client::raw(NGHTTP2_HEADERS, kEndsAll, 2 * i + 1,
                         std::string("\x82\x87\x01\x06"
                                     "a.test\x04") +
                             static_cast<char>(path.size()) + path);
    }
    say_raw(all);
    EXPECT_EQ(streams.size(), context.limits.http2.streams);
  }
  // 1 MiB in all, then 16 KiB and a piece for each; and what is on its way.
  static constexpr size_t kMost = (1 << 20) + 128 * (24 << 10) + (256 << 10);

  size_t said = 0;
};

TEST_F(Http2Hoarding, Cve2019_9517_AnswersThatAreNotReadAreBoundedInMemoryAndTime) {
  say_raw(Client::raw(NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(1 << 30)) +
          Client::raw(NGHTTP2_SETTINGS, 0, 0, std::string("\0\4", 2) + big_endian(1 << 30)));
  transport.room = 0;
  ask_for_all();
  EXPECT_LE(said, kMost);
  wait(context.limits.idle_time + 6s);
  EXPECT_EQ(ends, 1);
  EXPECT_GE(counts.slow_readers.value(), 1u);
}

TEST_F(Http2Hoarding, WindowsThatStayShutAreBoundedInMemoryAndTime) {
  say_raw(Client::raw(NGHTTP2_SETTINGS, 0, 0, std::string("\0\4", 2) + big_endian(0)));
  ask_for_all();
  EXPECT_LE(said, kMost);
  for (int i = 0; i < 14; ++i) wait(5s);
  EXPECT_TRUE(streams.empty());
  EXPECT_EQ(counts.slow_readers.value(), context.limits.http2.streams);
  for (int i = 0; i < 14; ++i) wait(5s);
  EXPECT_TRUE(transport.finished) << "then it rests";
}

TEST_F(Http2Hoarding, Cve2019_9512_PongsThatAreNotReadAreBounded) {
  transport.room = 0;
  std::string pings;
  for (int i = 0; i < 1'000; ++i) pings += Client::raw(NGHTTP2_PING, 0, 0, "12345678");
  for (int i = 0; i < 100 && session; ++i) say_raw(pings);
  EXPECT_LE(counts.value(IdleFrame::kPing), 10'000u) << "the rest is not read";
  wait(context.limits.idle_time + 1s);
  EXPECT_EQ(ends, 1);
}

// ---- time

using Http2Slowness = Http2SessionTest;

TEST_F(Http2Slowness, AGreetingIsNotProlonged) {
  client.emplace();
  session.emplace(transport, context, ClientInfo{}, [this] {
    ++ends;
    session.reset();
  });
  const std::string greeting = client->said();
  for (size_t i = 0; i < 12 && session; ++i) {
    transport.say(greeting.substr(i, 1));
    transport.deliver();
    clock.advance(1s);
  }
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(counts.slow_heads.value(), 1u);
}

TEST_F(Http2Slowness, AHeadIsNotProlongedByItsPieces) {
  open();
  transport.say(Client::raw(NGHTTP2_HEADERS, 0, 1, "\x82\x87"));
  for (int i = 0; i < 12 && !client->goaway; ++i) {
    if (i % 2 == 0) {
      transport.say(Client::raw(NGHTTP2_CONTINUATION, 0, 1, std::string("\0\1x\1y", 5)));
    }
    clock.advance(1s);
    talk();
  }
  EXPECT_EQ(client->goaway, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_EQ(counts.slow_heads.value(), 1u);
}

TEST_F(Http2Slowness, AHeadIsNotProlongedByTheEndOfAnotherStream) {
  on_end = nullptr;
  open();
  const auto first = static_cast<uint32_t>(client->request(Client::get("/first")));
  talk();
  transport.say(Client::raw(NGHTTP2_HEADERS, 0, first + 2, "\x82\x87"));
  talk();
  say(*streams["/first"], "done");
  talk();
  clock.advance(11s);
  talk();
  EXPECT_EQ(client->goaway, NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST_F(Http2Slowness, PingsKeepNoConnectionThatRests) {
  open();
  ask(Client::get());
  for (int i = 0; i < 7; ++i) {
    EXPECT_FALSE(i < 6 && client->goaway) << i;
    client->ping();
    talk();
    clock.advance(10s);
    talk();
  }
  EXPECT_EQ(client->goaway, NGHTTP2_NO_ERROR);
}

TEST_F(Http2Slowness, AFrameInPiecesKeepsNoConnectionThatRests) {
  open();
  const std::string frame = Client::raw(NGHTTP2_PING, 0, 0, "12345678");
  for (size_t i = 0; i < 7; ++i) {
    transport.say(frame.substr(i, 1));
    talk();
    clock.advance(10s);
    talk();
  }
  EXPECT_EQ(client->goaway, NGHTTP2_NO_ERROR);
}

TEST_F(Http2Slowness, ABodyThatStopsIsCounted) {
  on_end = nullptr;
  open();
  const int32_t id = client->request(Client::get("/", "POST"), {"part", false});
  talk();
  for (int i = 0; i < 14; ++i) {
    clock.advance(5s);
    talk();
  }
  EXPECT_EQ(client->answers[id].closed, NGHTTP2_CANCEL);
  EXPECT_EQ(counts.slow_bodies.value(), 1u);
}

TEST_F(Http2Slowness, RefusedHeadsAreCountedByTheirClass) {
  open();
  ask(Client::get("/" + std::string(9'000, 'p')));
  auto fields = Client::get();
  fields.emplace_back("host", "b.test");
  ask(fields);
  EXPECT_EQ(counts.large_heads.value(), 1u);
  EXPECT_EQ(counts.malformed_heads.value(), 1u);
}

}  // namespace
}  // namespace latchkey::edge
