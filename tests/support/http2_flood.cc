#include "tests/support/http2_flood.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "tests/support/http2_wire.h"
#include "tests/support/http_exchange.h"

namespace latchkey::test {
namespace {

using http2::frame;
using std::chrono::steady_clock;

const http2::Fields& page() {
  static const http2::Fields fields{
      {":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/abused"}};
  return fields;
}
uint32_t stream_of(size_t i) {
  return static_cast<uint32_t>(2 * i + 1);
}

Abuse repeated(std::string name, const std::string& one, size_t units, std::string first = "") {
  Abuse out{std::move(name), std::move(first), units};
  out.frames.reserve(out.frames.size() + one.size() * units);
  for (size_t i = 0; i < units; ++i) out.frames += one;
  return out;
}
std::string open_upload() {
  http2::Fields fields = page();
  fields[0].second = "POST";
  return frame(http2::kHeaders, http2::kEndHeaders, 1, http2::block(fields));
}

}  // namespace

namespace abuse {

Abuse resets(size_t units) {
  Abuse out{"resets", "", units};
  const std::string head = http2::block(page()), cancel = http2::number32(8);
  for (size_t i = 0; i < units; ++i) {
    out.frames +=
        frame(http2::kHeaders, http2::kEndHeaders | http2::kEndStream, stream_of(i), head);
    out.frames += frame(http2::kReset, 0, stream_of(i), cancel);
  }
  return out;
}

Abuse made_resets(size_t units) {
  Abuse out{"made resets", "", units};
  const std::string head = http2::block(page()), nothing = http2::number32(0);
  for (size_t i = 0; i < units; ++i) {
    out.frames +=
        frame(http2::kHeaders, http2::kEndHeaders | http2::kEndStream, stream_of(i), head);
    out.frames += frame(http2::kWindow, 0, stream_of(i), nothing);
  }
  return out;
}

Abuse continuations(size_t units) {
  return repeated("continuations", frame(http2::kContinuation, 0, 1, http2::block({{"x", "y"}})),
                  units, frame(http2::kHeaders, 0, 1, http2::block(page())));
}

Abuse pings(size_t units) {
  return repeated("pings", frame(http2::kPing, 0, 0, "12345678"), units);
}

Abuse settings(size_t units) {
  const std::string id("\0\4", 2);
  return repeated("settings", frame(http2::kSettings, 0, 0, id + http2::number32(65'535)), units);
}

Abuse empty_data(size_t units) {
  return repeated("empty data", frame(http2::kData, 0, 1, ""), units, open_upload());
}

Abuse tiny_windows(size_t units) {
  return repeated("tiny windows", frame(http2::kWindow, 0, 1, http2::number32(1)), units,
                  open_upload());
}

Abuse unknown_frames(size_t units) {
  return repeated("unknown frames", frame(0x77, 0, 0, "whatever"), units);
}

// A value of 3 kB that goes into the table, and heads that name it five hundred times (RFC 7541,
// 6.1: the newest entry is 62).
Abuse header_bombs(size_t units) {
  const std::string value(3'000, 'v');
  std::string first = http2::block(page());
  first += "\x40\x01x";
  first += "\x7f\xb9\x16";  // 3000 = 127 + 0x39 + (0x16 << 7)
  first += value;
  Abuse out{"header bombs", "", units, false};
  for (size_t i = 0; i < units; ++i) {
    std::string block = i == 0 ? first : http2::block(page());
    block += std::string(500, '\xbe');
    out.frames +=
        frame(http2::kHeaders, http2::kEndHeaders | http2::kEndStream, stream_of(i), block);
  }
  return out;
}

std::vector<Abuse> all(size_t units) {
  return {resets(units),       made_resets(units),    continuations(units),
          pings(units),        settings(units),       empty_data(units),
          tiny_windows(units), unknown_frames(units), header_bombs(units / 10)};
}

}  // namespace abuse

Http2Flood::Http2Flood(const TlsOptions& options, Abuse abuse, size_t threads, uint64_t at_most,
                       double rate)
    : abuse_(std::move(abuse)), at_most_(at_most), rate_(rate) {
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, options, i, threads] { run(options, i, threads); });
  }
}

Http2Flood::~Http2Flood() {
  stopping_ = true;
  wait();
}

void Http2Flood::wait() {
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void Http2Flood::run(TlsOptions options, size_t index, size_t threads) {
  options.alpn = {"h2"};
  options.limit = Millis(5'000);
  const auto begin = steady_clock::now();
  for (size_t turn = index; !stopping_ && units_ < at_most_; turn += threads) {
    if (rate_ > 0) {
      const std::chrono::duration<double> due(static_cast<double>(turn) / rate_);
      while (!stopping_ && steady_clock::now() < begin + due) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    TlsClient client(options);
    if (!client.handshake().done) continue;
    ++connections_;
    options.session = client.session();
    units_ += abuse_.units;
    const bool whole = client.write(http2::greeting() + abuse_.frames);
    if (!abuse_.ends) {
      if (whole && !http2::Reader(client).wait_for(stream_of(abuse_.units - 1)).goaway) ++ended_;
      continue;
    }
    // Whether it is a proper end or a reset, it comes long before the time is up.
    const auto said = steady_clock::now();
    for (std::optional<std::string> answer = "more"; answer && !answer->empty();) {
      answer = client.read();
    }
    if (steady_clock::now() - said < options.limit / 2) ++ended_;
  }
}

PoliteClient::PoliteClient(const TlsOptions& options, double rate)
    : thread_([this, options, rate] { run(options, rate); }) {}

PoliteClient::~PoliteClient() {
  stop();
}

PoliteClient::Figures PoliteClient::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  return std::move(figures_);
}

void PoliteClient::run(const TlsOptions& options, double rate) {
  const auto begin = steady_clock::now();
  std::optional<TlsClient> client;
  std::optional<HttpConversation> http;
  for (size_t i = 0; i == 0 || !stopping_; ++i) {
    const auto due = begin + std::chrono::duration_cast<steady_clock::duration>(
                                 std::chrono::duration<double>(static_cast<double>(i) / rate));
    std::this_thread::sleep_until(due);
    if (!client) {
      client.emplace(options);
      http.emplace(*client);
    }
    if (http->get("a.test", "/polite").status == 200) {
      ++figures_.answered;
    } else {
      ++figures_.failed;
      http.reset();
      client.reset();
    }
    const std::chrono::duration<double, std::milli> took = steady_clock::now() - due;
    figures_.ms.push_back(took.count());
  }
}

double PoliteClient::Figures::at(double quantile) const {
  if (ms.empty()) return 0;
  std::vector<double> sorted = ms;
  std::sort(sorted.begin(), sorted.end());
  const auto index = static_cast<size_t>(quantile * static_cast<double>(sorted.size() - 1));
  return sorted[index];
}

}  // namespace latchkey::test
