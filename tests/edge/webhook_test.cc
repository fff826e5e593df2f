#include "edge/webhook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>

#include "base/curl_http_client.h"
#include "base/json.h"
#include "base/text.h"
#include "tests/policy/fake_http.h"
#include "tests/support/http_server.h"
#include "tests/support/manual_clock.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

constexpr const char* kSecret = "0123456789abcdef0123456789abcdef";

std::string hmac(const std::string& secret, const std::string& text) {
  std::array<uint8_t, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), secret.size(), reinterpret_cast<const uint8_t*>(text.data()),
       text.size(), mac.data(), &size);
  return to_hex(mac.data(), size);
}

Event event_of(std::string_view text, std::string_view kind = event_kind::kObtained) {
  Event event;
  event.at = WallTime(std::chrono::seconds(1'700'000'000));
  event.kind = kind;
  event.name = "a.test";
  event.issuer = "ca";
  event.text = text;
  event.details = R"({"serial":"0a"})";
  return event;
}

class WebhookTest : public testing::Test {
 protected:
  WebhookTest() {
    config.url = "https://hooks.test/in";
    make();
  }
  void make() { hook = std::make_unique<Webhook>(config, kSecret, http, clock, log); }
  void tell(std::string_view text) {
    hook->tell(event_of(text));
    clock.advance(0ms);
  }
  void answer(size_t i, int status) {
    http.answer(i, status);
    clock.advance(0ms);
  }
  void refuse(size_t i = 0) {
    http.answer(i, Error{ErrorCode::kIo, "connection refused"});
    clock.advance(0ms);
  }
  std::string text_of(size_t i) {
    return std::string(parse_json(http.request(i).body)->text_of("text"));
  }
  std::string header(size_t i, std::string_view wanted) {
    for (const auto& [name, value] : http.request(i).headers) {
      if (name == wanted) return value;
    }
    return "";
  }
  std::vector<std::string> open() {
    std::vector<std::string> texts;
    texts.reserve(http.open());
    for (size_t i = 0; i < http.open(); ++i) texts.push_back(text_of(i));
    return texts;
  }

  ManualClock clock;
  Log log{STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9)};
  FakeHttp http;
  WebhookConfig config;
  std::unique_ptr<Webhook> hook;
};

TEST_F(WebhookTest, AnEventIsPostedWhole) {
  config.timeout = 7s;
  make();
  tell("all is well");
  ASSERT_EQ(http.open(), 1u);
  const HttpRequest& request = http.request();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.url, "https://hooks.test/in");
  EXPECT_EQ(request.timeout, Millis(7s));
  EXPECT_EQ(header(0, "content-type"), "application/json");
  EXPECT_EQ(header(0, "x-latchkey-event"), "certificate_obtained");

  const auto body = parse_json(request.body);
  ASSERT_TRUE(body) << request.body;
  EXPECT_EQ(body->text_of("id"), header(0, "x-latchkey-delivery"));
  EXPECT_EQ(body->text_of("at"), "2023-11-14T22:13:20Z");
  EXPECT_EQ(body->text_of("kind"), "certificate_obtained");
  EXPECT_EQ(body->text_of("name"), "a.test");
  EXPECT_EQ(body->text_of("issuer"), "ca");
  EXPECT_EQ(body->text_of("text"), "all is well");
  EXPECT_EQ(body->find("details")->text_of("serial"), "0a");
  EXPECT_EQ(body->text_of("product"), "latchkey");
  EXPECT_EQ(body->text_of("version"), LATCHKEY_VERSION);

  answer(0, 204);
  EXPECT_EQ(hook->counts().delivered.value(), 1u);
  EXPECT_EQ(hook->queued(), 0u);
}

TEST_F(WebhookTest, TheSignatureCoversTimeAndBody) {
  tell("x");
  const std::string at = header(0, "x-latchkey-timestamp");
  EXPECT_EQ(at, std::to_string(clock.wall_now().time_since_epoch().count()));
  EXPECT_EQ(header(0, "x-latchkey-signature"),
            "sha256=" + hmac(kSecret, at + "." + http.request().body));
  // Signed anew for each try, or the receiver would take it for an old one.
  refuse();
  clock.advance(2s);
  EXPECT_NE(header(0, "x-latchkey-timestamp"), at);
  EXPECT_EQ(
      header(0, "x-latchkey-signature"),
      "sha256=" + hmac(kSecret, header(0, "x-latchkey-timestamp") + "." + http.request().body));
}

TEST_F(WebhookTest, WithoutASecretNothingIsSigned) {
  hook = std::make_unique<Webhook>(config, "", http, clock, log);
  tell("x");
  EXPECT_EQ(header(0, "x-latchkey-signature"), "");
}

TEST_F(WebhookTest, OnlyTheKindsThatWereAskedForAreSent) {
  config.kinds = {"certificate_revoked"};
  make();
  hook->tell(event_of("no"));
  hook->tell(event_of("yes", event_kind::kRevoked));
  clock.advance(0ms);
  EXPECT_THAT(open(), ElementsAre("yes"));
}

TEST_F(WebhookTest, FourAreUnderWayAtMost) {
  for (const char* text : {"1", "2", "3", "4", "5", "6"}) tell(text);
  EXPECT_THAT(open(), ElementsAre("1", "2", "3", "4"));
  answer(1, 200);
  EXPECT_THAT(open(), ElementsAre("1", "3", "4", "5"));
}

TEST_F(WebhookTest, NothingIsSentFromWithinTell) {
  hook->tell(event_of("x"));
  EXPECT_EQ(http.open(), 0u);
}

TEST_F(WebhookTest, ARefusalIsForGood) {
  for (const int status : {400, 401, 404, 410, 422}) {
    tell("x");
    answer(0, status);
    clock.advance(2h);
    EXPECT_EQ(http.open(), 0u) << status;
  }
  EXPECT_EQ(hook->counts().given_up.value(), 5u);
  EXPECT_EQ(hook->queued(), 0u);
}

TEST_F(WebhookTest, AUrlThatCannotBeAskedIsNotAskedAgain) {
  tell("x");
  http.answer(0, Error{ErrorCode::kInvalid, "not a URL"});
  clock.advance(2h);
  EXPECT_EQ(http.open(), 0u);
  EXPECT_EQ(hook->counts().given_up.value(), 1u);
}

TEST_F(WebhookTest, OtherFailuresAreTriedAgainForADay) {
  for (const int status : {302, 408, 425, 429, 500, 503}) {
    tell("x");
    answer(0, status);
    clock.advance(1s);
    ASSERT_EQ(http.open(), 1u) << status;
    answer(0, 200);
  }
  tell("x");
  const TimePoint told = clock.now();
  std::vector<Millis> tries;
  while (hook->queued() > 0) {
    ASSERT_EQ(http.open(), 1u);
    tries.push_back(clock.now() - told);
    refuse();
    while (http.open() == 0 && hook->queued() > 0) clock.advance(1s);
  }
  ASSERT_GE(tries.size(), 8u);
  tries.resize(8);
  EXPECT_THAT(tries, ElementsAre(0s, 1s, 6s, 36s, 156s, 756s, 756s + 1h, 756s + 2h));
  EXPECT_GE(clock.now() - told, Millis(23h));
  EXPECT_LE(clock.now() - told, Millis(24h));
  EXPECT_EQ(hook->counts().given_up.value(), 1u);
}

TEST_F(WebhookTest, ItComesBackWhenTheReceiverSays) {
  tell("x");
  HttpReply busy;
  busy.status = 429;
  busy.headers = {{"retry-after", "90"}};
  http.answer(0, busy);
  tell("y");
  clock.advance(89s);
  EXPECT_EQ(http.open(), 0u);
  clock.advance(1s);
  EXPECT_THAT(open(), ElementsAre("x"));
}

TEST_F(WebhookTest, AnOutageKeepsTheOrderAndCostsOneRequestAtATime) {
  for (const char* text : {"1", "2", "3"}) hook->tell(event_of(text));
  clock.advance(0ms);
  for (int i = 0; i < 3; ++i) refuse();
  tell("4");
  EXPECT_EQ(http.open(), 0u);
  clock.advance(1s);
  EXPECT_THAT(open(), ElementsAre("1"));
  refuse();
  clock.advance(4s);
  EXPECT_EQ(http.open(), 0u);
  clock.advance(1s);
  EXPECT_THAT(open(), ElementsAre("1"));
  answer(0, 200);  // and with it the others may go
  EXPECT_THAT(open(), ElementsAre("2", "3", "4"));
}

TEST_F(WebhookTest, AnEventThatTheReceiverChokesOnDoesNotBlockTheOthers) {
  tell("bad");
  tell("good");
  answer(1, 200);
  for (const Millis pause : {0ms, 1000ms, 5000ms}) {
    clock.advance(pause);
    ASSERT_THAT(open(), ElementsAre("bad"));
    answer(0, 500);
    tell("good");
  }
  EXPECT_EQ(http.open(), 0u);
  clock.advance(30s);
  ASSERT_THAT(open(), ElementsAre("good"));
  answer(0, 200);
  EXPECT_THAT(open(), ElementsAre("bad", "good", "good"));
  answer(2, 200);
  answer(1, 200);
  answer(0, 500);
  EXPECT_EQ(hook->counts().delivered.value(), 4u);
  tell("good");
  clock.advance(1s);  // now it costs the others this
  EXPECT_THAT(open(), ElementsAre("good"));
}

TEST_F(WebhookTest, TheQueueIsBoundedAndTheOldestGo) {
  for (int i = 0; i < 1010; ++i) hook->tell(event_of(std::to_string(i)));
  EXPECT_EQ(hook->queued(), 1000u);
  EXPECT_EQ(hook->counts().dropped.value(), 10u);
  clock.advance(0ms);
  EXPECT_EQ(text_of(0), "10");
  hook->tell(event_of("1010"));  // those under way are not dropped
  EXPECT_THAT(open(), ElementsAre("10", "11", "12", "13"));
}

// Fails before anybody waits.
class DeafHttp final : public HttpClient {
 public:
  Task<HttpReply> send(HttpRequest) override {
    ++requests;
    co_return Error{ErrorCode::kInvalid, "no"};
  }
  int requests = 0;
};

TEST_F(WebhookTest, AThousandFailuresAtOnceDoNotNest) {
  DeafHttp deaf;
  hook = std::make_unique<Webhook>(config, kSecret, deaf, clock, log);
  for (int i = 0; i < 1000; ++i) hook->tell(event_of("x"));
  clock.advance(0ms);
  EXPECT_EQ(deaf.requests, 1000);
  EXPECT_EQ(hook->queued(), 0u);
}

TEST_F(WebhookTest, ItMayGoAtAnyWait) {
  hook->tell(event_of("x"));
  make();  // before it was sent
  EXPECT_EQ(clock.pending(), 0u);
  tell("x");
  make();  // while it is under way
  EXPECT_EQ(http.open(), 0u);
  tell("x");
  refuse();
  make();  // while it waits for the next try
  clock.advance(24h);
  EXPECT_EQ(http.open(), 0u);
}

TEST(WebhookOverHttpTest, IsRetriedUntilTheReceiverTakesIt) {
  std::atomic<int> count = 0;
  test::HttpServer receiver([&count](const test::Request&) {
    test::Response response;
    response.status = ++count == 1 ? 500 : 200;
    return response;
  });
  test::TestLoop loop;
  Log log(STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9));
  CurlHttpClient http(loop.uv(), {});
  WebhookConfig config;
  config.url = receiver.url("/in");
  Webhook hook(config, kSecret, http, loop.clock(), log);
  hook.tell(event_of("x"));
  ASSERT_TRUE(loop.run_until([&] { return hook.counts().delivered.value() == 1; }));
  const std::vector<test::Request> seen = receiver.seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].body, seen[1].body);
  EXPECT_EQ(seen[0].header("x-latchkey-delivery"), seen[1].header("x-latchkey-delivery"));
  EXPECT_EQ(seen[1].header("x-latchkey-signature"),
            "sha256=" + hmac(kSecret, seen[1].header("x-latchkey-timestamp") + "." + seen[1].body));
}

}  // namespace
}  // namespace latchkey::edge
