#pragma once
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "policy/ask_endpoint.h"
#include "tests/policy/fake_http.h"
#include "tests/support/fd.h"
#include "tests/support/manual_clock.h"

namespace latchkey {

// An endpoint that a test answers for, its questions, and the log.
constexpr Breaker::Options kNeverOpens{1'000'000, Millis(2000)};

class AskFixture : public testing::Test {
 protected:
  void SetUp() override { make({.url = "http://127.0.0.1:8000/check"}); }

  void make(AskEndpoint::Options options) {
    asks.clear();
    endpoint.emplace(std::move(options), http, clock, log);
  }
  Task<AskOutcome>& ask(std::string_view name, AskReason reason = AskReason::kIssue) {
    asks.push_back(endpoint->ask(*ServerName::parse(name), reason));
    asks.back().start();
    return asks.back();
  }
  Decision decided(Task<AskOutcome>& task) {
    if (!task.done() || !task.outcome()) {
      ADD_FAILURE() << "undecided, or failed";
      return {};
    }
    return task.outcome()->decision;
  }
  Decision answered(Result<HttpReply> reply) {
    auto& task = ask("a.test");
    http.answer(0, std::move(reply));
    return decided(task);
  }
  Decision answered(int status) {
    HttpReply reply;
    reply.status = status;
    return answered(Result<HttpReply>(std::move(reply)));
  }
  std::string logged() const {
    std::string text(100'000, '\0');
    const ssize_t n = pread(log_file.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
  }

  test::Fd log_file{memfd_create("log", MFD_CLOEXEC)};
  Log log{log_file.get(), Log::Format::kJson, LogLevel::kDebug};
  ManualClock clock;
  FakeHttp http;
  std::optional<AskEndpoint> endpoint;
  std::deque<Task<AskOutcome>> asks;
};

}  // namespace latchkey
