// Orders at Debian's Pebble whose process dies at each request, before it is sent and before its
// answer is read: the next process finishes them.

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "acme/issuer.h"
#include "base/curl_http_client.h"
#include "base/loop.h"
#include "tests/support/challenge_responder.h"
#include "tests/support/fake_store.h"
#include "tests/support/pebble.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;

// Comes to its end at a request.
class MortalHttpClient final : public HttpClient {
 public:
  MortalHttpClient(HttpClient& next, Clock& clock) : next_(next), clock_(clock) {}

  int left = 0;  // requests; 0: immortal
  bool answers_last = false;
  bool dead = false;

  Task<HttpReply> send(HttpRequest request) override {
    const bool last = left > 0 && --left == 0;
    if (last && !answers_last) co_await die();
    Task<HttpReply> sending = next_.send(std::move(request));
    Result<HttpReply> reply = co_await std::move(sending).result();
    if (last) co_await die();
    co_return reply;
  }

 private:
  Task<> die() {
    dead = true;
    co_await sleep(clock_, 1h);
    co_return Unit{};
  }

  HttpClient& next_;
  Clock& clock_;
};

class PebbleResumeTest : public ::testing::Test {
 protected:
  PebbleResumeTest() {
    test::Pebble::Options options;
    options.http_port = responder.http_port();
    options.tls_port = responder.tls_port();
    options.sleeps = false;
    pebble.emplace(folder / "pebble", options);
    CurlHttpClient::Options with;
    with.ca_file = pebble->ca_file();
    http.emplace(loop.uv(), with);
    mortal.emplace(*http, loop.clock());
    settings.name = "pebble";
    settings.directory = pebble->directory();
    settings.accept_terms = true;
    restart();
  }
  void restart() { issuer.emplace(settings, *mortal, loop.clock(), store, challenges, log); }

  // Nothing: it died.
  std::optional<Result<CertificatePtr>> obtain(const ServerName& name) {
    IssuanceJob job{name};
    if (const auto found = store.orders.find(name); found != store.orders.end()) {
      job.pending = found->second;
    }
    mortal->dead = false;
    Task<CertificatePtr> task = issuer->obtain(std::move(job));
    task.start();
    if (!loop.run_until([&] { return task.done() || mortal->dead; })) return std::nullopt;
    if (!task.done()) return std::nullopt;
    return task.outcome();
  }

  test::TempFolder folder;
  ChallengeTable challenges;
  test::ChallengeResponder responder{challenges};
  std::optional<test::Pebble> pebble;
  Log log{2, Log::Format::kText, LogLevel::kInfo};
  FakeStore store;
  test::TestLoop loop;
  std::optional<CurlHttpClient> http;
  std::optional<MortalHttpClient> mortal;
  IssuerOptions settings;
  std::optional<AcmeIssuer> issuer;
};

TEST_F(PebbleResumeTest, DyingAtEachRequestTheOrderIsFinishedByTheNextProcess) {
  ASSERT_TRUE(obtain(*ServerName::parse("warm.test")));
  int deaths = 0;
  for (const bool answers_last : {false, true}) {
    bool died = true;
    for (int requests = 1; died && requests < 60; ++requests) {
      SCOPED_TRACE(std::to_string(requests) + (answers_last ? ", answer lost" : ", not sent"));
      const std::string text =
          "n" + std::to_string(requests) + (answers_last ? "a" : "b") + ".test";
      const ServerName name = *ServerName::parse(text);
      restart();
      mortal->left = requests;
      mortal->answers_last = answers_last;
      const size_t before = pebble->orders();
      const size_t failed = pebble->failed_validations();
      died = !obtain(name);
      mortal->left = 0;
      deaths += died ? 1 : 0;
      const size_t made = pebble->orders() - before;
      const bool was_stored = store.orders.contains(name);
      restart();
      const auto second = obtain(name);
      ASSERT_TRUE(second);
      ASSERT_TRUE(*second) << second->error().message;
      EXPECT_LE(made, 1u);
      // Pebble may look for the answer while nobody is here to give it.
      const bool over = pebble->failed_validations() > failed;
      EXPECT_EQ(pebble->orders() - before, made + (was_stored && !over ? 0 : 1));
      ASSERT_TRUE(store.orders.contains(name));
      EXPECT_EQ(private_key_to_der((**second)->key()), store.orders.at(name).key_der);
    }
  }
  EXPECT_GT(deaths, 14) << "seven requests at least, each twice";
}

}  // namespace
}  // namespace latchkey::acme
