#include "edge/front/front.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "base/json.h"
#include "base/loop.h"
#include "edge/http/headers.h"
#include "edge/http/http1_session.h"
#include "edge/pages.h"
#include "tests/edge/fake_transport.h"
#include "tests/support/eventually.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_folder.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// A session with the Front and an exchange behind it that the test speaks for.
class FrontTest : public testing::Test {
 protected:
  class Script final : public Exchange {
   public:
    Script(FrontTest& test, RequestHead head, ResponseStream& stream)
        : test_(test), stream_(stream) {
      test_.heads.push_back(std::move(head));
      test_.stream = &stream;
    }
    ~Script() override { test_.stream = nullptr; }
    void start() override {}
    void on_body(std::string_view) override {}
    void on_request_end(const HeaderList&) override { test_.answer(stream_); }
    void on_writable() override { ++test_.writable; }

   private:
    FrontTest& test_;
    ResponseStream& stream_;
  };

  ~FrontTest() override { session.reset(); }

  void use(const FrontConfig& config) {
    auto loaded = FrontOptions::load(
        config, [this](const std::string& file) { return folder / file; }, options.get(), log,
        counts, closing);
    ASSERT_TRUE(loaded) << loaded.error().message;
    options = *loaded;
    front.replace(options);
  }
  void open(std::string_view address = "192.0.2.1") {
    transport = {};
    ClientInfo client{address, true, {}};
    client.tls_version = "TLSv1.3";
    session.emplace(transport, context, client, [this] { session.reset(); });
  }
  // What the session sends for a request with these header lines.
  std::string get(std::string_view lines = "", std::string_view target = "/") {
    if (!session) open();
    transport.say("GET " + std::string(target) + " HTTP/1.1\r\nHost: a.test\r\n" +
                  std::string(lines) + "\r\n");
    transport.deliver();
    return std::exchange(transport.sent, {});
  }
  static void say(ResponseStream& to, std::string_view type, std::string_view text,
                  Body::Kind kind = Body::Kind::kLength) {
    ResponseHead head;
    head.status = 200;
    head.headers.add("content-type", type);
    head.headers.add("etag", "\"x\"");
    head.body = {kind, text.size()};
    to.send_head(head);
    to.send_body(text);
    to.finish();
  }
  std::vector<JsonValue> logged(size_t lines) {
    const auto file = folder / "access.log";
    std::vector<JsonValue> out;
    test::eventually([&] {
      out.clear();
      std::ifstream in(file);
      for (std::string line; std::getline(in, line);) {
        auto json = parse_json(line);
        EXPECT_TRUE(json) << line;
        if (json) out.push_back(*json);
      }
      return out.size() >= lines;
    });
    return out;
  }

  ManualClock clock;
  test::TempFolder folder;
  Log log{2, Log::Format::kText, LogLevel::kError};
  FrontCounts counts;
  Loop loop;
  JobThread closing{loop.address()};
  std::shared_ptr<const FrontOptions> options;
  Front front{clock, counts, nullptr};
  std::function<void(ResponseStream&)> answer = [](ResponseStream& to) {
    say(to, "text/plain", "ok");
  };
  FakeTransport transport;
  SessionContext context{clock, front.before([this](RequestHead head, ResponseStream& to) {
                           return std::make_unique<Script>(*this, std::move(head), to);
                         })};
  std::optional<Http1Session> session;
  std::vector<RequestHead> heads;
  ResponseStream* stream = nullptr;
  int writable = 0;
};

// ---- who asks, and what the request is called

TEST_F(FrontTest, EachRequestHasAnIdOfItsOwn) {
  get("X-Request-Id: chosen\r\n");
  get();
  ASSERT_EQ(heads.size(), 2U);
  EXPECT_EQ(heads[0].id.size(), 32U);
  EXPECT_NE(heads[0].id, heads[1].id);
  EXPECT_EQ(heads[0].client_address, "192.0.2.1");
  forward_request(heads[0], ClientInfo{"192.0.2.1", true, {}}, {});
  EXPECT_EQ(heads[0].headers.get("x-request-id"), heads[0].id) << "a stranger does not choose it";
  EXPECT_EQ(heads[0].headers.count("x-request-id"), 1U);
}

TEST_F(FrontTest, ATrustedProxySaysWhoAsksAndItsIdStays) {
  FrontConfig config;
  config.trusted_proxies = {"192.0.2.0/24", "10.0.0.0/8"};
  config.request_id_to_client = true;
  use(config);
  const std::string answered =
      get("X-Request-Id: abc-1\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.1.1.1\r\n"
          "traceparent: 00-1-2-01\r\n");
  EXPECT_EQ(heads[0].client_address, "203.0.113.9");
  EXPECT_EQ(heads[0].id, "abc-1");
  EXPECT_TRUE(contains(answered, "x-request-id: abc-1\r\n")) << answered;
  EXPECT_EQ(heads[0].headers.get("traceparent"), "00-1-2-01");
  get("X-Request-Id: two words\r\n");
  EXPECT_EQ(heads[1].id.size(), 32U) << "not what an id looks like";
  get("X-Request-Id: a\r\nX-Request-Id: b\r\n");
  EXPECT_EQ(heads[2].id.size(), 32U);
  get("X-Request-Id: " + std::string(129, 'x') + "\r\n");
  EXPECT_EQ(heads[3].id.size(), 32U);

  open("198.51.100.7");
  get("X-Request-Id: abc-1\r\nX-Forwarded-For: 203.0.113.9\r\n");
  EXPECT_EQ(heads[4].client_address, "198.51.100.7") << "a stranger";
  EXPECT_EQ(heads[4].id.size(), 32U);
  EXPECT_FALSE(heads[4].from_trusted_proxy);
}

// ---- the access log

TEST_F(FrontTest, TheAccessLogHasALineForEachRequest) {
  FrontConfig config;
  config.access_log = AccessLogConfig{"access.log"};
  use(config);
  answer = [this](ResponseStream& to) {
    *to.notes() = {"127.0.0.1:3000", clock.now(), clock.now() + 7ms};
    clock.advance(9ms);
    say(to, "text/plain", "hello");
  };
  get("User-Agent: \"curl\"\r\nReferer: https://b.test/?t=1\r\nCookie: secret\r\n"
      "Authorization: Basic secret\r\n",
      "/page?q=1");
  const auto lines = logged(1);
  ASSERT_EQ(lines.size(), 1U);
  const JsonValue& line = lines[0];
  EXPECT_EQ(line.text_of("client"), "192.0.2.1");
  EXPECT_EQ(line.text_of("method"), "GET");
  EXPECT_EQ(line.text_of("host"), "a.test");
  EXPECT_EQ(line.text_of("target"), "/page?q=1");
  EXPECT_EQ(line.find("status")->number, 200);
  EXPECT_EQ(line.find("bytes_out")->number, 5);
  EXPECT_EQ(line.find("duration_ms")->number, 9);
  EXPECT_EQ(line.text_of("upstream"), "127.0.0.1:3000");
  EXPECT_EQ(line.find("upstream_ms")->number, 7);
  EXPECT_EQ(line.text_of("tls"), "TLSv1.3");
  EXPECT_EQ(line.text_of("http"), "1.1");
  EXPECT_EQ(line.text_of("user_agent"), "\"curl\"");
  EXPECT_EQ(line.text_of("referer"), "https://b.test/?t=1");
  EXPECT_EQ(line.text_of("end"), "complete");
  EXPECT_EQ(line.text_of("id"), heads[0].id);
  std::ifstream in(folder / "access.log");
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  EXPECT_FALSE(contains(text, "secret"));
}

TEST_F(FrontTest, TheAccessLogCanDoWithoutQueries) {
  FrontConfig config;
  config.access_log = AccessLogConfig{"access.log", false};
  use(config);
  get("Referer: https://b.test/p?token=1\r\n", "/page?token=1");
  const auto lines = logged(1);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].text_of("target"), "/page");
  EXPECT_EQ(lines[0].text_of("referer"), "https://b.test/p");
}

TEST_F(FrontTest, TheAccessLogTellsHowAnExchangeEnded) {
  FrontConfig config;
  config.access_log = AccessLogConfig{"access.log"};
  use(config);
  answer = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.body = {Body::Kind::kLength, 100};
    to.send_head(head);
    to.send_body("half");
    to.reset();
  };
  get("User-Agent: \xff\xfe\r\n");
  open();
  answer = [](ResponseStream&) {};
  get();
  session.reset();
  const auto lines = logged(2);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].text_of("end"), "cut");
  EXPECT_EQ(lines[0].find("bytes_out")->number, 4);
  EXPECT_EQ(lines[1].text_of("end"), "client_left");
  EXPECT_EQ(lines[1].find("status")->number, 0);
}

// ---- compression

std::string unzip(std::string_view coded) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(coded.data()));
  stream.avail_in = static_cast<uInt>(coded.size());
  std::string out(1 << 20, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  inflate(&stream, Z_SYNC_FLUSH);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

// The body of a chunked response so far.
std::string unchunk(std::string_view response) {
  std::string out;
  size_t at = response.find("\r\n\r\n") + 4;
  while (at < response.size()) {
    const size_t size = std::stoul(std::string(response.substr(at)), nullptr, 16);
    at = response.find("\r\n", at) + 2;
    out += response.substr(at, size);
    at += size + 2;
    if (size == 0) break;
  }
  return out;
}

class CompressingFrontTest : public FrontTest {
 protected:
  CompressingFrontTest() {
    FrontConfig config;
    config.compression = CompressionConfig{};
    config.compression->max_at_once = 2;
    use(config);
  }
  const std::string page = [] {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "line " + std::to_string(i) + " of many\n";
    return text;
  }();
};

TEST_F(CompressingFrontTest, WhoAcceptsGzipGetsGzip) {
  answer = [this](ResponseStream& to) { say(to, "text/html; charset=utf-8", page); };
  const std::string coded = get("Accept-Encoding: gzip\r\n");
  EXPECT_TRUE(contains(coded, "content-encoding: gzip\r\n"));
  EXPECT_TRUE(contains(coded, "vary: Accept-Encoding\r\n"));
  EXPECT_TRUE(contains(coded, "etag: W/\"x\"\r\n"));
  EXPECT_FALSE(contains(coded, "content-length"));
  EXPECT_EQ(unzip(unchunk(coded)), page);
  EXPECT_LT(coded.size(), page.size() / 3);
  EXPECT_EQ(counts.compressed.value(), 1U);

  const std::string plain = get();
  EXPECT_FALSE(contains(plain, "content-encoding"));
  EXPECT_TRUE(contains(plain, "vary: Accept-Encoding\r\n")) << "a cache must know all the same";
  EXPECT_TRUE(contains(plain, "etag: \"x\"\r\n"));
  EXPECT_TRUE(contains(plain, page));
  EXPECT_TRUE(contains(get("Accept-Encoding: br, gzip\r\n"), "content-encoding: br\r\n"));
  EXPECT_FALSE(contains(get("Accept-Encoding: gzip\r\nCache-Control: no-transform\r\n"),
                        "content-encoding"));
}

TEST_F(CompressingFrontTest, AFlushBringsWhatThereIs) {
  answer = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.headers.add("content-type", "text/event-stream");
    head.body = {Body::Kind::kChunked, 0};
    to.send_head(head);
    to.send_body("data: 1\n\n");
    to.flush();
  };
  const std::string first = get("Accept-Encoding: gzip\r\n");
  EXPECT_EQ(unzip(unchunk(first)), "data: 1\n\n");
  stream->send_body("data: 2\n\n");
  stream->flush();
  stream->flush();
  transport.deliver();
  EXPECT_EQ(unzip(unchunk(first + transport.sent)), "data: 1\n\ndata: 2\n\n");
}

TEST_F(CompressingFrontTest, BeyondTheLimitResponsesGoAsTheyAre) {
  std::vector<std::unique_ptr<Exchange>> open_ones;
  answer = [](ResponseStream& to) {
    ResponseHead head;
    head.status = 200;
    head.headers.add("content-type", "text/plain");
    head.body = {Body::Kind::kChunked, 0};
    to.send_head(head);
  };
  FakeTransport more;
  Http1Session second(more, context, ClientInfo{"192.0.2.2", true, {}}, [] {});
  EXPECT_TRUE(contains(get("Accept-Encoding: gzip\r\n"), "content-encoding: gzip"));
  const auto ask = [](FakeTransport& at) {
    at.say("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n");
    at.deliver();
    return at.sent;
  };
  EXPECT_TRUE(contains(ask(more), "content-encoding: gzip"));
  FakeTransport last;
  Http1Session third(last, context, ClientInfo{"192.0.2.3", true, {}}, [] {});
  EXPECT_FALSE(contains(ask(last), "content-encoding"));
  EXPECT_EQ(counts.compression_busy.value(), 1U);
  session.reset();
  EXPECT_TRUE(contains(get("Accept-Encoding: gzip\r\n"), "content-encoding: gzip"))
      << "one has left";
}

// ---- too many requests

TEST_F(FrontTest, WhoAsksTooOftenIsToldWhenToComeBack) {
  FrontConfig config;
  config.rate_limit = ClientRateConfig{1, 10s, 2};
  use(config);
  EXPECT_TRUE(contains(get(), "200 OK"));
  EXPECT_TRUE(contains(get(), "200 OK"));
  const std::string refused = get();
  EXPECT_TRUE(contains(refused, "HTTP/1.1 429 Too Many Requests")) << refused;
  EXPECT_TRUE(contains(refused, "retry-after: 10\r\n"));
  EXPECT_EQ(counts.rate_limited.value(), 1U);
  use(config);
  EXPECT_TRUE(contains(get(), "429")) << "a reload forgets nobody";
  open("192.0.2.2");
  EXPECT_TRUE(contains(get(), "200 OK")) << "somebody else";
  open();
  clock.advance(10s);
  EXPECT_TRUE(contains(get(), "200 OK"));
}

// ---- pages

TEST_F(FrontTest, TheOperatorsPagesGoBeforeOurs) {
  std::ofstream(folder / "bad.html") << "<h1>Sorry</h1>";
  std::ofstream(folder / "any.txt") << "No.";
  FrontConfig config;
  config.error_pages = {{"502", "bad.html"}, {"default", "any.txt"}};
  use(config);
  answer = [](ResponseStream& to) { answer_page(to, 502, "ours", std::chrono::seconds(5)); };
  const std::string sent = get();
  EXPECT_TRUE(contains(sent, "502 Bad Gateway"));
  EXPECT_TRUE(contains(sent, "retry-after: 5\r\n"));
  EXPECT_TRUE(contains(sent, "content-type: text/html; charset=utf-8\r\n"));
  EXPECT_TRUE(sent.ends_with("<h1>Sorry</h1>"));
  answer = [](ResponseStream& to) { answer_page(to, 404, "ours"); };
  EXPECT_TRUE(get().ends_with("No."));
}

TEST_F(FrontTest, PagesOfOursComeInTheFormThatIsAccepted) {
  answer = [](ResponseStream& to) { answer_page(to, 404, "Nothing \"here\"."); };
  EXPECT_TRUE(contains(get("Accept: application/json\r\n"),
                       "{\"status\":404,\"title\":\"Not Found\",\"detail\":\"Nothing "));
  EXPECT_TRUE(contains(get("Accept: text/plain\r\n"), "404 Not Found\nNothing \"here\".\n"));
  EXPECT_TRUE(contains(get("Accept: text/html, application/json\r\n"), "<!doctype html>"));
  EXPECT_TRUE(contains(get("Accept: */*\r\n"), "<!doctype html>"));
}

TEST_F(FrontTest, FilesThatCannotBeReadAreNamed) {
  FrontConfig config;
  config.error_pages = {{"404", "missing.html"}};
  const auto resolve = [this](const std::string& file) { return folder / file; };
  const auto pages = FrontOptions::load(config, resolve, nullptr, log, counts, closing);
  ASSERT_FALSE(pages);
  EXPECT_TRUE(contains(pages.error().message, "error_pages.404")) << pages.error().message;
  config.error_pages.clear();
  config.access_log = AccessLogConfig{"no/folder/access.log"};
  const auto logs = FrontOptions::load(config, resolve, nullptr, log, counts, closing);
  ASSERT_FALSE(logs);
  EXPECT_TRUE(contains(logs.error().message, "access_log.file")) << logs.error().message;
}

}  // namespace
}  // namespace latchkey::edge
