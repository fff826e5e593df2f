#pragma once
// An AcmeIssuer with a store in memory and Debian's Pebble, on a real loop.

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme/issuer.h"
#include "base/curl_http_client.h"
#include "base/loop.h"
#include "tests/support/challenge_responder.h"
#include "tests/support/fake_store.h"
#include "tests/support/pebble.h"
#include "tests/support/run_task.h"
#include "tests/support/temp_folder.h"

namespace latchkey::acme {

class PebbleTest : public ::testing::Test {
 protected:
  static test::Pebble::Options pebble_options(const test::ChallengeResponder& responder,
                                              bool sleeps) {
    test::Pebble::Options options;
    options.http_port = responder.http_port();
    options.tls_port = responder.tls_port();
    options.sleeps = sleeps;
    return options;
  }

  void begin(bool sleeps, IssuerOptions settings = {}) {
    const test::Pebble::Options options = pebble_options(responder, sleeps);
    begin(options, std::move(settings));
  }
  void begin(const test::Pebble::Options& options, IssuerOptions settings = {}) {
    issuer.reset();
    pebble.emplace(folder / "pebble", options);
    CurlHttpClient::Options with;
    with.ca_file = pebble->ca_file();
    http.emplace(loop.uv(), with);
    restart(std::move(settings));
  }
  // A new process with the same store.
  void restart(IssuerOptions settings) {
    settings.name = "pebble";
    settings.directory = pebble->directory();
    settings.accept_terms = true;
    settings.email = "test@example.com";
    issuer.emplace(settings, *http, loop.clock(), store, challenges, log);
  }
  CertificatePtr certificate(const std::string& name) {
    const Result<CertificatePtr> outcome = obtain({name}).at(name);
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? *outcome : nullptr;
  }

  // Everything at once, until all are done.
  std::map<std::string, Result<CertificatePtr>> obtain(std::vector<std::string> names) {
    std::map<std::string, Result<CertificatePtr>> outcomes;
    std::list<Task<>> tasks;
    size_t left = names.size();
    for (const std::string& name : names) {
      tasks.push_back(collect(*this, name, outcomes, left));
      tasks.back().start();
    }
    bool late = false;
    const Alarm limit = loop.clock().after(Millis(120'000), [&late] { late = true; });
    loop.run_until([&] { return left == 0 || late; });
    return outcomes;
  }

  static Task<> collect(PebbleTest& test, std::string name,
                        std::map<std::string, Result<CertificatePtr>>& outcomes, size_t& left) {
    const auto address = ServerName::parse_ip(name);
    const auto wildcard = ServerName::parse_wildcard(name);
    IssuanceJob job{address ? *address : wildcard ? *wildcard : *ServerName::parse(name)};
    job.key_type = test.key_type;
    job.slot = test.slot;
    job.on_failure = [&test](const IssuanceFailure& f) { test.failure = f; };
    Task<CertificatePtr> task = test.issuer->obtain(std::move(job));
    Result<CertificatePtr> outcome = co_await std::move(task).result();
    outcomes.emplace(name, std::move(outcome));
    --left;
    co_return Unit{};
  }

  test::TempFolder folder;
  ChallengeTable challenges;
  test::ChallengeResponder responder{challenges};
  std::optional<test::Pebble> pebble;
  Log log{2, Log::Format::kText, LogLevel::kInfo};
  FakeStore store;
  Loop loop;
  std::optional<CurlHttpClient> http;
  std::optional<AcmeIssuer> issuer;
  std::string key_type;
  Slot slot = Slot::kMain;
  std::optional<IssuanceFailure> failure;  // the last one
};

}  // namespace latchkey::acme
