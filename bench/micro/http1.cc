// HTTP/1.1 heads: a browser's request and a small answer, as they pass through the edge.
#include <benchmark/benchmark.h>

#include <string>

#include "base/check.h"
#include "edge/http/http1_codec.h"
#include "edge/http/http1_writer.h"

namespace latchkey::bench {
namespace {

using Kind = edge::Http1Event::Kind;

constexpr std::string_view kRequest =
    "GET /catalogue/shoes?size=43&colour=black HTTP/1.1\r\n"
    "Host: shop12345.customers.example\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Referer: https://shop12345.customers.example/catalogue\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=b7c1f0a2d94e4f0e8a3c5d6e7f809182; consent=1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n\r\n";

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\n"
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Length: 0\r\n"
    "Cache-Control: private, max-age=0\r\n"
    "ETag: \"5f3a-1c2b3d4e\"\r\n"
    "Vary: Accept-Encoding\r\n\r\n";

// To the message's end; its head stays in the parser.
template <typename Parser>
bool parse(Parser& parser, std::string_view bytes) {
  for (;;) {
    const edge::Http1Event event = parser.next(bytes);
    bytes.remove_prefix(event.consumed);
    if (event.kind == Kind::kEnd) return true;
    if (event.kind != Kind::kHead && event.kind != Kind::kBody) return false;
  }
}

void Http1ParseRequest(benchmark::State& state) {
  edge::Http1RequestParser parser;
  for (auto _ : state) {
    if (!parse(parser, kRequest)) state.SkipWithError("the request is refused");
    benchmark::DoNotOptimize(parser.head());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kRequest.size()));
}
BENCHMARK(Http1ParseRequest);

void Http1WriteRequest(benchmark::State& state) {
  edge::Http1RequestParser parser;
  CHECK(parse(parser, kRequest));
  std::string out;
  for (auto _ : state) {
    out.clear();
    edge::write_head(out, parser.head());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * out.size()));
}
BENCHMARK(Http1WriteRequest);

void Http1ParseAnswer(benchmark::State& state) {
  edge::Http1ResponseParser parser;
  for (auto _ : state) {
    parser.expect(false, false);
    if (!parse(parser, kAnswer)) state.SkipWithError("the answer is refused");
    benchmark::DoNotOptimize(parser.head());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kAnswer.size()));
}
BENCHMARK(Http1ParseAnswer);

void Http1WriteAnswer(benchmark::State& state) {
  edge::Http1ResponseParser parser;
  parser.expect(false, false);
  CHECK(parse(parser, kAnswer));
  std::string out;
  for (auto _ : state) {
    out.clear();
    edge::write_head(out, parser.head(), {.body = parser.head().body});
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * out.size()));
}
BENCHMARK(Http1WriteAnswer);

}  // namespace
}  // namespace latchkey::bench
