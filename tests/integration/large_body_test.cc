// Bodies of any size in a bounded memory: whole gigabytes, and clients and upstreams that do not
// keep up.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <list>
#include <thread>

#include "tests/support/ask_site.h"
#include "tests/support/body_upstream.h"
#include "tests/support/eventually.h"
#include "tests/support/http2_wire.h"

namespace latchkey::test {
namespace {

constexpr size_t kMiB = 1 << 20;
constexpr size_t kGrowth = 2 * kMiB;  // of the edge, for each connection

constexpr uint64_t kLarge = kSanitized ? 32 * kMiB : 1024 * kMiB;

http2::Fields ask_for(std::string method, std::string path) {
  return {{":method", std::move(method)},
          {":scheme", "https"},
          {":authority", "a.test"},
          {":path", std::move(path)}};
}

// A client of either version, for one body.
class BodyClient {
 public:
  BodyClient(const TlsOptions& options, bool h2) : h2_(h2), client_(with(options, h2)) {
    EXPECT_EQ(client_.handshake().alpn, h2 ? "h2" : "http/1.1") << client_.handshake().error;
    if (h2) client_.write(http2::greeting());
  }

  void ask(uint64_t size) {
    const std::string path = "/" + std::to_string(size);
    client_.write(h2_ ? http2::request(1, ask_for("GET", path))
                      : "GET " + path + " HTTP/1.1\r\nHost: a.test\r\n\r\n");
  }
  // True: all of it came and was right.
  bool receive(uint64_t size) {
    Pattern body;
    while (body.at() < size) {
      const auto piece = next_piece();
      if (!piece || !body.check(*piece)) return false;
    }
    return body.at() == size;
  }

  // Returns what the upstream says of it. `chunked`: without its length.
  std::string send(uint64_t size, bool chunked, const std::function<void(uint64_t)>& sent = {}) {
    begin_upload(size, chunked);
    Pattern body;
    while (body.at() < size) {
      if (!send_piece(body, size, chunked)) return "cut";
      if (sent) sent(body.at());
    }
    if (h2_) client_.write(http2::frame(http2::kData, http2::kEndStream, 1, ""));
    if (!h2_ && chunked) client_.write("0\r\n\r\n");
    if (!h2_) return HttpConversation(client_).read_answer().body;
    std::string answer;
    while (!ended_) {
      const auto piece = next_piece();
      if (!piece) return "cut";
      answer += *piece;
    }
    return answer;
  }

 private:
  static TlsOptions with(TlsOptions options, bool h2) {
    options.alpn = {h2 ? "h2" : "http/1.1"};
    options.limit = Millis(60'000);
    return options;
  }

  void begin_upload(uint64_t size, bool chunked) {
    const std::string length = std::to_string(size);
    if (h2_) {
      auto fields = ask_for("POST", "/up");
      if (!chunked) fields.emplace_back("content-length", length);
      client_.write(http2::frame(http2::kHeaders, http2::kEndHeaders, 1, http2::block(fields)));
    } else {
      client_.write("POST /up HTTP/1.1\r\nHost: a.test\r\n" +
                    (chunked ? "Transfer-Encoding: chunked" : "Content-Length: " + length) +
                    "\r\n\r\n");
    }
  }
  bool send_piece(Pattern& body, uint64_t size, bool chunked) {
    if (h2_) {
      while (window_ <= 0 || stream_window_ <= 0) {
        if (!take_frame()) return false;
      }
      const int64_t room = std::min<int64_t>({16'384, window_, stream_window_});
      const auto piece = body.next(std::min<uint64_t>(size - body.at(), room));
      window_ -= static_cast<int64_t>(piece.size());
      stream_window_ -= static_cast<int64_t>(piece.size());
      return client_.write(http2::frame(http2::kData, 0, 1, piece));
    }
    const auto piece = body.next(std::min<uint64_t>(size - body.at(), 64 << 10));
    if (!chunked) return client_.write(piece);
    char digits[20];
    std::snprintf(digits, sizeof digits, "%zx\r\n", piece.size());
    return client_.write(digits + std::string(piece) + "\r\n");
  }

  // Of the response's body; null at its end.
  std::optional<std::string> next_piece() {
    if (h2_) {
      while (piece_.empty()) {
        if (ended_ || !take_frame()) return std::nullopt;
      }
      return std::exchange(piece_, {});
    }
    auto more = client_.read();
    if (!more || more->empty()) return std::nullopt;
    if (head_) return more;
    in_ += *more;
    const size_t end = in_.find("\r\n\r\n");
    if (end == std::string::npos) return "";
    head_ = true;
    return in_.substr(end + 4);
  }
  bool take_frame() {
    while (in_.size() < 9 || in_.size() < 9 + size_of_frame()) {
      const auto more = client_.read();
      if (!more || more->empty()) return false;
      in_ += *more;
    }
    const size_t size = size_of_frame();
    const uint8_t type = static_cast<uint8_t>(in_[3]), flags = static_cast<uint8_t>(in_[4]);
    const bool ours = in_[8] == 1;
    const std::string_view payload = std::string_view(in_).substr(9, size);
    if (type == http2::kData) piece_ = payload;
    if (type == http2::kWindow) (ours ? stream_window_ : window_) += number(payload);
    if (type == http2::kSettings && (flags & http2::kAck) == 0) {
      for (size_t at = 0; at + 6 <= size; at += 6) {
        if (payload[at + 1] == 4) stream_window_ += number(payload.substr(at + 2)) - 65'535;
      }
      client_.write(http2::frame(http2::kSettings, http2::kAck, 0, ""));
    }
    const bool carries = type == http2::kData || type == http2::kHeaders;
    if (carries && (flags & http2::kEndStream) != 0) ended_ = true;
    const bool alive = type != http2::kReset && type != http2::kGoaway;
    in_.erase(0, 9 + size);
    return alive;
  }
  size_t size_of_frame() const {
    return static_cast<size_t>(number(std::string(1, 0) + in_.substr(0, 3)));
  }
  static int64_t number(std::string_view bytes) {
    int64_t value = 0;
    for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<uint8_t>(c);
    return value;
  }

  const bool h2_;
  TlsClient client_;
  std::string in_, piece_;
  bool head_ = false, ended_ = false;
  int64_t window_ = 65'535, stream_window_ = 65'535;  // what the server lets us send
};

class LargeBodyTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    site_.edge.settings.upstream = upstream_.url();
    site_.edge.settings.log_level = "info";
    ASSERT_TRUE(site_.edge.start());
    ASSERT_TRUE(site_.visit("a.test", "/1").handshake.verified);
    // Warm: what every worker allocates once.
    for (int i = 0; i < 4; ++i) {
      for (const bool h2 : {false, true}) {
        BodyClient client(site_.tls("a.test"), h2);
        EXPECT_EQ(client.send(kMiB, true), std::to_string(kMiB));
      }
    }
    before_ = resident();
  }
  size_t resident() { return site_.edge.process().resident_bytes(); }
  // Calls `work` while it looks at the memory; says how much it grew at most.
  template <typename Work>
  size_t growth_during(Work work) {
    std::atomic<bool> done = false;
    size_t most = 0;
    std::thread looks([&] {
      while (!done) {
        most = std::max(most, resident());
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    });
    work();
    done = true;
    looks.join();
    return most > before_ ? most - before_ : 0;
  }
  void expect_small(const char* what, size_t growth, size_t connections) {
    std::printf("%s, %s: %zu KiB more for %zu connections\n", what, GetParam() ? "h2" : "h1",
                growth >> 10, connections);
    if (kSanitized) return;
    EXPECT_LE(growth, kGrowth * connections) << what;
  }

  BodyUpstream upstream_;
  Site site_;
  size_t before_ = 0;
};

TEST_P(LargeBodyTest, ADownloadArrivesWholeInLittleMemory) {
  BodyClient client(site_.tls("a.test"), GetParam());
  client.ask(kLarge);
  expect_small("download", growth_during([&] { EXPECT_TRUE(client.receive(kLarge)); }), 1);
}

TEST_P(LargeBodyTest, AnUploadArrivesWholeInLittleMemory) {
  for (const bool chunked : {false, true}) {
    BodyClient client(site_.tls("a.test"), GetParam());
    const uint64_t size = chunked ? kLarge / 8 : kLarge;
    expect_small(
        chunked ? "upload without its length" : "upload",
        growth_during([&] { EXPECT_EQ(client.send(size, chunked), std::to_string(size)); }), 1);
  }
}

// Each asks for a lot and reads nothing, until the edge takes no more for it; and then all.
TEST_P(LargeBodyTest, ReadersThatStopAreWaitedFor) {
  constexpr size_t kClients = 16;
  const uint64_t size = kSanitized ? 16 * kMiB : 32 * kMiB;
  std::list<BodyClient> clients;
  const size_t growth = growth_during([&] {
    for (size_t i = 0; i < kClients; ++i) {
      clients.emplace_back(site_.tls("a.test"), GetParam()).ask(size);
    }
    uint64_t last = 0;
    ASSERT_TRUE(eventually(
        [&] {
          std::this_thread::sleep_for(std::chrono::milliseconds(300));
          return std::exchange(last, upstream_.sent()) == upstream_.sent() && last > 0;
        },
        Millis(30'000)));
    EXPECT_LT(last, kClients * size) << "the sockets hold only a part";
  });
  expect_small("readers that stop", growth, kClients);
  for (auto& client : clients) EXPECT_TRUE(client.receive(size));
}

TEST_P(LargeBodyTest, AnUpstreamThatStopsReadingIsWaitedFor) {
  constexpr size_t kClients = 8;
  const uint64_t size = kSanitized ? 16 * kMiB : 32 * kMiB;
  upstream_.hold(true);
  std::atomic<uint64_t> sent = 0;
  std::list<std::thread> threads;
  const TlsOptions tls = site_.tls("a.test");
  const size_t growth = growth_during([&] {
    for (size_t i = 0; i < kClients; ++i) {
      threads.emplace_back([&] {
        BodyClient client(tls, GetParam());
        uint64_t mine = 0;
        EXPECT_EQ(
            client.send(size, false, [&](uint64_t at) { sent += at - std::exchange(mine, at); }),
            std::to_string(size));
      });
    }
    uint64_t last = 0;
    EXPECT_TRUE(eventually(
        [&] {
          std::this_thread::sleep_for(std::chrono::milliseconds(300));
          return std::exchange(last, sent.load()) == sent && last > 0;
        },
        Millis(30'000)));
    EXPECT_LT(sent, kClients * size);
  });
  upstream_.hold(false);
  for (auto& thread : threads) thread.join();
  expect_small("an upstream that stops", growth, kClients);
}

// A little at a time, both ways: slower than the edge, never still for long.
TEST_P(LargeBodyTest, SlowOnesGetThere) {
  const auto slow = [](uint64_t at) {
    if (at % kMiB < 16'384) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  };
  const size_t growth = growth_during([&] {
    BodyClient writer(site_.tls("a.test"), GetParam());
    EXPECT_EQ(writer.send(10 * kMiB, true, slow), std::to_string(10 * kMiB));
  });
  expect_small("a slow writer", growth, 1);
}

std::string version_name(const ::testing::TestParamInfo<bool>& version) {
  return version.param ? "Http2" : "Http1";
}
INSTANTIATE_TEST_SUITE_P(Versions, LargeBodyTest, ::testing::Bool(), version_name);

}  // namespace
}  // namespace latchkey::test
