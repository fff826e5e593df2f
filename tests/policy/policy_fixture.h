#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/policy.h"
#include "tests/policy/fake_http.h"
#include "tests/support/fake_store.h"
#include "tests/support/fd.h"
#include "tests/support/manual_clock.h"

namespace latchkey {

// A policy whose endpoint a test answers for.
class PolicyFixture : public testing::Test {
 protected:
  static ServerName name(std::string_view text) { return *ServerName::parse(text); }
  static std::shared_ptr<const Allowlist> allow(const std::vector<std::string>& entries) {
    std::vector<Allowlist::BadLine> bad;
    auto list = Allowlist::load(entries, {}, bad);
    EXPECT_TRUE(list && bad.empty());
    return *list;
  }
  std::unique_ptr<AskEndpoint> endpoint() {
    AskEndpoint::Options asking;
    asking.url = "http://127.0.0.1/";
    return std::make_unique<AskEndpoint>(asking, http, clock, log);
  }
  void make(std::shared_ptr<const Allowlist> allowlist, std::unique_ptr<AskEndpoint> ask) {
    policy.emplace(options, std::move(allowlist), std::move(ask), store, clock, log);
  }

  test::Fd null{open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Log log{null.get(), Log::Format::kText, LogLevel::kError};
  ManualClock clock;
  FakeHttp http;
  FakeStore store;
  Policy::Options options;
  std::optional<Policy> policy;
};

}  // namespace latchkey
